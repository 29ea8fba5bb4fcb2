"""An episode's own database, the tools that act on it, and the benchmark's reward.

The database is loaded once a process and never written to: a :class:`Session` copies a record when it first
fetches it, so that episodes are isolated, cost kilobytes, and are scored by the few records they touched.
"""

from __future__ import annotations

import gzip
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any, get_type_hints

from workbench.errors import WorkbenchError
from workbench.simulate.tau2.tasks import Task, data_folder, load, task


@dataclass(frozen=True)
class ToolResult:
    """What a tool answered; ``content`` goes back to the agent as it is, errors included."""

    content: str
    error: bool


@dataclass(frozen=True)
class Reward:
    """The benchmark's own reward: the database as expected AND every required fact told to the user."""

    reward: float
    db_match: bool
    communicated: bool
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Toolbox:
    """What all sessions of a domain share: schemas, argument models, the tool methods, the pristine records."""

    schemas: list[dict[str, Any]]
    arguments: dict[str, Any]
    methods: type
    stateless: dict[str, Callable[..., Any]]
    tables: dict[str, dict[str, Any]]
    tool_error: type[Exception]


_HOMES = {"retail": ("RetailAgentTools", "RetailDB"), "airline": ("AirlineAgentTools", "FlightDB")}


@cache
def toolbox(domain: str) -> Toolbox:
    """Import a domain's tools and read its database (a second or more; once per process)."""
    from inspect_ai.tool import ToolDef, ToolError
    from pydantic import ConfigDict, create_model

    class_name, database_name = _HOMES[domain]
    module = import_module(f"inspect_evals.tau2.{domain}.{class_name}")
    source, database = getattr(module, class_name), getattr(module, database_name)
    factories = getattr(import_module(f"inspect_evals.tau2.{domain}.tools"), f"all_{domain}_tools")
    path = data_folder() / "domains" / domain / "db.json.gz"
    pristine = database.model_validate_json(gzip.decompress(path.read_bytes()))
    # The tools are methods of a StoreModel, whose fields live in one process-wide store: as plain functions on a
    # plain class they work on whatever `db` the session gives them, and nothing outlives the session.
    functions = {name: value for name, value in vars(source).items() if inspect.isfunction(value)}
    strict = ConfigDict(strict=True, extra="forbid")
    schemas: list[dict[str, Any]] = []
    arguments: dict[str, Any] = {}
    stateless: dict[str, Callable[..., Any]] = {}
    for factory in factories:
        run = factory()
        tool = ToolDef(run)
        parameters = tool.parameters.model_dump(exclude_none=True)
        schemas.append(
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
            }
        )
        hints = get_type_hints(functions.get(tool.name, run))
        hints.pop("return", None)
        fields: dict[str, Any] = {name: (hint, ...) for name, hint in hints.items()}
        arguments[tool.name] = create_model(tool.name, __config__=strict, **fields)
        if tool.name not in functions:
            stateless[tool.name] = run
    tables = {name: getattr(pristine, name) for name in database.model_fields}
    return Toolbox(schemas, arguments, type(source.__name__, (), functions), stateless, tables, ToolError)


class _Overlay(Mapping[str, Any]):
    """A table of one session: the pristine records, hidden by the session's own copies of those it fetched.

    Only fetching by key copies: the tools write to records they fetched, while their scans
    (``values``, ``items``) merely read. No tool removes a record.
    """

    def __init__(self, base: Mapping[str, Any]) -> None:
        self._base = base
        self.own: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self.own:
            record = self._base[key]
            self.own[key] = type(record).model_validate(record.model_dump())  # 4 times as fast as deepcopy
        return self.own[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.own[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self.own or key in self._base

    def __iter__(self) -> Iterator[str]:
        yield from self._base
        yield from (key for key in self.own if key not in self._base)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def values(self) -> Any:
        """Records in table order, untouched ones uncopied."""
        return (record for _, record in self.items())

    def items(self) -> Any:
        """Pairs in table order, untouched records uncopied."""
        own, base = self.own, self._base
        return ((key, own[key] if key in own else base[key]) for key in self)

    def changes(self) -> dict[str, str]:
        """Canonical JSON of every record that differs from the pristine one."""
        found = {}
        for key, record in self.own.items():
            after = _canonical(record)
            if key not in self._base or after != _canonical(self._base[key]):
                found[key] = after
        return found


def _canonical(record: Any) -> str:
    # the same text that the benchmark hashes, one record at a time
    return json.dumps(record.model_dump(warnings=False), sort_keys=True, default=str)


class Session:
    """One episode's own view of a domain's database, with the tools that act on it.

    Examples
    --------
    >>> session = Session("retail")
    >>> session.call("calculate", '{"expression": "2 + 2"}')
    ToolResult(content='4.0', error=False)
    """

    def __init__(self, domain: str) -> None:
        load(domain)  # an unknown domain gets its sentence before anything heavy is imported
        self.domain = domain
        self._box = toolbox(domain)
        self._tables = {name: _Overlay(base) for name, base in self._box.tables.items()}
        self._tools = self._box.methods()
        self._tools.db = SimpleNamespace(**self._tables)

    def call(self, name: str, arguments: str | Mapping[str, Any]) -> ToolResult:
        """Run a tool as the agent asked for it.

        Parameters
        ----------
        name
            The tool's name.
        arguments
            The arguments as raw JSON text or as a mapping.

        Returns
        -------
        ToolResult
            The tool's answer; with ``error=True`` and a text for the agent when the tool is unknown, the arguments
            are not a JSON object of the tool's parameters, or the tool refused.
        """
        model = self._box.arguments.get(name)
        if model is None:
            return _error(f"there is no tool {name!r}; the tools are {', '.join(self._box.arguments)}")
        try:
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            values = json.loads(text or "{}", parse_float=_number)
        except (ValueError, TypeError, RecursionError) as problem:
            return _error(f"the arguments of {name} are not valid JSON ({problem})")
        if not isinstance(values, dict):
            return _error(f"the arguments of {name} must be a JSON object, not {type(values).__name__}")
        from pydantic import ValidationError

        try:
            valid = model.model_validate(values)
            return ToolResult(self._run(name, {key: getattr(valid, key) for key in values}), error=False)
        except ValidationError as problem:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors()[:5])
            return _error(f"the arguments of {name} do not fit its parameters: {faults}")
        except self._box.tool_error as refusal:
            return _error(str(refusal))
        except (LookupError, TypeError, ValueError, AttributeError) as problem:
            return _error(f"{name} could not handle these arguments ({type(problem).__name__}: {problem})")

    def _run(self, name: str, arguments: Mapping[str, Any]) -> str:
        if name in self._box.stateless:
            return _finish(self._box.stateless[name](**arguments))
        result = getattr(self._tools, name)(**arguments)
        return result if isinstance(result, str) else json.dumps(result, sort_keys=True)

    def changes(self) -> dict[tuple[str, str], str]:
        """Records that differ from the pristine database: (table, key) to canonical JSON."""
        return {
            (table, key): text
            for table, overlay in self._tables.items()
            for key, text in overlay.changes().items()
        }

    def reward(self, task: Task, agent_messages: Sequence[str]) -> Reward:
        """Score the episode as the benchmark does, without its natural-language assertions.

        Parameters
        ----------
        task
            The episode's task, of this session's domain.
        agent_messages
            What the agent told the user, in order.
        """
        if task.domain != self.domain:
            raise WorkbenchError(
                f"task {task.task_id} belongs to {task.domain}, this session to {self.domain}"
            )
        # a task without any list of actions leaves the database unscored; an empty list asks for no change
        db_match = task.criteria.get("actions") is None or self.changes() == expected_changes(
            task.domain, task.task_id
        )
        told = "\n".join(agent_messages).lower().replace(",", "")
        facts = task.criteria.get("communicate_info") or []
        missing = tuple(fact for fact in facts if fact.lower() not in told)
        return Reward(float(db_match and not missing), db_match, not missing, missing)


@cache
def expected_changes(domain: str, task_id: str) -> dict[tuple[str, str], str]:
    """What the reference actions change; those that the tools refuse are skipped, as the benchmark does."""
    session = Session(domain)
    for action in task(domain, task_id).criteria.get("actions") or []:
        if action["name"] in session._box.stateless:
            continue
        try:
            session._run(action["name"], action["arguments"])
        except session._box.tool_error:
            continue
    return session.changes()


def _error(text: str) -> ToolResult:
    return ToolResult(f"Error: {text}", error=True)


def _number(text: str) -> int | float:
    # JSON schema counts 2.0 as an integer, and models write it
    value = float(text)
    return int(value) if value.is_integer() else value


def _finish(coroutine: Any) -> str:
    """Run a coroutine that never waits, whether or not an event loop is running."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return str(done.value)
    raise RuntimeError("a stateless benchmark tool began to wait")
