"""A run as the views read it: what is committed never changes, so each file is read once."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.run import CANDIDATES, Run
from workbench.measure import FEATURES

Candidate = dict[str, Any]


class Reader:
    """Candidates in commit order, and the frames of one candidate at a time.

    ``refresh()`` picks up what another process, or this one, has committed since.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.candidates: list[Candidate] = []
        self.at: dict[str, int] = {}
        self.children: dict[str, list[str]] = {}
        self.frame = lru_cache(maxsize=64)(self._frame)
        self.axes = lru_cache(maxsize=512)(self._axes)
        self.program = lru_cache(maxsize=128)(run.program)
        self._references: tuple[Any, dict[tuple[str, str], tuple[float, float | None, float | None]]] = (
            None,
            {},
        )
        self.refresh()

    def refresh(self) -> int:
        """Read what is new; return how many candidates that are."""
        new = [c for c in self.run.candidate_ids if c not in self.at]
        for candidate_id in new:
            row = store.read_json(self.run.path / "candidates" / candidate_id / "candidate.json")
            found = {name: row.get(name) for name in CANDIDATES}
            self.at[candidate_id] = len(self.candidates)
            self.candidates.append(found)
            if found["parent"]:
                self.children.setdefault(found["parent"], []).append(candidate_id)
        return len(new)

    def get(self, candidate_id: str) -> Candidate:
        """Return one candidate's row.

        Raises
        ------
        WorkbenchError
            When the run has no such candidate.
        """
        if candidate_id not in self.at:
            raise WorkbenchError(f"The run {self.run.path} has no candidate '{candidate_id}'.")
        return self.candidates[self.at[candidate_id]]

    def best_so_far(self, index: int) -> Candidate | None:
        """Return the best-ranked candidate up to an index, None before the first accepted one."""
        best = [c for c in self.candidates[: index + 1] if c["new_best"]]
        return best[-1] if best else None

    def ancestors(self, candidate_id: str) -> list[str]:
        """Return the chain from the seed program to a candidate."""
        chain: list[str] = []
        step: str | None = candidate_id
        while step and step in self.at and step not in chain:
            chain.append(step)
            step = self.get(step)["parent"]
        return chain[::-1]

    def _frame(self, candidate_id: str, name: str) -> pl.DataFrame | None:
        """Read one frame of a candidate; None when it has none, as a rejected one."""
        path = self.run.path / "candidates" / candidate_id / f"{name}.parquet"
        return self.run.frame(f"candidates/{candidate_id}", name) if path.exists() else None

    def _axes(self, candidate_id: str) -> list[dict[str, Any]] | str:
        """Return a program's axes, read in the sandbox, or the reason why they cannot be read."""
        from workbench.llm import loop
        from workbench.simulate.program import ProgramRejected, read_axes

        try:
            return loop.run(read_axes(self.program(candidate_id)))
        except ProgramRejected as error:
            return f"{error.kind}: {error.reason}"

    @property
    def references(self) -> dict[tuple[str, str], tuple[float, float | None, float | None]]:
        """Held-out humans and base simulator: (condition, term) → value, low, high; empty before evaluation."""
        from workbench.show import frames

        key = tuple(sorted(p.name for p in (self.run.path / "conditions").glob("[a-z]*")))
        if self._references[0] != key:
            found = frames.references(self.run)
            self._references = key, {(c, t): (v, low, high) for c, t, v, low, high in found.iter_rows()}
        return self._references[1]

    @cached_property
    def human_range(self) -> dict[str, tuple[float, ...]]:
        """5 %, 50 % and 95 % quantiles of each feature over the run's human reference."""
        people = self.run.humans
        return {f: tuple(people[f].quantile(q, "linear") or 0.0 for q in (0.05, 0.5, 0.95)) for f in FEATURES}
