"""What is left to read of a run that cannot be opened as one: another format, no ``run.json``, or a damaged one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

from workbench.errors import WorkbenchError
from workbench.evolve import damage
from workbench.evolve.run import Run
from workbench.show.diff import program_html
from workbench.show.markup import code, esc, table

_SETTINGS = ("domain", "seed", "generations")


def remains(run: Run) -> str:
    """Show what a run says of itself, what of it can be read, and its last program."""
    info, settings = run.info, run.info.get("settings")
    settings = settings if isinstance(settings, Mapping) else {}
    ids = run.candidate_ids
    rows = [
        ("run", run.place),
        ("format", info.get("format", "not named")),
        ("written by", f"workbench {info['version']}" if "version" in info else "not named"),
        ("started", info.get("created", "not named")),
        ("settings", ", ".join(f"{n} {settings[n]}" for n in _SETTINGS if n in settings) or "not readable"),
    ]
    programs = {}
    for candidate_id in ids:
        with suppress(WorkbenchError):
            programs[candidate_id] = run.program(candidate_id)
    dates = " to ".join(dict.fromkeys(_date(run, candidate_id) for candidate_id in (*ids[:1], *ids[-1:])))
    rows.append(("candidates", f"{len(ids)}, {dates}" if ids else "none"))
    body = table(["", ""], [[name, esc(value, 200)] for name, value in rows])
    if not programs:
        return body + '<p class="dim">There is no program in it.</p>'
    last, source = list(programs.items())[-1]
    return (
        f"{body}<p>{len(programs)} programs can be read, {esc(min(programs))} to {esc(last)}; scores and conversations are "
        f"plain JSON and Parquet files in {esc(run.path / 'candidates')}, which this version does not interpret.</p>"
        f"<details><summary>Program {esc(last)}</summary>{program_html(source)}</details>"
        + code(f"print(run.program({last!r}))")
    )


def _date(run: Run, candidate_id: str) -> str:
    """Say when a candidate was made, by its own word or by the file's."""
    folder = run.path / "candidates" / candidate_id
    with suppress(WorkbenchError):
        if created := damage.json_of(folder / "candidate.json").get("created"):
            return str(created)[:10]
    return time.strftime("%Y-%m-%d", time.gmtime(folder.stat().st_mtime))
