"""Which words of a user turn moved which feature, highlighted: what ``measure.explain`` finds, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from workbench.measure.explain import explain
from workbench.show.markup import esc
from workbench.show.style import FEATURE_NAMES

LIMIT = 4_000  # characters of a turn that are shown, and looked through
Mark = tuple[int, int, str]
# Lengths count every word of a turn: nothing in it stands out.
LENGTHS = {"words_per_turn", "verbosity_cv", "front_loading_ratio", "opening_length"}


def marks(turns: pl.DataFrame) -> dict[int, list[Mark]]:
    """Return by turn of one dialogue the start, end and feature of what the fingerprint counted."""
    spoken = turns.filter(pl.col("role") == "user").select(
        "dialogue_id", "turn", "role", pl.col("content").str.slice(0, LIMIT)
    )
    out: dict[int, list[Mark]] = {}
    for feature in FEATURE_NAMES:
        if feature not in LENGTHS:
            for turn, start, end in explain(spoken, feature).select("turn", "start", "end").iter_rows():
                out.setdefault(turn, []).append((start, end, feature))
    return out


def marked(text: str, found: Sequence[Mark], limit: int = LIMIT) -> str:
    """Return a turn as HTML with its words highlighted; a highlight names its features.

    What concerns a turn as a whole, such as its being short, is left to the line below it.
    """
    if len(text) > limit:
        return esc(text, limit)
    words = [m for m in found if m[1] - m[0] < len(text) or m[2] == "identifiers_per_turn"]
    cuts = sorted({0, len(text), *(x for m in words for x in m[:2])})
    out = []
    for start, end in pairwise(cuts):
        names = dict.fromkeys(FEATURE_NAMES[f] for a, b, f in words if a <= start and end <= b)
        piece = esc(text[start:end])
        out.append(f'<mark title="{esc(", ".join(names))}">{piece}</mark>' if names else piece)
    return "".join(out)


def moved(found: Sequence[Mark]) -> list[str]:
    """Name the features that a turn moved, in the fingerprint's order."""
    features = {f for _, _, f in found}
    return [FEATURE_NAMES[f] for f in FEATURE_NAMES if f in features]
