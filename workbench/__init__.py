"""Persona Policies workbench: evolve, inspect and report user simulators that behave like real people.

The names below are the stable public interface. Everything is imported on first use, so that
``import workbench`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Discriminator": "workbench.measure.discriminator",
    "Run": "workbench.evolve.run",
    "Search": "workbench.evolve.search",
    "WorkbenchError": "workbench.errors",
    "alignment": "workbench.measure.alignment",
    "coverage": "workbench.measure.coverage",
    "fingerprint": "workbench.measure.fingerprint",
    "open_run": "workbench.evolve.run",
    "read_traces": "workbench.traces",
}
_ROOMS = ("evolve", "export", "llm", "measure", "show", "simulate", "traces")

__all__ = [
    "Discriminator",
    "Run",
    "Search",
    "WorkbenchError",
    "__version__",
    "alignment",
    "coverage",
    "evolve",
    "export",
    "fingerprint",
    "llm",
    "measure",
    "open_run",
    "read_traces",
    "show",
    "simulate",
    "traces",
]

if TYPE_CHECKING:
    from workbench import evolve, export, llm, measure, show, simulate, traces
    from workbench.errors import WorkbenchError
    from workbench.evolve.run import Run, open_run
    from workbench.evolve.search import Search
    from workbench.measure.alignment import alignment
    from workbench.measure.coverage import coverage
    from workbench.measure.discriminator import Discriminator
    from workbench.measure.fingerprint import fingerprint
    from workbench.traces import read_traces


def __getattr__(name: str) -> Any:
    """Import a public name or a room when it is first asked for."""
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _ROOMS:
        value = import_module(f"workbench.{name}")
    else:
        raise AttributeError(f"module 'workbench' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
