"""The user-simulator index of arXiv:2603.11245: its own 19 features (``usi-2026``), and its six terms."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.alignment import dice
from workbench.measure.fingerprint import ordered, repeating, spoken
from workbench.measure.lexicon import lexicon, normalize
from workbench.measure.points import rows
from workbench.measure.reference import SURVEY

USI_DIMENSIONS: dict[str, tuple[str, ...]] = {
    "D1": ("politeness", "short_msg", "formality", "ack_only", "verbosity_cv", "repeat", "id_confuse"),
    "D2": ("info_frontload", "id_density", "words_per_turn", "opening_words"),
    "D3": ("uncertainty", "certainty", "pushback", "clarify", "info_question"),
    "D4": ("emotion", "accusation", "pivot"),
}
"""Dimensions and features of ``usi-2026``: not those of ``ppol-2026``, and not to be put into one table with them."""

USI_FEATURES = tuple(feature for features in USI_DIMENSIONS.values() for feature in features)
TERMS = ("D1", "D2", "D3", "D4", "Eval", "1-ECE")
CUTS = (0.2, 0.4, 0.6, 0.8)  # of task difficulty

_SHORT, _OFTEN = 3, 10
_WORD, _IDENTIFIER, _DASH = r"\S+", r"[a-z0-9]{6,}", "[–—]"
_MARKED = {
    "politeness": "politeness_rate", "ack_only": "acknowledgment_rate", "id_confuse": "identity_confusion_rate",
    "uncertainty": "uncertainty_rate", "certainty": "certainty_rate", "pushback": "pushback_rate",
    "clarify": "clarification_question_rate", "info_question": "info_seeking_rate",
    "emotion": "emotional_expression_rate", "accusation": "accusatory_rate", "pivot": "strategy_pivot_rate",
}  # fmt: skip


def fingerprint_usi(turns: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Describe each dialogue's user by the 19 features of the USI, with this project's marker lists.

    Differences from ``ppol-2026``: words are what white space parts; formality is an en or em dash and nothing else;
    repetition (a trigram of a turn more than 10 times in all) and identity confusion are 0 or 1 a dialogue; any run
    of six letters and digits in lower case is an identifier, so long words count; pushback, clarifying and asking for
    information exclude each other in this order.

    Returns
    -------
    DataFrame
        dialogue_id and :data:`USI_FEATURES`, one row a dialogue, sorted by it; zeros without user turns.

    Raises
    ------
    WorkbenchError
        As :func:`workbench.measure.fingerprint.fingerprint`.
    """
    frame = ordered(turns).lazy()
    text = pl.col("text")
    said = spoken(frame, _WORD).filter(pl.col("content").str.strip_chars() != "")
    marked = said.with_columns(text=normalize(pl.col("content"))).select(
        "dialogue_id",
        pl.col("token").list.len().cast(pl.Int64).alias("words"),
        text.str.count_matches(_IDENTIFIER).cast(pl.Int64).alias("ids"),
        text.str.contains(_DASH).alias("formality"),
        *(lexicon()[ours].matches(text).alias(name) for name, ours in _MARKED.items()),
    )
    clarify = pl.col("clarify") & ~pl.col("pushback")
    marked = marked.with_columns(
        clarify=clarify, info_question=pl.col("info_question") & ~pl.col("pushback") & ~pl.col("clarify")
    )
    words, n = pl.col("words"), pl.len().cast(pl.Int64)
    total = words.sum()
    shares = ("politeness", "formality", "ack_only", *USI_DIMENSIONS["D3"], *USI_DIMENSIONS["D4"])
    found = marked.group_by("dialogue_id", maintain_order=True).agg(
        *((pl.col(name).sum() / n).alias(name) for name in shares),
        short_msg=(words <= _SHORT).sum() / n,
        verbosity_cv=pl.when((n > 1) & (total > 0))
        .then((n * (words * words).sum() - total * total).sqrt() / total)
        .otherwise(0.0),
        id_confuse=pl.col("id_confuse").any().cast(pl.Float64),
        info_frontload=pl.when(total > 0).then(words.head(2).sum() / total).otherwise(0.0),
        id_density=pl.col("ids").sum() / n,
        words_per_turn=total / n,
        opening_words=words.first().cast(pl.Float64),
    )
    again = repeating(said, _OFTEN).select("dialogue_id", repeat=pl.lit(1.0))
    table = frame.select("dialogue_id").unique().join(found, on="dialogue_id", how="left")
    table = table.join(again, on="dialogue_id", how="left").sort("dialogue_id")
    return table.select("dialogue_id", pl.col(USI_FEATURES).cast(pl.Float64).fill_null(0.0)).collect()


def dice_usi(simulated: pl.DataFrame, people: pl.DataFrame, *, task: str = "task_id") -> dict[str, float]:
    """Compare means by Dice's ratio on the tasks that both have: D1 to D4 in percent."""
    shared = set(simulated[task].drop_nulls()) & set(people[task].drop_nulls())
    if not shared:
        raise WorkbenchError(
            "the two sides share no task: the index compares people and simulators task by task"
        )
    known = (side.filter(pl.col(task).is_in(shared)) for side in (simulated, people))
    sides = (np.sort(rows(side, "fingerprints", USI_FEATURES), axis=0) for side in known)
    ratio = dict(zip(USI_FEATURES, dice(*(side.mean(axis=0) for side in sides)), strict=True))
    return {
        name: 100 * float(np.mean([ratio[f] for f in features])) for name, features in USI_DIMENSIONS.items()
    }


def calibration_error(
    simulated: pl.DataFrame, people: pl.DataFrame, difficulty: Mapping[str, float], *, task: str = "task_id"
) -> float:
    """Compare success rates in bins of task difficulty: sum over bins of n_b / n |simulated rate - people's rate|.

    Parameters
    ----------
    simulated, people
        Frames with the task and ``reward`` (success is a reward above 0, as the index has it).
    difficulty
        By task the success rate pooled over many simulators' runs, bins cut at 0.2, 0.4, 0.6 and 0.8.
    task
        Name of the task column.

    Raises
    ------
    WorkbenchError
        No task has a reward on both sides and a difficulty.
    """
    rates = [
        side.filter(pl.col("reward").is_not_null() & pl.col(task).is_in(list(difficulty)))
        .group_by(task)
        .agg((pl.col("reward") > 0).sum().alias(f"won_{name}"), pl.len().alias(f"n_{name}"))
        for name, side in (("s", simulated), ("h", people))
    ]
    both = rates[0].join(rates[1], on=task).sort(task)
    if both.is_empty():
        raise WorkbenchError(
            "no task has rewards on both sides and a known difficulty: outcomes cannot be compared"
        )
    place = pl.Series([sum(difficulty[name] > cut for cut in CUTS) for name in both[task]])
    rate = {side: pl.col(f"won_{side}").sum() / pl.col(f"n_{side}").sum() for side in "sh"}
    bins = (
        both.with_columns(bin=place)
        .group_by("bin")
        .agg(gap=(rate["s"] - rate["h"]).abs(), tasks=pl.len())
        .sort("bin")
    )
    return float(np.average(bins["gap"].to_numpy(), weights=bins["tasks"].to_numpy()))


def pooled_difficulty(runs: pl.DataFrame, *, task: str = "task_id", at_least: int = 10) -> dict[str, float]:
    """Give each task's success rate over all runs, where there are enough of them."""
    known = runs.filter(pl.col("reward").is_not_null()).group_by(task)
    rates = known.agg(rate=(pl.col("reward") > 0).mean(), n=pl.len()).filter(pl.col("n") >= at_least)
    return dict(rates.sort(task).select(task, "rate").iter_rows())


def survey_agreement(simulated: pl.DataFrame, people: pl.DataFrame) -> float:
    """Compare survey answers of the same tasks: 100 (1 - mean gap), answers scaled to 0-1 by their question's levels.

    Mean over each person's answered questions, then over people. A question that the simulator left out gets a random level.

    Parameters
    ----------
    simulated, people
        Frames with ``task_id`` and the columns ``survey_*`` of :func:`workbench.measure.reference.humans` (a level
        counted from 0, or null). Several simulated rows of a task are averaged.

    Raises
    ------
    WorkbenchError
        No task was answered on both sides.
    """
    rng = random.Random(42)
    levels = {f"survey_{item}": len(options) - 1 for item, options in SURVEY.items()}
    answers = simulated.sort("task_id").group_by("task_id", maintain_order=True)
    given = answers.agg(pl.col(list(levels)).mean().name.suffix("_s"))
    both = people.sort("task_id", "dialogue_id").join(given, on="task_id", maintain_order="left")
    found = []
    for row in both.iter_rows(named=True):
        gaps = []
        for name, top in levels.items():
            if row[name] is not None:
                level = rng.randint(0, top) if row[f"{name}_s"] is None else row[f"{name}_s"]
                gaps.append(abs(level - row[name]) / top)
        if gaps:
            found.append(1 - sum(gaps) / len(gaps))
    if not found:
        raise WorkbenchError(
            "no task was answered by a person and by the simulator: survey agreement needs both"
        )
    return 100 * float(np.mean(found))


def usi(terms: Mapping[str, float]) -> float:
    """Average the terms that are there: D1 to D4, Eval and ``1-ECE`` (five without a survey), all in percent.

    Raises
    ------
    WorkbenchError
        A dimension is missing, or a term unknown.
    """
    unknown, missing = set(terms) - set(TERMS), set(TERMS[:4]) - set(terms)
    if unknown or missing:
        raise WorkbenchError(
            f"the index has the terms {', '.join(TERMS)}: {', '.join(sorted(unknown | missing))} is wrong"
        )
    return float(np.mean([terms[name] for name in TERMS if name in terms]))
