"""Generator programs: run one on a task, check what it returns, say what was wrong.

The contract is `generate_personas_detailed(c, axes, n)` beside the module variable ``DIVERSITY_AXES``; see
``docs/programs.md``. A program never runs in this process: `workbench.simulate.sandbox` holds it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from workbench.errors import WorkbenchError
from workbench.simulate.host import MAX_AXES, SIDES, Complete, Host, clean, too_early, without_helper_import
from workbench.simulate.sandbox import Limits, ProgramRejected, Session, reject, session

__all__ = ["SUBSET", "Limits", "Persona", "ProgramRejected", "read_axes", "run_program"]

TEXT_CHARS = 4_000  # of any text in a record, the policy above all
ID_CHARS = 100

SUBSET = """\
A program is one file of synchronous-looking Python for a sandboxed interpreter.
Supported: functions with defaults, *args and **kwargs; closures, nonlocal, lambda; f-strings, str.format and %;
list, dict and set comprehensions; unpacking; slicing; try/except/else/finally; with; match; the walrus; decorators
on functions; classes and @dataclass without inheritance; type hints and `from __future__ import annotations`.
Modules: base64, bisect, collections, copy, csv, dataclasses, datetime, decimal, functools, hashlib, itertools, json, math, random, re, time, typing, unicodedata.
No other module can be imported: not string, textwrap, statistics, enum, heapq, operator, logging, contextlib or numpy.
Not supported: class inheritance (so no exceptions, enums, TypedDict or NamedTuple classes of your own); @property,
@staticmethod and @classmethod; yield; del; import *; str.format_map and str.translate; re.sub with a function;
functools.wraps; typing.cast and TypeAlias; callable, globals, vars and input.
A generator expression becomes a list, so next(x for x in ...) fails: use a loop or an index.
There are no files, no network and no environment; the clock stands still, random is seeded, print is discarded.
The host offers, without import and without await:
complete(system, user) -> str, one request to the model;
complete_many([(system, user), ...]) -> list of str, the same in parallel and in order;
parse_json(text) -> the first JSON object or array in the text, or ValueError."""


@dataclass(frozen=True)
class Persona:
    """One persona record; ``policy`` is the record's ``expanded_instruction``."""

    persona_id: str
    description: str
    axis_placement: dict[str, bool]
    reasoning: str
    policy: str


async def run_program(
    source: str, context: str, n: int, complete: Complete, *, limits: Limits | None = None, seed: int = 0
) -> list[Persona]:
    """Run a generator program on one task and return its personas, checked.

    Any number of programs may run at once; the ones beyond the pool's workers wait.

    Parameters
    ----------
    source : str
        The program's text.
    context : str
        The task's context ``c_t``, handed to the program as it is.
    n : int
        Personas wanted, at least 1.
    complete : coroutine function of (system, user)
        One request to the generator model.
    limits : Limits, optional
        What the program may use.
    seed : int
        Starts the program's ``random``.

    Raises
    ------
    ProgramRejected
        The program broke the contract or a limit.
    Exception
        Whatever ``complete`` raised, as it is: an endpoint that fails never rejects a program. Only an
        `LLMError` of kind ``content`` (the model answered, with nothing usable) is first raised inside the
        program, as a RuntimeError, so that it may ask again; not caught there, it comes out as it was.
    """
    if n < 1:
        raise WorkbenchError(f"A program writes at least 1 persona, not {n}.")
    limits = limits or Limits()

    async def work() -> list[Persona]:
        host = Host(complete, limits)
        async with _loaded(source, limits, seed) as (program, axes):
            records = await program.feed(
                "generate_personas_detailed(c_of_host, DIVERSITY_AXES, n_of_host)",
                stage="in generate_personas_detailed",
                host=host.functions(),
                inputs={"c_of_host": clean(context), "n_of_host": n},
            )
            return _personas(records, [axis["behavior"] for axis in axes], n)

    return await _again(work)


async def read_axes(source: str) -> list[dict]:
    """Return the checked ``DIVERSITY_AXES`` of a program: behavior, definition, presence of each.

    Raises
    ------
    ProgramRejected
        The program does not load, or its axes are not as the contract says.
    """

    async def work() -> list[dict]:
        async with _loaded(source, Limits(), 0) as (_, axes):
            return axes

    return await _again(work)


async def _again(work: Callable[[], Awaitable[Any]]) -> Any:
    """Try once more when the worker died, twice when it got no time to compute: it may be the machine's doing."""
    for attempt in (1, 2):
        try:
            return await work()
        except ProgramRejected as rejected:
            if not (rejected.starved or (rejected.kind == "crash" and attempt == 1)):
                raise
    return await work()


@asynccontextmanager
async def _loaded(source: str, limits: Limits, seed: int) -> AsyncIterator[tuple[Session, list[dict]]]:
    """Open a session in which the program has been loaded; yield it and the checked axes."""
    if len(source) > limits.source_chars:
        raise reject(
            "contract", f"the program has {len(source):,} characters; {limits.source_chars:,} are allowed"
        )
    if not re.search(r"^\s*[^\s#]", source, flags=re.MULTILINE):
        raise reject("contract", "the program is empty")
    async with session(limits, seed) as program:
        stage = "while the module loads"
        await program.feed(without_helper_import(clean(source)), stage=stage, host=too_early())
        axes = await program.feed("DIVERSITY_AXES", stage=stage, host={})
        yield program, _axes(axes)


# What the program returns

RECORD = ("persona_id", "description", "axis_placement", "reasoning", "expanded_instruction")


def _axes(value: Any) -> list[dict]:
    """Check DIVERSITY_AXES and return it with just the keys of the contract."""
    if not isinstance(value, (list, tuple)):
        raise _broken("DIVERSITY_AXES", f"must be a list, not {_show(value)}")
    if len(value) > MAX_AXES:
        raise _broken("DIVERSITY_AXES", f"has {len(value)} axes; {MAX_AXES} are allowed")
    axes: list[dict] = []
    for i, axis in enumerate(value):
        where = f"DIVERSITY_AXES[{i}]"
        if not isinstance(axis, dict):
            raise _broken(where, f"must be a dict, not {_show(axis)}")
        presence = axis.get("presence")
        if not isinstance(presence, dict) or not set(SIDES) <= {k for k in presence if isinstance(k, str)}:
            raise _broken(where, 'needs "presence": {"true": ..., "false": ...}, both keys as text')
        behavior = _text(axis.get("behavior"), f"{where}['behavior']", ID_CHARS)
        if behavior in [a["behavior"] for a in axes]:
            raise _broken(
                where, f"repeats the behavior {_show(behavior)}; every axis needs a name of its own"
            )
        axes.append(
            {
                "behavior": behavior,
                "definition": _text(axis.get("definition"), f"{where}['definition']"),
                "presence": {k: _text(presence[k], f"{where}['presence']['{k}']") for k in SIDES},
            }
        )
    return axes


def _personas(records: Any, axes: list[str], n: int) -> list[Persona]:
    """Check what generate_personas_detailed returned."""
    what = "generate_personas_detailed"
    if isinstance(records, str) and records.startswith("<coroutine"):
        raise _broken(what, "must be a plain function, not an async one")
    if not isinstance(records, (list, tuple)):
        raise _broken(what, f"must return a list of {n} records, not {_show(records)}")
    if len(records) != n:
        raise _broken(what, f"returned {len(records)} records; exactly n = {n} are needed")
    personas: list[Persona] = []
    for i, record in enumerate(records):
        where = f"record {i + 1} of {n}"
        if not isinstance(record, dict):
            raise _broken(where, f"must be a dict, not {_show(record)}")
        missing = [key for key in RECORD if key not in record]
        if missing:
            raise _broken(where, f"has no {' and no '.join(missing)}")
        persona_id = _text(record["persona_id"], f"{where}: persona_id", ID_CHARS)
        if persona_id in [p.persona_id for p in personas]:
            raise _broken(where, f"repeats the persona_id {_show(persona_id)}; they must differ")
        policy = _text(record["expanded_instruction"], f"{where}: expanded_instruction")
        personas.append(
            Persona(
                persona_id=persona_id,
                description=_text(record["description"], f"{where}: description", empty=True),
                axis_placement=_placement(record["axis_placement"], axes, where),
                reasoning=_text(record["reasoning"], f"{where}: reasoning", empty=True),
                policy=policy,
            )
        )
    return personas


def _placement(value: Any, axes: list[str], where: str) -> dict[str, bool]:
    if not isinstance(value, dict):
        raise _broken(f"{where}: axis_placement", f"must be a dict, not {_show(value)}")
    absent = [axis for axis in axes if axis not in value]
    strange = [_show(key) for key in value if key not in axes]
    if absent or strange:
        problem = f"lacks {', '.join(map(_show, absent[:5]))}" if absent else f"has {', '.join(strange[:5])}"
        raise _broken(f"{where}: axis_placement", f"{problem}; its keys are exactly the axes' names")
    for axis in axes:
        if not isinstance(value[axis], bool):
            raise _broken(
                f"{where}: axis_placement[{_show(axis)}]", f"must be True or False, not {_show(value[axis])}"
            )
    return {axis: value[axis] for axis in axes}


def _text(value: Any, where: str, most: int = TEXT_CHARS, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise _broken(where, f"must be text, not {_show(value)}")
    if len(value) > most:
        raise _broken(where, f"has {len(value):,} characters; at most {most:,} are allowed")
    if not empty and not value.strip():
        raise _broken(where, "is empty")
    if value in ("[...]", "{...}"):  # how monty writes a list or a dict inside itself
        raise _broken(where, "is a list or dict that contains itself; it must be text")
    return value


def _broken(where: str, problem: str) -> ProgramRejected:
    return reject("contract", f"{where} {problem}")


def _show(value: Any) -> str:
    """Show a value of the sandbox without walking it."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 10**15):
        return repr(value)
    name = getattr(value, "name", None)
    if type(value).__module__.startswith("pydantic_monty") and isinstance(name, str):
        return f"an object of the class {name[:60]}"
    return f"a value of type {type(value).__name__}"
