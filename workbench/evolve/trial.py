"""One candidate's life: try it on its tasks, confirm it on fresh ones, validate it, save it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import polars as pl

from workbench.evolve import store
from workbench.evolve.archive import Member, cell_of
from workbench.evolve.curriculum import personas_per_task, steps_per_epoch, weights, window
from workbench.evolve.mutation import ATTEMPTS
from workbench.evolve.progress import Progress
from workbench.evolve.reflection import reflect
from workbench.evolve.scoring import Reference, enough, frames_of, measured, rank_of, score_at, terms
from workbench.evolve.settings import Settings
from workbench.llm.client import Client, LLMError
from workbench.simulate.batch import Batch, Label
from workbench.simulate.program import ProgramRejected
from workbench.simulate.seeds import derive
from workbench.simulate.tau2 import Task


@dataclass(frozen=True)
class Bench:
    """What candidates are tried with; ``baseline`` holds the first program's score on every train task."""

    settings: Settings
    tasks: dict[str, list[Task]]
    client: Client
    reference: Reference
    baseline: pl.DataFrame
    progress: Progress
    simulate: Callable[..., Awaitable[Batch]]


@dataclass
class Trial:
    """A candidate in the making; ``record`` becomes its row of ``candidates``, ``frames`` its Parquet files."""

    candidate_id: str
    generation: int
    island: int
    parent: str | None
    author: str
    program: str
    reason: str | None = None
    frames: dict[str, pl.DataFrame] = field(
        default_factory=lambda: {"attempts": pl.DataFrame(schema=ATTEMPTS)}
    )
    reflection: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    spent: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        own = ("candidate_id", "parent", "generation", "island", "author", "reason")
        self.record = {name: getattr(self, name) for name in own}
        self.record |= {"status": "rejected", "new_best": False, "confirmed": False}

    @property
    def accepted(self) -> bool:
        """Whether the program ran and enough of its episodes finished."""
        return bool(self.record["status"] == "accepted")

    @property
    def member(self) -> Member:
        """The candidate as the archive sees it."""
        return member_of(self.record)


def member_of(record: dict[str, Any]) -> Member:
    """Return an accepted candidate's row as a member of the archive."""
    return Member(**{f.name: record[f.name] for f in fields(Member)})


async def try_out(bench: Bench, trial: Trial) -> None:
    """Simulate a program on its generation's window, score it, and have it reflected on.

    A program that is refused, or whose episodes failed beyond a fifth, is rejected with the reason.
    """
    settings, generation = bench.settings, trial.generation
    tasks = window(bench.tasks["train"], generation, settings.window)
    trial.record |= {"n_personas": personas_per_task(settings, generation), "tasks": []}
    batch = await _simulate(bench, trial, tasks, "train", trial.record["n_personas"])
    if batch is None:
        return
    _rescore(bench, trial)
    if not enough(trial.record):
        trial.record["reason"] = (
            f"{trial.record['n_failed']} of {trial.record['n_episodes']} episodes failed, the first because: "
            f"{batch.episodes['error'].drop_nulls().to_list()[0]}"
        )
        return
    trial.record |= {"status": "accepted", "reason": None}
    if settings.reflection:
        trial.reflection = await reflect(
            batch,
            measured(batch, bench.reference),
            trial.record,
            bench.reference.humans,
            bench.client,
            derive(settings.seed, "reflection", trial.candidate_id),
        )


async def confirm(bench: Bench, trial: Trial) -> bool:
    """Simulate an accepted program on one more window of fresh tasks and score all its episodes together.

    Returns False when no fresh task is left, or the program is refused on them.
    """
    size, train = bench.settings.window, bench.tasks["train"]
    steps = steps_per_epoch(len(train), size)
    fresh = [
        t
        for k in (steps // 2, *range(1, steps))
        for t in window(train, trial.generation + k, size)
        if t.task_id not in trial.record["tasks"]
    ]
    fresh = list({t.task_id: t for t in fresh}.values())[:size]
    if not fresh or await _simulate(bench, trial, fresh, "train", trial.record["n_personas"]) is None:
        return False
    trial.record["confirmed"] = True
    _rescore(bench, trial)
    return True


async def validate(bench: Bench, trial: Trial) -> None:
    """Score a program on the validation tasks, averaged over the N of every stage."""
    stages = bench.settings.stages
    batch = await _simulate(bench, trial, bench.tasks["validation"], "validation", stages[-1])
    if batch is None:
        return
    prints = measured(batch, bench.reference)
    found = terms(batch.episodes, prints, bench.reference)
    if not enough(found):
        return
    seed = derive(bench.settings.seed, "validation")
    lambda_b = bench.settings.lambda_b
    scores = pl.concat(score_at(prints, batch.episodes, bench.reference, n, seed, lambda_b) for n in stages)
    trial.record["validation_score"] = float(scores["score"].to_numpy().mean())
    for name in ("human_likeness", "coverage", "n_episodes", "n_failed"):
        trial.record[f"validation_{name}"] = found[name]


def save(run: Path, trial: Trial) -> None:
    """Write a candidate's folder; it appears by one rename."""
    trial.record |= trial.spent
    trial.record["seconds"] = time.perf_counter() - trial.began
    trial.record["created"] = time.strftime("%Y-%m-%dT%H:%M:%S")
    with store.new_folder(run / "candidates" / trial.candidate_id) as folder:
        (folder / "program.py").write_text(trial.program)
        if trial.reflection:
            (folder / "reflection.txt").write_text(trial.reflection)
        store.write_frames(folder, trial.frames)
        store.write_json(folder / "candidate.json", trial.record)


async def _simulate(bench: Bench, trial: Trial, tasks: Sequence[Task], split: str, n: int) -> Batch | None:
    """Simulate some tasks and add the rows to the trial's frames; None when the program is refused."""
    bench.progress.at(f"candidate {trial.candidate_id}: {len(tasks)} {split} tasks × {n} personas")
    try:
        seed = derive(bench.settings.seed, "batch", trial.candidate_id, split)
        label = Label("search", split, trial.candidate_id)
        batch = await bench.simulate(trial.program, tasks, n, seed=seed, label=label)
    except ProgramRejected as error:
        trial.record["reason"] = f"program rejected on {split} tasks ({error.kind}): {error.reason}"
        if split == "train":
            trial.record["status"] = "rejected"
        return None
    check_alive(batch)
    if split == "train":
        trial.record["tasks"] += [t.task_id for t in tasks]
    prints = measured(batch, bench.reference)
    for name, frame in frames_of(batch, prints).items():
        old = trial.frames.get(name)
        trial.frames[name] = frame if old is None else pl.concat([old, frame])
    return batch


def _rescore(bench: Bench, trial: Trial) -> None:
    """Compute the fitness and its terms from all train episodes of the trial."""
    settings, record = bench.settings, trial.record
    episodes = trial.frames["episodes"].filter(split="train")
    prints = trial.frames["fingerprints"].join(episodes.select("dialogue_id", "likeness"), on="dialogue_id")
    record |= terms(episodes, prints, bench.reference, weights(settings, record["n_personas"]))
    if int(trial.candidate_id) == 0:  # ranked by all train tasks: a lucky window would block every child
        scores = bench.baseline
    else:
        seed = derive(settings.seed, "rank")
        n = settings.stages[0]
        scores = score_at(prints, episodes, bench.reference, n, seed, settings.lambda_b)
    record |= rank_of(scores, bench.baseline)
    if record["human_likeness"] is not None:
        record["cell"] = list(cell_of(record["human_likeness"], record["coverage"]))


def check_alive(batch: Batch) -> None:
    """Stop with a sentence when an endpoint has died: no episode finished, so there is nothing to score.

    Raises
    ------
    LLMError
        Of kind ``transport``.
    """
    errors = batch.episodes["error"].drop_nulls()
    if len(errors) and len(errors) == len(batch.episodes):
        raise LLMError("transport", f"no episode finished: {errors.to_list()[0]}")
