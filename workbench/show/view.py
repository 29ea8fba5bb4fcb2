"""The one widget of the views: it shows escaped HTML and passes clicks, keys and fields back to Python."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.errors import WorkbenchError
from workbench.show.markup import esc

_HERE = Path(__file__).parent


class View(anywidget.AnyWidget):
    """Parts of a page as HTML; each is redrawn only when it changes.

    Whatever is assigned to a part must be escaped (``markup.esc``). An element with ``data-go`` sends
    its value to ``on_go`` when it is clicked, or changed; so do the keys that ``view.js`` lists.
    """

    _esm = (_HERE / "view.js").read_text()
    _css = (_HERE / "view.css").read_text()
    label = traitlets.Unicode("").tag(sync=True)
    top = traitlets.Unicode("").tag(sync=True)
    bar = traitlets.Unicode("").tag(sync=True)
    card = traitlets.Unicode("").tag(sync=True)
    tabs = traitlets.Unicode("").tag(sync=True)
    body = traitlets.Unicode("").tag(sync=True)
    live = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)

    def __init__(self, on_go: Callable[[str, dict[str, Any]], None], **parts: str) -> None:
        super().__init__(**parts)
        self._on_go = on_go
        self.on_msg(self._receive)

    def _receive(self, _: Any, content: Any, __: Any = None) -> None:
        """Act on what the page sent; an error becomes the note, because nothing else would show it."""
        if not isinstance(content, dict) or not isinstance(content.get("go"), str):
            return
        self.note = ""
        self.guard(lambda: self._on_go(content["go"], dict(content.get("fields") or {})))

    def guard(self, act: Callable[[], None]) -> None:
        """Do something and show the error it raises, if it does."""
        try:
            act()
        except Exception as error:
            self.show_error(error)

    def show_error(self, error: BaseException) -> None:
        """Show an error: ours in its sentence, others with their traceback folded."""
        if isinstance(error, WorkbenchError):
            self.note = f'<div class="error" role="alert">{esc(error)}</div>'
            return
        trace = esc("".join(traceback.format_exception(error)))
        what = esc(f"{type(error).__name__}: {error}")
        self.note = (
            f'<div class="error" role="alert"><details><summary>{what}</summary>'
            f'<pre class="box">{trace}</pre></details></div>'
        )
