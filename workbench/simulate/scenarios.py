"""Scenarios of one's own as tasks: no tools and no reward, any domain; the agent a model or a Python function."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.measure.own import split_of
from workbench.simulate import tau2
from workbench.simulate.agent import Agent, load_agent
from workbench.simulate.tau2 import Task

OWN = "own"  # the domain of scenarios that name none
FIELDS = ("id", "scenario", "context", "domain", "split", "policy")
_AGENT_PROMPT = """\
<instructions>
You are a customer service agent. Help the user within the limits of the <policy> below.
</instructions>
<policy>
{policy}
</policy>"""
_NO_POLICY = "No policy is given: answer as well as you can, and say so when you cannot do what is asked."


@dataclass(frozen=True)
class Scenario(Task):
    """A task without tools and reward; ``agent`` is a function that replies, None asks the agent's endpoint."""

    policy: str = field(default="", compare=False, repr=False)
    agent: Agent | None = field(default=None, compare=False, repr=False)

    @property
    def needs_write(self) -> None:
        """Unknown: there is no database."""
        return

    @property
    def tau2_task_id(self) -> str | None:
        """The benchmark's number where this is one of its tasks, played by a function."""
        return self.task_id if self.instructions else None

    @property
    def tools(self) -> list[dict[str, Any]]:
        """None."""
        return []

    @property
    def agent_prompt(self) -> str:
        """The system prompt of an agent that is a model."""
        if self.agent:
            return f"(no prompt: the Python function {self.agent.name} answers)"
        return _AGENT_PROMPT.format(policy=self.policy or _NO_POLICY)

    def session(self) -> None:
        """No database, so no session."""
        return

    def plain(self) -> dict[str, Any]:
        """What tells the task to another machine."""
        return _facts(self) | {"agent": self.agent.name if self.agent else None}


def from_plain(told: Mapping[str, Any]) -> Task:
    """Make a task again from what its ``plain()`` told."""
    if set(told) == {"domain", "task_id"}:
        return tau2.task(told["domain"], told["task_id"])
    agent = load_agent(told["agent"]) if told["agent"] else None
    return Scenario(**{**told, "agent": agent})


def pools(domain: str, file: str | Path | None = None, agent: Agent | None = None) -> dict[str, list[Task]]:
    """Return the train and test tasks to draw from: a file's scenarios, else the benchmark's.

    A function as the agent has none of the benchmark's tools: its tasks then are scenarios too.

    Raises
    ------
    WorkbenchError
        The file is wrong, or the benchmark has no such domain.
    """
    found = read_scenarios(file) if file else [t for w in ("train", "test") for t in tau2.split(domain, w)]
    found = [replace(task, domain=domain) if task.domain == OWN else task for task in found]
    if agent:
        found = [Scenario(**_facts(task), agent=agent) for task in found]
    return {which: [task for task in found if task.split == which] for which in ("train", "test")}


def _facts(task: Task) -> dict[str, Any]:
    return {f.name: getattr(task, f.name) for f in fields(task) if f.name != "agent"}


def read_scenarios(file: str | Path) -> list[Task]:
    """Read scenarios, a JSON object a line (docs/formats/own_scenarios.md).

    Fields: ``id``; ``scenario`` (or ``context``): what the user is told; optional ``domain``, the same for all;
    ``split``: train or test, else by a hash of the id; ``policy``: what an agent that is a model is told.

    Raises
    ------
    WorkbenchError
        Naming the line and what is wrong in it.
    """
    path = Path(file)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise WorkbenchError(f"There is no file of scenarios {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise WorkbenchError(f"The scenarios {path} cannot be read as text: {error}.") from None
    found = [_scenario(line, f"{path}, line {n}") for n, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise WorkbenchError(f'{path} is empty; write a scenario a line: {{"id": …, "scenario": …}}.')
    if twice := [name for name, n in Counter(s.task_id for s in found).items() if n > 1]:
        raise WorkbenchError(f"{path} has the id '{twice[0]}' more than once; give each scenario its own.")
    domains = sorted({s.domain for s in found} - {""})
    if len(domains) > 1:
        raise WorkbenchError(
            f"{path} names several domains ({', '.join(domains)}); a run has one: split the file."
        )
    return [replace(s, domain=domains[0] if domains else OWN) for s in found]


def _scenario(line: str, where: str) -> Scenario:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WorkbenchError(f"{where} is no JSON ({error}).") from None
    if not isinstance(record, dict):
        raise WorkbenchError(f'{where} is no JSON object; expected {{"id": …, "scenario": …}}.')
    if strange := [name for name in record if name not in FIELDS]:
        raise WorkbenchError(f"{where} has the field '{strange[0]}'; the fields are {', '.join(FIELDS)}.")
    context = record.get("scenario", record.get("context"))
    if not isinstance(context, str) or not context.strip():
        raise WorkbenchError(f"{where} has no scenario: give it the text of what the user wants and knows.")
    name = record.get("id")
    name = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
    if not isinstance(name, str) or not name.strip() or "|" in name or len(name) > 200:
        raise WorkbenchError(f"{where} has no proper id: give it a short text without a bar.")
    split = record.get("split") or split_of(name)
    if split not in ("train", "test"):
        raise WorkbenchError(f"{where} has the split {split!r}; it must be train or test.")
    for other in ("domain", "policy"):
        if not isinstance(record.get(other) or "", str):
            raise WorkbenchError(f"{where} has a {other} that is no text.")
    return Scenario(
        name, record.get("domain") or "", split, context, {}, {}, policy=record.get("policy") or ""
    )


def digest(file: str | Path) -> str:
    """Return twelve letters and digits that tell a file's content from any other."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]
    except OSError as error:
        raise WorkbenchError(f"The scenarios {file} cannot be read: {error.strerror or error}.") from None


def sizes(found: Mapping[str, Sequence[Task]]) -> dict[str, int]:
    """Suggest how many tasks to draw from few: as the settings' defaults, or all there are."""
    train, test = len(found["train"]), len(found["test"])
    validation = min(5, max(1, train // 5))
    searched = max(1, min(20, train - validation))
    return {
        "train_tasks": searched,
        "validation_tasks": validation,
        "test_tasks": max(1, min(20, test)),
        "window": min(5, searched),
    }
