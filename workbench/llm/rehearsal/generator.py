"""The rehearsal generator: members of a population, a member's policy, and the one-call baseline."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

from workbench.llm.rehearsal.voice import WORDS, read

_TABLE = WORDS["generator"]
_WISHES = {name: re.compile(cue, re.I) for name, cue in _TABLE["wishes"].items()}


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer by the shape of the request: a population, all policies at once, or one member's policy."""
    request = "\n\n".join(m["content"] for m in messages)[:60_000]
    request = re.sub(r"^\t.*\n", "", request, flags=re.M)  # the errand is no matter of manner
    rng = Random(f"{seed}|{len(request)}|{request[-200:]}")
    found = _WISHES["count"].search(request)
    people = rng.sample(_TABLE["people"] * 3, min(50, int(found[1])) if found else 5)
    if '"members"' in request or "axis_placement" in request:
        return json.dumps({"members": _members(people, request, rng)}, indent=1)
    if not re.search(r'"(?:personas|policy)"', request):
        return _policy(request, rng)
    personas = []
    for number, person in enumerate(people):
        mood, manner = list(_TABLE["moods"].items())[(seed + number) % len(_TABLE["moods"])]
        policy = _fit([f"You are {person} and feel {mood} today."], [manner], rng, 150, 250)
        about = {"description": f"This is {person}, {mood} today.", "reasoning": f"A {mood} customer."}
        personas.append({**about, "policy": policy})
    return json.dumps({"personas": personas}, indent=1)


def _members(people: list[str], request: str, rng: Random) -> list[dict[str, Any]]:
    """Place the members; asked to spread, every axis gets about as many on as off, else each toss is its own."""
    placements: list[dict[str, bool]] = [{} for _ in people]
    for name in re.findall(r'"behavior"\s*:\s*"([^"\\]+)"', request):
        half = [i < (len(people) + rng.randrange(2)) // 2 for i in range(len(people))]
        rng.shuffle(half)
        for placement, on in zip(placements, half, strict=True):
            placement[name] = on if _WISHES["spread"].search(request) else rng.random() < 0.5
    members = []
    for person, placement in zip(people, placements, strict=True):
        marks = " and ".join(name.replace("_", " ") for name, on in placement.items() if on) or "plain"
        about = {"description": f"This is {person}, in manner {marks}.", "reasoning": f"Adds: {marks}."}
        members.append({**about, "axis_placement": placement})
    return members


def _fit(lead: list[str], body: list[str], rng: Random, low: int, high: int) -> str:
    """Join sentences within the limits: drop from the end of the body, or pad with sentences that mean nothing."""
    while len(" ".join(lead + body).split()) > high - 5 and len(body) > 1:
        body = body[:-1]
    for padding in rng.sample(_TABLE["padding"], len(_TABLE["padding"])):
        body = [*body, padding] if len(" ".join(lead + body).split()) < low + 5 else body
    return " ".join(lead + body)


def _policy(request: str, rng: Random) -> str:
    """Write one policy from the member's description and the playbooks; the prompt's own wishes are heeded."""
    member = re.search(r"<member>\s*([^<]+?)\W*</member>", request)
    lines = request.splitlines()
    books = [line for line in lines if re.match(r"\s*[-*•]\s", line)]
    wishes = " ".join(line for line in lines if line not in books)
    sentences = re.split(r"(?<=[.!?])\s", wishes)
    if not books:  # no list of playbooks: what speaks of a habit is one
        books = [s for s in sentences if read(s) != read("")]
    often = next((amounts for cue, amounts in _TABLE["amounts"].items() if re.search(cue, wishes, re.I)), [])
    told = []
    for book in books:
        first, *more = re.split(r"(?<=[.!?])\s", _WISHES["label"].sub("", book).strip())
        told.append([f"{rng.choice(often)}, {first[:1].lower()}{first[1:]}" if often else first, *more])
    # the first sentence of every axis comes before the second of any, so that a long list loses detail and not axes
    body = [group[i] for i in range(max(map(len, told), default=0)) for group in told if i < len(group)]
    lead = [member[1].replace("This is", "You are", 1) + "." if member else "You are a customer."]
    lead += [s for s in sentences if _WISHES["echo"].match(s)][:4]
    lead += ["These habits come and go."] if _WISHES["uneven"].search(wishes) else []
    limits = re.search(r"(\d{2,3})(?:(?: to | ?- ?|–)(\d{2,3}))? words", wishes)
    low, high = (int(limits[1]), int(limits[2] or limits[1])) if limits else (150, 250)
    return _fit(lead, body, rng, low, max(high, low + 20))
