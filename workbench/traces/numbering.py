"""Task numbers: tau-bench's, which older data use, translated to tau2-bench's."""

from __future__ import annotations

import re

# tau2-bench put tau-bench's 50 airline tasks into another order: position = tau-bench number, value = tau2's.
# Found by pairing the scenario texts of both (same user, same reservations, same request).
_AIRLINE = (
    *(20, 19, 18, 21, 22, 17, 16, 15, 14, 23, 24, 25, 26, 13, 12, 11, 27, 10, 28, 29, 30, 31, 32, 33, 34),
    *(35, 37, 9, 39, 41, 42, 43, 8, 44, 7, 45, 6, 5, 46, 47, 4, 48, 49, 40, 3, 38, 2, 1, 36, 0),
)
# In retail it dropped number 95, a copy of 93.
_RETAIL = (*range(95), None, *range(95, 114))
_FROM_TAU_BENCH: dict[str, tuple[int | None, ...]] = {"airline": _AIRLINE, "retail": _RETAIL}
_TAU_BENCH_SOURCE = re.compile(r"(?<![a-z0-9])tau-?(bench|usi|trait)", re.IGNORECASE)


def tau2_task_id(task_id: str | None, domain: str | None, source: str | None) -> str | None:
    """Translate a task number to tau2-bench's numbering.

    tau-bench, and the human and trait-steered data built on it, number retail tasks 0-114 and airline tasks in
    another order than tau2-bench does; which numbering a trace uses is told by its source.

    Returns
    -------
    str or None
        The same number for any source but those; None where tau2-bench has no such task.
    """
    numbers = _FROM_TAU_BENCH.get(domain or "")
    if task_id is None or numbers is None or not _TAU_BENCH_SOURCE.search(source or ""):
        return task_id
    if not re.fullmatch(r"\d{1,9}", task_id, re.ASCII) or int(task_id) >= len(numbers):
        return None
    number = numbers[int(task_id)]
    return None if number is None else str(number)
