"""Trace files: what is read, how it is named, and what a bad file is told."""

from __future__ import annotations

import gzip
import json
import re
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.traces import SCHEMA, batches, read_scenarios, tau2_task_id


def write(path: Path, *records: object) -> Path:
    text = "".join(json.dumps(record) + "\n" for record in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def simulated(**fields: object) -> dict[str, object]:
    messages = [{"role": "assistant", "content": "Hello"}, {"role": "user", "content": "hi"}]
    return {
        "source": "tau2-bench x",
        "domain": "retail",
        "task_id": "96",
        "trial": 1,
        "messages": messages,
    } | fields


def test_a_persons_record_becomes_user_turns(tmp_path):
    file = write(tmp_path / "a.jsonl", {"id": "r1", "source": "tau-usi", "domain": "retail", "task_id": "97",
                                        "reward": 1.0, "survey": {}, "user": ["Hi", "ok"]})  # fmt: skip
    frame = wb.read_traces(file).collect()
    assert dict(frame.schema) == {name: kind() for name, kind in SCHEMA.items()}
    assert frame["role"].to_list() == ["user", "user"]
    assert frame["turn"].to_list() == [0, 1]
    assert frame.row(0, named=True)["tau2_task_id"] == "96"
    assert frame.row(0, named=True)["task_id"] == "97"


def test_a_conversation_keeps_every_role_in_order_gzipped_or_not(tmp_path):
    plain = wb.read_traces(write(tmp_path / "a.jsonl", simulated())).collect()
    packed = wb.read_traces(write(tmp_path / "a.jsonl.gz", simulated())).collect()
    assert plain.equals(packed)
    assert plain.select("turn", "role", "content").rows() == [(0, "assistant", "Hello"), (1, "user", "hi")]
    assert plain["dialogue_id"][0] == "tau2-bench x|96|1|"


def test_names_that_collide_get_a_running_number(tmp_path):
    file = write(tmp_path / "a.jsonl", simulated(), simulated(), simulated(id="b"), simulated(id="b"))
    names = wb.read_traces(file).collect()["dialogue_id"].unique(maintain_order=True).to_list()
    assert names == ["tau2-bench x|96|1|", "tau2-bench x|96|1|#2", "b", "b#2"]


@pytest.mark.parametrize(
    ("number", "domain", "source", "expected"),
    [
        ("94", "retail", "tau-usi", "94"),
        ("95", "retail", "tau-usi", None),
        ("96", "retail", "tau-bench gpt", "95"),
        ("114", "retail", "tau-trait gpt5", "113"),
        ("115", "retail", "tau-trait gpt5", None),
        ("96", "retail", "tau2-bench gpt", "96"),
        ("96", "retail", None, "96"),
        ("0", "airline", "tau-usi", "20"),
        ("49", "airline", "tau-bench gpt", "0"),
        ("0", "airline", "tau2-bench gpt", "0"),
        ("x", "retail", "tau-usi", None),
        ("7", "telecom", "tau-trait gpt5", "7"),
        (None, "retail", "tau-usi", None),
    ],
)
def test_task_numbers_are_translated_where_the_benchmarks_differ(number, domain, source, expected):
    assert tau2_task_id(number, domain, source) == expected


def test_every_number_is_used_once_per_domain():
    for domain, count in (("retail", 114), ("airline", 50)):
        numbers = [
            tau2_task_id(str(n), domain, "tau-bench") for n in range(115 if domain == "retail" else 50)
        ]
        assert sorted(int(n) for n in numbers if n is not None) == list(range(count))


def test_content_that_is_no_string_does_not_crash(tmp_path):
    contents = [
        None,
        7,
        1.5,
        True,
        ["a"],
        [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
        {"a": 1},
    ]
    file = write(tmp_path / "a.jsonl", simulated(messages=[{"role": "user", "content": c} for c in contents]))
    read = wb.read_traces(file).collect()["content"].to_list()
    assert read == ["", "7", "1.5", "true", '["a"]', "x\ny", '{"a": 1}']
    mixed = wb.read_traces(write(tmp_path / "b.jsonl", {"user": [3, None, "ok", "\ud800"]})).collect()
    assert mixed["content"].to_list() == ["3", "", "ok", "?"]


def test_a_record_without_messages_keeps_its_place(tmp_path):
    file = write(tmp_path / "a.jsonl", {"id": "empty", "user": []}, {"id": "full", "user": ["hi"]})
    assert wb.read_traces(file).collect()["dialogue_id"].to_list() == ["empty", "full"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\x00\x01\x02", "binary"),
        (b"\x93NUMPY\x00", "not UTF-8"),
        (b"hello", "line 1 is not JSON"),
        (b'{"user": ["hi"]}\n\n{"user": [', "line 3 is not JSON"),
        (b"[1, 2]", "record 1 is a JSON int"),
        (b"[" * 100_000, "record 1 cannot be parsed"),
        (b'{"text": "hi"}', "its fields: text"),
        (b'{"user": "hi"}', "no list"),
        (b'{"messages": ["hi"]}', "without a role"),
        (b'{"messages": [{"role": "pirate", "content": "arr"}]}', "role 'pirate'"),
        (b'{"messages": [{"role": ["user"], "content": "arr"}]}', "known roles"),
        (b'{"messages": [{"role": "assistant", "content": "hi"}]}', "no user turn at all"),
        (b'{"user": []}', "no user turn at all"),
        (b'{"user": ["hi"], "reward": "good"}', "reward 'good'"),
        (b'{"user": ["hi"], "trial": 0.5}', "trial 0.5"),
        (gzip.compress(b'{"user": ["hi"]}\n' * 999)[:40], "truncated or damaged gzip"),
        (b"\x1f\x8bnot really gzip", "truncated or damaged gzip"),
    ],
)
def test_a_bad_file_gets_one_clear_sentence(tmp_path, content, said):
    file = tmp_path / "bad.jsonl"
    file.write_bytes(content)
    with pytest.raises(WorkbenchError, match=re.escape(said)) as caught:
        wb.read_traces(file)
    assert "bad.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(WorkbenchError, match="does not exist"):
        wb.read_traces(tmp_path / "none.jsonl")
    with pytest.raises(WorkbenchError, match="is a folder"):
        wb.read_traces(tmp_path)


def test_a_byte_order_mark_and_not_a_number_are_forgiven(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"user": ["hi"], "reward": NaN}\r\n')
    assert wb.read_traces(file).collect()["reward"].to_list() == [None]


def test_every_real_file_is_read_whole(traces):
    for file in sorted([*traces.glob("human/*.jsonl"), *traces.glob("simulated/*.jsonl.gz")]):
        raw = file.read_bytes()
        records = [
            json.loads(line) for line in (gzip.decompress(raw) if file.suffix == ".gz" else raw).splitlines()
        ]
        frame = wb.read_traces(file).collect()
        assert frame["dialogue_id"].n_unique() == len(records)
        assert frame.height == sum(len(r.get("messages") or r["user"]) for r in records)
        users = frame.filter(role="user").group_by("dialogue_id", maintain_order=True).len()["len"].to_list()
        mine = [
            sum(m["role"] == "user" for m in r["messages"]) if "messages" in r else len(r["user"])
            for r in records
        ]
        assert users == mine


def scenario_words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+_[a-z]+_\d{4}|\b(?=\w*\d)[A-Z0-9]{6}\b|\b\d{5}\b|#W\d+", text))


def tau2_scenarios(domain: str) -> dict[str, str]:
    tasks = files("inspect_evals").joinpath(f"tau2/data/domains/{domain}/tasks.json").read_text("utf-8")
    return {task["id"]: json.dumps(task["user_scenario"]) for task in json.loads(tasks)}


@pytest.mark.parametrize("domain", ["retail", "airline"])
def test_translated_numbers_name_the_same_scenario_in_tau2_bench(traces, domain):
    scenario = tau2_scenarios(domain)
    name = {"retail": "retail_base_gpt-4o_taubench", "airline": "airline_base_taubench_gpt-4o-agent"}[domain]
    checked = 0
    with gzip.open(traces / "simulated" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            number = tau2_task_id(record["task_id"], domain, record["source"])
            if number is not None:
                facts = scenario_words(record["instruction"])
                assert facts <= scenario_words(scenario[number]), (record["task_id"], number)
                checked += bool(facts)
    assert checked > 100


def test_people_of_an_airline_task_give_the_user_id_of_its_tau2_scenario(traces):
    scenarios = tau2_scenarios("airline").items()
    user = {task: re.findall(r"[a-z]+_[a-z]+_\d{4}", scenario) for task, scenario in scenarios}
    people = wb.read_traces(traces / "human" / "airline.jsonl").collect()
    told = people.with_columns(pl.col("content").str.extract(r"\b([a-z]+_[a-z]+_\d{4})\b").alias("user_id"))
    told = told.filter(pl.col("user_id").is_not_null())
    right = [row["user_id"] in user[row["tau2_task_id"]] for row in told.iter_rows(named=True)]
    assert sum(right) / len(right) > 0.9  # a few people mistype theirs


def test_a_file_read_in_batches_is_the_same_as_read_at_once(tmp_path):
    file = tmp_path / "many.jsonl"
    lines = [json.dumps({"source": "s", "task_id": i % 3, "user": [f"turn {i}", "ok"]}) for i in range(7)]
    file.write_text("\n".join(lines))
    parts = list(batches(file, dialogues=3))
    assert [part["dialogue_id"].n_unique() for part in parts] == [3, 3, 1]
    assert pl.concat(parts).equals(wb.read_traces(file).collect())
    assert pl.concat(parts)["dialogue_id"].n_unique() == 7


def test_a_file_without_users_is_refused_at_its_end(tmp_path):
    file = tmp_path / "mute.jsonl"
    file.write_text(json.dumps({"messages": [{"role": "assistant", "content": "Hi"}]}))
    with pytest.raises(WorkbenchError, match="no user turn"):
        list(batches(file))


def test_scenarios_and_endings_carry_the_names_of_their_dialogues(tmp_path):
    file = tmp_path / "told.jsonl"
    records = [
        {
            "source": "s",
            "task_id": "1",
            "user": ["a"],
            "instruction": "Return it.",
            "end_token": "OUT-OF-SCOPE",
        },
        {"source": "s", "task_id": "1", "user": ["b"], "end_token": "###STOP###", "user_model": "m"},
    ]
    file.write_text("\n".join(map(json.dumps, records)))
    told = read_scenarios(file)
    assert (
        told["dialogue_id"].to_list()
        == wb.read_traces(file).collect()["dialogue_id"].unique(maintain_order=True).to_list()
    )
    assert told.drop("dialogue_id").rows() == [("Return it.", "out_of_scope", None), (None, "stop", "m")]
