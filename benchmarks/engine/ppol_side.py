"""ppol's side of the benchmark, run by ppol's own Python: prepare a run once, then evolve for some iterations.

``python ppol_side.py prepare FOLDER`` or ``… evolve FOLDER WORKERS ITERATIONS N CANDIDATES_AT_ONCE``; the server's address is in
the environment variable SCRIPTED_URL. Iterations are timed by the files that ppol writes.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

URL = os.environ.get("SCRIPTED_URL", "")
os.environ.update(OPENROUTER_API_BASE=URL, OPENROUTER_API_KEY="none", OPENAI_API_KEY="none")

from ppol.core.runner import EpisodeRunner  # noqa: E402
from ppol.core.types import EpisodeResult, Task  # noqa: E402

GREETING = "Hi! How can I help you today?"
AGENT = "You are a customer service agent. Follow the policy. " * 120


class ScriptedRunner(EpisodeRunner):
    """Episodes of six user and five agent turns over ppol's own way to a model."""

    def get_tasks(self) -> list[Task]:
        """Return five tasks."""
        return [
            Task(f"t{i}", f"Return item {i} of your order.", metadata={"split": "train"}) for i in range(5)
        ]

    def run_episode(self, task: Task, persona_policy: str = "") -> EpisodeResult:
        """Let user and agent talk until the user stops."""
        from ppol.llm import completion_text

        system = f"You are a customer. {task.description} " * 20 + persona_policy
        turns = [{"role": "assistant", "content": GREETING}]
        swap = {"user": "assistant", "assistant": "user"}
        for _ in range(30):
            seen = [{"role": swap[t["role"]], "content": t["content"]} for t in turns]
            said = completion_text("openrouter/scripted-user", [{"role": "system", "content": system}, *seen])
            turns.append({"role": "user", "content": said.replace("###STOP###", "").strip()})
            if "###STOP###" in said:
                break
            asked = [{"role": "system", "content": AGENT}, *turns]
            turns.append(
                {"role": "assistant", "content": completion_text("openrouter/scripted-agent", asked)}
            )
        return EpisodeResult(task_id=task.task_id, trajectory=turns, success=True, reward=1.0)


def prepare(folder: Path) -> None:
    """Write the reference, the baseline and the discriminator."""
    from ppol.pipeline import collect_baseline, compute_human_reference, train_discriminator

    runner = ScriptedRunner()
    said = [
        "hi i want to return this",
        "ok",
        "#W1234567 i think",
        "why??",
        "thanks a lot",
        "no, the other one",
    ]
    people = [
        {
            "conversation": [
                {"role": "user", "content": said[(i * 7 + k * 5) % 6] + " please" * (i % 4)} for k in range(6)
            ]
        }
        for i in range(40)
    ]
    compute_human_reference(people, str(folder / "human.json"))
    collect_baseline(
        runner, runner.get_tasks() * 6, str(folder / "baseline.json"), n_workers=30, verbose=False
    )
    train_discriminator(
        human_reference_path=str(folder / "human.json"),
        baseline_fingerprints_path=str(folder / "baseline.json"),
        output_path=str(folder / "discriminator.pkl"),
    )


def evolve(folder: Path, workers: int, iterations: int, n: int, at_once: int) -> None:
    """Run iterations of N personas on five tasks, without validation; several at once by OpenEvolve's own setting."""
    import ppol.evolution.run_evolution as launcher
    import yaml
    from ppol import PPol

    launch = launcher.run_openevolve

    def several(*, config_path: str, **rest: object) -> bool:
        config = yaml.safe_load(Path(config_path).read_text())
        config["evaluator"]["parallel_evaluations"] = at_once
        config["prompt"]["template_dir"] = str(Path(config_path).parent / config["prompt"]["template_dir"])
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return bool(launch(config_path=str(folder / "config.yaml"), **rest))

    launcher.run_openevolve = several

    runner = ScriptedRunner()
    PPol(output_dir=str(folder / f"run{time.time_ns()}")).evolve(
        runner=runner,
        train_tasks=runner.get_tasks(),
        human_reference_path=str(folder / "human.json"),
        baseline_path=str(folder / "baseline.json"),
        discriminator_path=str(folder / "discriminator.pkl"),
        iterations=iterations,
        batch_size=5,
        n_personas=n,
        n_personas_schedule=[(1, n)],
        n_workers=workers,
        log_level="WARNING",
    )


if __name__ == "__main__":
    place = Path(sys.argv[2])
    if sys.argv[1] == "prepare":
        prepare(place)
    else:
        evolve(place, *map(int, sys.argv[3:7]))
