"""Results of τ²-bench and τ³-bench: one JSON with ``simulations``, or ``results.json`` beside ``simulations/*.json``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from workbench.traces.dialogue import (
    About,
    Dialogue,
    DroppedError,
    Json,
    a_list,
    number,
    speech,
    text_of,
    until_end,
    whole,
)

NAME = "τ²-bench results"
WHOSE = {"user": "the simulated customer", "assistant": "the agent under test"}
_REASONS = {"user_stop": "stop"}


def fits(record: Json) -> bool:
    """Tell by ``termination_reason``."""
    return "termination_reason" in record


def read(record: Json, about: About) -> Dialogue:
    """Read a simulation; domain, models and scenario come from the header of its results."""
    reason = text_of(record.get("termination_reason"))
    if not record.get("messages"):
        raise DroppedError(f"no messages ({'voice' if record.get('ticks') else reason or 'no reason given'})")
    lost: Counter[str] = Counter()
    messages, ended = until_end(speech(a_list(record, "messages", about.where), about.where, lost))
    task = text_of(record.get("task_id"))
    domain = _at(about.header, "info", "environment_info", "domain_name")
    agent = text_of(_at(about.header, "info", "agent_info", "llm"))
    tasks = about.header.get("tasks")
    tasks = tasks if isinstance(tasks, list) else []
    told = next((t for t in tasks if isinstance(t, dict) and text_of(t.get("id")) == task), {})
    domain = text_of(domain or _at(told, "user_scenario", "instructions", "domain"))
    return Dialogue(
        messages,
        f"tau2-bench {agent}" if agent else "tau2-bench",
        domain=domain,
        task_id=task,
        tau2_task_id=task,
        trial=whole(record.get("trial"), "trial", about.where),
        reward=number(_at(record, "reward_info", "reward"), "reward", about.where),
        scenario=_scenario(told.get("user_scenario")),
        ended_by=ended or _REASONS.get(reason or "", reason),
        user_model=text_of(_at(about.header, "info", "user_info", "llm")),
        lost=lost,
    )


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _scenario(told: Any) -> str | None:
    """Write a scenario as text, a field a line, headed as in the benchmark's own rendering."""
    instructions = told.get("instructions") if isinstance(told, dict) else told
    if not isinstance(instructions, dict):
        return text_of(instructions)
    fields = {"persona": told.get("persona"), **instructions}
    return "\n".join(
        f"{name.replace('_', ' ').capitalize()}: {text_of(v)}" for name, v in fields.items() if v is not None
    )
