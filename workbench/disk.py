"""Writing so that a full disk or a read-only folder gives a sentence, and nobody sees half a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.errors import WorkbenchError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write inside the block into a sentence.

    Raises
    ------
    WorkbenchError
        Naming the place, the system's reason, and what to do.
    """
    import polars as pl

    try:
        yield
    except (OSError, sqlite3.Error, pl.exceptions.ComputeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WorkbenchError(
            f"{path} cannot be written ({why}). What was finished before is kept and can be read; "
            "free some space or make the folder writable, then go on with the run."
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a file to fill; it takes the place of ``path`` by one rename when the block ends without error."""
    target = path.resolve()  # a link stays a link
    part = target.with_name(f".tmp-{target.name}")
    try:
        yield part
        part.replace(target)
    finally:
        with suppress(OSError):
            part.unlink()
