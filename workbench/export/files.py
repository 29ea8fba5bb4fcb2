"""What an export wrote, and how files are put in place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.disk import replacing
from workbench.errors import WorkbenchError


@dataclass
class Written:
    """Files, how many records they hold, and what else there is to say; ``str()`` gives it as lines."""

    files: list[Path]
    records: int
    what: str
    notes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [f"{self.records:,} {self.what} → {', '.join(map(str, self.files))}"]
        lines += [f"  {n:>6,} {name}" for name, n in sorted(self.counts.items())]
        return "\n".join(lines + [f"  {note}" for note in self.notes])


def put(files: Mapping[Path, str]) -> list[Path]:
    """Write texts so that a reader sees the old files or the new ones, never a part; all of them or none.

    Raises
    ------
    WorkbenchError
        When a place cannot be written, or is no place for a file: a folder, a pipe, a device.
    """
    path = Path()
    try:
        with ExitStack() as together:
            for path, text in files.items():
                if path.exists() and not path.is_file():
                    kind = "folder" if path.is_dir() else "pipe or device"
                    raise WorkbenchError(f"'{path}' is a {kind}; name a file to write.")
                path.resolve().parent.mkdir(parents=True, exist_ok=True)
                together.enter_context(replacing(path)).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:  # half a surrogate pair is a ValueError
        raise WorkbenchError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}."
        ) from None
    return list(files)


def lines(records: Iterable[Any]) -> str:
    """Write records as JSON lines; a line separator inside a text is escaped, so that every reader sees one line."""
    return "".join(f"{_escaped(json.dumps(record, ensure_ascii=False))}\n" for record in records)


def document(data: Any) -> str:
    """Write JSON for people to read."""
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def _escaped(text: str) -> str:
    for mark in ("\u2028", "\u2029", "\x85"):
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
