"""Coverage: what it is 1 for, what lowers it, and what it must not depend on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure import coverage as module
from workbench.measure.coverage import Cloud


def frame(x: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(np.asarray(x, dtype=float).reshape(-1, 19), schema=list(FEATURES), orient="row")


def people(n: int = 30, seed: int = 0) -> pl.DataFrame:
    return frame(np.random.default_rng(seed).gamma(2.0, size=(n, 19)) * np.arange(1, 20))


coordinates = st.floats(0, 50, allow_nan=False, width=32)
clouds = st.lists(st.lists(coordinates, min_size=19, max_size=19), min_size=2, max_size=8).map(np.array)


def plain(personas: np.ndarray, humans: np.ndarray) -> float:
    """The definition, written out."""
    d = np.linalg.norm(humans[:, None] - personas[None], axis=2)
    apart = np.linalg.norm(humans[:, None] - humans[None], axis=2)
    d_ref = apart[np.triu_indices(len(humans), 1)].mean()
    return max(0.0, 1 - min(1.0, (d.min(axis=1).mean() + d.min(axis=0).mean()) / (2 * d_ref)))


@settings(deadline=None)
@given(clouds, clouds)
def test_coverage_lies_in_the_unit_interval_and_follows_its_definition(personas, humans):
    if np.ptp(humans, axis=0).max() > 1e-3:
        found = wb.coverage(frame(personas), frame(humans))
        assert 0 <= found <= 1
        assert found == pytest.approx(plain(personas, humans), abs=1e-9)


@settings(deadline=None)
@given(clouds, st.booleans())
def test_people_cover_themselves_exactly(humans, standardize):
    assert wb.coverage(frame(humans), frame(humans), standardize) == 1


@settings(deadline=None, max_examples=50)
@given(clouds, st.randoms(use_true_random=False))
def test_it_never_rises_as_people_leave_the_population_that_is_the_reference(humans, rng):
    order = list(range(len(humans)))
    rng.shuffle(order)
    cloud = Cloud(frame(humans))
    found = [cloud.coverage(frame(humans[order[: len(order) - gone]])) for gone in range(len(order) + 1)]
    assert all(later <= before + 1e-12 for before, later in pairwise(found))
    assert found[-1] == 0  # nobody left


@settings(deadline=None, max_examples=50)
@given(clouds, clouds, st.randoms(use_true_random=False))
def test_the_order_of_dialogues_does_not_change_a_bit(personas, humans, rng):
    found = wb.coverage(frame(personas), frame(humans), True)
    for x in (personas, humans):
        rng.shuffle(order := list(range(len(x))))
        x[:] = x[order]
    assert wb.coverage(frame(personas), frame(humans), True) == found


@settings(deadline=None, max_examples=50)
@given(clouds, clouds)
def test_doubling_the_whole_population_changes_nothing(personas, humans):
    cloud = Cloud(frame(humans))
    assert cloud.coverage(frame(np.vstack([personas, personas]))) == pytest.approx(
        cloud.coverage(frame(personas))
    )


def test_adding_people_to_simulated_users_raises_coverage():
    humans, cloud = people(), Cloud(people())
    alike = frame(np.tile(humans.to_numpy().mean(axis=0), (10, 1)))
    found = [cloud.coverage(pl.concat([alike, humans.head(n)])) for n in (0, 5, 15, 30)]
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_standardizing_stops_the_longest_feature_from_deciding():
    humans = people()
    off = humans.with_columns(pl.col("politeness_rate") + 50 * humans["politeness_rate"].to_numpy().std())
    blown = (pl.col("opening_length") * 1000).alias("opening_length")
    cloud, raw = Cloud(humans.with_columns(blown), standardize=True), Cloud(humans.with_columns(blown))
    assert raw.coverage(off.with_columns(blown)) > 0.9
    assert cloud.coverage(off.with_columns(blown)) == 0


def test_a_feature_in_which_people_do_not_differ_keeps_its_unit():
    humans = people().with_columns(accusatory_rate=pl.lit(0.1))
    assert wb.coverage(humans, humans, True) == 1
    assert 0 < wb.coverage(humans.with_columns(accusatory_rate=pl.lit(1.1)), humans, True) < 1


def test_people_all_alike_are_covered_by_themselves_only():
    same = frame(np.ones((3, 19)))
    assert wb.coverage(same, same) == 1
    assert wb.coverage(frame(np.zeros((2, 19))), same) == 0


def test_centers_of_clusters_can_stand_for_people():
    humans = people()
    assert Cloud(humans, clusters=5).targets.shape == (5, 19)
    assert Cloud(humans, clusters=5).coverage(humans) < Cloud(humans).coverage(humans)
    assert Cloud(humans, clusters=5).coverage(humans) == Cloud(humans, clusters=5).coverage(humans)
    for nonsense in (0, 1, 31):
        with pytest.raises(WorkbenchError, match="expected 2 to 30"):
            Cloud(humans, clusters=nonsense)


def test_a_batch_is_scored_task_by_task():
    humans = people()
    batch = pl.concat(
        [humans.head(5).with_columns(task_id=pl.lit("b")), humans.tail(9).with_columns(task_id=pl.lit("a"))]
    )
    cloud = Cloud(humans)
    table = cloud.by_task(batch)
    assert table.select("task_id", "n").rows() == [("a", 9), ("b", 5)]
    assert table["coverage"].to_list() == [cloud.coverage(humans.tail(9)), cloud.coverage(humans.head(5))]
    with pytest.raises(WorkbenchError, match="lack task_id"):
        cloud.by_task(humans)


def test_large_sets_are_measured_as_small_ones_are(monkeypatch):
    a, b = people(90, 1), people(70, 2)
    twice = pl.concat([a, b.head(9)])
    direct = [
        wb.coverage(x, y, standardize=s) for x, y in ((a, b), (twice, b), (b, b)) for s in (False, True)
    ]
    monkeypatch.setattr(module, "_DIRECT", 0)
    monkeypatch.setattr(module, "_BLOCK", 300)
    fast = [wb.coverage(x, y, standardize=s) for x, y in ((a, b), (twice, b), (b, b)) for s in (False, True)]
    assert fast == pytest.approx(direct, rel=1e-11)
    assert fast[-1] == 1.0


def test_equal_n_is_the_mean_over_subsets_and_all_where_there_are_no_more():
    humans, many = (
        people(40, 1),
        people(60, 2).with_columns(task_id=pl.Series([str(i % 3) for i in range(60)])),
    )
    target = Cloud(humans)
    assert target.equal_n(many, 60) == target.coverage(many)
    assert target.equal_n(many, 20, task="task_id") == pytest.approx(target.by_task(many)["coverage"].mean())
    few, more = target.equal_n(many, 2), target.equal_n(many, 30)
    assert few < more <= target.coverage(many) + 0.05
    assert target.equal_n(many.reverse(), 7) == target.equal_n(many, 7)
    assert target.equal_n(many.clear(), 7) == 0
