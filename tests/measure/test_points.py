"""Frames that hold no proper fingerprints: every measure says so in one sentence."""

from __future__ import annotations

import polars as pl
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.measure import FEATURES

GOOD = pl.DataFrame({name: [float(i), i + 1.0, i * 2.0] for i, name in enumerate(FEATURES)})
BAD = {
    "missing": (GOOD.drop("verbosity_cv"), "lack verbosity_cv"),
    "not a number": (
        GOOD.with_columns(verbosity_cv=pl.lit(float("nan"))),
        "verbosity_cv missing or not finite",
    ),
    "infinite": (
        GOOD.with_columns(opening_length=pl.lit(float("inf"))),
        "opening_length missing or not finite",
    ),
    "null": (GOOD.with_columns(opening_length=None), "opening_length missing or not finite"),
    "words": (GOOD.with_columns(opening_length=pl.lit("long")), "opening_length that are no numbers"),
}
MEASURES = {
    "forest, human side": lambda bad: wb.Discriminator.fit(bad, GOOD),
    "forest, simulated side": lambda bad: wb.Discriminator.fit(GOOD, bad),
    "likeness": lambda bad: wb.Discriminator.fit(GOOD, GOOD + 1).likeness(bad),
    "coverage": lambda bad: wb.coverage(bad, GOOD),
    "cloud": lambda bad: wb.coverage(GOOD, bad),
    "alignment": lambda bad: wb.alignment(bad, GOOD),
    "alignment to": lambda bad: wb.alignment(GOOD, bad),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_frame_that_is_no_fingerprint_is_refused_with_the_column_named(measure, bad):
    frame, said = bad
    with pytest.raises(WorkbenchError, match=said):
        measure(frame)


@pytest.mark.parametrize(
    "measure",
    [
        lambda: wb.coverage(GOOD, GOOD.head(1)),
        lambda: wb.Discriminator.fit(GOOD.head(1), GOOD),
        lambda: wb.Discriminator.fit(GOOD, GOOD.clear()),
        lambda: wb.alignment(GOOD.clear(), GOOD),
    ],
)
def test_too_few_rows_are_refused_with_the_number_needed(measure):
    with pytest.raises(WorkbenchError, match="at least"):
        measure()
