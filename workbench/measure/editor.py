"""The rule-based editor: a control that fools human-likeness without any model, and spoils every task."""

from __future__ import annotations

import polars as pl

from workbench.measure.lexicon import lexicon, normalize

SHARE = 0.35  # of later turns that are answered in one word
WORDS = ("ok", "yes", "no")

_GREETING = r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening))(?: there)?\b[\s,.!]*"


def edit(turns: pl.DataFrame, *, seed: int = 0) -> pl.DataFrame:
    """Rewrite user turns by rule: no courtesies, first sentence only, lower case, a third of later turns one word.

    The agent's turns stay as they were, so nobody could have had this conversation: its fingerprint is what counts.
    No condition should score below this one and still be believed (paper.md, "What can fool it").

    Parameters
    ----------
    turns
        One row a message: dialogue_id, turn, role, content, and any others.
    seed
        Of the choice of turns; it depends on a turn's dialogue and number alone, not on its neighbors.

    Returns
    -------
    DataFrame
        The same rows and columns; only the content of user turns differs.
    """
    user = pl.col("role") == "user"
    later = user & (pl.col("turn") > pl.col("turn").filter(user).min().over("dialogue_id"))
    dice = pl.concat_str(
        pl.lit(str(seed)), "dialogue_id", pl.col("turn").cast(pl.String), separator="|"
    ).hash(seed)
    word = pl.lit(list(WORDS)).list.get((dice // 1000 % len(WORDS)).cast(pl.Int64))
    short = later & (dice % 1000 < 1000 * SHARE)
    terse = pl.when(short).then(word).when(user).then(_terse(pl.col("content"))).otherwise(pl.col("content"))
    return turns.with_columns(terse.alias("content"))


def _terse(content: pl.Expr) -> pl.Expr:
    """Take courtesies out, keep the first sentence that is left, lower-case it; ``ok`` where nothing is."""
    courtesy = r"\bthank ?you(?: so much| very much)?\b|" + "|".join(
        marker.pattern for marker in lexicon()["politeness_rate"].markers
    )
    text = normalize(content).str.replace(_GREETING, "").str.replace_all(rf"(?:{courtesy})[ ,]*", "")
    first = (
        text.str.strip_chars(" ,.!-")
        .str.extract(r"^([^.!?\n]*(?:[.!?]\S[^.!?\n]*)*)", 1)
        .str.strip_chars(" ,.!-")
    )
    return (
        pl.when(content.str.strip_chars() == "")
        .then(content)
        .when(first == "")
        .then(pl.lit("ok"))
        .otherwise(first)
    )
