"""Results of τ²-bench and τ³-bench: one JSON with ``simulations``, or ``results.json`` beside ``simulations/*.json``."""

from __future__ import annotations

from typing import Any

from workbench.traces.dialogue import About, Dialogue, DroppedError, Json, at, played, text_of

NAME = "τ²-bench results"
WHOSE = {"user": "the simulated customer", "assistant": "the agent under test"}


def fits(record: Json) -> bool:
    """Tell by ``termination_reason``."""
    return "termination_reason" in record


def read(record: Json, about: About) -> Dialogue:
    """Read a simulation; domain, models and scenario come from the header of its results."""
    reason, info = text_of(record.get("termination_reason")), at(about.header, "info")
    if not record.get("messages"):
        raise DroppedError(f"no messages ({'voice' if record.get('ticks') else reason or 'no reason given'})")
    task, tasks = text_of(record.get("task_id")), at(about.header, "tasks")
    same = (t for t in (tasks if isinstance(tasks, list) else ()) if text_of(at(t, "id")) == task)
    told = at(next(same, None), "user_scenario")
    agent = text_of(at(info, "agent_info", "llm"))
    dialogue = played(
        record,
        "messages",
        f"tau2-bench {agent}" if agent else "tau2-bench",
        about,
        at(record, "reward_info", "reward"),
        record.get("trial"),
        domain=at(info, "environment_info", "domain_name") or at(told, "instructions", "domain"),
        scenario=_scenario(told),
        user_model=at(info, "user_info", "llm"),
    )
    dialogue.ended_by = dialogue.ended_by or ("stop" if reason == "user_stop" else reason)
    return dialogue


def _scenario(told: Any) -> str | None:
    """Write a scenario as text, a field a line, headed as in the benchmark's own rendering."""
    instructions = told.get("instructions") if isinstance(told, dict) else told
    if not isinstance(instructions, dict):
        return text_of(instructions)
    fields = {"persona": told.get("persona"), **instructions}
    return "\n".join(
        f"{name.replace('_', ' ').capitalize()}: {text_of(v)}" for name, v in fields.items() if v is not None
    )
