"""Intervals and comparisons: clustered by task, reproducible, honest about what is missing."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.measure.uncertainty import compare, summarize


def series(values: list[float | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64)


def test_a_summary_counts_what_it_rests_on_and_what_is_missing():
    found = summarize(series([1.0, 2.0, None, float("nan"), 6.0]), pl.Series(["a", "a", "a", "b", "b"]))
    assert (found.n, found.missing, found.n_tasks) == (3, 2, 2)
    assert found.mean == 3
    assert found.std == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert found.low <= found.mean <= found.high
    assert "n=3 in 2 tasks" in str(found)


def test_nothing_at_all_is_said_as_not_a_number():
    found = summarize(series([None]), pl.Series(["a"]))
    assert (found.n, found.missing) == (0, 1)
    assert math.isnan(found.mean)
    assert math.isnan(summarize(series([])).low)


def test_one_task_has_a_mean_but_no_interval():
    found = summarize(series([1.0, 3.0]), pl.Series(["a", "a"]))
    assert found.mean == 2
    assert math.isnan(found.low)


def test_episodes_of_one_task_do_not_narrow_the_interval():
    values, tasks = series([0.0, 1.0, 0.0, 1.0, 1.0]), pl.Series(list("abcde"))
    once = summarize(values, tasks)
    often = summarize(pl.concat([values] * 20), pl.concat([tasks] * 20))
    assert (often.low, often.high) == (once.low, once.high)
    naive = summarize(pl.concat([values] * 20))
    assert naive.high - naive.low < 0.5 * (often.high - often.low)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.sampled_from("abcdef")), min_size=3, max_size=30), st.randoms()
)
def test_the_order_of_rows_does_not_change_a_bit(rows, rng):
    def found() -> tuple[float, ...]:
        s = summarize(series([v for v, _ in rows]), pl.Series([t for _, t in rows]))
        return (s.mean, s.std, s.low, s.high)

    before = found()
    rng.shuffle(rows)
    assert repr(found()) == repr(before)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        effects = rng.normal(size=20).repeat(5)
        found = summarize(pl.Series(effects + rng.normal(size=100)), pl.Series(np.arange(20).repeat(5)))
        held += found.low <= 0 <= found.high
    assert 0.88 <= held / 200 <= 0.98


def frame(values: list[float], tasks: str = "abcdefgh") -> pl.DataFrame:
    return pl.DataFrame({"task_id": list(tasks[: len(values)]), "value": values})


def test_a_steady_gain_is_found_and_its_p_value_is_exact():
    better, worse = frame([1.1, 2.1, 3.1, 4.2, 5.1, 6.0 + 0.1, 7.1, 8.1]), frame([1, 2, 3, 4, 5, 6, 7, 8])
    found = compare(better, worse)
    assert found.p == pytest.approx(2 / 2**8)
    assert found.difference == pytest.approx(0.1125)
    assert 0 < found.low <= found.difference <= found.high
    assert found.effect > 2
    mirrored = compare(worse, better)
    assert (mirrored.difference, mirrored.p) == (pytest.approx(-found.difference), found.p)


def test_no_difference_is_no_difference():
    found = compare(frame([1.0, 2.0, 3.0]), frame([1.0, 2.0, 3.0]))
    assert (found.difference, found.low, found.high, found.effect) == (0, 0, 0, 0)
    assert found.p == 1


def test_a_task_weighs_the_same_however_many_episodes_it_has():
    many = pl.DataFrame({"task_id": ["a"] * 9 + ["b"], "value": [1.0] * 9 + [3.0]})
    found = compare(many, frame([0.0, 0.0]))
    assert found.a == 2


def test_tasks_of_one_side_only_are_left_out_and_counted():
    found = compare(frame([1.0, 2.0, 3.0]), frame([1.0, 2.0], tasks="bc"))
    assert (found.n_tasks, found.unpaired) == (2, 1)
    with pytest.raises(WorkbenchError, match="1 tasks in common"):
        compare(frame([1.0, 2.0]), frame([1.0, 2.0], tasks="bx"))


def test_chance_alone_is_seldom_significant():
    rng = np.random.default_rng(1)
    tasks = "abcdefghij"
    found = [
        compare(frame(list(rng.normal(size=10)), tasks), frame(list(rng.normal(size=10)), tasks)).p
        for _ in range(100)
    ]
    assert sum(p < 0.05 for p in found) <= 12


def test_wrong_columns_and_lengths_are_told_apart():
    with pytest.raises(WorkbenchError, match="rows of condition b lack value"):
        compare(frame([1.0, 2.0]), frame([1.0, 2.0]).drop("value"))
    with pytest.raises(WorkbenchError, match="3 values for 1 tasks"):
        summarize(series([1.0, 2.0, 3.0]), pl.Series(["a"]))
    with pytest.raises(WorkbenchError, match="have no mean"):
        summarize(pl.Series(["x"]))
    assert summarize(pl.Series([True, False])).mean == 0.5
