"""Episodes, turns and personas as frames, in the columns of docs/schema.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from workbench.measure.faults import COLUMNS, FAULTS, faults
from workbench.simulate.program import Persona
from workbench.simulate.rollout import Episode
from workbench.traces import SCHEMA

EPISODES: dict[str, Any] = {
    "dialogue_id": pl.String,
    "condition": pl.String,
    "split": pl.String,
    "candidate_id": pl.String,
    "task_id": pl.String,
    "persona_id": pl.String,
    "seed": pl.Int64,
    "n_personas": pl.Int32,
    "needs_write": pl.Boolean,
    "reward": pl.Float64,
    "success": pl.Boolean,
    "ended_by": pl.String,
    "fault": pl.String,
    **dict.fromkeys((*FAULTS, "goal_pieces", "goal_delivered"), pl.Int32),
    "error": pl.String,
    "tokens_in": pl.Int64,
    "tokens_out": pl.Int64,
    "cost": pl.Float64,
    "seconds": pl.Float64,
    "user_prompt": pl.String,
    "agent_prompt": pl.String,
    "policy_at": pl.Int32,
    "likeness": pl.Float64,
}
TURNS: dict[str, Any] = SCHEMA | {"tool_calls": pl.String}
PERSONAS: dict[str, Any] = {
    "candidate_id": pl.String,
    "task_id": pl.String,
    "persona_id": pl.String,
    "split": pl.String,
    "description": pl.String,
    "reasoning": pl.String,
    "axis_placement": pl.List(pl.Struct({"axis": pl.String, "on": pl.Boolean})),
    "policy": pl.String,
}


def episodes_frame(episodes: Sequence[Episode]) -> pl.DataFrame:
    """One row an episode, sorted by ``dialogue_id``; a failed one has no reward and no faults, and says why."""
    rows = [
        {k: v for k, v in (vars(e.job) | vars(e)).items() if k in EPISODES}
        | {
            "task_id": e.job.task.task_id,
            "needs_write": e.job.task.needs_write,
            "success": None if e.reward is None else e.reward >= 1,
            "policy_at": e.user_prompt.rindex(e.job.policy) if e.job.policy else None,
        }
        for e in episodes
    ]
    frame = pl.DataFrame(rows, schema=EPISODES).drop(COLUMNS)
    finished = [e for e in episodes if e.error is None]
    about = {
        "dialogue_id": [e.job.dialogue_id for e in finished],
        "scenario": [e.job.task.context for e in finished],
        "ended_by": [e.ended_by for e in finished],
    }
    found = faults(turns_frame(finished), pl.DataFrame(about, schema=dict.fromkeys(about, pl.String)))
    return frame.join(found, on="dialogue_id", how="left").select(EPISODES.keys()).sort("dialogue_id")


def turns_frame(episodes: Sequence[Episode]) -> pl.DataFrame:
    """One row a message, in order; episodes sorted by ``dialogue_id``."""
    rows = [
        {
            "dialogue_id": e.job.dialogue_id,
            "turn": i,
            "role": m["role"],
            "content": m["content"],
            "tool_calls": m.get("tool_calls"),
            "source": e.job.condition,
            "domain": e.job.task.domain,
            "task_id": e.job.task.task_id,
            "tau2_task_id": e.job.task.tau2_task_id,
            "reward": e.reward,
        }
        for e in episodes
        for i, m in enumerate(e.messages)
    ]
    return pl.DataFrame(rows, schema=TURNS).sort("dialogue_id", "turn")


def personas_frame(personas: Sequence[tuple[str | None, str, str, Persona]]) -> pl.DataFrame:
    """One row a persona, from (candidate_id, split, task_id, persona) records."""
    rows: list[dict[str, Any]] = [
        vars(p)
        | {
            "candidate_id": candidate,
            "task_id": task,
            "split": split,
            "axis_placement": [{"axis": a, "on": on} for a, on in p.axis_placement.items()],
        }
        for candidate, split, task, p in personas
    ]
    return pl.DataFrame(rows, schema=PERSONAS).sort("split", "task_id", "persona_id")
