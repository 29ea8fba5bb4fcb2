"""What of a run is to be taken away: a condition or a candidate, its personas with their tasks' texts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run, open_run
from workbench.simulate import tau2

SCENARIO = r"(?s)<scenario>\n(.*)\n</scenario>"  # in a user's prompt


@dataclass(frozen=True)
class Choice:
    """A part of a run, or a file of traces (then there is no run)."""

    run: Run | None
    file: Path | None
    folder: str
    label: str
    candidate_id: str | None
    only: tuple[str, ...]
    successful: bool

    @property
    def source(self) -> Run:
        """The run.

        Raises
        ------
        WorkbenchError
            When a file of traces was given.
        """
        if self.run is None:
            raise WorkbenchError(
                f"{self.file} is a file; personas and programs come from a run directory, only chat and chat-user from traces."
            )
        return self.run

    @property
    def provenance(self) -> dict[str, Any]:
        """Where an exported thing comes from."""
        run = self.source
        return {
            "run_id": run.run_id,
            "domain": run.settings.domain,
            "seed": run.settings.seed,
            "part": self.label,
            "candidate_id": self.candidate_id,
            "rehearsed": bool(run.settings.rehearsed),
        }

    def frame(self, name: str) -> pl.DataFrame | None:
        """Read a frame of the part, of the tasks asked for; None where it has none."""
        if not (self.source.path / self.folder / f"{name}.parquet").exists():
            return None
        found = self.source.frame(self.folder, name)
        return found.filter(pl.col("task_id").is_in(self._tasks(found))) if self.only else found

    def _tasks(self, found: pl.DataFrame) -> list[str]:
        known = found["task_id"].unique().sort().to_list()
        if strange := [task for task in self.only if task not in known]:
            raise WorkbenchError(f"{self.label} has no task '{strange[0]}'; it has {', '.join(known)}.")
        return list(self.only)

    @cached_property
    def personas(self) -> list[dict[str, Any]]:
        """The personas with ``hash`` (of the policy), ``context`` and the conversation's first words, sorted by task.

        Raises
        ------
        WorkbenchError
            When the part has none.
        """
        found = self.frame("personas")
        if found is None or found.is_empty():
            raise WorkbenchError(f"{self.label} of {self.source.place} has no personas{self._why()}.")
        contexts, openings = self._contexts(), self._openings()
        return [
            row
            | {
                "hash": hashlib.sha256(row["policy"].encode()).hexdigest()[:12],
                "axis_placement": {placed["axis"]: placed["on"] for placed in row["axis_placement"] or []},
                "context": contexts.get(row["task_id"], ""),
                "opening": openings.get((row["task_id"], row["persona_id"])),
            }
            for row in found.to_dicts()
        ]

    def _why(self) -> str:
        if self.folder.startswith("candidates/"):
            row = self.source.candidates.row(
                by_predicate=pl.col("candidate_id") == self.candidate_id, named=True
            )
            if row["status"] != "accepted":
                return f": it was rejected ({row['reason']})"
        return "; name another part with --condition or --candidate" if "base" in self.folder else ""

    def _contexts(self) -> dict[str, str]:
        """What each task tells the user: as it was sent, as another program logged it, as the benchmark has it."""
        run = self.source
        found: dict[str, str] = {}
        if run.settings.domain in tau2.DOMAINS:
            found |= {task_id: t.context for task_id, t in tau2.load(run.settings.domain).tasks.items()}
        found |= run.info.get("foreign", {}).get("contexts", {})
        if (episodes := self.frame("episodes")) is not None:
            sent = episodes.select("task_id", pl.col("user_prompt").str.extract(SCENARIO))
            found |= dict(sent.drop_nulls().unique("task_id").iter_rows())
        return found

    def _openings(self) -> dict[tuple[str, str], str]:
        episodes, turns = self.frame("episodes"), self.frame("turns")
        if episodes is None or turns is None:
            return {}
        first = turns.filter(pl.col("role") == "user", pl.col("content").str.strip_chars() != "").sort("turn")
        first = first.group_by("dialogue_id", maintain_order=True).agg(pl.col("content").first())
        joined = episodes.select("dialogue_id", "task_id", "persona_id").join(first, on="dialogue_id")
        return {(task, persona): said for _, task, persona, said in joined.iter_rows()}


def choose(
    source: Run | str | Path,
    condition: str | None,
    candidate: str | None,
    tasks: tuple[str, ...],
    successful: bool,
) -> Choice:
    """Find the part of a run that is asked for.

    Raises
    ------
    WorkbenchError
        When there is no such condition or candidate, nothing has been evaluated, or both are named.
    """
    if not isinstance(source, Run):
        if Path(source).is_file() or (Path(source) / "results.json").is_file():  # τ²-bench has folders, too
            if condition or candidate:
                raise WorkbenchError(
                    f"{source} is a file of traces; --condition and --candidate are of runs."
                )
            return Choice(None, Path(source), "", str(source), None, tasks, successful)
        source = open_run(source)
    if condition and candidate:
        raise WorkbenchError("Name a condition or a candidate, not both.")
    done = source.conditions
    if condition is None and candidate is None and "evolved" in done:
        condition = "evolved"
    if condition is None:
        chosen = source.best if candidate is None else candidate
        source.program(chosen)  # says which candidates there are
        return Choice(source, None, f"candidates/{chosen}", f"candidate {chosen}", chosen, tasks, successful)
    if condition not in done:
        have = f"it has {', '.join(done)}" if done else "none has been evaluated"
        todo = "" if source.missing else f" Run 'workbench evaluate {source.place}', or"
        raise WorkbenchError(
            f"{source.place} has no held-out results of '{condition}'; {have}.{todo or ' Please'} name a candidate."
        )
    if condition == "humans":
        raise WorkbenchError("The condition humans holds fingerprints, no texts: there is nothing to export.")
    found = done[condition].get("candidate_id")
    return Choice(source, None, f"conditions/{condition}", f"condition {condition}", found, tasks, successful)
