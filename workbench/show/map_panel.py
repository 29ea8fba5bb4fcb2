"""The panels beside the persona map: its settings, the selection, one point, one conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from workbench.show import cloud, embedding
from workbench.show.cloud import LOOKS
from workbench.show.markup import button, check, code, empty, esc, link, select, table
from workbench.show.people_tabs import chat_html, fault_turns
from workbench.show.style import FEATURE_NAMES, change, share
from workbench.show.tables import provenance

if TYPE_CHECKING:
    from workbench.show.mapping import PersonaMap

WHAT = {"fingerprints": "behavior (19 features)", "policies": "policy texts", "turns": "what users said"}
COLORS = {
    "layer": "condition",
    "likeness": "P(human)",
    "success": "success",
    "fault": "fault",
    "task": "task",
    "axis": "first axis",
}
NAMES = list(FEATURE_NAMES.values())


def controls(view: PersonaMap) -> str:
    """Show what is mapped, how it is laid out and colored, the layers and the generations."""
    canvas, last = view.canvas, int(view.points["generation"].max() or 0)  # type: ignore[arg-type]
    present = set(view.points["layer"])
    boxes = "".join(
        check(f"layer-{n}", "layers", f"{_sign(n)} {LOOKS[n].name}", on=on)
        for n, on in zip(cloud.LAYERS, canvas.layers, strict=True)
        if n in present
    )
    only = check("only", "until", "only this one", on=bool(canvas.since and canvas.since == canvas.until))
    slider = (
        f'<label style="flex:1;display:flex;gap:6px">generations up to <input type="range" name="until" data-go="until" '
        f'min="0" max="{last}" value="{canvas.until}"> <b>{canvas.until}</b></label>{only}'
    )
    colors = "".join(
        f'<span class="small"><span style="color:{c}">■</span> {esc(t, 30)}</span> ' for c, t in view.legend
    )
    legend = (
        f'<div class="bar"><span class="small">{COLORS[view.color_by]}:</span>{colors}</div>'
        if colors
        else ""
    )
    notes = [f"{view.mapped:,} conversations"]
    if view.what != "fingerprints" and view.model == embedding.MODEL:
        notes.append("words hashed by the rehearsal embedding, a stand-in")
    if view.what == "policies":
        notes.append("people and the base simulator have no policy, so they are not on this map")
    elif view.what == "turns" and cloud.people_turns(view.run) is None:
        notes.append(
            "people's words are not shipped, so they are not on this map: WORKBENCH_TRACES names their folder"
        )
    notes += [text for text in (view.run.lacks, view.damage) if text]
    layout, what = view.wanted
    said = (
        f'<div class="bar" role="status">{esc(view.said)} {button("halt", "Stop")}</div>' if view.said else ""
    )
    picks = select("what", WHAT, what) + select("layout", {"pca": "PCA", "umap": "UMAP"}, layout)
    return (
        f'<div class="bar"><b>{esc(provenance(view.run))}</b></div><p>{esc(view.takeaway)}</p>'
        f'<div class="bar">{picks}<label>color {select("color", COLORS, view.color_by)}</label></div>'
        f'<div class="bar">{boxes}</div><div class="bar">{slider}</div>{said}{legend}<p class="dim">{esc(" · ".join(notes))}</p>'
        + code("from workbench.show import cloud", "cloud.points(run)")
    )


def _sign(layer: str) -> str:
    return f'<span style="color:{LOOKS[layer].color}">{LOOKS[layer].sign}</span>'


def side(view: PersonaMap) -> str:
    """Show what is selected: who, what tells them from the rest, whom they cover, their conversations."""
    if view.opened:
        return f'<div class="bar">{button("close:", "◀ back to the selection")}</div>{conversation(view, view.opened)}'
    if view.canvas.picked >= 0:
        return picked(view)
    n = int(view.rows.sum())
    if not n:
        return "<h4>Nothing is selected</h4>" + empty(
            "Drag over the map to select conversations; click one to see who is nearest to it. Esc clears."
        )
    chosen = view.selection
    mix = ", ".join(f"{LOOKS[k].name} {v}" for k, v in chosen["layer"].value_counts(sort=True).iter_rows())
    covered = cloud.share_covered(view.vectors, view.people, view.rows)
    rows = [
        [esc(name), f"{change(gap, 1)} sd"] for name, gap in cloud.telling(view.vectors, view.rows, NAMES)
    ]
    facts = [
        f"P(human) {share(_mean(chosen['likeness']))}",
        f"success {share(_mean(chosen['success'].cast(pl.Float64)))}",
    ]
    cover = (
        f'<p>They cover {covered:.0%} of the people <span class="dim">(someone of them as near as people are to each other)</span>.</p>'
        if covered is not None
        else ""
    )
    listed = chosen.filter(pl.col("layer") != "humans").head(60)
    links = [row(r) for r in listed.iter_rows(named=True)]
    more = (
        f'<p class="dim">{len(listed)} of {len(chosen)} are listed.</p>' if len(chosen) > len(listed) else ""
    )
    return (
        f'<h4>{n:,} selected</h4><p>{esc(mix)}</p><p class="dim">{" · ".join(facts)}</p>{cover}'
        f"<h5>What tells them from the rest</h5>{table(['feature', 'difference'], rows, numbers=(1,)) if rows else empty('Nothing: they are like the rest.')}"
        f'<div class="bar">{button("save", "Save as CSV")}{button("clear", "Clear")}</div>'
        f"<h5>Conversations</h5>{''.join(links)}{more}"
    )


def row(r: dict[str, Any]) -> str:
    """Show one conversation as a line to click."""
    return (
        f'<div data-go="open:{esc(r["dialogue_id"])}" tabindex="0" role="button">{_sign(r["layer"])} '
        f'{share(r["likeness"])} <span class="mono">{esc(r["dialogue_id"], 60)}</span></div>'
    )


def picked(view: PersonaMap) -> str:
    """Show one point and who is nearest to it in the original space."""
    at = view.canvas.picked
    me = view.points.row(at, named=True)
    human = me["layer"] == "humans"
    who = "personas" if human else "people"
    nearest = ((view.points.row(i, named=True), i, distance) for i, distance in view.near)
    rows = [
        [_sign(r["layer"]), link(f"pick:{i}", r["dialogue_id"][:46]), f"{far:.1f}"] for r, i, far in nearest
    ]
    own = [(NAMES[i], float(view.vectors[at, i])) for i in np.argsort(-np.abs(view.vectors[at]))[:5]]
    traits = ", ".join(f"{name} {change(v, 1)} sd" for name, v in own)
    read = not human or cloud.people_turns(view.run) is not None
    talk = "<p class='dim'>A person's words are not shipped, only the fingerprint.</p>"
    if read:
        talk = f"<p>{button('open:' + me['dialogue_id'], 'Read the conversation')}</p>"
    axes = f"<p>axes: {esc(', '.join(me['axes']))}</p>" if me["axes"] else ""
    return (
        f'<h4>{esc(me["dialogue_id"], 80)}</h4><p>{LOOKS[me["layer"]].name} · P(human) {share(me["likeness"])}</p><p class="dim">{esc(traits)}</p>{axes}{talk}'
        f"<h5>Nearest {who}, in the 19 features</h5>{table(['', who, 'distance'], rows, numbers=(2,))}<div class='bar'>{button('clear', 'Clear')}</div>"
    )


def conversation(view: PersonaMap, dialogue_id: str) -> str:
    """Show a conversation with its policy."""
    row = view.points.filter(dialogue_id=dialogue_id).row(0, named=True)
    people = cloud.people_turns(view.run) if row["layer"] == "humans" else None
    turns = (
        (view.run.turns if people is None else people).filter(dialogue_id=dialogue_id).sort("turn").collect()
    )
    episodes = view.run.episodes.filter(dialogue_id=dialogue_id).drop("user_prompt", "agent_prompt")
    about = episodes.head(1).collect().to_dicts()
    policy = (
        f'<details><summary>Policy</summary><pre class="box">{esc(row["policy"])}</pre></details>'
        if row["policy"]
        else ""
    )
    head = f'<h4>{esc(dialogue_id)}</h4><p class="dim">P(human) {share(row["likeness"])} · {esc(row["fault"] or "no fault found")}</p>'
    return head + policy + chat_html(turns, fault_turns(about[0]) if about else None)


def _mean(values: pl.Series) -> float | None:
    known = values.drop_nulls().to_numpy()
    return float(known.mean()) if len(known) else None
