"""The user-simulator index: its own features, and each of its six terms on cases worked out by hand."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.measure.reference import humans
from workbench.measure.usi import (
    USI_DIMENSIONS,
    USI_FEATURES,
    calibration_error,
    dice_usi,
    fingerprint_usi,
    pooled_difficulty,
    survey_agreement,
    usi,
)
from workbench.traces import read_traces


def of(*users: str) -> dict[str, float]:
    rows = [("d", i, "user", user) for i, user in enumerate(users)]
    turns = pl.DataFrame(rows, schema=["dialogue_id", "turn", "role", "content"], orient="row")
    return fingerprint_usi(turns).row(0, named=True)


def test_there_are_19_features_in_four_dimensions_and_they_are_not_the_papers():
    assert [len(features) for features in USI_DIMENSIONS.values()] == [7, 4, 5, 3]
    assert list(of("hi")) == ["dialogue_id", *USI_FEATURES]


def test_words_are_what_white_space_parts():
    row = of("don't do that!", "a b c d")
    assert (row["words_per_turn"], row["opening_words"], row["short_msg"]) == (3.5, 3, 0.5)
    assert row["info_frontload"] == 1


def test_formality_is_a_dash_and_nothing_else():
    assert of("furthermore; indeed")["formality"] == 0
    assert of("well — no", "1–2")["formality"] == 1


def test_long_words_count_as_identifiers_in_this_version():
    assert of("my REFUND is late")["id_density"] == 1


@pytest.mark.parametrize(("times", "value"), [(10, 0.0), (11, 1.0)])
def test_repetition_is_zero_or_one_a_dialogue_from_the_eleventh_trigram(times, value):
    assert of(*["cancel my order"] * times, "thanks")["repeat"] == value


def test_identity_confusion_is_zero_or_one_a_dialogue():
    assert of("How may I help you today?", "x", "y")["id_confuse"] == 1


def test_pushback_hides_a_clarifying_question_and_that_hides_a_request():
    both = "That's wrong. What do you mean?"
    assert (of(both)["pushback"], of(both)["clarify"]) == (1, 0)
    assert of("What do you mean? Can you check my order status?")["clarify"] == 1
    assert of("What do you mean? Can you check my order status?")["info_question"] == 0
    assert of("Can you check my order status?")["info_question"] == 1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_any_text_gives_finite_shares(users):
    row = of(*users)
    shares = set(USI_FEATURES) - {"verbosity_cv", "id_density", "words_per_turn", "opening_words"}
    assert all(0 <= row[name] <= 1 for name in shares)
    assert all(0 <= row[name] < 1000 for name in USI_FEATURES)


def test_dice_takes_shared_tasks_alone():
    row = dict.fromkeys(USI_FEATURES, 1.0)
    a = pl.DataFrame([{"task_id": "1", **row}, {"task_id": "2", **row | {"politeness": 9.0}}])
    b = pl.DataFrame([{"task_id": "1", **row}])
    assert dice_usi(a, b) == dict.fromkeys(USI_DIMENSIONS, 100)
    with pytest.raises(WorkbenchError, match="share no task"):
        dice_usi(a, b.with_columns(task_id=pl.lit("7")))


def outcomes(**rewards: list[float]) -> pl.DataFrame:
    return pl.DataFrame([{"task_id": task, "reward": r} for task, all_ in rewards.items() for r in all_])


def test_outcome_calibration_compares_success_bin_by_bin():
    simulated = outcomes(a=[1.0, 1.0], b=[0.0, 1.0], c=[0.0])
    people = outcomes(a=[1.0], b=[1.0], c=[0.0])
    difficulty = {"a": 0.9, "b": 0.9, "c": 0.1}
    assert calibration_error(simulated, people, difficulty) == pytest.approx(2 / 3 * 0.25)
    with pytest.raises(WorkbenchError, match="known difficulty"):
        calibration_error(simulated, people, {})


def test_difficulty_is_pooled_where_there_are_enough_runs():
    assert pooled_difficulty(outcomes(a=[1.0] * 5 + [0.0] * 5, b=[1.0])) == {"a": 0.5}


def test_survey_agreement_is_full_with_oneself_and_falls_with_the_distance():
    people = humans("retail").filter(pl.col("dialogue_id").str.contains("_ann").not_())
    assert survey_agreement(people, people) == pytest.approx(100)
    answers = [name for name in people.columns if name.startswith("survey_")]
    worst = people.with_columns(pl.lit(0, pl.Int8).alias(name) for name in answers)
    best = people.with_columns(survey_overall=pl.lit(4, pl.Int8))
    assert survey_agreement(worst, people) < survey_agreement(best, people) < 100
    silent = people.with_columns(pl.lit(None, pl.Int8).alias(name) for name in answers)
    assert 30 < survey_agreement(silent, people) < 80
    with pytest.raises(WorkbenchError, match="answered"):
        survey_agreement(people, people.with_columns(task_id=pl.lit("x")))


def test_the_index_is_the_mean_of_the_terms_that_are_there():
    terms = {"D1": 50.0, "D2": 90.0, "D3": 70.0, "D4": 90.0}
    assert usi(terms) == 75
    assert usi(terms | {"Eval": 75.0, "1-ECE": 81.0}) == 76
    with pytest.raises(WorkbenchError, match="D4"):
        usi({"D1": 1.0, "D2": 1.0, "D3": 1.0})
    with pytest.raises(WorkbenchError, match="charm"):
        usi(terms | {"charm": 1.0})


def test_two_people_of_a_task_agree_better_than_a_base_simulator_does_with_people(traces):
    people = fingerprint_usi(read_traces(traces / "human" / "airline.jsonl"))
    people = people.join(humans("airline").select("dialogue_id", "tau2_task_id"), on="dialogue_id")
    first, second = (
        people.filter(pl.col("dialogue_id").str.contains("_ann") == other) for other in (False, True)
    )
    turns = read_traces(traces / "simulated" / "airline_base_gpt-4.1_tau2.jsonl.gz").collect()
    base = fingerprint_usi(turns).join(
        turns.unique("dialogue_id").select("dialogue_id", "tau2_task_id"), on="dialogue_id"
    )
    ceiling, found = (usi(dice_usi(side, first, task="tau2_task_id")) for side in (second, base))
    assert ceiling > found + 5
