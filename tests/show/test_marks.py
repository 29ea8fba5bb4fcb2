"""The words that moved a feature are marked, and nothing else."""

from __future__ import annotations

import polars as pl

from workbench.measure import FEATURES
from workbench.show.marks import marked, marks, moved
from workbench.show.style import FEATURE_NAMES


def said(*texts: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "dialogue_id": ["d"] * len(texts),
            "turn": range(len(texts)),
            "role": ["user"] * len(texts),
            "content": texts,
        }
    )


def test_a_mark_names_its_features_and_escapes_the_text() -> None:
    text = "please <b>cancel</b> #W1234567"
    shown = marked(text, marks(said(text))[0])
    assert shown == (
        '<mark title="politeness">please</mark> &lt;b&gt;cancel&lt;/b&gt; '
        '<mark title="identifiers a turn">#W1234567</mark>'
    )


def test_a_short_turn_is_named_below_and_not_marked_as_a_whole() -> None:
    found = marks(said("Hello there, I need some help with this", "ok"))
    assert 0 not in found
    assert moved(found[1]) == ["short turns", "bare acknowledgments"]
    assert marked("ok", found[1]) == "ok"


def test_every_feature_has_a_name_for_people() -> None:
    assert tuple(FEATURE_NAMES) == FEATURES
