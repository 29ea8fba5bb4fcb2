"""The shipped human reference: complete, figures only, and what the traces give."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import polars as pl
import pytest

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.reference import ANSWERS, COLUMNS, DATA, DOMAINS, SIMULATED, SURVEY, humans, simulators


@pytest.mark.parametrize(("domain", "people"), [("retail", 68), ("airline", 50)])
def test_each_domain_has_its_people_with_task_source_and_split(domain, people):
    table = humans(domain)
    assert table.columns == list(COLUMNS)
    assert table.height == people
    assert table["dialogue_id"].is_unique().all()
    assert set(table["source"]) == {"tau-usi"}
    assert table.filter(pl.col("split").is_null()).equals(table.filter(pl.col("tau2_task_id").is_null()))
    tasks = table.group_by("tau2_task_id").agg(pl.col("split").n_unique())
    assert tasks["split"].max() == 1, "a task is on one side only"
    assert table.filter(split="train").height > 20
    assert table.filter(split="test").height > 20
    assert all(kind == pl.Float64 for kind in table.select(FEATURES).dtypes)


def test_an_unknown_domain_is_told_which_are_known():
    with pytest.raises(WorkbenchError, match=r"'telecom'.*airline, retail"):
        humans("telecom")


def test_the_reference_is_what_its_script_makes_of_the_traces(traces):
    script = runpy.run_path(str(DATA / "make_reference.py"))
    for domain in DOMAINS:
        assert script["reference"](traces, domain).equals(humans(domain))
    assert script["simulators"](traces, "airline").equals(simulators("airline"))


def test_peoples_success_and_answers_are_figures():
    people = pl.concat([humans(domain) for domain in DOMAINS])
    assert set(people["reward"]) == {0.0, 1.0}
    assert people["reward"].sum() == 72
    for name, options in zip(ANSWERS, SURVEY.values(), strict=True):
        assert people[name].is_between(0, len(options) - 1).all(), name
    counts = people["survey_overall"].value_counts().sort("survey_overall")["count"]
    assert counts.to_list() == [2, 9, 34, 43, 30]


@pytest.mark.parametrize(("domain", "dialogues", "files"), [("retail", 1120, 5), ("airline", 729, 5)])
def test_simulators_are_shipped_as_found_and_edited(domain, dialogues, files):
    table = simulators(domain)
    assert table.columns == list(SIMULATED)
    assert set(table["domain"]) == {domain}
    assert table["file"].n_unique() == files
    found, edited = (table.filter(variant=variant) for variant in ("as_found", "edited"))
    assert len(found) == len(edited) == dialogues
    assert found["dialogue_id"].to_list() == edited["dialogue_id"].to_list()
    assert edited["words_per_turn"].mean() < 0.7 * found["words_per_turn"].mean()


def test_no_sentence_of_anybody_is_shipped():
    for file in sorted(DATA.glob("human/*")):
        with Path(file).open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                assert all(" " not in value for value in row.values()), file


def test_the_papers_tables_are_all_there():
    names = {file.name for file in DATA.glob("paper/*.csv")}
    assert len(names) == 5
    table = pl.read_csv(DATA / "paper" / "table_simulators.csv")
    assert table.height == 35  # 5 conditions, 3 simulators in 2 domains, one of them in both together
    weighed = (table["human_likeness"] + table["coverage"]) / 2
    assert (weighed - table["score"]).abs().max() < 0.00051  # as printed, to three digits
