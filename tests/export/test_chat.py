from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from foreign_runs import ppol_run
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run, open_run
from workbench.export import export
from workbench.export.chat import Dialogue, turns
from workbench.simulate.tau2 import GREETING
from workbench.traces import read_traces

Messages = list[dict[str, str]]
FIXTURES = Path(__file__).parents[1] / "traces" / "fixtures"


def lines(path: Path) -> list[Messages]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(set(record) == {"messages"} for record in found)
    return [record["messages"] for record in found]


def keeps_the_rules(messages: Messages) -> bool:
    """A system message or the user first, then user and assistant in turn, the assistant last; nothing blank."""
    roles = [m["role"] for m in messages if m["role"] != "system"]
    first = all(m["role"] != "system" for m in messages[1:])
    turn = roles == ["user", "assistant"] * (len(roles) // 2)
    return first and turn and bool(roles) and all(m["content"].strip() for m in messages)


def test_the_agent_learns_its_own_turns_under_its_own_prompt(run: Run, tmp_path: Path) -> None:
    done = export(run, "chat", tmp_path / "train.jsonl")
    found = lines(tmp_path / "train.jsonl")
    episodes = run.frame("conditions/evolved", "episodes").sort("dialogue_id")
    assert done.records == len(found) == len(episodes)
    assert all(keeps_the_rules(messages) for messages in found)
    assert [m[0]["content"] for m in found] == episodes["agent_prompt"].to_list()
    said = run.frame("conditions/evolved", "turns").filter(role="user")["content"].to_list()
    assert all(
        part in said for m in found for t in m if t["role"] == "user" for part in t["content"].split("\n\n")
    )


def test_the_simulator_learns_the_users_turns_and_when_to_stop(run: Run, tmp_path: Path) -> None:
    export(run, "chat-user", tmp_path / "user.jsonl")
    found = lines(tmp_path / "user.jsonl")
    episodes = run.frame("conditions/evolved", "episodes").sort("dialogue_id")
    policies = run.frame("conditions/evolved", "personas")["policy"].to_list()
    assert all(keeps_the_rules(messages) for messages in found)
    for messages, episode in zip(found, episodes.to_dicts(), strict=True):
        assert messages[0]["content"] == episode["user_prompt"]
        assert any(messages[0]["content"].endswith(policy) for policy in policies)
        assert messages[1] == {"role": "user", "content": GREETING}
        if episode["ended_by"] == "stop":
            assert messages[-1]["content"].endswith("###STOP###")
    assert {e["ended_by"] for e in episodes.to_dicts()} & {"stop", "transfer"}


def test_what_was_changed_is_counted_beside_the_file(run: Run, tmp_path: Path) -> None:
    done = export(run, "chat", tmp_path / "train.jsonl")
    about = json.loads((tmp_path / "train.jsonl.about.json").read_text())
    frames = {name: run.frame("conditions/evolved", name) for name in ("episodes", "turns")}
    assert about["dialogues"] == sorted(frames["episodes"]["dialogue_id"].to_list())
    assert about["learner"] == "agent" and about["run_id"] == run.run_id
    tools = frames["turns"].filter((pl.col("role") == "tool") | pl.col("tool_calls").is_not_null())
    assert about["changed"]["tool calls and results cut"] == len(tools) > 0
    assert done.counts == about["changed"]


def test_only_successful_conversations(small: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(small, tmp_path / "copy")
    file = copy / "conditions" / "evolved" / "episodes.parquet"
    episodes = pl.read_parquet(file).with_row_index()
    outcome = pl.col("index").replace_strict({0: True, 1: False, 2: None, 3: True})
    failed = pl.when(pl.col("index") == 3).then(pl.lit("the endpoint was down"))
    episodes = episodes.with_columns(success=outcome, error=failed).drop("index")
    episodes.write_parquet(file)
    done = export(copy, "chat", tmp_path / "train.jsonl", successful=True)
    about = json.loads((tmp_path / "train.jsonl.about.json").read_text())
    assert about["dialogues"] == [episodes["dialogue_id"][0]]
    assert done.counts["conversations left out: no success"] == 2
    assert done.counts["conversations left out: they failed"] == 1


@pytest.mark.parametrize(("form", "flip"), [("chat", False), ("chat-user", True)])
def test_what_is_written_is_read_back(form: str, flip: bool, run: Run, tmp_path: Path) -> None:
    export(run, form, tmp_path / "out.jsonl")
    back = read_traces(tmp_path / "out.jsonl").collect()
    by_dialogue = back.group_by("dialogue_id", maintain_order=True).agg("role", "content")
    found = lines(tmp_path / "out.jsonl")
    assert by_dialogue["role"].to_list() == [[m["role"] for m in messages] for messages in found]
    assert by_dialogue["content"].to_list() == [[m["content"] for m in messages] for messages in found]
    kept = run.frame("conditions/evolved", "turns").filter(role="user")["content"].to_list()
    said = back.filter(role="assistant" if flip else "user")["content"].to_list()
    assert sum(text.removesuffix(" ###STOP###") in kept for text in said) >= len(said) - 4


def test_a_file_of_traces_is_exported_and_read_back(tmp_path: Path) -> None:
    source = [
        {"messages": [{"role": "system", "content": "Sell."}, {"role": "user", "content": "two\u2028rolls"},
                      {"role": "assistant", "content": "Here."}, {"role": "user", "content": "thanks"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]},
        {"messages": [{"role": "user", "content": "alone"}]},
    ]  # fmt: skip
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, source)))
    done = export(tmp_path / "mine.jsonl", "chat", tmp_path / "out.jsonl")
    assert [[m["content"] for m in messages] for messages in lines(tmp_path / "out.jsonl")] == [
        ["Sell.", "two\u2028rolls", "Here."], ["a\n\nb", "c"],
    ]  # fmt: skip
    assert done.counts == {
        "closing turns cut: the learner has to speak last": 2,
        "turns merged into the one before": 1,
        "conversations left out: nothing to learn in them": 1,
    }
    export(tmp_path / "mine.jsonl", "chat-user", tmp_path / "user.jsonl")
    assert lines(tmp_path / "user.jsonl")[1][:2] == [
        {"role": "user", "content": GREETING}, {"role": "assistant", "content": "a\n\nb"},
    ]  # fmt: skip
    back = read_traces(tmp_path / "user.jsonl").collect()
    assert back.filter(role="assistant")["content"].to_list() == [
        "two\u2028rolls",
        "thanks",
        "a\n\nb",
        "alone",
    ]


def test_texts_that_may_not_train_a_model_are_refused(traces: Path, tmp_path: Path) -> None:
    for form in ("chat", "chat-user"):
        with pytest.raises(WorkbenchError, match="never for training a language model"):
            export(traces / "human" / "retail.jsonl", form, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_terms_hold_in_a_mixed_and_a_gzipped_file(tmp_path: Path) -> None:
    mine = [
        {
            "source": "mine",
            "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        }
    ]
    theirs = [{"source": "TAU-USI", "messages": mine[0]["messages"]}]
    with gzip.open(tmp_path / "mixed.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, mine * 3000 + theirs)))
    with pytest.raises(WorkbenchError, match="never for training"):
        export(tmp_path / "mixed.jsonl.gz", "chat", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part_without_conversations_says_so(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"candidate 0005 of .* keeps no conversations"):
        export(open_run(ppol_run(tmp_path / "run")), "chat", tmp_path / "out")
    (tmp_path / "x.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}')
    with pytest.raises(WorkbenchError, match="can be exported: 1 closing turns cut"):
        export(tmp_path / "x.jsonl", "chat", tmp_path / "out")
    with pytest.raises(WorkbenchError, match="personas and programs come from a run"):
        export(tmp_path / "x.jsonl", "jsonl", tmp_path / "out")
    with pytest.raises(WorkbenchError, match="are of runs"):
        export(tmp_path / "x.jsonl", "chat", tmp_path / "out", condition="evolved")


SAID = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text("ab \n", max_size=4)), max_size=9)


@given(
    SAID, st.sampled_from(["user", "assistant"]), st.sampled_from([None, "stop", "turn_limit", "transfer"])
)
def test_any_conversation_keeps_to_the_rules_and_loses_no_word_uncounted(
    said: list[tuple[str, str]], learner: str, ended: str | None
) -> None:
    counts: Counter[str] = Counter()
    found = turns(Dialogue("x", said, {learner: "Prompt."}, ended), learner, counts)
    if not found:
        assert counts["conversations left out: nothing to learn in them"] == 1
        return
    assert keeps_the_rules(found)
    assert found[0] == {"role": "system", "content": "Prompt."}
    cut = sum(n for name, n in counts.items() if "cut" in name)
    merged = counts["turns merged into the one before"]
    added = counts["greetings put before the user's first words"]
    own_turn = int(counts["stop tokens put back"] and not (said and said[-1][0] == "user"))
    assert len(found) - 1 == len(said) - cut - merged + added + own_turn


@pytest.mark.parametrize("source", ["tau_usi", "Tau USI people", "TAU-USI", "tau\u2011usi", None])
def test_the_terms_hold_however_the_source_is_spelled(source: str | None, tmp_path: Path) -> None:
    record = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}]}
    file = tmp_path / "tau_usi_copy.jsonl"  # without a source the file's name is it
    file.write_text(json.dumps(record | ({"source": source} if source else {})) + "\n")
    with pytest.raises(WorkbenchError, match="never for training"):
        export(file, "chat-user", tmp_path / "out.jsonl")


def test_terms_that_allow_training_are_told_and_a_results_folder_is_traces(tmp_path: Path) -> None:
    done = export(FIXTURES / "realusersim.jsonl", "chat", tmp_path / "a.jsonl")
    assert "ODC-BY" in str(done)
    assert "ODC-BY" in json.loads((tmp_path / "a.jsonl.about.json").read_text())["terms"][0]
    assert export(FIXTURES / "tau2_folder", "chat", tmp_path / "b.jsonl").records == 2
