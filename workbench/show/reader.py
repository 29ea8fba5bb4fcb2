"""A run as the views read it: what is committed never changes, so each file is read once."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve import damage, store
from workbench.evolve.run import Run
from workbench.llm import loop
from workbench.measure import FEATURES
from workbench.show import frames
from workbench.simulate.program import ProgramRejected, read_axes

Candidate = dict[str, Any]
References = dict[tuple[str, str], tuple[float, float | None, float | None]]


def nothing_yet(reader: Reader) -> str:
    """Say why a run has nothing to show, and what comes next."""
    found = reader.candidates
    if found:
        tried = "its first program" if len(found) == 1 else f"{len(found)} candidates"
        return f"Nothing was changed yet: the run has {tried} only."
    if reader.writer:
        return "This run has no candidate yet: its base simulator and its first program are being tried. The view follows the run."
    return f"This run has no candidate yet, and nobody is writing it: 'workbench resume {reader.run.place}' goes on with it."


class Reader:
    """Candidates in commit order, and the frames of one candidate at a time.

    ``refresh()`` picks up what another process, or this one, has committed since. ``flaws`` are the files of each
    candidate that cannot be read; ``writer`` is who is writing the run. A run with a ``problem`` has no candidates.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.candidates: list[Candidate] = []
        self.at: dict[str, int] = {}
        self.children: dict[str, list[str]] = {}
        self.flaws: dict[str, list[str]] = {}
        self.writer = ""
        self.frame = lru_cache(maxsize=64)(self._frame)
        self.axes = lru_cache(maxsize=512)(self._axes)
        self.program = lru_cache(maxsize=128)(run.program)
        self._references: tuple[list[str], References] = ([], {})
        self.refresh()

    def refresh(self) -> bool:
        """Read what is new; tell whether there was anything."""
        before = self.run.problem, self.writer
        if self.run.problem:  # one that is being set up is a run in a moment
            self.run = Run(self.run.path)
        self.writer = store.written_by(self.run.path)
        ids = [] if self.run.problem else self.run.candidate_ids
        new = [c for c in ids if c not in self.at]
        for candidate_id in new:
            row = self.run.row(candidate_id)
            if flaws := self.run.flaws(candidate_id, row):
                self.flaws[candidate_id] = flaws
            self.at[candidate_id] = len(self.candidates)
            self.candidates.append(row)
            if row["parent"]:
                self.children.setdefault(row["parent"], []).append(candidate_id)
        return bool(new) or before != (self.run.problem, self.writer)

    @property
    def damage(self) -> str:
        """What of the run cannot be read, as a sentence; empty for a sound one."""
        return damage.told(
            {f"candidates/{c}": flaws for c, flaws in self.flaws.items()} | self.run.damage_beside
        )

    def get(self, candidate_id: str) -> Candidate:
        """Return one candidate's row.

        Raises
        ------
        WorkbenchError
            When the run has no such candidate.
        """
        if candidate_id not in self.at:
            raise WorkbenchError(f"The run {self.run.place} has no candidate '{candidate_id}'.")
        return self.candidates[self.at[candidate_id]]

    def is_first(self, candidate_id: str) -> bool:
        """Tell whether a candidate is known to have no parent; of a damaged one that is not known."""
        c = self.get(candidate_id)
        return c["parent"] is None and c["status"] != damage.DAMAGED

    def readable(self, candidate_id: str) -> bool:
        """Tell whether a candidate is there and its program can be read."""
        return candidate_id in self.at and not self._flawed(candidate_id, "program.py")

    def why_not(self, candidate_id: str, otherwise: str) -> str:
        """Say why a candidate lacks something: it is damaged, or rejected; else ``otherwise``."""
        if flaws := self.flaws.get(candidate_id):
            return f"it is damaged ({'; '.join(flaws)})"
        c = self.get(candidate_id)
        return f"it was rejected ({c['reason']})" if c["status"] != "accepted" else otherwise

    @property
    def best(self) -> Candidate | None:
        """The best-ranked candidate; None before the first accepted one."""
        return self.best_so_far(len(self.candidates) - 1)

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
        """Read one frame of a candidate; None when it has none, as a rejected one, or it is damaged (``flaws``)."""
        file, folder = f"{name}.parquet", f"candidates/{candidate_id}"
        if self._flawed(candidate_id, file) or not (self.run.path / folder / file).exists():
            return None
        try:
            return self.run.frame(folder, name)
        except WorkbenchError:
            self.flaws.setdefault(candidate_id, []).append(f"{file} cannot be read")
            return None

    def _flawed(self, candidate_id: str, file: str) -> bool:
        return any(flaw.startswith(file) for flaw in self.flaws.get(candidate_id, []))

    def _axes(self, candidate_id: str) -> list[dict[str, Any]] | str:
        """Return a program's axes, read in the sandbox, or the reason why they cannot be read."""
        try:
            return loop.run(read_axes(self.program(candidate_id)))
        except ProgramRejected as error:
            return f"{error.kind}: {error.reason}"

    @property
    def references(self) -> References:
        """Held-out humans and base simulator: (condition, term) → value, low, high; empty before evaluation."""
        key = sorted(p.name for p in (self.run.path / "conditions").glob("[a-z]*"))
        if self._references[0] != key:
            found = frames.references(self.run)
            self._references = key, {(c, t): (v, low, high) for c, t, v, low, high in found.iter_rows()}
        return self._references[1]

    @cached_property
    def human_range(self) -> dict[str, tuple[float, ...]]:
        """5 %, 50 % and 95 % quantiles of each feature over the run's human reference."""
        people = self.run.humans
        return {f: tuple(people[f].quantile(q, "linear") or 0.0 for q in (0.05, 0.5, 0.95)) for f in FEATURES}
