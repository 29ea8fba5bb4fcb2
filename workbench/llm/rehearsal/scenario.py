"""What the rehearsal user knows: a scenario text read into facts, things to say, and rules for later."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from workbench.llm.rehearsal.voice import WORDS

_TABLE = WORDS["scenario"]
_IGNORED, _VERBS = set(_TABLE["ignored"].split()), set(_TABLE["request_verbs"].split())
_SWAPS, _LEADS = ([(re.compile(p, re.I), new) for p, new in _TABLE[name]] for name in ("swaps", "leads"))
_META, _NEGATED = (re.compile(_TABLE[name], re.I) for name in ("never_said", "negated"))
_CONDITION = re.compile(_TABLE["condition"], re.I | re.S)
_FACTS = {name: re.compile(pattern) for name, pattern in _TABLE["facts"].items()}


@dataclass(frozen=True)
class Point:
    """Something to say: a sentence in the first person, and the words by which it is known to be said."""

    text: str
    keys: frozenset[str]
    tail: bool = False  # the rest of a long sentence, which may follow in a later message


@dataclass(frozen=True)
class Rule:
    """Something held back: ``trigger`` is confirm, refuse, or asked (with the words asked for)."""

    trigger: str
    words: frozenset[str]
    text: str
    keys: frozenset[str]


@dataclass(frozen=True)
class Scenario:
    """A scenario, with the persona policy that follows it in the prompt."""

    points: tuple[Point, ...]
    rules: tuple[Rule, ...]
    facts: dict[str, tuple[str, ...]]
    sentences: tuple[Point, ...]
    unknown: str
    topic: str
    policy: str


def stems(text: str) -> set[str]:
    """Return the telling words of a text, cut to six letters."""
    words = re.findall(r"\w+", text.lower())
    return {
        w if w[-1].isdigit() else w[:6] for w in words if w not in _IGNORED and (len(w) > 2 or w.isdigit())
    }


def keys(text: str) -> frozenset[str]:
    """Return what identifies a sentence: its telling words, without the common request verbs if others remain."""
    found = stems(text)
    return frozenset(found - _VERBS or found)


def first_person(text: str) -> str:
    """Turn 'You want to return your lamp' into 'I'd like to return my lamp'."""
    text = re.sub(r"\{([^}]*)\}", lambda m: m[1].replace("'", "").replace(":", ""), text.strip(" .\n\t"))
    for pattern, new in _SWAPS:
        text = pattern.sub(new, text)
    return re.sub(r"\s+", " ", text).strip()


def _sentences(text: str) -> list[str]:
    """Split into sentences, with asides that are conditions, and conditions inside a sentence, on their own."""
    text = re.sub(r"\s*\((if [^)]*)\)", lambda m: f". {m[1].capitalize()}. ", text, flags=re.I)
    text = re.sub(r"\(([^)]*(?:reveal|mention)[^)]*)\)", " ", text)
    text = re.sub(
        r"[,.]? (?:but|and),? ((?:if|when) (?:the agent|asked|you are asked|that|not))",
        r". \1",
        text,
        flags=re.I,
    )
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z(#])|(?<=[a-z\d)'\"%}][.!?])\s+|\n+|;\s*", text)
    return [part.strip(" .\t") for part in parts if re.search(r"\w{2}", part)]


def _clauses(sentence: str) -> list[str]:
    if re.match(r"(?:if|when|as|because)\b", sentence, re.I):
        return [sentence]
    pattern = r",? (?:and|but) (?=(?:you|also|then) (?!can\b|will\b))|, (?=you (?:want|would|wish|need|also))|, then (?=you)"
    parts = [
        part.strip(" ,(" if "(" not in part[1:] else " ,") for part in re.split(pattern, sentence) if part
    ]
    whole = any(len(part.split()) < 4 for part in parts) or re.match(r"for\b", sentence, re.I)
    return [sentence] if whole else [p if "(" in p else p.strip(")") for p in parts]


def _pieces(said: str) -> list[Point]:
    """Cut a long sentence where a person in a chat could send the first half and type on."""
    cuts = re.split(
        r"(?<=\w),? (?=and (?:the|also|a|my)\b|but (?:if|with|only)\b|if (?:that|it|you|not)\b|because\b|so that\b)",
        said,
    )
    parts = [cuts[0]]
    for cut in cuts[1:]:
        if len(parts[-1].split()) < 7 or len(cut.split()) < 4 or parts[-1].count("(") > parts[-1].count(")"):
            parts[-1] += " " + cut
        else:
            parts.append(cut)
    if len(said.split()) < 15 or not all(keys(part) for part in parts):
        parts = [said]
    return [Point(part, keys(part), index > 0) for index, part in enumerate(parts)]


def _answer(text: str) -> str:
    """Return what a rule makes the customer say."""
    text = text.strip()
    for pattern, new in _LEADS:
        text = pattern.sub(new, text)
    said = first_person(text)
    return "{p}" + said if re.match(_TABLE["imperative"], said) else said


def _rule(sentence: str) -> Rule | None:
    """Return the rule a conditional sentence states, None when it is about the world and may be said aloud."""
    match = _CONDITION.match(sentence)
    if not match:
        return None
    condition, answer = match[1], match[2]
    if sentence.lower().startswith("otherwise"):
        condition, answer = "not", f"{condition}, {answer}".strip(" ,")
    said = _answer(answer)
    if len(said) < 2:
        return None
    words = frozenset(stems(condition) - {"agent", "asked", "asks", "asking"})
    if re.search(r"confirm|double.?check|proceed", condition, re.I):
        return Rule("confirm", words, said, keys(said))
    if re.search(r"\bask(?:s|ed)?\b", condition, re.I):
        return Rule("asked", words, said, keys(said))
    specific = (
        len(
            words
            - {stem[:6] for stem in ("possible", "available", "work", "found", "error", "way", "option")}
        )
        > 1
    )
    if _NEGATED.search(condition) and (not specific or re.search(r"agent|possible|cannot|can't", condition)):
        return Rule("refuse", words, said, keys(said))
    return None


def _field(text: str, name: str) -> str:
    heads = r"Domain|Reason for call|Known info|Unknown info|Task instructions|Persona|Instructions"
    match = re.search(rf"^[ \t]*{name}:[ \t]*(.*?)(?=^[ \t]*(?:{heads}):|\Z)", text, re.M | re.S)
    return match[1].strip() if match else ""


@lru_cache(maxsize=512)
def read(system: str) -> Scenario:
    """Read the system message of a user simulator: guidelines, ``<scenario>``, then perhaps a persona policy."""
    match = re.search(r"<scenario>(.*?)</scenario>(.*)", system, re.S)
    body, policy = (match[1], match[2].strip()) if match else (system, "")
    reason, known = _field(body, "Reason for call"), _field(body, "Known info")
    reason = reason or re.sub(r"^\s*Instructions:", "", body).strip()
    points: list[Point] = []
    rules: list[Rule] = []
    for sentence in _sentences(reason):
        if rule := _rule(sentence):
            rules.append(rule)
            continue
        for clause in _clauses(sentence):
            if not _META.search(clause) and keys(clause):
                points += _pieces(first_person(clause))
    rules += [rule for s in _sentences(_field(body, "Task instructions")) if (rule := _rule(s))]
    everything = " ".join([known, reason, _field(body, "Task instructions")])
    facts = {name: tuple(dict.fromkeys(pattern.findall(everything))) for name, pattern in _FACTS.items()}
    facts["name"] = tuple(dict.fromkeys(_FACTS["name"].findall(known)))
    if not facts["name"] and facts["user_id"]:
        facts["name"] = (" ".join(facts["user_id"][0].split("_")[:2]).title(),)
    facts["zip"] = tuple(dict.fromkeys(_FACTS["zip"].findall(known))) or facts["zip"]
    said = [
        Point(first_person(s), keys(s), False)
        for s in _sentences(known + "\n" + reason)
        if not _META.search(s)
    ]
    topic = "booking" if re.search(r"\b(?:flight|reservation|booking)s?\b", everything, re.I) else "order"
    return Scenario(
        tuple(points),
        tuple(rules),
        facts,
        tuple(said),
        first_person(_field(body, "Unknown info")),
        topic,
        policy,
    )
