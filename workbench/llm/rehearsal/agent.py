"""The rehearsal agent: rule-based customer service that knows what the request tells it and nothing else.

Nothing is kept between calls. From the messages alone it rereads what the customer said (`Talk`), turns it into
wishes, and the wishes into look-ups, questions or a proposal (`Plan`). A "yes" agrees to the plan of the messages
up to the proposal, which is simply made again.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Json = dict[str, Any]
Call = tuple[str, Json]
Pair = tuple[Json, Json]
ASK = "(yes/no)"  # ends every proposal; what the customer says next is the answer to it
HOLD = "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."
VERB = re.compile(
    r"(?P<keep>\b(?:keep|leave|forget)\b(?= (?:about )?(?:the|my|that|it)\b))|(?P<undo>\b(?:cancel|return) or (?:cancel|return)|no longer need\b|don't need\b)"
    r"|(?P<return>\breturn(?:ing|ed)?\b|sen[dt]\w* \w+ back|get rid of)|(?P<cancel>\bcancel(?!l?ed\b|lation)\w*|be cancell?ed|call off|remov\w+)"
    r"|(?P<change>exchang\w*|swap\w*|\bswitch(?:ing)?\b(?! type)|modif\w*|\bchang(?:e|ing)\b(?! (?:my|your) mind)|\breplac\w+"
    r"|upgrad\w*|adjust\w*|trad(?:e|ing)\b|\bcorrect (?=all|my|the|order)|\bupdat\w+|\badd\b)"
    r"|(?P<info>(?:want|like|need|love)(?: to)? know|wonder\w*|(?:tell|let) me(?: know)?|\bcheck\b|how (?:many|much|long)|\bwhat\b"
    r"|\bwhich (?!is|are|was)|\bwhere\b|\bwhen\b(?! you| i\b)|(?:is|are) there|do you have|find out|tracking|balance|total\b)"
)
YES = re.compile(r"\b(?:yes|yea|yeah|yep|yup|sure|ok|okay|confirm(?:ed)?|go (?:ahead|for it)|proceed|do it|correct|please do|sounds good"
                 r"|fine|right|agree|perfect|great|works)\b")  # fmt: skip
NO = re.compile(r"\W*(?:no|nope|nah|don'?t|do not|not|stop|wait|hold on|never ?mind)\b")
HUMAN = re.compile(r"\b(?:human|representative|supervisor|manager|real person|live agent|transfer me)\b")
UP = r"\b(?:bigger|larger|longer|higher|brighter|taller|heavier|greater|\d+ (?:\w+ )?more|more \d+)\b"
DOWN = r"\b(?:smaller|shorter|lower|less (?!exp|than)|\d+ \w+ less|fewer|dimmer|easier)"
TOP = r"\b(?:biggest|largest|longest|highest|maxim\w+|brightest|tallest|hardest|most (?!exp))"
LOW = r"\b(?:smallest|shortest|lowest(?! price)|minim\w+|fewest|least (?!exp)|easiest|dimmest)"
CHEAP = r"\b(?:cheapest|least expensive|lowest[- ]price\w*|less expensive|cheaper)\b"
DEAR = r"\b(?:most expensive|priciest|more expensive|costliest|pricier)\b"
SCALES = [s.split() for s in ("xs s m l xl xxl", "small medium large", "low medium high", "beginner intermediate expert")]
SAME = {"two": "2", "three": "3", "four": "4", "five": "5", "gray": "grey", "google home": "google assistant", "bike": "bicycle",
        "soft material": "softshell", "hard material": "hardshell"}  # fmt: skip
SIZES = {"s": "small", "m": "medium", "l": "large", "xl": "extra large", "xs": "extra small"}
PLACES = {"nyc": "new york", "big apple": "new york", "la": "los angeles", "dc": "washington", "sf": "san francisco"}
STATES = "new york NY|los angeles CA|chicago IL|houston TX|phoenix AZ|philadelphia PA|san antonio TX|san diego CA|dallas TX|springfield IL"
PAY = re.compile(r"gift ?card|\bgc\b|paypal|(?:credit|debit) card|\bvisa\b|master ?card|\bamex\b|original|same (?:card|payment|method)"
                 r"|other card|\b[a-z]+_(?:[a-z]+_)?\d{4,}\b")  # fmt: skip
EXCEPT = re.compile(r"\b(?:except|but not|other than|apart from|besides|excluding|but keep)\b")
MANY = re.compile(r"\b(?:all|every\w*|both|each|entire|whole)\b|\b[2-5] (?=\w+s\b)(?!days|hours)")
LOOSE = {"wireless", "portable", "running", "indoor", "security", "outdoor", "electric", "digital", "garden", "cycling", "action",
         "gaming", "office"}  # fmt: skip
LISTING = re.compile(r"how many|options|available|in stock|do you have|cheapest|online|are there")


# --- words ------------------------------------------------------------------------------------------------------


@lru_cache(8192)
def _plain(text: str) -> str:
    """Lower case, hyphenated words joined, a few synonyms made one; sentence marks stay."""
    text = re.sub(r"(?<=\w)[-/](?=\w)", "", text.lower().replace("’", "'"))
    return re.sub(r"[a-z]+(?: home\b| material\b)?", lambda m: SAME.get(m[0], m[0]), text)


@lru_cache(8192)
def _grams(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z0-9]+(?:\.\d+)?%?", _plain(text).replace("'", ""))
    return frozenset("".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, min(i + 4, len(words)) + 1))


def _near(word: str, other: str) -> bool:
    """Whether two words are one slip of the keyboard apart."""
    if min(len(word), len(other)) < 5 or word[0] != other[0] or abs(len(word) - len(other)) > 1:
        return word == other
    i = next((k for k, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    swapped = word[i : i + 2] == other[i : i + 2][::-1] and word[i + 2 :] == other[i + 2 :]
    changed = word[i + 1 :] == other[i + 1 :] and i + 1 < len(word)  # the last letter tells "brand a" from "brand b"
    return swapped or changed or word[i + 1 :] == other[i:] or word[i:] == other[i + 1 :]


@lru_cache(65536)
def _says(text: str, key: str, value: str) -> bool:
    """Whether a text names this value of this option."""
    grams, plain, low = _grams(text), _plain(text), _plain(value)
    squeezed, head = re.sub(r"[^a-z0-9.%]", "", low), _plain(key).split()[-1][:5]
    if low in ("no", "none", "not resistant"):
        return bool(re.search(rf"\b(?:no|not|without|non)\s?(?:\w+ )?{head}", plain))
    if low == "yes":
        return head in plain and not _says(text, key, "no") and "same" not in plain
    if squeezed in SIZES and len(squeezed) == 1:
        return "size" in key and bool(re.search(rf"(?<!extra )\b{SIZES[squeezed]}\b|\bsize:? {squeezed}\b|\b{squeezed} size|^{squeezed}\b", plain))
    if squeezed in grams or squeezed + "s" in grams or squeezed.removesuffix("s") in grams:
        return not re.search(rf"\b{squeezed} (?:\w+ )?(?:less|more|fewer)\b", plain)
    if squeezed in SIZES:
        return "size" in key and bool(re.search(rf"(?<!extra )\b{SIZES[squeezed]}\b", plain))
    if number := re.match(r"([\d.]+)\s*([a-z])", low):
        return bool(re.search(rf"(?<![\d.#]){re.escape(number[1])} ?{number[2]}\w*(?! (?:less|more|fewer))\b", plain))
    return any(len(g) > 3 and g[0] == squeezed[0] and g not in _plain(key) and (squeezed.startswith(g) or _near(g, squeezed)) for g in grams)


@lru_cache(16384)
def _hits(word: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Product names a single word may mean."""
    best: dict[str, int] = {}
    stem = word.rstrip("s") if len(word) > 3 else word
    for name in names:
        parts = [part.rstrip("s") for part in _plain(name).split()]
        whole = "".join(parts)
        if stem in (parts[-1], whole):
            best[name] = 3
        elif len(stem) > 4 and ((stem in parts and stem not in LOOSE) or whole.endswith(stem)):
            best[name] = 2
        elif _near(stem, parts[-1]) or _near(stem, whole):
            best[name] = 1
    return tuple(name for name, score in best.items() if score == max(best.values()))


@lru_cache(8192)
def _mentions(text: str, names: tuple[str, ...]) -> tuple[tuple[int, int, tuple[str, ...]], ...]:
    """Products in a plain text: start, end, the names it may mean (fewer where the words before tell)."""
    found: list[tuple[int, int, tuple[str, ...]]] = []
    words = [(m.start(), m.end(), m[0]) for m in re.finditer(r"[a-z]+", text)]
    for k, (start, end, word) in enumerate(words):
        joined = word + words[k + 1][2] if k + 1 < len(words) else word
        hit = _hits(word, names) or tuple(n for n in names if joined.rstrip("s") == _plain(n).replace(" ", "").rstrip("s"))
        before = {w.rstrip("s") for _, _, w in words[max(0, k - 3) : k]}
        hit = tuple(n for n in hit if before & {p.rstrip("s") for p in _plain(n).split()[:-1]}) or hit
        if found and hit and start - found[-1][1] < 3 and set(found[-1][2]) & set(hit):
            start, hit = found[-1][0], tuple(n for n in hit if n in found.pop()[2])
        if hit:
            found.append((start, end, hit))
    return tuple(found)


# --- what was said ----------------------------------------------------------------------------------------------


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


@dataclass
class Plan:
    """What to do next: look-ups first, then questions, else the proposed actions; notes are said either way."""

    fetch: list[Call] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    actions: list[Call] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    back: float = 0.0

    def propose(self, name: str, arguments: Json, line: str, back: float = 0.0) -> None:
        """Add an action with the line that describes it and the money it gives back."""
        if (name, arguments) not in self.actions:
            self.actions.append((name, arguments))
            self.lines.append(line)
            self.back += back


@lru_cache(4096)
def _parse(text: str) -> Any:
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
        self.user: Json = {}
        self.orders: dict[str, Json] = {}
        self.products: dict[str, Json] = {}
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
                    opened[call["id"]] = (call["function"]["name"], _parse(call["function"]["arguments"]) or {})
            elif message["role"] == "assistant":
                self.says.append((at, content))
        self.settled = self._settled()
        self.names = tuple(sorted({i["name"] for order in self.orders.values() for i in order.get("items", ())}))

    def _learn(self, at: int, name: str, arguments: Json, content: str) -> None:
        self.calls.append((at, name, arguments, content))
        data = _parse(content)
        if name.startswith("find_user") and not _failed(content):
            self.user_id = content.strip('" ')
        elif name == "list_all_product_types" and isinstance(data, dict):
            self.types = data
        elif isinstance(data, dict) and "payment_methods" in data:
            self.user, self.user_id = data, data["user_id"]
            self.known = min(self.known, at)
        elif isinstance(data, dict):
            for key, store in (("order_id", self.orders), ("reservation_id", self.orders), ("product_id", self.products)):
                if key in data:
                    store[data[key]] = data

    def _settled(self) -> int:
        """Index of the last turn that agreed to a proposal since carried out, or turned one down."""
        settled = -1
        for k, (at, text, asked) in enumerate(self.turns):
            until = self.turns[k + 1][0] if k + 1 < len(self.turns) else 10**9
            if ASK in asked and (self.written(at, until) or (NO.match(text.lower()) and len(text.split()) < 9)):
                settled = at
        return settled

    def called(self, name: str, arguments: Json) -> bool:
        """Whether this very call was made already."""
        return any(c[1] == name and c[2] == arguments for c in self.calls)

    def written(self, since: int, until: int = 10**9) -> list[tuple[int, str, Json, str]]:
        """Calls between two messages that were meant to change something."""
        return [c for c in self.calls if since < c[0] < until and not re.match("get|find|list|search|calc|transfer", c[1])]

    def asked(self, words: str, since: int) -> int:
        """How often the agent said something after a message."""
        return sum(at > since and words in said for at, said in self.says)

    @property
    def recent(self) -> str:
        """All that the customer said since the last agreement, in plain words."""
        return " ".join(_plain(text) for at, text, _ in self.turns if at > self.settled)


def _failed(content: str) -> bool:
    return content.lower().startswith("error")


def _wishes(talk: Talk) -> tuple[list[Wish], list[str]]:
    """Read what is still wanted, and the questions not answered yet."""
    wishes: list[Wish] = []
    questions: list[str] = []
    recent: tuple[tuple[str, ...], str] = ((), "")
    for at, text, asked in talk.turns:
        open_ = not any(said_at > max(at, talk.known) for said_at, _ in talk.says)
        for sentence in re.split(r"(?<=[.!?;])\s+|\n+", _plain(text)):
            if wishes and re.match(r"(?:and |but |or )?(?:if|unless|otherwise|in case)\b", sentence):
                if not re.search("instead|Unfortunately", asked):
                    for wish in wishes:
                        wish.goal.append("prefer " + sentence.partition(",")[2])
                    continue
                sentence = sentence.partition(",")[2] or sentence
            for kind, clause in _clauses(sentence):
                if kind == "info":
                    questions += [clause] if open_ else []
                elif at > talk.settled:
                    _read(kind, clause, at, wishes, recent, talk, asked)
                names = tuple(n for *_, hit in _mentions(clause, talk.names) for n in hit)
                recent = (names, clause) if names else recent
                if kind == "keep" and "forget" in clause:
                    break
    return wishes, questions


@lru_cache(4096)
def _clauses(sentence: str) -> list[tuple[str, str]]:
    """Cut a sentence before each new verb."""
    cuts, last = [(0, "")], 0
    for match in VERB.finditer(sentence):
        kind, gap = str(match.lastgroup), sentence[last : match.start()]
        if kind in ("return", "cancel", "change") and re.search(r"(?:n't|\bdont|\bnot|\bnever|instead of|rather than)(?: \w+){0,2} $", gap):
            kind = "keep"
        if not cuts[-1][1] or re.fullmatch(r"\s*(?:or|and|,|to|/)*\s*", gap):
            cuts[-1] = (cuts[-1][0], cuts[-1][1] or kind)
        elif cuts[-1][1] == "info" and kind != "info" and re.search(r"\b(?:if|whether|to|i|can|could|you)\b", gap) and len(gap) < 40:
            cuts[-1] = (cuts[-1][0], kind)  # "I'd like to know if you can cancel …" asks for the cancelling
        else:
            cuts.append((match.start(), kind))
        last = match.end()
    ends = [start for start, _ in cuts[1:]] + [len(sentence)]
    return [(kind, sentence[start:end]) for (start, kind), end in zip(cuts, ends, strict=True)]


def _read(kind: str, clause: str, at: int, wishes: list[Wish], recent: tuple[tuple[str, ...], str], talk: Talk, asked: str) -> None:
    """Turn a clause into wishes, or into more words for the wishes there are."""
    body, *rest = EXCEPT.split(clause, maxsplit=1)
    spare = {n for part in rest for *_, hit in _mentions(part, talk.names) for n in hit}
    whole = bool(re.search(r"\b(?:all|every) (?:of )?(?:my |the )?items\b|\beverything\b", body))
    found = [] if whole else list(_mentions(body, talk.names))
    ids = ["#w" + digits for digits in re.findall(r"(?<!\w)#?w?(\d{7})\b", clause)] + [o.lower() for o in talk.orders if o.lower() in clause]
    orders = tuple(dict.fromkeys("#W" + o[2:] if o[0] == "#" else o.upper() for o in ids))
    mentioned = {n for *_, hit in found for n in hit}
    if kind == "change" and re.search(r"\baddress|ship(?:ped|ping)?\b.* to\b|deliver(?:ed|y)? to|sent? to", clause):
        kind = "address"
    elif kind == "change" and not found and re.search(r"pay(?:ment|ing)|card\b", clause) and "difference" not in clause:
        kind = "payment"
    elif kind == "keep":
        gone = mentioned or (set(recent[0]) if " it" in clause else set())
        if not gone and wishes:
            return _read("", clause, at, wishes, recent, talk, asked)
        wishes[:] = [w for w in wishes if not set(w.names) & gone and (w.names or not re.search(r"\b(?:it|order)\b", clause))]
        for w in wishes:
            w.spare |= gone
        return None
    if re.search(r"\b(?:only|just)\b", clause) and mentioned and any(set(w.names) & mentioned for w in wishes):
        wishes[:] = [w for w in wishes if set(w.names) & mentioned]
    if not kind or (kind == "undo" and not found and wishes and "need" in clause):
        last = [w for w in wishes if w.names and any(n in asked for n in w.names)] or wishes[-1:]
        lead = body[: found[0][0]] if found and not any(set(w.names) & mentioned for w in last) else body
        lead = "" if re.search(r"\bnot sure|n't (?:know|have)|no idea|^(?:thank|thanks|yes|ok|i appreciate)\b", lead) else lead
        for w in last:
            w.pre += " " + lead if "Which one" in asked or w.kind in ("return", "cancel", "undo") else ""
            w.goal += [lead] if lead and "Which one" not in asked else []
            w.orders += orders
        if not wishes or not mentioned or all(set(w.names) & mentioned for w in last):
            return
        kind = wishes[-1].kind
    if kind in ("address", "payment") or (not found and (whole or spare or MANY.search(body) or re.search(r"\border\b", body) or orders)):
        single = not whole and not orders and not re.search(r"\b(?:all|every|both)\b|orders", body) and kind == "cancel"
        about = {n for w in wishes for n in w.names} or set(recent[0])
        orders = orders or tuple(o["order_id"] for o in talk.orders.values() if single and {i["name"] for i in o["items"]} & about and o["status"] == "pending")
        wishes[:] = [w for w in wishes if w.at == at or (w.kind != kind if kind in ("address", "payment") else w.kind == "address" or not single)]
        wishes.append(Wish(kind, at, tuple(mentioned), clause, [clause], orders, spare))
        return
    context, start = "", 0
    if not found and recent[0] and not any(w.names == () for w in wishes):
        verb = VERB.search(body)
        context, start = recent[1] + " ", verb.end() if verb else 0
        found = [(start, start, recent[0])]
    if not found:
        wishes.append(Wish(kind, at, (), clause, [clause], orders))
        return
    goal = ""
    for k in range(len(found) - 1, -1, -1):
        start, end, hit = found[k]
        if k and set(found[k - 1][2]) & set(hit):
            continue
        left = max(found[k - 1][1] if k else 0, body.rfind(",", 0, start) + 1, body.rfind(" and ", 0, start) + 1)
        after = next((s for s, _, h in found[k + 1 :] if not set(h) & set(hit)), 0)
        right = max(body.rfind(",", end, after), body.rfind(" and ", end, after)) if after else len(body)
        right = after if right < 0 else right
        split = re.search(r"\b(?:to|for|into|with|but|instead)\b", body[end:right]) or re.search(r"[,;]", body[end:right])
        cut = end + split.start() if split else right
        pre, own = context + body[left:cut], body[cut:right]
        goal = own if len(own.split()) > 2 else goal
        old = next((w for w in wishes if set(w.names) & set(hit) and w.kind != "address"), None)
        if old is None:
            wishes.append(Wish(kind, at, hit, pre, [goal or pre], orders))
        else:
            old.kind, old.pre, old.orders = kind, f"{old.pre} {pre}", old.orders + orders
            old.names = tuple(n for n in old.names if n in hit)
            old.goal.append(goal or pre)


# --- the shop ---------------------------------------------------------------------------------------------------


def _price(records: Any) -> float:
    return round(sum(record["price"] for record in records), 2)


def _label(item: Json, name: str = "") -> str:
    return f"{name or item['name']} ({', '.join(item['options'].values())}; ${item['price']:.2f})"


def _items(talk: Talk, wish: Wish, plan: Plan) -> list[Pair]:
    """The order items a wish is about; asks or explains where that is not plain."""
    fits = {"return": ("delivered",), "cancel": ("pending",)}.get(wish.kind, ("pending", "delivered"))
    unknown = [o for o in wish.orders if o not in talk.orders]
    orders = [talk.orders[o] for o in wish.orders if o in talk.orders] or list(talk.orders.values())
    pairs = [(o, i) for o in orders for i in o["items"] if (not wish.names or i["name"] in wish.names) and i["name"] not in wish.spare]
    found = [p for p in pairs if p[0]["status"] in fits]
    if unknown and len(unknown) == len(wish.orders):
        plan.questions.append(f"Unfortunately I can't find order {unknown[-1]} in your account. Could you double check the number?")
        return []
    if not found:
        states = ", ".join(dict.fromkeys(f"{o['order_id']} is {o['status']}" for o, _ in pairs))
        plan.notes.append(f"Unfortunately it is not possible to {wish.kind} that: {states or 'I see no such item'}.")
    for pattern, status in ((r"\bpending\b|just (?:ordered|placed)|not (?:yet )?(?:received|shipped)", "pending"), (r"\b(?:received|delivered|arrived)\b", "delivered")):
        if re.search(pattern, wish.pre):
            found = [p for p in found if p[0]["status"] == status] or found
    scores = [sum(_says(wish.pre, k, v) for k, v in p[1]["options"].items()) + 9 * (p[1]["item_id"] in wish.pre) for p in found]
    if wish.names:
        found = [p for p, score in zip(found, scores, strict=True) if score == max(scores)]
    for pattern, pick in ((DEAR, max), (CHEAP, min)):
        if wish.kind == "return" and found and re.search(pattern, wish.pre):
            found = [pick(found, key=lambda p: p[1]["price"])]
    plural = any(re.search(rf"{_plain(n).split()[-1]}s\b", wish.pre) for n in wish.names)
    if len(found) < 2 or plural or MANY.search(wish.pre) or not wish.names or wish.spare:
        return found
    if len({(o["order_id"], i["item_id"]) for o, i in found}) > 1 and talk.asked(f"Which one of the {found[0][1]['name']}", wish.at) < 2:
        choice = "\n".join(f"- {i['item_id']}: {_label(i)} in {o['status']} order {o['order_id']}" for o, i in found[:6])
        plan.questions.append(f"I see these:\n{choice}\nWhich one of the {found[0][1]['name']} items do you mean?")
        return []
    return found[:1]


def _rank(value: str) -> float | None:
    low = _plain(value)
    number = re.match(r"[\d.]+", low)
    return next((float(s.index(low)) for s in SCALES if low in s), float(number[0]) if number else None)


def _variants(talk: Talk, item: Json, product: Json, goals: list[str]) -> tuple[list[Json], list[Json], bool]:
    """Variants that fit what is wanted, best first (equals together); what is in stock; whether anything was said."""
    every = list(product["variants"].values())
    stock = [v for v in every if v["available"]]
    values = {k: sorted({v["options"][k] for v in every}) for k in item["options"]}
    want: dict[str, set[str]] = {}
    soft: list[tuple[str, str]] = []
    text = " ".join(goals)
    for goal in goals:
        goal = re.sub(r"(?:instead of|rather than|\bover|\bthan|\bfrom|not care about|regardless of) [^,.;]*", " ", goal)
        hard, _, liked = goal.partition("prefer")
        for key, options in values.items():
            named = {v for v in options if _says(hard, key, v)}
            close = {v for v in named if re.search(rf"\b{_plain(v)}\W+(?:\w+ )?{_plain(key).split()[-1][:5]}", hard)}
            want |= {key: close or named} if named else {}
        soft += [(k, v) for _, k, v in sorted((liked.find(_plain(v)[:4]), k, v) for k, o in values.items() for v in o if liked and _says(liked, k, v))]
    for key in values:
        if re.search(rf"same (?:\w+ )?(?:and )?{re.escape(_plain(key).split()[-1])}", text):
            want.setdefault(key, {item["options"][key]})
    fit = [v for v in stock if all(v["options"][k] in allowed for k, allowed in want.items())]
    scaled = [k for k in values if k not in want and all(_rank(v) is not None for v in values[k])]
    scaled.sort(key=lambda k: (not any(w[:5] in text for w in _plain(k).split()), not re.search("size|capacity|length|height|range|piece", k)))
    for pattern, sign, far in ((UP, 1, 1), (DOWN, -1, 1), (TOP, 1, -1), (LOW, -1, -1)):
        if scaled and re.search(pattern, text):
            key = scaled[0]
            by = re.search(r"(\d+) (?:\w+ )?(?:more|less|fewer)|(?:more|less|fewer) (\d+)", text)
            step = {v["item_id"]: ((_rank(v["options"][key]) or 0) - (_rank(item["options"][key]) or 0)) * sign for v in fit}
            fit = [v for v in fit if step[v["item_id"]] > 0 and (not by or step[v["item_id"]] == float(by[1] or by[2]))]
            near = min((step[v["item_id"]] * far for v in fit), default=0)
            fit = [v for v in fit if step[v["item_id"]] * far == near]
            want[key] = {v["options"][key] for v in fit}
            break
    ids = [i for i in re.findall(r"\b\d{10}\b", text) if i in product["variants"]]
    if re.search(r"\b(?:as|that|than|type|one) (?:\w+ ){0,3}i (?:\w+ )?(?:received|ordered|have|got|bought)", text):
        ids += [i["item_id"] for o in talk.orders.values() for i in o["items"] if i["name"] == item["name"] and i["item_id"] != item["item_id"]]
    again = bool(re.search(r"\bsame (?:item|thing|product|specs?|exact|model)|new pair|identical", text))
    if ids or (again and not want):
        return [v for v in stock if v["item_id"] == (ids or [item["item_id"]])[-1]], stock, True
    price = 1 if re.search(CHEAP, text) else -1 if re.search(DEAR, text) else 0

    def grade(v: Json) -> tuple[float, ...]:
        liked = sum(2.0**-n for n, (k, x) in enumerate(soft) if v["options"][k] == x)
        return (price * v["price"], -liked, -sum(v["options"][k] == x for k, x in item["options"].items() if k not in want))

    fit = [v for v in fit if v["item_id"] != item["item_id"]] if want or soft or price else []
    best = min(map(grade, fit), default=())
    return [v for v in fit if grade(v) == best], stock, bool(want or soft or price)


def _way(talk: Talk, method: str) -> str:
    record = talk.user["payment_methods"].get(method, {})
    return f"your {record.get('source', method)}".replace("_", " ") + (f" ending in {record['last_four']}" if "last_four" in record else "")


def _method(talk: Talk, order: Json, kind: str, due: float, plan: Plan) -> str:
    """The payment method for an order: what the customer named, else asked for once, else the original."""
    methods: dict[str, Json] = talk.user["payment_methods"]
    original = order["payment_history"][0]["payment_method_id"]
    valid = [m for m, d in methods.items() if (m == original) != (kind == "payment") or d["source"] == "gift_card" or kind == "change"]
    for at, text, _ in reversed(talk.turns):
        for m in PAY.finditer(re.sub(r"\bif\b[^.;,]*", "", text.lower())) if at > talk.settled else ():
            word = m[0].replace(" ", "")
            source = {"giftcard": "gift_card", "gc": "gift_card", "paypal": "paypal"}.get(word, "credit_card")
            hit = [k for k, d in methods.items() if k == word or (d["source"] == source and (source != "credit_card" or word[-4:] == "card" or word[:4] == d["brand"][:4]))]
            hit = [original] if re.match("original|same", word) else [k for k in hit if k != original] if "other" in word else hit
            hit = [original] if original in hit else hit
            if good := [k for k in hit if k in valid and methods[k].get("balance", due) >= due]:
                return good[0]
            if hit and hit[0] in methods:
                why = "does not have enough balance" if hit[0] in valid else "cannot be used: a refund goes to the original payment method or a gift card"
                plan.notes.append(f"Unfortunately {_way(talk, hit[0])} {why}.")
    valid = [k for k in valid if methods[k].get("balance", due) >= due]
    if len(valid) > 1 and not talk.asked("payment method would", talk.settled):
        question = f"You have {', '.join(_way(talk, k) for k in valid)}. Which payment method would you like to use?"
        plan.questions += [question] if question not in plan.questions else []
    return original if original in valid else (valid or [original])[0]


def _address(talk: Talk, text: str, current: list[Json]) -> Json | None:
    """The address a customer means: written out, another order's, a known place, or the profile's."""
    for word, place in PLACES.items():
        text = re.sub(rf"\b{word}\b", place, text)
    typed = re.search(r"(\d+ [\w .]+?), (?:((?:suite|apt|unit)[\w .]*), )?([a-z .]+?)(?:, ([a-z ]+?))?,? (\d{5})\b", text)
    known = [talk.user["address"], *(o["address"] for o in talk.orders.values())]
    if typed and not any(a["zip"] == typed[5] and a["address1"].lower() == typed[1] for a in known):
        state = typed[4] or next((s[-2:] for s in STATES.split("|") if s.startswith(typed[3])), "")
        return {"address1": typed[1].title(), "address2": (typed[2] or "").title(), "city": typed[3].title(), "state": state.upper(),
                "country": "USA", "zip": typed[5]}  # fmt: skip
    named = [talk.orders[o.upper()]["address"] for o in re.findall(r"#w\d{7}", text) if o.upper() in talk.orders]
    places = [a for a in known if re.search(rf"\b(?:{a['city'].lower()}|{a['zip']})\b", text)]
    home = [talk.user["address"]] if re.search(r"default|profile|my (?:home|user|account) address", text) else []
    other = known if re.search(r"other order|new (?:home|house)|look it up|in my orders", text) else []
    return next((a for a in [*named, *places, *home, *other] if a not in current), None)


def _retail(talk: Talk) -> Plan:
    """Everything still wanted, as far as it is clear."""
    plan = Plan()
    wishes, questions = _wishes(talk)
    swaps: dict[str, list[tuple[Json, Json]]] = {}
    gone: dict[str, list[Json]] = {}
    for wish in sorted(wishes, key=lambda w: w.kind not in ("address", "payment")):
        text = " ".join([wish.pre, *wish.goal])
        if wish.kind == "address":
            _move(talk, wish, text, plan)
            continue
        whole = MANY.search(text) or re.search(r"\borders?\b", text)
        if not wish.names and not wish.orders and not whole and len(talk.names) > 1:
            plan.questions.append(f"Which items, or which order, would you like to {wish.kind.replace('undo', 'cancel or return')}?")
            continue
        pairs = _items(talk, Wish("cancel", wish.at, orders=wish.orders) if wish.kind == "payment" else wish, plan)
        found = list({o["order_id"]: o for o, _ in pairs}.values())
        if not wish.names and len(found) > 1 and not wish.orders and not MANY.search(text) and "orders" not in text:
            listed = "\n".join(f"- {o['order_id']}: {', '.join(i['name'] for i in o['items'])} ({o['status']})" for o in found)
            plan.questions.append(f"I see these:\n{listed}\nWhich order do you mean?")
            continue
        for order, item in pairs:
            if wish.kind == "payment":
                way = _method(talk, order, "payment", order["payment_history"][0]["amount"], plan)
                plan.propose("modify_pending_order_payment", {"order_id": order["order_id"], "payment_method_id": way}, f"pay order {order['order_id']} with {_way(talk, way)}")
            elif wish.kind == "change" and (new := _choose(talk, wish, item, plan)):
                swaps.setdefault(order["order_id"], []).append((item, new))
            elif wish.kind != "change" and order["status"] == "pending":
                _cancel(talk, wish, order, plan)
            elif wish.kind != "change":
                gone.setdefault(order["order_id"], []).append(item)
    for order_id, items in gone.items():
        way, total = _method(talk, talk.orders[order_id], "return", 0.0, plan), _price(items)
        arguments = {"order_id": order_id, "item_ids": [i["item_id"] for i in items], "payment_method_id": way}
        line = f"return {', '.join(map(_label, items))} from order {order_id}, with ${total:.2f} refunded to {_way(talk, way)}"
        plan.propose("return_delivered_order_items", arguments, line, total)
    for order_id, rows in swaps.items():
        due = round(_price(new for _, new in rows) - _price(old for old, _ in rows), 2)
        way = _method(talk, talk.orders[order_id], "change", due, plan)
        name = "exchange_delivered_order_items" if talk.orders[order_id]["status"] == "delivered" else "modify_pending_order_items"
        arguments = {"order_id": order_id, "item_ids": [old["item_id"] for old, _ in rows], "new_item_ids": [new["item_id"] for _, new in rows],
                     "payment_method_id": way}  # fmt: skip
        what = "; ".join(f"{_label(old)} for {_label(new, 'one')}" for old, new in rows)
        line = f"in order {order_id}, exchange {what}; ${abs(due):.2f} {'charged' if due > 0 else 'refunded'} to {_way(talk, way)}"
        plan.propose(name, arguments, line, -due)
        if not plan.questions and not talk.asked("full list", talk.settled):
            plan.questions.append("I have noted that. Is this the full list of changes, with all the details you care about?")
    plan.notes += [note for clause in questions if (note := _answer(talk, clause, plan))]
    return plan


def _choose(talk: Talk, wish: Wish, item: Json, plan: Plan) -> Json | None:
    """The variant to exchange an item for; None while it has to be looked up or asked for."""
    product = talk.products.get(item["product_id"])
    if product is None:
        plan.fetch.append(("get_product_details", {"product_id": item["product_id"]}))
        return None
    best, stock, clear = _variants(talk, item, product, wish.goal)
    several = f"Several options fit for the {item['name']}"
    if len(best) == 1 or (best and talk.asked(several, wish.at)):
        return min(best, key=lambda v: float(v["price"]))
    near = best or sorted(stock, key=lambda v: -sum(v["options"][k] == x for k, x in item["options"].items()))[:6]
    options = "\n".join(f"- {v['item_id']}: {', '.join(v['options'].values())}, ${v['price']:.2f}" for v in near)
    lead = several if best else f"Unfortunately that is not available for the {item['name']}, but we have" if clear else f"For the {item['name']} we have"
    if talk.asked(lead, wish.at) < 2:
        plan.questions.append(f"{lead}:\n{options}\nWhich option would you like instead?")
    return None


def _cancel(talk: Talk, wish: Wish, order: Json, plan: Plan) -> None:
    listed = ", ".join(i["name"] for i in order["items"])
    if wish.names and {i["name"] for i in order["items"]} - set(wish.names):
        plan.notes.append(f"Unfortunately it is not possible to cancel a single item, only the whole order {order['order_id']} ({listed}).")
    why = talk.recent
    if not re.search(r"mistake|accident|no longer|n'?t need|need it", why) and not talk.asked("reason", wish.at):
        plan.questions.append("May I ask the reason, is it no longer needed or was it ordered by mistake?")
    reason = "ordered by mistake" if re.search(r"mistake|accident", why) else "no longer needed"
    total = round(sum(p["amount"] for p in order["payment_history"]), 2)
    line = f"cancel order {order['order_id']} ({listed}; {reason}), with ${total:.2f} refunded to {_way(talk, order['payment_history'][0]['payment_method_id'])}"
    plan.propose("cancel_pending_order", {"order_id": order["order_id"], "reason": reason}, line, total)


def _move(talk: Talk, wish: Wish, text: str, plan: Plan) -> None:
    pending = [o for o in talk.orders.values() if "pending" in o["status"]]
    orders = [o for o in pending if o["order_id"] in wish.orders[:1]] or [o for o in pending if any(i["name"] in wish.names for i in o["items"])]
    orders = orders or (pending if re.search(r"\borders?\b|shipping", text) else [])
    profile = bool(re.search(r"(?:user|default|profile|account) address", text)) and not re.search(r"to (?:\w+ ){0,2}default", text)
    current = [o["address"] for o in orders[:1]] + ([] if orders else [talk.user["address"]])
    target = _address(talk, text, current) or _address(talk, talk.recent, current)
    if target is None:
        plan.questions.append("What is the full new address with street, city, state and zip code?")
        return
    fields = {k: target.get(k) or "" for k in ("address1", "address2", "city", "state", "country", "zip")}
    spot = ", ".join(value for value in fields.values() if value)
    for order in orders:
        if order["address"] != target:
            plan.propose("modify_pending_order_address", {"order_id": order["order_id"], **fields}, f"ship order {order['order_id']} to {spot}")
    if (profile or not orders) and talk.user["address"] != target:
        plan.propose("modify_user_address", {"user_id": talk.user["user_id"], **fields}, f"set your default address to {spot}")


def _answer(talk: Talk, clause: str, plan: Plan) -> str:
    """Answer a question from the records; the empty string when there is nothing to say."""
    if LISTING.search(clause) and not talk.types:
        plan.fetch.append(("list_all_product_types", {}))
        return ""
    hits = _mentions(clause, tuple(sorted(talk.types)))
    if hits and LISTING.search(clause):
        product = talk.products.get(talk.types[hits[0][2][0]])
        if product is None:
            plan.fetch.append(("get_product_details", {"product_id": talk.types[hits[0][2][0]]}))
            return ""
        stock = sorted((v for v in product["variants"].values() if v["available"]), key=lambda v: float(v["price"]))
        first = "; ".join(f"{', '.join(v['options'].values())} at ${v['price']:.2f}" for v in stock[:3])
        return f"There are {len(stock)} {product['name']} options available right now, the cheapest being {first}."
    if "balance" in clause:
        return " ".join(f"The balance of {_way(talk, k)} is ${d['balance']:.2f}." for k, d in talk.user["payment_methods"].items() if "balance" in d)
    mentioned = {n for *_, hit in _mentions(clause, talk.names) for n in hit}
    orders = [o for o in talk.orders.values() if o["order_id"].lower() in clause or mentioned & {i["name"] for i in o["items"]} or o["status"] in clause]
    if "tracking" in clause:
        return "The tracking numbers are " + "; ".join(f"{', '.join(f['tracking_id'])} for {o['order_id']}" for o in orders or talk.orders.values() for f in o["fulfillments"]) + "."
    return " ".join(f"Order {o['order_id']} is {o['status']} and goes to {', '.join(filter(None, o['address'].values()))}: {', '.join(map(_label, o['items']))}, "
                    f"${_price(o['items']):.2f} in all." for o in orders[:3])  # fmt: skip


# --- the airline ------------------------------------------------------------------------------------------------


def _airline(talk: Talk) -> Plan:
    """Cancellations, cabins and bags by the rules of the policy; what else is asked for is refused."""
    plan, text = Plan(), talk.recent
    today = (re.search(r"time is (\d{4}-\d\d-\d\d)", talk.policy) or ["", "0"])[1]
    live = [r for r in talk.orders.values() if r["status"] != "cancelled"]
    named = [r for r in live if r["reservation_id"].lower() in text] or (live if len(live) < 2 or re.search(r"\ball\b", text) else [])
    kinds = {kind for sentence in re.split(r"(?<=[.!?;])\s+|\n+", text) for kind, _ in _clauses(sentence)}
    bags = re.search(r"\b(\d+|an?|one|another)? ?(?:more |extra |additional |checked )*(?:bag|suitcase|luggage)", text)
    cabin = re.search(r"(?:to|in|into) (?:a )?(business|basic economy|economy)", text) if re.search(r"chang|upgrad|downgrad|switch", text) else None
    if not kinds & {"cancel", "change", "undo"} and not (bags and "add" in text):
        if re.search(r"compensat|voucher|certificate", text):
            plan.notes.append("Unfortunately I cannot offer compensation in this case.")
        return plan
    if not named:
        listed = "\n".join(f"- {r['reservation_id']}: {r['origin']} to {r['destination']}, {r['flights'][0]['date']}, {r['cabin'].replace('_', ' ')}" for r in live)
        plan.questions.append(f"I see these:\n{listed}\nWhich reservation do you mean?")
        return plan
    for r in named:
        key, size = r["reservation_id"], len(r["passengers"])
        cards = [m for m, d in talk.user["payment_methods"].items() if d["source"] != "certificate"]
        paid = next((p["payment_id"] for p in r["payment_history"] if p["payment_id"] in cards), (cards or [""])[0])
        for at, said, _ in talk.turns:
            paid = next((m for m in cards if m in said or talk.user["payment_methods"][m].get("last_four", m) in said), paid)
        if "cancel" in kinds:
            why = re.search(r"health|sick|\bill\b|weather|medical|injur|emergency", text)
            if not why and not re.search(r"because|change of plan|no longer|reason|airline", text) and not talk.asked("reason", talk.settled):
                plan.questions.append("May I ask the reason for the cancellation?")
            if r["created_at"][:10] >= today or r["cabin"] == "business" or (r["insurance"] == "yes" and why):
                paid_all = sum(p["amount"] for p in r["payment_history"])
                plan.propose("cancel_reservation", {"reservation_id": key}, f"cancel reservation {key}, with ${paid_all} refunded to the original payment methods", paid_all)
            else:
                plan.notes.append(f"Unfortunately reservation {key} cannot be cancelled: it is not a business fare, was not booked within 24 hours, and no insurance covers it.")
        elif bags and "add" in text:
            level = ["regular", "silver", "gold"].index(talk.user.get("membership", "regular"))
            free = size * (level + ["basic_economy", "economy", "business"].index(r["cabin"]) + (level == 2 and r["cabin"] == "basic_economy") * 0)
            total = r["total_baggages"] + (int(bags[1]) if (bags[1] or "").isdigit() else 1)
            extra = max(r["nonfree_baggages"], total - free)
            arguments = {"reservation_id": key, "total_baggages": total, "nonfree_baggages": extra, "payment_id": paid}
            plan.propose("update_reservation_baggages", arguments, f"bring reservation {key} to {total} bags, {extra} of them paid, with {_way(talk, paid)}")
        elif cabin and cabin[1].replace(" ", "_") != r["cabin"]:
            flights = [{"flight_number": f["flight_number"], "date": f["date"]} for f in r["flights"]]
            arguments = {"reservation_id": key, "cabin": cabin[1].replace(" ", "_"), "flights": flights, "payment_id": paid}
            plan.propose("update_reservation_flights", arguments, f"move reservation {key} to {cabin[1]}, the price difference going through {_way(talk, paid)}")
        elif r["cabin"] == "basic_economy":
            plan.notes.append(f"Unfortunately the flights of reservation {key} cannot be changed, as it is basic economy.")
        elif "change" in kinds:
            plan.fetch.append(("transfer_to_human_agents", {"summary": f"The customer wants to change reservation {key}."}))
    return plan


# --- the conversation -------------------------------------------------------------------------------------------


def _identify(talk: Talk, offered: set[str]) -> Call | str:
    """The next look-up by which the customer may be found, or what to ask for when none is left."""
    said = " ".join(text for _, text, _ in talk.turns)
    ids = re.findall(r"\b[a-z]+_[a-z]+_\d+\b", said.lower())
    tries: list[Call] = [("get_user_details", {"user_id": i}) for i in ids]
    tried = any(c[1].startswith(("find_user", "get_user")) for c in talk.calls)
    ask = "your user ID"
    if "find_user_id_by_email" in offered:
        word = r"([A-Za-z][A-Za-z'-]+)"
        tries = [("find_user_id_by_email", {"email": e.lower()}) for e in re.findall(r"[\w.+-]+@[\w-]+(?:\.\w+)+", said)]
        pairs = re.findall(rf"(?:name is|name's|name:|[Ii] am|[Ii]'?m|[Tt]his is|[Ii]t'?s|called) {word} {word}", said)
        pairs += re.findall(rf"\b{word},? {word}\W+(?:(?:and|in|from|my|here|zip|code|zipcode|is|living|at)\W+)*\d{{5}}", said)
        pairs += [(i.split("_")[0], i.split("_")[1]) for i in ids] + re.findall(r"\b([A-Z][a-z'-]+) ([A-Z][a-z'-]+)\b", said)
        pairs = [p for p in pairs if not {"and", "is", "in", "about", "the", "my", "not", "from"} & {w.lower() for w in p}]
        zips = re.findall(r"(?<![#\w])\d{5}(?!\w)", said)[::-1]
        tries += [("find_user_id_by_name_zip", {"first_name": a.title(), "last_name": b.title(), "zip": z}) for z in dict.fromkeys(zips) for a, b in dict.fromkeys(pairs)][:12]
        again = tried or talk.asked("email", -1)
        ask = "your full name and zip code" + (", or your user ID" if talk.asked("full name", -1) > 1 else "") if again else "your email address, or your full name and zip code"
    lead = "I'm sorry, I can't find an account with that. May I have" if tried else "I'd be glad to look into that. To find your account, may I have"
    return next((t for t in tries if not talk.called(*t)), f"{lead} {ask}?")


def _plan(talk: Talk) -> Plan:
    return _airline(talk) if "reservations" in talk.user else _retail(talk)


def _next(talk: Talk, offered: set[str], seed: int) -> Call | str:
    at, text, _ = talk.turns[-1] if talk.turns else (-1, "", "")
    low = text.lower()
    if any(c[1].startswith("transfer") for c in talk.calls):
        return HOLD
    if (HUMAN.search(low) and not NO.match(low)) or len(talk.turns) > 25 or len([c for c in talk.calls if c[0] > at]) > 16:
        return "transfer_to_human_agents", {"summary": f"The customer needs a human agent: {text[:200]}"}
    if not talk.user_id:
        return _identify(talk, offered)
    if not talk.user:
        return "get_user_details", {"user_id": talk.user_id}
    for kind in ("order", "reservation"):
        for key in talk.user.get(kind + "s", ()):
            if key not in talk.orders:
                return f"get_{kind}_details", {f"{kind}_id": key}
    plan = _plan(talk)
    wanted = [f for f in plan.fetch if not talk.called(*f)]
    return wanted[0] if wanted else _speak(talk, plan, at, low, seed)


def _speak(talk: Talk, plan: Plan, at: int, low: str, seed: int) -> str:
    told = " ".join(said for _, said in talk.says)
    writes = talk.written(at)
    parts = [f"Unfortunately that did not go through ({c[3].removeprefix('Error: ')})." for c in writes if _failed(c[3])]
    if len(parts) < len(writes):
        parts.append(["All done, this has been processed.", "That has been completed.", "Done, your request has been processed."][seed % 3])
    fresh = [note for note in dict.fromkeys(plan.notes) if note not in told]
    parts += fresh or (list(dict.fromkeys(plan.notes))[-1:] if not (parts or plan.questions or plan.lines) else [])
    if plan.questions:
        parts.append(plan.questions[0])
    elif plan.lines:
        body = "; ".join(f"({n}) {line}" for n, line in enumerate(plan.lines, 1)) if plan.lines[1:] else plan.lines[0]
        total = f" In total you {'get back' if plan.back > 0 else 'pay'} ${abs(plan.back):.2f}." if plan.lines[1:] and plan.back else ""
        lead = ["Here is what I would do", "These are the details", "To sum up"][seed % 3]
        parts.append(f"{lead}: {body}.{total} Shall I go ahead {ASK}?")
    elif parts or talk.written(0) or re.search(r"that'?s (?:all|it)|nothing", low):
        parts.append(["Is there anything else I can help you with?", "Can I help you with anything else?"][seed % 2])
    else:
        parts.append("Could you tell me what you would like to do, for instance return, exchange, cancel or change something, and for which item?")
    return " ".join(parts)


def _agreed(messages: list[Json], talk: Talk) -> Call | None:
    """The next action of a proposal that the customer's last turn agreed to, if it did and one is left."""
    at, text, _ = talk.turns[-1]
    proposed = _plan(Talk(messages[: max(i for i, _ in talk.says if i < at)]))
    done = [(c[1], c[2]) for c in talk.written(at)]
    if not done and (not YES.search(text.lower()) or NO.match(text.lower()) or _plan(talk).actions != proposed.actions):
        return None
    return next((action for action in proposed.actions if action not in done), None)


def reply(messages: list[Json], tools: list[Json], seed: int = 0) -> Json:
    """Answer as the agent: one message to the customer, or one tool call.

    Parameters
    ----------
    messages
        The OpenAI messages: the policy, the conversation, and the results of earlier calls.
    tools
        The ``tools`` field of the request; what it does not offer is not called.
    seed
        Chooses among wordings, nothing else.
    """
    offered = {tool["function"]["name"] for tool in tools}
    talk = Talk(messages)
    step = _agreed(messages, talk) if talk.turns and ASK in talk.turns[-1][2] else None
    step = step or _next(talk, offered, seed)
    if isinstance(step, str):
        return {"role": "assistant", "content": step}
    call = {"id": f"call_{len(messages)}", "type": "function", "function": {"name": step[0], "arguments": json.dumps(step[1])}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}
