"""Held-out evaluation: the conditions of the paper on the test tasks, and the table that compares them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.run import CONDITIONS, Run
from workbench.evolve.scoring import Reference, frames_of, interval, measured, subsets, task_scores, terms
from workbench.evolve.search import Search, seed_program
from workbench.llm import loop
from workbench.measure import FEATURES
from workbench.measure.alignment import alignment
from workbench.measure.coverage import Cloud
from workbench.simulate.batch import Batch, Label
from workbench.simulate.program import ProgramRejected
from workbench.simulate.seeds import derive

BUNDLES = 200  # draws of N people that stand for "N personas" in the human row
TERMS = ("human_likeness", "coverage", "score")
DIMENSIONS = ("D1", "D2", "D3", "D4", "USI_D1_D4")


def dp_program() -> str:
    """Return the source of the DP baseline: one direct call writes all policies."""
    return (resources.files("workbench.simulate.programs") / "dp.py").read_text()


def evaluate(
    search: Search, *, only: Sequence[str] = CONDITIONS, again: bool = False, program: str | None = None
) -> None:
    """Evaluate what is not yet evaluated: humans, base, DP, initial and evolved, on the test tasks.

    The base simulator runs each task N times with different seeds: its first run is the paper's
    protocol, all of them the comparison at equal N. ``only`` names other conditions (``base_t1`` is the base
    simulator with its user at temperature 1); ``again`` evaluates anew what is there; ``program`` is what to
    evaluate as ``evolved``, in place of the run's own best (transfer: a program evolved elsewhere).
    """
    run, settings = search.run, search.settings
    reference = search.prepare()
    tasks, n = search.tasks["test"], settings.test_personas
    best = run.best if program is None else None
    programs: dict[str, Callable[[], str]] = {
        "dp": dp_program,
        "initial": seed_program,
        "evolved": lambda: run.program(best) if best else str(program),
    }
    have = {} if again else evaluated(run, transfer=program is not None)
    todo = [c for c in only if c not in have]
    search.progress.total = search.progress.done + sum(len(tasks) * n for c in todo if c != "humans")
    for condition in todo:
        search.progress.at(f"held-out evaluation: {condition}")
        label = Label(condition, "test", best if condition == "evolved" else None)
        about: dict[str, Any] = {"condition": condition, "split": "test", "candidate_id": label.candidate_id}
        began = time.perf_counter()
        if condition == "humans":
            _write(run, about | _people(run, reference, n, settings.seed), {})
            continue
        seed = derive(settings.seed, "evaluate", condition)
        source = None if condition in ("base", "base_t1") else programs[condition]()
        warm = 1.0 if condition == "base_t1" else None
        try:
            batch = loop.run(search.simulate(source, tasks, n, seed=seed, label=label, temperature=warm))
        except ProgramRejected as error:
            raise WorkbenchError(
                f"The program of condition {condition} was rejected on a test task ({error.kind}): {error.reason}"
            ) from None
        about["seconds"] = time.perf_counter() - began
        _commit(run, about, batch, reference, n)


def evaluated(run: Run, *, transfer: bool = False) -> dict[str, dict[str, Any]]:
    """Return what was evaluated, ``evolved`` only where its program is the run's best now, or one of elsewhere."""
    found = run.conditions
    if not transfer and "evolved" in found and found["evolved"]["candidate_id"] != run.best:
        del found["evolved"]
    return found


def table(run: Run) -> pl.DataFrame:
    """Return the comparison, one row a condition, as evaluated so far.

    ``coverage`` and ``score`` follow the paper's protocol (the base simulator runs each task once);
    ``coverage_equal_n`` and ``score_equal_n`` give every condition the same number of conversations a
    task. ``success_write`` leaves out the tasks in which the right outcome is to change nothing.
    ``*_sound`` are without faulty episodes (a task then has fewer than N), ``coverage_standardized`` is in
    human standard deviations; both are over all conversations, as at equal N, and stand beside the others.

    Raises
    ------
    WorkbenchError
        When nothing has been evaluated yet.
    """
    if not run.conditions:
        raise WorkbenchError(
            f"The run {run.place} has no held-out results"
            + ("." if run.foreign else f" yet; run 'workbench evaluate {run.path}'.")
        )
    rows = [dict(found) for found in run.conditions.values()]
    schema = {"condition": pl.String, "candidate_id": pl.String, "n_personas": pl.Int32}
    numbers = ("human_likeness", "coverage", "score", "coverage_equal_n", "score_equal_n")
    for name in (*numbers, "success", "success_write"):
        schema |= {name: pl.Float64, f"{name}_low": pl.Float64, f"{name}_high": pl.Float64}
    schema |= dict.fromkeys((*(f"{term}_sound" for term in TERMS), "coverage_standardized"), pl.Float64)
    schema |= dict.fromkeys(DIMENSIONS, pl.Float64)
    schema |= {"n_tasks": pl.Int32, "n_episodes": pl.Int32, "n_failed": pl.Int32, "n_faults": pl.Int32}
    return pl.DataFrame(rows, schema=schema | {"n_sound": pl.Int32})


def over_seeds(runs: Sequence[Run]) -> pl.DataFrame:
    """Return mean and standard deviation over independent searches of every number of ``table``.

    Returns
    -------
    DataFrame
        condition, seeds (searches that evaluated it), and for each number its mean and ``_std`` (n - 1;
        null with one seed). Counts are summed.
    """
    counts = ("n_episodes", "n_failed", "n_faults", "n_sound")
    stacked = pl.concat([table(run) for run in runs])
    skip = ("condition", "candidate_id", "n_personas", "n_tasks", *counts)
    numbers = [c for c in stacked.columns if c not in skip and not c.endswith(("_low", "_high"))]
    return stacked.group_by("condition", maintain_order=True).agg(
        pl.len().alias("seeds"),
        *[pl.col(c).sort().mean() for c in numbers],
        *[pl.col(c).sort().std().alias(f"{c}_std") for c in numbers],
        *[pl.when(pl.col(c).count() > 0).then(pl.col(c).sum()).alias(c) for c in counts],
    )


def by_task(run: Run, condition: str, *, standardize: bool | None = None) -> pl.DataFrame:
    """Return HL, coverage and score of each test task under a condition, at equal N (for paired tests).

    ``human_likeness_paper``, ``coverage_paper`` and ``score_paper`` follow the paper's protocol: the base
    simulator's first run alone. ``standardize`` None measures coverage as the run did.
    """
    settings = run.settings
    cloud = Cloud(
        run.humans.filter(split="train"),
        standardize=settings.standardize if standardize is None else standardize,
    )
    prints, episodes = (run.frame(f"conditions/{condition}", name) for name in ("fingerprints", "episodes"))
    table = prints.join(episodes.select("dialogue_id", "task_id", "persona_id", "likeness"), on="dialogue_id")
    equal = task_scores(table, cloud)
    first = table.filter(persona_id="trial00") if condition.startswith("base") else table
    paper = task_scores(first, cloud).select("task_id", pl.col(TERMS).name.suffix("_paper"))
    return equal.join(paper, on="task_id", how="left").sort("task_id")


def _standardized(prints: pl.DataFrame, reference: Reference) -> float | None:
    cloud = Cloud(reference.humans, standardize=True)
    return cloud.by_task(prints)["coverage"].sort().mean()  # type: ignore[return-value]


def _commit(run: Run, about: dict[str, Any], batch: Batch, reference: Reference, n: int) -> None:
    prints = measured(batch, reference)
    frames = frames_of(batch, prints)
    episodes = frames["episodes"]
    first = prints
    if about["condition"].startswith("base"):  # the paper runs the base simulator once a task
        once = episodes.filter(persona_id="trial00").select("dialogue_id")
        first = prints.join(once, on="dialogue_id", how="semi")
    sound = prints.join(episodes.filter(pl.col("fault").is_null()), on="dialogue_id", how="semi")
    tasks = episodes.select("dialogue_id", "task_id")
    equal, paper, sound_tasks = (
        task_scores(p.join(tasks, on="dialogue_id"), reference.cloud) for p in (prints, first, sound)
    )
    found = terms(episodes, prints, reference)
    dims = alignment(first, reference.humans)
    write = episodes.filter("needs_write", pl.col("error").is_null())
    about |= {
        "n_personas": 1 if about["condition"].startswith("base") else n,
        **{k: v for k, v in found.items() if k.startswith(("n_", "success"))},
        **interval("success_write", write["success"], write["task_id"]),
        **{k: dims[k] for k in DIMENSIONS},
        **{f"{term}_sound": sound_tasks[term].sort().mean() for term in TERMS},
        "n_sound": len(sound),
        "coverage_standardized": _standardized(prints.join(episodes, on="dialogue_id"), reference),
    }
    for term in TERMS:
        about |= interval(term, paper[term], paper["task_id"])
    for term in ("coverage", "score"):
        about |= interval(f"{term}_equal_n", equal[term], equal["task_id"])
    _write(run, about, frames)


def _people(run: Run, reference: Reference, n: int, seed: int) -> dict[str, Any]:
    """Score test people as a condition: HL over dialogues, coverage over bundles of N drawn people."""
    people = run.humans.filter(split="test").sort("dialogue_id")
    prints = people.select("dialogue_id", *FEATURES)
    prints = prints.with_columns(likeness=reference.discriminator.likeness(prints))
    bundles = subsets(prints, n, BUNDLES, derive(seed, "bundles"))
    draws = pl.Series([reference.cloud.coverage(bundle) for bundle in bundles])
    tasks = people["tau2_task_id"].fill_null(people["dialogue_id"])
    likeness = interval("human_likeness", prints["likeness"], tasks)
    coverage = sum(draws) / len(draws)
    score = 0.5 * (likeness["human_likeness"] or 0.0) + 0.5 * coverage
    out: dict[str, Any] = {
        "n_personas": min(n, len(prints)),
        **likeness,
        "n_episodes": len(people),
        "n_failed": 0,
        "n_faults": None,
        "n_tasks": people["tau2_task_id"].n_unique(),
        "coverage_standardized": _standardized(
            pl.concat(b.with_columns(task_id=pl.lit(str(i))) for i, b in enumerate(bundles)), reference
        ),
    }
    ends = {"": coverage, "_low": draws.quantile(0.025), "_high": draws.quantile(0.975)}
    for suffix in ("", "_equal_n"):
        out |= {f"score{suffix}": score} | {f"coverage{suffix}{end}": x for end, x in ends.items()}
    if "reward" in people.columns:
        known = people.filter(pl.col("reward").is_not_null())
        out |= interval("success", known["reward"] >= 1, known["task_id"])
    dims = alignment(prints, reference.humans)
    return out | {k: dims[k] for k in DIMENSIONS}


def _write(run: Run, about: dict[str, Any], frames: dict[str, pl.DataFrame]) -> None:
    about["created"] = time.strftime("%Y-%m-%dT%H:%M:%S")
    with store.new_folder(run.path / "conditions" / about["condition"]) as folder:
        store.write_frames(folder, frames)
        store.write_json(folder / "condition.json", about)
