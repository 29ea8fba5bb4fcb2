"""Where numbers come from: runs, seeds, models, version and the runs' own date, on every table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.evolve.run import Run

SHOWN = 3  # run ids that a caption names itself
REHEARSED = "Made by rehearsal models: this proves the machinery, not the paper's claims."


@dataclass(frozen=True)
class Origin:
    """The runs behind a number, with what a reader needs to find or repeat them."""

    runs: tuple[str, ...]
    domains: tuple[str, ...]
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    version: str
    date: str
    rehearsed: bool

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Origin:
        """Gather the origin of one run or several."""
        roles = [e for run in runs for e in run.settings.roles.values()]
        return cls(
            tuple(run.run_id for run in runs),
            tuple(dict.fromkeys(run.settings.domain for run in runs)),
            tuple(sorted({run.settings.seed for run in runs})),
            tuple(sorted({e.model for e in roles})),
            ", ".join(sorted({str(run.info["version"]) for run in runs})),
            min(str(run.info["created"])[:10] for run in runs),
            all(e.rehearsed for e in roles),
        )

    @property
    def line(self) -> str:
        """One line for a caption; many runs are counted, and listed in the file ``runs``."""
        who = "rehearsal models (stand-ins)" if self.rehearsed else ", ".join(self.models)
        few = f"run{'s' * (len(self.runs) > 1)} {', '.join(self.runs)}"
        ids = few if len(self.runs) <= SHOWN else f"{len(self.runs)} runs (table “runs”)"
        return (
            f"{ids} · {', '.join(self.domains)} · {spans(self.seeds)} · {who} · "
            f"workbench {self.version} · {self.date}"
        )

    def record(self) -> dict[str, Any]:
        """Everything, as JSON holds it."""
        return asdict(self)


def spans(seeds: Sequence[int]) -> str:
    """Write seeds, in order and each once, as ``seed 7``, ``seeds 1–5`` or ``seeds 1, 2, 7``."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"seeds {seeds[0]}–{seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}" if seeds else "no seed"
