"""Alignment: Dice ratios of feature means."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.measure import DIMENSIONS, FEATURES
from workbench.measure.alignment import alignment_interval, dice, human_ceiling
from workbench.measure.coverage import Cloud
from workbench.measure.distances import distances
from workbench.measure.support import summaries

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


def side(n: int, seed: int, factor: float = 1.0, tasks: int = 8) -> pl.DataFrame:
    x = factor * np.abs(np.random.default_rng(seed).normal(size=(n, 19)))
    names = pl.Series([f"t{i % tasks}" for i in range(n)])
    return pl.DataFrame(x, schema=list(FEATURES), orient="row").with_columns(tau2_task_id=names)


def test_the_interval_holds_the_value_and_does_not_depend_on_the_order_of_rows():
    a, b = side(40, 1, 1.5), side(30, 2)
    found = alignment_interval(a, b, resamples=300)
    assert dict(found.select("term", "value").iter_rows()) == pytest.approx(wb.alignment(a, b))
    assert ((found["low"] <= found["value"]) & (found["value"] <= found["high"])).all()
    assert found.row(0, named=True) | {"term": "", "value": 0, "low": 0, "high": 0, "std": 0} == {
        "term": "", "value": 0, "low": 0, "high": 0, "std": 0, "n_simulated": 40, "n_people": 30, "n_tasks": 8,
    }  # fmt: skip
    assert alignment_interval(a.reverse(), b.reverse(), resamples=300).equals(found)


def test_dialogues_of_one_task_do_not_make_an_interval_narrower():
    a, b = side(16, 1, 1.3), side(16, 2)
    once, often = (alignment_interval(pl.concat([a] * k), pl.concat([b] * k), resamples=400) for k in (1, 9))
    widths = [(f["high"] - f["low"]).to_list() for f in (once, often)]
    assert widths[1] == pytest.approx(widths[0], rel=1e-9)


def test_people_against_people_are_the_ceiling():
    people, caricature = side(60, 1), side(60, 2, 3.0)
    ceiling = human_ceiling(people, splits=50)
    assert ceiling.filter(term="USI_D1_D4")["value"][0] > 85
    assert wb.alignment(caricature, people)["USI_D1_D4"] < ceiling.filter(term="USI_D1_D4")["low"][0]
    with pytest.raises(WorkbenchError, match="two tasks"):
        human_ceiling(side(9, 1, tasks=1))


def test_two_domains_are_not_put_into_one_figure():
    a, b = (side(9, i).with_columns(domain=pl.lit(name)) for i, name in enumerate(("retail", "airline")))
    forest, cloud = wb.Discriminator.fit(a, side(9, 3)), Cloud(a)
    for measure in (
        *(
            lambda: wb.alignment(a, b),
            lambda: alignment_interval(a, b),
            lambda: human_ceiling(pl.concat([a, b])),
        ),
        *(
            lambda: wb.Discriminator.fit(a, b),
            lambda: forest.likeness(b),
            lambda: wb.coverage(pl.concat([a, b]), a),
        ),
        *(lambda: wb.coverage(b, a), lambda: cloud.by_task(b, "tau2_task_id"), lambda: cloud.equal_n(b, 3)),
        *(lambda: distances(b, a), lambda: summaries(b, a)),
    ):
        with pytest.raises(
            WorkbenchError, match="mix the domains airline, retail: measure one domain at a time"
        ):
            measure()


def test_a_side_that_lacks_a_feature_is_named_whatever_is_asked_of_it():
    bare = side(9, 1).drop("pushback_rate")
    for measure in (
        lambda: wb.alignment(bare, side(9, 2)),
        lambda: alignment_interval(side(9, 2), bare),
        lambda: human_ceiling(bare),
    ):
        with pytest.raises(WorkbenchError, match="lack pushback_rate"):
            measure()
