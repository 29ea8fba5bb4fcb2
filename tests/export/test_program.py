from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from foreign_runs import PROGRAM, ppol_run

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run, open_run
from workbench.export import export, to_program
from workbench.llm import loop
from workbench.llm.rehearsal.app import app
from workbench.simulate.program import run_program

SCENARIO = "You want to return a lamp.\nYou are Ada."


@pytest.fixture
def endpoint(serve: Callable[[Any], str]) -> str:
    return serve(app)


def outside(file: Path, *arguments: str, endpoint: str, scenario: str = SCENARIO) -> list[dict]:
    """Run an exported file by a bare Python: no packages but the standard library's."""
    around = {"OPENAI_BASE_URL": endpoint, "OPENAI_MODEL": "rehearsal-generator", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", "-S", str(file), *arguments]
    done = subprocess.run(command, input=scenario, capture_output=True, text=True, env=around, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict] = json.loads(done.stdout)
    return found


def inside(source: str, n: int, endpoint: str) -> list[dict]:
    """Run a program in the sandbox, with the same requests to the same endpoint."""

    async def complete(system: str, user: str) -> str:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        async with httpx2.AsyncClient() as client:
            body = {"model": "rehearsal-generator", "messages": messages}
            answer = await client.post(f"{endpoint}/chat/completions", json=body)
        return str(answer.json()["choices"][0]["message"]["content"])

    found = loop.run(run_program(source, SCENARIO, n, complete))
    return [{"id": p.persona_id, "axes": p.axis_placement, "policy": p.policy} for p in found]


def summary(records: list[dict]) -> list[dict]:
    return [
        {"id": r["persona_id"], "axes": r["axis_placement"], "policy": r["expanded_instruction"]}
        for r in records
    ]


def variant(tmp_path: Path, source: str) -> Run:
    """A run of ppol whose best program is this one."""
    folder = ppol_run(tmp_path / "run")
    for file in folder.glob("openevolve/checkpoints/*/programs/d.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"code": source}))
    return open_run(folder)


def test_the_package_is_not_there_for_an_exported_program() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import workbench"], capture_output=True, check=False
    )
    assert done.returncode == 1


def test_the_best_program_writes_outside_what_it_writes_in_the_sandbox(
    run: Run, tmp_path: Path, endpoint: str
) -> None:
    export(run, "program", tmp_path / "personas.py")
    found = outside(tmp_path / "personas.py", "4", endpoint=endpoint)
    assert summary(found) == inside(run.program(run.best), 4, endpoint)
    assert len({r["expanded_instruction"] for r in found}) == 4


def test_a_program_of_the_reference_implementation_gets_its_helpers(tmp_path: Path, endpoint: str) -> None:
    run = open_run(ppol_run(tmp_path / "run"))
    export(run, "program", tmp_path / "personas.py")
    text = (tmp_path / "personas.py").read_text()
    assert "_generator_utils" not in text and "def generate_population" in text
    assert summary(outside(tmp_path / "personas.py", "3", endpoint=endpoint)) == inside(
        run.program(run.best), 3, endpoint
    )


def test_a_program_that_renames_the_helpers_and_comes_from_the_future(tmp_path: Path, endpoint: str) -> None:
    source = (
        PROGRAM.replace("from typing", "from __future__ import annotations\n\nfrom typing", 1)
        .replace("import expand_personas_parallel, generate_population", "import (\n    expand_personas_parallel as ex,\n    generate_population as pop,\n)")
        .replace("= generate_population(", "= pop(")
        .replace("= expand_personas_parallel(", "= ex(")
    )  # fmt: skip
    run = variant(tmp_path, source)
    export(run, "program", tmp_path / "personas.py")
    assert summary(outside(tmp_path / "personas.py", "3", endpoint=endpoint)) == inside(source, 3, endpoint)


def test_text_of_a_run_cannot_become_code_in_the_head(tmp_path: Path, endpoint: str) -> None:
    folder = ppol_run(tmp_path / "run")
    (folder.parent / "human.json").write_text(
        json.dumps({"domain": 'x\nraise SystemExit(3)\n"""\u2028raise'})
    )
    text = to_program(open_run(folder), name="a\nraise SystemExit(4).py")
    assert all(line.startswith("#") for line in text.split('"""')[0].splitlines() if line)
    (tmp_path / "p.py").write_text(text)
    assert outside(tmp_path / "p.py", "1", endpoint=endpoint)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("    import os\n", "imports os"),
        ("    from subprocess import run\n", "imports subprocess"),
        ("    open('x')\n", "uses open"),
        ("    getattr(c, 'x')\n", "uses getattr"),
        ("    c.__class__\n", "uses __class__"),
        ("    __builtins__\n", "uses __builtins__"),
        ("    import random\n    random._os.system('x')\n", "uses _os"),
        ("    from random import _os\n", "uses _os"),
        ("    import re\n    re.enum.sys\n", "uses (enum|sys)"),
        ("    os.environ\n", "uses os"),
        ("    from typing import get_type_hints\n", "uses get_type_hints"),
        ("    (x for x in c).gi_frame\n", "uses gi_frame"),
    ],
)
def test_what_would_reach_further_outside_is_not_exported(line: str, told: str, tmp_path: Path) -> None:
    source = PROGRAM + f"\n\ndef later(c):\n{line}    return c\n"
    with pytest.raises(WorkbenchError, match=told):
        export(variant(tmp_path, source), "program", tmp_path / "out.py")
    assert not (tmp_path / "out.py").exists()


def test_a_program_that_does_not_load_is_not_exported(tmp_path: Path) -> None:
    run = open_run(ppol_run(tmp_path / "run"))
    with pytest.raises(WorkbenchError, match=r"Candidate 0004 does not run \(syntax\)"):
        to_program(run, "0004")
    with pytest.raises(WorkbenchError, match="has no candidate '0099'"):
        to_program(run, "0099")


def test_text_that_looks_like_markup_or_the_end_of_a_string_stays_text(tmp_path: Path, endpoint: str) -> None:
    hostile = "''' \"\"\" \\ </script> \u2028 ü"
    source = PROGRAM + f"\n\nHOSTILE = {hostile!r}\n"
    (tmp_path / "p.py").write_text(to_program(variant(tmp_path, source)))
    shown = [sys.executable, "-c", "import json, p; print(json.dumps(p.HOSTILE))"]
    done = subprocess.run(shown, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == hostile
