"""A page that stands by itself: tables, figures and programs in one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.show.markup import esc

Section = tuple[str, str, Sequence[str]]
"""Heading, a sentence of plain text, and blocks that are HTML already."""

CSS = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --dim: color-mix(in srgb, CanvasText 65%, Canvas); }
body { font: 15px/1.5 system-ui, "Liberation Sans", sans-serif; color: CanvasText; background: Canvas;
  max-width: 1080px; margin: 0 auto; padding: 24px 20px 80px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 8px; } h2 { font-size: 20px; margin: 48px 0 8px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 10px 0; border-bottom: 1px solid var(--line); }
a { color: inherit; } .dim, figcaption { color: var(--dim); } figcaption { font-size: 13px; max-width: 80ch; }
figure { margin: 20px 0 32px; } figure svg { display: block; max-width: 100%; height: auto; overflow: visible; margin-left: 24px; margin-bottom: 6px; }
.wide { overflow-x: auto; margin-bottom: 6px; } table { border-collapse: collapse; font-size: 13px; }
thead { border-top: 2px solid; border-bottom: 1px solid; } tbody { border-bottom: 2px solid; }
th, td { padding: 3px 10px 3px 0; text-align: left; vertical-align: top; } th { font-weight: 600; } td { white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
.group th { font-style: italic; font-weight: 400; padding-top: 10px; }
.warn { border-left: 4px solid #E69F00; padding: 6px 12px; background: var(--soft); }
pre { font: 12px/1.45 ui-monospace, "Liberation Mono", monospace; background: var(--soft); padding: 10px;
  overflow-x: auto; max-height: 480px; white-space: pre-wrap; overflow-wrap: anywhere; }
ins { color: inherit; text-decoration: none; background: #0072b233; } del { color: inherit; text-decoration: none; background: #d55e0033; }
details { border-bottom: 1px solid var(--line); padding: 4px 0; } summary { cursor: pointer; }
.said { margin: 6px 0 6px 0; white-space: pre-wrap; overflow-wrap: anywhere; } .said b { display: inline-block; min-width: 5em; }
.ctl { border: 1px solid var(--line); border-radius: 3px; font-size: 0.8em; padding: 0 2px; }
@media print { nav { display: none; } pre { max-height: none; } figure, tr { break-inside: avoid; } }
"""


def page(title: str, lead: Iterable[str], sections: Iterable[Section]) -> str:
    """Return a whole HTML page: no script, no outside address; a policy in it forbids both.

    Parameters
    ----------
    title
        Plain text.
    lead
        Paragraphs as HTML.
    sections
        What follows, with a table of contents before it.
    """
    parts = list(sections)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    links = "".join(f'<a href="#part-{i}">{esc(head)}</a>' for i, (head, _, _) in enumerate(parts))
    body = "".join(
        f'<section><h2 id="part-{i}">{esc(head)}</h2>{f"<p>{esc(text)}</p>" if text else ""}{"".join(blocks)}</section>'
        for i, (head, text, blocks) in enumerate(parts)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{esc(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{CSS}</style></head>'
        f"<body><h1>{esc(title)}</h1>{''.join(f'<p>{p}</p>' for p in lead)}<nav>{links}</nav>{body}</body></html>\n"
    )


def diff(text: str) -> str:
    """Return a unified diff as HTML: added and removed lines are marked by sign and ground."""
    tags = {"+": "ins", "-": "del"}
    lines = []
    for line in text.splitlines():
        tag = None if line.startswith(("+++", "---")) else tags.get(line[:1])
        lines.append(f"<{tag}>{esc(line)}</{tag}>" if tag else esc(line))
    return f"<pre>{chr(10).join(lines)}</pre>"


def dialogue(turns: Iterable[tuple[str, str]], heading: str) -> str:
    """Return a conversation, folded under its heading: (role, content) pairs."""
    said = "".join(f'<p class="said"><b>{esc(role)}</b> {esc(content)}</p>' for role, content in turns)
    return f"<details><summary>{esc(heading)}</summary>{said}</details>"
