"""What is written, read by the libraries it is written for, in an environment of their own: ``make test-formats``."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from workbench.evolve.run import Run
from workbench.export import export

PYTHON = os.environ["WORKBENCH_FORMATS_PYTHON"]


def read_by(code: str, file: Path) -> Any:
    """Run code there with the file as ``path``; it prints JSON on its last line."""
    quiet = {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(file.parent)}
    command = [PYTHON, "-c", f"import json, sys\npath = sys.argv[1]\n{code}", str(file)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | quiet, cwd=file.parent
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def policies(run: Run) -> list[str]:
    found: list[str] = run.frame("conditions/evolved", "personas")["policy"].to_list()
    return found


def test_adk_takes_the_scenarios(run: Run, tmp_path: Path) -> None:
    export(run, "adk", tmp_path / "out.json")
    found = read_by(
        "from google.adk.evaluation.conversation_scenarios import ConversationScenarios\n"
        "from google.adk.evaluation.simulation.user_simulator_personas import UserPersonaRegistry\n"
        "scenarios = ConversationScenarios.model_validate_json(open(path).read()).scenarios\n"
        "registry = UserPersonaRegistry()\n"
        "[registry.register_persona(s.user_persona.id, s.user_persona) for s in scenarios]\n"
        "print(json.dumps([[s.user_persona.description, len(s.user_persona.behaviors),"
        " s.user_persona.behaviors[0].get_violation_rubrics_str()] for s in scenarios]"
        " + [len(registry.get_registered_personas())]))",
        tmp_path / "out.json",
    )
    assert found.pop() == 4
    assert [text.endswith(policy) for (text, _, _), policy in zip(found, policies(run), strict=True)] == [
        True
    ] * 4
    assert all(count >= 4 and rubric.strip(" *") for _, count, rubric in found)


def test_mlflow_takes_the_test_cases_without_a_warning(run: Run, tmp_path: Path) -> None:
    export(run, "mlflow", tmp_path / "out.json")
    found = read_by(
        "import logging, io\n"
        "heard = io.StringIO(); logging.basicConfig(stream=heard)\n"
        "from mlflow.genai.simulators import ConversationSimulator\n"
        "simulator = ConversationSimulator(test_cases=json.load(open(path)), user_model='openai:/none')\n"
        "print(json.dumps([[c['persona'] for c in simulator.test_cases], 'unexpected keys' in heard.getvalue()]))",
        tmp_path / "out.json",
    )
    assert found == [policies(run), False]


def test_deepeval_takes_the_goldens(run: Run, tmp_path: Path) -> None:
    export(run, "deepeval", tmp_path / "out.json")
    found = read_by(
        "from deepeval.dataset import EvaluationDataset\n"
        "dataset = EvaluationDataset(); dataset.add_goldens_from_json_file(path)\n"
        "print(json.dumps([[type(g).__name__, g.persona.characteristics, g.additional_metadata['hash']] for g in dataset.goldens]))",
        tmp_path / "out.json",
    )
    assert [(kind, policy) for kind, policy, _ in found] == [
        ("ConversationalGolden", p) for p in policies(run)
    ]
    assert all(found_hash for _, _, found_hash in found)
