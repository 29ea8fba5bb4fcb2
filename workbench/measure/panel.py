"""The Goodhart panel: what stands beside human-likeness so that a high score cannot be mistaken for a good simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.coverage import Cloud
from workbench.measure.discriminator import Discriminator
from workbench.measure.distances import NAMES, distances
from workbench.measure.faults import faults
from workbench.measure.fingerprint import fingerprint
from workbench.measure.fresh import KINDS, Embed, auc, fresh_scores
from workbench.measure.uncertainty import summarize

PEOPLE, EDITOR = "people", "editor"
"""Names of the two permanent controls: real people held out, and the rule-based editor applied to the base simulator."""

_ENOUGH = 5  # dialogues that distances and fresh classifiers need


def dossier(turns: pl.DataFrame, about: pl.DataFrame | None = None) -> pl.DataFrame:
    """Gather what the panel needs to know about each dialogue.

    Parameters
    ----------
    turns
        One row a message, with tau2_task_id or task_id.
    about
        Scenarios and endings for :func:`workbench.measure.faults.faults`; None judges what needs neither.

    Returns
    -------
    DataFrame
        One row a dialogue, sorted: dialogue_id, task_id (tau2's where known), the 19 features, ``text`` (all that
        the user said, a message a line) and ``fault``.
    """
    number = [name for name in ("tau2_task_id", "task_id") if name in turns.columns]
    if not number:
        raise WorkbenchError("the turns lack task_id: the panel's intervals and folds go by task")
    said = pl.col("content").filter(pl.col("role") == "user").str.join("\n")
    facts = (
        turns.sort("dialogue_id", "turn")
        .group_by("dialogue_id")
        .agg(task_id=pl.coalesce(pl.col(name).first().cast(pl.String) for name in number), text=said)
    )
    flaws = faults(turns, about).select("dialogue_id", "fault")
    return fingerprint(turns).join(facts, on="dialogue_id").join(flaws, on="dialogue_id").sort("dialogue_id")


def panel(
    conditions: Mapping[str, pl.DataFrame],
    forest: Discriminator,
    seen: pl.DataFrame,
    fresh: pl.DataFrame,
    *,
    embed: Embed | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """Judge conditions by human-likeness and by measures that the search never saw.

    The people of ``fresh`` are the first control and the first row; give the rule-based editor
    (:func:`workbench.measure.editor.edit` on the base simulator's turns) as the condition ``editor``: it is the second.

    Parameters
    ----------
    conditions
        By name a frame of dialogues: dialogue_id, task_id, the 19 features; optionally ``text`` (for the classifiers of
        words) and ``fault`` (:func:`dossier` makes them all).
    forest
        The frozen discriminator whose P(human) was searched for.
    seen
        People that the forest was fitted on: what distances and coverage are measured against.
    fresh
        People that nothing was fitted on; same columns.
    embed
        Turns texts into vectors for the embedding classifier (see :func:`fresh_scores`).
    seed
        Of resampling.

    Returns
    -------
    DataFrame
        One row a condition: n, faulty, then human_likeness with its 95 % interval (tasks resampled) and
        ``human_likeness_sound`` (episodes without a fault only); mean coverage of tasks, and sound; for each classifier of
        :data:`KINDS` its held-out ROC-AUC with interval (0.5: it cannot tell the condition from people; people
        themselves are set against ``seen``), null where texts are missing; the four distances; and ``mark``: "above people",
        "below the editor", "caught" (a fresh classifier's interval lies above 0.5), joined by "; ".

    Raises
    ------
    WorkbenchError
        A condition is empty or lacks a column, or there are too few people.
    """
    rows = []
    cloud = Cloud(seen)
    everyone = {PEOPLE: fresh, **{name: frame for name, frame in conditions.items() if name != PEOPLE}}
    for name, frame in everyone.items():
        if frame.is_empty() or "task_id" not in frame.columns:
            raise WorkbenchError(
                f"condition {name} has no dialogues with a task_id: leave it out or give it some"
            )
        judged = frame.with_columns(forest.likeness(frame)).sort("task_id", *FEATURES)
        row = {"condition": name} | _scores(judged, cloud, seed)
        row |= _caught(judged, seen if name == PEOPLE else fresh, embed, seed)
        few = len(frame) < _ENOUGH
        row |= dict.fromkeys(NAMES, float("nan")) if few else distances(judged, seen, seed=seed)
        rows.append(row)
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.with_columns(mark=pl.Series(_marks(table), dtype=pl.String))


def _scores(frame: pl.DataFrame, cloud: Cloud, seed: int) -> dict[str, Any]:
    """Count a condition's dialogues and score it, with its faulty ones and without."""
    sound = frame.filter(pl.col("fault").is_null()) if "fault" in frame.columns else frame
    found: dict[str, Any] = {
        "n": len(frame),
        "tasks": frame["task_id"].n_unique(),
        "faulty": len(frame) - len(sound),
    }
    sides = {"": frame, "_sound": sound}
    for which, side in sides.items():
        mean, name = summarize(side["likeness"], side["task_id"], seed=seed), f"human_likeness{which}"
        found |= {name: mean.mean, f"{name}_low": mean.low, f"{name}_high": mean.high}
    for which, side in sides.items():
        tasks = cloud.by_task(side)["coverage"].to_numpy()
        found[f"coverage{which}"] = float(tasks.mean()) if len(tasks) else float("nan")
    return found


def _caught(frame: pl.DataFrame, against: pl.DataFrame, embed: Embed | None, seed: int) -> dict[str, Any]:
    """Let fresh classifiers tell a condition from people; null where texts are missing or there are too few."""
    enough = min(len(frame), len(against)) >= _ENOUGH and frame["task_id"].n_unique() > 1
    texts = "text" in frame.columns and "text" in against.columns
    found: dict[str, Any] = {}
    for kind in KINDS:
        ends: tuple[float | None, ...] = (None,) * 3
        if enough and (texts or kind == "forest"):
            ends = auc(fresh_scores(frame, against, kind, embed=embed), seed=seed)
        found |= dict(zip((f"{kind}_auc", f"{kind}_auc_low", f"{kind}_auc_high"), ends, strict=True))
    return found


def _marks(table: pl.DataFrame) -> list[str]:
    likeness = dict(table.select("condition", "human_likeness").iter_rows())
    found = []
    for row in table.iter_rows(named=True):
        marks = []
        if row["condition"] != PEOPLE:
            if row["human_likeness"] > likeness[PEOPLE]:
                marks.append("above people")
            if row["condition"] != EDITOR and likeness.get(EDITOR, -1.0) >= row["human_likeness"]:
                marks.append("below the editor")
            if any((row[f"{kind}_auc_low"] or 0) > 0.5 for kind in KINDS):
                marks.append("caught")
        found.append("; ".join(marks))
    return found
