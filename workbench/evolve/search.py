"""The search: prepare a run, then generation by generation mutate, simulate, score, reflect and commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve import estimate, store
from workbench.evolve.archive import Archive
from workbench.evolve.progress import Progress
from workbench.evolve.propose import propose
from workbench.evolve.run import CANDIDATES, Run
from workbench.evolve.scoring import Reference, frames_of, measured, printed, score_at, simulated
from workbench.evolve.settings import Settings, differences
from workbench.evolve.start import Own, create
from workbench.evolve.trial import Bench, Trial, check_alive, confirm, member_of, save, try_out, validate
from workbench.llm import loop
from workbench.llm.client import Client, metered
from workbench.simulate.agent import Function
from workbench.simulate.batch import Batch, Label, gather, simulate
from workbench.simulate.machines import Machines
from workbench.simulate.program import ProgramRejected, read_axes
from workbench.simulate.seeds import derive
from workbench.simulate.tau2 import Task

Candidate = dict[str, Any]
Frames = dict[str, pl.DataFrame]


def seed_program() -> str:
    """Return the source of the seed generator."""
    return (resources.files("workbench.simulate.programs") / "seed.py").read_text()


class Search:
    """A run being written. Use it as a context manager, or call ``close()``, to give up the lock.

    ``step()`` blocks and also works inside a running notebook loop; ``await astep()`` leaves the loop
    free. Both return the candidates of one generation. Opening an existing run with the same settings
    goes on where it stopped.

    Parameters
    ----------
    path
        The run directory; made when it is not there.
    settings
        None opens an existing run with its own settings.
    report
        Called with a :class:`Progress` whenever something was done.
    branch
        A run and a candidate of it: the new run starts from that program in place of the seed program.
    machines
        Where episodes are simulated; None does all of it in this process.
    tasks
        A file of one's own scenarios in place of τ²-bench's tasks (docs/formats/own_scenarios.md).
    reference
        A reference of one's own (:func:`workbench.measure.own.write`) in place of the shipped one.
    agent
        A function of the messages that returns the reply, or its name ``module:function``, as the agent under test;
        there are no tools then, and rewards are null. None is the role's endpoint.

    Raises
    ------
    WorkbenchError
        When the directory is not a run, has other settings, or another process is writing it.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Settings | None = None,
        *,
        report: Callable[[Progress], None] | None = None,
        branch: tuple[Run, str] | None = None,
        machines: Machines | None = None,
        tasks: str | Path | None = None,
        reference: str | Path | None = None,
        agent: Function | str | None = None,
    ) -> None:
        self.path, self.machines = Path(path), machines
        self._own = Own(tasks, reference, agent)
        self._stack = ExitStack()
        try:
            self._open(settings and self._own.settle(settings), report, branch)
        except BaseException:
            self._stack.close()
            raise

    def _open(
        self,
        settings: Settings | None,
        report: Callable[[Progress], None] | None,
        branch: tuple[Run, str] | None,
    ) -> None:
        if (self.path / "run.json").exists():
            self.run = Run(self.path).intact()
            if settings and (changed := differences(self.run.settings, settings)):
                raise WorkbenchError(
                    f"The run {self.path} has other settings ({'; '.join(changed)}); results under both could not be "
                    f"told apart. On resume only {', '.join(store.MAY_CHANGE)} may differ: resume it with its own "
                    "('workbench resume'), or name another directory."
                )
            self._stack.enter_context(store.writer(self.path))
        elif settings is None:
            self.run = Run(self.path).own()  # says what is missing
        else:
            create(self.path, settings, branch, self._stack, self._own)
            self.run = Run(self.path)
        self.settings = replace(
            self.run.settings,
            **{name: getattr(settings, name) for name in store.MAY_CHANGE} if settings else {},
        )
        if self.settings != self.run.settings:
            store.write_json(self.path / "run.json", {**self.run.info, "settings": self.settings.as_json()})
        self._pools = self._own.pools(self.settings, self.path)
        by_id = {task.task_id: task for pool in self._pools.values() for task in pool}
        self.tasks = {which: [by_id[t] for t in ids] for which, ids in self.run.tasks.items()}
        store.sweep(self.path)
        self._ledger = store.Ledger(self.path / "ledger.jsonl")
        self._stack.callback(self._ledger.close)
        spent = store.read_ledger(self._ledger.path)
        most, offline = self.settings.concurrency, all(e.offline for e in self.settings.roles.values())
        self.progress = Progress(report)
        self.client = Client(
            self.settings.roles,
            cache=None if offline else self.path / "replies.sqlite",
            concurrency=self.machines.divide(most) if self.machines else most,
            max_cost=self.settings.max_cost,
            max_tokens=self.settings.max_tokens,
            spent=(float(spent["cost"].sum()), int((spent["tokens_in"] + spent["tokens_out"]).sum())),
            on_spend=self._ledger.add,
            on_wait=self.progress.at,
        )
        self._stack.callback(lambda: loop.run(self.client.aclose()))
        self._candidates: list[Candidate] = self.run.candidates.to_dicts()
        self._reference: Reference | None = None
        self._baseline: pl.DataFrame | None = None
        self.progress.total = self._episodes_left()

    # -- driving it -------------------------------------------------------------------------------

    def step(self) -> list[Candidate]:
        """Run the next generation and return its candidates; the first call also prepares the run."""
        return loop.run(self._step())

    async def astep(self) -> list[Candidate]:
        """Like ``step``, for a running event loop; cancelling it loses only what is in flight."""
        return await loop.arun(self._step())

    def try_program(self, program: str, parent: str | None = None) -> Candidate:
        """Score a program that a person wrote and enter it as a candidate with a human author.

        Raises
        ------
        ProgramRejected
            When the program cannot even be read; one that fails later is a rejected candidate.
        WorkbenchError
            When there is no such parent, or the run has not scored its first program yet.
        """
        return loop.run(self._try_program(program, parent))

    async def atry_program(self, program: str, parent: str | None = None) -> Candidate:
        """Like ``try_program``, for a running event loop."""
        return await loop.arun(self._try_program(program, parent))

    def finish(self) -> None:
        """Run all generations that are left, or until the search has stopped finding better programs."""
        while not self.done:
            self.step()

    def prepare(self) -> Reference:
        """Collect the base simulator's train episodes and fit the discriminator, once."""
        return loop.run(self._prepare())

    async def simulate(
        self,
        source: str | None,
        tasks: Sequence[Task],
        n: int,
        *,
        seed: int,
        label: Label,
        temperature: float | None = None,
    ) -> Batch:
        """Simulate with this run's client, machines and progress; see :func:`workbench.simulate.batch.simulate`."""
        return await simulate(
            source,
            tasks,
            n,
            self.client,
            seed=seed,
            label=label,
            temperature=temperature,
            progress=self.progress.tick,
            machines=self.machines,
        )

    @property
    def generation(self) -> int:
        """The generation that the next step runs; the seed program is generation 0."""
        per = [c["generation"] for c in self._candidates if c["author"] != "human" or not c["generation"]]
        last = max(per, default=-1)
        wanted = 1 if last == 0 else self.settings.proposals
        return last if last >= 0 and per.count(last) < wanted else last + 1

    @property
    def done(self) -> bool:
        """Whether all generations were run, or none brought a new best for ``early_stop`` generations."""
        return self.generation > self.settings.generations or self.stalled

    @property
    def stalled(self) -> bool:
        """Whether the last ``early_stop`` generations brought no new best."""
        best = max((c["generation"] for c in self._candidates if c["new_best"]), default=0)
        return self.generation - 1 - best >= self.settings.early_stop

    def close(self) -> None:
        """Give up the lock, close connections and the ledger."""
        self._stack.close()

    def __enter__(self) -> Search:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside -----------------------------------------------------------------------------------

    async def _prepare(self) -> Reference:
        if self._reference is None:

            def kept(batch: Batch) -> Frames:
                return {"episodes": batch.episodes, "turns": batch.turns, "fingerprints": printed(batch)}

            await self._once("base", "base simulator on the train tasks", None, self._pools["train"], 1, kept)
            train = self.run.humans.filter(split="train")
            others = simulated(self.path)
            self._reference = Reference.fit(train, others, standardize=self.settings.standardize)
        return self._reference

    async def _once(
        self,
        name: str,
        doing: str,
        source: str | None,
        tasks: Sequence[Task],
        n: int,
        kept: Callable[[Batch], Frames],
    ) -> None:
        """Simulate train tasks before there is any candidate, unless that was done."""
        folder = self.path / "conditions" / f"{name}_train"
        if not folder.exists():
            self.progress.at(doing)
            seed = derive(self.settings.seed, folder.name)
            batch = await self.simulate(source, tasks, n, seed=seed, label=Label(name, "train"))
            check_alive(batch)
            with store.new_folder(folder) as part:
                store.write_frames(part, kept(batch))

    async def _step(self) -> list[Candidate]:
        bench = await self._bench()
        generation = self.generation
        first = len(self._candidates)
        if generation == 0:
            author = "human" if "branched_from" in self.run.info else "seed"
            trials = [Trial(self._id(0), 0, 0, None, author, self._first_program())]
            await self._try(bench, trials[0])
            if not trials[0].accepted:  # there would be no parent for any other
                raise WorkbenchError(
                    f"The first program could not be scored: {trials[0].record['reason']}. "
                    "When the cause is gone, resume the run."
                )
        else:
            archive = self._archive(generation)
            have = sum(c["generation"] == generation for c in self._candidates if c["author"] != "human")
            ask = partial(propose, bench, self.run, self._candidates, archive, generation)
            todo = range(have, self.settings.proposals)
            trials = await gather([ask(k, self._id(first + k - have)) for k in todo])
        # in index order, whoever finished first
        return [await self._commit(bench, trial) for trial in trials]

    async def _try_program(self, program: str, parent: str | None) -> Candidate:
        bench = await self._bench()
        if not self._candidates:
            raise WorkbenchError("The seed program has not been scored yet; run one step first.")
        known = {c["candidate_id"]: c for c in self._candidates}
        if parent is not None and parent not in known:
            raise WorkbenchError(f"The run has no candidate '{parent}' to be the parent of your program.")
        await read_axes(program)
        generation = max(c["generation"] for c in self._candidates)
        island = known[parent]["island"] if parent else 0
        trial = Trial(self._id(len(self._candidates)), generation, island, parent, "human", program)
        await self._try(bench, trial)
        return await self._commit(bench, trial)

    async def _try(self, bench: Bench, trial: Trial) -> None:
        with metered() as spent:
            await try_out(bench, trial)
        trial.spent = spent

    async def _commit(self, bench: Bench, trial: Trial) -> Candidate:
        """Confirm and validate a candidate where that is due, then write it.

        One good window may be luck, and a lucky elite would hold the search for good. So a challenger that
        leads its cell's elite by less than its own error bar is tried on a window of fresh tasks first, and
        one that would be the new best on two, as long as it leads.
        """
        with metered(trial.spent):
            archive = self._archive(trial.generation + 1)
            for window in range(2 if self.settings.confirm and self.settings.selection == "fitness" else 0):
                if not (
                    trial.accepted and self._doubtful(trial, archive, window) and await confirm(bench, trial)
                ):
                    break
            best = max((c["rank"] for c in self._candidates if c["status"] == "accepted"), default=-1.0)
            trial.record["new_best"] = trial.accepted and trial.record["rank"] > best
            each = int(trial.candidate_id) % self.settings.validate_every == 0
            if trial.accepted and (trial.record["new_best"] or each):
                await validate(bench, trial)
        save(self.path, trial)
        self._ledger.flush()
        found = pl.DataFrame([trial.record], schema=CANDIDATES).to_dicts()[0]
        self._candidates.append(found)
        return found

    def _doubtful(self, trial: Trial, archive: Archive, windows: int) -> bool:
        """Whether a challenger should be tried on more tasks, after ``windows`` extra ones."""
        rival = archive.rival(trial.member)
        best = max((c["rank"] for c in self._candidates if c["status"] == "accepted"), default=None)
        if best is not None and trial.member.rank > best:
            return True
        margin = trial.record["rank"] - (trial.record["rank_low"] or 0.0)
        return windows == 0 and rival is not None and trial.member.rank - rival.rank < margin

    async def _bench(self) -> Bench:
        reference = await self._prepare()
        if self._baseline is None:
            self._baseline = await self._first_scores(reference)
        return Bench(
            self.settings, self.tasks, self.client, reference, self._baseline, self.progress, self.simulate
        )

    async def _first_scores(self, reference: Reference) -> pl.DataFrame:
        """Score the first program on every train task, once: what all candidates are compared against."""
        settings, program = self.settings, self._first_program()

        def kept(batch: Batch) -> Frames:
            return frames_of(batch, measured(batch, reference))

        doing, tasks = "first program on all train tasks", self.tasks["train"]
        try:
            await self._once("first", doing, program, tasks, settings.stages[-1], kept)
        except ProgramRejected as error:
            raise WorkbenchError(f"The first program was rejected ({error.kind}): {error.reason}") from None
        prints, episodes = (self.run.frame("conditions/first_train", x) for x in ("fingerprints", "episodes"))
        prints = prints.join(episodes.select("dialogue_id", "likeness"), on="dialogue_id")
        seed = derive(settings.seed, "rank")
        return score_at(prints, episodes, reference, settings.stages[0], seed, settings.lambda_b)

    def _first_program(self) -> str:
        path = self.path / "program.py"
        return path.read_text() if path.exists() else seed_program()

    def _id(self, number: int) -> str:
        return f"{number:04d}"

    def _archive(self, until: int) -> Archive:
        """Return the archive as it stood when a generation began."""
        members = [member_of(c) for c in self._candidates if c["status"] == "accepted"]
        return Archive.replay(self.settings, members, until)

    def _episodes_left(self) -> int:
        """Count the episodes that are planned, for the estimate of time."""
        done = self.path / "conditions"
        parts = estimate.episodes(self.settings, 0, len(self._pools["train"]), since=self.generation)
        base, first, *rest = parts.values()
        base *= not (done / "base_train").exists()
        first *= not (done / "first_train").exists()
        return base + first + sum(rest)
