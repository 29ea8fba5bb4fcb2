"""The search: prepare a run, then generation by generation mutate, simulate, score, reflect and commit."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

import workbench
from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.archive import Archive, Member
from workbench.evolve.curriculum import choose_tasks, personas_per_task, weights, window
from workbench.evolve.mutation import Mutation, Prompt, mutate, no_attempts
from workbench.evolve.progress import Progress
from workbench.evolve.reflection import reflect
from workbench.evolve.run import CANDIDATES, Run
from workbench.evolve.scoring import Reference, at_least, features_only, measured, score_at, terms
from workbench.evolve.settings import Settings, differences
from workbench.llm import loop
from workbench.llm.client import Client, LLMError, metered
from workbench.measure.reference import humans
from workbench.simulate import tau2
from workbench.simulate.batch import Batch, Label, simulate, simulate_base
from workbench.simulate.program import ProgramRejected, read_axes
from workbench.simulate.seeds import derive

Candidate = dict[str, Any]


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
    ) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        if (self.path / "run.json").exists():
            self.run = Run(self.path)
            if settings and (changed := differences(self.run.settings, settings)):
                raise WorkbenchError(
                    f"The run {self.path} has other settings ({'; '.join(changed)}); resume it with its own "
                    "('workbench resume'), or name another directory."
                )
            self._stack.enter_context(store.writer(self.path))
        elif settings is None:
            self.run = Run(self.path)  # says what is missing
        else:
            self._create(settings)
        self.settings = replace(
            self.run.settings,
            **{name: getattr(settings, name) for name in store.MAY_CHANGE} if settings else {},
        )
        if self.settings != self.run.settings:
            store.write_json(self.path / "run.json", {**self.run.info, "settings": self.settings.as_json()})
        tasks = {which: dict.fromkeys(ids) for which, ids in self.run.tasks.items()}
        self.tasks = {w: [tau2.task(self.settings.domain, t) for t in ids] for w, ids in tasks.items()}
        self._ledger = store.Ledger(self.path / "ledger.jsonl")
        self._stack.callback(self._ledger.close)
        spent = store.read_ledger(self._ledger.path)
        self.client = Client(
            self.settings.roles,
            cache=self.path / "replies.sqlite",
            concurrency=self.settings.concurrency,
            max_cost=self.settings.max_cost,
            max_tokens=self.settings.max_tokens,
            spent=(float(spent["cost"].sum()), int((spent["tokens_in"] + spent["tokens_out"]).sum())),
            on_spend=self._ledger.add,
        )
        self._stack.callback(lambda: loop.run(self.client.aclose()))
        self._candidates: list[Candidate] = self.run.candidates.to_dicts()
        self._reference: Reference | None = None
        self.progress = Progress(report, total=self._episodes_left())

    # -- driving it -------------------------------------------------------------------------------

    def step(self) -> list[Candidate]:
        """Run the next generation and return its candidates; the first call also prepares the run."""
        return loop.run(self._step())

    async def astep(self) -> list[Candidate]:
        """Like ``step``, for a running event loop; cancelling it loses only what is in flight."""
        return await loop.arun(self._step())

    def finish(self) -> None:
        """Run all generations that are left, or until the search has stopped finding better programs."""
        while not self.done:
            self.step()

    def prepare(self) -> Reference:
        """Collect the base simulator's train episodes and fit the discriminator, once."""
        return loop.run(self._prepare())

    @property
    def generation(self) -> int:
        """The generation that the next step runs; the seed program is generation 0."""
        per = [c["generation"] for c in self._candidates]
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

    def _create(self, settings: Settings) -> None:
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise WorkbenchError(f"{self.path} exists and is not a run directory; name another one.")
        tasks = choose_tasks(settings)
        people = humans(settings.domain)
        self.path.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(store.writer(self.path))
        with store.new_folder(self.path / "reference") as folder:
            store.write_frames(folder, {"humans": people})
        created = time.strftime("%Y-%m-%dT%H:%M:%S")
        plain = settings.as_json()
        steady = {k: v for k, v in plain.items() if k not in store.MAY_CHANGE}
        name = json.dumps([steady, workbench.__version__], sort_keys=True)
        info = {
            "format": store.FORMAT,
            "run_id": hashlib.sha256(name.encode()).hexdigest()[:12],
            "version": workbench.__version__,
            "created": created,
            "settings": plain,
            "tasks": {which: [t.task_id for t in found] for which, found in tasks.items()},
        }
        store.write_json(self.path / "run.json", info)
        self.run = Run(self.path)

    async def _prepare(self) -> Reference:
        if self._reference is None:
            folder = self.path / "conditions" / "base_train"
            if not folder.exists():
                label = Label("base", "train")
                tasks = tau2.split(self.settings.domain, "train")
                seed = derive(self.settings.seed, "base_train")
                self.progress.at("base simulator on the train tasks")
                batch = await simulate_base(
                    tasks, 1, self.client, seed=seed, label=label, progress=self.progress.tick
                )
                self._check_alive(batch)
                prints = measured_without_likeness(batch)
                with store.new_folder(folder) as part:
                    store.write_frames(
                        part, {"episodes": batch.episodes, "turns": batch.turns, "fingerprints": prints}
                    )
            train = self.run.humans.filter(split="train")
            self._reference = Reference.fit(
                train, pl.read_parquet(folder / "fingerprints.parquet"), standardize=self.settings.standardize
            )
        return self._reference

    async def _step(self) -> list[Candidate]:
        reference = await self._prepare()
        generation = self.generation
        if generation == 0:
            made = [
                await self._evaluate(0, 0, Mutation(seed_program(), None, no_attempts()), None, reference)
            ]
        else:
            archive = self.archive(generation)
            have = sum(c["generation"] == generation for c in self._candidates)
            todo = range(have, self.settings.proposals)
            made = await asyncio.gather(*(self._propose(generation, k, archive, reference) for k in todo))
        done = []
        for commit in made:  # in index order, whatever finished first
            done.append(await commit())
        self._ledger.flush()
        return done

    def archive(self, until: int | None = None) -> Archive:
        """Return the archive as it stood when a generation began (default: the next one)."""
        members = [
            Member(
                c["candidate_id"], c["generation"], c["island"], c["rank"], c["human_likeness"], c["coverage"]
            )
            for c in self._candidates
            if c["status"] == "accepted"
        ]
        return Archive.replay(self.settings, members, self.generation if until is None else until)

    async def _propose(self, generation: int, proposal: int, archive: Archive, reference: Reference) -> Any:
        island = ((generation - 1) * self.settings.proposals + proposal) % self.settings.islands
        parent = archive.parent(island, generation, proposal)
        by_id = {c["candidate_id"]: c for c in self._candidates}
        inspirations = []
        for member in archive.inspirations(island, parent, generation, proposal):
            axes = await read_axes(self.run.program(member.candidate_id))
            inspirations.append((by_id[member.candidate_id], axes))
        failures = [
            f"a child of {c['parent']}: {c['reason']}"
            for c in self._candidates
            if c["status"] == "rejected"
            and c["generation"] < generation
            and c["parent"] == parent.candidate_id
        ]
        prompt = Prompt(
            parent_id=parent.candidate_id,
            program=self.run.program(parent.candidate_id),
            scores=by_id[parent.candidate_id],
            references=self._references(reference),
            reflection=self.run.reflection(parent.candidate_id),
            inspirations=inspirations,
            failures=failures[-3:],
        )
        candidate_id = self._id(generation, proposal)
        seed = derive(self.settings.seed, "mutation", candidate_id)
        with metered() as meter:
            self.progress.at(f"generation {generation}: mutation")
            mutation = await mutate(
                prompt, candidate_id, self.client, seed=seed, attempts=self.settings.attempts
            )
        return await self._evaluate(
            generation, proposal, mutation, parent.candidate_id, reference, island=island, meter=meter
        )

    async def _evaluate(
        self,
        generation: int,
        proposal: int,
        mutation: Mutation,
        parent: str | None,
        reference: Reference,
        *,
        island: int = 0,
        meter: dict[str, Any] | None = None,
    ) -> Callable[[], Any]:
        """Score a program on its window; return what validates (where due) and commits it."""
        settings = self.settings
        candidate_id = self._id(generation, proposal)
        tasks = window(self.tasks["train"], generation, settings.window)
        n = personas_per_task(settings, generation)
        record: Candidate = {
            "candidate_id": candidate_id,
            "parent": parent,
            "generation": generation,
            "island": island,
            "author": "seed" if parent is None else "mutation",
            "status": "rejected",
            "reason": mutation.reason,
            "new_best": False,
            "n_personas": n,
            "tasks": [t.task_id for t in tasks],
        }
        frames: dict[str, pl.DataFrame] = {"attempts": mutation.attempts}
        program = mutation.program or mutation.tried or self.run.program(parent or "")
        reflection = ""
        prints = episodes = None
        began = time.perf_counter()
        with metered(meter) as spent:
            if mutation.program:
                self.progress.at(f"generation {generation}: {len(tasks) * n} episodes")
                try:
                    batch = await simulate(
                        program,
                        tasks,
                        n,
                        self.client,
                        seed=derive(settings.seed, "batch", candidate_id),
                        label=Label("search", "train", candidate_id),
                        progress=self.progress.tick,
                    )
                except ProgramRejected as error:
                    record["reason"] = f"program rejected ({error.kind}): {error.reason}"
                else:
                    self._check_alive(batch)
                    prints, episodes = measured(batch, reference), batch.episodes
                    record |= terms(episodes, prints, reference, weights(settings, n))
                    frames |= _frames(batch, prints)
                    if at_least(record):
                        record["status"], record["reason"] = "accepted", None
                        record["rank"] = score_at(
                            prints, episodes, reference, settings.stages[0], derive(settings.seed, "rank")
                        )
                        cell = Member(
                            candidate_id, 0, 0, 0, record["human_likeness"], record["coverage"]
                        ).cell
                        record["cell"] = list(cell)
                        reflection = await reflect(
                            batch,
                            prints,
                            record,
                            reference.humans,
                            self.client,
                            derive(settings.seed, "reflection", candidate_id),
                        )
                    else:
                        record["reason"] = f"{record['n_failed']} of {record['n_episodes']} episodes failed"

        async def commit() -> Candidate:
            with metered(spent):
                best = max((c["rank"] for c in self._candidates if c["status"] == "accepted"), default=-1.0)
                record["new_best"] = record["status"] == "accepted" and record["rank"] > best
                due = record["new_best"] or generation % settings.validate_every == 0
                if record["status"] == "accepted" and due:
                    await self._validate(program, record, frames, reference)
            record.update(spent)
            record["seconds"] = time.perf_counter() - began
            record["created"] = time.strftime("%Y-%m-%dT%H:%M:%S")
            with store.new_folder(self.path / "candidates" / candidate_id) as folder:
                (folder / "program.py").write_text(program)
                if reflection:
                    (folder / "reflection.txt").write_text(reflection)
                store.write_frames(folder, frames)
                store.write_json(folder / "candidate.json", record)
            found = pl.DataFrame([record], schema=CANDIDATES).to_dicts()[0]
            self._candidates.append(found)
            return found

        return commit

    async def _validate(
        self, program: str, record: Candidate, frames: dict[str, pl.DataFrame], reference: Reference
    ) -> None:
        """Score a program on the validation tasks, averaged over the stages' N; adds rows to its frames."""
        settings, candidate_id = self.settings, record["candidate_id"]
        self.progress.at(f"generation {record['generation']}: validation")
        try:
            batch = await simulate(
                program,
                self.tasks["validation"],
                settings.stages[-1],
                self.client,
                seed=derive(settings.seed, "validation", candidate_id),
                label=Label("search", "validation", candidate_id),
                progress=self.progress.tick,
            )
        except ProgramRejected as error:
            record["reason"] = f"not validated ({error.kind}): {error.reason}"
            return
        self._check_alive(batch)
        prints = measured(batch, reference)
        found = terms(batch.episodes, prints, reference, (0.5, 0.5))
        scores = [
            score_at(prints, batch.episodes, reference, n, derive(settings.seed, "validation"))
            for n in settings.stages
        ]
        record["validation_score"] = sum(scores) / len(scores)
        for name in ("human_likeness", "coverage", "n_episodes", "n_failed"):
            record[f"validation_{name}"] = found[name]
        for name, frame in _frames(batch, prints).items():
            frames[name] = pl.concat([frames[name], frame]) if name in frames else frame

    def _references(self, reference: Reference) -> str:
        """Say where the base simulator stands by the same classifier."""
        likeness = reference.discriminator.likeness(self.run.frame("conditions/base_train", "fingerprints"))
        return f"For comparison, human_likeness of the base simulator is {float(likeness.to_numpy().mean()):.3f}."

    def _check_alive(self, batch: Batch) -> None:
        """Stop with a sentence when an endpoint has died: no episode finished, so there is nothing to score."""
        errors = batch.episodes["error"].drop_nulls()
        if len(errors) and len(errors) == len(batch.episodes):
            raise LLMError("transport", f"no episode finished: {errors.to_list()[0]}")

    def _id(self, generation: int, proposal: int) -> str:
        return f"{0 if generation == 0 else 1 + (generation - 1) * self.settings.proposals + proposal:04d}"

    def _episodes_left(self) -> int:
        """Count the episodes that are planned, for the estimate of time; validation is guessed at half."""
        settings = self.settings
        base = (
            0
            if (self.path / "conditions" / "base_train").exists()
            else len(tau2.split(settings.domain, "train"))
        )
        total = base
        for generation in range(self.generation, settings.generations + 1):
            each = settings.window * personas_per_task(settings, generation)
            total += each * (settings.proposals if generation else 1)
            total += len(self.tasks["validation"]) * settings.stages[-1] // 2
        return total


def measured_without_likeness(batch: Batch) -> pl.DataFrame:
    """Fingerprint the finished episodes of a batch that no discriminator can judge yet."""
    from workbench.measure.fingerprint import fingerprint

    good = batch.episodes.filter(pl.col("error").is_null()).select("dialogue_id")
    return fingerprint(batch.turns.join(good, on="dialogue_id", how="semi")).sort("dialogue_id")


def _frames(batch: Batch, prints: pl.DataFrame) -> dict[str, pl.DataFrame]:
    likeness = prints.select("dialogue_id", "likeness")
    episodes = batch.episodes.drop("likeness", strict=False).join(likeness, on="dialogue_id", how="left")
    return {
        "personas": batch.personas,
        "episodes": episodes.sort("dialogue_id"),
        "turns": batch.turns,
        "fingerprints": features_only(prints),
    }
