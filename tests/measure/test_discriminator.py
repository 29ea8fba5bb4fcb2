"""The forest: deterministic, frozen, and able to tell people from base simulators on real traces."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from humans_vs_base import NEEDED, rows

import workbench as wb
from workbench.measure import FEATURES


def side(n: int, shift: float, seed: int) -> pl.DataFrame:
    x = np.random.default_rng(seed).normal(size=(n, 19)) + shift
    return pl.DataFrame(x, schema=list(FEATURES), orient="row").with_columns(dialogue_id=pl.lit("x"))


HUMAN, SIMULATED = side(40, 1.0, 1), side(60, -1.0, 2)


@pytest.fixture(scope="module")
def forest() -> wb.Discriminator:
    return wb.Discriminator.fit(HUMAN, SIMULATED)


def test_likeness_is_a_probability_a_row_in_the_order_of_the_rows(forest):
    both = pl.concat([HUMAN, SIMULATED])
    likeness = forest.likeness(both)
    assert likeness.name == "likeness"
    assert likeness.is_between(0, 1).all()
    assert likeness.head(40).mean() > 0.9
    assert likeness.tail(60).mean() < 0.1
    assert forest.likeness(both.reverse()).to_list() == likeness.to_list()[::-1]
    assert len(forest.likeness(both.clear())) == 0


def test_the_same_fingerprints_give_the_same_forest_whatever_their_order(forest):
    again = wb.Discriminator.fit(HUMAN.reverse(), SIMULATED.sample(fraction=1, shuffle=True, seed=3))
    probe = side(50, 0.0, 4)
    assert again.likeness(probe).to_list() == forest.likeness(probe).to_list()


def test_scoring_a_row_alone_or_in_a_batch_is_the_same(forest):
    probe = side(20, 0.0, 5)
    alone = [forest.likeness(probe[i])[0] for i in range(20)]
    assert alone == forest.likeness(probe).to_list()


def test_the_forest_has_the_settings_of_the_paper(forest):
    wanted = {
        "n_estimators": 200,
        "max_depth": 12,
        "class_weight": "balanced",
        "random_state": 42,
        "n_jobs": 1,
    }
    assert wanted.items() <= forest.pipeline[-1].get_params().items()


def test_importance_names_every_feature_once_greatest_first(forest):
    table = forest.importance
    assert sorted(table["feature"]) == sorted(FEATURES)
    assert table["importance"].sum() == pytest.approx(1)
    assert table["importance"].is_sorted(descending=True)
    only = HUMAN.with_columns(pl.lit(0.0).alias(f) for f in FEATURES if f != "accusatory_rate")
    other = SIMULATED.with_columns(pl.lit(0.0).alias(f) for f in FEATURES if f != "accusatory_rate")
    assert wb.Discriminator.fit(only, other).importance.row(0) == ("accusatory_rate", 1.0)


def test_people_are_told_from_every_base_simulator_on_tasks_not_trained_on(traces):
    found = list(rows(traces, resamples=200))
    assert len(found) == 8
    for row in found:
        assert row.auc >= NEEDED, row
        assert row.low <= row.auc <= row.high
        assert row.likeness_base < 0.2, row
        assert row.likeness_people > 0.6, row
