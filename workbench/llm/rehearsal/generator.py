"""The rehearsal generator: members of a population, a member's policy, and the one-call baseline."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

from workbench.llm.rehearsal.voice import WORDS, read

_TABLE = WORDS["generator"]
_VERBS = ("return", "exchange", "cancel", "modify", "change", "refund", "upgrade", "book", "update", "track")
_BOOK = re.compile(
    r"^\s*(?:[-*•]|[\w ]{0,40}(?:habit|behavio|playbook|manner|style|trait)[\w ]*:).+", re.M | re.I
)
_PLACED = re.compile(
    r"^[\w .'-]{1,60}?(?:(?:\s*=\s*|\s*\(|\s+is\s+)(?:true|false|on|off)\)?|(?:habit|behavio|playbook|manner|style|trait)[\w ]*)"
    r"\s*[:—-]\s*",
    re.I,
)
_ECHO = re.compile(
    r"^(?:real |most |these )?(?:customers|people|the customer|they)\b(?!.*(?:\berrand\b|\baxis\b|\{))", re.I
)


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer by the shape of the request: a population, all policies at once, or one member's policy."""
    request = "\n\n".join(m["content"] for m in messages)
    context = _between(request, "context") or "\n".join(re.findall(r"^\t.*", request, re.M))
    rest = request.replace(context, "") if context else request
    rng = Random(f"{seed}|{len(request)}|{request[-200:]}")
    if "axis_placement" in rest or '"members"' in rest:
        names = list(dict.fromkeys(re.findall(r'"behavior"\s*:\s*"((?:[^"\\]|\\.)+)"', rest)))
        return json.dumps({"members": _members(names, _count(rest), rest, rng)}, indent=1)
    if re.search(r'"(?:personas|policy)"', rest):
        return json.dumps({"personas": _personas(_count(rest), context, rng)}, indent=1)
    return _policy(rest, context, rng)


def _between(text: str, tag: str) -> str:
    found = re.search(rf"<{tag}>\s*(.*?)\s*</{tag}>", text, re.S)
    return found[1] if found else ""


def _count(text: str) -> int:
    nouns = r"(?:members|customers|personas|people|users|shoppers|callers|policies)"
    for pattern in (r"\bexactly (\d+)", rf"\b(\d+) (?:[\w-]+ ){{0,3}}{nouns}", r"\bn\s*[=:]\s*(\d+)"):
        if found := re.search(pattern, text, re.I):
            return max(1, min(50, int(found[1])))
    return 5


def _members(names: list[str], n: int, rest: str, rng: Random) -> list[dict[str, Any]]:
    """Place n members; asked to spread, every axis gets about as many on as off, else each toss is its own."""
    columns = {}
    for name in names:
        half = [i < (n + rng.randrange(2)) // 2 for i in range(n)]
        rng.shuffle(half)
        spread = re.search(r"\bspread|\bdiffer|balanc|true for some|divers|no two", rest, re.I)
        columns[name] = half if spread else [rng.random() < 0.5 for _ in range(n)]
    people = rng.sample(_TABLE["people"] * (n // len(_TABLE["people"]) + 1), n)
    members = []
    for index, person in enumerate(people):
        placement = {name: column[index] for name, column in columns.items()}
        marks = [name.replace("_", " ") for name, on in placement.items() if on]
        manner = "writes in a manner that is " + " and ".join(marks[:3]) if marks else "has no marked habits"
        description = f"{person[0].upper()}{person[1:]} who {manner}."
        reasoning = f"Adds the combination {', '.join(marks) or 'of none'} to the group."
        members.append({"description": description, "reasoning": reasoning, "axis_placement": placement})
    return members


def _errand(context: str) -> str:
    wanted = [verb for verb in _VERBS if re.search(rf"\b{verb}", context, re.I)][:2]
    return f"You contact support to {' and to '.join(wanted or ['settle'])} something."


def _fit(lead: list[str], body: list[str], rng: Random, low: int, high: int) -> str:
    """Join sentences within the limits: drop from the end of the body, or pad with sentences that mean nothing."""
    while sum(len(s.split()) for s in lead + body) > high - 5 and len(body) > 1:
        body = body[:-1]
    padding = rng.sample(_TABLE["padding"], len(_TABLE["padding"]))
    while sum(len(s.split()) for s in lead + body) < low + 5 and padding:
        body = [*body, padding.pop()]
    return " ".join(lead + body)


def _policy(rest: str, context: str, rng: Random) -> str:
    """Write one policy from the member's description and the playbooks; the prompt's own wishes are heeded."""
    member = _between(rest, "member") or "".join(re.findall(r'"description"\s*:\s*"([^"]+)"', rest)[:1])
    person = member.strip().rstrip(".") or "A customer"
    block = _between(rest, "playbooks") or "\n".join(_BOOK.findall(rest))
    books = re.findall(r"^\s*[-*•]\s*(.+)", block, re.M) or [x for x in block.splitlines() if x.strip()][:8]
    if not books:  # no list of playbooks: what speaks of a habit is one
        sentences = re.split(r"(?<=[.!?])\s+|\n+", rest)
        books = [
            s
            for s in sentences
            if read(s) != read("") and not re.match(r"(?:You )?(?:write|answer)\b", s, re.I)
        ]
    books = [_PLACED.sub("", book.strip()) for book in books]
    wishes = "\n".join(line for line in rest.splitlines() if line not in block.splitlines())
    limits = re.search(r"(\d{2,3})(?:(?: to | ?- ?|–)(\d{2,3}))? words", wishes)
    low = int(limits[1]) if limits else 150
    high = int(limits[2] or low + 20) if limits else 250
    amounts: list[str] = []
    if re.search(r"\bstrengths?\b|\bdegrees?\b|how often", wishes, re.I):
        amounts = ["Sometimes", "Often", "Most of the time", "Usually"]
    elif re.search(r"shows in every message|at all times|without exception|consistently", wishes, re.I):
        amounts = ["Always"]
    told: list[list[str]] = []
    for book in books:
        sentences = re.split(r"(?<=[.!?])\s+", book)
        if amounts:
            sentences[0] = f"{rng.choice(amounts)}, {sentences[0][:1].lower()}{sentences[0][1:]}"
        told.append(sentences)
    # the first sentence of every axis comes before the second of any, so that a long list loses detail and not axes
    body = [group[i] for i in range(max(map(len, told), default=0)) for group in told if i < len(group)]
    lead = [f"You are {person[:1].lower()}{person[1:]}.", _errand(context)]
    lead += [s for s in re.split(r"(?<=[.!?])\s+|\n+", wishes) if _ECHO.match(s.strip())][:4]
    if re.search(r"come and go|\bvary|uneven", wishes, re.I):
        lead.append("These habits come and go.")
    return _fit(lead, body, rng, low, high)


def _personas(n: int, context: str, rng: Random) -> list[dict[str, str]]:
    """Write the baseline's policies: jobs and moods, mostly courteous, as a single call tends to give."""
    moods = rng.sample(list(_TABLE["moods"]) * (n // 10 + 1), n)
    people = rng.sample(_TABLE["people"] * (n // len(_TABLE["people"]) + 1), n)
    personas = []
    for mood, person in zip(moods, people, strict=True):
        lead = [f"You are {person} and feel {mood} today.", _errand(context)]
        policy = _fit(lead, [_TABLE["moods"][mood]], rng, 150, 250)
        about = f"{person[0].upper()}{person[1:]}, {mood} today."
        personas.append({"description": about, "reasoning": f"Brings a {mood} customer.", "policy": policy})
    return personas
