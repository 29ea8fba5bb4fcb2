"""The rehearsal user: answers the agent from its scenario, in the manner its persona policy asks for."""

import re
import zlib
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

from workbench.llm.rehearsal import voice
from workbench.llm.rehearsal.voice import WORDS, pattern, swap

Part = tuple[str, str]  # what to say, a name in the table of phrases or "say", and the value or text in it
_PHRASES: dict[str, dict[str, list[str]]] = WORDS["phrases"]
_CUES: dict[str, str] = WORDS["cues"]
_TABLE = WORDS["scenario"]
_GRAMMAR: dict[str, str] = _TABLE["grammar"]
_IGNORED, _VERBS, _GENERAL = (set(_TABLE[name].split()) for name in ("ignored", "request_verbs", "general"))


class Point(NamedTuple):
    """Something to say in the first person, the words by which it is known to be said, and what it waits for."""

    text: str
    keys: set[str]
    cue: str = ""  # of the table of cues: confirm, refusal or request
    condition: frozenset[str] = frozenset()


def stems(text: str) -> set[str]:
    """Return the telling words of a text, cut to six letters."""
    words = [w for w in re.findall(r"\w+", text.lower()) if w not in _IGNORED]
    return {w if w[-1].isdigit() else w[:6] for w in words if len(w) > 2 or w.isdigit()}


def first_person(text: str) -> str:
    """Turn 'You want to return your lamp' into 'I'd like to return my lamp'."""
    return " ".join(swap(text.strip(" .\n\t"), _TABLE["swaps"]).split())


def _point(text: str, cue: str = "", condition: str = "") -> Point:
    keys = stems(text)  # the common request verbs tell little
    return Point(text, keys - _VERBS or keys, cue, frozenset(stems(condition) - _GENERAL))


def _sentences(text: str) -> list[str]:
    parts = swap(text, _TABLE["breaks"]).split("\n")
    return [part.strip(" .\t") for part in parts if re.search(r"\w{2}", part)]


def _points(sentence: str) -> list[Point]:
    """Cut a sentence where a person in a chat could send the first half and type on."""
    whole = pattern(_GRAMMAR["condition"]).match(sentence)
    parts = [sentence] if whole else pattern(_GRAMMAR["clause"]).split(sentence)
    parts = [p for c in parts for p in (pattern(_GRAMMAR["joint"]).split(c) if len(c.split()) > 14 else [c])]
    said = [first_person(p) for p in parts if stems(p) and not pattern(_GRAMMAR["never_said"]).search(p)]
    return [_point(text) for text in said]


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
def read(system: str) -> tuple[list[Point], list[Point], dict[str, list[str]], str]:
    """Return what a system message has a user say, what it holds back, the facts, and the persona policy."""
    _, tag, rest = system.partition("<scenario>")
    body, _, policy = (rest if tag else system).partition("</scenario>")
    parts = pattern(_GRAMMAR["heads"]).split(body[:6000])
    fields = dict(zip(parts[1::2], parts[2::2], strict=True))
    known, manner = fields.get("Known info", ""), _sentences(fields.get("Task instructions", ""))
    reason = _sentences(fields.get("Reason for call") or parts[0].replace("Instructions:", ""))
    rules = [rule for sentence in reason + manner if (rule := _rule(sentence))]
    points = [point for sentence in reason if not _rule(sentence) for point in _points(sentence)]
    texts = known, ". ".join([known, *reason, *manner])
    facts = {name: re.findall(f, texts[0]) or re.findall(f, texts[1]) for name, f in _TABLE["facts"].items()}
    return points, rules, facts, policy.strip()


def _hears(cue: str, text: str) -> bool:
    return bool(pattern(_CUES[cue]).search(text))


class _Talk:
    """One turn's view of the conversation: what was said, what is left to say, what the agent wants."""

    def __init__(self, system: str, turns: list[tuple[str, str]], last: str) -> None:
        self.points, self.rules, self.facts, self.policy = read(system)
        self.turns, self.last = turns, last
        self.own = " ".join(own for _, own in turns)
        known = stems(self.own)
        self.pending = [p for p in self.points if len(p.keys & known) < 0.6 * len(p.keys)]
        sentences = re.split(r"(?<=[.?!:])\s|\n", last)
        self.ask = " ".join(s for s in sentences if _hears("request", s))
        self.refused = any(_hears("refusal", s) and not _hears("caveat", s) for s in sentences)

    def asks(self, cue: str) -> bool:
        """Whether the agent's requests hold a cue of the table of words."""
        return _hears(cue, self.ask)

    def rule(self, cue: str) -> Point | None:
        """Return what this message sets off that was held back and has not been said yet."""
        heard = stems(self.last if cue == "refusal" else self.ask)
        answers = [own for said, own in self.turns if _hears(cue, said)]
        kept = [all(len(r.keys & stems(own)) < 0.6 * len(r.keys) for own in answers) for r in self.rules]
        rules = [r for r, still in zip(self.rules, kept, strict=True) if still and r.cue == cue]
        if cue == "request":
            rules = [r for r in rules if 2 * len(r.condition & heard) >= len(r.condition) > 0]
        return max(rules, key=lambda r: len(r.condition & heard), default=None)


def _identity(talk: _Talk) -> Part:
    """Give what is asked for and known, or the name and zip code in the place of the e-mail address."""
    facts, known = talk.facts, [name for name in ("email", "user_id", "name", "zip") if talk.facts[name]]
    wanted = [name for name in known if talk.asks(name)] or known[-2:]
    if "email" in wanted and facts["email"][0] not in talk.own:
        wanted = ["email"]
    told = " and ".join(f"my {name.replace('_', ' ')} is {facts[name][0]}" for name in wanted)
    return ("auth", told) if told else ("unsure", "")


def _agree(talk: _Talk, said: str) -> Part:
    """Answer a proposal: by what was held for this moment, by what is still missing, or by yes or no."""
    if rule := talk.rule("confirm"):
        return "say", rule.text
    offered = pattern(_CUES["verbs"]).findall(talk.ask.lower())
    if talk.refused and offered and not any(verb in said for verb in offered):
        return "decline", ""
    if talk.pending and _hears("leaning", talk.pending[0].text):
        return "say", talk.pending[0].text  # the request is not complete yet
    return "confirm", ""


def _answer(talk: _Talk) -> list[Part]:
    """Return what the agent's message calls for, without regard to manner; empty when it is the user's move."""
    if rule := (talk.rule("refusal") if talk.refused else None) or talk.rule("request"):
        return [("say", rule.text)]
    if talk.asks("identity") and not (talk.asks("confirm") and talk.asks("go")):
        return [_identity(talk)]
    said = " ".join(point.text for point in talk.points + talk.rules).lower()
    proposed = talk.asks("confirm") or (talk.asks("offer") and not talk.asks("open"))
    if proposed and not talk.asks("else") and not talk.asks("reason"):
        return [_agree(talk, said)]
    values = {
        "reason": "I ordered it by mistake" if "mistake" in said else "I no longer need it",
        "code": next((c for c in talk.facts["code"] if c not in talk.own), "".join(talk.facts["code"][:1])),
        "payment": [*pattern(_CUES["method"]).findall(said), "original payment method"][0],
        "address": "".join(talk.facts["address"][:1]),
    }
    parts = [(cue, value) if value else ("unsure", "") for cue, value in values.items() if talk.asks(cue)]
    if parts or talk.pending:
        return parts
    if "?" in talk.ask and not talk.asks("else"):
        asked = stems(talk.ask)
        best = max(talk.points, key=lambda point: len(point.keys & asked), default=None)
        return [("say", best.text) if best and len(best.keys & asked) > 1 else ("unsure", "")]
    return [("accept", "")] if talk.refused else []


def _deliver(talk: _Talk, style: voice.Style, rng: Random, room: int) -> list[Part]:
    """Say pending things in order: all of them, about ``room`` words, or a single one, as the manner has it."""
    room = 500 if rng.random() < style["frontload"] else 1 if rng.random() < style["withhold"] else room
    text = ""
    for point in talk.pending:
        leans = _hears("leaning", point.text)
        halved = rng.random() < 0.8 * max(style["terse"], style["withhold"])
        if text and (halved or not leans) and len(f"{text} {point.text}".split()) > room:
            break
        text += f"{' ' if leans or not text else '. '}{point.text}"
    return [("say", text.strip())] if text else []


def _parts(talk: _Talk, style: voice.Style, rng: Random) -> list[Part]:
    """Return what to say in this turn: an answer, and as much of what is pending as the manner has it."""
    if not talk.turns:
        vague = not talk.pending or rng.random() < style["withhold"] * 0.8
        return [("vague", "")] if vague else _deliver(talk, style, rng, 24)
    if sum(talk.last == heard for heard, _ in talk.turns) >= 3:
        return [("quit", "")]
    parts = _answer(talk)
    if parts and rng.random() < style["withhold"]:
        return parts[:1]
    if not parts:
        over = talk.ask or _hears("done", talk.last)
        return _deliver(talk, style, rng, 30) or [("end" if over else "ack", "")]
    more = len(talk.turns) > 1 and parts[0][0] not in ("say", "confirm", "decline")
    return parts + (_deliver(talk, style, rng, 14) if more else [])


def _phrase(part: Part, form: str, style: voice.Style, rng: Random) -> str:
    """Word one part in the given form: long, plain, short or bare."""
    kind, value = part
    if form in ("short", "bare") and rng.random() < 0.7:
        value = pattern(_CUES["opener"]).sub(rng.choice(["", "", "I want to ", "need to "]), value)
    text = rng.choice(_PHRASES[kind].get(form, _PHRASES[kind]["full"]))
    text = text.rstrip(".") + ". " + rng.choice(_PHRASES[kind]["more"]) if form == "long" else text
    text = text.replace("{bare}", re.sub(r"\bmy [\w ]+? is ", "", value)).replace("{x}", value)
    please = "please " if form != "bare" and rng.random() < style["polite"] else ""
    text = re.sub(r"(^|[.?!] )([a-z])", lambda m: m[1] + m[2].upper(), text.replace("{p}", please))
    return text if text.endswith((".", "?", "!")) else text + ("?" if _hears("question", text) else ".")


def _dress(parts: list[Part], talk: _Talk, style: voice.Style, rng: Random) -> str:
    """Choose how much to say, add courtesy and habits, and apply the surface of the writing."""
    form = "short" if rng.random() < style["terse"] else "long" if rng.random() < style["long"] else "plain"
    form = rng.choice(["short", "plain", "long", "bare"]) if rng.random() < style["uneven"] * 0.6 else form
    form = "bare" if rng.random() < style["ack"] and parts[0][1] == "" else form
    forms = ["plain" if form == "long" and part is not parts[-1] else form for part in parts]
    text = " ".join(_phrase(part, f, style, rng) for part, f in zip(parts, forms, strict=True))
    text = voice.extras(text, style, rng, {"bare": 0, "short": 1}.get(form, 3), talk.asks)
    text = text.replace("{x}", next((point.text for point in talk.points), "I need help"))
    text = text.rstrip(".") if form in ("short", "bare") and rng.random() < 0.5 else text
    return voice.surface(text, style, rng)


def reply(messages: list[dict[str, Any]], seed: int = 0, manner: str = "") -> str:
    """Return the customer's next message, ended by a stop token when all is said; ``manner`` adds to any policy."""
    system = next((m["content"] for m in messages if m["role"] == "system"), "")
    heard = [m["content"][:4000] for m in messages if m["role"] == "user"] or [""]
    own = [m["content"][:4000] for m in messages if m["role"] == "assistant"]
    if own and _hears("transfer", heard[-1]):
        return "###TRANSFER###"
    talk = _Talk(system, list(zip(heard, own, strict=False)), heard[-1])
    style, rng = voice.read(manner + talk.policy), Random(f"{seed}|{len(own)}|{zlib.crc32(system.encode())}")
    parts = _parts(talk, style, rng)
    return _dress(parts, talk, style, rng) + (" ###STOP###" if parts[0][0] in ("end", "quit") else "")
