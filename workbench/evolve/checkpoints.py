"""Checkpoints of OpenEvolve, of every iteration together: programs are deleted once they are displaced."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

Json = dict[str, Any]
SCORES = ("combined_score", "human_likeness", "intra_set_diversity")


@dataclass
class Node:
    """A program of the other run, and what its checkpoints and logs say of it."""

    uid: str
    code: str
    parent: str | None
    order: tuple[float, float, str]  # iteration, time, id
    depth: int
    metrics: Json
    record: Json
    log: Json | None = None
    reflection: str = ""
    validation: Json = field(default_factory=dict)

    @property
    def scores(self) -> tuple[float | None, ...]:
        """The numbers by which a log is recognized."""
        return tuple(as_number(self.metrics.get(name)) for name in SCORES)

    @property
    def scored(self) -> bool:
        """Whether ppol scored it; zeros without a number of episodes stand for a program that failed."""
        return as_number(self.metrics.get("n_episodes")) is not None


def checkpoints_of(path: Path) -> list[Path]:
    """Return a run's checkpoints, oldest first."""
    if (path / "metadata.json").is_file() and (path / "programs").is_dir():
        return [p for p in _numbered(path.parent) if _index(p) <= _index(path)] or [path]
    folders = (path / "openevolve" / "checkpoints", path / "checkpoints", path)
    return next((found for folder in folders if (found := _numbered(folder))), [])


def _numbered(folder: Path) -> list[Path]:
    found = folder.glob("checkpoint_*") if folder.is_dir() else ()
    return sorted((p for p in found if _index(p) >= 0 and (p / "programs").is_dir()), key=_index)


def _index(checkpoint: Path) -> int:
    name, _, number = checkpoint.name.partition("_")
    return int(number) if name == "checkpoint" and number.isdecimal() else -1


def union(checkpoints: Sequence[Path], path: Path, missing: list[str]) -> tuple[list[Node], str | None]:
    """Read every program of any checkpoint, in its newest version; copies made for other islands are left out."""
    records: dict[str, Json] = {}
    broken: set[str] = set()
    for checkpoint in reversed(checkpoints):
        for file in sorted((checkpoint / "programs").glob("*.json")):
            if file.stem not in records:
                record = load(file)
                if record and isinstance(record.get("code"), str):
                    records[file.stem] = record
                else:
                    broken.add(file.stem)
    if lost := len(broken - set(records)):
        missing.append(f"{lost} program file(s) that could not be read")
    if not records:
        raise WorkbenchError(f"{path} holds checkpoints, but no program in them can be read.")
    same = {uid: uid for uid in records}
    for uid, first in records.items():  # a copy is its original: a migrant, or one made for an empty island
        seen, up = {uid}, str(first.get("parent_id"))
        while up in records and up not in seen and records[up]["code"] == first["code"]:
            seen.add(up)
            same[uid], up = up, str(records[up].get("parent_id"))
    orphans = 0
    nodes = []
    for uid, record in records.items():
        if same[uid] != uid:
            continue
        parent = record.get("parent_id")
        orphans += parent is not None and parent not in records
        order = (as_number(record.get("iteration_found")) or 0, as_number(record.get("timestamp")) or 0, uid)
        metrics = as_dict(record.get("metrics"))
        node = Node(uid, as_text(record["code"]), same.get(str(parent)), order, 0, metrics, record)
        node.reflection = as_text(artifacts(record).get("evaluator_reflection"))
        nodes.append(node)
    if orphans:
        missing.append(f"the parents of {orphans} program(s): displaced before a checkpoint was written")
    if copies := len(records) - len(nodes):
        missing.append(f"{copies} copies for other islands, shown as the programs that they are")
    best = next(
        (b for c in reversed(checkpoints) if (b := (load(c / "metadata.json") or {}).get("best_program_id"))),
        None,
    )
    return sorted(nodes, key=lambda n: n.order), same.get(str(best))


def artifacts(record: Json) -> Json:
    """Return what an evaluation left beside its scores: a JSON object kept as text."""
    try:
        return as_dict(json.loads(record.get("artifacts_json") or "{}"))
    except (TypeError, ValueError):
        return {}


def load(path: Path) -> Json | None:
    """Read a JSON object; None when it is none, as in a file that was cut off."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def json_lines(path: Path) -> Iterator[Json]:
    """Read the objects of a JSON lines file, as far as they are whole."""
    if path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue  # the last line of a run that was killed
            if isinstance(row, dict):
                yield row


def as_dict(value: Any) -> Json:
    """Return a JSON object, empty where there is none."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return a JSON list, empty where there is none."""
    return value if isinstance(value, list) else []


def as_dicts(value: Any) -> list[Json]:
    """Return the JSON objects of a list."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def as_number(value: Any) -> float | None:
    """Return a finite number, None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1e300 < value < 1e300:
        return None
    return float(value)


def as_text(value: Any) -> str:
    """Return text that a file can hold, empty for nothing."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode()
