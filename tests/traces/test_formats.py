"""Readers of other tools' files, each against a small file written by hand in that tool's shape."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.traces import read_scenarios, report

FIXTURES = Path(__file__).parent / "fixtures"


def said(frame: pl.DataFrame, dialogue: str) -> list[tuple[str, str]]:
    return frame.filter(dialogue_id=dialogue).select("role", "content").rows()


def read(name: str) -> pl.DataFrame:
    return wb.read_traces(FIXTURES / name).collect()


def test_tau_usi_keeps_speech_and_tool_results_and_nothing_else():
    assert said(read("tau_usi.json"), "retail_12") == [
        ("assistant", "Hello. What can I do for you?"),
        ("user", "the kettle came broken"),
        ("assistant", "Sorry to hear that. Your user id, please?"),
        ("user", "ada_moss_1234"),
        ("tool", '{"orders": ["#W1234567"]}'),
        ("assistant", "One moment.\n\nShall I return the kettle of #W1234567?"),
        ("user", "yes pls"),
        ("assistant", "Done, the kettle is on its way back."),
    ]


def test_tau_usi_ends_where_people_typed_stop_in_their_ways():
    frame = read("tau_usi.json")
    assert said(frame, "retail_12_ann2")[-1] == ("assistant", "Which order?")  # "d /stop"
    assert said(frame, "airline_3")[-1] == ("user", "thanks")  # "thanks /stop"
    assert said(frame, "airline_4")[-1] == ("assistant", "?")  # "stop", and what follows is no speech


def test_tau_usi_tells_scenario_task_and_terms():
    row = read("tau_usi.json").filter(dialogue_id="airline_3").row(0, named=True)
    assert (row["source"], row["domain"], row["task_id"], row["tau2_task_id"]) == (
        "tau-usi",
        "airline",
        "3",
        "21",
    )
    scenario = read_scenarios(FIXTURES / "tau_usi.json")["scenario"][0]
    assert scenario.startswith("You play a customer") and scenario.endswith("order #W1234567.")
    assert "never for training" in str(report(FIXTURES / "tau_usi.json"))


def test_tau_usi_counts_what_it_drops():
    found = report(FIXTURES / "tau_usi.json")
    assert found.dropped == {"marked 'keep: false' by its makers": 1, "the person said nothing": 1}
    assert found.lost["commands to a program, no speech"] == 8  # \tau and /stop of each


def test_tau_bench_hides_what_the_user_never_saw():
    assert said(read("tau_bench.json"), "tau-bench|96|0|")[1:] == [
        ("user", "Hello, I want a green lamp instead of mine."),
        ("tool", "ben_oak_1"),
        ("assistant", "Shall I exchange it?"),
        ("user", "Yes, do."),
        ("assistant", "Done."),
        ("user", "Thanks."),
    ]


def test_tau_bench_takes_results_that_stand_as_user_messages_for_tool_results():
    assert ("tool", "API output: error") in said(read("tau_bench.json"), "tau-bench|0|1|")


def test_tau_bench_finds_its_domain_in_the_prompt_and_translates_the_number():
    row = read("tau_bench.json").row(0, named=True)
    assert (row["domain"], row["task_id"], row["tau2_task_id"]) == ("retail", "96", "95")


@pytest.mark.parametrize("name", ["tau2.json", "tau2_folder"])
def test_tau2_results_read_the_same_from_one_file_and_from_a_folder(name):
    frame = read(name)
    assert said(frame, "tau2-bench big-agent|7|0|") == [
        ("assistant", "Hi! How can I help you today?"),
        ("user", "Please cancel ABC123."),
        ("tool", "cancelled"),
        ("assistant", "It is cancelled."),
    ]
    assert frame.select("domain", "tau2_task_id", "trial", "reward").unique().sort("trial").rows() == [
        ("airline", "7", 0, 1.0),
        ("airline", "7", 1, 0.0),
    ]
    told = read_scenarios(FIXTURES / name)
    assert told["ended_by"].to_list() == ["stop", "transfer"]
    assert told["user_model"].unique().to_list() == ["small-user"]
    assert "Reason for call: Cancel reservation ABC123." in told["scenario"][0]


def test_a_damaged_file_of_a_results_folder_is_counted():
    assert report(FIXTURES / "tau2_folder").dropped == {
        "no messages (infrastructure_error)": 1,
        "a file that is no JSON, or was cut off": 1,
    }


def test_ppol_baselines_in_both_their_shapes(tmp_path):
    frame = read("ppol.json")
    assert said(frame, "ppol|6||") == [("user", "hello"), ("assistant", "Yes?")]
    assert frame.filter(dialogue_id="ppol|5||")["domain"].unique().to_list() == ["retail"]
    listed = tmp_path / "trajectories.json"
    episodes = json.loads((FIXTURES / "ppol.json").read_text())["episodes"]
    listed.write_text(json.dumps([e | {"domain": "retail"} for e in episodes]))
    assert wb.read_traces(listed).collect().equals(frame)


def test_sdialog_roles_follow_names_and_personas():
    frame = read("sdialog.json")
    assert [role for role, _ in said(frame, "d-1")] == ["user", "assistant", "user"]
    assert [role for role, _ in said(frame, "d-2")] == ["user", "assistant"]


def test_an_sdialog_speaker_may_be_named():
    frame = wb.read_traces(FIXTURES / "sdialog.json", user="Hanna").collect()
    assert said(frame, "d-3") == [("assistant", "Hello."), ("user", "Hello you.")]
    assert report(FIXTURES / "sdialog.json", user="Hanna").dropped == {"no speaker is called 'Hanna'": 2}


def test_realusersim_records_are_real_users_with_their_goal():
    assert [role for role, _ in said(read("realusersim.jsonl"), "h1")] == ["user", "assistant", "user"]
    assert read_scenarios(FIXTURES / "realusersim.jsonl")["scenario"].to_list() == ["A tent for two, light."]


def test_a_single_record_a_list_and_lines_read_alike(tmp_path):
    records = json.loads((FIXTURES / "sdialog.json").read_text())[:2]
    shapes = {
        "one.json": json.dumps(records[0], indent=2),
        "list.json": json.dumps(records[:1]),
        "lines.jsonl": json.dumps(records[0]) + "\n",
    }
    frames = []
    for name, text in shapes.items():
        (tmp_path / name).write_text(text)
        frames.append(wb.read_traces(tmp_path / name).collect())
    assert frames[0].equals(frames[1]) and frames[1].equals(frames[2])


def test_lines_of_several_formats_in_one_file_are_each_read_as_what_they_are(tmp_path):
    file = tmp_path / "mixed.jsonl"
    sdialog = json.loads((FIXTURES / "sdialog.json").read_text())[0]
    file.write_text((FIXTURES / "chat.jsonl").read_text() + json.dumps(sdialog) + "\n")
    assert report(file).formats == {"chat JSONL": 3, "SDialog dialogues": 1}


@pytest.mark.parametrize("name", ["tau_usi.json", "tau_bench.json", "tau2.json", "ppol.json", "sdialog.json"])
def test_a_file_cut_off_gives_what_could_be_read_and_says_where_it_ends(tmp_path, name):
    whole = (FIXTURES / name).read_text()
    file = tmp_path / "cut.json"
    file.write_text(whole[: int(len(whole) * 0.75)])
    with pytest.raises(WorkbenchError, match=r"record \d+ is (cut off|missing)"):
        wb.read_traces(file)
    found = report(file)
    assert 0 < found.formats.total() <= report(FIXTURES / name).formats.total()
    assert found.damage is not None and "stopped" in str(found)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"profiles": [1, 2]}', "its fields: profiles"),
        ('{"simulations": []}', "is empty"),
        ('{"simulations": [3]}', "JSON int"),
        ('{"a": 1 "b": 2}', r"not followed by '}' but by '\"'|not JSON"),
        ('[{"messages": []}, {"messages"', "record 2 is cut off"),
        ('{"task_id": "1", "termination_reason": "timeout", "messages": []}', "no messages"),
    ],
)
def test_json_that_holds_no_dialogues_gets_a_sentence(tmp_path, content, why):
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(WorkbenchError, match=why):
        wb.read_traces(file)


def test_a_zip_and_a_folder_that_are_no_log_get_a_sentence(tmp_path):
    (tmp_path / "x.eval").write_bytes(b"PK\x03\x04 no real zip")
    with pytest.raises(WorkbenchError, match="cannot be read as an inspect log"):
        wb.read_traces(tmp_path / "x.eval")
    with pytest.raises(WorkbenchError, match=r"without results\.json"):
        wb.read_traces(tmp_path)
