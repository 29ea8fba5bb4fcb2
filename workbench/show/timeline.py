"""Small drawings of the stepper as SVG: the timeline, the archive grid, the family tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.show.markup import esc
from workbench.show.reader import Reader
from workbench.show.style import LOOKS, share

BLUE, GREEN, GRAY = LOOKS["search"].color, LOOKS["humans"].color, LOOKS["base"].color
WIDTH, HEIGHT, LEFT, RIGHT, ROW = 900, 108, 34, 88, 96


def timeline(reader: Reader, at: int) -> str:
    """Draw fitness by candidate with the best so far, people and base, and a row of dots to click.

    Filled: accepted; hollow: rejected; ring: new best; the bar marks the candidate shown.
    """
    found = reader.candidates
    n = len(found)
    if not n:
        return ""
    inner = WIDTH - LEFT - RIGHT
    step = inner / max(n - 1, 1) if n > 1 else 0

    def x(i: int) -> float:
        return LEFT + step * i

    def y(value: float) -> float:
        return 74 - 68 * min(1.0, max(0.0, value))

    parts = [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="currentColor" opacity=".15"/>'
        f'<text x="{LEFT - 5}" y="{y(v) + 3:.1f}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.5, 1)
    ]
    end, labels = WIDTH - RIGHT, []
    for condition, color, dash in (("humans", GREEN, ""), ("base", GRAY, "4 3")):
        if found_at := reader.references.get((condition, "rank")):
            level = y(found_at[0])
            labels.append((level, LOOKS[condition].name))
            parts.append(
                f'<line x1="{LEFT}" x2="{end}" y1="{level:.1f}" y2="{level:.1f}" stroke="{color}" '
                f'stroke-dasharray="{dash}" stroke-width="1.5"/>'
            )
    line, best = "", 0.0
    for i, c in enumerate(found):
        if c["new_best"]:
            line += f"H{x(i):.1f}V{y(c['rank']):.1f}" if line else f"M{x(i):.1f} {y(c['rank']):.1f}"
            best = c["rank"]
        if c["rank"] is not None:
            parts.append(
                f'<circle cx="{x(i):.1f}" cy="{y(c["rank"]):.1f}" r="2.2" fill="{BLUE}" opacity=".85"/>'
            )
    if line:
        parts.append(f'<path d="{line}H{end}" fill="none" stroke="{BLUE}" stroke-width="2"/>')
        labels.append((y(best), f"best {share(best)}"))
    parts += [f'<text x="{end + 4}" y="{at_y + 3:.1f}">{esc(text)}</text>' for at_y, text in _apart(labels)]
    radius = max(1.6, min(5.0, step * 0.36 if step else 5.0))
    parts.append(
        f'<rect x="{x(at) - max(radius + 3, 3):.1f}" y="2" width="{2 * max(radius + 3, 3):.1f}" height="{HEIGHT - 4}" '
        f'rx="3" fill="#56B4E9" opacity=".3"/>'
    )
    parts += [_dot(c, x(i), radius, chosen=i == at) for i, c in enumerate(found)]
    label = f"Fitness of {n} candidates; the one shown is {found[at]['candidate_id']}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{esc(label)}">{"".join(parts)}</svg>'
    )


def _apart(labels: list[tuple[float, str]], gap: float = 11) -> list[tuple[float, str]]:
    """Move labels down where they would overlap."""
    out: list[tuple[float, str]] = []
    for level, text in sorted(labels):
        out.append((max(level, out[-1][0] + gap) if out else level, text))
    return out


def _dot(c: dict[str, Any], x: float, radius: float, *, chosen: bool) -> str:
    accepted = c["status"] == "accepted"
    fill = f'fill="{BLUE}"' if accepted else 'fill="transparent"'
    what = f"fitness {share(c['rank'])}" if accepted else "rejected"
    star = ", new best" if c["new_best"] else ""
    ring = (
        f'<circle cx="{x:.1f}" cy="{ROW}" r="{radius + 2.6:.1f}" fill="none" stroke="{BLUE}" stroke-width="1.4"/>'
        if c["new_best"]
        else ""
    )
    tip = esc(f"{c['candidate_id']}: {what}{star}")
    return (
        f'<g data-go="c:{esc(c["candidate_id"])}"><title>{tip}</title>{ring}'
        f'<circle cx="{x:.1f}" cy="{ROW}" r="{radius:.1f}" {fill} stroke="{BLUE}" stroke-width="{2 if chosen else 1.2}"/>'
        f'<rect x="{x - radius - 2:.1f}" y="{ROW - 9}" width="{2 * radius + 4:.1f}" height="18" fill="transparent"/></g>'
    )


def grid(
    occupants: dict[tuple[int, int], list[dict[str, Any]]], chosen: str, path: Sequence[tuple[int, int]]
) -> str:
    """Draw the archive: human-likeness × coverage in 10 × 10 cells, the path that a lineage took over it."""
    size, left, top = 36, 46, 10
    side = 10 * size
    parts = []
    for i in range(10):
        for j in range(10):
            members = occupants.get((i, j), [])
            x, y = left + i * size, top + side - (j + 1) * size
            if not members:
                parts.append(
                    f'<rect x="{x}" y="{y}" width="{size}" height="{size}" fill="none" stroke="currentColor" opacity=".18"/>'
                )
                continue
            best = members[0]
            mark = any(m["candidate_id"] == chosen for m in members)
            tip = esc(
                f"{best['candidate_id']}: fitness {share(best['rank'])}; {len(members)} arrived in this cell"
            )
            stroke = (
                'stroke="#D55E00" stroke-width="3"' if mark else 'stroke="currentColor" stroke-opacity=".5"'
            )
            parts.append(
                f'<g data-go="c:{esc(best["candidate_id"])}" tabindex="0" role="button"><title>{tip}</title>'
                f'<rect x="{x + 1}" y="{y + 1}" width="{size - 2}" height="{size - 2}" fill="{BLUE}" '
                f'fill-opacity="{0.1 + 0.6 * best["rank"]:.2f}" {stroke}/>'
                f'<text x="{x + size / 2}" y="{y + size / 2 + 4}" text-anchor="middle">{share(best["rank"])}</text></g>'
            )
    centers = [(left + (i + 0.5) * size, top + side - (j + 0.5) * size) for i, j in path]
    if len(centers) > 1:
        points = " ".join(f"{x:.0f},{y - 12:.0f}" for x, y in centers)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="#D55E00" stroke-width="1.5" stroke-dasharray="3 2"/>'
        )
    for v in range(0, 11, 2):
        parts.append(
            f'<text x="{left + v * size}" y="{top + side + 14}" text-anchor="middle">{v / 10:g}</text>'
        )
        parts.append(
            f'<text x="{left - 6}" y="{top + side - v * size + 3}" text-anchor="end">{v / 10:g}</text>'
        )
    parts.append(
        f'<text x="{left + side / 2}" y="{top + side + 30}" text-anchor="middle">human-likeness</text>'
    )
    parts.append(
        f'<text transform="translate(12 {top + side / 2}) rotate(-90)" text-anchor="middle">coverage</text>'
    )
    wide, high = left + side + 10, top + side + 38
    return f'<svg class="cellgrid" width="{wide}" viewBox="0 0 {wide} {high}" role="group" aria-label="Archive">{"".join(parts)}</svg>'


def tree(reader: Reader, chosen: str, best: str | None) -> str:
    """Draw the whole family: generations left to right, a row a branch; the winning line is thick."""
    row_of: dict[str, int] = {}
    order: list[str] = []

    def place(candidate_id: str) -> None:  # depth first, the first child on its parent's row
        stack = [(candidate_id, -1)]
        while stack:
            node, row = stack.pop()
            row_of[node] = row if row >= 0 else len(set(row_of.values()))
            order.append(node)
            children = reader.children.get(node, [])
            stack += [(c, -1) for c in reversed(children[1:])] + [(c, row_of[node]) for c in children[:1]]

    for c in reader.candidates:
        if not c["parent"] or c["parent"] not in reader.at:
            place(c["candidate_id"])
    winning = set(reader.ancestors(best)) if best else set()
    mine = set(reader.ancestors(chosen))
    last = max((c["generation"] for c in reader.candidates), default=0)
    dx, dy = max(14.0, min(60.0, 800 / max(last, 1))), 22

    def at(candidate_id: str) -> tuple[float, float]:
        return 20 + dx * reader.get(candidate_id)["generation"], 14 + dy * row_of[candidate_id]

    parts = []
    for node in order:
        c = reader.get(node)
        x, y = at(node)
        if c["parent"] in row_of:
            px, py = at(c["parent"])
            width = 3 if node in winning else 1.2
            color = "#D55E00" if node in mine else BLUE if node in winning else "currentColor"
            parts.append(
                f'<path d="M{px:.0f} {py}C{(px + x) / 2:.0f} {py} {(px + x) / 2:.0f} {y} {x:.0f} {y}" fill="none" '
                f'stroke="{color}" stroke-width="{width}" opacity="{1 if node in winning | mine else 0.4}"/>'
            )
    for node in order:
        c = reader.get(node)
        x, y = at(node)
        accepted = c["status"] == "accepted"
        fill = BLUE if accepted else "var(--wb-page)"
        tip = f"{node}: " + (
            f"fitness {share(c['rank'])}" if accepted else f"rejected: {str(c['reason'])[:120]}"
        )
        ring = f'<circle cx="{x:.0f}" cy="{y}" r="8" fill="none" stroke="{BLUE}"/>' if c["new_best"] else ""
        halo = f'<circle cx="{x:.0f}" cy="{y}" r="9" fill="#56B4E9" opacity=".5"/>' if node == chosen else ""
        parts.append(
            f'<g data-go="c:{esc(node)}" tabindex="0" role="button"><title>{esc(tip)}</title>{halo}{ring}'
            f'<circle cx="{x:.0f}" cy="{y}" r="5" fill="{fill}" stroke="{BLUE}" stroke-width="1.5"/></g>'
        )
    wide = 40 + dx * last
    high = 28 + dy * max(row_of.values(), default=0)
    return f'<svg width="{wide:.0f}" height="{high}" style="max-width:none" role="group" aria-label="Family tree">{"".join(parts)}</svg>'
