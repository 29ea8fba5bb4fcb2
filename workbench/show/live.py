"""Drive a search from a notebook: one background task, progress that a view polls, pause and stop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve.curriculum import personas_per_task
from workbench.evolve.progress import duration
from workbench.evolve.search import Search
from workbench.llm.client import LLMError
from workbench.show.markup import esc
from workbench.show.style import count, money
from workbench.simulate.program import ProgramRejected

TICK = 0.2


class Driver:
    """Runs generations of a search on the kernel's loop; the kernel stays free for other cells.

    Parameters
    ----------
    search
        The open search; it holds the run's lock.
    changed
        Called on the kernel's loop after each tick and each generation, with whether one was committed.
    failed
        Called with the exception that ended the work.
    """

    def __init__(
        self, search: Search, changed: Callable[[bool], None], failed: Callable[[BaseException], None]
    ) -> None:
        self.search, self.changed, self.failed = search, changed, failed
        self.task: asyncio.Task[None] | None = None
        self.pausing = False
        self.said = "idle"
        self._began, self._done_before, self._planned = 0.0, 0, 0
        self._paid = (0.0, "")

    @property
    def busy(self) -> bool:
        """Whether a generation is running."""
        return self.task is not None and not self.task.done()

    def run(self, generations: int) -> None:
        """Start running generations.

        Raises
        ------
        WorkbenchError
            When it is running already, or there is no running event loop.
        """
        if generations < 1:
            raise WorkbenchError(f"{generations} generations cannot be run; ask for at least 1.")
        self._start(self.search.astep, generations)

    def evaluate(self, program: str, parent: str) -> None:
        """Start scoring a program that a person wrote; it enters the run as a candidate.

        Raises
        ------
        WorkbenchError
            As for ``run``.
        """
        self._start(lambda: self.search.atry_program(program, parent), 1)

    def _start(self, work: Callable[[], Awaitable[Any]], times: int) -> None:
        if self.busy:
            raise WorkbenchError("The search is already running; pause or stop it first.")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WorkbenchError(
                "No event loop is running here; outside a notebook use search.step() instead."
            ) from None
        self.pausing, self._began = False, time.monotonic()
        self._done_before = self.search.progress.done
        self._planned = self._episodes(times)
        self.task = loop.create_task(self._work(work, times))

    def pause(self) -> None:
        """Stop after the generation that is running."""
        self.pausing = True
        self.said = "pausing after this generation …"
        self.changed(False)

    def stop(self) -> None:
        """Stop now; the candidates in flight are lost, what was committed stays."""
        if self.task:
            self.task.cancel()

    async def _work(self, work: Callable[[], Awaitable[Any]], times: int) -> None:
        ticking = asyncio.get_running_loop().create_task(self._tick())
        try:
            for _ in range(times):
                await work()
                self.changed(True)
                if self.pausing:
                    break
            self.said = "paused" if self.pausing else "done"
        except asyncio.CancelledError:
            self.said = "stopped; what was in flight is lost"
        except (LLMError, ProgramRejected) as error:
            self.said = "stopped by an error"
            self.failed(WorkbenchError(f"{error.reason.rstrip('.')}."))
        except Exception as error:
            self.said = "stopped by an error"
            self.failed(error)
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            self.task = None
            self.changed(False)

    async def _tick(self) -> None:
        while True:
            self.changed(False)
            await asyncio.sleep(TICK)

    def html(self) -> str:
        """Say what is going on: a bar, episodes, time left, tokens and money."""
        if not self.busy:
            return f'<span class="dim">{esc(self.said)} · {self._spent()}</span>'
        done = self.search.progress.done - self._done_before
        total = max(self._planned, done)
        pace = (time.monotonic() - self._began) / done if done >= 5 else None
        left = f" · {duration(pace * (total - done))} left" if pace else ""
        said = self.said if self.pausing else self.search.progress.doing
        return (
            f'<progress max="{max(total, 1)}" value="{done}" aria-label="episodes"></progress> '
            f"<span>{done} of about {total} episodes{left} · {esc(said)} · {self._spent()}</span>"
        )

    def _spent(self) -> str:
        """Say what the run has taken so far; the ledger is read at most once a second."""
        if time.monotonic() - self._paid[0] > 1:
            spent = self.search.run.spent()
            tokens, cost = sum(spent["tokens_in"]) + sum(spent["tokens_out"]), sum(spent["cost"])
            cap = self.search.settings.max_cost
            said = f"{count(tokens)} tokens · {money(cost)}{f' of {money(cap)}' if cap else ''}"
            self._paid = (time.monotonic(), said)
        return self._paid[1]

    def _episodes(self, generations: int) -> int:
        """Guess the episodes of the next generations from the last ones, their confirmations and validations included."""
        settings, first = self.search.settings, self.search.generation
        taken = pl.col("n_episodes").fill_null(0) + pl.col("validation_n_episodes").fill_null(0)
        last = self.search.run.candidates.filter(pl.col("n_personas") > 0).tail(20)
        each = last.select((taken / pl.col("n_personas")).mean()).item() if len(last) else 2 * settings.window
        personas = (
            personas_per_task(settings, g) * settings.proposals for g in range(first, first + generations)
        )
        return round(each * sum(personas))
