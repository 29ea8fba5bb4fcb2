"""Three measures that need no model: diversity of openings, words taken from the scenario, ending where one should."""

from __future__ import annotations

import math

import polars as pl
import pytest

from workbench.errors import WorkbenchError
from workbench.measure.userlm import first_turn_diversity, intent_overlap, termination_f1
from workbench.traces import read_scenarios, read_traces


def openings(*texts: str) -> pl.DataFrame:
    rows = [(f"d{i}", 1, "user", text) for i, text in enumerate(texts)]
    return pl.DataFrame(rows, schema=["dialogue_id", "turn", "role", "content"], orient="row")


def ends(*turns: int | None) -> pl.DataFrame:
    return pl.DataFrame(
        {"dialogue_id": [str(i) for i in range(len(turns))], "turn": pl.Series(turns, dtype=pl.Int64)}
    )


def test_openings_that_share_no_word_are_wholly_diverse_and_equal_ones_not_at_all():
    assert first_turn_diversity(openings("red lamp", "blue chair")) == 1
    assert first_turn_diversity(openings("red lamp", "Lamp red")) == 0
    assert first_turn_diversity(openings("a b", "b c")) == pytest.approx(1 - 1 / 3)
    assert math.isnan(first_turn_diversity(openings("alone")))


def test_only_first_user_turns_count():
    more = pl.concat(
        [openings("red lamp", "blue chair"), openings("x", "x").with_columns(turn=pl.lit(3, pl.Int64))]
    )
    assert first_turn_diversity(more) == 1


def test_a_recited_intent_overlaps_wholly_and_an_own_word_not():
    about = pl.DataFrame({"dialogue_id": ["d0"], "scenario": ["You want to return the keyboard."]})
    assert intent_overlap(openings("I want to return the keyboard"), about) == 1
    assert intent_overlap(openings("bring back my keyboard"), about) == pytest.approx(1 / 2)
    assert math.isnan(intent_overlap(openings("yes please"), about))
    with pytest.raises(WorkbenchError, match="scenario"):
        intent_overlap(openings("x"), about.drop("scenario"))


def test_ending_is_scored_by_f1_of_the_turns():
    assert termination_f1(ends(3, 4, None), ends(3, 4, None)) == 1
    assert termination_f1(ends(3, 5, None), ends(3, 4, 2)) == pytest.approx(2 / 5)
    assert termination_f1(ends(None), ends(None)) == 0


def test_people_open_more_diversely_than_base_simulators(traces):
    people = first_turn_diversity(read_traces(traces / "human" / "retail.jsonl").collect())
    file = traces / "simulated" / "retail_base_gpt-4.1_tau2.jsonl.gz"
    base = read_traces(file).collect()
    assert people > first_turn_diversity(base) + 0.02
    assert 0.2 < intent_overlap(base, read_scenarios(file)) < 0.8
