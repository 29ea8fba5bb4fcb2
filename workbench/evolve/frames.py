"""What the runs of a matrix say, as its frames: rounded, sorted, and free of wall-clock, so that the same runs give the same bytes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl

import workbench
from workbench.errors import WorkbenchError
from workbench.evolve import conditions, store
from workbench.evolve.matrix import FORMAT, FRAMES, INFO, Matrix, is_complete, on_workers
from workbench.evolve.plan import MAIN, Cell, Plan
from workbench.evolve.progress import Progress
from workbench.evolve.run import Run, open_run
from workbench.evolve.scoring import subsets
from workbench.evolve.settings import differences as differing
from workbench.llm import loop
from workbench.measure import FEATURES
from workbench.measure.coverage import Cloud
from workbench.measure.discriminator import Discriminator
from workbench.measure.faults import FAULTS
from workbench.measure.held_out import importance, report, scored
from workbench.measure.reference import humans, simulators
from workbench.measure.uncertainty import summarize
from workbench.simulate.program import ProgramRejected, read_axes
from workbench.simulate.seeds import derive

Frames = dict[str, pl.DataFrame]
Panel = Callable[[Run], pl.DataFrame]
DRAWS = 16  # subsets of N conversations a task, for coverage against N
BUNDLES = 200  # bundles of N people
DIGITS = 6
KEY: dict[str, Any] = {"domain": pl.String, "simulator": pl.String, "search": pl.String, "seed": pl.Int64}
EPISODES = (
    *("condition", "dialogue_id", "task_id", "persona_id", "reward", "success", "needs_write", "ended_by"),
    *(
        "fault",
        *FAULTS,
        "goal_pieces",
        "goal_delivered",
        "error",
        "likeness",
        "tokens_in",
        "tokens_out",
        "cost",
    ),
)
_TASK = "tau2_task_id"


def write(
    plan: Plan,
    root: Path,
    reasons: list[str | None],
    folder: Path,
    *,
    panel: Panel,
    layout: Callable[[pl.DataFrame], pl.DataFrame],
    jobs: int = 1,
) -> Matrix:
    """Write the frames of what was run.

    Parameters
    ----------
    plan, root, reasons
        As :func:`workbench.evolve.matrix.complete` took and returned them.
    folder
        Where the frames go; it appears, or changes, as a whole.
    panel
        The Goodhart panel of a run.
    layout
        Lays fingerprints (domain, condition, dialogue_id, features) out on planes.
    jobs
        Processes; the frames do not depend on it.

    Raises
    ------
    WorkbenchError
        When no main search got as far as a held-out result.
    """
    have = [cell for cell in plan.cells if _is_of(root, cell)]
    found = on_workers(partial(_of_cell, panel=panel), root, plan, have, jobs)
    parts = dict(zip((cell.name for cell in have), found, strict=True))
    if not any(cell.search == MAIN and "conditions" in parts[cell.name] for cell in have):
        first = next((f"{c.name}: {r}" for c, r in zip(plan.cells, reasons, strict=True) if r), "")
        raise WorkbenchError(f"No main search has a held-out result, so there is nothing to show. {first}")
    frames = {
        name: pl.concat([part[name] for part in found if name in part], how="diagonal_relaxed")
        for name in dict.fromkeys(name for part in found for name in part)
    }
    frames["cells"] = _cells(plan, reasons, frames["conditions"])
    for domain in dict.fromkeys(cell.domain for cell in plan.cells):
        for name, more in _public(domain).items():
            frames[name] = pl.concat([frames[name], more], how="diagonal_relaxed")
    frames["n_curve"] = _n_curve(frames["n_curve"])
    frames["umap"] = layout(_drawn(frames["fingerprints"]))
    with store.new_folder(folder) as part:
        store.write_frames(part, {name: _rounded(frames[name], name) for name in FRAMES})
        store.write_json(part / INFO, _info(plan, root, have))
    return Matrix(folder)


def _is_of(root: Path, cell: Cell) -> bool:
    """Tell whether a cell has a run, and one with the plan's settings: that of an earlier plan shows nothing."""
    path = root / cell.folder
    return (path / "run.json").exists() and not differing(open_run(path).settings, cell.settings)


def _of_cell(root: Path, plan: Plan, cell: Cell, tick: Callable[[Progress], None], *, panel: Panel) -> Frames:
    """Return what one cell adds to each frame."""
    run = open_run(root / cell.folder)
    have = conditions.evaluated(run, transfer=cell.origin is not None)
    done = [name for name in cell.conditions if name in have]
    simulated = [name for name in done if name != "humans"]
    once: Frames = {}
    if done:
        table = conditions.table(run).filter(pl.col("condition").is_in(done))
        once["conditions"] = table.with_columns(run_id=pl.lit(run.run_id))
    if cell.origin is None:
        once |= {"candidates": run.candidates.drop("seconds", "created")} | _programs(run)
    if cell.search == MAIN and "base" in done:
        once |= _of_main(run, cell, simulated, panel)
        if cell == next(c for c in plan.cells if c.search == MAIN):
            once["transcripts"] = _transcripts(run)
    rows = defaultdict(list, {name: [frame] for name, frame in once.items()})
    for name in simulated:
        rows["by_task"].append(conditions.by_task(run, name).with_columns(condition=pl.lit(name)))
        episodes = run.frame(f"conditions/{name}", "episodes").select(EPISODES)
        rows["episodes"].append(episodes)
        prints = run.frame(f"conditions/{name}", "fingerprints").join(
            episodes.select("dialogue_id", "task_id", "condition"), on="dialogue_id"
        )
        rows["fingerprints"].append(prints.with_columns(split=pl.lit("test")))
    key = [pl.lit(value, KEY[name]).alias(name) for name, value in cell.key.items()]
    return {
        name: pl.concat(parts, how="diagonal").select(*key, pl.exclude(KEY)) for name, parts in rows.items()
    }


def _of_main(run: Run, cell: Cell, simulated: list[str], panel: Panel) -> Frames:
    """Return panel, discriminator, importance, people's fingerprints and coverage against N."""
    people = {part: run.humans.filter(split=part) for part in ("train", "test")}
    forest = Discriminator.fit(people["train"], run.frame("conditions/base_train", "fingerprints"))
    once = run.frame("conditions/base", "episodes").filter(persona_id="trial00")
    base = run.frame("conditions/base", "fingerprints").join(
        once.select("dialogue_id", pl.col("task_id").alias(_TASK)), on="dialogue_id"
    )
    about = {"condition": pl.lit("humans"), "task_id": pl.col(_TASK)}
    return {
        "panel": panel(run),
        "fingerprints": run.humans.select("dialogue_id", "split", *FEATURES, **about),
        "n_curve": _coverages(run, cell, simulated),
        **_judged(forest, people["test"], base, real=False),
    }


def _judged(forest: Discriminator, people: pl.DataFrame, others: pl.DataFrame, **about: Any) -> Frames:
    """Return how well a forest tells people from others, and by what; ``about`` goes into every row."""
    found = {
        "discriminator": pl.DataFrame([report(scored(forest, people, others))]),
        "importance": importance(forest, people, others),
    }
    return {
        name: frame.with_columns(pl.lit(v).alias(k) for k, v in about.items())
        for name, frame in found.items()
    }


def _coverages(run: Run, cell: Cell, simulated: list[str]) -> pl.DataFrame:
    """Return mean coverage of subsets of n conversations by condition and task, and of bundles of n people."""
    train = run.humans.filter(split="train")
    clouds = {"coverage": Cloud(train), "coverage_standardized": Cloud(train, standardize=True)}
    rows: list[dict[str, Any]] = []

    def add(condition: str, task: str, frame: pl.DataFrame, draws: int) -> None:
        frame = frame.sort("dialogue_id")
        for n in range(1, min(cell.settings.test_personas, len(frame)) + 1):
            parts = subsets(frame, n, draws, derive(cell.seed, "n_curve", condition, task, n))
            means = {
                name: math.fsum(map(cloud.coverage, parts)) / len(parts) for name, cloud in clouds.items()
            }
            rows.append({"condition": condition, "task_id": task, "n": n, **means})

    test = run.humans.filter(split="test")
    for bundle in range(BUNDLES // DRAWS):
        add("humans", f"bundle {bundle}", test, DRAWS)
    for condition in simulated:
        prints, episodes = (run.frame(f"conditions/{condition}", x) for x in ("fingerprints", "episodes"))
        table = prints.join(episodes.select("dialogue_id", "task_id"), on="dialogue_id").sort("task_id")
        for task, frame in table.partition_by("task_id", as_dict=True, maintain_order=True).items():
            add(condition, str(task[0]), frame, DRAWS)
    return pl.DataFrame(rows)


def _n_curve(table: pl.DataFrame) -> pl.DataFrame:
    """Average coverage against N over tasks and seeds, with intervals clustered by task."""
    rows = []
    by = ["domain", "simulator", "condition", "n"]
    for key, part in table.partition_by(by, as_dict=True, maintain_order=True).items():
        row = dict(zip(by, key, strict=True)) | {"n_tasks": part["task_id"].n_unique()}
        for name in ("coverage", "coverage_standardized"):
            mean = summarize(part[name], part["task_id"])
            row |= {name: mean.mean, f"{name}_low": mean.low, f"{name}_high": mean.high}
        rows.append(row)
    return pl.DataFrame(rows)


def _programs(run: Run) -> Frames:
    """Return the axes of every candidate, and the programs on the path from the seed to the best."""
    axes, parents = [], {}
    for candidate, generation, parent in run.candidates.select(
        "candidate_id", "generation", "parent"
    ).iter_rows():
        parents[candidate] = parent
        try:
            found = loop.run(read_axes(run.program(candidate)))
        except ProgramRejected:
            continue
        axes += [(candidate, generation, axis["behavior"], axis["definition"]) for axis in found]
    path: list[tuple[str, str | None, str]] = []
    at = None if run.candidates.filter(status="accepted").is_empty() else run.best
    while at:
        path.insert(0, (at, parents[at], run.program(at)))
        at = parents[at]
    kinds = {
        "candidate_id": pl.String,
        "generation": pl.Int32,
        "behavior": pl.String,
        "definition": pl.String,
    }
    steps = {"candidate_id": pl.String, "parent": pl.String, "source": pl.String}
    return {
        "axes": pl.DataFrame(axes, schema=kinds, orient="row"),
        "programs": pl.DataFrame(path, schema=steps, orient="row"),
    }


def _transcripts(run: Run) -> pl.DataFrame:
    """Return what was said in the first batches of two candidates: the seed program and the best other one."""
    others = run.candidates.filter(pl.col("candidate_id") != "0000", status="accepted").sort("rank")
    best = others["candidate_id"].to_list()[-1:] if run.best == "0000" else [run.best]
    parts = []
    for candidate in ("0000", *best):
        chosen = run.frame(f"candidates/{candidate}", "episodes").filter(split="train")
        turns = run.frame(f"candidates/{candidate}", "turns")
        about = chosen.select("dialogue_id", "candidate_id", "persona_id", "success", "fault", "likeness")
        parts.append(turns.join(about, on="dialogue_id").sort("dialogue_id", "turn"))
    kept = ("candidate_id", "dialogue_id", "task_id", "persona_id", "turn", "role", "content", "tool_calls")
    return pl.concat(parts).select(*kept, "reward", "success", "fault", "likeness")


@cache
def _public(domain: str) -> Frames:
    """Judge forests against the real simulators whose fingerprints ship: fitted on train tasks, told apart on test tasks.

    A file without train tasks is told apart by a forest fitted on the other files of its domain.
    """
    rows = []
    people = {part: humans(domain).filter(split=part) for part in ("train", "test")}
    base = simulators(domain).filter(pl.col("trait").is_null(), variant="as_found")
    for file in base["file"].unique().sort():
        train, test = (base.filter(file=file, split=part) for part in ("train", "test"))
        if test.is_empty():
            continue
        alone = len(train) > 1
        forest = Discriminator.fit(
            people["train"], train if alone else base.filter(pl.col("file") != file, split="train")
        )
        note = "" if alone else "no train task: fitted on the other files"
        about = {"domain": domain, "simulator": file, "real": True, "note": note}
        rows.append(_judged(forest, people["test"], test, **about))
    return {name: pl.concat(row[name] for row in rows) for name in ("discriminator", "importance")}


def _drawn(prints: pl.DataFrame) -> pl.DataFrame:
    """Choose what the plane shows: people, base and evolved of each domain's first main search."""
    main = prints.filter(search=MAIN)
    first = main.unique("domain", keep="first", maintain_order=True).select("domain", "simulator", "seed")
    shown = main.join(first, on=["domain", "simulator", "seed"], how="semi", maintain_order="left")
    return shown.filter(pl.col("condition").is_in(["humans", "base", "evolved"]))


def _cells(plan: Plan, reasons: list[str | None], done: pl.DataFrame) -> pl.DataFrame:
    """Return what became of every cell and condition."""
    ids = {tuple(r[:5]): r[5] for r in done.select(*KEY, "condition", "run_id").iter_rows()}
    rows = []
    for cell, reason in zip(plan.cells, reasons, strict=True):
        for condition in cell.conditions:
            run_id = ids.get((*cell.key.values(), condition))
            status = "done" if run_id else "failed" if reason else "missing"
            rows.append(
                cell.key
                | {"condition": condition, "status": status, "reason": None if run_id else reason}
                | {"run_id": run_id, "model": cell.settings.roles["user"].model}
            )
    kinds = {"reason": pl.String, "run_id": pl.String, "seed": pl.Int64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def _info(plan: Plan, root: Path, have: list[Cell]) -> Mapping[str, Any]:
    runs = {cell.folder.as_posix(): open_run(root / cell.folder) for cell in have}
    models = {
        cell.simulator: {role: e.model for role, e in cell.settings.roles.items()} for cell in plan.cells
    }
    return {
        "format": FORMAT,
        "title": plan.title,
        "plan": plan.text,
        "version": workbench.__version__,
        "date": max(str(run.info["created"])[:10] for run in runs.values()),
        "models": models,
        "rehearsed": any(e.rehearsed for cell in plan.cells for e in cell.settings.roles.values()),
        "complete": all(is_complete(root, cell) for cell in plan.cells),
        "run_ids": {folder: run.run_id for folder, run in runs.items()},
    }


def _rounded(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Round what is a fraction; no NaN, no minus zero."""
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None).round(DIGITS) + 0.0)
    if name in ("fingerprints", "umap"):
        frame = frame.cast({pl.Float64: pl.Float32})
    return frame
