"""A batch: personas for several tasks from one program, and all their episodes, as concurrently as allowed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import polars as pl

from workbench.llm.client import Client, LLMError
from workbench.simulate.frames import episodes_frame, personas_frame, turns_frame
from workbench.simulate.program import Persona, ProgramRejected, run_program
from workbench.simulate.rollout import Episode, Job, rollout
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
    source: str,
    tasks: Sequence[Task],
    n: int,
    client: Client,
    *,
    seed: int,
    label: Label,
    progress: Progress | None = None,
) -> Batch:
    """Run a program on every task and roll out each persona; an episode starts when its persona is there.

    Raises
    ------
    ProgramRejected
        When the program is refused on any task.
    LLMError
        Of kind ``cap``, or of kind ``transport`` when the generator's endpoint fails.
    """
    personas: list[tuple[str | None, str, str, Persona]] = []

    async def one_task(task: Task) -> list[Episode]:
        found = await personas_of(source, task, n, client, derive(seed, "program", task.task_id))
        personas.extend((label.candidate_id, label.split, task.task_id, p) for p in found)
        jobs = [_job(label, task, seed, p.persona_id, p.policy, n) for p in found]
        return await gather([_one(job, client, progress) for job in jobs])

    lists = await gather([one_task(task) for task in tasks])
    episodes = [e for each in lists for e in each]
    return Batch(personas_frame(personas), episodes_frame(episodes), turns_frame(episodes))


async def simulate_base(
    tasks: Sequence[Task],
    trials: int,
    client: Client,
    *,
    seed: int,
    label: Label,
    temperature: float | None = None,
    progress: Progress | None = None,
) -> Batch:
    """Roll out the base simulator, without a persona, ``trials`` times a task with different seeds."""
    jobs = [
        replace(_job(label, t, seed, f"trial{i:02d}", "", trials), temperature=temperature)
        for t in tasks
        for i in range(trials)
    ]
    episodes = await gather([_one(job, client, progress) for job in jobs])
    return Batch(personas_frame([]), episodes_frame(episodes), turns_frame(episodes))


def _job(label: Label, task: Task, seed: int, persona_id: str, policy: str, n: int) -> Job:
    parts = [label.candidate_id or label.condition, label.split, task.task_id, persona_id]
    return Job(
        dialogue_id="|".join(parts),
        condition=label.condition,
        split=label.split,
        task=task,
        seed=derive(seed, "episode", task.task_id, persona_id),
        candidate_id=label.candidate_id,
        persona_id=persona_id,
        policy=policy,
        n_personas=n,
    )


async def _one(job: Job, client: Client, progress: Progress | None) -> Episode:
    episode = await rollout(job, client)
    if progress:
        progress("episode")
    return episode


async def gather(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines together; the first failure cancels the rest before it is raised."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
