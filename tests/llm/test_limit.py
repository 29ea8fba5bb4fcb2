"""The shared limit: slots in order, less under overload, back with success; repeats at the endpoint's own pace."""

from __future__ import annotations

import asyncio

import pytest

from workbench.llm.limit import Limit, Pace, passing


def test_no_more_than_the_limit_are_in_flight_and_they_come_in_order():
    async def go() -> tuple[int, list[int]]:
        limit, most, order = Limit(3), 0, []

        async def one(i: int) -> None:
            nonlocal most
            async with limit.slot():
                order.append(i)
                most = max(most, limit.in_flight)
                await asyncio.sleep(0.001)

        await asyncio.gather(*(one(i) for i in range(12)))
        return most, order

    assert asyncio.run(go()) == (3, list(range(12)))


def test_a_few_refusals_leave_the_limit_alone_and_many_shrink_it_until_it_recovers():
    limit = Limit(50)
    for _ in range(200):
        for _ in range(9):
            limit.succeeded()
        limit.overloaded()
    assert limit.now == 50
    for _ in range(20):
        limit.overloaded()
    assert limit.now == pytest.approx(35)  # one burst, one sign
    for _ in range(1000):
        limit.succeeded()
    assert limit.now == 50


def test_a_slot_given_to_someone_cancelled_goes_to_the_next():
    async def go() -> int:
        limit, done = Limit(1), 0

        async def one() -> None:
            nonlocal done
            async with limit.slot():
                await asyncio.sleep(0.001)
                done += 1

        tasks = [asyncio.create_task(one()) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limit.in_flight == 0
        return done

    assert asyncio.run(go()) == 4


def test_pauses_follow_the_endpoint_and_its_word():
    pace = Pace()
    assert 0.37 < pace.pause(0, {}) <= 0.5
    for _ in range(100):
        pace.took(0.1)
    assert 0.0074 < pace.pause(0, {}) <= 0.01 and 0.2 < pace.pause(3, {}) <= 0.271
    assert pace.pause(30, {}) <= 8
    assert pace.pause(0, {"retry-after": "3"}) == 3
    assert pace.pause(0, {"retry-after-ms": "70"}) == pytest.approx(0.07)
    assert pace.pause(0, {"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0
    assert pace.pause(0, {"retry-after": "600"}) is None
    assert pace.pause(0, {"retry-after": "soon"}) <= 0.05


@pytest.mark.parametrize(
    ("status", "code", "headers", "passes"),
    [
        (None, None, {}, True),
        (429, None, {}, True),
        (500, None, {}, True),
        (408, None, {}, True),
        (400, None, {}, False),
        (401, None, {}, False),
        (429, "insufficient_quota", {}, False),
        (503, None, {"x-should-retry": "false"}, False),
    ],
)
def test_only_faults_that_may_pass_are_repeated(status, code, headers, passes):
    assert passing(status, code, headers) is passes
