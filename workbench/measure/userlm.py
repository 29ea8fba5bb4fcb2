"""Three measures of a user simulator that cost nothing (arXiv:2510.06552): first turns, intent, knowing when to stop."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import polars as pl

from workbench.measure.faults import COMMON
from workbench.measure.points import needs

_WORD = re.compile(r"\w+")


def first_turn_diversity(turns: pl.DataFrame) -> float:
    """Give 1 - the mean Jaccard overlap of the words of two first user turns (0: all the same, 1: none shared).

    Returns
    -------
    float
        NaN with fewer than two users.
    """
    users = turns.filter(pl.col("role") == "user", pl.col("content").str.strip_chars() != "")
    first = users.sort("dialogue_id", "turn").unique("dialogue_id", keep="first", maintain_order=True)
    sets = map(_words, first["content"])
    found = [len(a & b) / len(a | b) for a, b in combinations(sets, 2) if a | b]
    return 1 - float(np.mean(found)) if found else float("nan")


def intent_overlap(turns: pl.DataFrame, about: pl.DataFrame) -> float:
    """Give the mean share of a turn's telling words that the scenario holds too; lower is better.

    People say what they want bit by bit and in words of their own; simulators recite. Stop words do not count, turns of
    stop words alone are left out.

    Parameters
    ----------
    turns
        One row a message.
    about
        dialogue_id and ``scenario``.

    Returns
    -------
    float
        Mean over user turns; NaN without any.
    """
    why = "intent overlap needs what the user was told"
    needs(about.columns, ("dialogue_id", "scenario"), "scenarios", why)
    known = about.filter(pl.col("scenario").is_not_null()).select("dialogue_id", "scenario")
    users = turns.filter(role="user").join(known, on="dialogue_id").sort("dialogue_id", "turn")
    shares = []
    for scenario, content in users.select("scenario", "content").iter_rows():
        said = _words(content) - COMMON
        if said:
            shares.append(len(said & _words(scenario)) / len(said))
    return float(np.mean(shares)) if shares else float("nan")


def termination_f1(ended: pl.DataFrame, gold: pl.DataFrame) -> float:
    """Score whether users end a conversation where it should end.

    Each user turn up to the later of the two ends is a decision; "ended here" is the positive class.

    Parameters
    ----------
    ended
        dialogue_id and ``turn``: the user turn (counted among user turns) at which the user ended it, null if never.
    gold
        The same for where it should have ended.

    Returns
    -------
    float
        F1 over dialogues that both frames hold; 0 where nothing was right.
    """
    both = ended.select("dialogue_id", a="turn").join(gold.select("dialogue_id", b="turn"), on="dialogue_id")
    hits = both.filter(pl.col("a") == pl.col("b")).height
    said, due = both["a"].count(), both["b"].count()
    return 2 * hits / (said + due) if said + due else 0.0


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
