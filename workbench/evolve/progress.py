"""Progress of a run: what is being done, how many episodes are over, and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Progress:
    """Counts finished episodes against a plan and tells a listener.

    ``seconds_left`` is the plan's rest at the pace so far; None until there is a pace.
    """

    report: Callable[[Progress], None] | None = None
    total: int = 0
    done: int = 0
    doing: str = ""
    started: float = field(default_factory=time.monotonic)

    def at(self, doing: str, more: int = 0) -> None:
        """Say what is being done now, and how many ``more`` episodes are over."""
        self.doing = doing
        self.done += more
        if self.report:
            self.report(self)

    def tick(self, _: str = "") -> None:
        """Count one finished episode."""
        self.at(self.doing, 1)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the plan is done, at the pace so far."""
        if self.done < 10:
            return None
        pace = (time.monotonic() - self.started) / self.done
        return pace * max(0, self.total - self.done)

    def __str__(self) -> str:
        rest = f" · {duration(left)} left" if (left := self.seconds_left) is not None else ""
        return f"{self.done}/{max(self.total, self.done)} episodes{rest} · {self.doing}"


def duration(seconds: float) -> str:
    """Write seconds as 1 h 02 m, 1 m 20 s or 8 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    return f"{whole // 60} m {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
