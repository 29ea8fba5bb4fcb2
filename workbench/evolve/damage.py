"""What of a run cannot be read: its format, a candidate's record, a frame that was cut off. Told, never dropped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.settings import Settings

DAMAGED = "damaged"  # the status of a candidate whose record or program cannot be read
SCORED = ("rank", "fitness", "human_likeness", "coverage")  # what every accepted candidate of ours has
TOLD = 4  # damaged files that a sentence names itself
_KINDS: dict[Any, Any] = {
    pl.String: str,
    pl.Boolean: bool,
    pl.Float64: (int, float),
    pl.Int32: int,
    pl.Int64: int,
}


def opened(path: Path) -> tuple[Mapping[str, Any], Settings | None, str]:
    """Read a run's ``run.json`` and the settings in it; where that cannot be done, a sentence says why.

    Raises
    ------
    WorkbenchError
        When the directory is no run at all.
    """
    file = path / "run.json"
    if not file.exists():
        if (path / "candidates").is_dir():
            return {}, None, f"{file} is missing; restore it, or take programs out of {path / 'candidates'}."
        if (path / "lock").exists():
            who = store.written_by(path)
            now = f"{who} is setting it up" if who else "start it again with the same command"
            return {}, None, f"The run {path} was begun but has no run.json yet; {now}."
        raise WorkbenchError(f"{file} is missing; is {path} a run directory?")
    info: Mapping[str, Any] = {}
    try:
        info = store.read_json(file)
        return info, _settings(info, path), ""
    except WorkbenchError as error:
        return info, None, str(error)


def read_candidate(folder: Path, schema: Mapping[str, Any], needed: Sequence[str] = SCORED) -> dict[str, Any]:
    """Read a candidate's row; where that cannot be done it has status ``damaged``, the reason, and nothing else.

    ``needed`` are columns that an accepted candidate cannot lack.
    """
    try:
        text_of(folder / "program.py")
        return _record(folder, schema, needed)
    except WorkbenchError as error:
        nothing = dict.fromkeys(schema)
        return nothing | {"candidate_id": folder.name, "status": DAMAGED, "reason": str(error)}


def text_of(path: Path) -> str:
    """Read a text; the error is a few words on what is wrong with it, which begin with the file's name."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise WorkbenchError(f"{path.name} is missing") from None
    except UnicodeDecodeError:
        raise WorkbenchError(f"{path.name} is not text") from None
    except OSError as error:
        raise WorkbenchError(f"{path.name} cannot be read ({error.strerror})") from None
    if not text.strip():
        raise WorkbenchError(f"{path.name} is empty")
    return text


def json_of(path: Path) -> dict[str, Any]:
    """Read a JSON object; the error is as that of :func:`text_of`."""
    try:
        data = json.loads(text_of(path))
    except (json.JSONDecodeError, RecursionError):
        raise WorkbenchError(f"{path.name} is cut off or no JSON") from None
    if not isinstance(data, dict):
        raise WorkbenchError(f"{path.name} holds no JSON object")
    return data


def flaws_of(folder: Path, evaluated: bool) -> list[str]:
    """Name the files of a condition that cannot be read; one that was ``evaluated`` has a record."""
    flaws = cut_frames(folder)
    if evaluated:
        try:
            json_of(folder / "condition.json")
        except WorkbenchError as error:
            flaws.insert(0, str(error))
    return flaws


def cut_frames(folder: Path) -> list[str]:
    """Name the Parquet files of a folder that lack their end."""
    return [f"{file.name} is cut off" for file in sorted(folder.glob("*.parquet")) if not is_whole(file)]


def is_whole(file: Path) -> bool:
    """Tell whether a Parquet file ends as one does; no more is read of it."""
    try:
        with file.open("rb") as stream:
            stream.seek(-4, os.SEEK_END)
            return stream.read() == b"PAR1"
    except OSError:  # shorter than that, or no file at all
        return False


def scan(files: list[Path]) -> pl.LazyFrame:
    """Read frames of one kind together, when they are asked for; one that is damaged inside is named then."""

    def rows(
        columns: list[str] | None, where: pl.Expr | None, n: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        with _named(files):
            frames = pl.scan_parquet(files, n_rows=n)
            frames = frames if columns is None else frames.select(columns)
            found = (frames if where is None else frames.filter(where)).collect()
        yield found

    with _named(files):
        return register_io_source(rows, schema=pl.read_parquet_schema(files[0]))


@contextmanager
def _named(files: list[Path]) -> Iterator[None]:
    try:
        yield
    except pl.exceptions.PolarsError:
        for file in files:
            frame_of(file)
        raise


def frame_of(file: Path) -> pl.DataFrame:
    """Read a frame; the error is a sentence that names it."""
    try:
        return pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise WorkbenchError(f"{file} is corrupt ({error}); restore it or start a new run.") from None


def told(damage: Mapping[str, Sequence[str]]) -> str:
    """Say in a sentence what is damaged, by folder; empty where nothing is."""
    all_ = [f"{folder}/{flaw}" for folder, flaws in damage.items() for flaw in flaws]
    if not all_:
        return ""
    more = f"; and {len(all_) - TOLD} more" if len(all_) > TOLD else ""
    return f"Damaged: {'; '.join(all_[:TOLD])}{more}."


def _settings(info: Mapping[str, Any], path: Path) -> Settings:
    file, version, format_ = path / "run.json", info.get("version"), info.get("format")
    todo = f"open it with the version that wrote it ({version})"
    todo = todo if version else "no version is named that wrote it"
    if format_ != store.FORMAT:
        has = "names no format" if format_ is None else f"has format {format_}"
        raise WorkbenchError(f"The run {path} {has}; this version reads format {store.FORMAT}: {todo}.")
    if lacking := [n for n in ("run_id", "version", "created", "settings", "tasks") if n not in info]:
        raise WorkbenchError(f"{file} lacks {', '.join(lacking)}: restore it, or {todo}.")
    try:
        dict(info["tasks"])
        return Settings.from_json(info["settings"])
    except WorkbenchError as error:
        raise WorkbenchError(f"{file} cannot be read: {str(error).rstrip('.')}: {todo}.") from None
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise WorkbenchError(f"{file} has a wrong value ({error}): restore it, or {todo}.") from None


def _record(folder: Path, schema: Mapping[str, Any], needed: Sequence[str]) -> dict[str, Any]:
    name = "candidate.json"
    found = json_of(folder / name)
    row = {column: found.get(column) for column in schema}
    if wrong := [c for c, kind in schema.items() if not _fits(row[c], kind)]:
        raise WorkbenchError(f"{name} has a wrong value for {wrong[0]}")
    if row["candidate_id"] != folder.name:
        raise WorkbenchError(f"{name} is not of candidate {folder.name}")
    if row["status"] not in ("accepted", "rejected"):
        raise WorkbenchError(f"{name} has no status")
    must = ("generation", *(needed if row["status"] == "accepted" else ()))
    if lacking := [c for c in must if row[c] is None]:
        raise WorkbenchError(f"{name} lacks {lacking[0]}")
    return row


def _fits(value: Any, kind: Any) -> bool:
    if value is None:
        return True
    if isinstance(kind, pl.List):
        return isinstance(value, list) and all(v is not None and _fits(v, kind.inner) for v in value)
    if isinstance(value, bool):
        return kind is pl.Boolean
    if kind in (pl.Int32, pl.Int64) and isinstance(value, int):
        return abs(value) < 2 ** (31 if kind is pl.Int32 else 63)
    return isinstance(value, _KINDS[kind])
