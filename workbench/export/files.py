"""What an export wrote, and how files are put in place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


def put(path: Path, text: str) -> Path:
    """Write a text so that a reader sees the old file or the new one, never a part.

    Raises
    ------
    WorkbenchError
        When the place cannot be written.
    """
    part = path.with_name(f".tmp-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise WorkbenchError(f"{path} is a folder; name a file to write.")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise WorkbenchError(f"{path} cannot be written: {error.strerror or error}.") from None
    return path


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
