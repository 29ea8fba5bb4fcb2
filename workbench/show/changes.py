"""What each generation changed in its program, in which part of it, what that did, and what was tried in vain."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import polars as pl

from workbench.evolve.run import CANDIDATES, Run
from workbench.show.reader import Reader
from workbench.show.style import change

PARTS = ("axes", "population prompt", "roleplay prompt", "logic", "text")
TERMS = {"rank": "fitness", "human_likeness": "HL", "coverage": "coverage", "success": "success"}


@lru_cache(maxsize=1024)
def parts_of(source: str) -> list[str]:
    """Name the part that each line of a program belongs to.

    Axes are the variable DIVERSITY_AXES; prompts the text constants whose name speaks of the population, or
    of role play or expansion; logic is functions, imports and other statements; text is comments, blank
    lines and docstrings. A program that cannot be parsed is all logic.
    """
    lines = source.split("\n")
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return ["logic"] * len(lines)
    out = ["text"] * len(lines)
    for node in body:
        part = _part(node)
        for i in range(node.lineno - 1, min(node.end_lineno or node.lineno, len(lines))):
            out[i] = part
    return out


def _part(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return "text"
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    name = next((t.id.upper() for t in targets if isinstance(t, ast.Name)), "")
    if name == "DIVERSITY_AXES":
        return "axes"
    if "POPULATION" in name or "MEMBER" in name:
        return "population prompt"
    if any(word in name for word in ("ROLEPLAY", "EXPAN", "POLICY")):
        return "roleplay prompt"
    return "logic"


@lru_cache(maxsize=1024)
def hunks(old: str, new: str) -> list[tuple[str, str, str]]:
    """Return the changes between two programs: part, removed text, added text."""
    a, b = old.split("\n"), new.split("\n")
    out = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag != "equal":
            lines = [
                *zip(b[j1:j2], parts_of(new)[j1:j2], strict=True),
                *zip(a[i1:i2], parts_of(old)[i1:i2], strict=True),
            ]
            part = min((part for line, part in lines if line.strip()), key=PARTS.index, default="text")
            out.append((part, "\n".join(a[i1:i2]), "\n".join(b[j1:j2])))
    return out


def edits(source: Run | Reader) -> pl.DataFrame:
    """Return one row a changed place of a program against its parent: candidate_id, part, removed, added."""
    reader = source if isinstance(source, Reader) else Reader(source)
    rows = [
        (c["candidate_id"], *hunk)
        for c in reader.candidates
        if reader.readable(c["parent"])  # a damaged one has no parent that is known
        for hunk in hunks(reader.program(c["parent"]), reader.program(c["candidate_id"]))
    ]
    columns = ("candidate_id", "part", "removed", "added")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def changes(source: Run | Reader) -> pl.DataFrame:
    """Return one row a candidate that has a parent: what it changed and what that did.

    Columns: candidate_id, parent, generation, author, status, reason, new_best, parts (list), added, removed
    (lines), and the change of rank, human_likeness, coverage and success against the parent; null when either
    was rejected. The two were scored on different tasks, so a single change is noisy.
    """
    reader = source if isinstance(source, Reader) else Reader(source)
    keep = ("candidate_id", "parent", "generation", "author", "status", "reason", "new_best")
    schema = {name: kind for name, kind in CANDIDATES.items() if name in (*keep, *TERMS)}
    known = pl.DataFrame(reader.candidates, schema=schema)
    before = known.select(parent="candidate_id", **{f"{t}_before": t for t in TERMS})
    texts = pl.col("added", "removed")
    lines = pl.when(texts != "").then(texts.str.count_matches("\n") + 1).otherwise(0)
    made = edits(reader).with_columns(lines.cast(pl.Int32))
    made = made.group_by("candidate_id").agg(pl.col("part").unique(), pl.col("added", "removed").sum())
    parts = pl.concat_list(
        pl.when(pl.col("part").list.contains(p)).then(pl.lit(p)) for p in PARTS
    ).list.drop_nulls()
    return (
        known.join(before, on="parent", how="inner", maintain_order="left")
        .join(made.with_columns(parts=parts), on="candidate_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("parts").fill_null(pl.lit([], pl.List(pl.String))),
            pl.col("added", "removed").fill_null(0),
            *(pl.col(t) - pl.col(f"{t}_before") for t in TERMS),
        )
        .select(*keep, "parts", "added", "removed", *TERMS)
    )


def repeated(source: Run | Reader) -> pl.DataFrame:
    """Return edits that were tried more than once: part, removed, added, times, rejected, new bests, mean change of rank.

    Two edits are the same when they remove and add the same words. Tries that were never applied, because
    the search text was not found, are no edits; the Mutation tab has them.
    """
    reader = source if isinstance(source, Reader) else Reader(source)
    did = changes(reader).select("candidate_id", "status", "new_best", "rank")
    words = (pl.col(c).str.replace_all(r"\s+", " ").str.strip_chars() for c in ("removed", "added"))
    return (
        edits(reader)
        .join(did, on="candidate_id", maintain_order="left")
        .group_by(pl.concat_str(*words, separator=" → ").alias("key"), maintain_order=True)
        .agg(
            *(pl.col(c).first() for c in ("part", "removed", "added")),
            candidates=pl.col("candidate_id"),
            times=pl.len(),
            rejected=(pl.col("status") != "accepted").sum(),
            new_bests=pl.col("new_best").fill_null(value=False).sum(),
            gain=pl.col("rank").sort().mean(),
        )
        .filter(pl.col("times") > 1)
        .drop("key")
        .sort("times", "gain", "added", descending=[True, False, False])
    )


def gains(now: Mapping[str, Any], before: Mapping[str, Any], terms: Iterable[str] = TERMS) -> str:
    """Say how far each term moved, of those that both have."""
    known = [t for t in terms if now[t] is not None and before[t] is not None]
    return " · ".join(f"{TERMS[t]} {change(now[t] - before[t])}" for t in known)


def by_part(frame: pl.DataFrame) -> pl.DataFrame:
    """Return, for each part, how many candidates changed it and the mean change of each term with its half-interval.

    ``frame`` is that of :func:`changes`; a candidate that changed two parts counts in both.
    """
    good = frame.filter(status="accepted").explode("parts").rename({"parts": "part"})
    rejected = frame.filter(status="rejected").explode("parts").group_by(part="parts").agg(rejected=pl.len())
    found = (
        good.filter(pl.col("part").is_not_null())
        .group_by("part")
        .agg(
            candidates=pl.len(),
            new_bests=pl.col("new_best").sum(),
            **{t: pl.col(t).sort().mean() for t in TERMS},
            **{f"{t}_half": 1.96 * pl.col(t).sort().std() / pl.col(t).count().sqrt() for t in TERMS},
        )
    )
    order = pl.col("part").replace_strict({p: i for i, p in enumerate(PARTS)}, default=len(PARTS))
    return (
        found.join(rejected, on="part", how="left").with_columns(pl.col("rejected").fill_null(0)).sort(order)
    )


def matching(frame: pl.DataFrame, choice: Mapping[str, Any]) -> Sequence[str]:
    """Return the ids of the changes that a filter lets through, in the order it asks for.

    ``choice``: parts (those wanted), status (all, accepted, rejected, best), order (time, gain, loss).
    """
    parts = [p for p in PARTS if p in choice.get("parts", PARTS)]
    found = frame
    if len(parts) < len(
        PARTS
    ):  # all of them: also those that changed nothing, because no edit could be applied
        shared = pl.col("parts").list.set_intersection(pl.lit(parts, pl.List(pl.String)))
        found = found.filter(shared.list.len() > 0)
    status, order = choice.get("status", "all"), choice.get("order", "time")
    if status != "all":
        found = found.filter("new_best" if status == "best" else pl.col("status") == status)
    if order != "time":
        found = found.sort("rank", "candidate_id", descending=[order == "gain", False], nulls_last=True)
    return found["candidate_id"].to_list()
