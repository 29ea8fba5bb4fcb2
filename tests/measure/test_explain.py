"""Explanations: what is marked is what was counted, on any text and on real traces."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.explain import explain
from workbench.measure.faults import faults
from workbench.measure.lexicon import lexicon


def turns_of(*users: str) -> pl.DataFrame:
    rows = [("d", 2 * i + 1, "user", user) for i, user in enumerate(users)]
    return pl.DataFrame(rows, schema=["dialogue_id", "turn", "role", "content"], orient="row")


def marked(feature: str, *users: str) -> list[tuple[int, str]]:
    return explain(turns_of(*users), feature).select("turn", "text").rows()


def test_a_marker_is_shown_with_its_turn_and_place():
    found = explain(turns_of("go on", "Could you PLEASE check? Thanks!"), "politeness_rate")
    assert found.rows() == [("d", 3, 10, 16, "PLEASE"), ("d", 3, 24, 30, "Thanks")]


def test_places_hold_whatever_apostrophe_white_space_or_long_lower_case_comes_before():
    assert marked("uncertainty_rate", "İİ I’m\tnot sure")[0][1] in ("not sure", "I’m\tnot sure")


def test_counted_features_show_what_they_counted():
    assert marked("short_utterance_rate", "ok then", "one two three four") == [(1, "ok then")]
    assert marked("identifiers_per_turn", "#W2378156 and REFUND") == [(1, "#W2378156"), (1, "REFUND")]
    assert marked("opening_length", "a b", "c") == [(1, "a b")]
    assert marked("front_loading_ratio", "a", "b", "c") == [(1, "a"), (3, "b")]
    assert marked("words_per_turn", "a", "b") == [(1, "a"), (3, "b")]
    assert marked("repetition_rate", "A b, c", *["a b c"] * 3, "x") == [
        (1, "A b, c"),
        *[(i, "a b c") for i in (3, 5, 7)],
    ]
    assert marked("acknowledgment_rate", " Ok! ", "ok thanks") == [(1, " Ok! ")]


def test_agent_turns_are_never_marked_and_unknown_features_are_refused():
    frame = turns_of("hi").with_columns(role=pl.lit("assistant"), content=pl.lit("Thanks, please"))
    assert explain(frame, "politeness_rate").is_empty()
    with pytest.raises(WorkbenchError, match="charm"):
        explain(frame, "charm")
    with pytest.raises(WorkbenchError, match="lack role"):
        explain(frame.drop("role"), "politeness_rate")
    for look in (lambda turns: explain(turns, "politeness_rate"), faults):
        with pytest.raises(WorkbenchError, match="'d' has a message of an unknown role"):
            look(frame.with_columns(role=pl.lit("pirate")))


COUNTED = [*lexicon(), "short_utterance_rate", "repetition_rate"]


def agree(turns: pl.DataFrame) -> None:
    """The share of marked turns is the rate, for every rate."""
    users = turns.filter((pl.col("role") == "user") & (pl.col("content") != ""))
    n = users.group_by("dialogue_id").len()
    prints = wb.fingerprint(turns).join(n, on="dialogue_id")
    for feature in COUNTED:
        counts = explain(turns, feature).group_by("dialogue_id").agg(pl.col("turn").n_unique().alias("k"))
        both = prints.join(counts, on="dialogue_id", how="left").with_columns(pl.col("k").fill_null(0))
        assert both[feature].to_list() == pytest.approx((both["k"] / both["len"]).to_list()), feature


text = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("ok pleas thn’' .,!")), max_size=30)


@settings(deadline=None, max_examples=40)
@given(st.lists(text, min_size=1, max_size=4).filter(any))
def test_marked_turns_are_the_counted_ones_on_any_text(users):
    agree(turns_of(*users))
    for feature in FEATURES:
        for turn, start, end, part in (
            explain(turns_of(*users), feature).select("turn", "start", "end", "text").rows()
        ):
            assert users[(turn - 1) // 2][start:end] == part


def test_marked_turns_are_the_counted_ones_on_real_traces(traces):
    agree(wb.read_traces(traces / "human" / "retail.jsonl").collect())
    agree(wb.read_traces(traces / "simulated" / "airline_base_gpt-oss-120b_tau2.jsonl.gz").collect())
