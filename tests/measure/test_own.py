"""References of one's own: built from traces, split by task, written and opened again."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.measure import FEATURES, own
from workbench.measure.fingerprint import fingerprint
from workbench.traces import read_traces

BAKERY = Path(__file__).parents[2] / "docs/formats/examples/bakery"
PEOPLE, SIMULATED = [BAKERY / "people.jsonl"], [BAKERY / "simulated.jsonl"]


def invented(path: Path, count: int, **more: object) -> Path:
    lines = [json.dumps({"user": [f"hello {n}", "a b " * n]} | more) for n in range(count)]
    path.write_text("\n".join(lines))
    return path


def test_fingerprints_are_those_of_the_dialogues():
    made, _ = own.build(PEOPLE, SIMULATED)
    prints = fingerprint(read_traces(PEOPLE[0])).sort("dialogue_id")
    assert made.humans.select("dialogue_id", *FEATURES).equals(prints.select("dialogue_id", *FEATURES))
    assert made.domain == "bakery"


def test_no_task_stands_on_both_sides():
    made, _ = own.build(PEOPLE, SIMULATED)
    for frame in (made.humans, made.simulators):
        sides = frame.group_by("tau2_task_id").agg(pl.col("split").n_unique())
        assert sides["split"].to_list() == [1] * len(sides)
        assert frame.filter(split="test")["tau2_task_id"].unique().sort().to_list() == sorted(
            t for t in frame["tau2_task_id"].unique() if own.split_of(t) == "test"
        )


def test_an_official_split_is_kept_to_and_what_it_lacks_is_on_neither_side():
    sides = {f"b{n:02d}": "test" if n % 2 else "train" for n in range(1, 16)}
    made, _ = own.build(PEOPLE, SIMULATED, official={"bakery": sides})
    found = dict(made.humans.select("tau2_task_id", "split").unique().iter_rows())
    assert found == sides | {"b16": None}


def test_dialogues_without_tasks_are_split_one_by_one(tmp_path):
    people, simulated = (invented(tmp_path / name, 60) for name in ("p.jsonl", "s.jsonl"))
    made, _ = own.build([people], [simulated])
    assert made.domain is None
    assert 5 < len(made.humans.filter(split="test")) < 35
    assert made.humans["tau2_task_id"].n_unique() == 60


def test_the_same_names_in_two_files_are_told_apart(tmp_path):
    files = [invented(tmp_path / name, 30) for name in ("a.jsonl", "b.jsonl")]
    for file in files:
        file.write_text(file.read_text().replace('{"user"', '{"source": "s", "user"'))
    made, _ = own.build(files, [invented(tmp_path / "c.jsonl", 40)])
    assert made.humans["dialogue_id"].n_unique() == 60


def test_users_who_said_nothing_are_left_out_and_counted(tmp_path):
    file = invented(tmp_path / "p.jsonl", 40)
    file.write_text(file.read_text() + '\n{"user": []}\n{"user": [""]}')
    made, reports = own.build([file], [invented(tmp_path / "s.jsonl", 40)])
    assert len(made.humans) == 40
    assert reports[0].lost == {"dialogues whose user said nothing": 2}


def test_several_domains_ask_which(tmp_path):
    other = invented(tmp_path / "other.jsonl", 40, domain="garden")
    with pytest.raises(WorkbenchError, match="bakery, garden; name the one to keep with --domain"):
        own.build([*PEOPLE, other], SIMULATED)
    made, _ = own.build([*PEOPLE, other], SIMULATED, domain="bakery")
    assert len(made.humans) == 32


def test_too_few_dialogues_are_told(tmp_path):
    with pytest.raises(WorkbenchError, match="two at least are needed on each"):
        own.build([invented(tmp_path / "p.jsonl", 2)], SIMULATED)


def test_a_reference_is_written_and_opened_again(tmp_path):
    made, _ = own.build(PEOPLE, SIMULATED)
    own.write(made, tmp_path / "ref")
    own.write(made, tmp_path / "ref")  # in its own place again
    again = own.load(tmp_path / "ref")
    assert again.humans.equals(made.humans) and again.simulators.equals(made.simulators)
    assert again.domain == "bakery"
    assert 0.5 < again.held_out()["auc"] <= 1
    assert own.digest(tmp_path / "ref") == own.digest(tmp_path / "ref")


def test_a_reference_holds_no_words(tmp_path):
    own.write(own.build(PEOPLE, SIMULATED)[0], tmp_path / "ref")
    said = {line["messages"][1]["content"] for line in map(json.loads, PEOPLE[0].read_text().splitlines())}
    for file in (tmp_path / "ref").glob("*.parquet"):
        frame = pl.read_parquet(file)
        texts = {str(v) for name in frame.columns for v in frame[name]}
        assert not said & texts


def test_what_is_no_reference_is_told(tmp_path):
    with pytest.raises(WorkbenchError, match="is no reference; build one"):
        own.load(tmp_path)
    own.write(own.build(PEOPLE, SIMULATED)[0], tmp_path / "ref")
    (tmp_path / "ref" / "humans.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(WorkbenchError, match="is damaged"):
        own.load(tmp_path / "ref")
    (tmp_path / "x.txt").write_text("mine")
    with pytest.raises(WorkbenchError, match="is no reference; name another folder"):
        own.write(own.build(PEOPLE, SIMULATED)[0], tmp_path)


def test_the_command_prints_the_held_out_auc(tmp_path, capsys):
    given = ["--human", str(PEOPLE[0]), "--simulated", str(SIMULATED[0])]
    assert main(["reference", *given, "-o", str(tmp_path / "ref")]) == 0
    assert "held out   ROC-AUC" in capsys.readouterr().out
    assert main(["reference", *given, "--tasks", str(BAKERY / "none.jsonl"), "-o", str(tmp_path / "r")]) == 2


def test_airline_people_are_split_as_in_the_shipped_reference(traces, tmp_path, capsys):
    from workbench.measure.reference import humans

    given = ["--human", str(traces / "human/airline.jsonl")]
    given += ["--simulated", str(traces / "simulated/airline_base_gpt-4o_tau2.jsonl.gz")]
    assert main(["reference", *given, "-o", str(tmp_path / "ref")]) == 0
    mine = own.load(tmp_path / "ref").humans.select("dialogue_id", "tau2_task_id", "split")
    assert mine.equals(humans("airline").select(mine.columns).sort("dialogue_id"))
