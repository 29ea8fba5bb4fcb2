"""What every test shares: the real traces, when they are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def traces() -> Path:
    """Folder of real traces (``human/``, ``simulated/``), named by WORKBENCH_TRACES; skips without it."""
    folder = os.environ.get("WORKBENCH_TRACES", "")
    if not folder:
        pytest.skip("real traces are not here: set WORKBENCH_TRACES to the folder that holds them")
    path = Path(folder).resolve()
    assert (path / "human" / "retail.jsonl").is_file(), f"WORKBENCH_TRACES={folder} holds no human/retail.jsonl"
    return path
