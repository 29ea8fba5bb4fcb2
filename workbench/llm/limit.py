"""When a request may be sent: how many at once, how soon again after a fault, and the wait for a dead endpoint."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

SHRINK, PAUSE_FIRST, PAUSE_LONGEST = 0.7, 2.0, 30.0
TOO_MANY, MEMORY = 0.2, 0.02  # share of refusals, and how much one answer weighs in it
FIRST, SHORTEST, LONGEST, LONGEST_TOLD = 0.5, 0.005, 8.0, 120.0  # seconds before a repeat
OVERLOADED = (429, 503, 529)
PASSING = (408, 409, *OVERLOADED)


class Limit:
    """A shared number of slots between 1 and ``most``, in the order in which they were asked for.

    When more than a fifth of the last answers (some fifty) were refusals, three tenths are taken away, at
    most once a second, because one burst of refusals is one sign; every success gives a little back. A
    smaller share costs less to repeat than to avoid. What is in flight is never cut short.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = float(most)
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._shrunk = 0.0
        self._refused = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for the block."""
        if self._waiting or self.in_flight >= int(self.now):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():  # the slot was already handed over
                    self._leave()
                raise
        else:
            self.in_flight += 1
        try:
            yield
        finally:
            self._leave()

    def overloaded(self) -> None:
        """Count a refusal, and shrink when there are too many: the endpoint has too much to do."""
        self._refused += MEMORY * (1 - self._refused)
        if self._refused > TOO_MANY and time.monotonic() - self._shrunk > 1.0:
            self._shrunk = time.monotonic()
            self.now = max(1.0, self.now * SHRINK)

    def succeeded(self) -> None:
        """Grow by one slot for each round of successes."""
        self._refused -= MEMORY * self._refused
        self.now = min(float(self.most), self.now + 1.0 / max(1.0, self.now))

    def _leave(self) -> None:
        self.in_flight -= 1
        while self._waiting and self.in_flight < int(self.now):
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.in_flight += 1
                turn.set_result(None)


class Patience:
    """Waiting for an endpoint that has died, up to ``seconds`` in a row; all requests share the wait."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.since: float | None = None
        self._pause = PAUSE_FIRST

    async def wait(self) -> bool:
        """Wait a while and return True, or return False when patience has run out."""
        self.since = self.since or time.monotonic()
        if time.monotonic() - self.since >= self.seconds:
            return False
        left = self.since + self.seconds - time.monotonic()
        pause, self._pause = min(self._pause, left), min(self._pause * 1.5, PAUSE_LONGEST)
        await asyncio.sleep(max(0.0, pause))
        return True

    def over(self) -> None:
        """Forget the trouble: the endpoint answers again."""
        self.since, self._pause = None, PAUSE_FIRST


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
        told = _retry_after(headers)
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


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``retry-after-ms`` or ``retry-after``, which is seconds or a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        text = headers.get("retry-after", "")
        return max(0.0, float(text)) if text else None
    except ValueError:
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, TypeError):
            return None
