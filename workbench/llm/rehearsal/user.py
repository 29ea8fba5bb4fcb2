"""The rehearsal user: answers the agent from its scenario, in the manner its persona policy asks for."""

from __future__ import annotations

import re
import zlib
from random import Random
from typing import Any

from workbench.llm.rehearsal import voice
from workbench.llm.rehearsal.scenario import Point, Scenario, read, stems
from workbench.llm.rehearsal.voice import WORDS, pattern

Part = tuple[str, str]  # what to say, a name in the table of phrases or "say", and the value or text in it
_PHRASES: dict[str, dict[str, list[str]]] = WORDS["phrases"]
_CUES: dict[str, str] = WORDS["cues"]


def _hears(cue: str, text: str) -> bool:
    return bool(pattern(_CUES[cue]).search(text))


class _Talk:
    """One turn's view of the conversation: what was said, what is left to say, what the agent wants."""

    def __init__(self, scenario: Scenario, turns: list[tuple[str, str]], last: str) -> None:
        self.scenario, self.turns, self.last = scenario, turns, last
        self.own = " ".join(own for _, own in turns)
        known = stems(self.own)
        self.pending = [p for p in scenario.points if len(p.keys & known) < 0.6 * len(p.keys)]
        sentences = re.split(r"(?<=[.?!:])\s|\n", last)
        self.ask = " ".join(s for s in sentences if _hears("request", s))
        self.refused = any(_hears("refusal", s) and not _hears("caveat", s) for s in sentences)

    def asks(self, cue: str) -> bool:
        """Whether the agent's requests hold a cue of the table of words."""
        return _hears(cue, self.ask)

    def rule(self, cue: str) -> Point | None:
        """Return what this message sets off that was held back and has not been said yet."""
        heard = stems(self.last if cue == "refusal" else self.ask)
        rules = [r for r in self.scenario.rules if r.cue == cue and not self._followed(r)]
        if cue == "request":
            rules = [r for r in rules if 2 * len(r.condition & heard) >= len(r.condition) > 0]
        return max(rules, key=lambda r: len(r.condition & heard), default=None)

    def _followed(self, rule: Point) -> bool:
        answers = [own for heard, own in self.turns if _hears(rule.cue, heard)]
        return any(len(rule.keys & stems(own)) >= 0.6 * len(rule.keys) for own in answers)


def _identity(talk: _Talk) -> Part:
    """Give what is asked for and known, or the name and zip code in the place of the e-mail address."""
    facts = talk.scenario.facts
    called = {name: called for name, called in WORDS["identity"].items() if facts[name]}
    wanted = [name for name in called if talk.asks(name)] or [name for name in ("name", "zip") if facts[name]]
    if "email" in wanted and facts["email"][0] not in talk.own:
        wanted = ["email"]
    told = " and ".join(f"my {called[name]} is {facts[name][0]}" for name in wanted)
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
    points, rules, facts, _ = talk.scenario
    if rule := (talk.rule("refusal") if talk.refused else None) or talk.rule("request"):
        return [("say", rule.text)]
    if talk.asks("identity") and not (talk.asks("confirm") and talk.asks("go")):
        return [_identity(talk)]
    said = " ".join(point.text for point in points + rules).lower()
    proposed = talk.asks("confirm") or (talk.asks("offer") and not talk.asks("open"))
    if proposed and not talk.asks("else") and not talk.asks("reason"):
        return [_agree(talk, said)]
    values = {
        "reason": "I ordered it by mistake" if "mistake" in said else "I no longer need it",
        "code": next((code for code in facts["code"] if code not in talk.own), "".join(facts["code"][:1])),
        "payment": [*pattern(_CUES["method"]).findall(said), "original payment method"][0],
        "address": "".join(facts["address"][:1]),
    }
    parts = [(cue, value) if value else ("unsure", "") for cue, value in values.items() if talk.asks(cue)]
    if parts or talk.pending:
        return parts
    if "?" in talk.ask and not talk.asks("else"):
        asked = stems(talk.ask)
        best = max(points, key=lambda point: len(point.keys & asked), default=None)
        return [("say", best.text) if best and len(best.keys & asked) > 1 else ("unsure", "")]
    return [("accept", "")] if talk.refused else []


def _deliver(talk: _Talk, style: voice.Style, rng: Random, room: int) -> list[Part]:
    """Say pending things in order: all of them, about ``room`` words, or a single one, as the manner has it."""
    room = 500 if rng.random() < style["frontload"] else 1 if rng.random() < style["withhold"] else room
    texts: list[str] = []
    for point in talk.pending:
        halved = rng.random() < 0.8 * max(style["terse"], style["withhold"])
        if texts and not halved and _hears("leaning", point.text):
            texts[-1] += " " + point.text
        elif not texts or len(" ".join([*texts, point.text]).split()) <= room:
            texts.append(point.text)
        else:
            break
    return [("say", text) for text in texts]


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
    brief = form in ("short", "bare")
    if kind == "say":
        starts = ["", "", "I want to ", "need to "] if brief and rng.random() < 0.7 else []
        text = pattern(_CUES["opener"]).sub(rng.choice(starts), value) if starts else value
        text += "?" if _hears("question", text) else "."
    else:
        text = rng.choice(_PHRASES[kind][form if brief else "full"])
        text += " " + rng.choice(_PHRASES[kind]["more"]) if form == "long" else ""
        text = text.replace("{bare}", re.sub(r"\bmy [\w ]+? is ", "", value)).replace("{x}", value)
    please = "please " if form != "bare" and rng.random() < style["polite"] else ""
    text = re.sub(r"(^|[.?!] )([a-z])", lambda m: m[1] + m[2].upper(), text.replace("{p}", please))
    return text if text.endswith((".", "?", "!")) else text + "."


def _dress(parts: list[Part], talk: _Talk, style: voice.Style, rng: Random) -> str:
    """Choose how much to say, add courtesy and habits, and apply the surface of the writing."""
    form = "short" if rng.random() < style["terse"] else "long" if rng.random() < style["long"] else "plain"
    form = rng.choice(["short", "plain", "long", "bare"]) if rng.random() < style["uneven"] * 0.6 else form
    form = "bare" if rng.random() < style["ack"] and parts[0][1] == "" else form
    forms = ["plain" if form == "long" and part is not parts[-1] else form for part in parts]
    text = " ".join(_phrase(part, f, style, rng) for part, f in zip(parts, forms, strict=True))
    if not talk.turns and rng.random() < 0.3 + style["polite"]:
        text = f"{rng.choice(_PHRASES['hello']['full'])}! {text}"
    text = voice.extras(text, style, rng, {"bare": 0, "short": 1}.get(form, 3), talk.asks)
    text = text.replace("{x}", next((point.text for point in talk.scenario.points), "I need help"))
    text = text.rstrip(".") if form in ("short", "bare") and rng.random() < 0.5 else text
    return voice.surface(text, style, rng, set().union(*(p.keys for p in talk.scenario.points)))


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Return the customer's next message; it ends with a stop token when the errand is over."""
    system = next((m["content"] for m in messages if m["role"] == "system"), "")
    heard = [m["content"][:4000] for m in messages if m["role"] == "user"] or [""]
    own = [m["content"][:4000] for m in messages if m["role"] == "assistant"]
    if own and _hears("transfer", heard[-1]):
        return "###TRANSFER###"
    scenario = read(system)
    style = voice.read(scenario.policy)
    rng = Random(f"{seed}|{len(own)}|{zlib.crc32(system.encode())}")
    talk = _Talk(scenario, list(zip(heard, own, strict=False)), heard[-1])
    parts = _parts(talk, style, rng)
    return _dress(parts, talk, style, rng) + (" ###STOP###" if parts[0][0] in ("end", "quit") else "")
