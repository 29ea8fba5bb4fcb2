"""A batch: personas for several tasks from one program, and all their episodes, as concurrently as allowed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import polars as pl

from workbench.llm import loop
from workbench.llm.client import Client, LLMError
from workbench.simulate.frames import episodes_frame, personas_frame, turns_frame
from workbench.simulate.machines import Machines
from workbench.simulate.program import Persona, ProgramRejected, run_program
from workbench.simulate.rollout import Episode, Job, rollout
from workbench.simulate.scenarios import from_plain
from workbench.simulate.seeds import derive
from workbench.simulate.tau2 import Task

Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """The frames of one batch."""

    personas: pl.DataFrame
    episodes: pl.DataFrame
    turns: pl.DataFrame


@dataclass(frozen=True)
class Label:
    """What the rows of a batch are called."""

    condition: str
    split: str
    candidate_id: str | None = None


async def personas_of(
    source: str, task: Task, n: int, client: Client, seed: int, *, tries: int = 2
) -> list[Persona]:
    """Run a generator program on one task.

    A program that stumbles over one answer of its model gets one more with another seed, since a model now
    and then answers with malformed JSON; what no answer can mend is not tried again.

    Raises
    ------
    ProgramRejected
        With the reason, when the last try is refused too.
    """
    for attempt in range(tries):
        seen: Counter[str] = Counter()

        async def complete(system: str, user: str, attempt: int = attempt, seen: Counter[str] = seen) -> str:
            text = f"{system}\0{user}"
            seen[text] += 1  # the seed names the request by what it says, so completion order cannot matter
            messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
            reply = await client.chat("generator", messages, seed=derive(seed, attempt, text, seen[text]))
            return reply.content

        try:
            return await run_program(source, task.context, n, complete, seed=derive(seed, attempt, "random"))
        except ProgramRejected as error:
            if attempt == tries - 1 or error.kind not in ("runtime", "contract"):
                raise
        except LLMError as error:
            if error.kind != "content":
                raise
            if attempt == tries - 1:
                raise ProgramRejected("model", f"its model gave no usable answer: {error.reason}") from None
    raise AssertionError("unreachable")


async def simulate(
    source: str | None,
    tasks: Sequence[Task],
    n: int,
    client: Client,
    *,
    seed: int,
    label: Label,
    temperature: float | None = None,
    progress: Progress | None = None,
    machines: Machines | None = None,
) -> Batch:
    """Run a program on every task and roll out each persona; an episode starts when its persona is there.

    Without a program (``source`` None) the base simulator talks, without a persona, ``n`` times a task with
    different seeds. ``temperature`` is the user's, over its endpoint's own. With ``machines`` all of it is
    done there, a task at a time.

    Raises
    ------
    ProgramRejected
        When the program is refused on any task: the first of them, in order.
    LLMError
        Of kind ``cap``, or of kind ``transport`` when the generator's endpoint fails.
    """
    if machines:
        work = {"source": source, "n": n, "seed": seed, "label": asdict(label), "temperature": temperature}
        pieces = [work | {"task": t.plain()} for t in tasks]

        def done(batch: Batch) -> None:
            if progress:
                for dialogue_id in batch.episodes["dialogue_id"]:
                    progress(dialogue_id)

        return _joined(await machines.run(_elsewhere, pieces, client, done))
    personas: list[tuple[str | None, str, str, Persona]] = []
    running: list[asyncio.Task[Episode]] = []

    async def one_task(task: Task) -> None:
        if source is None:
            users = [(f"trial{i:02d}", "") for i in range(n)]
        else:
            found = await personas_of(source, task, n, client, derive(seed, "program", task.task_id))
            personas.extend((label.candidate_id, label.split, task.task_id, p) for p in found)
            users = [(p.persona_id, p.policy) for p in found]
        for persona_id, policy in users:
            parts = [label.candidate_id or label.condition, label.split, task.task_id, persona_id]
            job = Job(
                dialogue_id="|".join(parts),
                task=task,
                seed=derive(seed, "episode", task.task_id, persona_id),
                persona_id=persona_id,
                policy=policy,
                n_personas=n,
                temperature=temperature,
                **asdict(label),
            )
            running.append(asyncio.ensure_future(one_episode(job)))

    async def one_episode(job: Job) -> Episode:
        episode = await rollout(job, client)
        if progress:
            progress(job.dialogue_id)
        return episode

    try:
        # All programs come to an end before a refusal is told, so that it is the same one whatever was faster.
        for error in await asyncio.gather(*map(one_task, tasks), return_exceptions=True):
            if error:
                raise error
        episodes = await gather(running)
    except BaseException:
        await _cancel(running)
        raise
    return Batch(personas_frame(personas), episodes_frame(episodes), turns_frame(episodes))


def _elsewhere(piece: dict[str, Any], client: Client) -> Batch:
    """Simulate one task on another machine; all of it is told by plain data."""
    own = {k: piece[k] for k in ("source", "n", "seed", "temperature")}
    there = from_plain(piece["task"])
    return loop.run(simulate(tasks=[there], client=client, label=Label(**piece["label"]), **own))


def _joined(batches: Sequence[Batch]) -> Batch:
    """Put the batches of single tasks together, in the order in which one batch of all of them has its rows."""

    def rows(name: str, *by: str) -> pl.DataFrame:
        return pl.concat(getattr(batch, name) for batch in batches).sort(by)

    return Batch(
        rows("personas", "split", "task_id", "persona_id"),
        rows("episodes", "dialogue_id"),
        rows("turns", "dialogue_id", "turn"),
    )


async def gather(work: Sequence[Coroutine[Any, Any, T] | asyncio.Future[T]]) -> list[T]:
    """Run coroutines together; the first failure cancels the rest before it is raised."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        await _cancel(tasks)
        raise


async def _cancel(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
