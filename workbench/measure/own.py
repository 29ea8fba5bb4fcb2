"""A reference of one's own: fingerprints of people and of simulators from trace files, of any domain."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from workbench.disk import writing
from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.discriminator import Discriminator
from workbench.measure.fingerprint import fingerprint
from workbench.measure.held_out import report, scored
from workbench.traces import Report, batches

FORMAT = 1
TEST = 0.3  # share of tasks that are held out
FACTS = ("source", "domain", "task_id", "tau2_task_id", "trial", "trait", "reward")
FRAMES = ("humans", "simulators")


@dataclass(frozen=True)
class OwnReference:
    """People's and simulators' fingerprints of one domain (``None`` where the traces name none), split by task."""

    domain: str | None
    humans: pl.DataFrame
    simulators: pl.DataFrame

    def held_out(self) -> dict[str, float]:
        """Fit the forest on the train side and report on the test side (:func:`workbench.measure.held_out.report`)."""
        people, others = (
            {part: frame.filter(split=part) for part in ("train", "test")}
            for frame in (self.humans, self.simulators)
        )
        forest = Discriminator.fit(people["train"], others["train"])
        return report(scored(forest, people["test"], others["test"]))


def prints_of(path: str | Path, *, user: str | None = None, tally: Report | None = None) -> pl.DataFrame:
    """Fingerprint a trace file, some hundred dialogues at a time: a file may be larger than memory.

    Returns
    -------
    DataFrame
        One row a dialogue, sorted: dialogue_id, source, domain, task_id, tau2_task_id, trial, trait, reward,
        ``spoke`` (whether the user said anything) and the 19 features.

    Raises
    ------
    WorkbenchError
        As :func:`workbench.traces.read_traces`.
    """
    spoke = ((pl.col("role") == "user") & (pl.col("content") != "")).any().alias("spoke")
    parts = []
    for turns in batches(path, 500, user=user, tally=tally):
        about = turns.group_by("dialogue_id").agg(pl.col(FACTS).first(), spoke)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*no user turn")
            parts.append(about.join(fingerprint(turns), on="dialogue_id"))
    return pl.concat(parts).sort("dialogue_id")


def split_of(task: str) -> str:
    """Put a task (or a dialogue without one) on the train or the test side, by a hash of its name."""
    share = int.from_bytes(hashlib.sha256(task.encode()).digest()[:8]) / 2**64
    return "test" if share < TEST else "train"


def build(
    human: Sequence[str | Path],
    simulated: Sequence[str | Path],
    *,
    domain: str | None = None,
    user: str | None = None,
    official: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[OwnReference, list[Report]]:
    """Fingerprint people's and simulators' traces and split both by task.

    Parameters
    ----------
    human, simulated
        Trace files, of any format that :func:`workbench.traces.read_traces` reads.
    domain
        Keep this domain only; dialogues that name none are kept too.
    user
        As for ``read_traces``.
    official
        By domain the side of each task (by tau2_task_id), as a benchmark splits them; tasks that it lacks are on
        neither side. Other domains go by :func:`split_of`.

    Returns
    -------
    tuple
        The reference, and what each file was read as. Dialogues whose user said nothing are left out and counted.

    Raises
    ------
    WorkbenchError
        A file cannot be read, the files name several domains, or a side has fewer than two dialogues.
    """
    reports: list[Report] = []
    sides = []
    for files in (human, simulated):
        frames = []
        for file in files:
            reports.append(tally := Report(str(file)))
            prints = prints_of(file, user=user, tally=tally)
            if silent := len(prints.filter(~pl.col("spoke"))):
                tally.lost["dialogues whose user said nothing"] += silent
            frames.append(prints.filter("spoke").drop("spoke").with_columns(file=pl.lit(Path(file).name)))
        sides.append(_named(pl.concat(frames), domain))
    named = sorted({d for side in sides for d in side["domain"].drop_nulls().unique()})
    if len(named) > 1:
        raise WorkbenchError(
            f"The traces are of the domains {', '.join(named)}; name the one to keep with --domain."
        )
    domain = domain or (named[0] if named else None)
    sides = [_placed(side, (official or {}).get(domain or "")) for side in sides]
    for what, side in zip(("human", "simulated"), sides, strict=True):
        for part in ("train", "test"):
            if (have := len(side.filter(split=part))) < 2:
                raise WorkbenchError(
                    f"There are {have} {what} dialogues on the {part} side of {side['tau2_task_id'].n_unique()} tasks "
                    f"({len(side)} dialogues); two at least are needed on each: add traces."
                )
    humans, simulators = sides
    return OwnReference(domain, humans.drop("domain"), simulators), reports


def _named(prints: pl.DataFrame, domain: str | None) -> pl.DataFrame:
    """Keep a domain, name dialogues apart, and give those without a task their own."""
    if domain:
        prints = prints.filter((pl.col("domain") == domain) | pl.col("domain").is_null())
    twice = pl.col("dialogue_id").is_duplicated()
    name = pl.when(twice).then(pl.col("file") + "|" + pl.col("dialogue_id")).otherwise("dialogue_id")
    prints = prints.with_columns(dialogue_id=name)
    # A null number beside a number means that the benchmark has no such task: it is no task of its own.
    task = pl.when(pl.col("task_id").is_null()).then(pl.coalesce("tau2_task_id", "dialogue_id"))
    prints = prints.with_columns(tau2_task_id=task.otherwise("tau2_task_id"))
    return prints.with_columns(task_id=pl.coalesce("task_id", "tau2_task_id"))


def _placed(prints: pl.DataFrame, splits: Mapping[str, str] | None) -> pl.DataFrame:
    """Put each dialogue on the side of its task."""
    tasks = prints["tau2_task_id"].drop_nulls().unique().sort()
    sides = {t: splits.get(t) if splits is not None else split_of(t) for t in tasks}
    side = pl.col("tau2_task_id").replace_strict(sides, default=None, return_dtype=pl.String)
    facts = ("dialogue_id", "task_id", "tau2_task_id", "source", "domain", "split")
    return prints.with_columns(split=side).select(*facts, *FEATURES, "reward", "file").sort("dialogue_id")


def write(reference: OwnReference, folder: str | Path) -> list[Path]:
    """Write a reference as ``humans.parquet``, ``simulators.parquet`` and ``reference.json``: figures, no words.

    Raises
    ------
    WorkbenchError
        The folder cannot be written, or holds something else.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / "reference.json").is_file() and any(folder.iterdir()):
        raise WorkbenchError(f"{folder} exists and is no reference; name another folder.")
    frames = {"humans": reference.humans, "simulators": reference.simulators}
    counts = {
        name: {part or "neither": n for part, n in frame["split"].value_counts().sort("split").iter_rows()}
        for name, frame in frames.items()
    }
    sources = {name: sorted(frame["source"].unique()) for name, frame in frames.items()}
    about = {"format": FORMAT, "domain": reference.domain, "dialogues": counts, "sources": sources}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            frame.write_parquet(folder / f"{name}.parquet")
        (folder / "reference.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return sorted(folder.iterdir())


def load(folder: str | Path) -> OwnReference:
    """Open a folder that :func:`write` wrote.

    Raises
    ------
    WorkbenchError
        It is no reference, or damaged.
    """
    folder = Path(folder)
    try:
        about: dict[str, Any] = json.loads((folder / "reference.json").read_text())
        frames = [pl.read_parquet(folder / f"{name}.parquet") for name in FRAMES]
    except FileNotFoundError:
        raise WorkbenchError(
            f"{folder} is no reference; build one with 'workbench reference --human … --simulated … -o {folder}'."
        ) from None
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise WorkbenchError(f"The reference {folder} is damaged ({error}); build it again.") from None
    if about.get("format") != FORMAT or any(set(FEATURES) - set(frame.columns) for frame in frames):
        raise WorkbenchError(f"The reference {folder} was written by another version; build it again.")
    return OwnReference(about.get("domain"), *frames)


def digest(folder: str | Path) -> str:
    """Return twelve letters and digits that tell a reference from any other; raises as :func:`load`."""
    load(folder)
    total = hashlib.sha256()
    for name in FRAMES:
        total.update((Path(folder) / f"{name}.parquet").read_bytes())
    return total.hexdigest()[:12]
