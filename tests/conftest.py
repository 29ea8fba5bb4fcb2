"""What every test shares: the real traces, when they are there, and no skip where all is installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


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
    assert (path / "human" / "retail.jsonl").is_file(), f"WORKBENCH_TRACES={folder} holds no human/retail.jsonl"
    return path
