"""Dialogues from trace files of many formats, as one frame of turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl

from workbench.errors import WorkbenchError
from workbench.traces import inspect_log, own, ppol, realusersim, sdialog, tau2, tau_bench, tau_usi
from workbench.traces.dialogue import About, Dialogue, DroppedError, Json
from workbench.traces.files import records
from workbench.traces.numbering import tau2_task_id

__all__ = [
    "FORMATS",
    "SCHEMA",
    "Report",
    "batches",
    "read_scenarios",
    "read_traces",
    "report",
    "tau2_task_id",
]

SCHEMA: dict[str, type[pl.DataType]] = {
    "dialogue_id": pl.String,
    "turn": pl.Int64,
    "role": pl.String,
    "content": pl.String,
    "source": pl.String,
    "domain": pl.String,
    "task_id": pl.String,
    "tau2_task_id": pl.String,
    "trial": pl.Int64,
    "trait": pl.String,
    "reward": pl.Float64,
}
"""Columns of the turns frame, in order."""

FORMATS: tuple[ModuleType, ...] = (inspect_log, tau_usi, tau_bench, tau2, ppol, realusersim, sdialog, own)
"""The formats, each a module with ``NAME``, ``WHOSE``, ``fits(record)`` and ``read(record, about)``; the first that fits reads."""

_OTHERS = {"assistant": "the agent", "tool": "what tools answered, unheard by the user", "system": "prompts"}


@dataclass
class Report:
    """What reading a file came to: dialogues by format, turns by role and whose they are, and all that was left out."""

    path: str
    formats: Counter[str] = field(default_factory=Counter)
    turns: Counter[tuple[str, str]] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    terms: set[str] = field(default_factory=set)
    damage: str | None = None

    def __str__(self) -> str:
        """Write the report as lines of text."""
        lines = [f"{self.path}"]
        lines += [f"  read     {n:>8,} dialogues as {name}" for name, n in self.formats.most_common()]
        lines += [f"  from     {n:>8,} {name}" for name, n in self.sources.most_common(12)]
        lines += [f"  {role:<9}{n:>8,} turns: {whose}" for (role, whose), n in self.turns.most_common()]
        lines += [f"  dropped  {n:>8,} dialogues: {why}" for why, n in self.dropped.most_common()]
        lines += [f"  left out {n:>8,} {what}" for what, n in self.lost.most_common()]
        lines += [f"  terms    {term}" for term in sorted(self.terms)]
        lines += [f"  stopped  {self.damage}"] if self.damage else []
        return "\n".join(lines)


def read_traces(path: str | Path, *, user: str | None = None) -> pl.LazyFrame:
    """Read a file of dialogues in any of the formats of ``docs/formats``, told apart by content.

    A dialogue is called by its own id where it has one, else ``source|task|trial|trait``; a running number
    keeps the name unique in the file. :func:`report` says what was read as what, and what was left out.

    Parameters
    ----------
    path
        A file, plain or gzipped, or a τ²-bench results folder.
    user
        The speaker who is the user, for SDialog dialogues that do not tell.

    Returns
    -------
    LazyFrame
        One row a message, in file order, with the columns of :data:`SCHEMA`. ``turn`` counts from 0 in a dialogue.

    Raises
    ------
    WorkbenchError
        The file is missing, empty, binary, cut off or malformed (the place is named), its records are no dialogues,
        or nobody in it is a user.
    """
    return pl.concat(batches(path, user=user)).lazy()


def batches(
    path: str | Path, dialogues: int = 2000, *, user: str | None = None, tally: Report | None = None
) -> Iterator[pl.DataFrame]:
    """Read a file as :func:`read_traces` does, a number of dialogues at a time, for files larger than memory.

    ``tally`` is filled while the file is read.

    Yields
    ------
    DataFrame
        The turns of the next dialogues, with the columns of :data:`SCHEMA`; no dialogue is split.

    Raises
    ------
    WorkbenchError
        As :func:`read_traces`; damage when it is reached, a file without users at its end.
    """
    tally = tally or Report(str(path))
    part: list[tuple[str, Dialogue]] = []
    users = False
    for found in _dialogues(Path(path), user, tally):
        users = users or any(role == "user" for role, _ in found[1].messages)
        part.append(found)
        if len(part) == dialogues:
            yield _turns(part)
            part = []
    if not tally.formats:
        why = "; ".join(f"{n} dropped: {reason}" for reason, n in tally.dropped.most_common(3))
        raise WorkbenchError(f"{path} {f'holds no dialogue to read ({why})' if why else 'is empty'}")
    if not users:
        raise WorkbenchError(
            f"{path} holds no user turn at all: measures look at what users say, so check its roles"
        )
    if part:
        yield _turns(part)


def _turns(named: list[tuple[str, Dialogue]]) -> pl.DataFrame:
    """Write dialogues as rows, a message each."""
    facts = {name: [getattr(d, name) for _, d in named] for name in list(SCHEMA)[4:]}
    names = {"dialogue_id": [name for name, _ in named]}
    table = pl.DataFrame(names | facts, schema_overrides={name: SCHEMA[name] for name in facts})
    counts = np.array([len(d.messages) for _, d in named])
    table = table[np.repeat(np.arange(len(named)), counts)]
    said = [message for _, d in named for message in d.messages]
    return table.with_columns(
        turn=np.arange(len(said)) - np.repeat(np.cumsum(counts) - counts, counts),
        role=pl.Series([role for role, _ in said], dtype=pl.String),
        content=pl.Series([text for _, text in said], dtype=pl.String),
    ).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def read_scenarios(path: str | Path, *, user: str | None = None) -> pl.DataFrame:
    """Read what the records of a trace file say about their dialogues beside the messages.

    Returns
    -------
    DataFrame
        One row a dialogue, in file order: dialogue_id (as :func:`read_traces` names it), ``scenario`` (what the
        user was told), ``ended_by`` (in the words of episodes: stop, transfer, out_of_scope) and user_model; null
        where the record does not say.

    Raises
    ------
    WorkbenchError
        The file is missing, binary, cut off or malformed.
    """
    rows = [
        (name, d.scenario, d.ended_by, d.user_model)
        for name, d in _dialogues(Path(path), user, Report(str(path)))
    ]
    schema = ("dialogue_id", "scenario", "ended_by", "user_model")
    return pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.String), orient="row")


def report(path: str | Path, *, user: str | None = None) -> Report:
    """Read a whole file and say what was read, what was left out and why, and which turns are whose.

    A file that is damaged is reported on as far as it can be read, with ``damage`` saying what is wrong.

    Raises
    ------
    WorkbenchError
        Not even one dialogue can be read.
    """
    tally = Report(str(path))
    try:
        for _ in batches(path, user=user, tally=tally):
            pass
    except WorkbenchError as error:
        if not tally.formats:
            raise
        tally.damage = str(error)
    return tally


def _dialogues(path: Path, user: str | None, tally: Report) -> Iterator[tuple[str, Dialogue]]:
    """Yield each dialogue with its name, and count what was read and what was not."""
    taken: Counter[str] = Counter()
    for record, about in records(path):
        about.user = user
        try:
            if isinstance(record, DroppedError):
                raise record
            form = _format(record, about)
            d: Dialogue = form.read(record, about)
            if not d.messages:
                raise DroppedError("no messages")
        except DroppedError as why:
            tally.dropped[str(why)] += 1
            continue
        tally.formats[form.NAME] += 1
        tally.sources[d.source] += 1
        tally.turns.update((role, (_OTHERS | form.WHOSE)[role]) for role, _ in d.messages)
        tally.lost.update({what: n for what, n in d.lost.items() if n})
        of = tau_usi if tau_usi.is_source(d.source) else form  # wherever its texts are kept
        tally.terms.update({of.TERMS} if hasattr(of, "TERMS") else ())
        trial = "" if d.trial is None else str(d.trial)
        yield _unique(d.id or "|".join((d.source, d.task_id or "", trial, d.trait or "")), taken), d


def _format(record: Json, about: About) -> ModuleType:
    found = next((form for form in FORMATS if form.fits(record)), None)
    if found is None:
        raise WorkbenchError(
            f"{about.where} is no dialogue in a format known here (its fields: {', '.join(list(record)[:8]) or 'none'}): "
            "expected 'messages' or 'user' with a list, or one of the formats of docs/formats"
        )
    return found


def _unique(name: str, taken: Counter[str]) -> str:
    unique = name
    while unique in taken:
        taken[name] += 1
        unique = f"{name}#{taken[name]}"
    taken[unique] = 1
    return unique
