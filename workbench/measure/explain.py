"""Why is this figure what it is? The turns and the words that a feature counted."""

from __future__ import annotations

import re
from collections import Counter

import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.fingerprint import IDENTIFIER, OFTEN, SHORT, TOKEN, ordered
from workbench.measure.lexicon import APOSTROPHES, MarkerClass, lexicon, normalize

Span = tuple[int, int, int]
"""Turn number, and the characters of its content from start up to end."""

COLUMNS = {"dialogue_id": pl.String, "turn": pl.Int64, "start": pl.Int64, "end": pl.Int64, "text": pl.String}


def explain(turns: pl.DataFrame | pl.LazyFrame, feature: str) -> pl.DataFrame:
    """Show what a feature counted, dialogue by dialogue.

    A rate is the number of turns named here over the user's turns. Lengths count every token of the turns named: all
    of them (``words_per_turn``, ``verbosity_cv``), the first (``opening_length``) or the first two.

    Parameters
    ----------
    turns
        One row a message: dialogue_id, turn, role, content; best of one dialogue or a few.
    feature
        One of :data:`workbench.measure.FEATURES`.

    Returns
    -------
    DataFrame
        dialogue_id, turn, start, end, text: a span of ``content`` (in characters) a row, in order.

    Raises
    ------
    WorkbenchError
        There is no such feature, or the turns are refused by ``fingerprint``.
    """
    if feature not in FEATURES:
        raise WorkbenchError(f"there is no feature {feature!r}: known are {', '.join(FEATURES)}")
    users = ordered(turns).filter((pl.col("role") == "user") & (pl.col("content").str.len_bytes() > 0))
    text = pl.col("content")
    if feature in lexicon():
        counted = lexicon()[feature].matches(normalize(text))
    elif feature == "short_utterance_rate":
        counted = text.str.to_lowercase().str.count_matches(TOKEN) <= SHORT
    else:
        counted = pl.lit(True)
    columns = ("turn", "content", text.str.extract_all(TOKEN).alias("tokens"))
    parts = users.filter(counted).partition_by("dialogue_id", as_dict=True, maintain_order=True)
    rows = []
    for (name,), part in parts.items():
        said = list(part.select(columns).iter_rows())
        content = {turn: text for turn, text, _ in said}
        rows += [
            (name, turn, start, end, content[turn][start:end]) for turn, start, end in _spans(said, feature)
        ]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _spans(said: list[tuple[int, str, list[str]]], feature: str) -> list[Span]:
    """Find the spans in the turns that were counted (so that Python's idea of a word decides about places only)."""
    if feature in lexicon():
        return [(turn, *span) for turn, content, _ in said for span in _markers(lexicon()[feature], content)]
    if feature == "identifiers_per_turn":
        return [
            (turn, *found.span()) for turn, content, _ in said for found in re.finditer(IDENTIFIER, content)
        ]
    if feature == "repetition_rate":
        return _repetitions(said)
    whole = [(turn, 0, len(content)) for turn, content, _ in said]
    return whole[: {"opening_length": 1, "front_loading_ratio": 2}.get(feature)]


def _markers(markers: MarkerClass, content: str) -> list[tuple[int, int]]:
    """Find the spans of a class in a turn, on text normalized character by character so that places stay."""
    text = re.sub(APOSTROPHES, "'", "".join(c.lower() if len(c.lower()) == 1 else c for c in content))
    text = re.sub(r"\s", " ", text)
    for marker in markers.markers:
        if marker.unless:
            text = re.sub(rf"\b(?:{_blanks(marker.unless)})\b", lambda hit: "¦" * len(hit.group()), text)
    pattern = "|".join(f"(?:{_blanks(marker.pattern)})" for marker in markers.markers)
    hits = (
        [] if markers.whole else [hit.span() for hit in re.finditer(pattern, text) if hit.end() > hit.start()]
    )
    return hits or [(0, len(content))]


def _blanks(pattern: str) -> str:
    """Let a blank outside a character class stand for as many as there are in the text, which is not shortened here."""
    wide = {" ": " +", " ?": " *"}
    return re.sub(r"\[[^\]]*\]| [?*+]?", lambda hit: wide.get(hit.group(), hit.group()), pattern)


def _repetitions(said: list[tuple[int, str, list[str]]]) -> list[Span]:
    trigrams = []
    for turn, content, tokens in said:
        places, at = [], 0
        for token in tokens:
            start = content.index(token, at)
            at = start + len(token)
            places.append((token.lower(), start, at))
        trios = zip(places, places[1:], places[2:], strict=False)
        trigrams += [(turn, tuple(word for word, _, _ in trio), trio[0][1], trio[2][2]) for trio in trios]
    often = Counter(key for _, key, _, _ in trigrams)
    return [(turn, start, end) for turn, key, start, end in trigrams if often[key] > OFTEN]
