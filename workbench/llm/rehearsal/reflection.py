"""The rehearsal reflection: what sets the least convincing conversations apart, in a few sentences of prose."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from workbench.llm.rehearsal.voice import WORDS

_TRAITS: dict[str, str] = WORDS["reflection"]
_COURTESY = re.compile(r"please|thank|appreciat|sorry", re.I)


def _messages(request: str, heading: str) -> list[str]:
    """Return the customers' messages of the sections whose heading has the word."""
    sections = re.split(r"^## ", request, flags=re.M)
    shown = [s for s in sections if re.match(rf"[^\n]*(?:{heading})", s, re.I)]
    return [m.strip() for s in shown for m in re.findall(r"^(?:customer|user): (.*)", s, re.M | re.I)]


def _portrait(messages: list[str]) -> str:
    """Say how messages look: their length, their manners, their case."""
    length = sum(len(m.split()) for m in messages) / len(messages)
    courtesy = sum(bool(_COURTESY.search(m)) for m in messages) / len(messages)
    kind = ["short, a few words at a time", "of middling length", "long and rounded"][
        (length >= 9) + (length >= 17)
    ]
    manner = ["sparing with courtesies", "now and then courteous", "mostly courteous"][
        (courtesy > 0.2) + (courtesy > 0.45)
    ]
    lower = sum(m == m.lower() for m in messages) > len(messages) / 3
    return f"are {kind}, {manner}{' and in lower case' if lower else ''}"


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
        said.append(f"Beside people there is too {amount} {_TRAITS[key]}.")
    said.append(
        "Change the axes that carry these habits first, and say how often a habit shows, not that it always does."
    )
    said.append(
        rng.choice(
            [
                "Keep some plain customers.",
                "Let small habits meet in one customer.",
                "Drop what moves nothing.",
            ]
        )
    )
    return " ".join(said)
