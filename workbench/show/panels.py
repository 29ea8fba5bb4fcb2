"""The Goodhart panel of a run: every condition beside held-out people and the rule-based editor."""

from __future__ import annotations

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.measure.discriminator import Discriminator
from workbench.measure.editor import edit
from workbench.measure.fresh import Embed
from workbench.measure.panel import EDITOR, dossier, panel
from workbench.simulate import tau2


def run_panel(
    run: Run, *, people: pl.DataFrame | None = None, embed: Embed | None = None, seed: int = 0
) -> pl.DataFrame:
    """Judge a run's conditions by what its search never saw (:func:`workbench.measure.panel.panel`).

    Parameters
    ----------
    run
        One that was evaluated, the base simulator included.
    people
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
    humans = run.humans.with_columns(task_id=pl.coalesce("tau2_task_id", "dialogue_id"))
    if people is not None:
        humans = humans.join(people.select("dialogue_id", "text", "fault"), on="dialogue_id", how="left")
    seen, fresh = (humans.filter(split=part) for part in ("train", "test"))
    forest = Discriminator.fit(seen, run.frame("conditions/base_train", "fingerprints"))
    return panel(
        {EDITOR: _dossier(run, "base", control=True), **conditions},
        forest,
        seen,
        fresh,
        embed=embed,
        seed=seed,
    )


def _dossier(run: Run, name: str, *, control: bool) -> pl.DataFrame:
    """Gather a condition's finished dialogues; as ``control``, what the editor makes of them."""
    told = {task_id: task.context for task_id, task in tau2.load(run.settings.domain).tasks.items()}
    episodes = run.frame(f"conditions/{name}", "episodes").filter(pl.col("error").is_null())
    scenario = pl.col("task_id").replace_strict(told, default=None, return_dtype=pl.String)
    turns = run.frame(f"conditions/{name}", "turns").join(
        episodes.select("dialogue_id"), on="dialogue_id", how="semi"
    )
    about = episodes.select("dialogue_id", "ended_by", scenario=scenario)
    return dossier(edit(turns) if control else turns, about)
