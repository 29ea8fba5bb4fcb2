"""The rehearsal user: answers the agent from its scenario, in the manner its persona policy asks for."""

from __future__ import annotations

import re
import zlib
from random import Random
from typing import Any

from workbench.llm.rehearsal import voice
from workbench.llm.rehearsal.scenario import Point, Rule, Scenario, read, stems

Part = tuple[str, dict[str, str]]  # what to say (a name in the table of phrases, or "say"), and its values
_CUES = {name: re.compile(pattern) for name, pattern in voice.WORDS["cues"].items()}
_LISTED = re.compile(r"#\w{5,}|\b\d{9,}\b|\b(?=[A-Z]*\d)(?=\d*[A-Z])[A-Z0-9]{6}\b")
_FIELDS = {  # what identifies a customer: how to call it, how an agent asks for it
    "email": ("email", "e-?mail"),
    "user_id": ("user ID", "user ?(?:id|name)|account id"),
    "name": ("name", r"\bname|identity"),
    "zip": ("zip code", r"\bzip|postal|identity"),
}


class _Talk:
    """One turn's view of the conversation: what was said, what is left to say, what the agent wants."""

    def __init__(self, scenario: Scenario, turns: list[tuple[str, str]], last: str) -> None:
        self.scenario, self.turns, self.last = scenario, turns, last
        self.own = " ".join(own for _, own in turns)
        known = stems(self.own)
        self.pending = [p for p in scenario.points if len(p.keys & known) < 0.6 * len(p.keys)]
        sentences = re.split(r"(?<=[.?!:])\s+|\n+", last)
        self.ask = " ".join(s for s in sentences if _CUES["request"].search(s.lower())).lower()
        refusals = [s for s in sentences if _CUES["refusal"].search(s.lower())]
        self.refused = any(not _CUES["caveat"].search(s.lower()) for s in refusals)

    def asks(self, cue: str) -> bool:
        """Whether the agent's requests hold a cue of the table of words."""
        return bool(_CUES[cue].search(self.ask))

    def rule(self, trigger: str) -> Rule | None:
        """Return the rule that this message sets off and that has not been followed yet."""
        heard = stems(self.last if trigger == "refuse" else self.ask)
        rules = [r for r in self.scenario.rules if r.trigger == trigger and not self._followed(r)]
        if trigger == "asked":
            rules = [r for r in rules if 2 * len(r.words & heard) >= len(r.words) > 0]
        return max(rules, key=lambda r: len(r.words & heard), default=None)

    def _followed(self, rule: Rule) -> bool:
        cue = _CUES[{"confirm": "confirm", "refuse": "refusal"}.get(rule.trigger, "request")]
        return any(
            cue.search(heard.lower()) and len(rule.keys & stems(own)) >= 0.6 * len(rule.keys)
            for heard, own in self.turns
        )

    def best_listed(self) -> str:
        """Return the order, item or option on offer that fits the scenario best, empty when none does."""
        said = " ".join(s.text for s in self.scenario.sentences)
        wanted = set(re.findall(r"\w+", said.lower())) - {
            "at",
            "to",
            "the",
            "for",
            "no",
            "yes",
            "with",
            "order",
            "and",
        }
        offers = [
            o.strip(" .-•*")
            for o in re.split(r"[;\n]|: (?=\S+.*\$)", self.last)
            if _LISTED.search(o) or "$" in o
        ]
        fits = {o: len(wanted & set(re.findall(r"\w+", o.lower()))) for o in offers if "?" not in o}
        best = [o for o in fits if fits[o] == max(fits.values()) and fits[o] > 0]
        prices = {o: float(m[1].replace(",", "")) for o in best if (m := re.search(r"\$([\d,]+\.?\d*)", o))}
        if prices and (extreme := re.search(r"(cheap|least exp)|most exp|priciest", said)):
            best = [(min if extreme[1] else max)(prices, key=lambda o: prices[o])]
        code = _LISTED.search(best[0]) if best else None
        return code[0] if code else re.sub(r"\W*(?:at |for )?\$.*", "", best[0]) if best else ""


def _identity(talk: _Talk) -> list[Part]:
    facts, unknown = talk.scenario.facts, talk.scenario.unknown
    wanted = [key for key, (_, cue) in _FIELDS.items() if re.search(cue, talk.ask) and facts[key]]
    if "email" in wanted and facts["email"][0] not in talk.own:
        wanted = ["email"]
    parts: list[Part] = []
    if "mail" in talk.ask and not facts["email"]:
        if not wanted or "mail" not in talk.own:
            lacking = unknown if "mail" in unknown else "I don't have an email address at hand"
            parts.append(("forgot", {"unknown": lacking}))
        wanted = wanted or [key for key in ("name", "zip") if facts[key]]
    if wanted:
        full = " and ".join(f"my {_FIELDS[key][0]} is {facts[key][0]}" for key in wanted)
        parts.append(("auth", {"full": full, "facts": ", ".join(facts[key][0] for key in wanted)}))
    return parts or [("lack", {"thing": "that"})]


def _agree(talk: _Talk, said: str) -> list[Part]:
    """Answer a proposal: by a rule for this moment, by what is still missing, or by yes or no."""
    if rule := talk.rule("confirm"):
        return [("say", {"text": rule.text})]
    offered = {verb for verb in ("cancel", "return", "exchang", "transfer", "upgrade") if verb in talk.ask}
    if talk.refused and offered and not any(verb in said for verb in offered):
        return [("decline", {})]
    if talk.pending and (talk.pending[0].tail or "full list" in talk.ask):  # the request is not complete yet
        return [("say", {"text": talk.pending[0].text})]
    return [("confirm", {})]


def _answer(talk: _Talk) -> list[Part]:
    """Return what the agent's message calls for, without regard to manner; empty when it is the user's move."""
    scenario, facts, asks = talk.scenario, talk.scenario.facts, talk.asks
    if rule := (talk.rule("refuse") if talk.refused else None) or talk.rule("asked"):
        return [("say", {"text": rule.text})]
    if asks("identity") and not (asks("confirm") and re.search(r"\byes\b|proceed|go ahead", talk.ask)):
        return _identity(talk)
    said = " ".join([p.text for p in scenario.points] + [r.text for r in scenario.rules]).lower()
    parts: list[Part] = []
    if asks("reason"):
        mistaken = re.search(r"mistake|accident", said)
        parts.append(("reason", {"reason": "I ordered it by mistake" if mistaken else "I no longer need it"}))
    elif (asks("confirm") or (asks("offer") and not asks("open"))) and not asks("else"):
        return _agree(talk, said)
    told = [p.text for p in scenario.points if p not in talk.pending][-2:]
    lost = asks("items") or (asks("options") and "not sure" in talk.own.lower())
    if lost and not talk.pending and not talk.best_listed() and told:  # say again what it is about
        return [("say", {"text": text}) for text in told]
    if asks("code"):
        codes = [code for code in facts["code"] if code not in talk.own] or list(facts["code"])
        if codes:
            parts.append(("code", {"code": codes[0]}))
        elif _LISTED.search(talk.last):
            parts.append(("pick", {"code": code}) if (code := talk.best_listed()) else ("unsure", {}))
        else:
            parts.append(("lack", {"thing": f"the {scenario.topic} number"}))
    if asks("payment"):
        methods = [
            m[0] for s in scenario.sentences if (m := re.search(_CUES["method"].pattern, s.text, re.I))
        ]
        parts.append(("pay", {"method": [*methods, "original payment method"][0]}))
    if asks("address"):
        known = facts["address"]
        parts.append(("place", {"address": known[0]}) if known else ("onfile", {}))
    if parts or talk.pending:
        return parts
    if asks("options"):
        return [("pick", {"code": code}) if (code := talk.best_listed()) else ("unsure", {})]
    if "?" in talk.ask and not asks("else"):
        asked = stems(talk.ask)
        best = max(scenario.sentences, key=lambda s: len(s.keys & asked), default=None)
        return [("say", {"text": best.text}) if best and len(best.keys & asked) > 1 else ("unknown", {})]
    return [("accept", {})] if talk.refused else []


def _deliver(talk: _Talk, style: voice.Style, rng: Random, room: int) -> list[Part]:
    """Say pending things in order: all of them, about ``room`` words, or a single one, as the manner has it."""
    if rng.random() < style["frontload"]:
        room = 500
    elif rng.random() < style["withhold"]:
        room = 1
    chosen: list[Point] = []
    for point in talk.pending:
        length = sum(len(p.text.split()) for p in chosen) + len(point.text.split())
        halved = rng.random() < max(style["terse"], style["withhold"]) * 0.8
        if chosen and (halved or not point.tail) and length > room:
            break
        chosen.append(point)
    texts: list[str] = []
    for point in chosen:
        if texts and point.tail:
            texts[-1] += " " + point.text
        else:
            texts.append(point.text)
    return [("say", {"text": text}) for text in texts]


def _opening(talk: _Talk, style: voice.Style, rng: Random) -> list[Part]:
    topic = talk.scenario.topic
    vague: Part = ("vague", {"topic": topic})
    if not talk.pending or rng.random() < style["withhold"] * 0.8:
        return [vague]
    return _deliver(talk, style, rng, 24)


def _phrase(part: Part, form: str, style: voice.Style, rng: Random) -> str:
    """Word one part in the given form: long, plain, short or bare."""
    kind, values = part
    if kind == "say":
        text = values["text"]
        if form in ("short", "bare") and rng.random() < 0.7:
            text = re.sub(r"^(?:also|lastly|finally|and|but|first|well)[ ,]+", "", text, flags=re.I)
            wish = r"^(?:I'd like to|I (?:also |just |then )?(?:want|wish|need) to|could you|can you) (?:also )?(?!know|check|tell)"
            text = re.sub(wish, rng.choice(["", "", "I want to ", "need to "]), text)
        text += "?" if re.search(r"(?:^|, )c(?:an|ould) (?:you|I)\b", text, re.I) else "."
    else:
        phrases = voice.WORDS["phrases"][kind]
        text = rng.choice(phrases[form if form in ("short", "bare") else "full"])
        text += " " + rng.choice(phrases["more"]) if form == "long" else ""
        for name, value in values.items():
            text = text.replace("{" + name + "}", value)
    please = "please " if form != "bare" and rng.random() < style["polite"] else ""
    text = re.sub(r"(^|[.?!] )([a-z])", lambda m: m[1] + m[2].upper(), text.replace("{p}", please))
    return text if text[-1] in ".?!" else text + "."


def _dress(parts: list[Part], talk: _Talk, style: voice.Style, rng: Random) -> str:
    """Choose how much to say, add courtesy and habits, and apply the surface of the writing."""
    small = all(
        kind in ("confirm", "decline", "accept", "wait", "ack", "end", "unknown") for kind, _ in parts
    )
    form = "short" if rng.random() < style["terse"] else "long" if rng.random() < style["long"] else "plain"
    if rng.random() < style["uneven"] * 0.6:
        form = rng.choice(["short", "plain", "long", "bare"])
    if small and rng.random() < style["ack"]:
        form = "bare"
    brief = form in ("short", "bare")
    forms = [form if form != "long" or part is parts[-1] else "plain" for part in parts]
    text = " ".join(_phrase(part, f, style, rng) for part, f in zip(parts, forms, strict=True))
    phrases = voice.WORDS["phrases"]
    polite = rng.random() < style["polite"] * (0.35 * (1.3 - style["terse"]) if brief else 0.75)
    if not talk.turns:
        hello = rng.choice(phrases["hello"]["full"]) + (", " if text.startswith(("I ", "I'")) else "! ")
        text = hello + text if rng.random() < 0.3 + style["polite"] else text
        text += " " + rng.choice(phrases["hello"]["more"]) if polite and not brief else ""
    elif polite and form != "bare":
        thanks = rng.choice(phrases["thanks"]["full"])
        text = f"{text} {thanks}" if parts[-1][0] in ("end", "confirm", "wait") else f"{thanks} {text}"
    if (
        parts[0][0] in ("auth", "forgot", "code")
        and "why" not in talk.own.lower()
        and rng.random() < style["ask_why"]
    ):
        text = rng.choice(phrases["why"]["full"])
    elif talk.turns and talk.scenario.points and rng.random() < style["repeat"]:
        text += " As I said: " + talk.scenario.points[0].text + "."
    if form != "bare":
        text = voice.extras(text, style, rng, cramped=brief or 0 < style["words"] <= 8)
    if brief and rng.random() < 0.5:
        text = text.rstrip(".")
    return voice.surface(text, style, rng, frozenset().union(*(p.keys for p in talk.scenario.points)))


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Return the customer's next message; it ends with a stop token when the errand is over.

    Parameters
    ----------
    messages
        System (guidelines, ``<scenario>``, perhaps a policy), then the agent as ``user`` and the customer
        as ``assistant``.
    seed
        Every chance of this turn comes from it, the number of the turn and the system message.
    """
    system = next((m["content"] for m in messages if m["role"] == "system"), "")
    heard = ""
    turns: list[tuple[str, str]] = []
    for message in messages:
        if message["role"] == "user":
            heard = message["content"] or ""
        elif message["role"] == "assistant":
            turns.append((heard, message["content"] or ""))
    if turns and _CUES["transfer"].search(heard.lower()):
        return "###TRANSFER###"
    scenario = read(system)
    style = voice.read(scenario.policy)
    rng = Random(f"{seed}|{len(turns)}|{zlib.crc32(system.encode())}")
    talk = _Talk(scenario, turns, heard)
    if not turns:
        return _dress(_opening(talk, style, rng), talk, style, rng)
    if sum(heard == before for before, _ in turns) >= 3:
        return _dress([("quit", {})], talk, style, rng) + " ###STOP###"
    if not talk.ask and _CUES["hold"].search(heard.lower()):
        return _dress([("wait", {})], talk, style, rng)
    parts = _answer(talk)
    if parts and rng.random() < style["withhold"]:
        parts = parts[:1]
    elif not parts or parts[0][0] not in ("say", "confirm", "decline"):
        room = 30 if not parts else 14 if len(turns) > 1 else 0
        parts = parts + (_deliver(talk, style, rng, room) if room else [])
    if parts:
        return _dress(parts, talk, style, rng)
    stuck = len(turns) > 1 and len(turns[-1][1].split()) < 8
    if talk.ask or _CUES["done"].search(heard.lower()) or stuck:
        return _dress([("end", {})], talk, style, rng) + " ###STOP###"
    return _dress([("ack", {})], talk, style, rng)
