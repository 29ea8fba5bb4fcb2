"""Work done on other machines: any ``concurrent.futures.Executor``, such as dask's, a piece at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from workbench.errors import WorkbenchError
from workbench.llm import loop
from workbench.llm.client import Client, LLMError, Reply, count, metered
from workbench.llm.roles import as_settings, from_settings
from workbench.simulate.sandbox import ProgramRejected

T = TypeVar("T")
CONNECT_SECONDS = 10
Work = Callable[[dict[str, Any], Client], T]


@dataclass
class Machines:
    """An executor and how many pieces of work it does at once (``slots``).

    A piece is a function of plain data, so one that is lost with its machine is done again (dask does that by
    itself) with the same result. Every piece in flight has its part of the limits: of the requests in flight, and
    of the money and tokens that the caps still allow. What it spent comes back with its result.
    """

    executor: Executor
    slots: int

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.slots)
        self._out = 0
        self._each = 1

    def divide(self, concurrency: int) -> int:
        """Take an equal part of the requests in flight for every slot; return what is left for this process.

        Raises
        ------
        WorkbenchError
            When there are too few to divide.
        """
        if concurrency <= self.slots:
            raise WorkbenchError(
                f"{concurrency} requests in flight cannot be divided among {self.slots} threads of the workers and "
                f"this process; set --concurrency to {self.slots + 1} or more, or start fewer workers."
            )
        self._each = (concurrency - 1) // self.slots
        return concurrency - self._each * self.slots

    async def run(
        self, work: Work[T], pieces: Sequence[dict[str, Any]], client: Client, done: Callable[[T], None]
    ) -> list[T]:
        """Do ``work`` on every piece elsewhere, telling ``done`` of each; return the results in order.

        Raises
        ------
        ProgramRejected, LLMError, WorkbenchError
            What the first piece in order that failed had raised; also when the machines are gone.
        """
        found = await asyncio.gather(
            *(self._one(work, piece, client, done) for piece in pieces), return_exceptions=True
        )
        results = []
        for result in found:
            if isinstance(result, asyncio.CancelledError):  # not by us, or we would not be here
                raise _gone(result)
            if isinstance(result, BaseException):
                raise result
            results.append(result)
        return results

    async def _one(
        self, work: Work[T], piece: dict[str, Any], client: Client, done: Callable[[T], None]
    ) -> T:
        roles = as_settings(client.roles)
        async with self._room:
            with client.lend(self.slots - self._out + 1) as (max_cost, max_tokens):
                given = {"concurrency": self._each, "max_cost": max_cost, "max_tokens": max_tokens}
                self._out += 1
                try:
                    future = self.executor.submit(_there, work, piece, roles, given)
                    answer = await asyncio.wrap_future(future)
                except Exception as error:
                    raise _gone(error) from error
                finally:
                    self._out -= 1
            for spent in answer["spent"]:
                client.took(*spent)
            for name, number in answer["trouble"].items():
                count(name, number)
        if answer["failed"]:
            raise answer["failed"]
        done(answer["result"])
        result: T = answer["result"]
        return result


def _gone(error: BaseException) -> WorkbenchError:
    return WorkbenchError(
        f"The workers on other machines are lost ({type(error).__name__}: {error}). What was finished is kept; "
        "start them again and resume the run."
    )


def _there(
    work: Work[Any], piece: dict[str, Any], roles: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Do a piece, in a process of another machine, and return its result or failure and what it spent."""
    spent: list[tuple[str, str, Reply]] = []

    def note(role: str, model: str, reply: Reply) -> None:
        spent.append((role, model, reply._replace(content="", tool_calls=())))

    client = Client(from_settings(roles), on_spend=note, **given)
    result: Any = None
    failed: Exception | None = None
    try:
        with metered() as meter:
            result = work(piece, client)
    except (ProgramRejected, LLMError) as error:
        failed = error
    except WorkbenchError as error:
        failed = WorkbenchError(f"On another machine: {error}")
    finally:
        loop.run(client.aclose())
    trouble = {name: meter[name] for name in ("retries", "malformed")}
    return {"result": result, "failed": failed, "spent": spent, "trouble": trouble}


@contextmanager
def dask(scheduler: str) -> Iterator[Machines]:
    """Use the workers of a dask scheduler inside the block, a piece for each of their threads.

    Raises
    ------
    WorkbenchError
        When dask is not installed, the scheduler does not answer, or it has no worker.
    """
    try:
        from distributed import Client as Scheduler
    except ImportError:
        raise WorkbenchError(
            "--dask needs dask.distributed: pip install 'persona-policies-workbench[dask]'."
        ) from None
    try:
        them = Scheduler(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"The dask scheduler {scheduler} does not answer ({error}).") from None
    with them:
        slots = sum(them.nthreads().values())
        if not slots:
            raise WorkbenchError(
                f"The dask scheduler {scheduler} has no worker; start some: dask worker {scheduler}"
            )
        yield Machines(them.get_executor(pure=False), slots)
