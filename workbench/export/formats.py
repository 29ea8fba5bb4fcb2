"""Every format by its name, and the one function that writes any of them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.evolve.run import Run
    from workbench.export.choose import Choice
    from workbench.export.files import Written

_FORMATS = {
    "jsonl": ("personas:jsonl", "persona policies, one JSON object a line"),
    "tau2": ("tau2:tasks", "τ²-bench tasks.json, the policy in user_scenario.persona"),
    "tau2-plugin": ("tau2:plugin", "a folder: those tasks, and a module that makes the policy PPol's suffix"),
    "inspect": ("personas:inspect", "inspect_ai dataset samples"),
    "adk": ("personas:adk", "Google ADK conversation scenarios with user personas"),
    "mlflow": ("personas:mlflow", "MLflow ConversationSimulator test cases"),
    "deepeval": ("personas:deepeval", "DeepEval conversational goldens"),
    "program": ("program:program", "the generator as one Python file that runs anywhere"),
    "chat": ("chat:agent", "conversations as chat JSONL, to train the agent"),
    "chat-user": ("chat:simulator", "the same with roles flipped, to train a user simulator"),
}
FORMATS = {name: what for name, (_, what) in _FORMATS.items()}
"""The formats and what each is."""


def export(
    source: Run | str | Path,
    format: str,  # noqa: A002
    out: str | Path,
    *,
    condition: str | None = None,
    candidate: str | None = None,
    tasks: Sequence[str] = (),
    successful: bool = False,
) -> Written:
    """Write a run's personas, program or conversations in another tool's format.

    Parameters
    ----------
    source
        A run, or the path of one; for ``chat`` and ``chat-user`` also a file of traces.
    format
        A name in :data:`FORMATS`.
    out
        The file to write (a folder for ``tau2-plugin``); a file that is there is replaced.
    condition, candidate
        A held-out condition (dp, initial, evolved; for conversations also base), or a candidate's own batch. Neither
        means the evolved condition, and the best candidate where nothing has been evaluated.
    tasks
        Ids of the tasks to take; none means all.
    successful
        Conversations whose task succeeded, no others.

    Returns
    -------
    Written
        The files, and what was taken, cut and left out.

    Raises
    ------
    WorkbenchError
        When the format is unknown, the run has nothing of the kind, its terms forbid it, or ``out`` cannot be written.
    """
    if format not in FORMATS:
        raise WorkbenchError(f"There is no format '{format}'; the formats are {', '.join(FORMATS)}.")
    if successful and not format.startswith("chat"):
        raise WorkbenchError(f"--successful is of conversations (chat, chat-user), not of {format}.")
    if tasks and format == "program":
        raise WorkbenchError("--task is of personas and conversations; a program is for any task.")
    from workbench.export.choose import choose

    choice = choose(source, condition, candidate, tuple(tasks), successful)
    _keep_source(choice, Path(out))
    module, function = _FORMATS[format][0].split(":")
    written: Written = getattr(import_module(f"workbench.export.{module}"), function)(choice, Path(out))
    return written


def _keep_source(choice: Choice, out: Path) -> None:
    """Refuse an output that would replace what is being exported."""
    kept = choice.file or Path(choice.source.place)
    if kept.resolve() in (out.resolve(), *out.resolve().parents):
        raise WorkbenchError(
            f"-o {out} would write into {kept}, which is what is exported; name another place."
        )
