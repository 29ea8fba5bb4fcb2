"""τ²-bench: the benchmark's own prompts and reward, on sessions that share nothing."""

from __future__ import annotations

import gc
import json
import random
import subprocess
import sys
import tracemalloc
from typing import Any

import pytest

from workbench.errors import WorkbenchError
from workbench.simulate import tau2
from workbench.simulate.tau2.session import expected_changes, toolbox

WRITES = ("cancel", "modify", "return", "exchange", "book", "update", "send")


def actions_of(task: tau2.Task) -> list[dict[str, Any]]:
    return task.criteria["actions"] or []


def writes_of(task: tau2.Task) -> list[dict[str, Any]]:
    return [action for action in actions_of(task) if action["name"].startswith(WRITES)]


def play(task: tau2.Task, actions: list[dict[str, Any]]) -> tau2.Session:
    session = tau2.Session(task.domain)
    for action in actions:
        session.call(action["name"], action["arguments"])
    return session


def perturbed(task: tau2.Task, rng: random.Random) -> list[dict[str, Any]]:
    """The reference actions with one write dropped, doubled, moved or changed in one argument."""
    actions = json.loads(json.dumps(actions_of(task)))
    at = rng.choice([i for i, action in enumerate(actions) if action["name"].startswith(WRITES)])
    match rng.randrange(4):
        case 0:
            actions.pop(at)
        case 1:
            actions.insert(at, actions[at])
        case 2:
            actions.append(actions.pop(at))
        case _:
            arguments = actions[at]["arguments"]
            key = rng.choice(list(arguments))
            value = arguments[key]
            arguments[key] = value[::-1] if isinstance(value, str | list) else value + 1
    return actions


@pytest.fixture(scope="module")
def benchmark_says() -> Any:
    """The benchmark's own way: a whole new database, its tool methods, a hash over everything."""
    from tau2_session import naive_hash  # of benchmarks/; its imports take seconds

    return naive_hash


def test_tasks_and_prompts_need_no_import_of_the_benchmark() -> None:
    code = (
        "import sys; from workbench.simulate import tau2;"
        "tau2.user_prompt(tau2.split('retail', 'train')[0]); tau2.agent_prompt('airline');"
        "sys.exit('inspect_evals' in sys.modules or 'inspect_ai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("domain", "train", "test"), [("retail", 74, 40), ("airline", 30, 20)])
def test_the_official_splits_are_disjoint_and_complete(domain: str, train: int, test: int) -> None:
    first, second = tau2.split(domain, "train"), tau2.split(domain, "test")
    assert (len(first), len(second)) == (train, test)
    assert {t.task_id for t in first} | {t.task_id for t in second} == set(tau2.load(domain).tasks)
    assert {t.split for t in first} == {"train"} and {t.split for t in second} == {"test"}


@pytest.mark.parametrize("domain", tau2.DOMAINS)
def test_contexts_and_user_prompts_equal_the_benchmarks_character_for_character(domain: str) -> None:
    from importlib import import_module

    samples = import_module(f"inspect_evals.tau2.{domain}.dataset").read_dataset("any")
    assert len(samples) == len(tau2.load(domain).tasks)
    for sample in samples:
        task = tau2.task(domain, str(sample.id))
        assert tau2.user_prompt(task) + "\n" == sample.input[0].content
        assert f"<scenario>\n{task.context}\n</scenario>" in sample.input[0].content


def test_a_policy_is_appended_to_an_unchanged_base_prompt() -> None:
    task = tau2.task("retail", "0")
    assert tau2.user_prompt(task, "Answer in as few words as you can.") == (
        tau2.user_prompt(task) + "\n\nAnswer in as few words as you can."
    )


def test_the_agent_reads_the_domains_policy() -> None:
    prompt = tau2.agent_prompt("airline")
    assert "Airline Agent Policy" in prompt and prompt.count("</policy>") == 1


@pytest.mark.parametrize(("domain", "count"), [("retail", 15), ("airline", 14)])
def test_tools_are_openai_function_schemas(domain: str, count: int) -> None:
    tools = tau2.load(domain).tools
    assert len(tools) == count
    for tool in tools:
        assert tool["type"] == "function" and tool["function"]["description"]
        parameters = tool["function"]["parameters"]
        assert parameters["type"] == "object" and set(parameters["required"]) == set(parameters["properties"])
    assert json.loads(json.dumps(tools)) == tools


def test_mistakes_get_a_sentence_that_says_what_exists() -> None:
    with pytest.raises(WorkbenchError, match="retail, airline"):
        tau2.load("railway")
    with pytest.raises(WorkbenchError, match="from 0 to 113"):
        tau2.task("retail", "999")
    with pytest.raises(WorkbenchError, match="train or test"):
        tau2.split("retail", "dev")
    with pytest.raises(WorkbenchError, match="belongs to airline"):
        tau2.Session("retail").reward(tau2.task("airline", "0"), [])


@pytest.mark.parametrize(
    ("domain", "without_write", "unchanged"),
    # two retail tasks list a write that the tools refuse, so that doing nothing succeeds there too
    [("retail", 9, 11), ("airline", 20, 20)],
)
def test_some_tasks_are_solved_by_doing_nothing(domain: str, without_write: int, unchanged: int) -> None:
    tasks = tau2.load(domain).tasks.values()
    assert sum(not writes_of(task) for task in tasks) == without_write
    assert sum(not task.needs_write for task in tasks) == unchanged
    for task in tasks:
        assert tau2.Session(domain).reward(task, []).db_match is not task.needs_write


@pytest.mark.parametrize("domain", tau2.DOMAINS)
def test_the_reference_actions_earn_the_reward_on_every_task(domain: str) -> None:
    for task in tau2.load(domain).tasks.values():
        facts = task.criteria["communicate_info"] or []
        assert play(task, actions_of(task)).reward(task, facts) == tau2.Reward(1.0, True, True, ())


def test_rewards_equal_the_benchmarks_on_reference_perturbed_and_no_actions(benchmark_says: Any) -> None:
    rng = random.Random(7)
    verdicts = []
    for domain in tau2.DOMAINS:
        tasks = [task for task in tau2.load(domain).tasks.values() if writes_of(task)]
        untouched = benchmark_says(domain, [])
        for task in rng.sample(tasks, 6):
            expected = benchmark_says(domain, actions_of(task))
            assert tau2.Session(domain).reward(task, []).db_match == (untouched == expected)
            assert play(task, actions_of(task)).reward(task, []).db_match
            changed = perturbed(task, rng)
            ours = play(task, changed).reward(task, []).db_match
            assert ours == (benchmark_says(domain, changed) == expected), (domain, task.task_id)
            verdicts.append(ours)
    assert {True, False} == set(verdicts), "the perturbations must tell the two outcomes apart"


def test_facts_are_sought_in_lower_case_without_commas() -> None:
    task = next(t for t in tau2.load("retail").tasks.values() if t.criteria["communicate_info"])
    facts = task.criteria["communicate_info"]
    session = play(task, actions_of(task))
    spoken = [" ".join(f"{fact[:1]},{fact[1:]}".upper() for fact in facts)]
    assert session.reward(task, spoken).communicated
    assert session.reward(task, ["something else"]) == tau2.Reward(0.0, True, False, tuple(facts))


@pytest.mark.parametrize(
    ("name", "arguments", "hint"),
    [
        ("open_pod_bay", "{}", "there is no tool 'open_pod_bay'"),
        ("get_order_details", '{"order_id": ', "not valid JSON"),
        ("get_order_details", "[" * 100_000, "not valid JSON"),
        ("get_order_details", '["#W1"]', "must be a JSON object, not list"),
        ("get_order_details", "{}", "order_id: Field required"),
        ("get_order_details", '{"order_id": 5}', "order_id: Input should be a valid string"),
        ("get_order_details", '{"order_id": "#W1", "extra": 1}', "extra: Extra inputs"),
        ("get_order_details", '{"order_id": "#W1"}', "Order not found"),
        ("initialize", "{}", "there is no tool 'initialize'"),
        ("calculate", '{"expression": "1/0"}', "Cannot evaluate"),
    ],
)
def test_wrong_calls_come_back_as_errors_the_agent_can_read(name: str, arguments: str, hint: str) -> None:
    session = tau2.Session("retail")
    result = session.call(name, arguments)
    assert result.error and result.content.startswith("Error: ") and hint in result.content
    assert session.changes() == {}


@pytest.mark.parametrize(
    "arguments",
    [
        {"origin": "JFK", "destination": "SEA", "date": "2024-05-xx"},
        {"origin": "JFK", "destination": "SEA", "date": ""},
    ],
)
def test_nonsense_dates_do_not_break_a_search(arguments: dict[str, str]) -> None:
    result = tau2.Session("airline").call("search_onestop_flight", arguments)
    assert result.error or json.loads(result.content) == []


def test_a_booking_with_ill_formed_passengers_is_refused_and_changes_nothing() -> None:
    session = tau2.Session("airline")
    task = next(
        t
        for t in tau2.load("airline").tasks.values()
        if any(a["name"] == "book_reservation" for a in writes_of(t))
    )
    booking = next(a for a in writes_of(task) if a["name"] == "book_reservation")["arguments"]
    assert session.call("book_reservation", {**booking, "passengers": [{"first_name": "A"}]}).error
    assert session.changes() == {}
    assert not session.call("book_reservation", json.dumps(booking)).error
    assert {table for table, _ in session.changes()} == {"reservations", "users", "flights"}


def test_calculate_and_transfer_answer_inside_a_running_loop() -> None:
    import asyncio

    async def inside() -> list[str]:
        session = tau2.Session("airline")
        return [
            session.call("calculate", {"expression": "50 * 3 + 0.5"}).content,
            session.call("transfer_to_human_agents", {"summary": "wants a human"}).content,
        ]

    assert asyncio.run(inside()) == ["150.5", "Transfer successful"]


def test_interleaved_sessions_do_not_see_each_other() -> None:
    tasks = [task for task in tau2.split("retail", "train") if len(writes_of(task)) > 1][:6]
    sessions = [tau2.Session("retail") for _ in tasks]
    pending = [list(actions_of(task)) for task in tasks]
    rng = random.Random(3)
    while any(pending):
        at = rng.choice([i for i, rest in enumerate(pending) if rest])
        action = pending[at].pop(0)
        sessions[at].call(action["name"], action["arguments"])
    for task, session in zip(tasks, sessions, strict=True):
        assert session.changes() == expected_changes("retail", task.task_id)


def test_a_thousand_episodes_leave_memory_and_database_as_they_were() -> None:
    rng = random.Random(11)
    pools = {domain: list(tau2.load(domain).tasks.values()) for domain in tau2.DOMAINS}
    expected_of = [
        expected_changes(domain, task.task_id) for domain in tau2.DOMAINS for task in pools[domain]
    ]
    pristine = {
        domain: [
            record.model_dump_json() for table in toolbox(domain).tables.values() for record in table.values()
        ]
        for domain in tau2.DOMAINS
    }
    grown = []
    tracemalloc.start()
    for episode in range(1000):
        domain = tau2.DOMAINS[episode % 2]
        task = rng.choice(pools[domain])
        session = tau2.Session(domain)
        for action in actions_of(task) + actions_of(rng.choice(pools[domain])):
            session.call(action["name"], action["arguments"])
        session.reward(task, [])
        if episode in (99, 999):
            del session
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert grown[1] - grown[0] < 500_000, "900 episodes may not keep as much as one naive database (12 MB)"
    assert len(expected_of) == 164
    for domain in tau2.DOMAINS:
        records = [r for table in toolbox(domain).tables.values() for r in table.values()]
        assert [record.model_dump_json() for record in records] == pristine[domain]
