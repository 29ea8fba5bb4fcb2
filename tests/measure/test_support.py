"""Six measures of support: a Sobol population is the yardstick, and each measure sees what it is for."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.reference import humans
from workbench.measure.support import RULES, _sobol, summaries, support


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("n", "k"), [(25, 3), (10, 4)])
def test_a_sobol_population_covers_what_it_should(rule, n, k):
    found = [support(_sobol(n, k, seed), rule=rule)["coverage"] for seed in range(20, 32)]
    assert np.mean(found) == pytest.approx(0.99, abs=0.012)


def test_a_clump_fills_nothing_and_corners_have_the_largest_hull():
    clump = support(np.full((10, 2), 0.5))
    assert (clump["hull_volume"], clump["min_pairwise"], clump["mean_pairwise"]) == (0, 0, 0)
    corners = support(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    assert corners["hull_volume"] == 1
    assert corners["min_pairwise"] == 1
    assert corners["dispersion"] == pytest.approx(math.sqrt(0.5), abs=0.02)
    even = support(_sobol(16, 2, 5))
    assert even["coverage"] > clump["coverage"]
    assert even["kl_to_sobol"] < clump["kl_to_sobol"]


def test_one_point_has_no_pairs():
    assert math.isnan(support(np.array([[0.2, 0.3]]))["min_pairwise"])


@pytest.mark.parametrize(("z", "rule", "words"), [(np.zeros((0, 4)), "paper", "one at least"), (np.full((2, 2), 1.5), "paper", "between"),
                                                  (np.full((2, 2), np.nan), "paper", "between"), (np.zeros((2, 2)), "mine", "no rule")])  # fmt: skip
def test_what_is_no_population_of_the_cube_is_refused(z, rule, words):
    with pytest.raises(WorkbenchError, match=words):
        support(z, rule=rule)


@settings(deadline=None, max_examples=15)
@given(arrays(float, st.tuples(st.just(8), st.integers(2, 4)), elements=st.floats(0, 1)))
def test_measures_stay_in_their_range_and_do_not_depend_on_order(z):
    found = support(z, rule="code")
    assert 0 <= found["coverage"] <= 1
    assert -1e-9 <= found["hull_volume"] <= 1 + 1e-9
    assert 0 <= found["min_pairwise"] <= found["mean_pairwise"] + 1e-12
    again = support(z[::-1], rule="code")
    assert again | {"hull_volume": 0} == found | {"hull_volume": 0}


def test_real_people_fill_more_of_their_own_cube_than_copies_of_one():
    people = humans("retail")
    z = summaries(people, people)
    assert z.shape == (68, 4)
    assert (z.min(), z.max()) == (0, 1)
    one = summaries(pl.concat([people.select(FEATURES).head(1)] * 68), people)
    assert support(z, rule="code")["coverage"] > 2 * support(one, rule="code")["coverage"]
