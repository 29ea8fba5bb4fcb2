"""Our side of the benchmark: real client, sandbox, batches, scoring and run directory. Prints JSON.

Run by ``python benchmarks/engine``; each part is a process of its own, so that memory and imports are its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from distributed import LocalCluster

from workbench.evolve import store
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.llm.roles import ROLES, Endpoint
from workbench.simulate.machines import dask


def tell(url: str, **what: float) -> None:
    """Set the server's latency and faults; forgets what it counted."""
    request = urllib.request.Request(url.replace("/v1", "/set"), json.dumps(what).encode())
    urllib.request.urlopen(request).read()


def counted(url: str) -> dict[str, int]:
    """Return what the server answered since it was last set."""
    found: dict[str, int] = json.load(urllib.request.urlopen(url.replace("/v1", "/count")))
    return found


CLEAN = {"latency": 0, "too_many": 0, "broken": 0, "malformed": 0}


class Memory:
    """The most memory seen, in MiB: this process and its children, resident and proportional."""

    def __init__(self) -> None:
        self.rss = self.pss = 0.0
        self.own = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.2):
            rss = pss = 0.0
            for process in (me, *me.children(recursive=True)):
                try:
                    rss += process.memory_info().rss / 2**20
                    pss += process.memory_full_info().pss / 2**20
                except psutil.Error:
                    continue
            self.rss, self.pss = max(self.rss, rss), max(self.pss, pss)
            self.own = max(self.own, me.memory_info().rss / 2**20)

    def stop(self) -> dict[str, float]:
        """Stop watching and return what was seen."""
        self._stop.set()
        self._thread.join()
        return {"rss": self.rss, "pss": self.pss, "own": self.own}


def settings(url: str, n: int, *, proposals: int = 1, concurrency: int = 64) -> Settings:
    """Return a search on five tasks with ``n`` personas each, without confirmation, which ppol has not."""
    roles = {role: Endpoint(f"scripted-{role}", url) for role in ROLES}
    return Settings(
        seed=7,
        generations=1000,
        train_tasks=5,
        validation_tasks=1,
        test_tasks=1,
        window=5,
        stages=(n,),
        proposals=proposals,
        concurrency=concurrency,
        validate_every=10**6,
        early_stop=10**6,
        confirm=False,
        roles=roles,
    )


def generations(
    url: str,
    n: int,
    latency: float,
    *,
    proposals: int,
    workers: int,
    steps: int,
    processes: int = 0,
    **faults: float,
) -> Any:
    """Time generations of a run; the base episodes and generation 0 come before, without latency."""
    tell(url, **CLEAN)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        plain = settings(url, n, proposals=proposals, concurrency=workers)
        machines = None
        if processes:
            cluster = LocalCluster(n_workers=processes, threads_per_worker=12, dashboard_address=None)
            machines = stack.enter_context(dask(stack.enter_context(cluster).scheduler_address))
        with Search(Path(folder) / "run", plain, machines=machines) as search:
            search.step()
            tell(url, **CLEAN | {"latency": latency} | faults)
            memory, walls, cpus, resident = Memory(), [], [], []
            made: list[dict[str, Any]] = []
            for _ in range(steps):
                wall, cpu = time.perf_counter(), time.process_time()
                made += search.step()
                walls.append(time.perf_counter() - wall)
                cpus.append(time.process_time() - cpu)
                resident.append(psutil.Process().memory_info().rss / 2**20)
            seen = counted(url)
            tell(url, **CLEAN)
        return {
            "seconds": walls,
            "cpu": cpus,
            "episodes": sum(c["n_episodes"] or 0 for c in made) / steps,
            "failed": sum(c["n_failed"] or 0 for c in made),
            "rejected": sum(c["status"] == "rejected" for c in made),
            "candidates": len(made),
            "memory": memory.stop(),
            "resident": resident,
            "server": seen,
            "digest": store.digest(Path(folder) / "run"),
        }


def request_cpu(url: str) -> dict[str, float]:
    """Compare CPU per request: whole episodes through the engine, and the same bodies through a bare ``post``."""
    import openai

    from workbench.llm.client import Client
    from workbench.simulate import tau2
    from workbench.simulate.batch import Label, simulate

    tell(url, **CLEAN)
    plain = settings(url, 10)
    tasks = tau2.split("retail", "train")[:20]
    bodies: list[dict[str, Any]] = []

    async def engine(folder: Path, keep: bool) -> float:
        ledger = store.Ledger(folder / "ledger.jsonl")
        client = Client(plain.roles, cache=folder / "replies.sqlite", concurrency=30, on_spend=ledger.add)
        if keep:
            post = client._post

            async def recording(endpoint: Any, path: str, body: Any) -> Any:
                bodies.append(json.loads(body))
                return await post(endpoint, path, body)

            client._post = recording  # type: ignore[method-assign]
        await simulate(None, tasks[:2], 2, client, seed=1, label=Label("base", "train"))
        started = time.process_time()
        found = await simulate(None, tasks, 5, client, seed=2, label=Label("base", "train"))
        spent = time.process_time() - started
        assert len(found.episodes) == 100 and found.episodes["error"].is_null().all()
        await client.aclose()
        ledger.close()
        return spent / (100 * 11) * 1e3

    async def bare(make: Any) -> float:
        api = openai.AsyncOpenAI(api_key="none", base_url=url, http_client=make())
        queue = iter(bodies)

        async def worker() -> None:
            for body in queue:
                await api.post("/chat/completions", body=body, cast_to=object)

        started = time.process_time()
        await asyncio.gather(*(worker() for _ in range(30)))
        spent = time.process_time() - started
        await api.close()
        return spent / len(bodies) * 1e3

    async def both() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("warm", "0", "1", "2"):
                (Path(folder) / name).mkdir()
            await engine(Path(folder) / "warm", True)
            await bare(openai.DefaultAsyncHttpx2Client)
            pairs = []
            for i in range(3):
                ours = await engine(Path(folder) / str(i), False)
                pairs.append((ours, await bare(openai.DefaultAsyncHttpx2Client)))
            aio = await bare(openai.DefaultAioHttpClient)
        ours, plain_post = (sorted(p[k] for p in pairs)[1] for k in (0, 1))
        return {"ours": ours, "bare": plain_post, "ratio": ours / plain_post, "bare aiohttp": aio}

    return asyncio.run(both())


def main() -> None:
    what = json.loads(sys.argv[1])
    part = {"generations": generations, "request_cpu": request_cpu}[what.pop("part")]
    print(json.dumps(part(**what)))


if __name__ == "__main__":
    main()
