"""Start a run: the folder, its tasks and human reference, and ``run.json``, which makes it a run."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

import workbench
from workbench.disk import writing
from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.curriculum import choose_tasks
from workbench.evolve.run import Run
from workbench.evolve.settings import Settings
from workbench.measure import own
from workbench.measure.reference import humans
from workbench.simulate import scenarios
from workbench.simulate.agent import Agent, Function, load_agent
from workbench.simulate.tau2 import Task

# Left by a start that was killed.
CUT_SHORT = {"lock", "tasks.jsonl", "reference", "program.py", ".tmp-reference", ".tmp-run.json"}


@dataclass(frozen=True)
class Own:
    """What a person brings: a file of scenarios, the folder of a reference, a function (or its name) as the agent."""

    tasks: str | Path | None = None
    reference: str | Path | None = None
    agent: Function | str | None = None

    def settle(self, settings: Settings) -> Settings:
        """Note in the settings what is brought, by content or name, so that a resumed run is the same."""
        return replace(
            settings,
            tasks=scenarios.digest(self.tasks) if self.tasks else settings.tasks,
            reference=own.digest(self.reference) if self.reference else settings.reference,
            agent=Agent(self.agent).name if callable(self.agent) else self.agent or settings.agent,
        )

    def pools(self, settings: Settings, run: Path | None = None) -> dict[str, list[Task]]:
        """Return the tasks to draw from, of a run that is there or of one to be made, played by the agent's function.

        Raises
        ------
        WorkbenchError
            The scenarios are wrong or of another domain, or the agent is not to be had, or not the run's.
        """
        played = None
        if self.agent and self.settle(settings).agent != settings.agent:
            raise WorkbenchError(
                f"The run's agent is {settings.agent or 'a model'}; resume it with that, or start another run."
            )
        if settings.agent:
            most = settings.concurrency
            given = self.agent if callable(self.agent) else None
            played = Agent(given, settings.agent, most) if given else load_agent(settings.agent, most)
        file = run / "tasks.jsonl" if run and settings.tasks else self.tasks
        found = scenarios.pools(settings.domain, file, played)
        strange = {t.domain for pool in found.values() for t in pool} - {settings.domain}
        if strange:
            raise WorkbenchError(
                f"The scenarios are of the domain '{min(strange)}', the settings of '{settings.domain}'; let them agree."
            )
        return found


def tasks_of(run: Run) -> dict[str, Task]:
    """Return every task of a run's domain, or of its own scenarios, by id."""
    file = run.path / "tasks.jsonl" if run.settings.tasks else None
    found = scenarios.pools(run.settings.domain, file)
    return {task.task_id: task for pool in found.values() for task in pool}


def create(
    path: Path, settings: Settings, branch: tuple[Run, str] | None, lock: ExitStack, brought: Own
) -> None:
    """Make a run directory and take its lock; ``branch`` names the run and candidate to start from.

    A file of scenarios and a reference of one's own are copied into the run, which then needs neither; a branch
    takes those of its origin.

    Raises
    ------
    WorkbenchError
        When something else is there, the settings ask for too many tasks, or there is no such candidate.
    """
    if path.exists() and (not path.is_dir() or {p.name for p in path.iterdir()} - CUT_SHORT):
        raise WorkbenchError(f"{path} exists and is not a run directory; name another one.")
    if branch:
        old = branch[0].path
        brought = replace(
            brought,
            tasks=brought.tasks or (old / "tasks.jsonl" if settings.tasks else None),
            reference=brought.reference or (old / "reference" if settings.reference else None),
        )
    chosen = choose_tasks(settings, brought.pools(settings))
    people = _people(settings.domain, brought.reference)
    program = branch[0].program(branch[1]) if branch else None  # told before anything is written
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    lock.enter_context(store.writer(path))
    with store.new_folder(path / "reference") as folder:
        store.write_frames(folder, {"humans": people})
        for name in ("humans.parquet", "simulators.parquet", "reference.json") if brought.reference else ():
            shutil.copyfile(Path(brought.reference or "") / name, folder / name)
    if brought.tasks:
        with writing(path):
            shutil.copyfile(brought.tasks, path / "tasks.jsonl")
    origin: dict[str, Any] = {}
    if branch and program is not None:
        with writing(path):
            (path / "program.py").write_text(program)
        origin = {"branched_from": {"run_id": branch[0].run_id, "candidate_id": branch[1]}}
    plain = settings.as_json()
    steady = {k: v for k, v in plain.items() if k not in store.MAY_CHANGE}
    name = json.dumps([steady, origin, workbench.__version__], sort_keys=True)
    info = origin | {
        "format": store.FORMAT,
        "run_id": hashlib.sha256(name.encode()).hexdigest()[:12],
        "version": workbench.__version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "settings": plain,
        "tasks": {which: [t.task_id for t in found] for which, found in chosen.items()},
    }
    store.write_json(path / "run.json", info)


def _people(domain: str, reference: str | Path | None) -> pl.DataFrame:
    """Return people's fingerprints: of one's own reference, else those that the project ships."""
    if reference is None:
        try:
            return humans(domain)
        except WorkbenchError as error:
            raise WorkbenchError(
                f"{error}; for another domain build one: workbench reference --human … --simulated … -o DIR, then "
                "evolve --reference DIR"
            ) from None
    found = own.load(reference)
    if found.domain not in (None, domain):
        raise WorkbenchError(
            f"The reference {reference} is of {found.domain}, the run of {domain}; people and tasks must be of one domain."
        )
    return found.humans
