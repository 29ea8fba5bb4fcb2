"""Human-likeness: a random forest that tells people's fingerprints from a simulator's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from workbench.measure import FEATURES
from workbench.measure.points import one_domain, points, rows


@dataclass(frozen=True, eq=False)
class Discriminator:
    """A forest fitted once on (people, base simulator) and then frozen; make one with :meth:`fit`.

    The settings are the paper's: 200 trees, depth 12 at most, balanced classes, seed 42, on fingerprints
    standardized by the mean and deviation of both sides together. One thread and rows in a fixed order,
    so that the same fingerprints give the same forest to the last bit.

    Attributes
    ----------
    pipeline
        Scaler and forest as one fitted scikit-learn pipeline, columns in the order of ``FEATURES``.
    domain
        What the fingerprints name, if they do.
    """

    pipeline: Any
    domain: str | None

    @classmethod
    def fit(cls, human: pl.DataFrame, simulated: pl.DataFrame) -> Discriminator:
        """Fit on two frames of fingerprints.

        Parameters
        ----------
        human, simulated
            Frames with the 19 features, two rows at least each (other columns are ignored).

        Raises
        ------
        WorkbenchError
            A side has fewer than two rows, lacks a feature, or holds a value that is not finite, or the sides name
            more than one domain.
        """
        with _without_pandas():
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler

        domain = one_domain(human, simulated)
        people = points(human, "human fingerprints", at_least=2)
        others = points(simulated, "simulated fingerprints", at_least=2)
        x = np.vstack([people, others])
        y = np.repeat([1, 0], [len(people), len(others)])
        forest = RandomForestClassifier(
            n_estimators=200, max_depth=12, class_weight="balanced", random_state=42, n_jobs=1
        )
        return cls(make_pipeline(StandardScaler(), forest).fit(x, y), domain)

    def likeness(self, fingerprints: pl.DataFrame) -> pl.Series:
        """Give P(human) of each row.

        Parameters
        ----------
        fingerprints
            A frame with the 19 features; no rows are fine.

        Returns
        -------
        Series
            ``likeness``, Float64 in [0, 1], one value a row, in the order of the rows. Human-likeness of a
            batch is its mean.

        Raises
        ------
        WorkbenchError
            A feature is missing or not finite, or the domain is another than the forest's.
        """
        one_domain(fingerprints, known=self.domain)
        x = rows(fingerprints, "fingerprints")
        if not len(x):
            return pl.Series("likeness", [], dtype=pl.Float64)
        return pl.Series("likeness", self.pipeline.predict_proba(x)[:, 1])

    @property
    def importance(self) -> pl.DataFrame:
        """Gini importance of each feature: columns feature and importance (sums to 1), greatest first."""
        table = pl.DataFrame({"feature": FEATURES, "importance": self.pipeline[-1].feature_importances_})
        return table.sort(-pl.col("importance"), "feature", maintain_order=True)


@contextmanager
def _without_pandas() -> Iterator[None]:
    """Import scikit-learn without the pandas that it imports where there is one and then hardly uses.

    Pandas, with pyarrow, is 65 MiB and 0.2 s of every run (docs/engine.md); the forest is handed plain arrays.
    """
    if "pandas" in sys.modules or "sklearn" in sys.modules:
        yield
        return
    sys.modules["pandas"] = None  # type: ignore[assignment]  # an import of it raises ImportError
    try:
        yield
    finally:
        del sys.modules["pandas"]
