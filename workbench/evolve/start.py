"""Start a run: the folder, its tasks and human reference, and ``run.json``, which makes it a run."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import workbench
from workbench.disk import writing
from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.curriculum import choose_tasks
from workbench.evolve.run import Run
from workbench.evolve.settings import Settings
from workbench.measure.reference import humans

CUT_SHORT = {
    "lock",
    "reference",
    "program.py",
    ".tmp-reference",
    ".tmp-run.json",
}  # left by a start that was killed


def create(path: Path, settings: Settings, branch: tuple[Run, str] | None, lock: ExitStack) -> None:
    """Make a run directory and take its lock; ``branch`` names the run and candidate to start from.

    Raises
    ------
    WorkbenchError
        When something else is there, the settings ask for too many tasks, or there is no such candidate.
    """
    if path.exists() and (not path.is_dir() or {p.name for p in path.iterdir()} - CUT_SHORT):
        raise WorkbenchError(f"{path} exists and is not a run directory; name another one.")
    tasks = choose_tasks(settings)
    people = humans(settings.domain)
    program = branch[0].program(branch[1]) if branch else None
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    lock.enter_context(store.writer(path))
    with store.new_folder(path / "reference") as folder:
        store.write_frames(folder, {"humans": people})
    plain = settings.as_json()
    origin: dict[str, Any] = {}
    if branch and program is not None:
        with writing(path):
            (path / "program.py").write_text(program)
        origin = {"branched_from": {"run_id": branch[0].run_id, "candidate_id": branch[1]}}
    steady = {k: v for k, v in plain.items() if k not in store.MAY_CHANGE}
    name = json.dumps([steady, origin, workbench.__version__], sort_keys=True)
    info = origin | {
        "format": store.FORMAT,
        "run_id": hashlib.sha256(name.encode()).hexdigest()[:12],
        "version": workbench.__version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "settings": plain,
        "tasks": {which: [t.task_id for t in found] for which, found in tasks.items()},
    }
    store.write_json(path / "run.json", info)
