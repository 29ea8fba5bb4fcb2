"""Held-out reports of a discriminator: figures that can be checked by hand, and the cross-simulator matrix."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.discriminator import Discriminator
from workbench.measure.held_out import calibration, importance, matrix, report, scored


def table(*pairs: tuple[int, float]) -> pl.DataFrame:
    rows = [(f"t{i}", y, score) for i, (y, score) in enumerate(pairs)]
    return pl.DataFrame(rows, schema={"task": pl.String, "y": pl.Int64, "score": pl.Float64}, orient="row")


def side(n: int, seed: int, **shift: float) -> pl.DataFrame:
    x = np.abs(np.random.default_rng(seed).normal(size=(n, 19)))
    frame = pl.DataFrame(x, schema=list(FEATURES), orient="row")
    frame = frame.with_columns((pl.col(name) + by) for name, by in shift.items())
    return frame.with_columns(tau2_task_id=pl.Series([f"t{i % 6}" for i in range(n)]))


def test_the_report_counts_what_a_hand_would():
    found = report(table((1, 0.9), (1, 0.4), (0, 0.1), (0, 0.6)), resamples=50)
    assert found["auc"] == 0.75
    assert (found["accuracy"], found["balanced_accuracy"], found["f1"]) == (0.5, 0.5, 0.5)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.01 + 0.36) / 4)
    assert (found["n_people"], found["n_simulated"]) == (2, 2)


def test_a_perfectly_calibrated_forecast_has_no_error_and_a_bold_one_has():
    right = table(*[(1, 0.75)] * 3, (0, 0.75), *[(0, 0.25)] * 3, (1, 0.25))
    assert report(right, resamples=10)["ece"] == pytest.approx(0)
    wrong = table(*[(1, 1.0)] * 2, *[(0, 1.0)] * 2)
    assert report(wrong, resamples=10)["ece"] == pytest.approx(0.5)


def test_calibration_weighs_both_sides_alike():
    found = calibration(table((1, 0.9), *[(0, 0.9)] * 9))
    assert found.row(0, named=True) == {
        "bin": 4,
        "n": 10,
        "weight": pytest.approx(1),
        "predicted": pytest.approx(0.9),
        "people": 0.5,
    }


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=2, max_size=20))
def test_figures_stay_in_their_range(pairs):
    if len({y for y, _ in pairs}) == 2:
        found = report(table(*pairs), resamples=5)
        assert all(0 <= found[name] <= 1 for name in ("auc", "accuracy", "f1", "brier", "ece"))


def test_one_side_alone_is_refused():
    with pytest.raises(WorkbenchError, match="both sides"):
        report(table((1, 0.5)))
    with pytest.raises(WorkbenchError, match="tau2_task_id"):
        scored(Discriminator.fit(side(9, 1), side(9, 2)), side(9, 1).drop("tau2_task_id"), side(9, 2))


def test_the_feature_that_differs_is_the_important_one_by_both_measures():
    people, simulated = side(40, 1, formality_rate=3), side(40, 2)
    forest = Discriminator.fit(people, simulated)
    found = importance(forest, side(30, 3, formality_rate=3), side(30, 4), repeats=2)
    assert found["feature"][0] == "formality_rate"
    assert found["gini"].sum() == pytest.approx(1)
    assert found.row(0, named=True)["permutation"] > 0.2 > found["permutation"][1]


def test_the_matrix_shows_a_forest_that_only_knows_one_models_tic():
    people = {"train": side(30, 1, words_per_turn=2), "test": side(30, 2, words_per_turn=2)}
    a = {
        "train": side(30, 3, formality_rate=9, words_per_turn=2),
        "test": side(30, 4, formality_rate=9, words_per_turn=2),
    }
    b = {"train": side(30, 5), "test": side(30, 6)}
    found = matrix(people, {"a": a, "b": b}, resamples=20)
    value = {(row["fitted"], row["tested"]): row["auc"] for row in found.iter_rows(named=True)}
    assert value["a", "a"] > 0.95
    assert value["a", "b"] < 0.8
    assert len(matrix(people, {"a": a, "b": b | {"train": b["train"].clear()}}, resamples=5)) == 2
