"""Tasks, splits, policies and prompts of τ²-bench, read from the benchmark's data folder alone.

Nothing here imports ``inspect-evals`` (seconds); what needs its tools asks :mod:`workbench.simulate.tau2.session`.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.simulate.tau2.session import Session

DOMAINS = ("retail", "airline")
GREETING = "Hi! How can I help you today?"

_AGENT_INSTRUCTIONS = """\
<instructions>
You are a customer service agent. Help the user within the limits of the <policy> below.
Each turn is one of two things, never both:
- a message to the user, or
- a single tool call.
Keep to the policy at all times, and write tool arguments as valid JSON.
</instructions>"""


@dataclass(frozen=True)
class Task:
    """One τ²-bench task; two tasks are equal when domain, id and split agree."""

    task_id: str
    domain: str
    split: str
    context: str = field(compare=False, repr=False)
    instructions: dict[str, Any] = field(compare=False, repr=False)
    criteria: dict[str, Any] = field(compare=False, repr=False)

    @property
    def needs_write(self) -> bool | None:
        """Whether the reference actions leave the database changed (11 retail and 20 airline tasks do not)."""
        from workbench.simulate.tau2.session import expected_changes

        return bool(expected_changes(self.domain, self.task_id))

    @property
    def tau2_task_id(self) -> str | None:
        """The benchmark's number."""
        return self.task_id

    @property
    def tools(self) -> list[dict[str, Any]]:
        """Schemas of the tools that the agent has."""
        return load(self.domain).tools

    @property
    def agent_prompt(self) -> str:
        """The agent's system prompt."""
        return agent_prompt(self.domain)

    def session(self) -> Session | None:
        """Open the episode's own database."""
        from workbench.simulate.tau2.session import Session

        return Session(self.domain)

    def plain(self) -> dict[str, Any]:
        """What tells the task to another machine."""
        return {"domain": self.domain, "task_id": self.task_id}


@dataclass(frozen=True)
class Domain:
    """A domain's tasks, the ids of its splits, and its policy; its tools are made when first asked for."""

    name: str
    tasks: dict[str, Task] = field(repr=False)
    splits: dict[str, list[str]] = field(repr=False)
    policy: str = field(repr=False)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The ``tools`` field of an OpenAI chat request: one function schema per benchmark tool."""
        from workbench.simulate.tau2.session import toolbox

        return toolbox(self.name).schemas


@cache
def load(domain: str) -> Domain:
    """Read a domain's tasks, splits and policy (once per process).

    Raises
    ------
    WorkbenchError
        The domain is not one of ``DOMAINS``, or ``inspect-evals`` is not installed.
    """
    if domain not in DOMAINS:
        raise WorkbenchError(f"unknown domain {domain!r}: the known ones are {', '.join(DOMAINS)}")
    folder = data_folder() / "domains" / domain
    splits = json.loads((folder / "split_tasks.json").read_text(encoding="utf-8"))
    split_of = {task_id: which for which in ("train", "test") for task_id in splits[which]}
    tasks = {}
    for record in json.loads((folder / "tasks.json").read_text(encoding="utf-8")):
        task_id, scenario = str(record["id"]), record["user_scenario"]
        tasks[task_id] = Task(
            task_id=task_id,
            domain=domain,
            split=split_of[task_id],
            context=scenario_text(scenario),
            instructions=scenario["instructions"],
            criteria=record["evaluation_criteria"] or {},
        )
    return Domain(domain, tasks, splits, (folder / "policy.txt").read_text(encoding="utf-8"))


def split(domain: str, which: str) -> list[Task]:
    """Tasks of the official ``train`` or ``test`` split, in the order of the benchmark's split file."""
    found = load(domain)
    if which not in ("train", "test"):
        raise WorkbenchError(f"unknown split {which!r} of {domain}: use train or test")
    return [found.tasks[task_id] for task_id in found.splits[which]]


def task(domain: str, task_id: str) -> Task:
    """One task by its id; an unknown id raises a WorkbenchError that names the range and the closest ids."""
    tasks = load(domain).tasks
    found = tasks.get(str(task_id))
    if found is None:
        ids = list(tasks)
        close = difflib.get_close_matches(str(task_id), ids, n=3, cutoff=0.5)
        hint = f"; closest: {', '.join(close)}" if close else ""
        raise WorkbenchError(
            f"no task {str(task_id)!r} in {domain}: ids run from {ids[0]} to {ids[-1]}{hint}"
        )
    return found


def user_prompt(task: Task, policy: str = "") -> str:
    """The user simulator's system prompt ``s_base(t) ⊕ P``; an empty policy gives the base simulator."""
    base = f"{_guidelines()}\n<scenario>\n{task.context}\n</scenario>"
    return f"{base}\n\n{policy}" if policy else base


def agent_prompt(domain: str) -> str:
    """The agent's system prompt: how to take a turn, then the domain's policy."""
    return f"{_AGENT_INSTRUCTIONS}\n<policy>\n{load(domain).policy}\n</policy>"


@cache
def data_folder() -> Path:
    """The benchmark's data folder, wherever ``inspect-evals`` is installed."""
    # find_spec of a top-level package locates it without running it: its import takes seconds
    spec = importlib.util.find_spec("inspect_evals")
    if spec is None or not spec.submodule_search_locations:
        raise WorkbenchError("the benchmark's data is missing: install the package inspect-evals")
    return Path(next(iter(spec.submodule_search_locations))) / "tau2" / "data"


@cache
def _guidelines() -> str:
    return (data_folder() / "user_simulator" / "simulation_guidelines.txt").read_text(encoding="utf-8")


def scenario_text(scenario: Mapping[str, Any]) -> str:
    """``str(task.user_scenario)`` of the benchmark's own model, character for character (a test compares)."""
    instructions = scenario["instructions"]
    body = [f"Domain: {instructions['domain']}"]
    for key, title in (
        ("reason_for_call", "Reason for call"),
        ("known_info", "Known info"),
        ("unknown_info", "Unknown info"),
        ("task_instructions", "Task instructions"),
    ):
        if instructions.get(key) is not None:
            body.append(f"{title}:\n{textwrap.indent(instructions[key], chr(9))}")
    persona = scenario.get("persona")
    head = [] if persona is None else ["Persona:", textwrap.indent(persona, "\t")]
    return "\n".join([*head, "Instructions:", textwrap.indent("\n".join(body), "\t")])
