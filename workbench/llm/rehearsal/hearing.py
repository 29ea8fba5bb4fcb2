"""What the rehearsal agent hears: the conversation reread, and the customer's words turned into wishes."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any

Json = dict[str, Any]
Call = tuple[str, Json]
Names = tuple[str, ...]
WORDS = tomllib.loads(resources.files(__package__).joinpath("agent.toml").read_text("utf-8"))
CUES = {name: re.compile("|".join(patterns)) for name, patterns in WORDS["cues"].items()}
ASK, HOLD, SAME, SIZES = WORDS["ask"], WORDS["hold"], WORDS["same"], WORDS["sizes"]
_VERB = re.compile("|".join(f"(?P<{kind}>{'|'.join(cues)})" for kind, cues in WORDS["verbs"].items()))
_SYNONYM = re.compile(rf"\b(?:{'|'.join(SAME)})\b")


def has(cue: str, text: str) -> re.Match[str] | None:
    """Where a cue of the table occurs in a text, if it does."""
    return CUES[cue].search(text)


@lru_cache(8192)
def plain(text: str) -> str:
    """Lower case, hyphenated words joined, a few synonyms made one; sentence marks stay."""
    text = re.sub(r"(?<=\w)[-/](?=\w)", "", text.lower().replace("’", "'"))
    return _SYNONYM.sub(lambda m: SAME[m[0]], text)


@lru_cache(8192)
def _grams(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z0-9]+(?:\.\d+)?%?", plain(text).replace("'", ""))
    return frozenset("".join(words[i : i + n]) for i in range(len(words)) for n in (1, 2, 3, 4))


@lru_cache(65536)
def says(text: str, key: str, value: str) -> bool:
    """Whether a plain text names this value of this option."""
    low, head = plain(value), plain(key).split()[-1][:5]
    squeezed = re.sub(r"[^a-z0-9.%]", "", low)
    if low in ("yes", "no", "none"):
        return head in text and bool(re.search(rf"\bno[nt]?\s?(?:\w+ )?{head}|without", text)) == (
            low != "yes"
        )
    return bool({squeezed, squeezed + "s", SIZES.get(squeezed, squeezed)} & _grams(text))


@lru_cache(8192)
def _mentions(text: str, names: Names) -> list[tuple[int, int, Names]]:
    """Products in a plain text: start, end and names a word may mean by their heads, else by another part."""
    parts, found = {n: [p.rstrip("s") for p in plain(n).split()] for n in names}, []
    for word in re.finditer(r"[a-z]{3,}", text):
        stem = word[0].rstrip("s")
        heads = [n for n in names if sorted(stem) in (sorted(parts[n][-1]), sorted("".join(parts[n])))]
        some = [n for n in names if len(stem) > 4 and (stem in parts[n] or "".join(parts[n]).endswith(stem))]
        found += [(*word.span(), tuple(heads or some))] if heads or some else []
    return found


def say(wording: str, seed: int = 0, /, **values: Any) -> str:
    """One of the wordings for a purpose."""
    return str(WORDS["says"][wording][seed % len(WORDS["says"][wording])]).format(**values)


@lru_cache(4096)
def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


class Talk:
    """A conversation reread: turns with the question before them, calls with their results, records seen."""

    def __init__(self, messages: list[Json]) -> None:
        self.turns: list[tuple[int, str, str]] = []
        self.says: list[tuple[int, str]] = []
        self.calls: list[tuple[int, str, Json, str]] = []
        self.records: dict[str, dict[str, Json]] = {key: {} for key in WORDS["records"]}
        self.user_id = self.policy = ""
        self.it: tuple[Names, str] = ((), "")
        results = {m.get("tool_call_id"): m.get("content") or "" for m in messages if m["role"] == "tool"}
        for at, message in enumerate(messages):
            content, role = message.get("content") or "", message["role"]
            if role == "user":
                self.turns.append((at, content, self.says[-1][1] if self.says else ""))
            self.says += [(at, content)] if role == "assistant" and content else []
            for call in message.get("tool_calls") or ():
                name, arguments = call["function"]["name"], _parsed(call["function"]["arguments"])
                self._learn((at, name, arguments, results.get(call["id"], "")))
            self.policy = content if role == "system" else self.policy
        self.user: Json = next(iter(self.records["user_id"].values()), {"user_id": self.user_id})
        self.user_id, self.orders = self.user["user_id"], self.records["order_id"]
        self.names = tuple(sorted({i["name"] for order in self.orders.values() for i in order["items"]}))
        self.done = [call[1:3] for call in self.calls]
        wrote = max((c[0] for c in self.written(-1)), default=-1)
        answers = [(at, text.lower()) for at, text, asked in self.turns if ASK in asked]
        self.settled = max((at for at, text in answers if at < wrote or has("no", text)), default=-1)
        self.recent = " ".join(plain(text) for at, text, _ in self.turns if at > self.settled)

    def _learn(self, call: tuple[int, str, Json, str]) -> None:
        data = _parsed(call[3])
        self.calls.append(call)
        if call[1].startswith("find_user") and not call[3].startswith("Error"):
            self.user_id = call[3].strip('" ')
        for key, mark in WORDS["records"].items() if isinstance(data, dict) else ():
            self.records[key] |= {str(data[key]): data} if {key, mark} <= data.keys() else {}

    def written(self, since: int) -> list[tuple[int, str, Json, str]]:
        """Calls after a message that were meant to change something."""
        return [c for c in self.calls if since < c[0] and not has("reads", c[1])]

    def asked(self, words: str, since: int = -1) -> int:
        """How often the agent said something after a message."""
        return sum(at > since and words in said for at, said in self.says)


@dataclass
class Wish:
    """One thing wanted: of which products or orders, in what words, and in what words what instead."""

    kind: str
    names: Names
    which: str = ""
    goal: list[str] = field(default_factory=list)
    orders: Names = ()
    spare: Names = ()


def listen(talk: Talk) -> list[Wish]:
    """What a customer still wants done; "it" is what was spoken of last."""
    wishes: list[Wish] = []
    for at, text, asked in talk.turns:
        for kind, clause in clauses(plain(text)):
            if kind != "info" and at > talk.settled:
                wishes = _heard(talk, wishes, kind, clause, "Which one" in asked)
            if found := _mentions(clause, talk.names):
                talk.it = found[-1][2], clause
    return wishes


def _heard(talk: Talk, wishes: list[Wish], kind: str, clause: str, which: bool) -> list[Wish]:
    """Fill what a clause says into wishes: those on its products, else the last one or a new one."""
    kind = "address" if kind == "change" and has("address", clause) else kind
    orders = tuple("#W" + n for n in re.findall(r"(?<!\w)#?w?(\d{7})\b", clause))
    whole = orders or kind in ("", "address", "keep") or has("all" if kind == "cancel" else "whole", clause)
    found = [] if has("everything", clause) else _mentions(clause, talk.names)
    if has("only", clause):
        wishes = [w for w in wishes if any(set(w.names) & set(hit) for *_, hit in found)] or wishes
    for named, words, goal in _segments(clause, found):
        names, context = (named, "") if named or whole else talk.it
        old = [w for w in wishes if set(w.names) & set(names) and w.kind != "address"]
        if kind == "keep":
            wishes = [replace(w, spare=w.spare + names) for w in wishes if w not in old]
            continue
        if not old and (kind or (names and wishes)):
            old = [Wish(kind or wishes[-1].kind, names)]
            wishes.append(old[0])
        for w in old or wishes[-1:]:
            w.kind, w.orders, w.which = kind or w.kind, w.orders + orders, f"{w.which} {context} {words}"
            w.goal += [] if which and not named else [goal]
    return wishes


def _segments(clause: str, found: list[tuple[int, int, Names]]) -> list[tuple[Names, str, str]]:
    """Cut a clause into products, each with the words that tell which one, and those for what is wanted."""
    cuts, parts, goal = [0], [], ""
    for (_, end, _), (start, *_) in pairwise(found):
        cuts.append(max(clause.rfind(",", end, start) + 1, clause.rfind(" and ", end, start) + 1) or start)
    for (_, end, names), left, right in [*zip(found, cuts, [*cuts[1:], len(clause)], strict=False)][::-1]:
        cut = split.start() if (split := CUES["to"].search(clause, end, right)) else right
        goal = clause[cut:right] if len(clause[cut:right].split()) > 2 else goal
        parts.append((names, clause[left:cut], goal or clause[left:cut]))
    return parts or [((), clause, clause)]


@lru_cache(4096)
def clauses(text: str) -> list[tuple[str, str]]:
    """Cut a plain text into sentences, and these before each new verb: (kind, words)."""
    found = []
    for sentence in re.split(r"(?<=[.!?;])\s+|\n+", text):
        cuts, last = [(0, "")], 0
        for match in _VERB.finditer(sentence):
            kind = "keep" if has("negated", sentence[last : match.start()]) else str(match.lastgroup)
            cuts = [*cuts, (match.start(), kind)] if cuts[-1][1] else [(0, kind)]
            last = match.end()
        ends = [start for start, _ in cuts[1:]] + [len(sentence)]
        found += [(kind, sentence[start:end]) for (start, kind), end in zip(cuts, ends, strict=True)]
    return found


def fitting(goals: list[str], item: Json, product: Json) -> list[Json] | None:
    """The variant in stock that best fits what was said, none if it is not to be had; None if nothing was said."""
    text, old, want, liked = " ".join(goals), item["options"], dict[str, set[str]](), list[str]()
    stock = [v for v in product["variants"].values() if v["available"] and v["item_id"] != item["item_id"]]
    if chosen := [v for v in stock if v["item_id"] in text]:
        return chosen
    for key in old:
        options = sorted({v["options"][key] for v in product["variants"].values()})
        for goal in goals:  # the last word on an option counts
            hard, _, soft = CUES["aside"].sub(" ", goal).partition("prefer")
            want |= {key: named} if (named := {v for v in options if says(hard, key, v)}) else {}
            liked += sorted((v for v in options if says(soft, key, v)), key=lambda v: soft.find(plain(v)[:4]))
        if re.search(rf"same (?:\w+ )?(?:and )?{plain(key).split()[-1][:5]}", text):
            want.setdefault(key, {old[key]})
    fit = [v for v in stock if all(v["options"][k] in x for k, x in want.items())]

    def rank(value: str) -> float:
        number = re.match(r"\d+(?:\.\d+)?", value)
        return float(number[0] if number else WORDS["ranks"].get(value.lower(), -1))

    if way := bool(has("up", text)) - bool(has("down", text)):
        free = [k for k in old if k not in want]
        fit = [v for v in fit if any(way * (rank(v["options"][k]) - rank(old[k])) > 0 for k in free)]
    price = bool(has("cheap", text)) - bool(has("dear", text))

    def grade(v: Json) -> tuple[float, ...]:
        pleases = next((n for n, x in enumerate(liked) if x in v["options"].values()), 9)
        return price * v["price"], pleases, -sum(v["options"][k] == x for k, x in old.items()), v["price"]

    return sorted(fit, key=grade)[:1] if want or liked or price or way else None
