"""Runs in the layouts of ppol 0.1.1 and OpenEvolve 0.4.0, made up for the tests: programs and texts are our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.measure import FEATURES

TASKS = ["t0", "t1", "t2"]
PROGRAM = '''"""A generator in the style of the reference implementation."""
from typing import Any, Dict, List

from ppol.evolution._generator_utils import expand_personas_parallel, generate_population

DIVERSITY_AXES: List[Dict[str, Any]] = [
    {"behavior": "hasty", "definition": "In a hurry.", "presence": {"true": "Be quick.", "false": "Take time."}},
]
NOTE = "NUMBER"


def generate_personas_detailed(c: str, axes: List[Dict[str, Any]], n: int) -> List[Dict[str, Any]]:
    members = generate_population(
        system_prompt="You invent customers.", prompt_template="Invent exactly {N} customers for {task_context}, as JSON with axis_placement.", task_context=c,
        axes=axes, n=n,
    )
    texts = expand_personas_parallel(
        system_prompt="You write policies.", prompt_template="{persona_id}: {description}\\n{active_traits}\\n{task_context}",
        archetypes=members, task_context=c, axes=axes,
    )
    return [{**members[i], "expanded_instruction": texts[i]} for i in range(n)]
'''


def code(number: int) -> str:
    """A program that differs from the others in one line."""
    return PROGRAM.replace("NUMBER", f"variant {number}")


def put(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))


def program(uid: str, parent: str | None, iteration: int, **more: Any) -> dict[str, Any]:
    """A program's record; ``hl`` and ``coverage`` make ppol's metrics at evaluation ``count``."""
    hl, coverage, count = more.pop("hl", None), more.pop("coverage", 0.0), more.pop("count", iteration + 1)
    metrics: dict[str, Any] = {"combined_score": 0.0, "human_likeness": 0.0, "intra_set_diversity": 0.0}
    if hl is not None:
        metrics = {
            "combined_score": 0.75 * hl + 0.25 * coverage,
            "human_likeness": hl,
            "intra_set_diversity": coverage,
            "n_episodes": more.pop("episodes", 4.0),
            "n_tasks_in_batch": 2.0,
            "n_personas_per_task": 2.0,
            "epoch": float((count - 1) // 2 + 1),
            "batch_in_epoch": float((count - 1) % 2 + 1),
            "steps_per_epoch": 2.0,
            "score_weight_human_likeness": 0.75,
            "score_weight_intra_diversity": 0.25,
        }
    record = {
        "id": uid,
        "code": code(iteration),
        "language": "python",
        "parent_id": parent,
        "generation": 0 if parent is None else 1,
        "timestamp": 1_800_000_000.0 + 10 * iteration,
        "iteration_found": iteration,
        "metrics": metrics,
        "metadata": {"island": iteration % 2},
        "prompts": None,
        "artifacts_json": None,
    }
    return record | more


def log(count: int, record: dict[str, Any], *, lost: int = 0) -> dict[str, Any]:
    """The log of an evaluation: two tasks of two personas; the first task may have lost personas."""
    first = (count - 1) % 2 * 2
    tasks = [(TASKS + TASKS)[first + i] for i in range(2)]
    kept = ("combined_score", "human_likeness", "intra_set_diversity", "n_episodes")
    return {
        "phase": "train",
        "iteration": count,
        "batch_in_epoch": (count - 1) % 2 + 1,
        "timestamp": record["timestamp"] - 0.2,
        "metrics": {k: v for k, v in record["metrics"].items() if k in kept},
        "tasks": [
            {
                "task_context": f"You want to return {task}.",
                "personas": [
                    {
                        "persona_id": f"p{k}",
                        "description": f"number {count}",
                        "axis_placement": {"hasty": k == 1},
                        "reasoning": "why not",
                        "expanded_instruction": f"Policy {k} of evaluation {count}.",
                        "human_likeness": 0.1 * count + 0.01 * k,
                    }
                    for k in range(2 - (lost if i == 0 else 0))
                ],
            }
            for i, task in enumerate(tasks)
        ],
    }


def checkpoint(folder: Path, number: int, records: list[dict[str, Any]], best: str) -> None:
    place = folder / f"checkpoint_{number}"
    put(place / "metadata.json", {"best_program_id": best, "last_iteration": number})
    for record in records:
        put(place / "programs" / f"{record['id']}.json", record)


def ppol_run(folder: Path) -> Path:
    """Five evaluated programs of which the seed and one more are displaced, a broken one, and two copies.

    ``b`` and ``c`` score exactly alike, so that only the count of evaluations tells their logs apart.
    """
    seed = program(
        "seed", None, 0, hl=0.2, artifacts_json=json.dumps({"evaluator_reflection": "of the seed"})
    )
    a = program("a", "seed", 1, hl=0.4, coverage=0.2)
    b = program("b", "a", 2, hl=0.3, coverage=0.1)
    c = program("c", "seed", 3, hl=0.3, coverage=0.1, episodes=3.0)
    broken = program("broken", "b", 4, code="def broken(:\n", count=5)
    migrant = program("copy", "a", 4, hl=0.4, coverage=0.2, count=2, code=a["code"])
    migrant["metadata"]["migrant"] = True
    d = program("d", "copy", 5, hl=0.6, coverage=0.4, count=5)
    checkpoints = folder / "openevolve" / "checkpoints"
    checkpoint(checkpoints, 1, [seed, a], "a")
    checkpoint(checkpoints, 3, [seed, a, b, c], "a")
    checkpoint(checkpoints, 5, [a, c, broken, migrant, d], "d")
    for count, record in enumerate((seed, a, b, c, d), 1):
        place = folder / "training" / "simulations" / f"iter_{count:04d}"
        put(place / "log.json", log(count, record, lost=int(record is c)))
        put(place / "reflection.txt", f"said of evaluation {count}")
    curve = [
        {"iteration": 5, "val_combined_score": 0.55, "val_human_likeness": 0.5, "val_intra_diversity": 0.6}
    ]
    curve[0]["val_n_episodes"] = 12
    put(folder / "training" / "results" / "val_curve.jsonl", "\n".join(map(json.dumps, curve)) + '\n{"iterat')
    put(
        folder / "ppol_run_config.json",
        {
            "train_task_ids": TASKS,
            "val_task_ids": ["t9"],
            "human_reference_path": "/gone/human.json",
            "baseline_path": "/gone/baseline.json",
            "n_personas": 2,
            "n_personas_schedule": [[1, 2], [2, 3]],
            "batch_size": 2,
            "seed": 42,
            "standardize_coverage": True,
            "reflection_model": "some/model",
        },
    )
    put(folder.parent / "human.json", {"domain": "custom", "n_dialogues": 3})
    prints = [dict.fromkeys(FEATURES, 0.1 * i) for i in range(3)]
    put(folder.parent / "human.individual.json", {"fingerprints": prints})
    said = [{"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "<b>my lamp</b>"}]
    episode = {"task_id": "t0", "split": "train", "success": True, "reward": 1.0, "trajectory": said}
    episode["fingerprint"] = dict.fromkeys(FEATURES, 0.5)
    put(folder.parent / "baseline.json", {"meta": {}, "episodes": [episode, episode]})
    return folder


def openevolve_run(folder: Path) -> Path:
    """An OpenEvolve output of another problem: other metrics, prompts kept, an evaluation that failed."""
    metrics = {"combined_score": 0.5, "speed": 2.0}
    seed = program("s", None, 0, metrics=metrics)
    prompts = {
        "diff_user": {
            "system": "sys",
            "user": "usr",
            "responses": ["<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE"],
        }
    }
    child = program("k", "s", 1, metrics={"speed": 3.0, "size": 1.0}, prompts=prompts)
    failed = program(
        "f", "k", 2, metrics={"error": 0.0}, artifacts_json=json.dumps({"traceback": "ZeroDivisionError"})
    )
    orphan = program("o", "ghost", 3, metrics={"combined_score": 0.1})
    checkpoint(folder / "checkpoints", 3, [seed, child, failed, orphan], "k")
    return folder
