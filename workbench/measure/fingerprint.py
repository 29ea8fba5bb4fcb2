"""Fingerprints: 19 numbers that describe how a user talks, computed from the user's turns alone."""

from __future__ import annotations

import warnings

import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.lexicon import ascii_edges, lexicon, normalize
from workbench.measure.points import needs
from workbench.traces.dialogue import ROLES

# One alternation, leftmost first, on the original case: an order number, a code, a long number, an address.
IDENTIFIER = r"#[A-Z0-9]{5,}|[A-Z0-9]{6,}|\b[0-9]{7,}\b|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
TOKEN = r"\w+"
SHORT = 3  # tokens of a short turn, at most
_ODD = 0x9E3779B97F4A7C15
OFTEN = 3  # a trigram that occurs more often than this is a repetition


def fingerprint(turns: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Describe each dialogue's user by the 19 features of the paper.

    Only messages of role ``user`` count, in the order of ``turn``; empty strings are dropped, a blank turn counts
    as one of no tokens. A dialogue without user turns gets zeros, and a warning counts them. Sums are over integers, so the result
    does not depend on the order of the rows.

    Parameters
    ----------
    turns
        One row a message: dialogue_id, turn, role, content (other columns are ignored; without ``turn`` the order
        of the rows counts).

    Returns
    -------
    DataFrame
        ``dialogue_id`` and the columns of :data:`workbench.measure.FEATURES`, one row a dialogue, sorted by it.

    Raises
    ------
    WorkbenchError
        A column is missing, a role unknown, a dialogue has no name, or two messages of one have the same number.
    """
    table = _plan(turns).collect()
    _check(table)
    silent = table["n"].null_count()
    if silent:
        warnings.warn(
            f"{silent} of {len(table)} dialogues have no user turn: their fingerprints are zeros",
            stacklevel=2,
        )
    return table.select("dialogue_id", *FEATURES)


def _plan(turns: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """Lay out the whole computation as one lazy query, with what :func:`_check` needs beside the features."""
    frame = _prepared(turns).cache()
    said = spoken(frame, TOKEN).cache()
    plain, identifier = ascii_edges(pl.col("content"), IDENTIFIER)
    users = said.with_columns(text=normalize(pl.col("content"))).select(
        "dialogue_id",
        pl.col("token").list.len().cast(pl.Int64).alias("tokens"),
        plain.str.count_matches(identifier).cast(pl.Int64).alias("identifiers"),
        *(markers.matches(pl.col("text")).alias(name) for name, markers in lexicon().items()),
    )
    tokens, n = pl.col("tokens"), pl.len().cast(pl.Int64)
    summed = users.group_by("dialogue_id", maintain_order=True).agg(
        n.alias("n"),
        tokens.sum().alias("all"),
        (tokens * tokens).sum().alias("squares"),
        tokens.head(2).sum().alias("front"),
        tokens.first().alias("opening"),
        (tokens <= SHORT).sum().alias("short"),
        pl.col("identifiers").sum(),
        *(pl.col(name).sum() for name in lexicon()),
    )
    joined = (
        _dialogues(frame)
        .join(summed, on="dialogue_id", how="left", maintain_order="left")
        .join(repeating(said, OFTEN), on="dialogue_id", how="left", maintain_order="left")
    )
    return joined.with_columns(**_features()).sort("dialogue_id")


def _dialogues(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.group_by("dialogue_id", maintain_order=True).agg(
        pl.col("role")
        .filter(~pl.col("role").is_in(ROLES) | pl.col("role").is_null())
        .len()
        .alias("strangers"),
        (pl.col("turn").diff() == 0).any().alias("clash"),
    )


def ordered(turns: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Collect turns in order, refused where :func:`fingerprint` refuses them."""
    frame = _prepared(turns).collect()
    _check(_dialogues(frame.lazy()).collect())
    return frame


def _prepared(turns: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """Check the columns of turns and put messages in order, numbered by ``row``."""
    frame = turns.lazy()
    columns = frame.collect_schema()
    needed = ("dialogue_id", "role", "content")
    needs(columns, needed, "turns", "expected dialogue_id, turn, role and content")
    kind = columns["content"]
    if not (kind.is_numeric() or kind in (pl.String, pl.Boolean, pl.Null)):
        raise WorkbenchError(f"the content of turns is of type {kind}: expected text")
    if "turn" in columns and not columns["turn"].is_integer():
        raise WorkbenchError(f"the turn numbers are of type {columns['turn']}: expected whole numbers from 0")
    if "turn" not in columns:
        frame = frame.with_row_index("turn")
    return (
        frame.select(pl.col("dialogue_id", "role").cast(pl.String), "turn", pl.col("content").cast(pl.String))
        .sort("dialogue_id", "turn", maintain_order=True)
        .with_row_index("row")
    )


def spoken(frame: pl.LazyFrame, word: str) -> pl.LazyFrame:
    """Take the user's turns out of a prepared frame: dialogue_id, row, content, and the list of its words (``token``)."""
    content = pl.col("content")
    token = content.str.to_lowercase().str.extract_all(word).alias("token")
    return frame.filter((pl.col("role") == "user") & (content.str.len_bytes() > 0)).select(
        "dialogue_id", "row", "content", token
    )


def repeating(said: pl.LazyFrame, often: int) -> pl.LazyFrame:
    """Count the :func:`spoken` turns that hold a trigram of words occurring more than ``often`` times in their dialogue."""
    token = pl.col("token")
    words = said.filter(token.list.len() > 2).select("dialogue_id", "row", "token").explode("token")
    # one 64-bit key for (dialogue, trigram): a clash among a dialogue's few thousand is out of the question
    key = (
        pl.col("dialogue_id").hash(1)
        + token
        + token.shift(-1) * _ODD
        + token.shift(-2) * (_ODD * _ODD % 2**64)
    )
    trigrams = words.with_columns(token.hash(2)).select("dialogue_id", "row", key=key)
    trigrams = trigrams.filter(pl.col("row") == pl.col("row").shift(-2)).cache()
    many = trigrams.group_by("key").agg(pl.len().alias("times")).filter(pl.col("times") > often)
    found = trigrams.join(many, on="key", how="semi").group_by("dialogue_id")
    return found.agg(pl.col("row").n_unique().cast(pl.Int64).alias("repeating"))


def _features() -> dict[str, pl.Expr]:
    """Turn the sums of a dialogue into its features (no user turn, no token: 0)."""
    n, total = pl.col("n"), pl.col("all")
    counts = {name: pl.col(name) for name in lexicon()} | {
        "words_per_turn": total,
        "short_utterance_rate": pl.col("short"),
        "repetition_rate": pl.col("repeating"),
        "identifiers_per_turn": pl.col("identifiers"),
    }
    features = {name: (count / n).fill_null(0.0) for name, count in counts.items()}
    features["opening_length"] = pl.col("opening").cast(pl.Float64).fill_null(0.0)
    spread = (n * pl.col("squares") - total * total).sqrt() / total
    features["verbosity_cv"] = pl.when((n > 1) & (total > 0)).then(spread).otherwise(0.0)
    share = pl.when(total > 0).then(pl.col("front") / total).otherwise(0.0)
    features["front_loading_ratio"] = pl.when(n == 1).then(1.0).when(n > 1).then(share).otherwise(0.0)
    return features


def _check(table: pl.DataFrame) -> None:
    if table["dialogue_id"].null_count():
        raise WorkbenchError("some turns have no dialogue_id: give every dialogue a name")
    for column, said in (
        ("strangers", f"has a message of an unknown role: known roles are {', '.join(ROLES)}"),
        ("clash", "has two messages with the same turn number: do two files use one name for two dialogues?"),
    ):
        wrong = table.filter(pl.col(column).cast(pl.Boolean))
        if wrong.height:
            raise WorkbenchError(f"dialogue {wrong['dialogue_id'][0]!r} {said}")
