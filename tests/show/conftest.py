"""A small run, made once with the rehearsal models: accepted and rejected candidates, one of them hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.evolve import conditions
from workbench.evolve.run import Run, open_run
from workbench.evolve.search import Search, seed_program
from workbench.show.samples import SMALL

HOSTILE = '<script>window.hacked=1</script><img src=x onerror="window.hacked=1">\x1b[31m\u202egnirts'


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run."""
    path = tmp_path_factory.mktemp("show") / "small"
    with Search(path, SMALL) as search:
        search.finish()
        broken = seed_program().replace(
            "    members = propose_members(c, axes, n)", f"    raise ValueError({HOSTILE!r})"
        )
        assert search.try_program(broken, "0000")["status"] == "rejected"
        conditions.evaluate(search)
    return path


@pytest.fixture
def run(small: Path) -> Run:
    """The run, open for reading."""
    return open_run(small)
