"""The reference that the project ships: fingerprints of real people and of simulators, one file a domain each."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES

DATA = Path(__file__).resolve().parents[2] / "data"
"""The ``data/`` folder of the clone that the package is installed from."""

DOMAINS = ("airline", "retail")
SURVEY: dict[str, tuple[tuple[str, ...], ...]] = {
    "task_success": (("No - Task failed",), ("No - Due to a policy issue, which the agent clearly explained",),
                     ("Partially - Some progress",), ("Yes - Task completed",), ("Fully - Exceeded expectations",)),
    "efficiency": (("Very inefficient - Too many steps",), ("Somewhat inefficient",), ("About right",), ("Very efficient",)),
    "question_amount": (("Too few", "Too many"), ("About right",)),
    "answer_effort": (("High",), ("Medium",), ("Low",)),
    "human_like": (("No",), ("Partially",), ("Yes",)),
    "interaction_flow": (("Not smooth",), ("OK",), ("Smooth",), ("Excellent",)),
    "overall": (("1 (Very poor)",), ("2 (Poor)",), ("3 (Acceptable)",), ("4 (Good)",), ("5 (Excellent)",)),
    "reuse": (("Absolutely no",), ("No",), ("Maybe",), ("Yes",), ("Absolutely yes",)),
}  # fmt: skip
"""The eight questions that people answered after a conversation, and their options from worst to best."""

ANSWERS = tuple(f"survey_{item}" for item in SURVEY)
COLUMNS = (
    "dialogue_id",
    "task_id",
    "tau2_task_id",
    "source",
    "domain",
    "split",
    *FEATURES,
    "reward",
    *ANSWERS,
)
SIMULATED = ("file", "variant", "dialogue_id", "source", "domain", "task_id", "tau2_task_id", "split", "trial", "trait",
             "user_model", "reward", "fault", *FEATURES)  # fmt: skip


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
        no such task), source, domain, split (train or test, by tau2_task_id; null without one), the 19 features, reward, and
        ``survey_*``: the person's answers as the option's place in :data:`SURVEY`, 0 the worst.

    Raises
    ------
    WorkbenchError
        The domain is unknown, or the clone's ``data/`` folder is not where it should be.
    """
    return _load(domain, "human", "csv")


def simulators(domain: str) -> pl.DataFrame:
    """Load fingerprints of simulated users: public dialogues of base simulators and of trait-steered users.

    Parameters
    ----------
    domain
        ``"retail"`` or ``"airline"``.

    Returns
    -------
    DataFrame
        One row a dialogue and variant: file, variant (``as_found``, or ``edited``: after the rule-based editor of
        :mod:`workbench.measure.editor`), dialogue_id, source, domain, task_id, tau2_task_id, split, trial, trait,
        user_model (null where not recorded), reward, fault and the 19 features.

    Raises
    ------
    WorkbenchError
        As :func:`humans`.
    """
    return _load(domain, "simulated", "parquet")


@cache
def _load(domain: str, folder: str, kind: str) -> pl.DataFrame:
    if domain not in DOMAINS:
        raise WorkbenchError(
            f"there is no human reference for domain {domain!r}: known are {', '.join(DOMAINS)}"
        )
    path = DATA / folder / f"{domain}.{kind}"
    if not path.is_file():
        raise WorkbenchError(
            f"{path} is not there: install the package from a clone (pip install -e .), not as a copy"
        )
    if kind == "parquet":
        return pl.read_parquet(path)
    numbers = dict.fromkeys((*FEATURES, "reward"), pl.Float64) | dict.fromkeys(ANSWERS, pl.Int8)
    return pl.read_csv(path, schema={name: numbers.get(name, pl.String) for name in COLUMNS})
