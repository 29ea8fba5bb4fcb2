"""Persona policies as plain JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.export.choose import Choice
from workbench.export.files import Written, lines, put

FIELDS = (
    "task_id",
    "persona_id",
    "hash",
    "split",
    "description",
    "reasoning",
    "axis_placement",
    "policy",
    "context",
)


def jsonl(choice: Choice, out: Path) -> Written:
    """Write one object a persona: the record, its task's text and where it comes from."""
    records = [record(choice, p) for p in choice.personas]
    return Written(put({out: lines(records)}), len(records), f"personas of {choice.label}")


def record(choice: Choice, persona: dict[str, Any]) -> dict[str, Any]:
    """Return a persona as plain data."""
    return {name: persona[name] for name in FIELDS} | choice.provenance
