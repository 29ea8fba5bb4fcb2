"""The 19 features: definitions at their edges, and no dependence on what must not matter."""

from __future__ import annotations

import math
import random
import re
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.measure import DIMENSIONS, FEATURES


def turns_of(*users: object, name: str = "d") -> pl.DataFrame:
    rows = [(name, i, "user", user) for i, user in enumerate(users)]
    return pl.DataFrame(rows, schema=["dialogue_id", "turn", "role", "content"], orient="row")


def of(*users: object) -> dict[str, float]:
    return wb.fingerprint(turns_of(*users)).row(0, named=True)


def counted(users: list[str]) -> dict[str, float]:
    """The features that need no marker list, written out plainly from the paper's definitions."""
    users = [u for u in users if u]
    words = [re.findall(r"\b\w+\b", u.lower()) for u in users]
    n, lengths = [len(w) for w in words], len(users)
    trigrams = [list(zip(w, w[1:], w[2:], strict=False)) for w in words]
    often = {t for t, k in Counter(t for turn in trigrams for t in turn).items() if k > 3}
    identifier = r"#[A-Z0-9]{5,}|[A-Z0-9]{6,}|\b\d{7,}\b|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
    mean = sum(n) / lengths
    cv = math.sqrt(sum((x - mean) ** 2 for x in n) / lengths) / mean if lengths > 1 and mean else 0.0
    return {
        "words_per_turn": mean,
        "short_utterance_rate": sum(x <= 3 for x in n) / lengths,
        "verbosity_cv": cv,
        "repetition_rate": sum(any(t in often for t in turn) for turn in trigrams) / lengths,
        "front_loading_ratio": 1.0 if lengths == 1 else sum(n[:2]) / sum(n) if sum(n) else 0.0,
        "identifiers_per_turn": sum(len(re.findall(identifier, u)) for u in users) / lengths,
        "opening_length": n[0],
    }


def test_the_columns_are_the_19_features_in_the_order_of_the_dimensions():
    assert list(wb.fingerprint(turns_of("hi")).columns) == ["dialogue_id", *FEATURES]
    assert len(FEATURES) == 19
    assert [len(features) for features in DIMENSIONS.values()] == [8, 3, 5, 3]


def test_a_dialogue_without_user_turns_is_all_zeros_and_keeps_its_row():
    silent = pl.DataFrame(
        {"dialogue_id": ["a", "b"], "turn": [0, 0], "role": ["assistant", "user"], "content": ["Hi", ""]}
    )
    with pytest.warns(UserWarning, match="2 of 2 dialogues have no user turn"):
        frame = wb.fingerprint(silent)
    assert frame["dialogue_id"].to_list() == ["a", "b"]
    assert frame.select(FEATURES).rows() == [(0.0,) * 19] * 2


def test_an_empty_turn_is_dropped_and_a_blank_one_counts_as_no_tokens():
    assert of("one two", "") == of("one two")
    assert of("one two", None) == of("one two")
    blank = of("one two", "   ")
    assert blank["words_per_turn"] == 1.0
    assert blank["short_utterance_rate"] == 1.0


def test_an_apostrophe_parts_tokens_and_dots_are_none():
    assert of("don't")["words_per_turn"] == 2
    assert of("don’t ...")["words_per_turn"] == 2
    assert of("我的订单 👍")["words_per_turn"] == 1


def test_verbosity_is_the_population_deviation_over_the_mean():
    assert of("a b", "a b c d")["verbosity_cv"] == pytest.approx(1 / 3, abs=1e-15)
    assert of("a b c")["verbosity_cv"] == 0
    assert of(" ", " ")["verbosity_cv"] == 0


@pytest.mark.parametrize(("times", "rate"), [(3, 0.0), (4, 1.0)])
def test_a_trigram_repeats_from_its_fourth_occurrence(times, rate):
    assert of(*["please cancel my order"] * times)["repetition_rate"] == rate


def test_trigrams_stay_within_turns_and_dialogues():
    assert of(*["red blue", "green"] * 8)["repetition_rate"] == 0
    two = pl.concat([turns_of(*["a b c"] * 3, name="x"), turns_of(*["a b c"] * 3, name="y")])
    assert wb.fingerprint(two)["repetition_rate"].to_list() == [0.0, 0.0]
    assert of("a b c a b c a b c a b c", "other words here", "A, b - c!")["repetition_rate"] == pytest.approx(
        2 / 3
    )


def test_front_loading_is_the_share_of_tokens_in_the_first_two_turns():
    assert of("a b c", "d", "e f", "g h")["front_loading_ratio"] == 0.5
    assert of("a")["front_loading_ratio"] == 1
    assert of(" ")["front_loading_ratio"] == 1
    assert of(" ", " ")["front_loading_ratio"] == 0


@pytest.mark.parametrize(
    ("turn", "count"),
    [
        ("#W2378156", 1),
        ("#w2378156", 1),  # its digits count, as six or more in a row
        ("order #AB12", 0),
        ("#AB123", 1),
        ("REFUND", 1),
        ("refund", 0),
        ("12345", 0),
        ("1234567 and 7654321", 2),
        ("me@example.com", 1),
        ("YUSUF1@example.com", 1),
        ("#W2378156 me@example.com 9876543", 3),
    ],
)
def test_identifiers_are_counted_once_each_on_the_original_case(turn, count):
    assert of(turn)["identifiers_per_turn"] == count


def test_a_rate_is_the_share_of_turns_however_often_the_marker_occurs():
    assert of("please please please", "go")["politeness_rate"] == 0.5
    assert of("I’m not sure", "I'M NOT SURE", "red", "blue")["uncertainty_rate"] == 0.5


def test_content_that_is_no_string_is_taken_as_text_or_refused_clearly():
    assert of(1234567, 8)["identifiers_per_turn"] == 0.5
    with pytest.raises(WorkbenchError, match="content"):
        wb.fingerprint(turns_of(["a"], ["b"]))


def test_only_what_users_say_counts():
    plain = turns_of("Hi, please help", "ok")
    chatty = pl.concat([plain.with_columns(pl.col("turn") * 2),
                        pl.DataFrame({"dialogue_id": "d", "turn": [1, 3], "role": ["assistant", "tool"],
                                      "content": ["please please", "{}"]})])  # fmt: skip
    assert wb.fingerprint(chatty).equals(wb.fingerprint(plain))


def test_turns_are_put_in_order_before_the_first_one_is_taken():
    frame = turns_of("one", "two words", "three words now")
    assert wb.fingerprint(frame.reverse()).equals(wb.fingerprint(frame))
    assert wb.fingerprint(frame.reverse())["opening_length"][0] == 1


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (turns_of("hi").drop("content"), "lack content"),
        (turns_of("hi").with_columns(pl.col("turn").cast(pl.String)), "whole numbers"),
        (turns_of("hi").with_columns(role=pl.lit("pirate")), "unknown role"),
        (turns_of("hi").with_columns(role=pl.lit(None, pl.String)), "unknown role"),
        (turns_of("hi").with_columns(dialogue_id=pl.lit(None, pl.String)), "no dialogue_id"),
        (pl.concat([turns_of("hi"), turns_of("ho")]), "same turn number"),
    ],
)
def test_a_frame_that_cannot_be_right_gets_one_clear_sentence(frame, said):
    with pytest.raises(WorkbenchError, match=said):
        wb.fingerprint(frame)


def test_no_rows_give_no_rows():
    empty = wb.fingerprint(turns_of("hi").clear())
    assert empty.shape == (0, 20)


text = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("aab  .'’#AB12—?!")), max_size=60)


@pytest.mark.filterwarnings("ignore:.*no user turn")
@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(text, max_size=6), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_any_text_gives_finite_numbers_whatever_the_order_of_rows_and_the_batch(dialogues, rng):
    frames = [turns_of(*(users or ["seen"]), name=f"d{i}") for i, users in enumerate(dialogues)]
    together = wb.fingerprint(pl.concat(frames))
    assert together.select(pl.all_horizontal(pl.col(FEATURES).is_finite()).all()).item()
    rows = pl.concat(frames).rows()
    rng.shuffle(rows)
    shuffled = pl.DataFrame(rows, schema=frames[0].schema, orient="row")
    assert wb.fingerprint(shuffled.lazy()).equals(together)
    assert pl.concat([wb.fingerprint(frame) for frame in frames]).equals(together)
    rates = [name for name in FEATURES if name.endswith(("_rate", "_ratio"))]
    assert together.select(pl.all_horizontal(pl.col(rates).is_between(0, 1)).all()).item()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text("abAB12#@. 'é", max_size=40), min_size=1, max_size=8).filter(any))
def test_counted_features_follow_their_plain_definitions(users):
    assert {k: of(*users)[k] for k in counted(users)} == pytest.approx(counted(users), abs=1e-12)


def test_counted_features_follow_their_plain_definitions_on_real_traces(traces):
    for file in sorted([*traces.glob("human/*.jsonl"), *traces.glob("simulated/*tau2.jsonl.gz")]):
        turns = wb.read_traces(file).collect()
        found = {row["dialogue_id"]: row for row in wb.fingerprint(turns).iter_rows(named=True)}
        for (name,), part in turns.filter(role="user").partition_by("dialogue_id", as_dict=True).items():
            expected = counted(part["content"].to_list())
            assert {k: found[name][k] for k in expected} == pytest.approx(expected, abs=1e-9), name


def test_real_fingerprints_do_not_depend_on_the_order_of_rows_to_the_last_bit(traces):
    turns = wb.read_traces(traces / "human" / "retail.jsonl").collect()
    order = list(range(turns.height))
    random.Random(5).shuffle(order)
    assert wb.fingerprint(turns[order]).equals(wb.fingerprint(turns))
