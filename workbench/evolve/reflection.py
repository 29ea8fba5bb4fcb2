"""Reflection: a critique in plain language of a candidate's best and worst episodes."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from workbench.llm.client import Client, LLMError
from workbench.measure import FEATURES
from workbench.simulate.batch import Batch

SHOWN, TURNS, CHARACTERS, WORDS = 2, 12, 2_000, 300

SYSTEM = """You review simulated customers of a help desk.
A program writes persona policies, and a language model plays customers by them.
A classifier trained on real people's conversations says how human each simulated customer looks.
You are shown the batch's scores, and the conversations that looked most and least human, each with its policy and
its fingerprint (rates are shares of the customer's turns).
Say what makes the least human ones give themselves away, what the most human ones do right, which kinds of customer are
missing from the batch, and what should change in the behavior axes or the prompts.
Write at most 300 words of plain prose. Speak of behavior in general: name no customer, no order, no task and no number
of a conversation."""


async def reflect(
    batch: Batch,
    prints: pl.DataFrame,
    scores: dict[str, Any],
    humans: pl.DataFrame,
    client: Client,
    seed: int,
) -> str:
    """Ask the reflection model about a batch; an answer that fails is said so in brackets.

    ``prints`` are the batch's fingerprints with ``likeness``; the means of ``humans`` stand beside theirs.
    """
    if prints.is_empty():
        return "(no reflection: no episode of this candidate finished)"
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": request(batch, prints, scores, humans)},
    ]
    try:
        reply = await client.chat("reflection", messages, seed=seed)
    except LLMError as error:
        if error.kind == "cap":
            raise
        return f"(no reflection: {error.reason})"
    words = reply.content.split()
    return reply.content.strip() if len(words) <= WORDS else " ".join(words[:WORDS]) + " …"


def request(batch: Batch, prints: pl.DataFrame, scores: dict[str, Any], humans: pl.DataFrame) -> str:
    """Write the reflection request: scores, means beside people's, best and worst episodes."""
    ranked = prints.sort("likeness", "dialogue_id", descending=[True, False])
    shown = min(SHOWN, (len(ranked) + 1) // 2)
    parts = ["## Scores", score_lines(scores), "", "## Mean fingerprint: this batch against people"]
    ours, theirs = prints.select(FEATURES).mean().row(0), humans.select(FEATURES).mean().row(0)
    parts += [f"{f}: {a:.2f} against {b:.2f}" for f, a, b in zip(FEATURES, ours, theirs, strict=True)]
    policies = {
        (task, persona): policy
        for task, persona, policy in batch.personas.select("task_id", "persona_id", "policy").iter_rows()
    }
    for title, rows in (("Most human", ranked.head(shown)), ("Least human", ranked.tail(shown))):
        for row in rows.iter_rows(named=True):
            episode = batch.episodes.row(by_predicate=pl.col("dialogue_id") == row["dialogue_id"], named=True)
            parts += ["", f"## {title} (P(human) {row['likeness']:.2f})", "### Policy"]
            parts.append(policies.get((episode["task_id"], episode["persona_id"]), "(no policy)"))
            parts += ["### Fingerprint", ", ".join(f"{f} {row[f]:.2f}" for f in FEATURES if row[f])]
            parts += ["### Conversation", excerpt(batch.turns, row["dialogue_id"])]
    return "\n".join(parts)


def excerpt(turns: pl.DataFrame, dialogue_id: str) -> str:
    """Return the first turns of a conversation; the agent's are shortened, tool calls left out."""
    spoken = turns.filter(
        (pl.col("dialogue_id") == dialogue_id)
        & pl.col("role").is_in(["user", "assistant"])
        & (pl.col("content") != "")
    ).head(TURNS)
    lines = []
    for role, content in spoken.select("role", "content").iter_rows():
        text = re.sub(r"\s+", " ", content)
        lines.append(f"customer: {text}" if role == "user" else f"agent: {text[:120]}")
    return "\n".join(lines)[:CHARACTERS]


def score_lines(scores: dict[str, Any]) -> str:
    """Write the terms of the fitness, one a line."""
    lines = []
    for name in ("fitness", "human_likeness", "coverage", "success"):
        if scores.get(name) is not None:
            low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
            between = (
                f" (95 % interval {low:.3f} to {high:.3f})" if low is not None and high is not None else ""
            )
            lines.append(f"{name}: {scores[name]:.3f}{between}")
    lines.append(
        f"episodes: {scores['n_episodes']}, failed {scores['n_failed']}, faulty {scores['n_faults']}"
    )
    return "\n".join(lines)
