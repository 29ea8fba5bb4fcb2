"""Read a run directory: the frames, programs, diffs and reflections of a finished or a live run."""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve import damage, store
from workbench.evolve.mutation import ATTEMPTS
from workbench.evolve.settings import Settings
from workbench.measure import FEATURES
from workbench.simulate.frames import EPISODES, PERSONAS, TURNS
from workbench.simulate.seeds import derive

CONDITIONS = ("humans", "base", "dp", "initial", "evolved")
CONTROLS = ("base_t1",)  # the base simulator with its user at temperature 1
EVALUATED = CONDITIONS + CONTROLS  # what has a record, and is evaluated again where its files are damaged
FINGERPRINTS: dict[str, Any] = {"dialogue_id": pl.String} | dict.fromkeys(FEATURES, pl.Float64)


def _with_ends(*terms: str) -> dict[str, Any]:
    return {f"{term}{end}": pl.Float64 for term in terms for end in ("", "_low", "_high")}


CANDIDATES: dict[str, Any] = {
    "candidate_id": pl.String,
    "parent": pl.String,
    "generation": pl.Int32,
    "island": pl.Int32,
    "cell": pl.List(pl.Int32),
    "author": pl.String,
    "status": pl.String,
    "reason": pl.String,
    "new_best": pl.Boolean,
    "confirmed": pl.Boolean,
    "n_personas": pl.Int32,
    "tasks": pl.List(pl.String),
    **_with_ends("rank", "fitness", "human_likeness", "coverage"),
    "lambda_h": pl.Float64,
    "lambda_b": pl.Float64,
    **_with_ends("success"),
    "n_episodes": pl.Int32,
    "n_failed": pl.Int32,
    "n_faults": pl.Int32,
    "n_tasks": pl.Int32,
    "validation_score": pl.Float64,
    "validation_human_likeness": pl.Float64,
    "validation_coverage": pl.Float64,
    "validation_n_episodes": pl.Int32,
    "validation_n_failed": pl.Int32,
    "requests": pl.Int64,
    "retries": pl.Int64,
    "malformed": pl.Int64,
    "tokens_in": pl.Int64,
    "tokens_out": pl.Int64,
    "cost": pl.Float64,
    "seconds": pl.Float64,
    "created": pl.String,
}


def open_run(path: str | Path) -> Run:
    """Open a run for reading; another process may be writing it.

    Parameters
    ----------
    path
        A run directory; or an output folder of ppol 0.1.1, an output or checkpoint folder of OpenEvolve 0.4.0, which is
        read as it stands and never written (``run.missing`` says what it lacks). A run in another format, or one
        that is only half there, opens too: ``run.problem`` says what it is, and the stepper shows it.

    Raises
    ------
    WorkbenchError
        When the directory is missing, or is no run.
    """
    from workbench.evolve.foreign import convert

    own = (Path(path) / "run.json").exists()
    return Run(path if own else convert(path) or path)


def open_runs(path: str | Path) -> list[Run]:
    """Open one run, or the runs of several seeds in one folder (``seed-…``), in the order of their seeds.

    Raises
    ------
    WorkbenchError
        When there is neither, or the runs are of different domains.
    """
    folders = sorted(Path(path).glob("seed-*/run.json")) if Path(path).is_dir() else []
    if not folders or (Path(path) / "run.json").exists():
        return [open_run(path)]
    runs = sorted((Run(p.parent) for p in folders), key=lambda r: r.settings.seed)
    if len(domains := {r.settings.domain for r in runs}) > 1:
        raise WorkbenchError(
            f"The runs in {path} are of different domains ({', '.join(sorted(domains))}); split them."
        )
    return runs


class Run:
    """A run as frames; every attribute reads what is on disk at that moment.

    ``candidates`` is a DataFrame; ``personas``, ``episodes``, ``turns``, ``fingerprints`` and
    ``attempts`` are LazyFrames over all candidates and evaluated conditions (docs/schema.md).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise WorkbenchError(
                f"There is no run directory {self.path}; start one with 'workbench evolve --run'."
            )
        self.info, self._settings, self.problem = damage.opened(self.path)
        self.foreign: Mapping[str, Any] = self.info.get("foreign", {})

    def __repr__(self) -> str:
        if self.problem:
            return f"Run({self.place!r}, problem={self.problem!r})"
        return f"Run({self.place!r}, domain={self.settings.domain!r}, candidates={len(self.candidate_ids)})"

    @property
    def settings(self) -> Settings:
        """What the run is set to.

        Raises
        ------
        WorkbenchError
            With ``problem``, where there is one: then little but the programs can be read.
        """
        if self._settings is None:
            raise WorkbenchError(self.problem)
        return self._settings

    @property
    def place(self) -> str:
        """Where the run is, as it was named; a run of another program is read from a converted copy."""
        return str(self.foreign.get("path", self.path))

    @property
    def missing(self) -> list[str]:
        """What the run of another program does not hold; empty for a run of ours."""
        return list(self.foreign.get("missing", []))

    @property
    def lacks(self) -> str:
        """What is missing, as a sentence; empty for a run of ours."""
        if not self.missing:
            return ""
        return f"A run of {self.foreign['program']}. It lacks: {'; '.join(self.missing)}."

    def own(self) -> Run:
        """Return the run itself.

        Raises
        ------
        WorkbenchError
            When it is another program's or of another format, which cannot be gone on with.
        """
        if self.problem:
            raise WorkbenchError(self.problem)
        if self.foreign:
            raise WorkbenchError(
                f"{self.place} is a run of {self.foreign['program']}: it can be looked at and exported, not written. "
                "'workbench export … --format program' takes its best program out."
            )
        return self

    def intact(self) -> Run:
        """Return the run itself, to be written.

        Raises
        ------
        WorkbenchError
            As for ``own``; or what a search builds on is damaged.
        """
        self.own()
        found = {k: v for k, v in self.damage.items() if k.removeprefix("conditions/") not in EVALUATED}
        if not found:
            return self
        folder, flaws = next(iter(found.items()))
        todo = {
            "candidates": f"start a new run from a sound candidate ('workbench branch {self.path} --at ID -o NEW')",
            "conditions": f"remove the folder {folder}, which is then made anew",
        }.get(folder.split("/")[0], "start a new run")
        raise WorkbenchError(f"{self.path / folder / flaws[0]}; restore it, or {todo}.")

    @property
    def damage(self) -> dict[str, list[str]]:
        """What cannot be read, by folder; empty for a sound run. All else can be."""
        found = {f"candidates/{c}": self.flaws(c, self.row(c)) for c in self.candidate_ids}
        return {folder: flaws for folder, flaws in found.items() if flaws} | self.damage_beside

    @property
    def damage_beside(self) -> dict[str, list[str]]:
        """The same of all but the candidates: of held-out results and the human reference."""
        folders = self._folders("conditions")
        found = {f"conditions/{p.name}": damage.flaws_of(p, p.name in EVALUATED) for p in folders}
        found["reference"] = damage.cut_frames(self.path / "reference")
        return {folder: flaws for folder, flaws in found.items() if flaws}

    def flaws(self, candidate_id: str, row: Mapping[str, Any]) -> list[str]:
        """Name the files of a candidate that cannot be read, and what is wrong with each; ``row`` is its own."""
        frames = damage.cut_frames(self.path / "candidates" / candidate_id)
        return [str(row["reason"]), *frames] if row["status"] == damage.DAMAGED else frames

    @property
    def run_id(self) -> str:
        """The run's own name: twelve letters and digits from its settings and the moment it was started."""
        return str(self.info.get("run_id", ""))

    @property
    def tasks(self) -> dict[str, list[str]]:
        """Ids of the train, validation and test tasks."""
        if self.problem:
            raise WorkbenchError(self.problem)
        return dict(self.info["tasks"])

    @property
    def candidate_ids(self) -> list[str]:
        """Ids of the committed candidates, in order."""
        return [p.name for p in self._folders("candidates")]

    @property
    def candidates(self) -> pl.DataFrame:
        """One row a program, in commit order; one whose files are damaged has that as its status, and the reason."""
        return pl.DataFrame([self.row(c) for c in self.candidate_ids], schema=CANDIDATES)

    def row(self, candidate_id: str) -> dict[str, Any]:
        """Return one candidate's row of ``candidates``."""
        needed = () if self.missing else damage.SCORED  # another program may not have scored what it accepted
        return damage.read_candidate(self._candidate(candidate_id), CANDIDATES, needed)

    @property
    def episodes(self) -> pl.LazyFrame:
        """One row a conversation; ``condition`` is search for candidates' own batches."""
        return self._scan("episodes", EPISODES)

    @property
    def turns(self) -> pl.LazyFrame:
        """One row a message."""
        return self._scan("turns", TURNS)

    @property
    def fingerprints(self) -> pl.LazyFrame:
        """One row a finished dialogue: the 19 features."""
        return self._scan("fingerprints", FINGERPRINTS)

    @property
    def personas(self) -> pl.LazyFrame:
        """One row a persona."""
        return self._scan("personas", PERSONAS)

    @property
    def attempts(self) -> pl.LazyFrame:
        """One row a mutation try."""
        return self._scan("attempts", ATTEMPTS)

    @property
    def humans(self) -> pl.DataFrame:
        """The human reference of this run: ids, split and the 19 features."""
        return self._read(self.path / "reference" / "humans.parquet")

    @property
    def conditions(self) -> dict[str, dict[str, Any]]:
        """What held-out evaluation found, by condition (humans, base, dp, initial, evolved); damaged ones are left out."""
        folders, damaged = {p.name: p for p in self._folders("conditions")}, self.damage_beside
        have = [n for n in EVALUATED if n in folders and f"conditions/{n}" not in damaged]
        return {name: store.read_json(folders[name] / "condition.json") for name in have}

    @property
    def best(self) -> str:
        """The candidate that selection names: the best mean validation score, or a drawn one for the control.

        In another program's run, the one that it calls its best.

        Raises
        ------
        WorkbenchError
            When no candidate has been accepted yet.
        """
        if self.problem:
            raise WorkbenchError(self.problem)
        if best := self.foreign.get("best"):
            return str(best)
        good = self.candidates.filter(status="accepted")
        if good.is_empty():
            raise WorkbenchError(f"The run {self.place} has no accepted candidate yet; let it evolve first.")
        if self.settings.selection == "random":
            return random.Random(derive(self.settings.seed, "final")).choice(good["candidate_id"].to_list())
        order = ["validation_score", "rank", "candidate_id"]
        return good.sort(order, descending=[True, True, False], nulls_last=True)["candidate_id"][0]

    def program(self, candidate_id: str) -> str:
        """Return a candidate's source.

        Raises
        ------
        WorkbenchError
            When there is no such candidate, or its program cannot be read.
        """
        path = self._candidate(candidate_id) / "program.py"
        try:
            return damage.text_of(path)
        except WorkbenchError as error:
            raise WorkbenchError(f"{path.parent / str(error)}; restore it.") from None

    def reflection(self, candidate_id: str) -> str:
        """Return what the reflection model said about a candidate's batch."""
        path = self._candidate(candidate_id) / "reflection.txt"
        return path.read_text(errors="replace") if path.is_file() else ""

    def diff(self, candidate_id: str, other: str | None = None, *, context: int = 3) -> str:
        """Return a unified diff of a candidate against its parent, or against another candidate."""
        against = other or self.row(candidate_id)["parent"]
        old = self.program(against) if against else ""
        new = self.program(candidate_id)
        names = f"{against or 'nothing'}/program.py", f"{candidate_id}/program.py"
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), *names, lineterm="", n=context)
        return "\n".join(lines)

    def frame(self, folder: str, name: str) -> pl.DataFrame:
        """Read one Parquet file of the run, such as ``frame("conditions/base", "fingerprints")``."""
        return self._read(self.path / folder / f"{name}.parquet")

    def spent(self) -> pl.DataFrame:
        """Return requests, tokens and money by role and model, with what killed candidates took."""
        ledger = store.read_ledger(self.path / "ledger.jsonl")
        sums = [pl.col(c).sum() for c in ("requests", "tokens_in", "tokens_out", "cost")]
        return ledger.group_by("role", "model").agg(sums).sort("role", "model")

    def _folders(self, kind: str) -> list[Path]:
        folder = self.path / kind
        if not folder.is_dir():
            return []
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir())

    def _candidate(self, candidate_id: str) -> Path:
        path = self.path / "candidates" / candidate_id
        if not candidate_id or "/" in candidate_id or not path.is_dir():
            ids = self.candidate_ids
            known = f"it has {ids[0]} to {ids[-1]}" if ids else "it has none yet"
            raise WorkbenchError(f"The run {self.place} has no candidate '{candidate_id}'; {known}.")
        return path

    def _scan(self, name: str, schema: Mapping[str, Any]) -> pl.LazyFrame:
        folders = [*self._folders("candidates"), *self._folders("conditions")]
        files = [f for p in folders if damage.is_whole(f := p / f"{name}.parquet")]
        return damage.scan(files) if files else pl.LazyFrame(schema=schema)

    def _read(self, path: Path) -> pl.DataFrame:
        if not path.exists():
            raise WorkbenchError(f"{path} is missing; the run {self.place} has not come that far.")
        return damage.frame_of(path)
