"""What people see: tables, charts, the report, and the widgets of the notebooks.

Everything is imported on first use: ``wb.show.stepper(run)`` is the first moment that widgets load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "diffs": "workbench.show.diffing",
    "demo_run": "workbench.show.samples",
    "copy_of": "workbench.show.samples",
    "map": "workbench.show.mapping:persona_map",
    "persona_map": "workbench.show.mapping",
    "scores": "workbench.show.scoring",
    "stepper": "workbench.show.stepping",
}

__all__ = ["copy_of", "demo_run", "diffs", "map", "persona_map", "scores", "stepper"]

if TYPE_CHECKING:
    from workbench.show.diffing import diffs
    from workbench.show.mapping import persona_map
    from workbench.show.mapping import persona_map as map  # noqa: A004
    from workbench.show.samples import copy_of, demo_run
    from workbench.show.scoring import scores
    from workbench.show.stepping import stepper


def __getattr__(name: str) -> Any:
    """Import a view when it is first asked for; a module of the same name never takes its place."""
    if name not in _HOME:
        raise AttributeError(f"module 'workbench.show' has no attribute '{name}'")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value
