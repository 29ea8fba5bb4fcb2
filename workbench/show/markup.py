"""HTML from values: everything is escaped here, and what would hide or turn text is made visible."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence

LIMIT = 20_000  # characters of one text that are shown

# Control characters, ANSI escapes, zero-width characters and bidirectional marks would hide or reorder text.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def esc(value: object, limit: int = LIMIT) -> str:
    """Return a text as HTML that shows exactly that text, cut after ``limit`` characters with a word on it."""
    text = str(value)
    more = f' <span class="ctl">cut: {len(text):,} characters in all</span>' if len(text) > limit else ""
    return _HIDDEN.sub(_visible, html.escape(text[:limit], quote=True)) + more


def attr(value: object) -> str:
    """Return a text as the value of an attribute that people read or hear, such as a title: no elements in it."""
    return html.escape(_HIDDEN.sub(lambda match: f"[{_name(match)}]", str(value)[:LIMIT]), quote=True)


def sent(value: object) -> str:
    """Return a text as the value of an attribute that comes back unchanged, such as ``data-go``."""
    return html.escape(str(value), quote=True)


def _visible(match: re.Match[str]) -> str:
    return f'<span class="ctl">{_name(match)}</span>'


def _name(match: re.Match[str]) -> str:
    code = ord(match[0])
    return {27: "ESC", 13: "CR"}.get(code, f"U+{code:04X}")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = (), css: str = ""
) -> str:
    """Return a table of cells that are HTML already; ``numbers`` are the columns set flush right."""
    flush = set(numbers)

    def cell(tag: str, i: int, text: str) -> str:
        return f'<{tag} class="n">{text}</{tag}>' if i in flush else f"<{tag}>{text}</{tag}>"

    top = "".join(cell("th", i, esc(h)) for i, h in enumerate(heads))
    body = "".join("<tr>" + "".join(cell("td", i, c) for i, c in enumerate(row)) + "</tr>" for row in rows)
    return f'<table class="{css}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def button(go: str, text: str, title: str = "", *, disabled: bool = False) -> str:
    """Return a button that sends ``go``; ``text`` is HTML."""
    off = ' aria-disabled="true"' if disabled else ""
    tip = f' title="{attr(title)}" aria-label="{attr(title)}"' if title else ""
    return f'<button type="button" data-go="{sent(go)}"{tip}{off}>{text}</button>'


def link(go: str, text: object) -> str:
    """Return a text that sends ``go`` when clicked; reachable by Tab."""
    return f'<a data-go="{sent(go)}" tabindex="0" role="button">{esc(text)}</a>'


def empty(sentence: str) -> str:
    """Say in words that there is nothing, and why."""
    return f'<p class="dim">{esc(sentence)}</p>'


def select(name: str, options: Mapping[str, str], now: str, go: str = "") -> str:
    """Return a drop-down that sends ``go``, or its name, when changed; ``options`` maps values to what is shown."""
    items = "".join(
        f'<option value="{sent(value)}"{" selected" if value == now else ""}>{esc(text)}</option>'
        for value, text in options.items()
    )
    return (
        f'<select name="{sent(name)}" data-go="{sent(go or name)}" aria-label="{attr(name)}">{items}</select>'
    )


def check(name: str, go: str, label: str, *, on: bool) -> str:
    """Return a checkbox that sends ``go`` when changed; ``label`` is HTML."""
    return f'<label><input type="checkbox" name="{sent(name)}" data-go="{sent(go)}"{" checked" if on else ""}> {label}</label>'


def tabs(verb: str, options: Mapping[str, str], now: str, label: str) -> str:
    """Return a row of tabs that send ``verb:name``; those of the verb ``tab`` have their numbers as keys."""
    items = "".join(
        f'<button type="button" role="tab" data-go="{verb}:{name}" aria-selected="{str(name == now).lower()}" '
        f'title="{attr(text)}{f" ({i})" if verb == "tab" else ""}">{esc(text)}</button>'
        for i, (name, text) in enumerate(options.items(), 1)
    )
    return f'<nav role="tablist" aria-label="{attr(label)}">{items}</nav>'


def code(*lines: str) -> str:
    """Offer the code of the frame behind a chart: folded, with a button that copies it."""
    text = esc("\n".join(lines))
    return (
        f'<details class="code"><summary>The code for these numbers</summary><pre class="box">{text}</pre>'
        '<button type="button" data-copy="">Copy</button></details>'
    )
