"""When a failed request is sent again, and how long to wait before: the endpoint's word, or its own pace."""

from __future__ import annotations

import random
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from time import time

FIRST, SHORTEST, LONGEST, LONGEST_TOLD = 0.5, 0.005, 8.0, 120.0  # seconds
OVERLOADED = (429, 503, 529)
PASSING = (408, 409, *OVERLOADED)


class Pace:
    """How fast an endpoint answers, as a running mean in seconds; None before its first answer.

    The first pause after a fault is a tenth of the time that an answer takes, at most half a second; each
    further one is three times as long. Most faults pass at once, and an endpoint that answers in 50 ms is not
    left alone for ten times as long, as the API client's own repeats do (docs/engine.md).
    """

    def __init__(self) -> None:
        self.seconds: float | None = None

    def took(self, seconds: float) -> None:
        """Note how long an answer took."""
        self.seconds = seconds if self.seconds is None else 0.9 * self.seconds + 0.1 * seconds

    def pause(self, tries: int, headers: Mapping[str, str]) -> float | None:
        """Return the seconds to wait before repeat number ``tries`` (from 0); None when that would be too long."""
        told = _told(headers)
        if told is not None:
            return told if told <= LONGEST_TOLD else None
        first = FIRST if self.seconds is None else min(FIRST, max(SHORTEST, self.seconds / 10))
        return float(min(LONGEST, first * 3**tries) * random.uniform(0.75, 1.0))


def passing(status: int | None, code: str | None, headers: Mapping[str, str]) -> bool:
    """Whether a fault may pass: no answer at all, overload, or a server's error; not an exhausted account."""
    if status is None:
        return True
    if code == "insufficient_quota" or headers.get("x-should-retry") == "false":
        return False
    return status in PASSING or status >= 500 or headers.get("x-should-retry") == "true"


def _told(headers: Mapping[str, str]) -> float | None:
    """Read ``retry-after-ms`` or ``retry-after``, which is seconds or a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        text = headers.get("retry-after", "")
        return max(0.0, float(text)) if text else None
    except ValueError:
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time())
        except (ValueError, TypeError):
            return None
