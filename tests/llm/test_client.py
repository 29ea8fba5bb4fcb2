"""The client: roles, faults of an endpoint, caps, replay, and no key anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workbench.errors import WorkbenchError
from workbench.llm import loop
from workbench.llm.client import Client, LLMError, Reply, metered
from workbench.llm.roles import Endpoint, as_settings, endpoints, from_settings, price

ASK = [{"role": "user", "content": "hello"}]


class Endpoint_(Starlette):  # noqa: N801
    """A chat endpoint that answers from a script and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked, self.keys = list(answers), [], []

        async def chat(request: Request) -> Response:
            self.asked.append(await request.json())
            self.keys.append(request.headers.get("authorization"))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return answer if isinstance(answer, Response) else JSONResponse(answer)

        async def models(_: Request) -> Response:
            return JSONResponse({"object": "list", "data": [{"id": "tiny", "object": "model"}]})

        super().__init__(
            routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/v1/models", models)]
        )


def said(content: str | None, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content} | more
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return {"choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": usage}


def client(url: str, model: str = "tiny", **more: Any) -> Client:
    roles = dict.fromkeys(
        ("user", "agent", "generator", "mutation", "reflection", "judge"), Endpoint(model, url)
    )
    return Client(roles, **more)


def ask(it: Client, role: str = "user", seed: int = 1, **more: Any) -> Reply:
    return loop.run(it.chat(role, ASK, seed=seed, **more))


def test_a_reply_brings_text_tokens_and_tool_calls(serve):
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    app = Endpoint_(said(None, tool_calls=[call]))
    reply = ask(client(serve(app)), tools=[{"type": "function", "function": {"name": "look"}}])
    assert reply.tool_calls[0].name == "look" and json.loads(reply.tool_calls[0].arguments) == {"a": 1}
    assert (reply.tokens_in, reply.tokens_out) == (7, 3)
    assert app.asked[0]["seed"] == 1 and app.asked[0]["tools"]


def test_overload_is_waited_out_by_repeating_the_same_request(serve):
    busy = Response("{}", 429, headers={"retry-after": "0"})
    app = Endpoint_(busy, Response("oops", 503, headers={"retry-after": "0"}), said("fine"))
    assert ask(client(serve(app))).content == "fine"
    assert app.asked[0] == app.asked[1] == app.asked[2]


@pytest.mark.parametrize(
    "broken",
    [
        {"choices": []},
        {"choices": [{}]},
        said(""),
        said("   "),
        said(5),
        {"nothing": 1},
        ["no object"],
        said("x", refusal="no"),
    ],
)
def test_a_malformed_answer_is_asked_for_again_with_another_seed_and_then_with_the_fault_told(serve, broken):
    app = Endpoint_(broken, broken, said("third"))
    it = client(serve(app))

    async def metering() -> dict[str, Any]:
        with metered() as meter:
            assert (await it.chat("user", ASK, seed=1)).content == "third"
        return meter

    assert loop.run(metering())["malformed"] == 2
    first, second, third = app.asked
    assert second == first | {"seed": 2} and third["messages"][:-1] == first["messages"]
    assert third["messages"][-1]["content"].startswith("Your last answer could not be used: ")
    with pytest.raises(LLMError) as error:
        ask(client(serve(Endpoint_(broken))))
    assert error.value.kind == "content"


@pytest.mark.parametrize("usage", [None, [], "many", {"prompt_tokens": "7"}, {"prompt_tokens": None}])
def test_a_usage_that_cannot_be_read_counts_as_nothing(serve, usage):
    reply = ask(client(serve(Endpoint_(said("x") | {"usage": usage}))))
    assert (reply.content, reply.tokens_in, reply.tokens_out) == ("x", 0, 0)


def test_tool_arguments_that_are_no_object_are_asked_for_again_and_at_last_left_to_the_tool(serve):
    def calls(arguments: str) -> dict[str, Any]:
        call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}
        return said(None, tool_calls=[call])

    assert (
        ask(client(serve(Endpoint_(calls('{"a": '), calls('{"a": 1}'))))).tool_calls[0].arguments
        == '{"a": 1}'
    )
    app = Endpoint_(calls("[1]"))
    assert ask(client(serve(app))).tool_calls[0].arguments == "[1]" and len(app.asked) == 3


def test_a_dead_endpoint_is_a_transport_error_in_one_sentence():
    with pytest.raises(
        LLMError, match=r"http://127.0.0.1:9/v1 cannot be reached; is the server running"
    ) as error:
        ask(client("http://127.0.0.1:9/v1", max_retries=0, patience=0))
    assert error.value.kind == "transport"


def test_an_endpoint_that_dies_for_a_while_is_waited_for_and_said_so(serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("workbench.llm.limit.PAUSE_FIRST", 0.05)
    down = [Response("down", 500, headers={"retry-after-ms": "1"})] * 4
    told: list[str] = []
    it = client(serve(Endpoint_(*down, said("back"))), max_retries=1, patience=30, on_wait=told.append)
    assert ask(it).content == "back"
    assert told and "Waiting for it." in told[0]


def test_overload_shrinks_the_requests_in_flight_and_success_grows_them_back(serve):
    busy = Response("{}", 429, headers={"retry-after-ms": "1"})
    it = client(serve(Endpoint_(*[busy] * 12, said("x"))), concurrency=10, max_retries=12)
    ask(it)
    assert it.limit.now == pytest.approx(7 + 1 / 7)
    for i in range(40):
        ask(it, seed=i)
    assert it.limit.now == 10


def test_a_finished_request_replays_for_nothing_and_another_seed_does_not(serve, tmp_path: Path):
    app = Endpoint_(said("one"), said("two"), said("three"))
    url = serve(app)
    first = client(url, cache=tmp_path / "r.sqlite")
    assert ask(first).content == "one" and ask(first, seed=2).content == "two"
    loop.run(first.aclose())
    again = client(url, cache=tmp_path / "r.sqlite")
    old = ask(again)
    assert old.content == "one" and old.cached and len(app.asked) == 2


def test_a_broken_answer_is_not_kept_for_replay(serve, tmp_path: Path):
    app = Endpoint_(said(""), said(""), said(""), said("good"))
    it = client(serve(app), cache=tmp_path / "r.sqlite")
    with pytest.raises(LLMError):
        ask(it)
    assert ask(it).content == "good"


def test_no_more_requests_than_allowed_are_in_flight(serve):
    import asyncio

    now, most = 0, 0

    async def chat(_: Request) -> Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return JSONResponse(said("x"))

    it = client(
        serve(Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])), concurrency=3
    )

    async def many() -> None:
        await asyncio.gather(*(it.chat("user", ASK, seed=i) for i in range(12)))

    loop.run(many())
    assert most == 3


def test_a_cap_in_tokens_stops_before_the_request_that_would_pass_it(serve):
    app = Endpoint_(said("x"))
    it = client(serve(app), max_tokens=530)
    ask(it)
    ask(it, seed=2)
    with pytest.raises(LLMError) as error:
        ask(it, seed=3)
    assert error.value.kind == "cap" and len(app.asked) == 2


def test_a_cap_in_money_needs_a_price_and_counts_what_was_spent_before(serve):
    with pytest.raises(WorkbenchError, match="needs a price for tiny"):
        client("http://127.0.0.1:9/v1", max_cost=1.0)
    it = client(serve(Endpoint_(said("x"))), model="gpt-4.1-mini", max_cost=1.0, spent=(0.9999, 0))
    with pytest.raises(LLMError, match=r"limit of \$1.00"):
        ask(it)


def test_what_a_candidate_asked_is_metered_apart(serve):
    it = client(serve(Endpoint_(said("x"))))
    ask(it)

    async def inside() -> dict[str, Any]:
        with metered() as meter:
            await it.chat("user", ASK, seed=2)
        return meter

    assert loop.run(inside()) == {
        "requests": 1,
        "tokens_in": 7,
        "tokens_out": 3,
        "cost": None,
        "retries": 0,
        "malformed": 0,
    }


def test_the_limit_of_an_answer_bears_the_name_that_the_endpoint_knows(serve):
    app = Endpoint_(said("x"))
    ask(Client({"user": Endpoint("tiny", serve(app), max_tokens=9)}))
    assert app.asked[0]["max_tokens"] == 9 and "max_completion_tokens" not in app.asked[0]
    assert Endpoint("gpt-4.1").limit_name == "max_completion_tokens"


def test_the_key_is_sent_and_shows_up_in_no_error(serve, monkeypatch: pytest.MonkeyPatch, caplog):
    secret = "sk-test-0123456789abcdef"
    monkeypatch.setenv("MY_KEY", secret)
    app = Endpoint_(JSONResponse({"error": {"message": f"bad key {secret} given"}}, 400))
    it = Client(dict.fromkeys(("user",), Endpoint("tiny", serve(app), api_key_env="MY_KEY")))
    with pytest.raises(LLMError) as error:
        ask(it)
    assert app.keys == [f"Bearer {secret}"]
    assert secret not in str(error.value) and "[key]" in str(error.value) and secret not in caplog.text
    assert secret not in repr(it)


def test_checking_names_a_missing_key_a_wrong_model_and_a_dead_endpoint(
    serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    url = serve(Endpoint_(said("x")))
    for it, told in (
        (Client(endpoints("gpt-4.1-mini")), "needs a key: set the environment variable OPENAI_API_KEY"),
        (client(url, model="huge"), "has no model 'huge' for the role user; it has tiny"),
        (client("http://127.0.0.1:9/v1"), "cannot be reached"),
    ):
        with pytest.raises(WorkbenchError, match=told):
            loop.run(it.check())
    assert loop.run(client(url).check())[0].split() == ["user", "tiny", "at", url]


def test_a_tag_that_ollama_adds_to_a_name_is_no_other_model(serve):
    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "llama3.1:latest", "object": "model"}]})

    url = serve(Starlette(routes=[Route("/v1/models", models)]))
    assert "llama3.1 at" in loop.run(client(url, model="llama3.1").check())[0]
    with pytest.raises(
        WorkbenchError, match=r"has no model 'llama3.2' for the role user; it has llama3.1:latest"
    ):
        loop.run(client(url, model="llama3.2").check())


def test_an_endpoint_may_be_given_its_own_time_to_answer(serve):
    import asyncio

    async def slow(_: Request) -> Response:
        await asyncio.sleep(0.4)
        return JSONResponse(said("at last"))

    url = serve(Starlette(routes=[Route("/v1/chat/completions", slow, methods=["POST"])]))
    assert ask(Client({"user": Endpoint("tiny", url, timeout=5)})).content == "at last"
    with pytest.raises(LLMError, match="did not answer in time"):
        ask(Client({"user": Endpoint("tiny", url, timeout=0.1)}, max_retries=0, patience=0))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[user\n", "is not TOML"),
        ('[usr]\nmodel = "x"', "names the role 'usr'; the roles are default, user"),
        ('[user]\nmodel = "x"\nkey = "y"', r"sets key under \[user\]"),
    ],
)
def test_a_wrong_roles_file_is_refused_in_a_sentence(tmp_path: Path, text: str, told: str):
    file = tmp_path / "roles.toml"
    file.write_text(text)
    with pytest.raises(WorkbenchError, match=told):
        endpoints(roles_file=file)
    with pytest.raises(WorkbenchError, match="cannot be read"):
        endpoints(roles_file=tmp_path / "none.toml")


def test_a_price_in_the_roles_file_overrides_the_table_and_allows_a_cap_in_money(tmp_path: Path):
    file = tmp_path / "roles.toml"
    file.write_text('[default]\nmodel = "mine"\nusd_per_million_tokens = [1, 2]\n')
    roles = endpoints(roles_file=file)
    assert price(roles["user"]) == (1.0, 2.0) and price(Endpoint("mine")) is None
    assert Client(roles, max_cost=1.0).max_cost == 1.0
    assert from_settings(as_settings(roles)) == roles
    file.write_text('[default]\nmodel = "mine"\nusd_per_million_tokens = [1]\n')
    with pytest.raises(WorkbenchError, match="must be two numbers"):
        endpoints(roles_file=file)


def test_a_roles_file_gives_each_role_its_model_and_the_rest_the_default(tmp_path: Path):
    file = tmp_path / "roles.toml"
    file.write_text('[default]\nmodel = "a"\n[user]\nmodel = "b"\nbase_url = "http://127.0.0.1:1/v1"\n')
    roles = endpoints(roles_file=file)
    assert roles["agent"].model == "a" and roles["user"] == Endpoint("b", "http://127.0.0.1:1/v1")
    assert endpoints()["mutation"].model == "rehearsal-mutation"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("model = 3", "model to 3; it must be text"),
        ('model = "m"\ntemperature = "hot"', "temperature to 'hot'; it must be a number"),
        ('base_url = "nowhere"', "base_url to 'nowhere'; it must begin with http:// or https://"),
        ("max_tokens = 1.5", "max_tokens to 1.5; it must be a whole number"),
        ('model = "m"\nusd_per_million_tokens = 2', "is 2; it must be two numbers"),
    ],
)
def test_a_wrong_value_in_a_roles_file_is_named(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "roles.toml").write_text(f"[user]\n{line}\n")
    with pytest.raises(WorkbenchError, match=told):
        endpoints("rehearsal", roles_file=tmp_path / "roles.toml")
