"""The experiment matrix: every cell of a plan as an ordinary run directory, completed in parallel, and its frames."""

from __future__ import annotations

import multiprocessing
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve import conditions, store
from workbench.evolve.estimate import episodes, estimate
from workbench.evolve.plan import MAIN, Cell, Plan
from workbench.evolve.progress import Progress
from workbench.evolve.run import Run, open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.llm import loop
from workbench.llm.client import Client, LLMError

FORMAT = 1
INFO = "matrix.json"
TOLD = 5  # differences in a column that are told one by one
FRAMES = (
    *("cells", "conditions", "by_task", "candidates", "axes", "programs", "episodes", "fingerprints"),
    *("panel", "discriminator", "importance", "n_curve", "umap", "transcripts"),
)
Task = Callable[[Path, Plan, Cell, Callable[[Progress], None]], Any]


class Matrix:
    """The frames of a matrix, read back; made by :func:`open_matrix`.

    Every name of :data:`FRAMES` is an attribute: a DataFrame (docs/paper.md has the columns). ``info`` is what
    ``matrix.json`` says.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.info: Mapping[str, Any] = store.read_json(folder / INFO)
        if self.info.get("format") != FORMAT or "plan" not in self.info:
            raise WorkbenchError(
                f"{folder} has matrix format {self.info.get('format')}; this version reads format {FORMAT}. "
                "Make the frames again with 'workbench paper' and the plan."
            )
        if missing := [name for name in FRAMES if not (folder / f"{name}.parquet").is_file()]:
            raise WorkbenchError(
                f"{folder} lacks {missing[0]}.parquet; make the frames again with 'workbench paper' and the plan."
            )

    def __getattr__(self, name: str) -> pl.DataFrame:
        if name not in FRAMES:
            raise AttributeError(f"a matrix has no frame '{name}'; it has {', '.join(FRAMES)}")
        path = self.path / f"{name}.parquet"
        try:
            frame = pl.read_parquet(path)
        except (pl.exceptions.ComputeError, OSError) as error:
            raise WorkbenchError(
                f"{path} is corrupt ({error}); make the frames again from the plan."
            ) from None
        self.__dict__[name] = frame
        return frame


def open_matrix(folder: str | Path) -> Matrix:
    """Open the frames of a matrix: the folder with ``matrix.json``, or the one above it.

    Raises
    ------
    WorkbenchError
        When there is no matrix, a frame is missing, or another version wrote it.
    """
    place = Path(folder)
    for found in (place, place / "frames"):
        if (found / INFO).is_file():
            return Matrix(found)
    raise WorkbenchError(
        f"{folder} holds no matrix ({INFO} is missing); name the folder that 'workbench paper PLAN.toml -o' filled."
    )


def differences(one: Matrix, other: Matrix) -> list[str]:
    """Compare two matrices frame by frame, fractions to three digits; return what differs, a line each.

    The planes of ``umap`` are left out: they are a picture, and differ between machines. So are columns of cost.
    """
    found = []
    for name in FRAMES:
        if name == "umap":
            continue
        a, b = (
            getattr(m, name).with_columns(pl.selectors.float().cast(pl.Float64).round(3) + 0.0)
            for m in (one, other)
        )
        if a.columns != b.columns or len(a) != len(b):
            found.append(f"{name}: {len(a)} rows of {a.width} columns against {len(b)} of {b.width}")
            continue
        for column in a.columns:
            rows = a[column].ne_missing(b[column]).arg_true().to_list()
            here = f"{name}, {column}"
            found += [f"{here}, row {i}: {a[column][i]} against {b[column][i]}" for i in rows[:TOLD]]
            if len(rows) > TOLD:
                found.append(f"{here}: {len(rows) - TOLD} more rows differ")
    return found


def planned(plan: Plan) -> pl.DataFrame:
    """Count what a plan takes, cell by cell: the key, episodes, requests, tokens and cost (null: unknown price)."""
    rows = []
    for cell in plan.cells:
        total, candidates = _size(plan, cell)
        found = estimate(cell.settings, total, candidates)
        sums = {name: int(found[name].sum()) for name in ("requests", "tokens_in", "tokens_out")}
        cost = None if found["cost"].is_null().any() else float(found["cost"].sum())
        rows.append(cell.key | {"episodes": total} | sums | {"cost": cost})
    return pl.DataFrame(rows, schema_overrides={"cost": pl.Float64})


def _size(plan: Plan, cell: Cell) -> tuple[int, int]:
    """Return how many episodes and candidates a cell takes; what the main search has made is shared."""
    simulated = sum(name != "humans" for name in cell.conditions)
    if cell.origin:
        return simulated * cell.settings.test_tasks * cell.settings.test_personas, 0
    parts = episodes(cell.settings, simulated)
    if _main(plan, cell):
        parts = {name: count for name, count in parts.items() if not name.endswith("train tasks")}
    return sum(parts.values()), 1 + cell.settings.generations * cell.settings.proposals


def complete(
    plan: Plan, root: Path, *, jobs: int = 1, report: Callable[[Progress], None] | None = None
) -> list[str | None]:
    """Run what is not there yet: main searches, then what builds on them; a cell that fails does not stop the others.

    Parameters
    ----------
    plan
        What to run.
    root
        Below it each cell has a run directory of its own (:attr:`Cell.folder`).
    jobs
        Processes; results do not depend on it.
    report
        Told about progress over all cells.

    Returns
    -------
    list
        For each cell of the plan, in its order, None or why it could not be completed.
    """
    left = [cell for cell in plan.cells if not is_complete(root, cell)]
    progress = Progress(report, total=sum(_size(plan, cell)[0] for cell in left))
    reasons: dict[str, str | None] = {}
    for main in (True, False):  # a transfer is no longer complete once the program it scored was surpassed
        cells = [c for c in plan.cells if (c.search == MAIN) is main and not is_complete(root, c)]
        found = on_workers(_run, root, plan, cells, jobs, progress)
        reasons |= {cell.name: reason for cell, reason in zip(cells, found, strict=True)}
    return [reasons.get(cell.name) for cell in plan.cells]


def is_complete(root: Path, cell: Cell) -> bool:
    """Tell whether a cell was run with the plan's settings, and evaluated under each of its conditions."""
    path = root / cell.folder
    if not (path / "run.json").exists():
        return False
    try:
        run = open_run(path)
        found = conditions.evaluated(run, transfer=cell.source is not None)
        if cell.source and run.info.get("branched_from") != _named(_best(root / cell.source)):
            return False
    except WorkbenchError:
        return False
    return run.settings == cell.settings and set(cell.conditions) <= set(found)


def _run(root: Path, plan: Plan, cell: Cell, tick: Callable[[Progress], None]) -> str | None:
    """Complete one cell; return why it could not be."""
    path = root / cell.folder
    try:
        origin = _origin(root, plan, cell)
        if any(not e.offline for e in cell.settings.roles.values()):
            loop.run(_ask(cell.settings))
        with Search(path, cell.settings, report=tick, branch=origin) as search:
            _share(root, plan, cell, search)
            program = None
            if origin:
                search.prepare()
                program = origin[0].program(origin[1])
            else:
                search.finish()
            conditions.evaluate(search, only=cell.conditions, program=program)
    except WorkbenchError as error:
        return str(error)
    except LLMError as error:
        return error.reason
    return None


async def _ask(settings: Settings) -> None:
    """Fail at once, with the endpoint's own words, when a model does not answer."""
    async with aclosing(Client(settings.roles)) as client:
        await client.check(("user", "agent", "generator", "mutation", "reflection"))


def _origin(root: Path, plan: Plan, cell: Cell) -> tuple[Run, str] | None:
    """Return the run and the program that a transfer scores; what was scored of another one is removed."""
    if cell.origin is None:
        return None
    source = plan.cell(*cell.origin, MAIN, cell.seed)
    if source is None or not is_complete(root, source):
        where = source.name if source else " and ".join(cell.origin)
        raise WorkbenchError(f"There is no evolved program to transfer: {where} is not complete.")
    best, path = _best(root / source.folder), root / cell.folder
    if (path / "run.json").exists() and open_run(path).info.get("branched_from") != _named(best):
        shutil.rmtree(path)
    return best


def _best(path: Path) -> tuple[Run, str]:
    run = open_run(path)
    return run, run.best


def _named(best: tuple[Run, str]) -> dict[str, str]:
    """Name a program as a run that branched from it does."""
    return {"run_id": best[0].run_id, "candidate_id": best[1]}


def _main(plan: Plan, cell: Cell) -> Cell | None:
    """Return the main search beside a cell, if the plan has it and the cell is not it."""
    return None if cell.search == MAIN else plan.cell(cell.domain, cell.simulator, MAIN, cell.seed)


def _share(root: Path, plan: Plan, cell: Cell, search: Search) -> None:
    """Take over what the main search of the same seed has simulated before any program of its own.

    The base simulator's train episodes, and with them the frozen forest, are then the same for all searches of
    a seed, and so is what the first program's scores are on the train tasks, where tasks and N are the same.
    """
    main = _main(plan, cell)
    if main is None or not (root / main.folder / "run.json").exists():
        return
    run = open_run(root / main.folder)
    names = ["base_train"]
    same = run.tasks == search.run.tasks and main.settings.stages[-1] == cell.settings.stages[-1]
    if same and not cell.origin:
        names.append("first_train")
    for name in names:
        source, target = run.path / "conditions" / name, search.path / "conditions" / name
        if source.exists() and not target.exists():
            with store.new_folder(target) as part:
                shutil.copytree(source, part, dirs_exist_ok=True)


# -- processes ------------------------------------------------------------------------------------


def on_workers(
    task: Task, root: Path, plan: Plan, cells: Sequence[Cell], jobs: int, progress: Progress | None = None
) -> list[Any]:
    """Do a task for each cell, in several processes; return the results in the cells' order.

    The processes end with this one, however it ends, so that the same command can go on at once.

    Raises
    ------
    WorkbenchError
        When one of them dies.
    """
    progress = progress or Progress()
    if jobs == 1 or len(cells) < 2:
        return [_counted(task, root, plan, cell, progress) for cell in cells]
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    others = set(multiprocessing.active_children())
    jobs = min(jobs, len(cells))
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(told,)) as pool:
        try:
            futures = [pool.submit(_apart, task, root, plan, cell) for cell in cells]
            while not all(f.done() for f in futures):
                with suppress(queue.Empty):
                    progress.at(*told.get(timeout=0.2))
            return [f.result() for f in futures]
        except BrokenProcessPool:
            raise WorkbenchError(
                "A worker process died (is memory short?); give the same command again, with fewer --jobs."
            ) from None
        finally:
            if sys.exc_info()[0]:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()


def _start(told: Any) -> None:
    """Prepare a worker process: it reports to ``told``, and ends with its parent."""
    global _TOLD  # noqa: PLW0603 - a process has one
    _TOLD = told
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


_TOLD: Any = None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _apart(task: Task, root: Path, plan: Plan, cell: Cell) -> Any:
    """Do a task in a worker process, telling the parent at most five times a second."""
    progress, told, when = Progress(), 0, time.monotonic()

    def tell(now: Progress) -> None:
        nonlocal told, when
        if time.monotonic() - when > 0.2:
            _TOLD.put((now.doing, now.done - told))
            told, when = now.done, time.monotonic()

    progress.report = tell
    result = _counted(task, root, plan, cell, progress)
    _TOLD.put((cell.name, progress.done - told))
    return result


def _counted(task: Task, root: Path, plan: Plan, cell: Cell, progress: Progress) -> Any:
    """Do a task and count the cell's episodes as planned, whatever became of them."""
    start = progress.done

    def tick(inner: Progress) -> None:
        progress.at(f"{cell.name}: {inner.doing}", start + inner.done - progress.done)

    result = task(root, plan, cell, tick)
    progress.at(cell.name, start + _size(plan, cell)[0] - progress.done)
    return result
