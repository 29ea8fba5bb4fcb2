"""The rehearsal agent: it works out what to do from the conversation alone, asks before it acts, and gives up in time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.llm.rehearsal import agent, user
from workbench.simulate import tau2
from workbench.simulate.rollout import ENDINGS

Message = dict[str, Any]
WRITES = ("cancel", "modify", "return", "exchange", "update", "book", "send")
READY = "That is everything, thank you. ###STOP###"


def episode(
    domain: str, customer: Callable[[list[str]], str], turns: int = 30
) -> tuple[tau2.Session, list[Message]]:
    """Talk until the customer stops; the agent sees its prompt, the customer's words and its tools' answers."""
    session, tools = tau2.Session(domain), tau2.load(domain).tools
    messages: list[Message] = [
        {"role": "system", "content": tau2.agent_prompt(domain)},
        {"role": "assistant", "content": tau2.GREETING},
    ]
    heard = [tau2.GREETING]
    for seed in range(turns):
        said = customer(heard)
        if any(token in said for token in ENDINGS):
            break
        messages.append({"role": "user", "content": said})
        for _ in range(25):
            answer = agent.reply(messages, tools, seed)
            messages.append(answer)
            if not answer.get("tool_calls"):
                break
            (call,) = answer["tool_calls"]
            result = session.call(call["function"]["name"], call["function"]["arguments"])
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result.content})
        else:
            pytest.fail("the agent called tools without end")
        heard.append(messages[-1]["content"])
    return session, messages


def spoken(messages: list[Message]) -> list[str]:
    return [m["content"] for m in messages if m["role"] == "assistant" and m.get("content")]


def calls(messages: list[Message]) -> list[tuple[str, dict[str, Any]]]:
    found = [call["function"] for m in messages for call in m.get("tool_calls") or ()]
    return [(function["name"], json.loads(function["arguments"])) for function in found]


def first_person(text: str) -> str:
    text = re.sub(r"\byou(?:r name is| are|'re| name is)\b", "I am", text, flags=re.I)
    return re.sub(r"\byour\b", "my", re.sub(r"\byou\b", "I", text, flags=re.I), flags=re.I)


def cooperative(task: tau2.Task) -> Callable[[list[str]], str]:
    """A customer who says the whole errand at once and answers what is asked from the scenario."""
    told = first_person(task.instructions["reason_for_call"])
    known = first_person(task.instructions["known_info"] or "")
    ways = re.findall(r"gift ?card|paypal|credit card|original payment", told, re.I)

    def answer(heard: list[str]) -> str:
        last = heard[-1].lower()
        if len(heard) == 1:
            return told
        if re.search(r"(?:email|name|zip|user id)[^.]*\?", last):
            return known
        if "(yes/no)" in last:
            return "Yes, please go ahead."
        if "payment method" in last:
            return f"Use the {ways[0]}." if ways else "The original payment method."
        if "reason" in last:
            return "It was ordered by mistake." if "mistake" in told else "It is no longer needed."
        return "Yes, that is all." if "full list" in last else READY if "else" in last else "I'm not sure."

    return answer


def customers(domain: str = "retail") -> list[dict[str, Any]]:
    """Some customers with their orders, as the tools show them."""
    session, found = tau2.Session(domain), []
    for task in tau2.split(domain, "train")[::5]:
        for action in task.criteria["actions"]:
            if action["name"] == "get_order_details":
                order = json.loads(session.call(action["name"], action["arguments"]).content)
                person = json.loads(session.call("get_user_details", {"user_id": order["user_id"]}).content)
                found.append({"person": person, "order": order})
    return found


def script(*lines: str) -> Callable[[list[str]], str]:
    return lambda heard: lines[len(heard) - 1] if len(heard) <= len(lines) else READY


def with_status(status: str) -> tuple[str, dict[str, Any]]:
    held = next(c for c in customers() if c["order"]["status"] == status)
    name, address = held["person"]["name"], held["person"]["address"]
    return f"My name is {name['first_name']} {name['last_name']} and my zip code is {address['zip']}.", held[
        "order"
    ]


@pytest.fixture(scope="module")
def played() -> list[tuple[tau2.Task, float, list[Message]]]:
    """Every retail train task that needs a write, with the cooperative customer."""
    rows = []
    for task in tau2.split("retail", "train"):
        if task.needs_write:
            session, messages = episode("retail", cooperative(task))
            rows.append((task, session.reward(task, spoken(messages)).reward, messages))
    return rows


def test_a_cooperative_customer_gets_a_fair_share_of_train_tasks_done(played: Any) -> None:
    assert sum(reward for _, reward, _ in played) / len(played) >= 0.25


def test_the_rehearsal_user_gets_a_fair_share_of_train_tasks_done() -> None:
    rewards = []
    for task in tau2.split("retail", "train"):
        if not task.needs_write:
            continue
        system: Message = {"role": "system", "content": tau2.user_prompt(task)}
        said: list[Message] = []

        def customer(heard: list[str], system: Message = system, said: list[Message] = said) -> str:
            said.append({"role": "user", "content": heard[-1]})
            text = user.reply([system, *said], len(heard))
            said.append({"role": "assistant", "content": text})
            return text

        session, messages = episode("retail", customer)
        rewards.append(session.reward(task, spoken(messages)).reward)
    assert sum(rewards) / len(rewards) >= 0.25


def test_nothing_is_changed_without_a_proposal_and_a_yes(played: Any) -> None:
    for _, _, messages in played:
        for at, message in enumerate(messages):
            names = [call["function"]["name"] for call in message.get("tool_calls") or ()]
            if any(name.startswith(WRITES) for name in names):
                yes = max(i for i in range(at) if messages[i]["role"] == "user")
                assert agent.ASK in messages[yes - 1]["content"]
                assert re.match("yes", messages[yes]["content"], re.I)


def test_a_turn_is_a_message_or_one_call_never_both(played: Any) -> None:
    for _, _, messages in played:
        for message in messages:
            if message["role"] == "assistant":
                assert bool(message.get("content")) != (len(message.get("tool_calls") or ()) == 1)


def test_the_same_request_gets_the_same_answer(played: Any) -> None:
    tools = tau2.load("retail").tools
    messages = played[3][2]
    cut = [at for at, m in enumerate(messages) if m["role"] in ("user", "tool")][-1] + 1
    assert agent.reply(messages[:cut], tools, 5) == agent.reply(
        json.loads(json.dumps(messages[:cut])), tools, 5
    )


def test_it_imports_nothing_of_ours_but_the_rehearsal_and_opens_no_file() -> None:
    code = """
import sys
from workbench.llm.rehearsal import agent
ours = {name for name in sys.modules if name.startswith("workbench.")}
assert all(name.startswith("workbench.llm") for name in ours), ours
assert not {"inspect_evals", "inspect_ai", "polars"} & set(sys.modules)
opened = []
sys.addaudithook(lambda event, args: opened.append(args) if event == "open" else None)
tools = [{"function": {"name": n}} for n in ("find_user_id_by_email", "get_user_details")]
said = [{"role": "user", "content": "return my lamp, I am Jo Doe, 12345, jo@example.com"}]
assert agent.reply(said, tools)["tool_calls"][0]["function"]["name"] == "find_user_id_by_email"
assert not opened, opened
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_returns_what_a_lower_case_customer_with_slips_names() -> None:
    login, order = with_status("delivered")
    item = next(i for i in order["items"] if sum(j["name"] == i["name"] for j in order["items"]) == 1)
    word = item["name"].lower()
    slip = word[:-3] + word[-2] + word[-3] + word[-1]
    ask = f"hi i want to retrun no sorry return the {slip} from order {order['order_id'].lower()[1:]}"
    session, messages = episode("retail", script(login.lower(), ask, "original payment method", "yes"))
    done = [arguments for name, arguments in calls(messages) if name == "return_delivered_order_items"]
    if not done:  # a second question was needed: the answer is the same yes
        session, messages = episode("retail", script(login.lower(), ask, "yes"))
        done = [arguments for name, arguments in calls(messages) if name == "return_delivered_order_items"]
    assert [arguments["item_ids"] for arguments in done] == [[item["item_id"]]]
    assert session.changes()


def test_a_no_leaves_everything_as_it_was() -> None:
    login, order = with_status("pending")
    ask = f"Cancel order {order['order_id']}, I no longer need it."
    session, messages = episode("retail", script(login, ask, "No, leave it."))
    assert agent.ASK in spoken(messages)[2] and session.changes() == {}
    session, messages = episode("retail", script(login, ask, "Yes."))
    assert calls(messages)[-1] == (
        "cancel_pending_order",
        {"order_id": order["order_id"], "reason": "no longer needed"},
    )


def test_what_the_policy_forbids_is_refused_with_its_reason() -> None:
    login, order = with_status("delivered")
    session, messages = episode(
        "retail", script(login, f"Please cancel order {order['order_id']}, I no longer need it.")
    )
    assert "not possible" in spoken(messages)[2] and "delivered" in spoken(messages)[2]
    assert session.changes() == {}


def test_a_customer_who_is_not_found_is_asked_again_in_other_words() -> None:
    _, messages = episode(
        "retail", script("I want a refund.", "nobody@example.com", "I am No Body, 00000", "no idea")
    )
    asked = spoken(messages)[1:]
    assert len(set(asked)) > 1 and all("?" in text for text in asked)
    assert "name" in asked[1] and "zip" in asked[1]


def test_who_asks_for_a_human_is_transferred() -> None:
    _, messages = episode("retail", script("I want to talk to a human representative."))
    assert calls(messages)[0][0] == "transfer_to_human_agents"
    assert messages[-1]["content"] == agent.HOLD


@pytest.mark.parametrize("domain", tau2.DOMAINS)
def test_a_customer_who_never_says_anything_useful_is_given_up_on(domain: str) -> None:
    _, messages = episode(domain, lambda heard: "hmm", turns=40)
    assert messages[-1]["content"] == agent.HOLD


@pytest.mark.parametrize("domain", tau2.DOMAINS)
@given(
    lines=st.lists(
        st.text(max_size=80) | st.sampled_from(["yes", "cancel all", "return it", "no", "#W1", "?"]),
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None)
def test_no_wording_breaks_it(domain: str, lines: list[str]) -> None:
    known = {"retail": "yusuf_rossi_9620, zip 19122", "airline": "mia_li_3668"}[domain]
    _, messages = episode(domain, script(f"I'm {known}", *lines))
    assert all(isinstance(text, str) for text in spoken(messages))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        '{"user_id": 3}',
        "Error: down",
        '{"payment_methods": {}, "user_id": "a", "address": {}}',
    ],
)
def test_no_tool_answer_breaks_it(content: str) -> None:
    tools = tau2.load("retail").tools
    messages: list[Message] = [{"role": "user", "content": "cancel my order, i am jo doe 12345"}]
    for _ in range(12):
        answer = agent.reply(messages, tools)
        messages.append(answer)
        if not answer.get("tool_calls"):
            return
        (call,) = answer["tool_calls"]
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    pytest.fail("the agent called tools without end")
