"""JSON text walked piece by piece, so that a file may be larger than memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

CHUNK = 1 << 20  # characters read at once
LONGEST = 1 << 25  # characters of one value that is taken into memory
_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class DamageError(ValueError):
    """The text is not JSON, or ends too early; says what and why."""


class Walk:
    """A place in JSON text: look at what comes next, take it whole, or walk into it.

    Examples
    --------
    >>> import io
    >>> walk = Walk(io.StringIO('{"about": 1, "rows": [2, 3]}'))
    >>> [list(walk.elements()) if key == "rows" else walk.value() for key in walk.fields()]
    [1, [2, 3]]
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text, self._at = "", 0

    def _more(self) -> bool:
        """Read on: as much again as is pending, so that a long value is not decoded too often."""
        chunk = self._stream.read(max(CHUNK, len(self._text) - self._at))
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)

    def peek(self) -> str:
        """Return the next character that is not blank, or "" at the end."""
        while True:
            self._at = _BLANK.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def value(self) -> Any:
        """Take the next value whole.

        Raises
        ------
        DamageError
            It is no JSON, cut off, nested too deeply, or longer than :data:`LONGEST`.
        """
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
                if end + 3 > len(self._text):  # a number may go on in the next chunk, as in 1e+3
                    end -= self._at
                    if self._more():
                        continue
                self._at = end
                return found
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - 12
                if not cut:
                    raise DamageError(f"is not JSON ({error.msg})") from None
                if len(self._text) - self._at > LONGEST:
                    raise DamageError(f"is longer than {LONGEST:,} characters") from None
                if not self._more():
                    raise DamageError(
                        "is cut off" if self._text.strip() else "is missing: the file is cut off"
                    ) from None
            except (ValueError, RecursionError) as error:
                raise DamageError(f"cannot be parsed ({type(error).__name__})") from None

    def elements(self) -> Iterator[Any]:
        """Take the values of the array that comes next, one by one."""
        for _ in self._parts("[", "]"):
            yield self.value()

    def fields(self) -> Iterator[str]:
        """Walk the object that comes next: after each key its value must be taken."""
        for _ in self._parts("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise DamageError("is not JSON (a key is no string)")
            self._take(":")
            yield key

    def _parts(self, first: str, last: str) -> Iterator[None]:
        self._take(first)
        if self.peek() == last:
            self._take(last)
            return
        while True:
            yield
            if self.peek() != ",":
                break
            self._take(",")
        self._take(last)

    def _take(self, wanted: str) -> None:
        found = self.peek()
        if not found:
            raise DamageError("is missing: the file is cut off")
        if found != wanted:
            raise DamageError(f"is not followed by {wanted!r} but by {found!r}")
        self._at += 1
