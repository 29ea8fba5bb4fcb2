"""Runs of other programs as runs of ours: output folders of ppol 0.1.1, checkpoints of OpenEvolve 0.4.0.

What is found is written once, in our own layout, to a folder of this process that goes when it ends: every view
reads it as any run, and the run itself is never touched. ``docs/formats/ppol.md`` says what comes from where.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

import workbench
from workbench.errors import WorkbenchError
from workbench.evolve import store
from workbench.evolve.archive import cell_of
from workbench.evolve.run import ATTEMPTS, CANDIDATES, FINGERPRINTS
from workbench.evolve.settings import Settings
from workbench.llm.roles import endpoints
from workbench.measure import FEATURES
from workbench.simulate.frames import EPISODES, PERSONAS, TURNS

Json = dict[str, Any]
SCORES = ("combined_score", "human_likeness", "intra_set_diversity")
HUMANS: dict[str, Any] = {
    **dict.fromkeys(("dialogue_id", "task_id", "tau2_task_id", "source", "split"), pl.String),
    **dict.fromkeys((*FEATURES, "reward"), pl.Float64),
}
KEPT = ("candidate_id", "parent", "generation", "island", "author", "tasks", "created")  # of a rejected program
UNKNOWN = "not recorded"  # the model of a role that the other program keeps no note of


@dataclass
class Node:
    """A program of the other run, and what its checkpoints and logs say of it."""

    uid: str
    code: str
    parent: str | None
    order: tuple[float, float, str]  # iteration, time, id
    depth: int
    metrics: Json
    record: Json
    log: Json | None = None
    reflection: str = ""
    validation: Json = field(default_factory=dict)

    @property
    def scores(self) -> tuple[float | None, ...]:
        """The numbers by which a log is recognized."""
        return tuple(_number(self.metrics.get(name)) for name in SCORES)


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
    checkpoints = _checkpoints(given)
    root = next((p for p in (given, *given.parents[:3]) if (p / "ppol_run_config.json").is_file()), None)
    if not checkpoints and root is None:
        return None
    if not checkpoints:
        raise WorkbenchError(
            f"{path} is a run of ppol without a checkpoint; it can be opened once its first iteration is done."
        )
    missing: list[str] = []
    nodes, best = _union(checkpoints, Path(path), missing)
    target = Path(tempfile.mkdtemp(prefix="run-", dir=_shelf().name))
    config = (_load(root / "ppol_run_config.json") or {}) if root else {}
    if root:
        _join(nodes, root / "training", missing)
    domain = _references(target, config, root, missing)
    _write(target, Path(path), "ppol" if root else "OpenEvolve", nodes, best, config, domain, missing)
    return target


@cache
def _shelf() -> tempfile.TemporaryDirectory[str]:
    """The folder of what was converted, removed when this process ends."""
    return tempfile.TemporaryDirectory(prefix="workbench-foreign-")


# -- programs -------------------------------------------------------------------------------------


def _checkpoints(path: Path) -> list[Path]:
    """Return a run's checkpoints, oldest first."""
    if (path / "metadata.json").is_file() and (path / "programs").is_dir():
        return [p for p in _numbered(path.parent) if _index(p) <= _index(path)] or [path]
    folders = (path / "openevolve" / "checkpoints", path / "checkpoints", path)
    return next((found for folder in folders if (found := _numbered(folder))), [])


def _numbered(folder: Path) -> list[Path]:
    found = folder.glob("checkpoint_*") if folder.is_dir() else ()
    return sorted((p for p in found if _index(p) >= 0 and (p / "programs").is_dir()), key=_index)


def _index(checkpoint: Path) -> int:
    name, _, number = checkpoint.name.partition("_")
    return int(number) if name == "checkpoint" and number.isdecimal() else -1


def _union(checkpoints: Sequence[Path], path: Path, missing: list[str]) -> tuple[list[Node], str | None]:
    """Read every program of any checkpoint, in its newest version; copies made for other islands are left out."""
    records: dict[str, Json] = {}
    broken: set[str] = set()
    for checkpoint in reversed(checkpoints):
        for file in sorted((checkpoint / "programs").glob("*.json")):
            if file.stem not in records:
                record = _load(file)
                if record and isinstance(record.get("code"), str):
                    records[file.stem] = record
                else:
                    broken.add(file.stem)
    if lost := len(broken - set(records)):
        missing.append(f"{lost} program file(s) that could not be read")
    if not records:
        raise WorkbenchError(f"{path} holds checkpoints, but no program in them can be read.")
    same = {uid: uid for uid in records}
    for uid, first in records.items():  # a copy is its original: a migrant, or one made for an empty island
        seen, up = {uid}, str(first.get("parent_id"))
        while up in records and up not in seen and records[up]["code"] == first["code"]:
            seen.add(up)
            same[uid], up = up, str(records[up].get("parent_id"))
    orphans = 0
    nodes = []
    for uid, record in records.items():
        if same[uid] != uid:
            continue
        parent = record.get("parent_id")
        orphans += parent is not None and parent not in records
        order = (_number(record.get("iteration_found")) or 0, _number(record.get("timestamp")) or 0, uid)
        metrics = record.get("metrics") if isinstance(record.get("metrics"), dict) else {}
        node = Node(uid, _text(record["code"]), same.get(str(parent)), order, 0, metrics, record)
        node.reflection = _text(_artifacts(record).get("evaluator_reflection"))
        nodes.append(node)
    if orphans:
        missing.append(f"the parents of {orphans} program(s): displaced before a checkpoint was written")
    if copies := len(records) - len(nodes):
        missing.append(f"{copies} copies for other islands, shown as the programs that they are")
    best = next(
        (
            b
            for c in reversed(checkpoints)
            if (b := (_load(c / "metadata.json") or {}).get("best_program_id"))
        ),
        None,
    )
    return sorted(nodes, key=lambda n: n.order), same.get(str(best))


def _artifacts(record: Json) -> Json:
    try:
        found = json.loads(record.get("artifacts_json") or "{}")
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


# -- ppol's own files -----------------------------------------------------------------------------


def _join(nodes: list[Node], training: Path, missing: list[str]) -> None:
    """Give each program the log of its evaluation: equal scores, then the same count, then the nearest time.

    ppol's logs do not name their program; the count of evaluations follows from the epoch in its metrics.
    """
    by_score: dict[tuple[float | None, ...], list[Node]] = defaultdict(list)
    for node in nodes:
        by_score[node.scores].append(node)
    curve = {_number(row.get("iteration")): row for row in _lines(training / "results" / "val_curve.jsonl")}
    unclaimed = 0
    for file in sorted(training.glob("simulations/iter_*/log.json")):
        log = _load(file) or {}
        metrics = log.get("metrics") if isinstance(log.get("metrics"), dict) else {}
        count, written = _number(log.get("iteration")), _number(log.get("timestamp")) or 0
        free = [n for n in by_score.get(tuple(_number(metrics.get(s)) for s in SCORES), []) if n.log is None]
        if not free:
            unclaimed += 1
            continue
        node = min(free, key=lambda n: (_count(n) != count, abs(n.order[1] - written), n.order))
        node.log, node.validation = log, curve.get(count, {})
        if not node.reflection and (said := file.with_name("reflection.txt")).is_file():
            node.reflection = said.read_text(errors="replace")
    if unclaimed:
        missing.append(f"the programs of {unclaimed} evaluation log(s), kept in no checkpoint")
    if bare := sum(n.log is None and not _failure(n, "ppol") for n in nodes):
        missing.append(f"the personas of {bare} program(s): no log of their evaluation")


def _count(node: Node) -> float | None:
    epoch, steps, batch = (
        _number(node.metrics.get(k)) for k in ("epoch", "steps_per_epoch", "batch_in_epoch")
    )
    return None if epoch is None or steps is None or batch is None else (epoch - 1) * steps + batch


def _batch(node: Node, config: Json) -> list[str]:
    """Ids of the tasks in a program's log: ppol's window over its train tasks, filled up from the start."""
    tasks = (node.log or {}).get("tasks")
    found = [t for t in tasks if isinstance(t, dict)] if isinstance(tasks, list) else []
    ids = [str(t) for t in config.get("train_task_ids") or []]
    start = (int(_number((node.log or {}).get("batch_in_epoch")) or 1) - 1) * len(found)
    window = (ids[start : start + len(found)] + ids)[: len(found)]
    return window if len(window) == len(found) else [f"task {i + 1} of the batch" for i in range(len(found))]


def _people(node: Node, candidate_id: str, config: Json) -> dict[str, pl.DataFrame]:
    """Return personas and episodes of a program's log; ppol keeps P(human) of a conversation, not its text."""
    personas, episodes = [], []
    for task_id, task in zip(_batch(node, config), (node.log or {}).get("tasks") or [], strict=False):
        found = [p for p in task.get("personas") or [] if isinstance(p, dict)]
        # ppol pairs personas with what finished in order: once an episode is lost, the pairs are off.
        whole = len(found) == _number(node.metrics.get("n_personas_per_task"))
        for i, person in enumerate(found):
            name = _text(person.get("persona_id")) or f"p{i + 1}"
            placed = person.get("axis_placement")
            placed = placed if isinstance(placed, dict) else {}
            shared = {"candidate_id": candidate_id, "task_id": task_id, "persona_id": name, "split": "train"}
            personas.append(
                shared
                | {
                    "description": _text(person.get("description")),
                    "reasoning": _text(person.get("reasoning")),
                    "axis_placement": [{"axis": str(a), "on": on is True} for a, on in placed.items()],
                    "policy": _text(person.get("expanded_instruction")),
                }
            )
            episodes.append(
                shared
                | {
                    "dialogue_id": f"{candidate_id}|train|{task_id}|{name}|{i}",
                    "condition": "search",
                    "n_personas": len(found),
                    "likeness": _number(person.get("human_likeness")) if whole else None,
                }
            )
    frames = {"personas": pl.DataFrame(personas, schema=PERSONAS)}
    return (frames | {"episodes": pl.DataFrame(episodes, schema=EPISODES)}) if episodes else {}


def _references(target: Path, config: Json, root: Path | None, missing: list[str]) -> str:
    """Write people and base simulator as ppol measured them; return the domain that it names."""
    people = _beside(config.get("human_reference_path"), root)
    prints = _load(people.with_name(f"{people.stem}.individual.json")) if people else None
    rows = [
        {"dialogue_id": f"person {i + 1}", "source": "ppol reference", "split": "train"} | _features(row)
        for i, row in enumerate((prints or {}).get("fingerprints") or [])
        if isinstance(row, dict)
    ]
    if not rows:
        missing.append("the people it was measured against")
    with store.new_folder(target / "reference") as folder:
        store.write_frames(folder, {"humans": pl.DataFrame(rows, schema=HUMANS)})
    baseline = _beside(config.get("baseline_path"), root)
    found = _load(baseline) if baseline else None
    runs = [e for e in (found or {}).get("episodes") or [] if isinstance(e, dict)]
    domain = _text((_load(people) or {}).get("domain")) if people else ""
    if not runs:
        missing.append("the base simulator")
        return domain
    with store.new_folder(target / "conditions" / "base_train") as folder:
        store.write_frames(folder, _baseline(runs, domain))
    return domain


def _baseline(runs: Sequence[Json], domain: str) -> dict[str, pl.DataFrame]:
    trials: Counter[str] = Counter()
    episodes, turns, prints = [], [], []
    for run in runs:
        task_id = _text(run.get("task_id"))
        trial = trials[task_id]
        trials[task_id] += 1
        key = f"base|train|{task_id}|trial{trial:02d}"
        success, reward = run.get("success"), _number(run.get("reward"))
        episodes.append(
            {
                "dialogue_id": key,
                "condition": "base",
                "split": _text(run.get("split")) or "train",
                "task_id": task_id,
                "persona_id": f"trial{trial:02d}",
                "reward": reward,
                "success": success if isinstance(success, bool) else None,
            }
        )
        if isinstance(run.get("fingerprint"), dict):
            prints.append({"dialogue_id": key} | _features(run["fingerprint"]))
        for turn, message in enumerate(m for m in run.get("trajectory") or [] if isinstance(m, dict)):
            said = {"role": _text(message.get("role")), "content": _text(message.get("content"))}
            about = {"dialogue_id": key, "turn": turn, "source": "base", "domain": domain, "task_id": task_id}
            turns.append(about | said | {"reward": reward})
    return {
        "episodes": pl.DataFrame(episodes, schema=EPISODES),
        "turns": pl.DataFrame(turns, schema=TURNS),
        "fingerprints": pl.DataFrame(prints, schema=FINGERPRINTS),
    }


def _features(row: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: _number(row.get(name)) for name in FEATURES}


def _beside(path: Any, root: Path | None) -> Path | None:
    """Find a file that the run names: where it was, or in the run's folder or the one above it."""
    if not isinstance(path, str) or not path or root is None:
        return None
    name = Path(path).name
    return next((p for p in (Path(path), root / name, root.parent / name) if p.is_file()), None)


# -- in our layout --------------------------------------------------------------------------------


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
    missing += (
        ["every conversation with a persona (only its P(human) is kept)"]
        if kind == "ppol"
        else ["people, personas and conversations"]
    )
    if not any(node.record.get("prompts") for node in nodes):
        missing.append("mutation prompts and answers, rejected edits")
    missing.append("tokens, cost and seconds")
    for node in nodes:
        row, reason = _row(node, names, kind), _failure(node, kind)
        row["status"] = "accepted"
        if reason:  # the zeros that stand in for its scores are none
            row |= dict.fromkeys(n for n in CANDIDATES if n not in KEPT)
            row |= {"status": "rejected", "reason": reason}
        row |= {"new_best": not reason and row["rank"] is not None and row["rank"] > top}
        top = row["rank"] if row["new_best"] else top
        frames = _people(node, row["candidate_id"], config) | _attempts(node, row)
        row["tasks"] = _batch(node, config)
        with store.new_folder(target / "candidates" / row["candidate_id"]) as folder:
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
            "train": [str(t) for t in config.get("train_task_ids") or []],
            "validation": [str(t) for t in config.get("val_task_ids") or []],
            "test": [],
        },
        "foreign": {
            "program": kind,
            "path": str(path),
            "best": names.get(best or ""),
            "ids": {name: uid for uid, name in names.items()},
            "missing": missing,
        },
    }
    store.write_json(target / "run.json", info)


def _row(node: Node, names: Mapping[str, str], kind: str) -> Json:
    """One candidate: ``generation`` is the iteration, ``rank`` and ``fitness`` the combined score."""
    numbers = {k: v for k in node.metrics if (v := _number(node.metrics[k])) is not None}
    likeness, coverage = numbers.get("human_likeness"), numbers.get("intra_set_diversity")
    score = numbers.get("combined_score")
    if score is None and numbers and "error" not in numbers:  # as OpenEvolve does
        score = sum(numbers.values()) / len(numbers)
    meta = node.record.get("metadata") if isinstance(node.record.get("metadata"), dict) else {}
    island = _number(meta.get("island"))
    episodes, tasks, each = (
        numbers.get(k) for k in ("n_episodes", "n_tasks_in_batch", "n_personas_per_task")
    )
    row: Json = dict.fromkeys(CANDIDATES)
    return row | {
        "candidate_id": names[node.uid],
        "parent": names.get(node.parent or ""),
        "generation": int(node.order[0]),
        "island": None if island is None else int(island),
        "cell": None if likeness is None or coverage is None else list(cell_of(likeness, coverage)),
        "author": "seed" if node.record.get("parent_id") is None else "mutation",
        "n_personas": None if each is None else int(each),
        "rank": score,
        "fitness": score,
        "human_likeness": likeness,
        "coverage": coverage,
        "lambda_h": numbers.get("score_weight_human_likeness"),
        "lambda_b": numbers.get("score_weight_intra_diversity"),
        "n_episodes": None if episodes is None else int(episodes),
        "n_failed": None
        if episodes is None or tasks is None or each is None
        else int(tasks * each - episodes),
        "n_tasks": None if tasks is None else int(tasks),
        "validation_score": _number(node.validation.get("val_combined_score")),
        "validation_human_likeness": _number(node.validation.get("val_human_likeness")),
        "validation_coverage": _number(node.validation.get("val_intra_diversity")),
        "validation_n_episodes": None
        if not node.validation
        else int(_number(node.validation.get("val_n_episodes")) or 0),
        "created": _moment(node.order[1]),
    }


def _failure(node: Node, kind: str) -> str:
    """Say why a program has no score, as far as the other program keeps it."""
    told = _artifacts(node.record)
    kept = next(
        (
            _text(told.get(k)).strip()
            for k in ("traceback", "stderr", "error_message", "error")
            if told.get(k)
        ),
        "",
    )
    if kind == "ppol" and _number(node.metrics.get("n_episodes")) is None:
        return (
            kept or "it was scored zero: it did not load, or no episode of it finished (ppol keeps no reason)"
        )
    if not node.metrics or "error" in node.metrics or node.metrics.get("timeout"):
        return kept or "its evaluation failed (OpenEvolve keeps no reason)"
    return ""


def _attempts(node: Node, row: Json) -> dict[str, pl.DataFrame]:
    """Return the mutation's prompt and answer, where OpenEvolve was set to keep them."""
    prompts = node.record.get("prompts")
    rows = []
    for found in prompts.values() if isinstance(prompts, dict) else ():
        if isinstance(found, dict) and row["parent"]:
            answers = found.get("responses")
            answer = _text(answers[-1]) if isinstance(answers, list) and answers else ""
            rows.append(
                {
                    "candidate_id": row["candidate_id"],
                    "attempt": len(rows),
                    "parent": row["parent"],
                    "prompt": f"{_text(found.get('system'))}\n\n{_text(found.get('user'))}".strip(),
                    "answer": answer,
                    "edits": answer.count("<<<<<<< SEARCH"),
                    "verdict": "applied",
                }
            )
    return {"attempts": pl.DataFrame(rows, schema=ATTEMPTS)} if rows else {}


def _settings(nodes: Sequence[Node], config: Json, domain: str) -> Settings:
    """Return the settings that the other program shares with ours; models that it does not name are unknown."""
    train, validation = (
        len(config.get("train_task_ids") or []) or 1,
        len(config.get("val_task_ids") or []) or 1,
    )
    roles = endpoints(UNKNOWN)
    if isinstance(model := config.get("reflection_model"), str):
        roles["reflection"] = replace(roles["reflection"], model=model)
    islands = {_number((n.record.get("metadata") or {}).get("island")) for n in nodes}
    stages = [
        row[1] for row in config.get("n_personas_schedule") or [] if isinstance(row, list) and len(row) == 2
    ]
    stages = sorted(int(n) for n in stages if _number(n) and n >= 1)
    return Settings(
        domain=domain or "unknown",
        seed=max(0, int(_number(config.get("seed")) or 0)),
        generations=max(int(n.order[0]) for n in nodes),
        train_tasks=train,
        validation_tasks=validation,
        window=min(train, max(1, int(_number(config.get("batch_size")) or 1))),
        stages=tuple(stages) or (max(1, int(_number(config.get("n_personas")) or 1)),),
        islands=max(1, len(islands - {None})),
        standardize=config.get("standardize_coverage") is True,
        roles=roles,
    )


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(max(seconds, 0.0), 2**33)))


def _load(path: Path) -> Json | None:
    """Read a JSON object; None when it is none, as in a file that was cut off."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _lines(path: Path) -> Iterator[Json]:
    if path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue  # the last line of a run that was killed
            if isinstance(row, dict):
                yield row


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1e300 < value < 1e300:
        return None
    return float(value)


def _text(value: Any) -> str:
    return (
        value.encode("utf-8", "replace").decode()
        if isinstance(value, str)
        else ""
        if value is None
        else str(value)
    )
