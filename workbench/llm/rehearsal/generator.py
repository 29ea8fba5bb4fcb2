"""The rehearsal generator: members of a population, a member's policy, and the one-call baseline."""

import json
import re
from random import Random
from typing import Any

from workbench.llm.rehearsal.voice import WORDS, pattern, read

_TABLE = WORDS["generator"]
_SENTENCE = re.compile(r"(?<=[.!?])\s")


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer by the shape of the request: a population, all policies at once, or one member's policy."""
    request = "\n\n".join(m["content"] for m in messages)[:60_000]
    request = re.sub(r"^\t.*\n", "", request, flags=re.M)  # the errand is no matter of manner
    rng = Random(f"{seed}|{len(request)}|{request[-200:]}")
    found = pattern(_TABLE["count"]).search(request)
    people = rng.sample(_TABLE["people"] * 3, min(50, int(found[1])) if found else 5)
    if '"members"' in request or "axis_placement" in request:
        return json.dumps({"members": _members(people, request, rng)}, indent=1)
    if not re.search(r'"(?:personas|policy)"', request):
        return _policy(request, rng)
    personas = []
    for person, mood in zip(people, rng.sample(list(_TABLE["moods"]) * 5, len(people)), strict=True):
        policy = _fit([f"You are {person} and feel {mood} today.", _TABLE["moods"][mood]], rng)
        personas.append({"description": f"{person}, {mood}", "reasoning": f"A {mood} one.", "policy": policy})
    return json.dumps({"personas": personas}, indent=1)


def _members(people: list[str], request: str, rng: Random) -> list[dict[str, Any]]:
    """Place the members; asked to spread, every axis gets about as many on as off, else each toss is its own."""
    spread, n, columns = pattern(_TABLE["spread"]).search(request), len(people), {}
    for name in re.findall(r'"behavior": "([^"\\]+)"', request):
        half = ([True, False] * n)[rng.randrange(2) :][:n]
        columns[name] = rng.sample(half, n) if spread else rng.choices(half, k=n)
    members = []
    for index, person in enumerate(people):
        placement = {name: column[index] for name, column in columns.items()}
        marks = " and ".join(name.replace("_", " ") for name, on in placement.items() if on) or "plain"
        said = f"This is {person}, in manner {marks}."
        members.append({"description": said, "reasoning": f"Adds {marks}.", "axis_placement": placement})
    return members


def _fit(sentences: list[str], rng: Random) -> str:
    """Join to 155 to 245 words: drop from the end, or pad with sentences that mean nothing."""
    while len(" ".join(sentences).split()) > 245 and len(sentences) > 1:
        sentences = sentences[:-1]
    for padding in rng.sample(_TABLE["padding"], len(_TABLE["padding"])):
        sentences = [*sentences, padding] if len(" ".join(sentences).split()) < 155 else sentences
    return " ".join(sentences)


def _policy(request: str, rng: Random) -> str:
    """Write one policy from the member's description, what the prompt says of customers, and the playbooks."""
    member = re.search(r"<member>([^<]+)</member>", request)
    books = re.findall(r"^[ \t]*[-*•] .*", request, re.M)[:60]
    sentences = [s for line in request.splitlines() if line not in books for s in _SENTENCE.split(line)][:300]
    books = books or [s for s in sentences if read(s) != read("")]  # without a list: what speaks of a habit
    told = [_SENTENCE.split(pattern(_TABLE["label"]).sub("", book).strip()) for book in books]
    # the first sentence of every axis comes before the second of any, so that a long list loses detail and not axes
    body = [group[i] for i in range(max(map(len, told), default=0)) for group in told if i < len(group)]
    lead = [
        member[1].strip(" .\n").replace("This is", "You are", 1) + "." if member else "You are a customer."
    ]
    return _fit(lead + [s for s in sentences if pattern(_TABLE["echo"]).match(s)][:4] + body, rng)
