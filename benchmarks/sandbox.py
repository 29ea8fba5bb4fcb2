"""What the sandbox costs: starting workers, running programs, waiting together, and stopping hostile ones.

Run ``python benchmarks/sandbox.py``; it takes about ten seconds and prints a table.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import time
from importlib import resources

from workbench.simulate.isolation import sandbox_level
from workbench.simulate.program import ProgramRejected, run_program
from workbench.simulate.sandbox import close_pool

SEED = (resources.files("workbench.simulate.programs") / "seed.py").read_text()
HEAD = "DIVERSITY_AXES = []\ndef generate_personas_detailed(c, axes, n):\n"
HOSTILE = {
    "endless loop": "    while True:\n        pass",
    "memory bomb": "    x = []\n    while True:\n        x.append('a' * 1000)",
    "recursion": "    return generate_personas_detailed(c, axes, n)",
    "host-call flood": "    while True:\n        complete('s', 'u')",
    "print flood": "    while True:\n        print('x' * 1000)",
}


class Model:
    """Answers the seed program's prompts after a fixed latency."""

    def __init__(self, latency: float) -> None:
        self.latency = latency

    async def __call__(self, system: str, user: str) -> str:
        """Answer a population prompt with JSON and any other with a policy."""
        await asyncio.sleep(self.latency)
        wanted = re.search(r"Propose exactly (\d+)", user)
        if not wanted:
            return "You write briefly. " * 50
        axes = dict.fromkeys(["terse", "skeptical", "frustrated", "ambiguous"], True)
        member = {"description": "a person", "reasoning": "because", "axis_placement": axes}
        return json.dumps({"members": [member] * int(wanted[1])})


async def timed(what: str, programs: int, latency: float, n: int = 10, at_once: int = 25) -> None:
    model, gate = Model(latency), asyncio.Semaphore(at_once)

    async def one(i: int) -> None:
        async with gate:
            await run_program(SEED, f"context {i}", n, model)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(i) for i in range(programs)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<58}{wall / programs * 1e3:9.2f} ms each {wall:7.2f} s {cpu:6.2f} s CPU here")


async def main() -> None:
    print(f"sandbox level: {sandbox_level()}\n")
    await timed("the first program (starts a worker)", 1, 0)
    await timed("200 seed programs, N = 10, one after another", 200, 0, at_once=1)
    await timed("200 seed programs, N = 10, 25 at once", 200, 0)
    await timed("25 seed programs at once, N = 10, model takes 0.5 s (x 2)", 25, 0.5)
    for name, body in HOSTILE.items():
        wall = time.perf_counter()
        try:
            await run_program(HEAD + body, "context", 10, Model(0))
        except ProgramRejected as rejected:
            print(f"{name:<58}{time.perf_counter() - wall:9.3f} s, refused as {rejected.kind}")
    await close_pool()
    print(f"\nthis process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
