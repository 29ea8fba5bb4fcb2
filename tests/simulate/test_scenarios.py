"""Scenarios and agents of one's own: what is read, what a function may do, and a search with both."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.evolve import conditions, store
from workbench.evolve.run import open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.llm import loop
from workbench.llm.client import Client, LLMError
from workbench.llm.roles import endpoints
from workbench.measure import own
from workbench.show.panels import run_panel
from workbench.simulate import agent as agents
from workbench.simulate import tau2
from workbench.simulate.agent import Agent, load_agent
from workbench.simulate.batch import Label, simulate
from workbench.simulate.machines import Machines
from workbench.simulate.scenarios import Scenario, from_plain, pools, read_scenarios, sizes

BAKERY = Path(__file__).parents[2] / "docs/formats/examples/bakery"
SMALL = Settings(
    domain="bakery", train_tasks=2, validation_tasks=1, test_tasks=2, window=2, stages=(2,), islands=1,
    test_personas=2, generations=1,
)  # fmt: skip


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "reference"
    splits = {"bakery": {task.task_id: task.split for task in read_scenarios(BAKERY / "scenarios.jsonl")}}
    made, _ = own.build([BAKERY / "people.jsonl"], [BAKERY / "simulated.jsonl"], official=splits)
    own.write(made, folder)
    return folder


def talk(function, policy: str = "") -> pl.DataFrame:
    """The episodes of one base conversation with a function as the agent."""
    task = replace(read_scenarios(BAKERY / "scenarios.jsonl")[0], agent=Agent(function, "mine:reply"))

    async def work():
        client = Client(endpoints())
        try:
            return await simulate(None, [task], 1, client, seed=1, label=Label("base", "train"))
        finally:
            await client.aclose()

    return loop.run(work()).episodes


def test_a_scenario_is_a_task_without_tools_and_without_reward():
    first = read_scenarios(BAKERY / "scenarios.jsonl")[0]
    assert (first.task_id, first.domain, first.split) == ("b01", "bakery", "train")
    assert first.tools == [] and first.session() is None
    assert first.needs_write is None and first.tau2_task_id is None
    assert "open from Tuesday" in first.agent_prompt
    assert first.context in tau2.user_prompt(first)


def test_a_scenario_without_a_split_falls_where_its_people_fall(tmp_path):
    file = write(tmp_path / "s.jsonl", *({"id": n, "context": "x"} for n in range(40)))
    found = read_scenarios(file)
    assert {task.split for task in found} == {"train", "test"}
    assert all(task.split == own.split_of(task.task_id) for task in found)
    assert {task.domain for task in pools("garden", file)["train"]} == {"garden"}


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "is empty"),
        ([{"id": "a"}], "line 1 has no scenario"),
        ([{"id": "a", "scenario": "  "}], "no scenario"),
        ([{"scenario": "x"}], "no proper id"),
        ([{"id": "a|b", "scenario": "x"}], "no proper id"),
        ([{"id": True, "scenario": "x"}], "no proper id"),
        ([{"id": "a", "scenario": "x", "splt": "test"}], "the field 'splt'"),
        ([{"id": "a", "scenario": "x", "split": "dev"}], "must be train or test"),
        ([{"id": "a", "scenario": "x", "domain": 3}], "domain that is no text"),
        ([{"id": "a", "scenario": "x"}, {"id": "a", "scenario": "y"}], "the id 'a' more than once"),
        ([{"id": i, "scenario": "x", "domain": f"d{i}"} for i in range(2)], "several domains"),
        (["text"], "no JSON object"),
    ],
)
def test_a_mistake_in_the_scenarios_is_told_in_a_sentence(tmp_path, records, said):
    with pytest.raises(WorkbenchError, match=said.replace("|", r"\|")):
        read_scenarios(write(tmp_path / "s.jsonl", *records))


def test_few_scenarios_suggest_small_numbers():
    found = {"train": [None] * 4, "test": [None]}
    assert sizes(found) == {"train_tasks": 3, "validation_tasks": 1, "test_tasks": 1, "window": 3}


def test_a_task_told_to_another_machine_is_the_same_task(monkeypatch):
    monkeypatch.chdir(BAKERY)
    monkeypatch.delitem(sys.modules, "agent", raising=False)
    mine = replace(read_scenarios("scenarios.jsonl")[0], agent=load_agent("agent:reply"))
    again = from_plain(json.loads(json.dumps(mine.plain())))
    assert again == mine and isinstance(again, Scenario)
    assert again.policy == mine.policy and again.agent.name == "agent:reply"
    assert from_plain(tau2.task("retail", "1").plain()) is tau2.task("retail", "1")


def test_the_function_is_given_the_conversation_and_its_reply_is_heard():
    seen = []

    def reply(messages):
        seen.append(messages)
        return "We have no bread today. Is there anything else?"

    episode = talk(reply).row(0, named=True)
    assert episode["error"] is None and episode["reward"] is None and episode["success"] is None
    assert [m["role"] for m in seen[0]] == ["assistant", "user"]
    assert "mine:reply" in episode["agent_prompt"]


def test_functions_of_every_kind_are_called():
    class Bot:
        async def __call__(self, messages):
            await asyncio.sleep(0)
            return "Is there anything else?"

    async def awaited(messages):
        return "Is there anything else?"

    for function in (Bot(), awaited, lambda messages: awaited(list(messages))):
        assert talk(function)["error"].to_list() == [None]


def test_an_agent_that_raises_is_a_failed_episode_with_the_reason_and_no_key(monkeypatch):
    monkeypatch.setenv("BAKERY_API_KEY", "crumbs-and-butter")

    def reply(messages):
        raise ValueError("the server refused crumbs-and-butter and sk-0123456789abcdef")

    episode = talk(reply).row(0, named=True)
    assert episode["ended_by"] == "error" and episode["reward"] is None
    assert episode["error"] == "the agent mine:reply raised ValueError: the server refused [key] and [key]"


def test_an_agent_that_returns_no_text_exits_or_never_returns_fails_its_episode_alone(monkeypatch):
    monkeypatch.setattr(agents, "SECONDS", 0.2)
    assert "returned a dict" in talk(lambda messages: {"content": "hi"})["error"][0]
    assert "SystemExit" in talk(lambda messages: sys.exit(3))["error"][0]

    async def forever(messages):
        await asyncio.sleep(30)

    assert "no reply in" in talk(forever)["error"][0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("agent", "module:function"),
        ("no_such_module_here:reply", "cannot be imported"),
        ("json:no_such", "no function 'no_such'"),
        ("__main__:reply", "lives in a notebook"),
        ("os; rm:x", "module:function"),
    ],
)
def test_an_agent_that_cannot_be_had_is_told_in_a_sentence(name, said):
    with pytest.raises(WorkbenchError, match=said):
        load_agent(name)


def test_a_function_plays_the_benchmarks_tasks_without_tools_or_reward():
    played = pools("retail", agent=Agent(lambda messages: "Hello."))["test"][0]
    assert played.tools == [] and played.session() is None
    assert (
        played.tau2_task_id == played.task_id
        and played.context == tau2.task("retail", played.task_id).context
    )


def test_a_search_with_scenarios_reference_and_agent_of_ones_own_goes_on_without_them(tmp_path, reference):
    calls = []

    def reply(messages):
        calls.append(1)
        if len(calls) == 5:
            raise RuntimeError("out of flour")
        return "It is done. Is there anything else?"

    tasks, people = tmp_path / "tasks.jsonl", tmp_path / "people"
    shutil.copyfile(BAKERY / "scenarios.jsonl", tasks)
    shutil.copytree(reference, people)
    given = {"tasks": tasks, "reference": people, "agent": reply}
    with Search(tmp_path / "run", SMALL, **given) as search:
        search.step()
        name = search.settings.agent
    tasks.unlink()
    shutil.rmtree(people)
    with pytest.raises(
        WorkbenchError, match=r"cannot be imported|module:function|has no function|a notebook"
    ):
        Search(tmp_path / "run")
    with pytest.raises(WorkbenchError, match="The run's agent is"):
        Search(tmp_path / "run", agent=lambda messages: "other")
    with Search(tmp_path / "run", agent=reply) as search:
        assert search.settings.agent == name and "reply" in name
        search.finish()
        conditions.evaluate(search)
    assert main(["personas", str(tmp_path / "run"), "--task", "b03", "-n", "2"]) == 0
    assert main(["personas", str(tmp_path / "run"), "--task", "nobody"]) == 2
    run = open_run(tmp_path / "run")
    episodes = run.episodes.collect()
    assert episodes["reward"].null_count() == len(episodes)
    assert episodes.filter(pl.col("error").is_not_null())["error"].to_list() == [
        f"the agent {name} raised RuntimeError: out of flour"
    ]
    assert set(run.turns.collect()["domain"]) == {"bakery"}
    table = conditions.table(run)
    assert table["condition"].to_list() == ["humans", "base", "dp", "initial", "evolved"]
    assert table["human_likeness"].null_count() == 0
    assert table.filter(pl.col("condition") != "humans")["success"].null_count() == 4
    assert run.humans.equals(own.load(reference).humans)
    assert run_panel(run)["condition"].to_list()[:2] == ["people", "editor"]


def test_scenarios_and_a_named_agent_travel_to_other_machines(tmp_path, reference, monkeypatch):
    monkeypatch.chdir(BAKERY)
    monkeypatch.delitem(sys.modules, "agent", raising=False)
    given = {"tasks": "scenarios.jsonl", "reference": reference, "agent": "agent:reply"}
    with Search(tmp_path / "alone", SMALL, **given) as search:
        search.step()
    with ThreadPoolExecutor(2) as pool:
        machines = Machines(pool, 2)
        with Search(tmp_path / "two", SMALL, machines=machines, **given) as search:
            search.step()
    assert store.digest(tmp_path / "alone") == store.digest(tmp_path / "two")


def test_what_is_brought_is_part_of_what_the_run_is(tmp_path, reference):
    tasks = write(
        tmp_path / "t.jsonl", *map(json.loads, (BAKERY / "scenarios.jsonl").read_text().splitlines())
    )
    with Search(tmp_path / "run", SMALL, tasks=tasks, reference=reference):
        pass
    with Search(tmp_path / "run", SMALL, tasks=tasks, reference=reference):
        pass  # the same again goes on
    write(tasks, *({"id": n, "scenario": "x", "domain": "bakery"} for n in range(20)))
    with pytest.raises(WorkbenchError, match="has other settings"):
        Search(tmp_path / "run", SMALL, tasks=tasks, reference=reference)


@pytest.mark.parametrize(
    ("settings", "given", "said"),
    [
        (SMALL, {"tasks": BAKERY / "scenarios.jsonl"}, "for another domain build one: workbench reference"),
        (replace(SMALL, domain="retail"), {"tasks": BAKERY / "scenarios.jsonl"}, "of the domain 'bakery'"),
        (replace(SMALL, train_tasks=30), {"tasks": BAKERY / "scenarios.jsonl"}, "but bakery has 12"),
        (SMALL, {"tasks": BAKERY / "none.jsonl"}, "cannot be read"),
        (SMALL, {"reference": BAKERY}, "is no reference"),
    ],
)
def test_what_does_not_fit_is_told_before_a_run_is_made(tmp_path, settings, given, said):
    with pytest.raises(WorkbenchError, match=said):
        Search(tmp_path / "run", settings, **given)
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_reference_of_another_domain_is_refused(tmp_path, reference):
    with pytest.raises(WorkbenchError, match="is of bakery, the run of retail"):
        Search(tmp_path / "run", replace(SMALL, domain="retail"), reference=reference)


def test_an_agent_that_always_fails_stops_the_run_with_its_reason(tmp_path, reference):
    def reply(messages):
        raise OSError("no oven")

    given = {"tasks": BAKERY / "scenarios.jsonl", "reference": reference, "agent": reply}
    with Search(tmp_path / "run", SMALL, **given) as search, pytest.raises(LLMError, match="no oven"):
        search.step()
