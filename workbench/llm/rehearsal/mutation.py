"""The rehearsal mutation and reflection models: edits to the parent program, and a critique in prose."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from importlib import resources
from random import Random
from typing import Any

BANK = tomllib.loads(resources.files(__package__).joinpath("behaviors.toml").read_text("utf-8"))
BEHAVIORS: dict[str, list[str]] = {**BANK["toward_people"], **BANK["away_from_people"]}
_AMOUNT = re.compile(rf"\b(?:{'|'.join(BANK['ladder'])})\b", re.I)
_TOSS = """\
    import random
    toss = random.Random(len(c) + n)
    for member in members:
        member["axis_placement"] = {a["behavior"]: toss.random() < 0.5 for a in axes}"""


def _reword(axis: dict[str, Any], rng: Random) -> dict[str, Any]:
    """Let a playbook say more, or less, often that a habit shows."""
    side, step, ladder = rng.choice(["true", "true", "false"]), rng.choice([-1, 1]), BANK["ladder"]
    text = axis["presence"][side]
    told = _AMOUNT.match(text)
    rung = ladder.index(told[0].capitalize()) if told else 2
    amount = ladder[max(0, min(len(ladder) - 1, rung + step))]
    text = amount + text[told.end() :] if told else f"{amount}, {text[:1].lower()}{text[1:]}"
    return {**axis, "presence": {**axis["presence"], side: text}}


def _change_axes(source: str, node: ast.List, reflection: str, rng: Random) -> tuple[str, str]:
    """Add, replace, reword or drop an axis; one that the reflection speaks of is touched more often."""
    axes = ast.literal_eval(node)
    texts = [ast.get_source_segment(source, element) or "" for element in node.elts]
    free = [name for name in BEHAVIORS if name not in {axis["behavior"] for axis in axes}]
    name = rng.choice(free or list(BEHAVIORS))
    definition, on, off = BEHAVIORS[name]
    fresh = {"behavior": name, "definition": definition, "presence": {"true": on, "false": off}}
    few, some = len(axes) < 9, len(axes) > 1
    kind = rng.choice(["add"] * (8 if few else 1) + ["replace", "reword"] * 4 * some + ["drop"] * 2 * some)
    told = set(re.findall(r"\b[a-z]{5}", reflection.lower()))
    weights = [1 + min(4, len(told & set(re.findall(r"\b[a-z]{5}", text.lower())))) for text in texts]
    at = rng.choices(range(len(axes)), weights)[0] if axes else 0
    new, why = [fresh], f"I add an axis, {name}: {definition.lower()}"
    if kind == "replace":
        why = f"I replace the axis {axes[at]['behavior']} by {name}."
    elif kind == "reword":
        new, why = [_reword(axes[at], rng)], f"I reword a playbook of {axes[at]['behavior']}."
    elif kind == "drop":
        new, why = [], f"The axis {axes[at]['behavior']} adds little, so I drop it."
    texts[at : at + (kind != "add")] = [json.dumps(axis, indent=4).replace("\n", "\n    ") for axis in new]
    lines = source.split("\n")
    head = lines[node.lineno - 1][: node.col_offset] + "["
    lines[node.lineno - 1 : node.end_lineno] = [head, *(f"    {text}," for text in texts), "]"]
    return why, "\n".join(lines)


def _change_text(source: str, body: list[ast.stmt], kind: str, rng: Random) -> tuple[str, str]:
    """Add a wish after a line of a prompt, or toss for the members' places, where there is a place for it."""
    lines = source.split("\n")
    added, why = rng.choice(BANK["wishes"]), "I add a wish to a prompt."
    prompts = [n for n in body if isinstance(n, ast.Assign) and isinstance(n.value, ast.Constant)]
    places = [i for n in prompts for i in range(n.lineno, n.end_lineno or 0) if lines[i].endswith(".")]
    if kind == "logic":
        added, why = _TOSS, "I place members by chance."
        places = [i for i, line in enumerate(lines) if re.match(r"    members = \w+\(", line)]
    if places and added not in source:
        lines.insert(rng.choice(places) + 1, added)
    return why, "\n".join(lines)


def _edit(source: str, changed: str) -> str:
    """Return the smallest edit between two programs whose lines to find stand in one place only."""
    old, new = source.split("\n"), changed.split("\n")
    shorter = min(len(old), len(new))
    first = next((i for i in range(shorter) if old[i] != new[i]), shorter - 1)
    last = next((i for i in range(shorter - first) if old[-1 - i] != new[-1 - i]), shorter - first)
    while first > 0 and source.count("\n".join(old[first : len(old) - last])) != 1:
        first -= 1
    found, put = (lines[first : len(lines) - last] for lines in (old, new))
    return "\n".join(["<<<<<<< SEARCH", *found, "=======", *put, ">>>>>>> REPLACE"])


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer a mutation request with a sentence and an edit; about one answer in eight is malformed."""
    request = next((m["content"] for m in messages if "## Parent program" in m["content"]), "")
    source = request.partition("## Parent program\n```python\n")[2].partition("\n```")[0]
    reflection = request.partition("## Reflection\n")[2].partition("\n## ")[0]
    rng = Random(f"{seed}|{len(messages)}")
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        body = []
    assigned = [node for node in body if ast.unparse(node).startswith("DIVERSITY_AXES")]
    node = getattr(assigned[0], "value", None) if assigned else None
    if not isinstance(node, ast.List):
        return "I see no program with DIVERSITY_AXES to change."
    kind = rng.choices(["axes", "prompt", "logic"], [17, 2, 1])[0]
    why, changed = _change_text(source, body, kind, rng) if kind != "axes" else ("", source)
    if changed == source:
        why, changed = _change_axes(source, node, reflection, rng)
    answer = f"{why}\n\n{_edit(source, changed)}"
    found, put = rng.choice(BANK["malformed"])
    return re.sub(found, put, answer, count=1, flags=re.S) if rng.random() < 0.125 else answer


def _portrait(request: str, heading: str) -> list[str]:
    """Say how the messages under a heading look: their length, their manners, their case."""
    shown = [part for part in request.split("\n## ") if part.startswith(heading)]
    messages = re.findall(r"^customer: (.+)", "\n".join(shown), re.M)
    length, lower = len(" ".join(messages).split()), sum(m.islower() for m in messages)
    courtesy = sum(bool(re.search("please|thank|appreciat|sorry", m, re.I)) for m in messages)
    kind = "short" if length < 9 * len(messages) else "long and rounded"
    manner = "mostly courteous" if courtesy > 0.4 * len(messages) else "sparing with courtesies"
    case = " and in lower case" if 3 * lower > len(messages) else ""
    return [f"In the conversations that look {heading.lower()}, messages are {kind}, {manner}{case}."] * bool(
        messages
    )


def reflect(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer a reflection request with some sentences on the figures and conversations that it shows."""
    request, traits = messages[-1]["content"], BANK["traits"]
    gaps = []
    for name, *figures in re.findall(r"^(\w+): (\d+\.\d+) against (\d+\.\d+)", request, re.M):
        ours, theirs = map(float, figures)
        key = next((k for k in traits if name.startswith(k) or f"_{k}" in name), "")
        amount = "much" if ours > theirs else "little"
        if key and abs(ours - theirs) > 0.02:
            gap = abs(ours - theirs) / (ours + theirs)
            gaps.append((gap, f"Beside people there is too {amount} {traits[key]}."))
    said = _portrait(request, "Least human") + _portrait(request, "Most human")
    said += [sentence for _, sentence in sorted(gaps, reverse=True)[:4]]
    return " ".join([*said, BANK["advice"], Random(seed).choice(BANK["closings"])])
