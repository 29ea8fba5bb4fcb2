"""Trajectories that ppol collects: ``baseline.json`` with ``meta`` and ``episodes``, or a list of the latter."""

from __future__ import annotations

from workbench.traces.dialogue import About, Dialogue, DroppedError, Json, played

NAME = "ppol trajectories"
WHOSE = {"user": "the simulated customer", "assistant": "the agent under test"}


def fits(record: Json) -> bool:
    """Tell by ``trajectory``, or by the ``error`` that stands in its place."""
    return "trajectory" in record or ("error" in record and "task_id" in record)


def read(record: Json, about: About) -> Dialogue:
    """Read an episode; ppol runs τ²-bench and numbers tasks as it does."""
    if not record.get("trajectory"):
        raise DroppedError("an episode that failed")
    meta = about.header.get("meta")
    facts = {**(meta if isinstance(meta, dict) else {}), **record}
    reward, success = facts.get("reward"), facts.get("success")
    if reward is None and isinstance(success, bool):
        reward = float(success)
    texts = {name: facts.get(name) for name in ("domain", "user_model")}
    return played(record, "trajectory", "ppol", about, reward, **texts)
