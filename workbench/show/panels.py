"""The Goodhart panel of a run: every condition beside held-out people and the rule-based editor."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.evolve.scoring import simulated
from workbench.evolve.start import tasks_of
from workbench.measure.discriminator import Discriminator
from workbench.measure.editor import edit
from workbench.measure.fresh import Embed
from workbench.measure.panel import EDITOR, dossier, panel
from workbench.measure.reference import humans, simulators
from workbench.show import people
from workbench.traces import read_scenarios, read_traces

SHOWN = (
    *(
        "condition",
        "n",
        "faulty",
        "human_likeness",
        "human_likeness_sound",
        "coverage",
        "forest_auc",
        "ngram_auc",
    ),
    *("embedding_auc", "frechet", "density_js", "precision", "recall", "mark"),
)


def run_panel(
    run: Run, *, persons: pl.DataFrame | None = None, embed: Embed | None = None, seed: int = 0
) -> pl.DataFrame:
    """Judge a run's conditions by what its search never saw (:func:`workbench.measure.panel.panel`).

    Parameters
    ----------
    run
        One that was evaluated, the base simulator included.
    persons
        People's :func:`~workbench.measure.panel.dossier`, where their words are at hand: without it only features are compared.
    embed, seed
        As for ``panel``.

    Returns
    -------
    DataFrame
        One row a condition: people, editor, then those of the run.

    Raises
    ------
    WorkbenchError
        The base simulator was not evaluated.
    """
    found = [name for name in run.conditions if name != "humans"]
    if "base" not in found:
        raise WorkbenchError(
            f"The run {run.path} has no base condition yet; run 'workbench evaluate {run.path}'."
        )
    conditions = {name: _dossier(run, name, control=False) for name in found}
    known = run.humans.with_columns(task_id=pl.coalesce("tau2_task_id", "dialogue_id"))
    if persons is not None:
        known = known.join(persons.select("dialogue_id", "text", "fault"), on="dialogue_id", how="left")
    seen, fresh = (known.filter(split=part) for part in ("train", "test"))
    forest = Discriminator.fit(seen, simulated(run.path))
    return panel(
        {EDITOR: _dossier(run, "base", control=True), **conditions},
        forest,
        seen,
        fresh,
        embed=embed,
        seed=seed,
    )


def trace_panel(folder: str | Path, domain: str, file: str) -> pl.DataFrame:
    """Judge a base simulator and the editor applied to it on test tasks, words included.

    Parameters
    ----------
    folder
        Where the dialogues themselves are (``WORKBENCH_TRACES``).
    domain, file
        Such as ``"airline"`` and one of :func:`workbench.show.people.names`.

    Returns
    -------
    DataFrame
        One row a measure, a column a condition: people, base, editor.
    """
    path = Path(folder) / "simulated" / f"{file}.jsonl.gz"
    turns, told = read_traces(path).collect(), read_scenarios(path)
    persons = dossier(read_traces(Path(folder) / "human" / f"{domain}.jsonl").collect())
    persons = persons.join(humans(domain).select("dialogue_id", "split"), on="dialogue_id")
    tested = simulators(domain).filter(split="test")["tau2_task_id"].unique()
    sides = {"base": dossier(turns, told), EDITOR: dossier(edit(turns), told)}
    sides = {name: frame.filter(pl.col("task_id").is_in(tested.implode())) for name, frame in sides.items()}
    seen, fresh = (persons.filter(split=part) for part in ("train", "test"))
    table = panel(sides, people.forest(domain, file), seen, fresh).select(SHOWN)
    rounded = table.with_columns(
        pl.col(pl.Float64).round(2).cast(pl.String), pl.col(pl.Int64).cast(pl.String)
    )
    return rounded.transpose(include_header=True, header_name="measure", column_names="condition")


def _dossier(run: Run, name: str, *, control: bool) -> pl.DataFrame:
    """Gather a condition's finished dialogues; as ``control``, what the editor makes of them."""
    told = {name: task.context for name, task in tasks_of(run).items()}
    episodes = run.frame(f"conditions/{name}", "episodes").filter(pl.col("error").is_null())
    scenario = pl.col("task_id").replace_strict(told, default=None, return_dtype=pl.String)
    turns = run.frame(f"conditions/{name}", "turns").join(
        episodes.select("dialogue_id"), on="dialogue_id", how="semi"
    )
    about = episodes.select("dialogue_id", "ended_by", scenario=scenario)
    return dossier(edit(turns) if control else turns, about)
