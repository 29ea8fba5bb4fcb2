"""A real run of ppol 0.1.1 against the benchmark's scripted server, opened: ``make test-ppol``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from workbench.cli import main
from workbench.evolve.run import open_run
from workbench.show import scores, stepper
from workbench.show.stepping import TABS

PYTHON = os.environ["WORKBENCH_PPOL_PYTHON"]
ENGINE = Path(__file__).parents[2] / "benchmarks" / "engine"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its output folder: the seed program and four iterations."""
    place = tmp_path_factory.mktemp("ppol")
    server = subprocess.Popen([sys.executable, str(ENGINE / "server.py")], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        around = os.environ | {"SCRIPTED_URL": f"http://127.0.0.1:{int(server.stdout.readline())}/v1"}
        for arguments in (["prepare", str(place)], ["evolve", str(place), "16", "4", "5", "1"]):
            command = [PYTHON, str(ENGINE / "ppol_side.py"), *arguments]
            done = subprocess.run(
                command, capture_output=True, text=True, env=around, timeout=300, check=False
            )
            assert done.returncode == 0, done.stderr[-2000:]
        yield next(place.glob("run*"))
    finally:
        server.terminate()
        server.wait(10)


def test_a_real_run_opens_with_its_generations_diffs_scores_and_personas(folder: Path) -> None:
    run = open_run(folder)
    found = run.candidates
    assert found["generation"].to_list() == [0, 1, 2, 3, 4]
    assert found["parent"].drop_nulls().is_in(found["candidate_id"].to_list()).all()
    logged = [
        json.loads(p.read_text())["metrics"] for p in sorted(folder.glob("training/simulations/*/log.json"))
    ]
    assert found["human_likeness"].to_list() == [m["human_likeness"] for m in logged]
    assert run.personas.collect().group_by("candidate_id").len()["len"].to_list() == [25] * 5
    likeness = (
        run.episodes.filter(pl.col("condition") == "search").group_by("candidate_id").agg(pl.mean("likeness"))
    )
    for candidate, mean in likeness.collect().iter_rows():
        assert mean == pytest.approx(found.filter(candidate_id=candidate)["human_likeness"][0], abs=1e-4)
    for candidate in found["candidate_id"].to_list()[1:]:
        assert re.search(r"^\+# variant \w+", run.diff(candidate), re.MULTILINE)
        assert run.reflection(candidate)
    assert len(run.humans) == 40 and len(run.frame("conditions/base_train", "fingerprints")) == 30


def test_every_view_of_a_real_run_is_drawn(folder: Path, tmp_path: Path) -> None:
    run = open_run(folder)
    shown = stepper(run)
    for tab in TABS:
        shown.tab = tab
        shown._draw()
        assert shown.body
    scores(run)
    assert main(["report", str(folder), "-o", str(tmp_path)]) == 0


def test_programs_of_the_reference_implementation_run_unchanged(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = "import ppol.evolution, pathlib; print(pathlib.Path(ppol.evolution.__file__).parent / 'initial_generator.py')"
    seed = subprocess.run(
        [PYTHON, "-c", where], capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]
    for program in (seed, str(folder)):
        assert main(["personas", program, "--task", "12", "-n", "3", "--json"]) == 0
        records = json.loads(capsys.readouterr().out)
        assert len(records) == 3 and all(r["expanded_instruction"] and r["axis_placement"] for r in records)
    assert main(["export", str(folder), "--format", "program", "-o", str(tmp_path / "out.py")]) == 0
