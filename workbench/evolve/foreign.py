"""Runs of other programs as runs of ours: output folders of ppol 0.1.1, checkpoints of OpenEvolve 0.4.0.

What is found is written once, in our own layout, to a folder of this process that goes when it ends: every view
reads it as any run, and the run itself is never touched. ``docs/formats/ppol.md`` says what comes from where.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import polars as pl

import workbench
from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.archive import cell_of
from workbench.evolve.checkpoints import (
    Json,
    Node,
    artifacts,
    as_dict,
    as_list,
    as_number,
    as_text,
    checkpoints_of,
    load,
    union,
)
from workbench.evolve.ppol_files import join_logs, log_tasks, made, people_of, references, tasks_of
from workbench.evolve.run import ATTEMPTS, CANDIDATES
from workbench.evolve.settings import Settings
from workbench.llm.roles import endpoints

KEPT = ("candidate_id", "parent", "generation", "island", "author", "created")  # of a rejected program
UNKNOWN = "not recorded"  # the model of a role that the other program keeps no note of


def convert(path: str | Path) -> Path | None:
    """Write the run of another program in our layout and return that folder; None where there is none.

    Parameters
    ----------
    path
        ppol's output folder, or a folder of OpenEvolve: its output, or one checkpoint, which is taken together
        with the earlier ones beside it, because OpenEvolve deletes programs that were displaced.

    Raises
    ------
    WorkbenchError
        When there is such a run but no program of it can be read.
    """
    given = Path(path).resolve()
    root = next((p for p in (given, *given.parents[:3]) if (p / "ppol_run_config.json").is_file()), None)
    checkpoints = checkpoints_of(given) or (checkpoints_of(root) if root else [])
    if not checkpoints and root is None:
        return None
    if not checkpoints:
        raise WorkbenchError(
            f"{path} is a run of ppol without a checkpoint; it can be opened once its first iteration is done."
        )
    missing: list[str] = []
    nodes, best = union(checkpoints, Path(path), missing)
    target = Path(tempfile.mkdtemp(prefix="run-", dir=_shelf().name))
    config = (load(root / "ppol_run_config.json") or {}) if root else {}
    if root:
        join_logs(nodes, root / "training", missing)
    domain = references(target, config, root, missing)
    _write(target, Path(path), "ppol" if root else "OpenEvolve", nodes, best, config, domain, missing)
    return target


@cache
def _shelf() -> tempfile.TemporaryDirectory[str]:
    """The folder of what was converted, removed when this process ends."""
    return tempfile.TemporaryDirectory(prefix="workbench-foreign-")


def _write(
    target: Path,
    path: Path,
    kind: str,
    nodes: Sequence[Node],
    best: str | None,
    config: Json,
    domain: str,
    missing: list[str],
) -> None:
    names = {node.uid: f"{i:04d}" for i, node in enumerate(nodes)}
    top = -math.inf
    kept = "every conversation with a persona (only its P(human) is kept)"
    missing.append(kept if kind == "ppol" else "people, personas and conversations")
    if not any(node.record.get("prompts") for node in nodes):
        missing.append("mutation prompts and answers, rejected edits")
    missing.append("tokens, cost and seconds")
    contexts: dict[str, str] = {}
    for node in nodes:
        row, reason = _row(node, names, kind), _failure(node, kind)
        row["status"] = "accepted"
        if reason:  # the zeros that stand in for its scores are none
            row |= dict.fromkeys(n for n in CANDIDATES if n not in KEPT)
            row |= {"status": "rejected", "reason": reason}
        row["new_best"] = not reason and row["rank"] is not None and row["rank"] > top
        top = row["rank"] if row["new_best"] else top
        frames = people_of(node, row["candidate_id"], config) | _attempts(node, row)
        row["tasks"] = tasks_of(node, config)
        told = [as_text(task.get("task_context")) for task in log_tasks(node)]
        contexts |= {task: text for task, text in zip(row["tasks"], told, strict=True) if text}
        folder = made(target / "candidates" / row["candidate_id"])
        (folder / "program.py").write_text(node.code)
        if node.reflection:
            (folder / "reflection.txt").write_text(node.reflection)
        store.write_frames(folder, frames)
        store.write_json(folder / "candidate.json", row)
    started = min((n.order[1] for n in nodes if n.order[1] > 0), default=0.0)
    info = {
        "format": store.FORMAT,
        "run_id": hashlib.sha256("".join(names).encode()).hexdigest()[:12],
        "version": f"{workbench.__version__}, reading {kind}",
        "created": _moment(started),
        "settings": _settings(nodes, config, domain).as_json(),
        "tasks": {
            "train": [str(t) for t in as_list(config.get("train_task_ids"))],
            "validation": [str(t) for t in as_list(config.get("val_task_ids"))],
            "test": [],
        },
        "foreign": {
            "program": kind,
            "path": str(path),
            "best": names.get(best or ""),
            "ids": {name: uid for uid, name in names.items()},
            "contexts": contexts,
            "missing": missing,
        },
    }
    store.write_json(target / "run.json", info)


def _row(node: Node, names: Mapping[str, str], kind: str) -> Json:
    """One candidate: ``generation`` is the iteration, ``rank`` and ``fitness`` the combined score."""
    numbers = {k: v for k in node.metrics if (v := as_number(node.metrics[k])) is not None}
    likeness, coverage = numbers.get("human_likeness"), numbers.get("intra_set_diversity")
    score = numbers.get("combined_score")
    if score is None and numbers and "error" not in numbers:  # as OpenEvolve does
        score = sum(numbers.values()) / len(numbers)
    counts = ("n_episodes", "n_tasks_in_batch", "n_personas_per_task")
    episodes, tasks, each = (_whole(node.metrics.get(count)) for count in counts)
    row: Json = dict.fromkeys(CANDIDATES)
    return row | {
        "candidate_id": names[node.uid],
        "parent": names.get(node.parent or ""),
        "generation": int(node.order[0]),
        "island": _whole(as_dict(node.record.get("metadata")).get("island")),
        "cell": None if likeness is None or coverage is None else list(cell_of(likeness, coverage)),
        "author": "seed" if node.record.get("parent_id") is None else "mutation",
        "n_personas": each,
        "rank": score,
        "fitness": score,
        "human_likeness": likeness,
        "coverage": coverage,
        "lambda_h": numbers.get("score_weight_human_likeness"),
        "lambda_b": numbers.get("score_weight_intra_diversity"),
        "n_episodes": episodes,
        "n_failed": tasks * each - episodes if episodes is not None and tasks and each else None,
        "n_tasks": tasks,
        "validation_score": as_number(node.validation.get("val_combined_score")),
        "validation_human_likeness": as_number(node.validation.get("val_human_likeness")),
        "validation_coverage": as_number(node.validation.get("val_intra_diversity")),
        "validation_n_episodes": (_whole(node.validation.get("val_n_episodes")) or 0)
        if node.validation
        else None,
        "created": _moment(node.order[1]),
    }


def _whole(value: object) -> int | None:
    number = as_number(value)
    return None if number is None else int(number)


def _failure(node: Node, kind: str) -> str:
    """Say why a program has no score, as far as the other program keeps it."""
    told = artifacts(node.record)
    places = ("traceback", "stderr", "error_message", "error")
    kept = next((as_text(told[place]).strip() for place in places if told.get(place)), "")
    if kind == "ppol" and not node.scored:
        zero = "it was scored zero: it did not load, or no episode of it finished (ppol keeps no reason)"
        return kept or zero
    if not node.metrics or "error" in node.metrics or node.metrics.get("timeout"):
        return kept or "its evaluation failed (OpenEvolve keeps no reason)"
    return ""


def _attempts(node: Node, row: Json) -> dict[str, pl.DataFrame]:
    """Return the mutation's prompt and answer, where OpenEvolve was set to keep them."""
    rows: list[Json] = []
    for found in as_dict(node.record.get("prompts")).values():
        if isinstance(found, dict) and row["parent"]:
            answers = as_list(found.get("responses"))
            answer = as_text(answers[-1]) if answers else ""
            prompt = f"{as_text(found.get('system'))}\n\n{as_text(found.get('user'))}".strip()
            told = {"prompt": prompt, "answer": answer, "edits": answer.count("<<<<<<< SEARCH")}
            about = {"candidate_id": row["candidate_id"], "attempt": len(rows), "parent": row["parent"]}
            rows.append(about | told | {"verdict": "applied"})
    return {"attempts": pl.DataFrame(rows, schema=ATTEMPTS)} if rows else {}


def _settings(nodes: Sequence[Node], config: Json, domain: str) -> Settings:
    """Return the settings that the other program shares with ours; models that it does not name are unknown."""
    train, validation = (len(as_list(config.get(f"{s}_task_ids"))) or 1 for s in ("train", "val"))
    roles = endpoints(UNKNOWN)
    if isinstance(model := config.get("reflection_model"), str):
        roles["reflection"] = replace(roles["reflection"], model=model)
    islands = {as_number(as_dict(n.record.get("metadata")).get("island")) for n in nodes}
    schedule = [as_list(row) for row in as_list(config.get("n_personas_schedule"))]
    stages = sorted(int(row[1]) for row in schedule if len(row) == 2 and (as_number(row[1]) or 0) >= 1)
    return Settings(
        domain=domain or "unknown",
        seed=max(0, int(as_number(config.get("seed")) or 0)),
        generations=max(int(n.order[0]) for n in nodes),
        train_tasks=train,
        validation_tasks=validation,
        window=min(train, max(1, int(as_number(config.get("batch_size")) or 1))),
        stages=tuple(stages) or (max(1, int(as_number(config.get("n_personas")) or 1)),),
        islands=max(1, len(islands - {None})),
        standardize=config.get("standardize_coverage") is True,
        roles=roles,
    )


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(max(seconds, 0.0), 2**33)))
