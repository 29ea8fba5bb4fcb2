"""A small evaluated run, made by the commands that docs/formats/README.md shows."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from workbench.cli import main
from workbench.evolve.run import Run, open_run

INDEX = Path(__file__).parents[2] / "docs" / "formats" / "README.md"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run."""
    path = tmp_path_factory.mktemp("export") / "small"
    lines = [line.strip() for line in INDEX.read_text().splitlines() if line.startswith("    workbench ")]
    assert len(lines) == 2
    for line in lines:
        assert main(shlex.split(line.replace("runs/small", str(path)))[1:]) == 0
    return path


@pytest.fixture
def run(small: Path) -> Run:
    """The run, open for reading."""
    return open_run(small)
