"""Every generation's change on one page: filtered, ordered, with what it did; the winning line; what was in vain."""

from __future__ import annotations

from typing import Any

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.show.changes import PARTS, TERMS, by_part, changes, gains, matching, repeated
from workbench.show.diff import diff_html
from workbench.show.markup import button, check, code, empty, esc, select, table, tabs
from workbench.show.people_tabs import headline
from workbench.show.reader import Reader, nothing_yet
from workbench.show.style import change
from workbench.show.tables import provenance
from workbench.show.view import View

PAGE = 20
_STATUS = {"all": "all", "accepted": "accepted", "best": "new bests", "rejected": "rejected"}
_ORDER = {"time": "in time", "gain": "largest gain first", "loss": "largest loss first"}
_PAGES = {
    "all": ("Every change", "changes.changes(run)"),
    "line": ("The winning line", "changes.changes(run).filter(new_best=True)"),
    "vain": ("Tried again and again", "changes.repeated(run)"),
    "parts": ("By part", "changes.by_part(changes.changes(run))"),
}


class Diffs(View):
    """The changes of a run; made by :func:`diffs`."""

    def __init__(self, run: Run) -> None:
        self.reader = Reader(run)
        self.frame = changes(self.reader)
        self.choice: dict[str, Any] = {"parts": list(PARTS), "status": "all", "order": "time"}
        self.page, self.first = "all", 0
        super().__init__(self._act, label=f"Changes of run {run.run_id}")
        self._draw()

    def _act(self, go: str, fields: dict[str, Any]) -> None:
        verb, _, what = go.partition(":")
        if verb == "page":
            self.page = what
        elif verb == "filter":
            self.choice["parts"] = [p for p in PARTS if fields.get(f"part-{p}")]
            self.choice["status"], self.choice["order"] = str(fields["status"]), str(fields["order"])
            self.first = 0
        elif verb == "more":
            self.first = int(what)
        else:
            return
        self._draw()

    def _draw(self) -> None:
        drawn = {"all": self._all, "line": self._line, "vain": self._vain, "parts": self._parts}[self.page]()
        with self.hold_sync():
            self.top = self._head()
            self.body = drawn + code("from workbench.show import changes", _PAGES[self.page][1])

    def _head(self) -> str:
        gained = self.frame.filter(pl.col("rank") > 0).height
        said = f"{len(self.frame)} changes, {gained} raised fitness, {self.frame['new_best'].sum()} were a new best."
        head = f'<div class="bar"><b>{esc(provenance(self.reader.run))}</b></div><p>{esc(said)}</p>'
        if self.reader.damage:
            head += f'<p class="dim">{esc(self.reader.damage)} What cannot be read is left out.</p>'
        return head + tabs(
            "page", {k: name for k, (name, _) in _PAGES.items()}, self.page, "views of the changes"
        )

    def _all(self) -> str:
        boxes = "".join(check(f"part-{p}", "filter", p, on=p in self.choice["parts"]) for p in PARTS)
        picks = "".join(
            select(name, options, self.choice[name], go="filter")
            for name, options in (("status", _STATUS), ("order", _ORDER))
        )
        ids = matching(self.frame, self.choice)
        shown = ids[self.first : self.first + PAGE]
        bar = f'<div class="bar">{boxes}{picks}<span class="dim">{len(ids)} of {len(self.frame)} changes</span></div>'
        nothing = "No change passes this filter." if len(self.frame) else nothing_yet(self.reader)
        cards = "".join(self._card(c) for c in shown) or empty(nothing)
        turn = ""
        if len(ids) > PAGE:
            turn = (
                f'<div class="bar">{button(f"more:{max(self.first - PAGE, 0)}", "◀ earlier", disabled=not self.first)}'
                f"<span>{self.first + 1}–{self.first + len(shown)}</span>"
                f"{button(f'more:{self.first + PAGE}', 'later ▶', disabled=self.first + PAGE >= len(ids))}</div>"
            )
        return bar + cards + turn

    def _card(self, candidate_id: str) -> str:
        c, parent = self.reader.get(candidate_id), self.reader.get(candidate_id)["parent"]
        row = self.frame.row(by_predicate=pl.col("candidate_id") == candidate_id, named=True)
        parts = "".join(f'<span class="tag">{p}</span> ' for p in row["parts"])
        if c["status"] == "accepted":
            did = f"fitness {change(row['rank'])} · HL {change(row['human_likeness'])} · coverage {change(row['coverage'])}"
        else:
            did = f'<span class="tag bad">{esc(c["status"])}</span> {esc(c["reason"], 300)}'
        star = " ★" if c["new_best"] else ""
        if self.reader.readable(parent):
            old, new = self.reader.program(parent), self.reader.program(candidate_id)
            shown = diff_html(old, new, (parent, candidate_id), beside=True, context=1)
        else:
            shown = empty(f"{parent} cannot be compared with: {self.reader.why_not(parent, '')}.")
        return (
            f'<section style="margin-bottom:18px"><h5>{esc(candidate_id)}{star} <span class="dim">from {esc(parent)}, generation '
            f"{c['generation']}, +{row['added']} −{row['removed']} lines</span> {parts}</h5><p>{did}</p>"
            f'<p class="dim">{esc(headline(self.reader, candidate_id), 400)}</p>'
            f"{shown}</section>"
        )

    def _line(self) -> str:
        best = self.reader.best
        if not best:
            return empty("No candidate has been accepted yet.")
        start, *line = self.reader.ancestors(best["candidate_id"])
        end, cards = esc(best["candidate_id"]), "".join(self._card(c) for c in line)
        if not self.reader.is_first(start):
            return f"<p>The way to {end} is known from {esc(start)} on, whose own parent is not.</p>{cards}"
        if not line:
            return empty("The seed program is still the best: nothing that was tried beat it.")
        sums = gains(best, self.reader.get(start), ("rank", "human_likeness", "coverage"))
        return f"<p>{len(line)} changes lead from the seed program to {end}: {sums}.</p>{cards}"

    def _vain(self) -> str:
        found = repeated(self.reader)
        if found.is_empty():
            return empty("No edit was tried twice.")
        rows = [
            [
                *(
                    str(r["times"]),
                    esc(r["part"]),
                    change(r["gain"], 3),
                    str(r["new_bests"]),
                    str(r["rejected"]),
                ),
                f"<details><summary>{esc((r['added'] or r['removed']).strip(), 110)}</summary>"
                f"{diff_html(r['removed'], r['added'], ('before', 'after'))}</details>",
                esc(", ".join(r["candidates"]), 80),
            ]
            for r in found.iter_rows(named=True)
        ]
        vain = (found["new_bests"] == 0).sum()
        heads = ["times", "part", "mean change of fitness", "new bests", "rejected", "edit", "candidates"]
        return (
            f"<p>{len(found)} edits were tried more than once; {vain} of them never made a new best.</p>"
            + table(heads, rows, numbers=(0, 2, 3, 4))
        )

    def _parts(self) -> str:
        rows = [
            [esc(r["part"]), str(r["candidates"]), str(r["new_bests"]), str(r["rejected"])]
            + [
                f"{change(r[t], 3)} ± {r[f'{t}_half']:.3f}" if r[f"{t}_half"] is not None else change(r[t], 3)
                for t in TERMS
            ]
            for r in by_part(self.frame).iter_rows(named=True)
        ]
        if not rows:
            return empty("No change was accepted yet.")
        heads = ["part", "accepted", "new bests", "rejected", *TERMS.values()]
        note = '<p class="dim">Mean change against the parent ± half a 95 % interval; a change of two parts counts in both.</p>'
        return note + table(heads, rows, numbers=range(1, 8))


def diffs(run: Run) -> Diffs:
    """Show what every generation changed, what that did, the winning line, and what was tried in vain.

    Raises
    ------
    WorkbenchError
        With the run's ``problem``, where it has one.
    """
    if run.problem:
        raise WorkbenchError(run.problem)
    return Diffs(run)
