"""Trajectories that ppol collects: ``baseline.json`` with ``meta`` and ``episodes``, or a list of the latter."""

from __future__ import annotations

from collections import Counter

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
)

NAME = "ppol trajectories"
WHOSE = {"user": "the simulated customer", "assistant": "the agent under test"}


def fits(record: Json) -> bool:
    """Tell by ``trajectory``, or by the ``error`` that stands in its place."""
    return "trajectory" in record or ("error" in record and "task_id" in record)


def read(record: Json, about: About) -> Dialogue:
    """Read an episode; ppol runs τ²-bench and numbers tasks as it does."""
    if not record.get("trajectory"):
        raise DroppedError("an episode that failed")
    lost: Counter[str] = Counter()
    messages, ended = until_end(speech(a_list(record, "trajectory", about.where), about.where, lost))
    meta = about.header.get("meta")
    facts = {**(meta if isinstance(meta, dict) else {}), **record}
    reward = facts.get("reward")
    if reward is None and isinstance(facts.get("success"), bool):
        reward = float(facts["success"])
    task = text_of(record.get("task_id"))
    return Dialogue(
        messages,
        "ppol",
        domain=text_of(facts.get("domain")),
        task_id=task,
        tau2_task_id=task,
        reward=number(reward, "reward", about.where),
        ended_by=ended,
        user_model=text_of(facts.get("user_model")),
        lost=lost,
    )
