"""The rehearsal mutation and reflection models: edits to the parent program, and a critique in prose."""

import ast
import json
import re
import tomllib
from importlib import resources
from os.path import commonprefix
from random import Random
from typing import Any

BANK = tomllib.loads(resources.files(__package__).joinpath("behaviors.toml").read_text("utf-8"))
BEHAVIORS: dict[str, list[str]] = {**BANK["toward_people"], **BANK["away_from_people"]}
_AMOUNT = re.compile(rf"\b(?:{'|'.join(BANK['ladder'])})\b", re.I)


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
    axes: list[dict[str, Any]] = ast.literal_eval(node)
    texts = [ast.get_source_segment(source, element) or "" for element in node.elts]
    name = rng.choice([name for name in BEHAVIORS if f'"{name}"' not in source] or list(BEHAVIORS))
    definition, on, off = BEHAVIORS[name]
    fresh = {"behavior": name, "definition": definition, "presence": {"true": on, "false": off}}
    few, some = len(axes) < 9, len(axes) > 1
    kind = rng.choice(["add"] * (8 if few else 1) + ["replace", "reword"] * 4 * some + ["drop"] * 2 * some)
    told = set(re.findall(r"\b[a-z]{5}", reflection.lower()))
    weights = [1 + min(4, len(told & set(re.findall(r"\b[a-z]{5}", text.lower())))) for text in texts]
    at = rng.choices(range(len(axes)), weights)[0] if axes else 0
    old = axes[at] if axes else fresh
    why, new = {
        "add": (f"I add an axis, {name}: {definition.lower()}", [fresh]),
        "replace": (f"I replace the axis {old['behavior']} by {name}.", [fresh]),
        "reword": (f"I reword a playbook of {old['behavior']}.", [_reword(old, rng)]),
        "drop": (f"The axis {old['behavior']} adds little, so I drop it.", []),
    }[kind]
    texts[at : at + (kind != "add")] = [json.dumps(axis, indent=4).replace("\n", "\n    ") for axis in new]
    lines = source.split("\n")
    head = lines[node.lineno - 1][: node.col_offset] + "["
    lines[node.lineno - 1 : node.end_lineno] = [head, *(f"    {text}," for text in texts), "]"]
    return why, "\n".join(lines)


def _change_text(source: str, node: ast.List, kind: str, rng: Random) -> tuple[str, str]:
    """Add a wish to a prompt, or toss for the members' places on the axes, where there is a place for it."""
    lines, logic = source.split("\n"), kind == "logic"
    place = r"    members = \w+\(" if logic else r"[A-Z].*\.$"
    places = [i for i in range(node.end_lineno or 0, len(lines)) if re.match(place, lines[i])]
    added = BANK["toss"] if logic else rng.choice(BANK["wishes"])
    if places and added not in source:
        lines.insert(rng.choice(places) + 1, added)
    return "I place members by chance." if logic else "I add a wish to a prompt.", "\n".join(lines)


def _edit(source: str, changed: str) -> str:
    """Return the smallest edit between two programs whose lines to find stand in one place only."""
    old, new = source.split("\n"), changed.split("\n")
    first = len(commonprefix([old, new]))  # noqa: RUF071 - of lists, by items
    last = len(commonprefix([old[first:][::-1], new[first:][::-1]]))  # noqa: RUF071
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
        assigned = [n for n in ast.parse(source).body if isinstance(n, ast.Assign | ast.AnnAssign)]
        node = next(n.value for n in assigned if ast.unparse(n).startswith("DIVERSITY_AXES"))
        axes = ast.literal_eval(node or "")
    except (SyntaxError, ValueError, StopIteration, MemoryError, RecursionError):
        node = axes = None
    if not isinstance(node, ast.List) or not all("presence" in axis for axis in axes):
        return "I see no program with DIVERSITY_AXES to change."
    kind = rng.choices(["axes", "prompt", "logic"], [17, 2, 1])[0]
    why, changed = _change_text(source, node, kind, rng) if kind != "axes" else ("", source)
    if changed == source:
        why, changed = _change_axes(source, node, reflection, rng)
    answer = f"{why}\n\n{_edit(source, changed)}"
    found, put = rng.choice(BANK["malformed"])
    return re.sub(found, put, answer, count=1, flags=re.S) if rng.random() < 0.125 else answer


def reflect(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer a reflection request with the measures that are furthest from people's, in some sentences."""
    figures = re.findall(r"^(\w+): (\d+\.\d+) against (\d+\.\d+)", messages[-1]["content"], re.M)
    pairs = {name: (float(ours), float(theirs)) for name, ours, theirs in figures}
    gaps = {name: (a - b) / (a + b) for name, (a, b) in pairs.items() if abs(a - b) > 0.02}
    said = []
    for name in sorted(gaps, key=lambda name: -abs(gaps[name]))[:5]:
        trait = [told for key, told in BANK["traits"].items() if name.startswith(key) or f"_{key}" in name]
        amount = "much" if gaps[name] > 0 else "little"
        said += [f"Beside people there is too {amount} {told}." for told in trait[:1]]
    return " ".join([*said, BANK["advice"], Random(seed).choice(BANK["closings"])])
