"""The Goodhart panel of a run: every condition beside held-out people and the rule-based editor."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run
from workbench.evolve.scoring import simulated
from workbench.evolve.start import tasks_of
from workbench.measure import usi
from workbench.measure.discriminator import Discriminator
from workbench.measure.editor import edit
from workbench.measure.fresh import Embed
from workbench.measure.panel import EDITOR, dossier, panel
from workbench.measure.reference import humans, simulators
from workbench.measure.userlm import first_turn_diversity, intent_overlap
from workbench.show import people
from workbench.simulate import tau2
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


def trace_indices(folder: str | Path, domain: str) -> pl.DataFrame:
    """Judge the base simulators of a domain by two neighbors' measures, which need the dialogues themselves.

    Columns: who; D1 to D4, 1-ECE and USI of arXiv:2603.11245 with this project's lists, in percent (five terms: simulators
    answered no survey; difficulty is pooled over tasks with five runs or more); first_turn_diversity and
    intent_overlap of arXiv:2510.06552, people's beside them.
    """
    told = {task_id: task.context for task_id, task in tau2.load(domain).tasks.items()}
    scenario = pl.col("tau2_task_id").replace_strict(told, default=None, return_dtype=pl.String)
    key = {"task": "tau2_task_id"}
    known = simulators(domain).filter(pl.col("trait").is_null(), variant="as_found")
    difficulty = usi.pooled_difficulty(known, at_least=5, **key)
    files = {"people": Path(folder) / "human" / f"{domain}.jsonl"}
    files |= {
        people.label(name): Path(folder) / "simulated" / f"{name}.jsonl.gz" for name in people.names(domain)
    }
    rows, persons = [], pl.DataFrame()
    for who, path in files.items():
        turns = read_traces(path).collect()
        about = turns.unique("dialogue_id").select("dialogue_id", "tau2_task_id", "reward", scenario=scenario)
        prints = usi.fingerprint_usi(turns).join(about, on="dialogue_id").sort("dialogue_id")
        row: dict[str, str | float] = {"who": who}
        if who == "people":
            persons = prints
        else:
            terms = usi.dice_usi(prints, persons, **key)
            terms["1-ECE"] = 100 * (1 - usi.calibration_error(prints, persons, difficulty, **key))
            row.update(terms, USI=usi.usi(terms))
        words = {
            "first_turn_diversity": first_turn_diversity(turns),
            "intent_overlap": intent_overlap(turns, about),
        }
        rows.append({**row, **words})
    columns = ("who", "D1", "D2", "D3", "D4", "1-ECE", "USI", *words)
    return pl.DataFrame(rows, infer_schema_length=None).select(columns)


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
