"""Personas as plain JSON lines, and for other test tools: inspect_ai, Google ADK, MLflow, DeepEval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.export.choose import Choice
from workbench.export.files import Written, document, lines, put

OPENING = "Hello, I need help with something."  # where no conversation of the persona is kept
FIELDS = (
    "task_id",
    "persona_id",
    "hash",
    "split",
    "description",
    "reasoning",
    "axis_placement",
    "policy",
    "context",
)


def jsonl(choice: Choice, out: Path) -> Written:
    """Write one object a persona: the record, its task's text and where it comes from."""
    records = [record(choice, p) for p in choice.personas]
    return Written(put({out: lines(records)}), len(records), f"personas of {choice.label}")


def inspect(choice: Choice, out: Path) -> Written:
    """Write dataset samples for ``inspect_ai.dataset.json_dataset``: the scenario as input, the persona as metadata."""
    samples = [
        {"id": name(p), "input": scenario(choice, p), "target": "", "metadata": record(choice, p)}
        for p in choice.personas
    ]
    return Written(put({out: lines(samples)}), len(samples), f"samples of {choice.label}")


def adk(choice: Choice, out: Path) -> Written:
    """Write ``ConversationScenarios``: a placed axis is a behavior, its playbook the instructions, the opposite the rubric."""
    axes = _axes(choice)
    scenarios = [
        {
            "starting_prompt": p["opening"] or OPENING,
            "conversation_plan": scenario(choice, p),
            "user_persona": {
                "id": name(p),
                "description": f"{p['description']}\n\n{p['policy']}".strip(),
                "behaviors": [
                    _behavior(axis, p["axis_placement"][axis["behavior"]])
                    for axis in axes
                    if axis["behavior"] in p["axis_placement"]
                ],
            },
        }
        for p in choice.personas
    ]
    done = Written(
        put({out: document({"scenarios": scenarios})}), len(scenarios), f"scenarios of {choice.label}"
    )
    if unheard := sum(p["opening"] is None for p in choice.personas):
        done.counts[f"start with {OPENING!r}: no conversation of theirs is kept"] = unheard
    if not axes:
        done.notes.append("The program has no axes: the personas have descriptions, but no behaviors.")
    return done


def mlflow(choice: Choice, out: Path) -> Written:
    """Write test cases for ``ConversationSimulator(test_cases=...)``; ``expectations`` tell which persona it was."""
    cases = [
        {
            "goal": scenario(choice, p),
            "persona": p["policy"],
            "expectations": {key: p[key] for key in ("task_id", "persona_id", "hash")},
        }
        for p in choice.personas
    ]
    return Written(put({out: document(cases)}), len(cases), f"test cases of {choice.label}")


def deepeval(choice: Choice, out: Path) -> Written:
    """Write conversational goldens for ``EvaluationDataset().add_goldens_from_json_file``."""
    goldens = [
        {
            "name": name(p),
            "scenario": scenario(choice, p),
            "persona": {"name": p["persona_id"], "characteristics": p["policy"]},
            "additional_metadata": record(choice, p),
        }
        for p in choice.personas
    ]
    return Written(put({out: document(goldens)}), len(goldens), f"goldens of {choice.label}")


def record(choice: Choice, persona: dict[str, Any]) -> dict[str, Any]:
    """Return a persona as plain data."""
    return {name: persona[name] for name in FIELDS} | choice.provenance


def name(persona: dict[str, Any]) -> str:
    """Name a persona so that it is unique over tasks and programs."""
    return f"{persona['task_id']}-{persona['persona_id']}-{persona['hash']}"


def scenario(choice: Choice, persona: dict[str, Any]) -> str:
    """Return what the task tells the user.

    Raises
    ------
    WorkbenchError
        When the run does not hold it: these tools need something for the user to want.
    """
    if not persona["context"]:
        raise WorkbenchError(
            f"{choice.source.place} does not hold the text of task {persona['task_id']}, which this format needs; "
            "export jsonl, or leave the task out with --task."
        )
    return str(persona["context"])


def _behavior(axis: dict[str, Any], on: bool) -> dict[str, Any]:
    sides = axis["presence"]
    here, there = ("true", "false") if on else ("false", "true")
    return {
        "name": axis["behavior"] if on else f"not {axis['behavior']}",
        "description": axis["definition"],
        "behavior_instructions": [sides[here]],
        "violation_rubrics": [sides[there]],
    }


def _axes(choice: Choice) -> list[dict[str, Any]]:
    """Read the axes of the program behind the personas, in the sandbox."""
    from workbench.evolve.conditions import dp_program
    from workbench.evolve.search import seed_program
    from workbench.llm import loop
    from workbench.simulate.program import ProgramRejected, read_axes

    if choice.candidate_id:
        source = choice.source.program(choice.candidate_id)
    else:
        source = dp_program() if choice.folder.endswith("/dp") else seed_program()
    try:
        return loop.run(read_axes(source))
    except ProgramRejected as error:
        raise WorkbenchError(
            f"The axes of {choice.label} cannot be read ({error.kind}): {error.reason}"
        ) from None
