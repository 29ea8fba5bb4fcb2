"""The rehearsal mutation model: SEARCH/REPLACE edits to the axes, prompts or logic of the parent it is shown."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from importlib import resources
from random import Random
from typing import Any

_BANK = tomllib.loads(resources.files(__package__).joinpath("behaviors.toml").read_text("utf-8"))
BEHAVIORS: dict[str, list[str]] = {**_BANK["toward_people"], **_BANK["away_from_people"]}
_LADDER = ("Now and then", "Sometimes", "Often", "Most of the time", "Always")
_RUNGS = {words.lower(): k for k, words in enumerate(_LADDER)} | {"rarely": 0, "usually": 3, "constantly": 4}
_AMOUNT = re.compile(rf"\b(?:{'|'.join(_RUNGS)})\b", re.I)
Axis = dict[str, Any]
Edit = tuple[list[str], list[str]]  # lines to find, lines to put in their place


class _Parent:
    """The program to change, and the lines where its axes stand (from 0, last included)."""

    def __init__(self, source: str) -> None:
        self.lines, self.body = source.split("\n"), ast.parse(source).body
        self.axes: list[Axis] = []
        self.spots: list[tuple[int, int]] = []
        self.whole: tuple[int, int] | None = None
        for node in self.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(t, ast.Name) and t.id == "DIVERSITY_AXES" for t in targets):
                value = getattr(node, "value", None)
                self.whole = _span(node)
                if isinstance(value, ast.List):
                    self.axes = ast.literal_eval(value)
                    self.spots = [_span(element) for element in value.elts]

    def around(self, node: ast.stmt) -> list[str]:
        """Return the lines of a statement with as many before them as make them the only such place."""
        (first, last), text = _span(node), "\n".join(self.lines)
        while first > 0 and text.count("\n".join(self.lines[first : last + 1])) > 1:
            first -= 1
        return self.lines[first : last + 1]

    def put(self, index: int, new: list[Axis]) -> Edit:
        """Return the edit that puts other axes in the place of one; index -1 means before the first."""
        lines = [line for axis in new for line in _lines(axis)]
        assert self.whole is not None
        opening = self.lines[self.whole[0]]
        first, last = self.spots[index] if index >= 0 else (self.whole[0], self.whole[0])
        alone = opening.rstrip().endswith("[") and all(self.lines[a].strip() == "{" for a, _ in self.spots)
        if alone and self.lines[last].rstrip() in ("    },", opening):
            return (self.lines[first : last + 1], lines) if index >= 0 else ([opening], [opening, *lines])
        axes = [*self.axes[: max(index, 0)], *new, *self.axes[index + 1 :]]  # a layout that no line edit fits
        lines = [line for axis in axes for line in _lines(axis)]
        return self.lines[self.whole[0] : self.whole[1] + 1], ["DIVERSITY_AXES = [", *lines, "]"]


def _span(node: Any) -> tuple[int, int]:
    return node.lineno - 1, (node.end_lineno or node.lineno) - 1


def _lines(axis: Axis) -> list[str]:
    return [f"    {line}" for line in f"{json.dumps(axis, indent=4, ensure_ascii=False)},".splitlines()]


def _reword(axis: Axis, reflection: str, rng: Random) -> Axis:
    """Let a playbook say more, or less, often that a habit shows."""
    side = rng.choice(["true", "true", "false"])
    text = str(axis["presence"][side])
    step = -1 if "too much" in reflection and rng.random() < 0.3 else rng.choice([-1, 1])
    if told := _AMOUNT.search(text):
        amount = _LADDER[max(0, min(4, _RUNGS[told[0].lower()] + step))]
        amount = amount if told.start() == 0 else amount.lower()
        text = text[: told.start()] + amount + text[told.end() :]
    else:
        text = f"{_LADDER[2 + step]}, {text[:1].lower()}{text[1:]}"
    return {**axis, "presence": {**axis["presence"], side: text}}


def _change_axes(parent: _Parent, reflection: str, rng: Random) -> tuple[str, list[Edit]]:
    """Add, replace, reword or drop an axis; one that the reflection speaks of is touched more often."""
    few, some = len(parent.axes) < 9, len(parent.axes) > 1
    kind = rng.choice(["add"] * (8 if few else 1) + ["replace", "reword"] * 4 * some + ["drop"] * 2 * some)
    left = [name for name in BEHAVIORS if name not in {axis["behavior"] for axis in parent.axes}] or list(
        BEHAVIORS
    )
    name = rng.choice(left)
    definition, on, off = BEHAVIORS[name]
    fresh: Axis = {"behavior": name, "definition": definition, "presence": {"true": on, "false": off}}
    if kind == "add":
        return f"I add an axis, {name}: {definition.lower()}", [parent.put(-1, [fresh])]
    told = {word[:5] for word in re.findall(r"[a-z]{4,}", reflection.lower())}
    shared = [
        len(told & {word[:5] for word in re.findall(r"[a-z]{4,}", str(axis).lower())}) for axis in parent.axes
    ]
    index = rng.choices(range(len(shared)), [1 + min(4, count) for count in shared])[0]
    old = parent.axes[index]
    if kind == "drop":
        return f"The axis {old['behavior']} adds little, so I drop it.", [parent.put(index, [])]
    if kind == "replace":
        return f"I replace the axis {old['behavior']} by {name}.", [parent.put(index, [fresh])]
    return f"I reword a playbook of {old['behavior']}.", [parent.put(index, [_reword(old, reflection, rng)])]


def _change_prompt(parent: _Parent, rng: Random) -> tuple[str, list[Edit]] | None:
    """Add a wish after a line of one of the program's prompts."""
    spans = [
        _span(node)
        for node in parent.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    ]
    lines = [line for a, b in spans for line in parent.lines[a + 1 : b] if line.endswith(".")]
    lines = [line for line in lines if parent.lines.count(line) == 1]
    wish = rng.choice(_BANK["wishes"])
    if not lines or wish in parent.lines:
        return None
    line = rng.choice(lines)
    return f"I add a wish to a prompt: {wish}", [([line], [line, wish])]


def _change_logic(parent: _Parent, rng: Random) -> tuple[str, list[Edit]] | None:
    """Let the program toss for the members' places on the axes instead of asking for them."""
    mains = [
        n for n in parent.body if isinstance(n, ast.FunctionDef) and n.name == "generate_personas_detailed"
    ]
    for node in mains[0].body if mains else []:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == "members" and "import random" not in parent.lines:
            found, share = parent.around(node), rng.choice(["0.5", "0.7", "0.3"])
            toss = ["    toss = random.Random(len(c) + n)", "    for member in members:"]
            toss += [
                f'        member["axis_placement"] = {{a["behavior"]: toss.random() < {share} for a in axes}}'
            ]
            edits = [(found, [*found, *toss]), (["import json"], ["import json", "import random"])]
            return f"I place members by chance, {share} each.", edits
    return None


def _spoil(answer: str, rng: Random) -> str:
    """Break an answer in one of the ways that real models do."""
    lines = answer.split("\n")
    first, divider = lines.index("<<<<<<< SEARCH"), lines.index("=======")
    side = next((k for k, line in enumerate(lines) if k > divider and '"false":' in line), 0)
    kind = rng.randrange(6 if side else 4)
    if kind == 0:  # quotes a line that is not there
        lines[first + 1] += "  # as before"
    elif kind == 1:  # forgets the divider
        lines.remove("=======")
    elif kind == 2:  # stops in the middle
        lines = lines[: lines.index(">>>>>>> REPLACE")]
    elif kind == 3:  # talks and does nothing
        lines = [*lines[:first], "I would keep the program otherwise as it is."]
    elif kind == 4:  # forgets one side of an axis
        lines.pop(side)
    else:  # leaves a string open
        lines[side] = lines[side].rstrip('"')
    return "\n".join(lines)


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer a mutation request with a sentence and its edits; about one answer in eight is malformed."""
    request = next((m["content"] for m in messages if "## Parent program" in m["content"]), "")
    fence = re.search(r"## Parent program\s+```(?:python)?\n(.*?)\n```(?:\n|$)", request, re.S)
    reflection = re.search(r"## Reflection\s+(.*?)(?=\n## |\Z)", request, re.S)
    rng = Random(f"{seed}|{len(messages)}")
    try:
        parent = _Parent(fence[1] if fence else "")
    except (SyntaxError, ValueError):
        parent = _Parent("")
    if parent.whole is None:
        return "I see no program with DIVERSITY_AXES to change."
    kind = rng.choices(["axes", "prompt", "logic"], [17, 2, 1])[0]
    change = (
        _change_prompt(parent, rng)
        if kind == "prompt"
        else _change_logic(parent, rng)
        if kind == "logic"
        else None
    )
    said, edits = change or _change_axes(parent, reflection[1] if reflection else "", rng)
    blocks = ["\n".join(["<<<<<<< SEARCH", *old, "=======", *new, ">>>>>>> REPLACE"]) for old, new in edits]
    answer = "\n".join([said, "", *blocks])
    return _spoil(answer, rng) if rng.random() < 0.125 else answer
