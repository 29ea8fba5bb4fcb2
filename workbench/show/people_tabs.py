"""Tabs of the stepper about people and scores: personas, episodes, scores, lineage, archive. Pure: HTML out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from workbench.measure import FEATURES
from workbench.measure.faults import FAULTS
from workbench.show import timeline
from workbench.show.marks import marked, marks, moved
from workbench.show.markup import attr, empty, esc, link, select, sent, table, tabs
from workbench.show.reader import Candidate, Reader
from workbench.show.style import FEATURE_NAMES, LOOKS, REMOVED, TERMS, change, plus_minus, share

Choices = Mapping[str, str]
KEY = ["split", "task_id", "persona_id"]


def personas_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show persons × axes, and the policy of the one chosen by ``choices["persona"]``."""
    personas, episodes = reader.frame(candidate_id, "personas"), reader.frame(candidate_id, "episodes")
    if personas is None or personas.is_empty():
        return empty(_nothing(reader, candidate_id, "personas"))
    if episodes is not None:
        personas = personas.join(episodes.select(*KEY, "likeness", "dialogue_id"), on=KEY, how="left")
    rows = personas.sort(KEY).to_dicts()
    axes = list(dict.fromkeys(p["axis"] for r in rows for p in r["axis_placement"] or []))
    chosen = next((r for r in rows if _persona_key(r) == choices.get("persona")), rows[0])
    heads = "".join(f'<th class="up">{esc(a, 40)}</th>' for a in axes)
    body, group = [], None
    for r in rows:
        if group != (r["split"], r["task_id"]):
            group = (r["split"], r["task_id"])
            body.append(
                f'<tr class="group"><td colspan="{len(axes) + 2}">task {esc(r["task_id"])} · {esc(r["split"])}</td></tr>'
            )
        on = {p["axis"]: p["on"] for p in r["axis_placement"] or []}
        cells = "".join(f"<td>{_sign(on.get(a))}</td>" for a in axes)
        mark = ' class="on"' if r is chosen else ""
        body.append(
            f'<tr{mark} data-go="persona:{sent(_persona_key(r))}" tabindex="0"><td class="mono">{esc(r["persona_id"])}</td>{cells}'
            f'<td class="n" title="{attr(str(r["description"])[:200])}">{share(r.get("likeness"))}</td></tr>'
        )
    left = (
        f'<div data-scroll="personas"><p class="dim">● the axis is placed true, ○ false; P(human) of the conversation.</p>'
        f'<table><thead><tr><th></th>{heads}<th class="n">P(human)</th></tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )
    more = ""
    if episode := chosen.get("dialogue_id"):
        more = f"<p>{link('episode:' + episode, 'Its conversation, and where the policy stands in the prompt')}</p>"
    right = (
        f'<div data-scroll="policy"><h4>{esc(chosen["persona_id"])} · task {esc(chosen["task_id"])}</h4><p>{esc(chosen["description"])}</p>'
        f'<p class="dim">{esc(chosen["reasoning"])}</p><pre class="box">{esc(chosen["policy"])}</pre>{more}</div>'
    )
    return f'<div class="split">{left}{right}</div>'


def _persona_key(row: Mapping[str, Any]) -> str:
    return f"{row['split']}|{row['task_id']}|{row['persona_id']}"


def _sign(on: bool | None) -> str:
    if on is None:
        return ""
    return "●" if on else '<span class="dim">○</span>'


def _nothing(reader: Reader, candidate_id: str, what: str) -> str:
    return f"No {what} of this candidate: {reader.why_not(candidate_id, 'the run keeps none')}."


def episodes_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show conversations by P(human), the most human first, and the transcript of the chosen one."""
    episodes, turns = reader.frame(candidate_id, "episodes"), reader.frame(candidate_id, "turns")
    if episodes is None or turns is None or episodes.is_empty():
        return empty(_nothing(reader, candidate_id, "conversations"))
    order = choices.get("order", "best")
    ranked = episodes.sort("likeness", "dialogue_id", descending=[order == "best", False], nulls_last=True)
    rows = ranked.drop("agent_prompt", "user_prompt").to_dicts()
    chosen = next((r for r in rows if r["dialogue_id"] == choices.get("episode")), rows[0])
    body = []
    for r in rows:
        mark = ' class="on"' if r is chosen else ""
        reward = "–" if r["success"] is None else "✓" if r["success"] else "✗"
        bad = r["fault"] or ("failed" if r["error"] else "")
        tags = f'<span class="tag bad">{esc(bad, 40)}</span>' if bad else ""
        body.append(
            f'<tr{mark} data-go="episode:{esc(r["dialogue_id"])}" tabindex="0"><td class="n">{share(r["likeness"])}</td>'
            f'<td>{reward}</td><td class="nowrap">{"" if r["split"] == "train" else "validation "}{esc(r["task_id"])} <span class="mono">{esc(r["persona_id"])}</span></td><td>{tags}</td></tr>'
        )
    orders = {"best": "most human first", "worst": "least human first"}
    left = (
        f'<div data-scroll="episodes">{select("order", orders, order)}'
        f'<table><thead><tr><th class="n">P(human)</th><th title="success">ok</th><th>task, persona</th><th>fault</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
    full = episodes.row(by_predicate=pl.col("dialogue_id") == chosen["dialogue_id"], named=True)
    spoken = turns.filter(dialogue_id=chosen["dialogue_id"]).sort("turn")
    return f'<div class="split">{left}<div data-scroll="chat">{_episode(reader, candidate_id, full, spoken, choices.get("show", "chat"))}</div></div>'


SHOWN = {
    "chat": "Conversation",
    "user": "The customer's prompt",
    "agent": "The agent's prompt",
    "prints": "Fingerprint",
}


def _episode(
    reader: Reader, candidate_id: str, episode: Mapping[str, Any], turns: pl.DataFrame, show: str
) -> str:
    facts = [
        f"P(human) {share(episode['likeness'])}",
        "failed" if episode["error"] else "success" if episode["success"] else "no success",
        f"ended by {episode['ended_by']}",
        f"seed {episode['seed']}",
    ]
    head = f'<h4>{esc(episode["dialogue_id"])}</h4><p class="dim">{esc(" · ".join(facts))}</p>'
    for name in ("error", "fault"):
        if episode[name]:
            head += f'<p><span class="tag bad">{name}</span> {esc(episode[name], 600)}</p>'
    head += f'{tabs("show", SHOWN, show, "about this conversation")}<div style="height:8px"></div>'
    if show == "user":
        note = '<p class="dim">What the model that plays the customer was told; the persona policy is marked.</p>'
        return head + note + _prompt(episode)
    if show == "agent":
        return f'{head}<pre class="box">{esc(episode["agent_prompt"], 60_000)}</pre>'
    if show == "prints":
        prints = reader.frame(candidate_id, "fingerprints")
        found = prints.filter(dialogue_id=episode["dialogue_id"]) if prints is not None else pl.DataFrame()
        if found.is_empty():
            return head + empty(_nothing(reader, candidate_id, "fingerprint"))
        return head + _fingerprint(found.row(0, named=True), reader.human_range)
    return head + chat_html(turns, fault_turns(episode))


def _prompt(episode: Mapping[str, Any]) -> str:
    """Show the exact system prompt of the user simulator, the policy in it marked."""
    text, at = episode["user_prompt"] or "", episode["policy_at"]
    if at is None or at >= len(text):
        return f'<pre class="box">{esc(text)}</pre>'
    return f'<pre class="box">{esc(text[:at])}<mark>{esc(text[at:])}</mark></pre>'


def chat_html(turns: pl.DataFrame, faults: Mapping[int, list[str]] | None = None) -> str:
    """Show a conversation as a chat: the customer right, the agent left, tools dashed.

    Words that moved a feature are marked in the customer's turns, with the features below; ``faults`` are
    the names of faults by the turn that shows them.
    """
    names = {"user": "customer", "assistant": "agent", "tool": "tool result", "system": "system"}
    out = []
    why = marks(turns)
    for row in turns.iter_rows(named=True):
        content, calls = row["content"] or "", _calls(row.get("tool_calls") or "[]")
        role = row["role"] if row["role"] in names else "tool"
        kind = "tool" if role == "assistant" and calls and not content else role
        who = f'<span class="who">{names[role]}</span>'
        if role == "user":
            found = why.get(row["turn"], [])
            strip = f'<span class="moved">{esc(" · ".join(moved(found)))}</span>' if found else ""
            shown = f"{who}{marked(content, found)}{strip}"
        elif role == "tool" and len(content) > 300:
            shown = f"{who}<details><summary>{esc(content[:160])} …</summary>{esc(content, 8_000)}</details>"
        else:
            shown = f"{who}{esc(content, 4_000)}{calls}"
        bad = "".join(
            f' <span class="tag bad">{esc(f.replace("_", " "))}</span>'
            for f in (faults or {}).get(row["turn"], ())
        )
        out.append(f'<div class="turn {kind}">{shown}{bad}</div>')
    return "".join(out) or empty("No turn was spoken.")


def fault_turns(episode: Mapping[str, Any]) -> dict[int, list[str]]:
    """Return the faults of an episode by the turn that shows each first."""
    out: dict[int, list[str]] = {}
    for fault in FAULTS:
        if episode.get(fault) is not None:
            out.setdefault(int(episode[fault]), []).append(fault)
    return out


def _calls(text: str) -> str:
    try:
        calls = [c["function"] for c in json.loads(text)]
        lines = [f"{c['name']}({c['arguments']})" for c in calls]
    except (ValueError, KeyError, TypeError):
        lines = [text]
    return "".join(f'<div class="mono">⚙ {esc(line, 1_000)}</div>' for line in lines)


def _fingerprint(row: Mapping[str, Any], people: Mapping[str, tuple[float, ...]]) -> str:
    """Show the 19 features as dots on people's 5–95 % range."""
    rows, away = [], []
    for feature in FEATURES:
        low, mid, high = people[feature]
        value = float(row[feature])
        top = max(high, value, 1e-9) * 1.05
        x = [100 * v / top for v in (low, mid, high, value)]
        outside = value < low - 1e-12 or value > high + 1e-12
        color = REMOVED if outside else LOOKS["humans"].color
        away += [FEATURE_NAMES[feature]] if outside else []
        bar = (
            f'<svg width="160" height="12" viewBox="0 0 104 10" preserveAspectRatio="none" role="img" aria-label="{value:.2f}">'
            f'<rect x="{x[0] + 2:.1f}" y="2" width="{max(x[2] - x[0], 0.8):.1f}" height="6" fill="{LOOKS["humans"].color}" opacity=".3"/>'
            f'<rect x="{x[1] + 1.6:.1f}" y="2" width=".8" height="6" fill="{LOOKS["humans"].color}"/>'
            f'<ellipse cx="{x[3] + 2:.1f}" cy="5" rx="2.2" ry="3.4" fill="{color}"/></svg>'
        )
        where = f"{low:.2f}–{high:.2f}", "outside" if outside else ""
        rows.append([esc(FEATURE_NAMES[feature]), f"{value:.2f}", bar, *where])
    said = f"{len(FEATURES) - len(away)} of {len(FEATURES)} features lie where 90 % of people do"
    said += f"; outside: {', '.join(away)}." if away else "."
    heads = ["feature", "here", "on people's range", "people, 5–95 %", ""]
    return f"<p>{esc(said)}</p>{table(heads, rows, numbers=(1,))}"


def scores_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show each term with its interval against parent, best so far, base simulator and people."""
    c = reader.get(candidate_id)
    if c["status"] != "accepted":
        tag = f'<span class="tag bad">{esc(c["status"])}</span>'
        return f"<p>{tag} {esc(c['reason'], 2_000)}</p>" + empty("It has no scores.")
    parent = reader.get(c["parent"]) if c["parent"] in reader.at else None
    best = reader.best_so_far(reader.at[candidate_id])
    parts = []
    for term in ("rank", "fitness", "human_likeness", "coverage", "success"):
        rows: list[tuple[str, str, Any]] = [("this", "search", _triple(c, term))]
        if parent:
            rows.append((f"parent {parent['candidate_id']}", "initial", _triple(parent, term)))
        if best and best is not c:
            rows.append((f"best so far {best['candidate_id']}", "search", _triple(best, term)))
        for condition in ("base", "humans"):
            if found := reader.references.get((condition, term)):
                rows.append((LOOKS[condition].name, condition, found))
        parts.append(_dots(TERMS[term], rows))
    if foreign := reader.run.foreign:
        note = "scored it, without intervals; what it compares by is its combined score."
        return f'{"".join(parts)}<p class="dim">As {foreign["program"]} {note}</p>'
    lambdas = f"λ<sub>h</sub> {share(c['lambda_h'])} · λ<sub>b</sub> {share(c['lambda_b'])}"
    notes = [
        f"Fitness = λ<sub>h</sub>·HL + λ<sub>b</sub>·coverage with {lambdas}; the curriculum moves λ, and N raises coverage by itself.",
        "Comparable fitness is what the search ranks by: half HL, half coverage at the first stage's N, as the gain over the first program "
        "on the same tasks, on top of that program's mean. The other terms are of this candidate's own tasks and N.",
        "Bars: 95 % intervals clustered by task. People and base simulator"
        + (": held-out tasks." if reader.references else " come with 'workbench evaluate'."),
    ]
    if c["validation_score"] is not None:
        notes.append(
            f"Validation ({c['validation_n_episodes']} episodes, {c['validation_n_failed']} failed): score {share(c['validation_score'], 3)}, "
            f"HL {share(c['validation_human_likeness'], 3)}, coverage {share(c['validation_coverage'], 3)}."
        )
    else:
        notes.append("Not validated: only a new best, and each fifth generation, is.")
    people = reader.references.get(("humans", "human_likeness"))
    if people and c["human_likeness"] > people[0]:
        notes.append(
            "<b>Human-likeness is above people's: a warning, not a triumph. Read its conversations.</b>"
        )
    below = "".join(f'<p class="dim">{n}</p>' for n in notes)
    return f'<p>{esc(_came(c, parent, reader))}</p><div class="dots">{"".join(parts)}</div>{below}'


def _came(c: Mapping[str, Any], parent: Mapping[str, Any] | None, reader: Reader) -> str:
    """Say in a line where a candidate stands."""
    text = f"Comparable fitness {share(c['rank'])}"
    if parent and parent["rank"] is not None:
        text += f", {change(c['rank'] - parent['rank'])} against its parent"
    for condition in ("base", "humans"):
        if found := reader.references.get((condition, "rank")):
            text += f", {change(c['rank'] - found[0])} against {LOOKS[condition].name.lower()}"
    return text + (": a new best." if c["new_best"] else ".")


def _triple(c: Mapping[str, Any], term: str) -> tuple[float | None, float | None, float | None]:
    return c[term], c.get(f"{term}_low"), c.get(f"{term}_high")


def _dots(title: str, rows: list[tuple[str, str, Any]]) -> str:
    wide, left, row_high = 190, 6, 18
    lines = []
    first = rows[0][2][0]
    for i, (name, condition, (value, low, high)) in enumerate(rows):
        if value is None:
            continue
        y = 10 + i * row_high
        color, sign = LOOKS[condition].color, LOOKS[condition].sign
        bar = ""
        if low is not None and high is not None:
            bar = f'<line x1="{left + wide * low:.1f}" x2="{left + wide * high:.1f}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="3" opacity=".45"/>'
        delta = "" if i == 0 or first is None else f"  ({change(first - value)})"
        lines.append(
            f'<line x1="{left}" x2="{left + wide}" y1="{y}" y2="{y}" stroke="currentColor" opacity=".15"/>{bar}'
            f'<text x="{left + wide * value:.1f}" y="{y + 4}" text-anchor="middle" style="fill:{color};font-size:13px">{sign}</text>'
            f'<text x="{left + wide + 12}" y="{y + 4}">{esc(name)}: {plus_minus(value, low, high)}{esc(delta)}</text>'
        )
    high_ = 12 + row_high * len(rows)
    return f'<section><h5>{esc(title)}</h5><svg width="440" height="{high_}" viewBox="0 0 440 {high_}" role="img" aria-label="{esc(title)}">{"".join(lines)}</svg></section>'


def lineage_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show the family tree and the chain from the seed to this candidate, culled ancestors included."""
    best = reader.best["candidate_id"] if reader.best else None
    rows = []
    for step in reader.ancestors(candidate_id):
        c = reader.get(step)
        good = c["status"] == "accepted"
        state = share(c["rank"]) if good else f'<span class="tag bad">{esc(c["status"])}</span>'
        when = "–" if c["generation"] is None else str(c["generation"])
        scores = share(c["human_likeness"]), share(c["coverage"])
        rows.append([link("c:" + step, step), when, state, *scores, esc(headline(reader, step), 160)])
    kept = sum(c["status"] == "accepted" for c in reader.candidates)
    line = reader.ancestors(best) if best else []
    way = f"{max(len(line) - 1, 0)} changes lead from the seed to the best"
    if line and not reader.is_first(line[0]):
        way = f"the best comes from {esc(line[0])}, whose own parent is not known"
    said = f"<p>{len(reader.candidates)} candidates, {kept} accepted; {way}.</p>"
    heads = ["candidate", "generation", "fitness", "HL", "coverage", "in the mutation model's words"]
    note = (
        '<p class="dim">Left to right: generations. Thick blue: the way to the best; vermilion: the way to this candidate; '
        "hollow: rejected; dashed: damaged. Programs that left the archive stay here.</p>"
    )
    return (
        f'{said}{note}<div style="overflow:auto;max-height:300px" data-scroll="tree">{timeline.tree(reader, candidate_id, best)}</div>'
        f"<h5>The way to {esc(candidate_id)}</h5>{table(heads, rows, numbers=(1, 2, 3, 4))}"
    )


def headline(reader: Reader, candidate_id: str) -> str:
    """Return what the mutation model said it did, before its edits."""
    attempts = reader.frame(candidate_id, "attempts")
    if candidate_id in reader.flaws and attempts is None:
        return f"({reader.why_not(candidate_id, '')})"
    if attempts is None or attempts.is_empty():
        author = reader.get(candidate_id)["author"]
        return {"seed": "seed program", "human": "written by a person"}.get(author, "(no words are kept)")
    words = str(attempts.sort("attempt")["answer"][-1]).split("<<<<<<<")[0]
    return words.strip().replace("\n", " ") or "(no words)"


def archive_tab(reader: Reader, candidate_id: str, choices: Choices) -> str:
    """Show the cells filled up to this candidate; a click goes to the best program of a cell."""
    cells: dict[tuple[int, ...], list[Candidate]] = {}
    found = [c for c in reader.candidates[: reader.at[candidate_id] + 1] if c["cell"]]
    for c in sorted(found, key=lambda c: (-c["rank"], c["candidate_id"])):
        cells.setdefault(tuple(c["cell"]), []).append(c)
    if not cells:
        return empty("The archive is empty: no candidate has been accepted yet.")
    path = [tuple(reader.get(a)["cell"]) for a in reader.ancestors(candidate_id) if reader.get(a)["cell"]]
    note = (
        f'<p class="dim">{len(cells)} of 100 cells are filled after {esc(candidate_id)}. Number: fitness of the best program there, over all '
        "islands; vermilion: the cell of this candidate and the way its ancestors took. Click a cell to go to its program.</p>"
    )
    return note + timeline.grid(cells, candidate_id, path)
