"""Why is this figure what it is? The turns and the words that a feature counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.features import FEATURES
from workbench.measure.fingerprint import IDENTIFIER, OFTEN, SHORT
from workbench.measure.lexicon import APOSTROPHES, MarkerClass, lexicon

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
        There is no such feature, or a column is missing.
    """
    if feature not in FEATURES:
        raise WorkbenchError(f"there is no feature {feature!r}: known are {', '.join(FEATURES)}")
    frame = turns.lazy().collect()
    missing = [name for name in ("dialogue_id", "turn", "role", "content") if name not in frame.columns]
    if missing:
        raise WorkbenchError(
            f"the turns lack {', '.join(missing)}: expected dialogue_id, turn, role and content"
        )
    users = frame.filter((pl.col("role") == "user") & (pl.col("content").str.len_bytes() > 0)).sort(
        "dialogue_id", "turn"
    )
    rows = []
    for (name,), part in users.partition_by("dialogue_id", as_dict=True, maintain_order=True).items():
        said = list(part.select("turn", "content").iter_rows())
        text = dict(said)
        rows += [
            (name, turn, start, end, text[turn][start:end]) for turn, start, end in _spans(said, feature)
        ]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _spans(said: list[tuple[int, str]], feature: str) -> list[Span]:
    whole = [(turn, 0, len(content)) for turn, content in said]
    if feature in lexicon():
        return [(turn, *span) for turn, content in said for span in _markers(lexicon()[feature], content)]
    if feature == "short_utterance_rate":
        return [
            span
            for span, (_, content) in zip(whole, said, strict=True)
            if len(re.findall(r"\w+", content)) <= SHORT
        ]
    if feature == "identifiers_per_turn":
        return [(turn, *found.span()) for turn, content in said for found in re.finditer(IDENTIFIER, content)]
    if feature == "repetition_rate":
        return _repetitions(said)
    return whole[: {"opening_length": 1, "front_loading_ratio": 2}.get(feature)]


def _markers(markers: MarkerClass, content: str) -> list[tuple[int, int]]:
    """Find the spans of a class in a turn, on text normalized character by character so that places stay."""
    text = re.sub(APOSTROPHES, "'", "".join(c.lower() if len(c.lower()) == 1 else c for c in content))
    text = re.sub(r"\s", " ", text)
    for marker in markers.markers:
        if marker.unless:
            text = re.sub(rf"\b(?:{marker.unless})\b", lambda hit: "¦" * len(hit.group()), text)
    pattern = "|".join(f"(?:{marker.pattern})" for marker in markers.markers)
    if markers.whole:
        hit = re.fullmatch(rf"\s*(?:{pattern})[.!,]*\s*", text)
        return [(0, len(content))] if hit else []
    return [hit.span() for hit in re.finditer(pattern, text) if hit.end() > hit.start()]


def _repetitions(said: Iterable[tuple[int, str]]) -> list[Span]:
    words = [(turn, list(re.finditer(r"\w+", content))) for turn, content in said]
    trigrams = [
        (turn, tuple(word.group().lower() for word in found[i : i + 3]), found[i].start(), found[i + 2].end())
        for turn, found in words
        for i in range(len(found) - 2)
    ]
    often = Counter(key for _, key, _, _ in trigrams)
    return [(turn, start, end) for turn, key, start, end in trigrams if often[key] > OFTEN]
