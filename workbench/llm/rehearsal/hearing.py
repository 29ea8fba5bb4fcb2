"""What the rehearsal agent hears: the conversation reread, and the customer's words turned into wishes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Json = dict[str, Any]
Call = tuple[str, Json]
Mention = tuple[int, int, tuple[str, ...]]  # start, end, the product names it may mean
ASK = "(yes/no)"  # ends every proposal; what the customer says next is the answer to it
NO = re.compile(r"\W*(?:no|nope|nah|don'?t|do not|not|stop|wait|hold on|never ?mind)\b")
VERB = re.compile(
    r"""(?P<keep>\b(?:keep|leave|forget)\b(?=\ (?:about\ )?(?:the|my|that|it)\b))
    |(?P<undo>\b(?:cancel|return)\ or\ (?:cancel|return)|no\ longer\ need\b|don't\ need\b)
    |(?P<return>\breturn(?:ing|ed)?\b|sen[dt]\w*\ \w+\ back|get\ rid\ of)
    |(?P<cancel>\bcancel(?!l?ed\b|lation)\w*|be\ cancell?ed|call\ off|remov\w+)
    |(?P<change>exchang\w*|swap\w*|\bswitch(?:ing)?\b(?!\ type)|modif\w*|\bchang(?:e|ing)\b(?!\ (?:my|your)\ mind)
        |\breplac\w+|up\w*grad\w*|adjust\w*|trad(?:e|ing)\b|\bcorrect\ (?=all|my|the|order)|\bupdat\w+|\badd\b)
    |(?P<info>(?:want|like|need|love)(?:\ to)?\ know|wonder\w*|(?:tell|let)\ me(?:\ know)?|\bcheck\b|find\ out
        |how\ (?:many|much|long)|\bwhat\b|\bwhich\ (?!is|are|was)|\bwhere\b|\bwhen\b(?!\ you|\ i\b)|(?:is|are)\ there
        |do\ you\ have|tracking|balance|total\b)""",
    re.X,
)
EXCEPT = re.compile(r"\b(?:except|but not|other than|apart from|besides|excluding|but keep)\b")
SAME = {"two": "2", "three": "3", "four": "4", "gray": "grey", "bike": "bicycle"}
SAME |= {"google home": "google assistant", "soft material": "softshell", "hard material": "hardshell"}
RECORDS = {
    "order_id": {"order_id", "items", "status", "address", "payment_history"},
    "product_id": {"product_id", "variants"},
    "reservation_id": {"reservation_id", "flights", "cabin", "payment_history"},
}
SIZES = {"s": "small", "m": "medium", "l": "large", "xl": "extra large", "xs": "extra small"}
COMMON = {"wireless", "portable", "running", "indoor", "security", "electric", "digital", "garden", "cycling"}
COMMON |= {"action", "gaming", "office"}


def has(pattern: str, text: str) -> bool:
    """Whether a pattern occurs in a text."""
    return bool(re.search(pattern, text))


@lru_cache(8192)
def plain(text: str) -> str:
    """Lower case, hyphenated words joined, a few synonyms made one; sentence marks stay."""
    text = re.sub(r"(?<=\w)[-/](?=\w)", "", text.lower().replace("’", "'"))
    return re.sub(r"[a-z]+(?: home\b| material\b)?", lambda m: SAME.get(m[0], m[0]), text)


@lru_cache(8192)
def _grams(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z0-9]+(?:\.\d+)?%?", plain(text).replace("'", ""))
    return frozenset("".join(words[i : i + n]) for i in range(len(words)) for n in (1, 2, 3, 4))


def _near(word: str, other: str) -> bool:
    """Whether two words are one slip of the keyboard apart (the last letter apart: it tells brands apart)."""
    if min(len(word), len(other)) < 5 or word[0] != other[0] or abs(len(word) - len(other)) > 1:
        return word == other
    i = next((k for k, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), len(other) - 1)
    rest, tail = word[i:], other[i:]
    swapped = rest[:2] == tail[1::-1] and rest[2:] == tail[2:]
    return swapped or rest[1:] == tail or rest == tail[1:] or (rest[1:] == tail[1:] != "")


@lru_cache(65536)
def says(text: str, key: str, value: str) -> bool:
    """Whether a plain text names this value of this option."""
    grams, low = _grams(text), plain(value)
    squeezed, head = re.sub(r"[^a-z0-9.%]", "", low), plain(key).split()[-1][:5]
    if low in ("no", "none", "not resistant"):
        return has(rf"\b(?:no|not|without|non)\s?(?:\w+ )?{head}", text)
    if low == "yes":
        return head in text and not says(text, key, "no") and "same" not in text
    if squeezed in SIZES:
        size = rf"(?<!extra )\b{SIZES[squeezed]}\b|\bsize:? {squeezed}\b|\b{squeezed} size|^{squeezed}\b"
        return "size" in key and has(size, text)
    if squeezed in grams or squeezed + "s" in grams or squeezed.removesuffix("s") in grams:
        return not has(rf"\b{squeezed} (?:\w+ )?(?:less|more|fewer)\b", text)
    if number := re.match(r"([\d.]+)\s*([a-z])", low):
        return has(rf"(?<![\d.#]){re.escape(number[1])} ?{number[2]}\w*(?! (?:less|more|fewer))\b", text)
    alike = [g for g in grams if len(g) > 3 and g[0] == squeezed[0] and g not in plain(key)]
    return any(squeezed.startswith(g) or _near(g, squeezed) for g in alike)


@lru_cache(16384)
def _hits(word: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Product names a single word may mean."""
    best: dict[str, int] = {}
    stem = word.rstrip("s") if len(word) > 3 else word
    for name in names:
        parts = [part.rstrip("s") for part in plain(name).split()]
        whole = "".join(parts)
        if stem in (parts[-1], whole):
            best[name] = 3
        elif len(stem) > 4 and ((stem in parts and stem not in COMMON) or whole.endswith(stem)):
            best[name] = 2
        elif _near(stem, parts[-1]) or _near(stem, whole):
            best[name] = 1
    return tuple(name for name, score in best.items() if score == max(best.values()))


@lru_cache(8192)
def mentions(text: str, names: tuple[str, ...]) -> tuple[Mention, ...]:
    """Products in a plain text, with fewer names where the words before tell which."""
    found: list[Mention] = []
    words = [(m.start(), m.end(), m[0]) for m in re.finditer(r"[a-z]+", text)]
    for k, (start, end, word) in enumerate(words):
        joined = "".join(w for *_, w in words[k : k + 2]).rstrip("s")
        hit = _hits(word, names) or tuple(n for n in names if joined == plain(n).replace(" ", "").rstrip("s"))
        before = {w.rstrip("s") for *_, w in words[max(0, k - 3) : k]}
        hit = tuple(n for n in hit if before & {p.rstrip("s") for p in plain(n).split()[:-1]}) or hit
        joins = found and start - found[-1][1] < 3 and set(found[-1][2]) & set(hit)
        first, *_, both = found.pop() if joins else (start, end, hit)
        if hit:
            found.append((first, end, tuple(n for n in hit if n in both)))
    return tuple(found)


@lru_cache(4096)
def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def failed(content: str) -> bool:
    """Whether a tool's answer is a refusal."""
    return content.lower().startswith("error")


class Talk:
    """A conversation reread: turns with the question before them, calls with their results, records seen."""

    def __init__(self, messages: list[Json]) -> None:
        self.turns: list[tuple[int, str, str]] = []
        self.says: list[tuple[int, str]] = []
        self.calls: list[tuple[int, str, Json, str]] = []
        self.records: dict[str, dict[str, Json]] = {key: {} for key in RECORDS}
        self.user: Json = {}
        self.types: dict[str, str] = {}
        self.user_id, self.known = "", len(messages)
        self.policy = next((m["content"] or "" for m in messages if m["role"] == "system"), "")
        opened: dict[Any, Call] = {}
        for at, message in enumerate(messages):
            content = message.get("content") or ""
            if message["role"] == "user":
                self.turns.append((at, content, self.says[-1][1] if self.says else ""))
            elif message["role"] == "tool":
                self._learn(at, *opened.get(message.get("tool_call_id"), ("", {})), content)
            elif message["role"] == "assistant" and message.get("tool_calls"):
                for call in message["tool_calls"]:
                    arguments = _parse(call["function"]["arguments"]) or {}
                    opened[call["id"]] = (call["function"]["name"], arguments)
            elif message["role"] == "assistant":
                self.says.append((at, content))
        self.orders, self.products = self.records["order_id"], self.records["product_id"]
        self.settled = self._settled()
        self.recent = " ".join(plain(text) for at, text, _ in self.turns if at > self.settled)
        self.names = tuple(
            sorted({item["name"] for order in self.orders.values() for item in order["items"]})
        )

    def _learn(self, at: int, name: str, arguments: Json, content: str) -> None:
        self.calls.append((at, name, arguments, content))
        data = _parse(content)
        if name.startswith("find_user") and not failed(content):
            self.user_id = content.strip('" ')
        elif name == "list_all_product_types" and isinstance(data, dict):
            self.types = data
        elif isinstance(data, dict) and data.keys() >= {"payment_methods", "user_id", "address"}:
            self.user, self.user_id, self.known = data, data["user_id"], min(self.known, at)
        elif isinstance(data, dict):
            for key, needed in RECORDS.items():
                if needed <= data.keys():
                    self.records[key][data[key]] = data

    def _settled(self) -> int:
        """Index of the last turn that agreed to a proposal since carried out, or turned one down."""
        settled, ends = -1, [at for at, *_ in self.turns[1:]] + [10**9]
        for (at, text, asked), end in zip(self.turns, ends, strict=False):
            declined = NO.match(text.lower()) and len(text.split()) < 9
            settled = at if ASK in asked and (self.written(at, end) or declined) else settled
        return settled

    def called(self, call: Call) -> bool:
        """Whether this very call was made already."""
        return any(c[1:3] == call for c in self.calls)

    def written(self, since: int, until: int = 10**9) -> list[tuple[int, str, Json, str]]:
        """Calls between two messages that were meant to change something."""
        reads = re.compile("get|find|list|search|calc|transfer")
        return [c for c in self.calls if since < c[0] < until and not reads.match(c[1])]

    def asked(self, words: str, since: int) -> int:
        """How often the agent said something after a message."""
        return sum(at > since and words in said for at, said in self.says)


@dataclass
class Wish:
    """One thing wanted: for which products or orders, by what words (``pre``), and what instead (``goal``)."""

    kind: str
    at: int
    names: tuple[str, ...] = ()
    pre: str = ""
    goal: list[str] = field(default_factory=list)
    orders: tuple[str, ...] = ()
    spare: set[str] = field(default_factory=set)


class Listener:
    """Reads a talk's turns in order; holds the wishes, the open questions and what "it" stands for."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.wishes: list[Wish] = []
        self.questions: list[str] = []
        self.it: tuple[tuple[str, ...], str] = ((), "")
        for at, text, asked in talk.turns:
            unanswered = not any(said_at > max(at, talk.known) for said_at, _ in talk.says)
            for sentence in re.split(r"(?<=[.!?;])\s+|\n+", plain(text)):
                self._sentence(sentence, at, asked, unanswered)

    def _sentence(self, sentence: str, at: int, asked: str, unanswered: bool) -> None:
        if self.wishes and re.match(r"(?:and |but |or )?(?:if|unless|otherwise|in case)\b", sentence):
            then = sentence.partition(",")[2]
            if not has("instead|Unfortunately", asked):  # a condition stated in advance is a preference
                for wish in self.wishes:
                    wish.goal.append("prefer " + then)
                return
            sentence = then or sentence
        for kind, clause in clauses(sentence):
            if kind == "info":
                self.questions += [clause] if unanswered else []
            elif at > self.talk.settled:
                self._clause(kind, clause, at, asked)
            names = tuple(n for *_, hit in mentions(clause, self.talk.names) for n in hit)
            self.it = (names, clause) if names else self.it
            if kind == "keep" and "forget" in clause:
                return

    def _clause(self, kind: str, clause: str, at: int, asked: str) -> None:
        """Turn a clause into wishes, or into more words for the wishes there are."""
        body, *rest = EXCEPT.split(clause, maxsplit=1)
        names, wishes = self.talk.names, self.wishes
        spare = {n for part in rest for *_, hit in mentions(part, names) for n in hit}
        whole = has(r"\b(?:all|every) (?:of )?(?:my |the )?items\b|\beverything\b", body)
        found = [] if whole else list(mentions(body, names))
        orders = tuple(dict.fromkeys("#W" + n for n in re.findall(r"(?<!\w)#?w?(\d{7})\b", clause)))
        said = {n for *_, hit in found for n in hit}
        if kind == "change" and has(
            r"\baddress|ship(?:ped|ping)?\b.* to\b|deliver(?:ed|y)? to|sent? to", clause
        ):
            kind = "address"
        if kind == "keep":
            gone = said or (set(self.it[0]) if " it" in clause else set())
            left = [
                w
                for w in wishes
                if not set(w.names) & gone and (w.names or not has(r"\b(?:it|order)\b", clause))
            ]
            self.wishes = left if gone else wishes
            for wish in left if gone else []:
                wish.spare |= gone
            if gone or not wishes:
                return
            kind = ""
        if has(r"\b(?:only|just)\b", clause) and any(set(w.names) & said for w in wishes):
            self.wishes = wishes = [w for w in wishes if set(w.names) & said]
        if not kind or (kind == "undo" and not found and wishes and "need" in clause):
            last = [w for w in wishes if any(n in asked for n in w.names)] or wishes[-1:]
            known = any(set(w.names) & said for w in last)
            self._more(
                last, body if known or not found else body[: found[0][0]], orders, "Which one" in asked
            )
            if not wishes or not said or known:
                return
            kind = wishes[-1].kind
        if kind == "address" or (
            not found and (whole or spare or orders or has(r"\b(?:all|both|every|order)\b", body))
        ):
            self._whole(Wish(kind, at, tuple(said), clause, [clause], orders, spare), body)
        elif found or (self.it[0] and all(w.names for w in wishes)):
            self._items(kind, body, at, found, orders)
        else:
            wishes.append(Wish(kind, at, (), clause, [clause], orders))

    def _more(self, wishes: list[Wish], words: str, orders: tuple[str, ...], which: bool) -> None:
        if has(r"\bnot sure|n't (?:know|have)|no idea|^(?:thank|thanks|yes|ok|i appreciate)\b", words):
            return
        for wish in wishes:
            wish.pre += " " + words if which or wish.kind in ("return", "cancel", "undo") else ""
            wish.goal += [] if which else [words]
            wish.orders += orders

    def _whole(self, wish: Wish, body: str) -> None:
        """Wish for whole orders: those named, else for "the order" the one that was spoken of."""
        one = (
            wish.kind == "cancel"
            and not wish.orders
            and not has(r"\b(?:all|every|both|everything)\b|orders", body)
        )
        about = {n for w in self.wishes for n in w.names} or set(self.it[0])
        held = [o for o in self.talk.orders.values() if o["status"] == "pending"]
        if one:
            wish.orders = tuple(o["order_id"] for o in held if {i["name"] for i in o["items"]} & about)
        replaced = wish.kind == "address" or one
        keep = [w for w in self.wishes if w.at == wish.at or not replaced or (w.kind == "address") == one]
        self.wishes = [*keep, wish]

    def _items(self, kind: str, body: str, at: int, found: list[Mention], orders: tuple[str, ...]) -> None:
        """Wish for products: the words up to "to" or "for" tell which one, those after it what is wanted."""
        context, goal = "", ""
        if not found:
            verb = VERB.search(body)
            start = verb.end() if verb else 0
            found, context = [(start, start, self.it[0])], self.it[1] + " "
        for k in range(len(found) - 1, -1, -1):
            start, end, hit = found[k]
            if k and set(found[k - 1][2]) & set(hit):
                continue
            left = max(
                found[k - 1][1] if k else 0, body.rfind(",", 0, start) + 1, body.rfind(" and ", 0, start) + 1
            )
            after = next((s for s, _, h in found[k + 1 :] if not set(h) & set(hit)), len(body))
            right = (
                max(body.rfind(",", end, after), body.rfind(" and ", end, after))
                if after < len(body)
                else after
            )
            rest = body[end : right if right > 0 else after]
            split = re.search(r"\b(?:to|for|into|with|but|instead)\b", rest) or re.search(r"[,;]|$", rest)
            cut = split.start() if split else len(rest)
            pre, goal = (
                context + body[left:end] + rest[:cut],
                rest[cut:] if len(rest[cut:].split()) > 2 else goal,
            )
            old = next((w for w in self.wishes if set(w.names) & set(hit) and w.kind != "address"), None)
            if old is None:
                self.wishes.append(Wish(kind, at, hit, pre, [goal or pre], orders))
            else:
                old.kind, old.pre, old.orders = kind, f"{old.pre} {pre}", old.orders + orders
                old.names = tuple(n for n in old.names if n in hit)
                old.goal.append(goal or pre)


@lru_cache(4096)
def clauses(sentence: str) -> list[tuple[str, str]]:
    """Cut a plain sentence before each new verb: (kind, words)."""
    cuts, last = [(0, "")], 0
    for match in VERB.finditer(sentence):
        kind, gap = str(match.lastgroup), sentence[last : match.start()]
        if kind != "info" and has(r"(?:n't|\bdont|\bnot|\bnever|instead of|rather than)(?: \w+){0,2} $", gap):
            kind = "keep"
        asks = cuts[-1][1] == "info" and has(r"\b(?:if|whether|to|i|can|could|you)\b", gap) and len(gap) < 40
        if not cuts[-1][1] or re.fullmatch(r"\s*(?:or|and|,|to|/)*\s*", gap):
            cuts[-1] = (cuts[-1][0], cuts[-1][1] or kind)
        elif asks and kind != "info":  # "I'd like to know if you can cancel …" asks for the cancelling
            cuts[-1] = (cuts[-1][0], kind)
        else:
            cuts.append((match.start(), kind))
        last = match.end()
    ends = [start for start, _ in cuts[1:]] + [len(sentence)]
    return [(kind, sentence[start:end]) for (start, kind), end in zip(cuts, ends, strict=True)]
