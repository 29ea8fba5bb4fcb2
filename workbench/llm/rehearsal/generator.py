"""The rehearsal generator: population, expansion and the one-call baseline (first version)."""

import json
import re
from typing import Any


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer one generator request by the shape of what it asks for."""
    text = messages[-1]["content"]
    count = int((re.search(r"\bexactly (\d+)", text) or ["", "5"])[1])
    member = {"description": "A customer in a hurry.", "reasoning": "Plain."}
    if '"policy"' in text:
        return json.dumps({"personas": [{**member, "policy": "Keep messages short. " * 40}] * count})
    if '"members"' in text:
        names = re.findall(r'"behavior": "([^"]+)"', text)
        placed = [{n: (i >> k) & 1 == 0 for k, n in enumerate(names)} for i in range(count)]
        return json.dumps({"members": [{**member, "axis_placement": p} for p in placed]})
    return "Keep messages short. " * 40
