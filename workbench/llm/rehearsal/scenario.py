"""What the rehearsal user knows: a scenario text read into facts, things to say, and things to hold back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from workbench.llm.rehearsal.voice import WORDS, pattern, swap

_TABLE = WORDS["scenario"]
_GRAMMAR: dict[str, str] = _TABLE["grammar"]
_IGNORED, _VERBS, _GENERAL = (set(_TABLE[name].split()) for name in ("ignored", "request_verbs", "general"))


class Point(NamedTuple):
    """Something to say in the first person, the words by which it is known to be said, and what it waits for."""

    text: str
    keys: set[str]
    cue: str = ""  # of the table of cues: confirm, refusal or request
    condition: set[str] = set()


class Scenario(NamedTuple):
    """A scenario, with the persona policy that follows it in the prompt."""

    points: list[Point]
    rules: list[Point]
    facts: dict[str, list[str]]
    policy: str


def stems(text: str) -> set[str]:
    """Return the telling words of a text, cut to six letters."""
    words = [w for w in re.findall(r"\w+", text.lower()) if w not in _IGNORED]
    return {w if w[-1].isdigit() else w[:6] for w in words if len(w) > 2 or w.isdigit()}


def first_person(text: str) -> str:
    """Turn 'You want to return your lamp' into 'I'd like to return my lamp'."""
    return " ".join(swap(text.strip(" .\n\t"), _TABLE["swaps"]).split())


def _point(text: str, cue: str = "", condition: str = "") -> Point:
    keys = stems(text)  # the common request verbs tell little
    return Point(text, keys - _VERBS or keys, cue, stems(condition) - _GENERAL)


def _sentences(text: str) -> list[str]:
    parts = swap(text, _TABLE["breaks"]).split("\n")
    return [part.strip(" .\t") for part in parts if re.search(r"\w{2}", part)]


def _points(sentence: str) -> list[Point]:
    """Cut a sentence where a person in a chat could send the first half and type on."""
    whole = pattern(_GRAMMAR["condition"]).match(sentence)
    parts = [sentence] if whole else pattern(_GRAMMAR["clause"]).split(sentence)
    parts = [p for c in parts for p in (pattern(_GRAMMAR["joint"]).split(c) if len(c.split()) > 14 else [c])]
    return [
        _point(first_person(p)) for p in parts if stems(p) and not pattern(_GRAMMAR["never_said"]).search(p)
    ]


def _rule(sentence: str) -> Point | None:
    """Return what a conditional sentence holds back, None when it may be said aloud."""
    match = pattern(_GRAMMAR["condition"]).match(sentence)
    if not match:
        return None
    condition, said = match[1], first_person(swap(match[2].strip(), _TABLE["leads"]))
    said = "{p}" + said if pattern(_GRAMMAR["imperative"]).match(said) else said
    cues = [cue for cue in ("confirm", "request", "refusal") if pattern(_GRAMMAR[cue]).search(condition)]
    rule = _point(said, cues[0] if cues else "", condition)
    vague = len(rule.condition) < 2 or pattern(_GRAMMAR["agent"]).search(condition)
    return rule if said and cues and (vague or rule.cue != "refusal") else None


@lru_cache(maxsize=512)
def read(system: str) -> Scenario:
    """Read the system message of a user simulator: guidelines, ``<scenario>``, then perhaps a persona policy."""
    _, tag, rest = system.partition("<scenario>")
    body, _, policy = (rest if tag else system).partition("</scenario>")
    parts = pattern(_GRAMMAR["heads"]).split(body[:6000])
    fields = dict(zip(parts[1::2], parts[2::2], strict=True))
    known, manner = fields.get("Known info", ""), _sentences(fields.get("Task instructions", ""))
    reason = _sentences(fields.get("Reason for call") or parts[0].replace("Instructions:", ""))
    rules = [rule for sentence in reason + manner if (rule := _rule(sentence))]
    points = [point for sentence in reason if not _rule(sentence) for point in _points(sentence)]
    everything = ". ".join([known, *reason, *manner])
    facts = {
        name: re.findall(fact, known) or re.findall(fact, everything)
        for name, fact in _TABLE["facts"].items()
    }
    if not facts["name"] and facts["user_id"]:
        facts["name"] = [" ".join(facts["user_id"][0].split("_")[:2]).title()]
    return Scenario(points, rules, facts, policy.strip())
