"""Marker lists: every entry fires on its own examples and stays silent on its counter-examples."""

from __future__ import annotations

import re

import polars as pl
import pytest

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.lexicon import MarkerClass, lexicon, normalize

ENTRIES = [(feature, marker) for feature, markers in lexicon().items() for marker in markers.markers]


def fires(markers: MarkerClass, *turns: str) -> list[bool]:
    return pl.DataFrame({"turn": turns}).select(markers.matches(normalize(pl.col("turn"))))["turn"].to_list()


@pytest.mark.parametrize(("feature", "marker"), ENTRIES, ids=[f"{f}-{i}" for i, (f, _) in enumerate(ENTRIES)])
def test_an_entry_fires_on_its_examples_and_on_no_counter_example(feature, marker):
    alone = MarkerClass("", lexicon()[feature].whole, (marker,))
    assert fires(alone, *marker.yes) == [True] * len(marker.yes), marker.yes
    assert fires(alone, *marker.no) == [False] * len(marker.no), marker.no
    assert fires(lexicon()[feature], *marker.yes) == [True] * len(marker.yes), (
        "another entry's `unless` hides it"
    )


def test_every_lexical_feature_has_markers_and_says_what_they_are():
    lexical = {"acknowledgment_rate"} | {f for f in FEATURES if f.endswith("_rate")}
    lexical -= {"short_utterance_rate", "repetition_rate"}
    assert set(lexicon()) == lexical
    assert all(markers.markers and markers.about for markers in lexicon().values())


def test_both_apostrophes_and_any_case_count_alike():
    turns = ["I'm not sure", "I’m not sure", "I‘M NOT SURE", "Im not sure"]
    assert fires(lexicon()["uncertainty_rate"], *turns) == [True] * 4
    turns = ["that's wrong", "that’s wrong", "THAT’S WRONG"]
    assert fires(lexicon()["pushback_rate"], *turns) == [True] * 3


@pytest.mark.parametrize(
    "text", ["¿Dónde está mi pedido?", "我的订单在哪里", "Где мой заказ", "👍", "   ", "12345"]
)
def test_text_in_other_languages_and_pictures_fires_nothing_by_accident(text):
    assert [name for name, markers in lexicon().items() if fires(markers, text)[0]] == []


def test_a_marker_is_a_whole_word_in_any_alphabet():
    assert fires(lexicon()["politeness_rate"], "économiety", "tyñ", "qualität ty") == [False, False, True]


def test_an_acknowledgment_is_the_whole_turn():
    turns = ["ok", " Ok!! ", "Yes.,!", "ok, cancel it", "ok?", "yes it is late", ""]
    assert fires(lexicon()["acknowledgment_rate"], *turns) == [True] * 3 + [False] * 4


def test_two_acknowledgments_in_a_row_are_not_one():
    turns = ["ok thanks", "yes please", "Great, thank you!", "no, that's all", "ok."]
    assert fires(lexicon()["acknowledgment_rate"], *turns) == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a_rate]\nmarkers = [{yes = ['x'], no = ['y']}]", "without 'match'"),
        ("[a_rate]\nmarkers = [{match = 'x', no = ['y']}]", "no 'yes' examples"),
        ("[a_rate]\nmarkers = [{match = 'x', yes = ['x'], no = []}]", "no 'no' examples"),
        ("[a_rate]\nmarkers = [{match = '(?=x)', yes = ['x'], no = ['y']}]", "no pattern of Rust's regex"),
        ("[a_rate", "cannot be read"),
    ],
)
def test_a_broken_list_is_told_in_one_sentence(tmp_path, text, said):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(WorkbenchError, match=re.escape(said)) as caught:
        lexicon(file)
    assert "mine.toml" in str(caught.value)


def test_a_reader_can_extend_the_lists_in_another_language(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        "[politeness_rate]\nabout='French'\nmarkers=[{match='s.il (vous|te) plaît', yes=['x'], no=['y']}]"
    )
    assert fires(lexicon(file)["politeness_rate"], "S’il  vous plaît !", "plaît-il") == [True, False]
