"""The Goodhart panel in the stepper: computed when asked for, kept by content, shown as a table."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl

from workbench.disk import replacing
from workbench.evolve.run import Run
from workbench.show.cloud import people_turns
from workbench.show.embedding import cache_folder
from workbench.show.markup import button, code, empty, esc, table
from workbench.show.style import LOOKS, plus_minus, share

_LOOKS = {**LOOKS, "people": LOOKS["humans"]}  # the panel says people where the views say humans
MEASURES = {
    "ngram_auc": "n-gram AUC",
    "embedding_auc": "embedding AUC",
    "frechet": "Fréchet",
    "density_js": "density JS",
    "precision": "precision",
    "recall": "recall",
}


def known(run: Run) -> pl.DataFrame | None:
    """Return the panel of a run as it is evaluated now, where it was computed before."""
    path = _place(run)
    return pl.read_parquet(path) if path.exists() else None


def compute(run: Run) -> pl.DataFrame:
    """Compute the panel, people's words included where they are at hand, and keep it."""
    from workbench.measure.panel import dossier
    from workbench.show.panels import run_panel

    turns = people_turns(run)
    found = run_panel(run, persons=None if turns is None else dossier(turns.collect()))
    path = _place(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        found.write_parquet(part)
    return found


def _place(run: Run) -> Path:
    about = [run.run_id, run.conditions, people_turns(run) is not None]
    key = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()
    return cache_folder() / "panels" / f"{key}.parquet"


def html(run: Run, doing: str) -> str:
    """Show the panel, or offer to compute it; ``doing`` says how far a computation is."""
    head = "<h5>Goodhart panel: what the search never saw</h5>"
    if "base" not in run.conditions:
        way = "which this run does not hold" if run.foreign else f"run 'workbench evaluate {run.place}'"
        return head + empty(f"It needs the held-out conditions: {way}.")
    if doing:
        return f'{head}<p role="status">{esc(doing)}</p>'
    found = known(run)
    if found is None:
        offer = button("panel", "Compute the panel")
        return f'{head}<div class="bar">{offer}<span class="dim">about half a minute, in the background; then kept</span></div>'
    rows = []
    for r in found.iter_rows(named=True):
        look = _LOOKS[r["condition"]]
        marks = "".join(f'<span class="tag bad">{esc(m)}</span> ' for m in r["mark"].split("; ") if m)
        likeness = plus_minus(r["human_likeness"], r["human_likeness_low"], r["human_likeness_high"])
        caught = plus_minus(r["forest_auc"], r["forest_auc_low"], r["forest_auc_high"])
        cells = [likeness, share(r["human_likeness_sound"]), share(r["coverage"]), caught]
        cells += [share(r[name]) if name in found.columns else "–" for name in MEASURES]
        sign = f'<span style="color:{look.color}">{look.sign}</span> {look.name}'
        rows.append([sign, f"{r['n']}", f"{r['faulty']}", *cells, marks])
    heads = ["", "n", "faulty", "HL", "HL, sound", "coverage", "fresh forest AUC", *MEASURES.values(), "mark"]
    return (
        f"{head}<p>{esc(takeaway(found))}</p>{table(heads, rows, numbers=range(1, len(heads) - 1))}"
        '<p class="dim">Held-out tasks; evolved is the program that selection names. AUC .5: a fresh classifier cannot tell it from '
        "people. Fréchet and density JS: distance from people, lower is nearer. Sound: without faulty episodes. Above people, or "
        "below an editor that only rewords the base simulator: then HL is no proof of realism.</p>"
        + code("from workbench.show import panels", "panels.run_panel(run)")
    )


def takeaway(found: pl.DataFrame) -> str:
    """Say in a line whether human-likeness can be believed."""
    parts = []
    for mark, said in (("above people", "above people"), ("below the editor", "below the rule-based editor")):
        those = found.filter(pl.col("mark").str.contains(mark))["condition"].to_list()
        names = [_LOOKS[c].name for c in those]
        parts.append(f"{', '.join(names)}: {said}" if names else f"none is {said}")
    return f"By human-likeness, {'; '.join(parts)}."
