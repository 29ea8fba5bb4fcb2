"""Small drawings of the stepper as SVG: the timeline, the archive grid, the family tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.evolve.damage import DAMAGED
from workbench.show.markup import attr, esc, sent
from workbench.show.reader import Candidate, Reader
from workbench.show.style import LOOKS, REMOVED, share

BLUE = LOOKS["search"].color
WIDTH, HEIGHT, LEFT, RIGHT, ROW = 900, 108, 34, 88, 96


def _x(i: int, n: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * i / max(n - 1, 1)


def _circle(x: float, y: float, r: float) -> str:
    return f"M{x - r:.1f} {y:.1f}a{r:.1f} {r:.1f} 0 1 0 {2 * r:.1f} 0a{r:.1f} {r:.1f} 0 1 0 {-2 * r:.1f} 0"


def _cross(x: float, y: float, r: float) -> str:
    return f"M{x - r:.1f} {y - r:.1f}L{x + r:.1f} {y + r:.1f}M{x - r:.1f} {y + r:.1f}L{x + r:.1f} {y - r:.1f}"


def timeline(reader: Reader) -> str:
    """Draw fitness by candidate with the best so far, people and base, and a row of dots to click.

    Filled: accepted; hollow: rejected; crossed: damaged; ring: new best. Dots of a kind are one path: a page of 500 stays quick.
    """
    found = reader.candidates
    n, end = len(found), WIDTH - RIGHT
    radius = max(1.6, min(5.0, (end - LEFT) / max(n - 1, 1) * 0.36))

    def y(value: float) -> float:
        return 74 - 68 * min(1.0, max(0.0, value))

    parts = [
        f'<line x1="{LEFT}" x2="{end}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="currentColor" opacity=".15"/>'
        f'<text x="{LEFT - 5}" y="{y(v) + 3:.1f}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.5, 1)
    ]
    labels = []
    for condition, dash in (("humans", ""), ("base", "4 3")):
        if level := reader.references.get((condition, "rank")):
            at, look = y(level[0]), LOOKS[condition]
            labels.append((at, look.name))
            parts.append(
                f'<line x1="{LEFT}" x2="{end}" y1="{at:.1f}" y2="{at:.1f}" stroke="{look.color}" '
                f'stroke-dasharray="{dash}" stroke-width="1.5"/>'
            )
    best, points, rings, targets = "", "", "", []
    dots = {"accepted": "", "rejected": "", DAMAGED: ""}
    for i, c in enumerate(found):
        x, good = _x(i, n), c["status"] == "accepted"
        if c["new_best"]:
            best += f"{'H' if best else 'M'}{x:.1f}{'V' if best else ' '}{y(c['rank']):.1f}"
            rings += _circle(x, ROW, radius + 2.6)
        if c["rank"] is not None:
            points += _circle(x, y(c["rank"]), 2.2)
        dots[c["status"]] += (_cross if c["status"] == DAMAGED else _circle)(x, ROW, radius)
        what = f"fitness {share(c['rank'])}" if good else c["status"]
        tip = attr(f"{c['candidate_id']}: {what}{', new best' if c['new_best'] else ''}")
        targets.append(
            f'<rect data-go="c:{sent(c["candidate_id"])}" x="{x - radius - 2:.1f}" y="{ROW - 9}" width="{2 * radius + 4:.1f}" '
            f'height="18" fill="transparent"><title>{tip}</title></rect>'
        )
    parts += [
        f'<path d="{points}" fill="{BLUE}" opacity=".85"/><path d="{dots["accepted"]}" fill="{BLUE}"/>',
        f'<path d="{dots[DAMAGED]}" stroke="{REMOVED}" stroke-width="1.8"/>',
        f'<path d="{dots["rejected"]}" fill="none" stroke="{BLUE}" stroke-width="1.2"/><path d="{rings}" fill="none" stroke="{BLUE}" stroke-width="1.4"/>',
    ]
    if leader := reader.best:
        labels.append((y(leader["rank"]), f"best {share(leader['rank'])}"))
        parts.append(f'<path d="{best}H{end}" fill="none" stroke="{BLUE}" stroke-width="2"/>')
    parts += [f'<text x="{end + 4}" y="{at + 3:.1f}">{esc(text)}</text>' for at, text in _apart(labels)]
    label = f"Fitness of {n} candidates. {takeaway(reader)}"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{attr(label)}">{"".join(parts)}{"".join(targets)}</svg>'


def marker(at: int, n: int) -> str:
    """Draw the bar that marks the candidate shown, to be laid over the timeline."""
    bar = f'<rect x="{_x(at, n) - 7:.1f}" y="2" width="14" height="{HEIGHT - 4}" rx="3" fill="#56B4E9" opacity=".35"/>'
    return f'<svg class="marker" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{bar}</svg>'


def takeaway(reader: Reader) -> str:
    """Say in a line how far the search came."""
    good = [c for c in reader.candidates if c["status"] == "accepted"]
    if not good:
        n, lost = len(reader.candidates), sum(c["status"] == DAMAGED for c in reader.candidates)
        if not lost:
            return f"All {n} candidates were rejected: there is no score to show yet."
        return f"None of {n} candidates has scores: {lost} damaged, {n - lost} rejected."
    best = [c for c in good if c["new_best"]] or good[:1]
    text = f"Best fitness {share(good[0]['rank'])} → {share(best[-1]['rank'])}, {len(best) - 1} improvement{'' if len(best) == 2 else 's'} in {len(reader.candidates) - 1} candidates"
    levels = [
        f"{LOOKS[c].name} {share(found[0])}"
        for c in ("base", "humans")
        if (found := reader.references.get((c, "rank")))
    ]
    return "; ".join([text, *levels]) + "."


def _apart(labels: list[tuple[float, str]], gap: float = 11) -> list[tuple[float, str]]:
    """Move labels down where they would overlap."""
    out: list[tuple[float, str]] = []
    for level, text in sorted(labels):
        out.append((max(level, out[-1][0] + gap) if out else level, text))
    return out


def grid(
    occupants: Mapping[tuple[int, ...], list[Candidate]], chosen: str, path: Sequence[tuple[int, ...]]
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
            tip = attr(
                f"{best['candidate_id']}: fitness {share(best['rank'])}; {len(members)} arrived in this cell"
            )
            stroke = (
                'stroke="#D55E00" stroke-width="3"' if mark else 'stroke="currentColor" stroke-opacity=".5"'
            )
            parts.append(
                f'<g data-go="c:{sent(best["candidate_id"])}" tabindex="0" role="button"><title>{tip}</title>'
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
    parts += [
        f'<text x="{left + v * size}" y="{top + side + 14}" text-anchor="middle">{v / 10:g}</text>'
        f'<text x="{left - 6}" y="{top + side - v * size + 3}" text-anchor="end">{v / 10:g}</text>'
        for v in range(0, 11, 2)
    ] + [
        f'<text x="{left + side / 2}" y="{top + side + 30}" text-anchor="middle">human-likeness</text>'
        f'<text transform="translate(12 {top + side / 2}) rotate(-90)" text-anchor="middle">coverage</text>'
    ]
    wide, high = left + side + 10, top + side + 38
    return f'<svg class="cellgrid" width="{wide}" viewBox="0 0 {wide} {high}" role="group" aria-label="Archive">{"".join(parts)}</svg>'


def tree(reader: Reader, chosen: str, best: str | None) -> str:
    """Draw the whole family: generations left to right, a row a branch; the winning line is thick."""
    row_of: dict[str, int] = {}
    stack = [(c["candidate_id"], -1) for c in reversed(reader.candidates) if c["parent"] not in reader.at]
    rows = 0
    while stack:  # depth first, the first child on its parent's row
        node, row = stack.pop()
        rows += row < 0
        row_of[node] = row if row >= 0 else rows - 1
        children = reader.children.get(node, [])
        stack += [(c, -1) for c in reversed(children[1:])] + [(c, row_of[node]) for c in children[:1]]
    winning, mine = set(reader.ancestors(best)) if best else set(), set(reader.ancestors(chosen))
    when, last = {}, 0
    for c in reader.candidates:  # a damaged one stands where the one before it does
        at = when[c["candidate_id"]] = last if c["generation"] is None else c["generation"]
        last = max(last, at)
    dx, dy = max(14.0, min(60.0, 800 / max(last, 1))), 22
    ways, marks = {"other": "", "winning": "", "mine": ""}, []
    for node, row in row_of.items():
        c = reader.get(node)
        x, y = 20 + dx * when[node], 14 + dy * row
        if c["parent"] in row_of:
            px, py = 20 + dx * when[c["parent"]], 14 + dy * row_of[c["parent"]]
            kind = "mine" if node in mine else "winning" if node in winning else "other"
            ways[kind] += f"M{px:.0f} {py}C{(px + x) / 2:.0f} {py} {(px + x) / 2:.0f} {y} {x:.0f} {y}"
        good = c["status"] == "accepted"
        tip = f"{node}: "
        tip += f"fitness {share(c['rank'])}" if good else f"{c['status']}: {str(c['reason'])[:120]}"
        dash = ' stroke-dasharray="2 2"' if c["status"] == DAMAGED else ""
        halo = f'<circle cx="{x:.0f}" cy="{y}" r="9" fill="#56B4E9" opacity=".5"/>' if node == chosen else ""
        marks.append(
            f'{halo}<circle data-go="c:{sent(node)}" tabindex="0" role="button" aria-label="{attr(tip)}" cx="{x:.0f}" cy="{y}" r="{6 if c["new_best"] else 4.5}" '
            f'fill="{BLUE if good else "var(--wb-page)"}" stroke="{BLUE}" stroke-width="{3 if c["new_best"] else 1.5}"{dash}><title>{attr(tip)}</title></circle>'
        )
    looks = {"other": 'stroke="currentColor" opacity=".4"', "winning": f'stroke="{BLUE}" stroke-width="3"'}
    looks["mine"] = f'stroke="{REMOVED}" stroke-width="2"'
    lines = "".join(f'<path d="{d}" fill="none" {looks[kind]}/>' for kind, d in ways.items() if d)
    wide, high = 40 + dx * last, 28 + dy * rows
    return f'<svg width="{wide:.0f}" height="{high}" style="max-width:none" role="group" aria-label="Family tree">{lines}{"".join(marks)}</svg>'
