"""The sandbox: generator programs run in pydantic-monty workers, under limits that they cannot catch.

A worker is a separate process with an empty environment that interprets a subset of Python and reaches the
outside only through the host functions it is handed. Where bubblewrap works, the worker also runs in its own
namespaces, without network and with nothing of the file system but its own libraries. Nothing is ever
executed in the host.
"""

from __future__ import annotations

import asyncio
import atexit
import datetime
import inspect
import os
import re
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pydantic_monty as monty

from workbench.errors import WorkbenchError
from workbench.simulate.isolation import cpu_seconds, worker_in_bubblewrap

HostFunction = Callable[..., Awaitable[Any]]
WORKERS = 64  # a session that waits on the host keeps its worker, so this is the number of programs in flight
SESSIONS_PER_WORKER = 200
CLOCK = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)  # frozen, so that runs repeat
PROGRAM = "<python-input-0>"  # monty's name for the first snippet of a session

ADVICE = {
    "syntax": "Write valid Python.",
    "unsupported": "Write it with plain functions, dicts, lists and loops.",
    "contract": "",
    "runtime": "",
    "forbidden": (
        "Programs see no files, network, environment or clock; use the arguments c, axes and n, "
        "the host functions, and the modules that the sandbox has."
    ),
    "time": "Look for a loop that never ends or does far too much; waiting for the model does not count.",
    "memory": "Keep only what the records need.",
    "recursion": "Use a loop in place of the recursion.",
    "host_calls": "Ask once for the population and once for each persona, through complete_many.",
    "prompt": "Send the context once and only the text that this request needs.",
    "output": "Return the records, and print nothing.",
    "crash": "Make the program simpler.",
}


class ProgramRejected(Exception):  # noqa: N818
    """A program broke the contract or a limit: ``kind`` is a key of `ADVICE`, ``reason`` says what and where.

    The reason is written for whoever changes the program next, a person or a mutation model. ``starved`` says that
    its time ran out while the machine did not let it compute.
    """

    starved = False

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind, self.reason = kind, reason

    def __str__(self) -> str:
        return self.reason


class RaiseInside(Exception):  # noqa: N818
    """What a host function raises to have ``error`` raised inside the program, which may catch it.

    ``cause`` is the host's own exception: it is raised unchanged when the program does not catch ``error``.
    """

    def __init__(self, error: Exception, cause: Exception | None = None) -> None:
        super().__init__(str(error))
        self.error, self.cause = error, cause


class Refuse(Exception):  # noqa: N818
    """What a host function raises to end the program; the sandbox adds the place."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind, self.problem = kind, problem


@dataclass(frozen=True)
class Limits:
    """What one run of a program may use. Times count only while the program itself computes."""

    seconds: float = 1.5
    memory_mb: int = 64
    recursion: int = 200
    prompts: int = 60  # requests to the model, those in batches included
    prompt_chars: int = 40_000  # system and user text of one request
    total_chars: int = 600_000  # of all requests
    parse_chars: int = 500_000  # text handed to parse_json, in all
    print_chars: int = 100_000
    source_chars: int = 100_000


@dataclass
class Session:
    """One program in one worker: its source is the first snippet, calls into it are the next ones."""

    raw: monty.AsyncMontySession
    limits: Limits
    lines: list[str] = field(default_factory=list)
    printed: int = 0
    asked_from: str = ""  # the last place that called the host, for a program that is stopped later on
    pending: RaiseInside | None = None

    def __post_init__(self) -> None:
        self.cpu_before = cpu_seconds(self.raw.worker_pid)

    async def feed(
        self, code: str, *, stage: str, host: Mapping[str, HostFunction], inputs: dict[str, Any] | None = None
    ) -> Any:
        """Run a snippet to its end and return its value, answering host calls on the way.

        Parameters
        ----------
        code : str
            The program itself (first call), or an expression over what it defined.
        stage : str
            Where a program is that gets stopped, for the reason: "while it loads".
        host : mapping of str to coroutine functions
            The functions that the program may call. They read as plain functions inside.
        inputs : dict, optional
            Values to bind first.

        Raises
        ------
        ProgramRejected
            With the kind, the place and what to do about it.
        Exception
            What a host function raised, unchanged, unless it was `RaiseInside` or `Refuse`.
        """
        if not self.lines:
            self.lines = code.split("\n")
        try:
            turn = await self.raw.feed_start(
                code, inputs=inputs, external_lookup=dict(host), print_callback=self._count_print
            )
            while not isinstance(turn, monty.MontyComplete):
                turn = await self._answer(turn, host)
            value = turn.output
        except monty.MontyError as error:
            self._check_output(stage)
            pending = self.pending
            if pending and pending.cause and str(error.exception()) == str(pending.error):
                raise pending.cause from None
            raise self._rejection(error, stage) from None
        except ValueError as error:  # the host cannot hold the value, such as an integer of 5,000 digits
            raise reject("contract", f"the result cannot leave the sandbox: {error}") from None
        self._check_output(stage)
        return value

    async def _answer(self, turn: Any, host: Mapping[str, HostFunction]) -> Any:
        """Answer one request of the program: a host function, or an import or name that monty resolves."""
        position = turn.position
        if position.filename == PROGRAM:
            before = "\n".join(self.lines).encode()[: position.start]
            self.asked_from = self._place(before.count(b"\n") + 1)
        name = str(getattr(turn, "function_name", None) or getattr(turn, "variable_name", ""))
        if position.filename != PROGRAM and name in ("DIVERSITY_AXES", "generate_personas_detailed"):
            raise reject("contract", f"the program does not define {MISSING[name]}")
        is_call = isinstance(turn, monty.AsyncFunctionSnapshot) and not turn.is_os_function
        if not (is_call and name in host):
            return await turn.resume_auto()
        function = host[name]
        try:
            try:
                inspect.signature(function).bind(*turn.args, **turn.kwargs)
            except TypeError as error:
                raise RaiseInside(TypeError(f"{name}(): {error}")) from None
            return await turn.resume({"return_value": await function(*turn.args, **turn.kwargs)})
        except RaiseInside as inside:
            self.pending = inside
            return await turn.resume({"exception": inside.error})
        except Refuse as refusal:
            raise reject(refusal.kind, f"{refusal.problem} ({self.asked_from})") from None

    def _count_print(self, stream: str, text: str) -> None:
        self.printed += len(text)
        if self.printed > self.limits.print_chars:
            raise ValueError("too much output")

    def _check_output(self, stage: str) -> None:
        most = self.limits.print_chars
        if self.printed > most:
            raise reject("output", f"the program printed more than {most:,} characters {stage}") from None

    def _place(self, line: int, function: str | None = None) -> str:
        text = self.lines[line - 1].strip() if 0 < line <= len(self.lines) else ""
        inside = f" in {function}" if function and not function.startswith("<") else ""
        return f"line {line}{inside}: {text[:160]}"

    def _where(self, error: monty.MontyError, stage: str) -> str:
        """Name the innermost line of the program, or what is known of it."""
        frames = error.traceback() if hasattr(error, "traceback") else []
        for frame in reversed(frames):
            if frame.filename == PROGRAM:
                return self._place(frame.line, frame.function_name)
        known = [stage]
        if self.asked_from:
            known.append(f"after it had called the host in {self.asked_from}")
        word = "while" if isinstance(error.exception(), TimeoutError) else "raise"
        if lines := [str(i) for i, line in enumerate(self.lines, 1) if re.match(rf"\s*{word}\b", line)]:
            known.append(f"{word} stands in line {', '.join(lines[:5])}")
        return "; ".join(known)

    def _rejection(self, error: monty.MontyError, stage: str) -> ProgramRejected:
        limits = self.limits
        if isinstance(error, monty.MontyCrashedError):
            kind = "time" if error.timed_out else "crash"
            rejected = reject(kind, f"the sandbox had to end the program ({self._where(error, stage)})")
            rejected.starved = error.timed_out and os.getloadavg()[0] > 2 * (os.cpu_count() or 1)
            return rejected
        inner = error.exception()
        message = str(inner)[:300]
        starved = False
        if isinstance(inner, TimeoutError) and "time limit exceeded" in message:
            kind, problem = "time", f"the program computed for more than {limits.seconds:g} s"
            # Monty's clock is the wall's: on a machine with far too much to do, it runs without any computing.
            starved = cpu_seconds(self.raw.worker_pid) - self.cpu_before < 0.5 * limits.seconds
        elif isinstance(inner, MemoryError) and "memory limit" in message:
            kind, problem = "memory", f"the program used more than {limits.memory_mb} MB of memory"
        elif isinstance(inner, RecursionError):
            kind, problem = "recursion", f"calls were nested more than {limits.recursion} deep"
        elif isinstance(inner, RuntimeError) and message.startswith("suspension limit"):
            kind, problem = "host_calls", "the program called the host, or imported, far too often"
        elif isinstance(inner, NotImplementedError) and ("monty" in message or "not supported" in message):
            feature = message.rpartition("does not yet support ")[2].removesuffix(" are not supported")
            kind, problem = "unsupported", f"the sandbox does not support {feature}"
        elif isinstance(error, monty.MontySyntaxError):
            kind, problem = "syntax", message
        elif isinstance(inner, (PermissionError, ModuleNotFoundError)) or "supported in this env" in message:
            kind, problem = "forbidden", f"{type(inner).__name__}: {message}"
        else:
            kind, problem = "runtime", f"{type(inner).__name__}: {message}".rstrip(": ")
            problem = problem.replace("Internal error in monty: ", "")
            problem += next((hint for sign, hint in HINTS.items() if sign in message), "")
        where = self._where(error, stage)
        own = message.startswith("generate_personas_detailed()") or not where.startswith("line")
        if kind == "runtime" and isinstance(inner, TypeError) and own:
            kind = "contract"
            problem += ", for the host calls generate_personas_detailed(c, axes, n)"
        rejected = reject(kind, f"{problem} ({where})")
        rejected.starved = starved
        return rejected


HINTS = {
    "object is not an iterator": ", because a generator expression is a list here: use a loop or an index",
    "can't be awaited": ", because host functions are called without await",
}
MISSING = {
    "DIVERSITY_AXES": "the module variable DIVERSITY_AXES: a list of axes, which may be empty",
    "generate_personas_detailed": "the function generate_personas_detailed(c, axes, n)",
}


def reject(kind: str, problem: str) -> ProgramRejected:
    """Make a rejection of a problem, with the advice that goes with its kind."""
    text = "".join(c if c.isprintable() or c.isspace() else "\ufffd" for c in f"{problem}. {ADVICE[kind]}")
    return ProgramRejected(kind, " ".join(text.split()))


@asynccontextmanager
async def session(limits: Limits, seed: int = 0) -> AsyncIterator[Session]:
    """Check out a fresh session from the running loop's pool; it is thrown away at the end, come what may.

    ``seed`` starts the program's ``random``; its clock stands still and its sleeps take no time, so the same
    program with the same answers always does the same.
    """
    pool = await _pool()
    checkout = pool.checkout(
        limits={
            "max_feed_duration_secs": limits.seconds,
            "max_memory": limits.memory_mb * 1_000_000,
            "max_recursion_depth": limits.recursion,
            "max_suspensions": 10 * limits.prompts + 400,
            "max_total_sleep_secs": 1.0,
        },
        os_policy={"random_start": {"seed": f"program {seed}"}, "datetime": CLOCK, "sleep": "zero"},
    )
    async with checkout as raw:
        yield Session(raw, limits)


# One pool of workers for each event loop


@dataclass
class _Pool:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    keeper: AsyncGenerator[monty.AsyncMonty, None] | None = None
    pool: monty.AsyncMonty | None = None


_pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = weakref.WeakKeyDictionary()


async def _keep() -> AsyncGenerator[monty.AsyncMonty, None]:
    """Hold a pool open. As an asynchronous generator it is closed by the end of ``asyncio.run``."""
    async with monty.AsyncMonty(
        binary_path=worker_in_bubblewrap()[0],
        max_processes=WORKERS,
        max_checkouts_per_worker=SESSIONS_PER_WORKER,
        request_timeout=60,
    ) as pool:
        yield pool


async def _pool() -> monty.AsyncMonty:
    mine = _pools.setdefault(asyncio.get_running_loop(), _Pool())
    async with mine.lock:
        if mine.pool is None:
            keeper = _keep()
            try:
                mine.pool = await anext(keeper)
            except (OSError, monty.MontyError) as error:
                raise WorkbenchError(
                    f"The sandbox for generator programs does not start ({error}); "
                    "reinstall it with: pip install --force-reinstall pydantic-monty==1.4.0"
                ) from error
            mine.keeper = keeper
            _settle_at_exit()
    return mine.pool


@cache
def _settle_at_exit() -> None:
    """Have the workers ended, and monty's threads finished, before the interpreter is torn down.

    A thread of monty that hands over its last result while Python 3.11 is being torn down aborts the process
    (pyo3-async-runtimes issue 40): without this pause a short script ended in SIGABRT in up to half of the runs.
    """

    def settle() -> None:
        for loop in list(_pools):
            if loop.is_running():  # in another thread; what does not close in time ends with the process
                with suppress(TimeoutError, CancelledError, RuntimeError, monty.MontyError):
                    asyncio.run_coroutine_threadsafe(close_pool(), loop).result(timeout=2)
        time.sleep(0.05)

    atexit.register(settle)


async def close_pool() -> None:
    """End the running loop's workers; the next program starts new ones.

    Only a loop that lives on needs this: ``asyncio.run`` does it by itself, and so does the interpreter's end.
    """
    mine = _pools.pop(asyncio.get_running_loop(), None)
    if mine and mine.keeper:
        await mine.keeper.aclose()
