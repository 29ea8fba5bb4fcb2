"""What every test shares: the real traces, when they are there, and no skip where all is installed."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Tests that need another environment are no part of the others, so that they count as neither run nor skipped:
# `make test-server`, `make test-formats`, `make test-ppol`.
_ELSEWHERE = {
    "WORKBENCH_SERVER_PYTHON": "llm/test_real_server.py",
    "WORKBENCH_FORMATS_PYTHON": "export/test_libraries.py",
    "WORKBENCH_PPOL_PYTHON": "evolve/test_ppol.py",
}
collect_ignore = [file for name, file in _ELSEWHERE.items() if not os.environ.get(name)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Turn a skip into a failure under CI=true, where everything a test may need is installed."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped although CI=true: {reason}"


@pytest.fixture(scope="session")
def traces() -> Path:
    """Folder of real traces (``human/``, ``simulated/``), named by WORKBENCH_TRACES; skips without it."""
    folder = os.environ.get("WORKBENCH_TRACES", "")
    if not folder:
        pytest.skip("real traces are not here: set WORKBENCH_TRACES to the folder that holds them")
    path = Path(folder).resolve()
    assert (path / "human" / "retail.jsonl").is_file(), (
        f"WORKBENCH_TRACES={folder} holds no human/retail.jsonl"
    )
    return path


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Return a function that serves an ASGI app on loopback and gives its base URL."""
    import uvicorn

    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        running.append((server, thread))
        return f"http://127.0.0.1:{port}/v1"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(5)
