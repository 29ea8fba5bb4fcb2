"""What ppol writes beside its checkpoints: logs of evaluations, people, the base simulator."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workbench.evolve import store
from workbench.evolve.checkpoints import (
    SCORES,
    Json,
    Node,
    as_dict,
    as_dicts,
    as_list,
    as_number,
    as_text,
    json_lines,
    load,
)
from workbench.evolve.run import FINGERPRINTS
from workbench.measure import FEATURES
from workbench.simulate.frames import EPISODES, PERSONAS, TURNS

HUMANS: dict[str, Any] = {
    **dict.fromkeys(("dialogue_id", "task_id", "tau2_task_id", "source", "split"), pl.String),
    **dict.fromkeys((*FEATURES, "reward"), pl.Float64),
}


def join_logs(nodes: list[Node], training: Path, missing: list[str]) -> None:
    """Give each program the log of its evaluation: equal scores, then the same count, then the nearest time.

    ppol's logs do not name their program; the count of evaluations follows from the epoch in its metrics.
    """
    by_score: dict[tuple[float | None, ...], list[Node]] = defaultdict(list)
    for node in nodes:
        by_score[node.scores].append(node)
    curve = {
        as_number(row.get("iteration")): row for row in json_lines(training / "results" / "val_curve.jsonl")
    }
    unclaimed = 0
    for file in sorted(training.glob("simulations/iter_*/log.json")):
        log = load(file) or {}
        metrics = as_dict(log.get("metrics"))
        count, written = as_number(log.get("iteration")), as_number(log.get("timestamp")) or 0
        free = [
            n for n in by_score.get(tuple(as_number(metrics.get(s)) for s in SCORES), []) if n.log is None
        ]
        if not free:
            unclaimed += 1
            continue
        node = min(free, key=lambda n: (_count(n) != count, abs(n.order[1] - written), n.order))
        node.log, node.validation = log, curve.get(count, {})
        if not node.reflection and (said := file.with_name("reflection.txt")).is_file():
            node.reflection = said.read_text(errors="replace")
    if unclaimed:
        missing.append(f"the programs of {unclaimed} evaluation log(s), kept in no checkpoint")
    if bare := sum(n.log is None and n.scored for n in nodes):
        missing.append(f"the personas of {bare} program(s): no log of their evaluation")


def _count(node: Node) -> float | None:
    epoch, steps, batch = (
        as_number(node.metrics.get(k)) for k in ("epoch", "steps_per_epoch", "batch_in_epoch")
    )
    return None if epoch is None or steps is None or batch is None else (epoch - 1) * steps + batch


def log_tasks(node: Node) -> list[Json]:
    """Return the tasks in a program's log."""
    return as_dicts((node.log or {}).get("tasks"))


def tasks_of(node: Node, config: Json) -> list[str]:
    """Ids of the tasks in a program's log: ppol's window over its train tasks, filled up from the start."""
    found = log_tasks(node)
    ids = [str(t) for t in as_list(config.get("train_task_ids"))]
    start = (int(as_number((node.log or {}).get("batch_in_epoch")) or 1) - 1) * len(found)
    window = (ids[start : start + len(found)] + ids)[: len(found)]
    return window if len(window) == len(found) else [f"task {i + 1} of the batch" for i in range(len(found))]


def people_of(node: Node, candidate_id: str, config: Json) -> dict[str, pl.DataFrame]:
    """Return personas and episodes of a program's log; ppol keeps P(human) of a conversation, not its text."""
    personas, episodes = [], []
    for task_id, task in zip(tasks_of(node, config), log_tasks(node), strict=True):
        found = as_dicts(task.get("personas"))
        # ppol pairs personas with what finished in order: once an episode is lost, the pairs are off.
        whole = len(found) == as_number(node.metrics.get("n_personas_per_task"))
        for i, person in enumerate(found):
            name = as_text(person.get("persona_id")) or f"p{i + 1}"
            placed = as_dict(person.get("axis_placement"))
            ids = {"candidate_id": candidate_id, "task_id": task_id, "persona_id": name, "split": "train"}
            told: Json = {
                "description": as_text(person.get("description")),
                "reasoning": as_text(person.get("reasoning")),
                "axis_placement": [{"axis": str(a), "on": on is True} for a, on in placed.items()],
                "policy": as_text(person.get("expanded_instruction")),
            }
            result: Json = {
                "dialogue_id": f"{candidate_id}|train|{task_id}|{name}|{i}",
                "condition": "search",
                "n_personas": len(found),
                "likeness": as_number(person.get("human_likeness")) if whole else None,
            }
            personas.append(ids | told)
            episodes.append(ids | result)
    frames = {"personas": pl.DataFrame(personas, schema=PERSONAS)}
    return (frames | {"episodes": pl.DataFrame(episodes, schema=EPISODES)}) if episodes else {}


def made(folder: Path) -> Path:
    """Make a folder and return it; nobody reads it before all is there, so nothing needs to be atomic or synced."""
    folder.mkdir(parents=True)
    return folder


def references(target: Path, config: Json, root: Path | None, missing: list[str]) -> str:
    """Write people and base simulator as ppol measured them; return the domain that it names."""
    people = _beside(config.get("human_reference_path"), root)
    prints = load(people.with_name(f"{people.stem}.individual.json")) if people else None
    rows = [
        {"dialogue_id": f"person {i + 1}", "source": "ppol reference", "split": "train"} | _features(row)
        for i, row in enumerate(as_dicts((prints or {}).get("fingerprints")))
    ]
    if not rows:
        missing.append("the people it was measured against")
    store.write_frames(made(target / "reference"), {"humans": pl.DataFrame(rows, schema=HUMANS)})
    baseline = _beside(config.get("baseline_path"), root)
    found = load(baseline) if baseline else None
    runs = as_dicts((found or {}).get("episodes"))
    domain = as_text((load(people) or {}).get("domain")) if people else ""
    if not runs:
        missing.append("the base simulator")
        return domain
    store.write_frames(made(target / "conditions" / "base_train"), _baseline(runs, domain))
    return domain


def _baseline(runs: Sequence[Json], domain: str) -> dict[str, pl.DataFrame]:
    trials: Counter[str] = Counter()
    episodes, turns, prints = [], [], []
    for run in runs:
        task_id = as_text(run.get("task_id"))
        trial = f"trial{trials[task_id]:02d}"
        trials[task_id] += 1
        key = f"base|train|{task_id}|{trial}"
        success, reward = run.get("success"), as_number(run.get("reward"))
        episodes.append(
            {
                "dialogue_id": key,
                "condition": "base",
                "split": as_text(run.get("split")) or "train",
                "task_id": task_id,
                "persona_id": trial,
                "reward": reward,
                "success": success if isinstance(success, bool) else None,
            }
        )
        if isinstance(run.get("fingerprint"), dict):
            prints.append({"dialogue_id": key} | _features(run["fingerprint"]))
        for turn, message in enumerate(as_dicts(run.get("trajectory"))):
            said = {"role": as_text(message.get("role")), "content": as_text(message.get("content"))}
            about = {"dialogue_id": key, "turn": turn, "source": "base", "domain": domain, "task_id": task_id}
            turns.append(about | said | {"reward": reward})
    return {
        "episodes": pl.DataFrame(episodes, schema=EPISODES),
        "turns": pl.DataFrame(turns, schema=TURNS),
        "fingerprints": pl.DataFrame(prints, schema=FINGERPRINTS),
    }


def _features(row: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: as_number(row.get(name)) for name in FEATURES}


def _beside(path: Any, root: Path | None) -> Path | None:
    """Find a file that the run names: where it was, or in the run's folder or the one above it."""
    if not isinstance(path, str) or not path or root is None:
        return None
    name = Path(path).name
    return next((p for p in (Path(path), root / name, root.parent / name) if p.is_file()), None)
