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
BEHAVIORS: dict[str, list[str]] = {name: texts for table in _BANK.values() for name, texts in table.items()}
_LADDER = ("Now and then", "Sometimes", "Often", "Most of the time", "Always")
_RUNGS = {w.lower(): k for k, w in enumerate(_LADDER)} | {
    "rarely": 0,
    "usually": 3,
    "mostly": 3,
    "constantly": 4,
}
_AMOUNT = re.compile(rf"\b(?:{'|'.join(_RUNGS)})\b", re.I)
_WISHES = [  # lines for a prompt: as many that lead towards people as away from them
    "Say for each habit how often it shows: mix the strengths.",
    "Customers leave out most courtesies.",
    "Customers often write fragments.",
    "Let the length of messages vary.",
    "Every habit shows in every message, consistently.",
    "Customers always stay courteous and professional.",
    "Customers explain the background in full sentences.",
    "Spread the customers evenly, so that each axis is true for some.",
]
Edit = tuple[list[str], list[str]]  # lines to find, lines to put in their place


class _Parent:
    """The program to change, with the places that edits hold on to."""

    def __init__(self, source: str) -> None:
        self.lines = source.split("\n")
        self.body = ast.parse(source).body
        self.axes: list[dict[str, Any]] = []
        self.spots: list[tuple[int, int]] = []  # first and last line of each axis, from 0
        self.start = self.end = -1
        for node in self.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(t, ast.Name) and t.id == "DIVERSITY_AXES" for t in targets):
                value = getattr(node, "value", None)
                self.start, self.end = node.lineno - 1, (node.end_lineno or node.lineno) - 1
                if isinstance(value, ast.List):
                    self.axes = ast.literal_eval(value)
                    self.spots = [(e.lineno - 1, (e.end_lineno or e.lineno) - 1) for e in value.elts]

    def unique(self, first: int, last: int) -> list[str]:
        """Return the lines first..last with as many before them as make them the only such place."""
        text = "\n".join(self.lines)
        while first > 0 and text.count("\n".join(self.lines[first : last + 1])) > 1:
            first -= 1
        return self.lines[first : last + 1]

    def rewritten(self, axes: list[dict[str, Any]]) -> Edit:
        """Return an edit that replaces the whole list."""
        new = [f"DIVERSITY_AXES = {'[' if axes else '[]'}", *[line for a in axes for line in _lines(a)]]
        return self.lines[self.start : self.end + 1], [*new, "]"] if axes else new

    def axis(self, index: int, new: list[str]) -> Edit:
        """Return an edit that puts other lines in the place of one axis."""
        first, last = self.spots[index]
        shared = self.lines[first].lstrip()[:1] != "{" or any(
            first <= other[0] <= last for k, other in enumerate(self.spots) if k != index
        )
        if shared or not self.lines[last].rstrip().endswith(("}", "},")):
            axes: list[Any] = [a for k, a in enumerate(self.axes) if k != index]
            return self.rewritten(axes)  # the list is written in a way that no line edit fits
        return self.lines[first : last + 1], new


def _lines(axis: dict[str, Any]) -> list[str]:
    return [f"    {line}" for line in json.dumps(axis, indent=4, ensure_ascii=False).splitlines()[:-1]] + [
        "    },"
    ]


def _draw(rng: Random, taken: set[str]) -> dict[str, Any]:
    """Draw a behavior from the bank, all with the same chance."""
    name = rng.choice([n for n in BEHAVIORS if n not in taken] or list(BEHAVIORS))
    definition, on, off = BEHAVIORS[name]
    return {"behavior": name, "definition": definition, "presence": {"true": on, "false": off}}


def _pick(parent: _Parent, reflection: str, rng: Random) -> int:
    """Choose an axis, rather one that the reflection speaks of."""
    told = {word[:5] for word in re.findall(r"[a-z]{4,}", reflection.lower())}
    weights = [
        1 + min(4, len(told & {w[:5] for w in re.findall(r"[a-z]{4,}", str(a).lower())})) for a in parent.axes
    ]
    return rng.choices(range(len(parent.axes)), weights)[0]


def _add(parent: _Parent, axis: dict[str, Any]) -> Edit:
    opening = parent.lines[parent.start]
    if parent.axes and opening.rstrip().endswith("[") and parent.spots[0][0] > parent.start:
        return [opening], [opening, *_lines(axis)]
    return parent.rewritten([*parent.axes, axis])


def _reword(axis: dict[str, Any], reflection: str, rng: Random) -> dict[str, Any]:
    """Make a playbook stronger or weaker by how often it says a habit shows."""
    side = rng.choice(["true", "true", "false"])
    text = str(axis.get("presence", {}).get(side, ""))
    step = (
        -1
        if re.search(r"too (?:much|often|strong)|overdone|caricature", reflection) and rng.random() < 0.7
        else rng.choice([-1, 1])
    )
    told = _AMOUNT.search(text)
    if told is None:
        text = f"{_LADDER[2 + step]}, {text[:1].lower()}{text[1:]}"
    else:
        rung = max(0, min(4, _RUNGS[told[0].lower()] + step))
        text = (
            text[: told.start()]
            + (_LADDER[rung] if told.start() == 0 else _LADDER[rung].lower())
            + text[told.end() :]
        )
    return {**axis, "presence": {**axis.get("presence", {}), side: text}}


def _prompt_edit(parent: _Parent, rng: Random) -> Edit | None:
    """Add a wish after a line of one of the program's prompts."""
    places = []
    for node in parent.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            places += [
                k
                for k in range(node.lineno, (node.end_lineno or node.lineno) - 1)
                if parent.lines[k].endswith(".")
            ]
    if not places:
        return None
    at = rng.choice(places)
    found = parent.unique(at, at)
    wish = rng.choice(_WISHES)
    return (found, [*found, wish]) if wish not in parent.lines else None


def _logic_edit(parent: _Parent, rng: Random) -> list[Edit] | None:
    """Place the members by the program instead of the model, or order the records."""
    main = next(
        (n for n in parent.body if isinstance(n, ast.FunctionDef) and n.name == "generate_personas_detailed"),
        None,
    )
    for node in main.body if main else []:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if (
            isinstance(target, ast.Name)
            and target.id == "members"
            and "for a in axes" not in "\n".join(parent.lines)
        ):
            found = parent.unique(node.lineno - 1, (node.end_lineno or node.lineno) - 1)
            share = rng.choice(["0.5", "0.7", "0.3"])
            placed = f'        members[i]["axis_placement"] = {{a["behavior"]: toss.random() < {share} for a in axes}}'
            return [
                (found, [*found, "    toss = random.Random(len(c) + n)", "    for i in range(n):", placed]),
                (["import json"], ["import json", "import random"]),
            ][: 1 if "import random" in parent.lines else 2]
    last = main.body[-1] if main else None
    if isinstance(last, ast.Return) and isinstance(last.value, ast.Name):
        found = parent.unique(last.lineno - 1, last.lineno - 1)
        return [(found, [*found[:-1], f'    {last.value.id}.sort(key=lambda r: r["persona_id"])', found[-1]])]
    return None


def _propose(parent: _Parent, reflection: str, rng: Random) -> tuple[str, list[Edit]]:
    """Choose a kind of change and return what to say about it and its edits."""
    taken = {str(axis.get("behavior")) for axis in parent.axes}
    kinds = ["add"] * (8 if len(parent.axes) < 9 else 1) + ["prompt", "prompt", "logic"]
    kinds += ["replace"] * 4 + ["reword"] * 4 + ["drop"] * 2 if len(parent.axes) > 1 else []
    kind = rng.choice(kinds)
    if kind == "prompt" and (edit := _prompt_edit(parent, rng)):
        return f"I add a wish to a prompt: {edit[1][-1]}", [edit]
    if kind == "logic" and (edits := _logic_edit(parent, rng)):
        return "I change how the records are made.", edits
    if kind in ("replace", "reword", "drop"):
        index = _pick(parent, reflection, rng)
        old = parent.axes[index]
        if kind == "drop":
            return f"The axis {old['behavior']} does not pull its weight, so I drop it.", [
                parent.axis(index, [])
            ]
        new = _draw(rng, taken) if kind == "replace" else _reword(old, reflection, rng)
        said = f"I replace the axis {old['behavior']} by {new['behavior']}."
        return said if kind == "replace" else f"I reword the playbooks of {old['behavior']}.", [
            parent.axis(index, _lines(new))
        ]
    axis = _draw(rng, taken)
    return f"I add an axis, {axis['behavior']}: {axis['definition'].lower()}", [_add(parent, axis)]


def _spoil(answer: str, rng: Random) -> str:
    """Break an answer as real models do."""
    lines = answer.split("\n")
    first = lines.index("<<<<<<< SEARCH")
    side = next((k for k, line in enumerate(lines) if k > lines.index("=======") and '"false":' in line), 0)
    kind = rng.randrange(6 if side else 4)
    if kind == 0:  # quotes a line that is not there
        lines[first + 1] = lines[first + 1].rstrip() + "  # as before"
    elif kind == 1:  # forgets the divider
        lines.remove("=======")
    elif kind == 2:  # stops in the middle
        lines = lines[: lines.index(">>>>>>> REPLACE")]
    elif kind == 3:  # talks and does nothing
        lines = [*lines[:first], "I would keep the program otherwise as it is."]
    elif kind == 4:  # forgets one side of an axis
        lines = [line for k, line in enumerate(lines) if k != side]
    else:  # leaves a string open
        lines[side] = lines[side].rstrip('"')
    return "\n".join(lines)


def reply(messages: list[dict[str, Any]], seed: int = 0) -> str:
    """Answer a mutation request with a few words and one or two edits; about one answer in eight is malformed."""
    request = next(
        (m["content"] for m in messages if "## Parent program" in m["content"]), messages[-1]["content"]
    )
    rng = Random(f"{seed}|{len(messages)}")
    fence = re.search(r"## Parent program\s+```(?:python)?\n(.*?)\n```(?:\n|$)", request, re.S)
    reflection = re.search(r"## Reflection\s+(.*?)(?=\n## |\Z)", request, re.S)
    try:
        parent = _Parent(fence[1] if fence else "")
    except (SyntaxError, ValueError):
        parent = _Parent("")
    if parent.start < 0:
        return "I see no program with DIVERSITY_AXES to change."
    said, edits = _propose(parent, reflection[1] if reflection else "", rng)
    blocks = ["\n".join(["<<<<<<< SEARCH", *old, "=======", *new, ">>>>>>> REPLACE"]) for old, new in edits]
    answer = "\n".join([said, "", *blocks])
    return _spoil(answer, rng) if rng.random() < 0.13 else answer
