"""A run on several machines is the same run: a real dask cluster of two worker processes, one of them killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client as Scheduler
from distributed import LocalCluster

from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.run import open_run
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.llm.client import LLMError
from workbench.llm.rehearsal.app import app
from workbench.llm.roles import ROLES, Endpoint
from workbench.simulate.machines import Machines, dask

SMALL = Settings(
    seed=4, generations=2, proposals=2, train_tasks=4, validation_tasks=1, test_tasks=1, window=2, stages=(2,), islands=1
)  # fmt: skip
PRICED = {r: Endpoint(f"rehearsal-{r}", usd_per_million_tokens=(1.0, 2.0)) for r in ROLES}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "alone"
    with Search(path, replace(SMALL, roles=PRICED)) as search:
        search.finish()
    return path


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as it:
        yield it


def test_a_run_with_a_worker_killed_in_its_middle_has_the_digest_of_a_run_without_workers(
    alone: Path, cluster: LocalCluster, tmp_path: Path
):
    killed: list[int] = []

    def kill_one_at_work() -> None:
        deadline = time.monotonic() + 120
        with Scheduler(cluster.scheduler_address) as watch:
            pids = watch.run(os.getpid)
            while not killed and time.monotonic() < deadline:
                busy = [worker for worker, keys in watch.processing().items() if keys]
                if busy and (tmp_path / "run" / "candidates" / "0000").exists():
                    killed.append(pids[busy[0]])
                    os.kill(pids[busy[0]], signal.SIGKILL)
                time.sleep(0.01)

    killer = threading.Thread(target=kill_one_at_work)
    killer.start()
    with (
        dask(cluster.scheduler_address) as machines,
        Search(tmp_path / "run", replace(SMALL, roles=PRICED), machines=machines) as search,
    ):
        assert machines.slots == 4
        search.finish()
    killer.join()
    assert killed
    assert store.digest(tmp_path / "run") == store.digest(alone)
    spent, before = open_run(tmp_path / "run").spent(), open_run(alone).spent()
    assert spent.drop("cost").equals(
        before.drop("cost")
    )  # what workers spent is in the ledger, to the request
    assert spent["cost"].to_list() == pytest.approx(before["cost"].to_list()) and spent["cost"].sum() > 0
    own = open_run(tmp_path / "run").candidates
    assert own["tokens_in"].equals(open_run(alone).candidates["tokens_in"])


def test_any_executor_will_do(alone: Path, tmp_path: Path):
    with (
        ThreadPoolExecutor(3) as pool,
        Search(tmp_path / "run", replace(SMALL, roles=PRICED), machines=Machines(pool, 3)) as search,
    ):
        search.finish()
    assert store.digest(tmp_path / "run") == store.digest(alone)


def test_the_limits_are_divided_among_the_slots(serve, tmp_path: Path):
    """Each piece gets its part of the requests in flight; a cap holds over all of them together."""
    roles = {r: replace(e, base_url=serve(app)) for r, e in PRICED.items()}
    with ThreadPoolExecutor(2) as pool:
        machines = Machines(pool, 2)
        assert machines.divide(30) == 2 and machines._each == 14
        with pytest.raises(WorkbenchError, match="set --concurrency to 3 or more"):
            machines.divide(2)
        with (
            Search(tmp_path / "run", replace(SMALL, roles=roles, max_cost=0.5), machines=machines) as search,
            pytest.raises(LLMError, match="limit of"),
        ):
            search.finish()
    assert 0.1 < open_run(tmp_path / "run").spent()["cost"].sum() <= 0.5


def _die(*_: object) -> None:
    os._exit(1)


def test_workers_that_are_gone_are_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("workbench.simulate.machines._there", _die)
    with (
        ProcessPoolExecutor(1) as pool,
        Search(tmp_path / "run", SMALL, machines=Machines(pool, 1)) as search,
        pytest.raises(WorkbenchError, match=r"other machines are lost .* resume the run"),
    ):
        search.step()


def test_a_scheduler_that_is_not_there_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("workbench.simulate.machines.CONNECT_SECONDS", 1)
    with pytest.raises(WorkbenchError, match="does not answer"), dask("tcp://127.0.0.1:9"):
        pass
