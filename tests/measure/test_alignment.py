"""Alignment: Dice ratios of feature means."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.measure import DIMENSIONS, FEATURES
from workbench.measure.alignment import dice

sides = st.lists(st.lists(st.floats(0, 40, width=32), min_size=19, max_size=19), min_size=1, max_size=5).map(
    lambda rows: pl.DataFrame(rows, schema=list(FEATURES), orient="row")
)


@settings(deadline=None, max_examples=60)
@given(sides, sides)
def test_it_is_symmetric_between_0_and_100_and_100_for_oneself(a, b):
    found = wb.alignment(a, b)
    assert found == wb.alignment(b, a)
    assert list(found) == ["D1", "D2", "D3", "D4", "USI_D1_D4"]
    assert all(0 <= value <= 100 + 1e-9 for value in found.values())
    assert all(value == pytest.approx(100) for value in wb.alignment(a, a).values())


def test_means_are_taken_over_episodes_before_they_are_compared():
    human = pl.DataFrame({name: [2.0, 4.0] for name in FEATURES})
    assert wb.alignment(pl.DataFrame({name: [0.0, 6.0] for name in FEATURES}), human)[
        "USI_D1_D4"
    ] == pytest.approx(100)
    half = pl.DataFrame({name: [1.0] for name in FEATURES})
    assert wb.alignment(half, human)["D3"] == pytest.approx(100 * 2 * 1 / (1 + 3))


def test_a_dimension_is_the_mean_of_its_features_and_the_total_of_the_dimensions():
    human = pl.DataFrame({name: [1.0] for name in FEATURES})
    other = human.with_columns(opening_length=pl.lit(0.0))
    found = wb.alignment(other, human)
    assert found["D2"] == pytest.approx(100 * 2 / 3)
    assert found["D1"] == found["D3"] == found["D4"] == 100
    assert found["USI_D1_D4"] == pytest.approx((300 + 200 / 3) / 4)
    assert len(DIMENSIONS["D2"]) == 3


def test_what_both_never_do_agrees_and_what_one_never_does_disagrees():
    assert dice(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 3.0])).tolist() == [1.0, 0.0, 0.5]
