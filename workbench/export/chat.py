"""Conversations as chat JSONL for trainers: a system message or the user first, then strict turns, the assistant last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from workbench.errors import WorkbenchError
from workbench.export.choose import Choice
from workbench.export.files import Written, document, lines, put
from workbench.simulate.rollout import ENDINGS
from workbench.simulate.tau2 import GREETING
from workbench.traces import Report, batches, tau_usi

TOKENS = {ending: token for token, ending in ENDINGS.items()}
FLIPPED = {"user": "assistant", "assistant": "user"}
Message = dict[str, str]


class Dialogue(NamedTuple):
    """A conversation: (role, content) of what was said, the prompts of both sides where known, how it ended."""

    dialogue_id: str
    said: list[tuple[str, str]]
    prompts: dict[str, str | None]
    ended_by: str | None = None


def agent(choice: Choice, out: Path) -> Written:
    """Write conversations to train the agent: the simulator is the user."""
    return _write(choice, out, "assistant")


def simulator(choice: Choice, out: Path) -> Written:
    """Write conversations to train a user simulator: roles flipped, its stop token put back."""
    return _write(choice, out, "user")


def _write(choice: Choice, out: Path, learner: str) -> Written:
    counts: Counter[str] = Counter()
    tally = Report(choice.label)
    found = _of_run(choice, counts) if choice.run else _of_file(choice, counts, tally)
    records: list[dict[str, Any]] = []
    ids: list[str] = []
    for dialogue in found:
        if messages := turns(dialogue, learner, counts):
            records.append({"messages": messages})
            ids.append(dialogue.dialogue_id)
    if not records:
        why = "; ".join(f"{n} {name}" for name, n in sorted(counts.items())) or "there is none"
        raise WorkbenchError(f"No conversation of {choice.label} can be exported: {why}.")
    about = {
        "learner": "agent" if learner == "assistant" else "user simulator",
        "dialogues": ids,
        "changed": dict(counts),
        "terms": sorted(tally.terms),
    }
    about |= choice.provenance if choice.run else {"file": str(choice.file)}
    files = put({out: lines(records), Path(f"{out}.about.json"): document(about)})
    return Written(files, len(records), f"conversations of {choice.label}", sorted(tally.terms), counts)


def turns(dialogue: Dialogue, learner: str, counts: Counter[str]) -> list[Message]:
    """Bring a conversation to the rules of trainers; ``counts`` gains every change. Empty when nothing is left to learn.

    Parameters
    ----------
    dialogue
        The conversation.
    learner
        Whose turns are to be learnt: ``assistant``, or ``user`` with roles flipped.
    counts
        What was merged, cut and put back.
    """
    out: list[Message] = []
    said = list(dialogue.said)
    if learner == "user" and dialogue.ended_by in TOKENS:
        token = TOKENS[dialogue.ended_by]
        counts["stop tokens put back"] += 1
        if said and said[-1][0] == "user":
            said[-1] = ("user", f"{said[-1][1]} {token}".strip())
        else:
            said.append(("user", token))
    if learner == "user" and said and said[0][0] == "user":
        counts["greetings put before the user's first words"] += 1
        said.insert(0, ("assistant", GREETING))
    for role, content in said:
        if not content.strip():
            counts["blank turns cut"] += 1
            continue
        seen = role if learner == "assistant" else FLIPPED[role]
        if not out and seen == "assistant":
            counts["opening turns cut: the learner may not speak first"] += 1
        elif out and out[-1]["role"] == seen:
            counts["turns merged into the one before"] += 1
            out[-1]["content"] += f"\n\n{content}"
        else:
            out.append({"role": seen, "content": content})
    if out and out[-1]["role"] == "user":
        counts["closing turns cut: the learner has to speak last"] += 1
        out.pop()
    if not out:
        counts["conversations left out: nothing to learn in them"] += 1
        return []
    prompt = dialogue.prompts.get(learner)
    return [{"role": "system", "content": prompt}, *out] if prompt else out


def _of_run(choice: Choice, counts: Counter[str]) -> Iterator[Dialogue]:
    episodes, messages = choice.frame("episodes"), choice.frame("turns")
    if episodes is None or messages is None or messages.is_empty():
        raise WorkbenchError(f"{choice.label} of {choice.source.place} keeps no conversations.")
    counts["conversations left out: they failed"] = episodes["error"].count()
    kept = episodes.filter(pl.col("error").is_null())
    if choice.successful:
        won = kept.filter("success")
        counts["conversations left out: no success"] = len(kept) - len(won)
        kept = won
    counts["conversations kept in which the simulator spoiled its task"] = kept["fault"].count()
    for name in [name for name, n in counts.items() if not n]:
        del counts[name]
    grouped = _said(messages.join(kept.select("dialogue_id"), on="dialogue_id", how="semi"), counts)
    by_function = bool(choice.source.settings.agent)  # it has no prompt; the column says so in words
    for row in kept.sort("dialogue_id").iter_rows(named=True):
        prompts = {"assistant": None if by_function else row["agent_prompt"], "user": row["user_prompt"]}
        yield Dialogue(row["dialogue_id"], grouped.get(row["dialogue_id"], []), prompts, row["ended_by"])


def _of_file(choice: Choice, counts: Counter[str], tally: Report) -> Iterator[Dialogue]:
    """Read a file of traces.

    Raises
    ------
    WorkbenchError
        When its terms forbid training.
    """
    assert choice.file is not None
    if choice.only or choice.successful:
        raise WorkbenchError("--task and --successful are of runs; a file of traces is taken as a whole.")
    for batch in batches(choice.file, tally=tally):
        if tau_usi.TERMS in tally.terms:
            raise WorkbenchError(
                f"{choice.file} holds tau-usi's texts: they are for research and evaluation, never for training a "
                "language model, so they are not exported."
            )
        prompts = (
            batch.filter(pl.col("role") == "system").group_by("dialogue_id").agg(pl.col("content").first())
        )
        told = dict(prompts.iter_rows())
        for dialogue_id, said in _said(batch, counts).items():
            yield Dialogue(dialogue_id, said, {"assistant": told.get(dialogue_id)})


def _said(messages: pl.DataFrame, counts: Counter[str]) -> dict[str, list[tuple[str, str]]]:
    """Group what user and agent said to each other; tool calls and results are between the agent and its tools."""
    called = pl.col("tool_calls").is_not_null() if "tool_calls" in messages.columns else pl.lit(False)
    heard = messages.filter(pl.col("role").is_in(["user", "assistant"]), ~called)
    if tools := len(messages.filter(called | (pl.col("role") == "tool"))):
        counts["tool calls and results cut"] += tools
    said = pl.col("content").fill_null("")
    grouped = heard.group_by("dialogue_id", maintain_order=True).agg("role", said)
    return {name: list(zip(roles, texts, strict=True)) for name, roles, texts in grouped.iter_rows()}
