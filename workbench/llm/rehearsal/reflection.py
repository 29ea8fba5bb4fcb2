"""The rehearsal reflection: what sets the least convincing conversations apart, in a few sentences of prose."""

from __future__ import annotations

import re
from random import Random
from typing import Any

# fmt: off
_TRAITS = {  # how a request's measures begin or go on after "_", and what to call them in prose
    "words": "length of messages", "short": "messages of a word or two", "polite": "courtesy such as please and thanks",
    "formal": "formal writing", "acknowledg": "bare confirmations such as ok or yes", "cv": "unevenness of message length",
    "repetition": "repetition of the same words", "front": "detail in the first messages", "identifier": "numbers and identifiers",
    "opening": "detail in the opening message", "uncertain": "hedging such as maybe", "certain": "stress on certainty",
    "pushback": "doubt and pushback", "clarif": "questions about what was meant", "info": "practical questions",
    "emotion": "annoyance", "accus": "accusations", "pivot": "changes of mind", "confusion": "talk like an agent's",
}
# fmt: on
_COURTESY = re.compile(r"please|thank|appreciat|sorry", re.I)


def _messages(request: str, heading: str) -> list[str]:
    """Return the customers' messages of the sections whose heading has the word."""
    sections = re.split(r"^## ", request, flags=re.M)
    shown = [s for s in sections if re.match(rf"[^\n]*(?:{heading})", s, re.I)]
    return [m.strip() for s in shown for m in re.findall(r"^(?:customer|user): (.*)", s, re.M | re.I)]


def _portrait(messages: list[str]) -> str:
    length = sum(len(m.split()) for m in messages) / len(messages)
    kind = (
        "short, a few words at a time"
        if length < 9
        else "of middling length"
        if length < 17
        else "long and rounded"
    )
    courtesy = sum(bool(_COURTESY.search(m)) for m in messages) / len(messages)
    manner = (
        "mostly courteous"
        if courtesy > 0.45
        else "sparing with courtesies"
        if courtesy < 0.2
        else "now and then courteous"
    )
    case = " and in lower case" if sum(m == m.lower() for m in messages) > len(messages) / 3 else ""
    return f"are {kind}, {manner}{case}"


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer with at most 300 words of prose from the figures and conversations that the request shows."""
    request = messages[-1]["content"]
    rng = Random(f"{seed}|{len(request)}")
    best, worst = _messages(request, "most human|best"), _messages(request, "least human|worst")
    said = []
    if best and worst:
        said.append(f"In the conversations that convince least, messages {_portrait(worst)}.")
        said.append(f"In those that convince most, they {_portrait(best)}.")
    gaps = []
    for name, ours, theirs in re.findall(r"^(\w+): (-?[\d.]+) against (-?[\d.]+)", request, re.M):
        a, b = float(ours), float(theirs)
        key = next((k for k in _TRAITS if name.startswith(k) or f"_{k}" in name), None)
        if key and abs(a - b) > 0.02:
            gaps.append((abs(a - b) / (abs(a) + abs(b)), "much" if a > b else "little", key))
    for _, amount, key in sorted(gaps, reverse=True)[:4]:
        said.append(f"Beside people there is too {amount} of one thing: {_TRAITS[key]}.")
    said.append(
        "Change the axes that carry these habits first, and say how often a habit shows instead of always."
    )
    said.append(rng.choice(["Keep some customers who are plain.", "Some customers should combine several small habits.",
                            "Drop an axis that moves nothing."]))  # fmt: skip
    return " ".join(said)
