"""Tabs of the stepper about a program: its diff, axes, reflection and mutation. Pure: a reader in, HTML out."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench.evolve.damage import DAMAGED
from workbench.show.changes import gains
from workbench.show.diff import counts, diff_html, program_html
from workbench.show.markup import button, empty, esc, link, sent, table
from workbench.show.reader import Reader
from workbench.show.style import change, share

Choices = Mapping[str, str]
CARD = {
    "rank": "comparable",
    "fitness": "fitness",
    "human_likeness": "human-likeness",
    "coverage": "coverage",
    "success": "success",
    "validation_score": "validation",
}


def diff_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show a program against its parent, or against what ``choices["against"]`` names."""
    c = reader.get(candidate_id)
    against, layout = choices.get("against") or "parent", choices.get("layout", "beside")
    best = reader.best["candidate_id"] if reader.best else None
    other = {"parent": c["parent"], "seed": "0000", "best": best}.get(against, against)
    named = ["parent", "seed", "best", *reader.ancestors(candidate_id)[:-1]]
    options = "".join(f'<option value="{sent(name)}"></option>' for name in named)
    field = (
        f'<label>against <input type="text" name="against" data-go="against" size="8" value="{sent(against)}" list="against-{id(reader)}" '
        f'title="parent, seed, best, or the number of any candidate"></label><datalist id="against-{id(reader)}">{options}</datalist>'
    )
    names = {"beside": "Side by side", "inline": "Inline", "whole": "Whole program"}
    buttons = "".join(button(f"layout:{k}", text, disabled=k == layout) for k, text in names.items())
    bar = f'<div class="bar">{field}{buttons}'
    new = reader.program(candidate_id)
    if layout == "whole" or not other:
        seed = reader.is_first(candidate_id)
        why = "No parent: this is the seed program." if seed else "Its parent is not known: it is damaged."
        note = "" if other else empty(why)
        return f"{bar}</div>{note}{program_html(new)}"
    if other not in reader.at:
        return f"{bar}</div>" + empty(f"There is no candidate {other} to compare with.")
    if not reader.readable(other):
        note = empty(f"{other} cannot be compared with: {reader.why_not(other, '')}.")
        return f"{bar}</div>{note}{program_html(new)}"
    old = reader.program(other)
    added, removed = counts(old, new)
    note = ""
    if c["status"] != "accepted" and old == new:
        note = empty(
            "No edit could be applied, so the program shown is the parent's. The Mutation tab has the answers."
        )
    return (
        f'{bar}<span class="dim">+{added} −{removed} lines</span></div>{_what_it_did(reader, c, other)}{note}'
        + diff_html(old, new, (other, candidate_id), beside=layout == "beside")
    )


def _what_it_did(reader: Reader, c: Mapping[str, Any], other: str) -> str:
    if c["status"] != "accepted":
        was = "is damaged" if c["status"] == DAMAGED else "was rejected"
        return f"<p><b>What it did:</b> nothing, it {was}: {esc(c['reason'], 600)}</p>"
    p = reader.get(other)
    if p["status"] != "accepted":
        return ""
    mine, others = (", ".join(row["tasks"] or []) for row in (c, p))
    on = f"on the same tasks: {mine}" if mine == others else f"on other tasks: {mine} against {others}"
    return (
        f"<p><b>What it did</b> against {esc(other)}: {gains(c, p)} "
        f'<span class="dim">(fitness as comparable; HL, coverage and success {esc(on)})</span></p>'
    )


def axes_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show each axis of a program as kept, added, dropped or reworded, with how it fares."""
    mine = reader.axes(candidate_id)
    if isinstance(mine, str):
        return empty(f"The axes cannot be read: {mine}")
    parent = reader.get(candidate_id)["parent"]
    theirs = reader.axes(parent) if parent and reader.readable(parent) else []
    before = {a["behavior"]: a for a in theirs} if isinstance(theirs, list) else {}
    after = {a["behavior"]: a for a in mine}
    if not before and not after:
        return empty("This program has no behavior axes.")
    use = _axis_use(reader, candidate_id)
    rows = []
    for name in [*after, *(n for n in before if n not in after)]:
        old, new = before.get(name), after.get(name)
        placed, on, off = use.get(name, (None, None, None))
        text = _axis_text(new or old or {})
        if old is None:
            state = '<span class="tag good">+ added</span>' if parent else '<span class="tag">seed</span>'
        elif new is None:
            state = '<span class="tag bad">− dropped</span>'
        elif old == new:
            state = '<span class="tag">kept</span>'
        else:
            state = '<span class="tag good">reworded</span>'
            both = _axis_lines(old), _axis_lines(new)
            text = diff_html(*both, (str(parent), candidate_id), beside=True, prose=True)
        rows.append([f"<b>{esc(name)}</b>", state, share(placed), share(on), share(off), text])
    heads = ["axis", "against parent", "placed true", "HL with", "HL without", "definition and playbooks"]
    note = '<p class="dim">One row an axis. HL with and without: mean P(human) of the personas placed true and false.</p>'
    return note + table(heads, rows, numbers=(2, 3, 4))


def _axis_lines(axis: Mapping[str, Any]) -> str:
    return f"{axis['definition']}\ntrue: {axis['presence']['true']}\nfalse: {axis['presence']['false']}"


def _axis_text(axis: Mapping[str, Any]) -> str:
    return (
        f"<details><summary>{esc(axis['definition'])}</summary><p><b>true</b> {esc(axis['presence']['true'])}</p>"
        f"<p><b>false</b> {esc(axis['presence']['false'])}</p></details>"
    )


def _axis_use(reader: Reader, candidate_id: str) -> dict[str, tuple[float, float | None, float | None]]:
    personas, episodes = reader.frame(candidate_id, "personas"), reader.frame(candidate_id, "episodes")
    if personas is None or episodes is None:
        return {}
    key = ["task_id", "persona_id", "split"]
    placed = personas.select(*key, "axis_placement").explode("axis_placement").unnest("axis_placement")
    found = (
        placed.filter(pl.col("axis").is_not_null())
        .join(episodes.select(*key, "likeness"), on=key)
        .group_by("axis")
        .agg(
            pl.col("on").mean(),
            with_=pl.col("likeness").filter("on").mean(),
            without=pl.col("likeness").filter(~pl.col("on")).mean(),
        )
    )
    return {axis: (placed, a, b) for axis, placed, a, b in found.iter_rows()}


def reflection_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show the reflection that led to a program, and the one on its own batch."""
    parent = reader.get(candidate_id)["parent"]
    if parent:
        text = reader.run.reflection(parent)
        led = f'<div class="prose">{esc(text)}</div>' if text else empty("The parent has no reflection.")
        first = f"<h5>What led here: the reflection on parent {link('c:' + parent, parent)}</h5>{led}"
    else:
        why = "this is the seed program" if reader.is_first(candidate_id) else "its parent is not known"
        first = empty(f"No reflection led here: {why}.")
    own = reader.run.reflection(candidate_id)
    why = reader.why_not(candidate_id, "the reflection model gave none")
    second = f'<div class="prose">{esc(own)}</div>' if own else empty(f"None: {why}.")
    return f"{first}<h5>What was said of this candidate's own batch</h5>{second}"


def mutation_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show every try of the mutation model: prompt, answer, verdict and reason."""
    attempts = reader.frame(candidate_id, "attempts")
    if attempts is None or attempts.is_empty():
        why = {"seed": "this is the seed program", "human": "a person wrote this program"}
        author = reader.get(candidate_id)["author"]
        said = why.get(author, reader.why_not(candidate_id, "the run keeps no prompts and answers"))
        return empty(f"No mutation: {said}.")
    parts = []
    for row in attempts.sort("attempt").iter_rows(named=True):
        good = row["verdict"] == "applied"
        tag = f'<span class="tag {"good" if good else "bad"}">{esc(row["verdict"])}</span>'
        reason = f" <span>{esc(row['reason'], 1_000)}</span>" if row["reason"] else ""
        parts.append(
            f'<h5>Try {row["attempt"] + 1} {tag} <span class="dim">{row["edits"]} {"edit" if row["edits"] == 1 else "edits"}</span>{reason}</h5>'
            f'<pre class="box">{esc(row["answer"]) or "(no answer)"}</pre>'
            f'<details><summary>The prompt, {len(row["prompt"]):,} characters</summary><pre class="box">{esc(row["prompt"], 60_000)}</pre></details>'
        )
    return "".join(parts)


def editor(reader: Reader, candidate_id: str) -> str:
    """Offer a program for editing; what is evaluated enters the run as a candidate by a human author."""
    return (
        f'<p class="dim">Change the program and evaluate it: it enters the run as a child of {esc(candidate_id)}, by a human author, '
        f"scored like any other.</p>"
        f'<textarea name="program" spellcheck="false" aria-label="program">{html.escape(reader.program(candidate_id))}</textarea>'
        f'<div class="bar">{button("evaluate", "Evaluate")}{button("tab:diff", "Cancel")}</div>'
    )


def card(reader: Reader, candidate_id: str) -> str:
    """Show a candidate's name, origin and numbers with their change against the parent; or why it was rejected."""
    c = reader.get(candidate_id)
    parent = reader.get(c["parent"]) if c["parent"] in reader.at else None
    origin = f"parent {link('c:' + c['parent'], c['parent'])}" if c["parent"] else "no parent"
    flaws = "".join(f"<p>{esc(flaw, 400)}</p>" for flaw in reader.flaws.get(candidate_id, []))
    if flaws:
        flaws = f'<p style="margin-top:8px"><span class="tag bad">damaged</span></p>{flaws}'
    if c["generation"] is None:
        return f"<h4>{esc(candidate_id)}</h4>{flaws}<p>Nothing else is known of it. All other candidates are shown.</p>"
    lines = [
        f"<h4>{esc(candidate_id)}{' ★' if c['new_best'] else ''}</h4>",
        f'<div class="dim">{origin} · island {c["island"]}<br>generation {c["generation"]} · by {esc(c["author"])}<br>'
        f"N {c['n_personas'] or 'unknown'} × {len(c['tasks'] or [])} tasks</div>",
        flaws,
    ]
    if c["status"] != "accepted":
        lines.append(
            f'<p style="margin-top:8px"><span class="tag bad">rejected</span></p><p>{esc(c["reason"], 800)}</p>'
        )
        return "".join(lines)
    rows = ""
    for term, name in CARD.items():
        value, before = c[term], parent[term] if parent else None
        delta = "" if value is None or before is None else change(value - before)
        rows += f'<tr><td>{name}</td><td class="n">{share(value)}</td><td class="n"><span class="dim">{delta}</span></td></tr>'
    counted = f"{c['n_episodes']} episodes · {c['n_failed']} failed"
    counted = "episodes not counted" if c["n_episodes"] is None else counted
    faulty = "faults not looked for" if c["n_faults"] is None else f"{c['n_faults']} faulty"
    cell = f"cell ({c['cell'][0]}, {c['cell'][1]})" if c["cell"] else ""
    lines += [
        f'<table class=""><tbody>{rows}</tbody></table>',
        f'<p class="dim" style="margin-top:8px">{counted} · {faulty}<br>{cell}</p>',
    ]
    if c["reason"]:
        lines.append(f"<p>{esc(c['reason'], 400)}</p>")
    return "".join(lines)
