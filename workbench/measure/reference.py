"""The human reference that the project ships: fingerprints of real people, one file a domain."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure.features import FEATURES

DATA = Path(__file__).resolve().parents[2] / "data"
"""The ``data/`` folder of the clone that the package is installed from."""

DOMAINS = ("airline", "retail")
COLUMNS = ("dialogue_id", "task_id", "tau2_task_id", "source", "split", *FEATURES)


def humans(domain: str) -> pl.DataFrame:
    """Load people's fingerprints for a domain.

    Parameters
    ----------
    domain
        ``"retail"`` or ``"airline"``.

    Returns
    -------
    DataFrame
        One row a dialogue: dialogue_id, task_id (as its source numbers it), tau2_task_id (null where tau2-bench has
        no such task), source, split (train or test, by tau2_task_id; null without one) and the 19 features.

    Raises
    ------
    WorkbenchError
        The domain is unknown, or the clone's ``data/`` folder is not where it should be.
    """
    if domain not in DOMAINS:
        raise WorkbenchError(
            f"there is no human reference for domain {domain!r}: known are {', '.join(DOMAINS)}"
        )
    return _load(DATA / "human" / f"{domain}.csv")


@cache
def _load(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise WorkbenchError(
            f"{path} is not there: install the package from a clone (pip install -e .), not as a copy"
        )
    kinds = {name: pl.Float64 if name in FEATURES else pl.String for name in COLUMNS}
    return pl.read_csv(path, schema=kinds)
