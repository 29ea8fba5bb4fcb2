"""Logs written by inspect_ai itself, with its mock model, are read as the conversations they hold."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.traces import read_scenarios, report

SAYS = "Hello, I want to cancel a booking.", "Never mind, thank you. ###STOP###"


def mock(*texts: str):
    """A mock model that says these; it is given its usage, since counting tokens would want the network."""
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    outputs = [ModelOutput.from_content("mockllm/user", text) for text in texts]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return get_model("mockllm/user", custom_outputs=outputs, memoize=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def airline(folder) -> Path:
    """One task of the airline benchmark, played by two mock models."""
    from inspect_ai import eval as run
    from inspect_evals.tau2 import tau2_airline

    logs = run(
        tau2_airline(shuffle=False),
        model=mock("Which booking is it?"),
        model_roles={"user": mock(*SAYS)},
        limit=1,
        log_dir=str(folder),
        display="none",
    )
    return Path(logs[0].location.removeprefix("file://"))


@pytest.fixture(scope="module")
def plain(folder) -> Path:
    """A task of one's own: the log's user is the user."""
    from inspect_ai import Task
    from inspect_ai import eval as run
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes

    samples = [
        Sample(input="What is 2 + 2?", target="4", id="sum"),
        Sample(input="And 3?", target="x", id="b"),
    ]
    task = Task(name="sums", dataset=samples, scorer=includes())
    log = run(
        task, model=mock(*["It is 5."] * 4), log_dir=str(folder), log_format="json", display="none", epochs=2
    )[0]
    return Path(log.location.removeprefix("file://"))


def test_in_a_tau2_log_the_customer_is_the_user(airline):
    frame = wb.read_traces(airline).collect()
    assert frame.select("role", "content").rows() == [
        ("user", SAYS[0]),
        ("assistant", "Which booking is it?"),
        ("user", "Never mind, thank you."),
    ]
    row = frame.row(0, named=True)
    assert (row["domain"], row["task_id"], row["trial"]) == ("airline", "0", 1)
    assert row["reward"] in (0.0, 1.0)


def test_a_tau2_log_without_its_store_is_read_from_the_customers_side(airline, tmp_path):
    from inspect_ai.log import read_eval_log, write_eval_log

    log = read_eval_log(str(airline))
    assert log.samples
    log.samples[0].store = {}
    write_eval_log(log, str(tmp_path / "bare.json"))
    assert wb.read_traces(tmp_path / "bare.json").collect().equals(wb.read_traces(airline).collect())
    log.samples[0].messages = []  # it broke before the first one
    write_eval_log(log, str(tmp_path / "broken.json"))
    with pytest.raises(WorkbenchError, match="1 dropped: no messages"):
        wb.read_traces(tmp_path / "broken.json")


def test_a_tau2_log_tells_scenario_ending_and_user_model(airline):
    told = read_scenarios(airline).row(0, named=True)
    assert "Reason for call" in told["scenario"]
    assert told["ended_by"] == "stop"
    assert told["user_model"] == "mockllm/user"


def test_any_other_log_is_read_as_it_stands_with_epochs_as_trials(plain):
    frame = wb.read_traces(plain).collect()
    first = frame.filter(task_id="sum", trial=2)
    assert first["role"].to_list() == ["user", "assistant"]
    assert first["content"][0] == "What is 2 + 2?"
    assert first["reward"].unique().to_list() == [0.0]
    assert report(plain).formats == {"inspect log": 4}


def test_a_log_cut_off_gets_a_sentence(airline, tmp_path):
    cut = tmp_path / "cut.eval"
    cut.write_bytes(airline.read_bytes()[:-200])
    with pytest.raises(WorkbenchError, match="cannot be read as an inspect log") as caught:
        wb.read_traces(cut)
    assert "\n" not in str(caught.value)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("a.txt", "nothing")
    with pytest.raises(WorkbenchError, match="cannot be read as an inspect log"):
        wb.read_traces(tmp_path / "other.zip")


def test_what_only_begins_like_a_log_gets_a_sentence(tmp_path):
    (tmp_path / "fake.json").write_text('{"version": 2, "status": "success"}')
    with pytest.raises(WorkbenchError, match="cannot be read as an inspect log"):
        report(tmp_path / "fake.json")
