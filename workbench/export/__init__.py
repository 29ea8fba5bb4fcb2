"""Take things away: personas for other test tools, a generator as one file, conversations for training."""

from __future__ import annotations

from typing import Any

from workbench.export.formats import FORMATS, export

__all__ = ["FORMATS", "export", "to_program"]


def __getattr__(name: str) -> Any:
    """Import ``to_program`` when it is first asked for."""
    if name != "to_program":
        raise AttributeError(f"module 'workbench.export' has no attribute '{name}'")
    from workbench.export.program import to_program

    return to_program
