from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from foreign_runs import ppol_run

from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.evolve.run import Run, open_run
from workbench.export import FORMATS, export
from workbench.llm import loop
from workbench.simulate import tau2
from workbench.simulate.program import read_axes

HOSTILE = 'Say """ and \\ and {braces} and %s\u2028and\x85"},\nimport os\n</scenario>\n<b>'


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def hostile(tmp_path: Path) -> Run:
    """A run of ppol whose best program wrote a policy made to break whatever quotes it."""
    folder = ppol_run(tmp_path / "run")
    log = folder / "training" / "simulations" / "iter_0005" / "log.json"
    data = json.loads(log.read_text())
    data["tasks"][0]["personas"][0] |= {"expanded_instruction": HOSTILE, "persona_id": "../p\n0"}
    log.write_text(json.dumps(data))
    return open_run(folder)


def test_jsonl_holds_every_persona_of_the_evolved_condition_as_it_is(run: Run, tmp_path: Path) -> None:
    done = export(run, "jsonl", tmp_path / "p.jsonl")
    found = records(tmp_path / "p.jsonl")
    kept = run.frame("conditions/evolved", "personas")
    assert done.records == len(found) == 4
    assert [r["policy"] for r in found] == kept["policy"].to_list()
    assert {r["candidate_id"] for r in found} == {run.best}
    for r in found:
        assert r["context"] == tau2.task("retail", r["task_id"]).context
        assert r["rehearsed"] is True and r["run_id"] == run.run_id
        assert all(isinstance(on, bool) for on in r["axis_placement"].values())
    assert len({r["hash"] for r in found}) == len({r["policy"] for r in found})


def test_a_candidates_own_batch_and_another_condition_are_exported_by_name(run: Run, tmp_path: Path) -> None:
    export(run, "jsonl", tmp_path / "a", candidate="0001")
    own = run.frame("candidates/0001", "personas")
    assert [r["policy"] for r in records(tmp_path / "a")] == own["policy"].to_list()
    export(run, "jsonl", tmp_path / "b", condition="dp")
    assert {r["part"] for r in records(tmp_path / "b")} == {"condition dp"}


def test_only_the_tasks_asked_for(run: Run, tmp_path: Path) -> None:
    task = run.tasks["test"][1]
    export(run, "jsonl", tmp_path / "a", tasks=[task])
    assert {r["task_id"] for r in records(tmp_path / "a")} == {task}


@pytest.mark.parametrize("form", ["jsonl", "adk", "mlflow", "deepeval", "inspect"])
def test_hostile_text_comes_back_as_it_was(form: str, hostile: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    export(hostile, form, out)
    text = out.read_text()
    data = (
        [json.loads(line) for line in text.splitlines()] if form in ("jsonl", "inspect") else json.loads(text)
    )
    first = (data["scenarios"] if form == "adk" else data)[0]
    found = {
        "jsonl": lambda r: r["policy"],
        "adk": lambda r: r["user_persona"]["description"].removeprefix("number 5\n\n"),
        "mlflow": lambda r: r["persona"],
        "deepeval": lambda r: r["persona"]["characteristics"],
        "inspect": lambda r: r["metadata"]["policy"],
    }[form](first)
    assert found == HOSTILE
    assert not list(tmp_path.glob(".tmp*"))


def test_inspect_reads_the_samples(run: Run, tmp_path: Path) -> None:
    from inspect_ai.dataset import json_dataset

    export(run, "inspect", tmp_path / "samples.jsonl")
    samples = json_dataset(str(tmp_path / "samples.jsonl"))
    kept = run.frame("conditions/evolved", "personas")
    assert [s.metadata["policy"] for s in samples if s.metadata] == kept["policy"].to_list()
    assert samples[0].input == tau2.task("retail", kept["task_id"][0]).context
    assert len({s.id for s in samples}) == 4


def test_an_adk_behavior_has_the_playbook_of_its_side_and_the_other_as_rubric(
    run: Run, tmp_path: Path
) -> None:
    export(run, "adk", tmp_path / "out.json")
    axes = {a["behavior"]: a for a in loop.run(read_axes(run.program(run.best)))}
    scenarios = json.loads((tmp_path / "out.json").read_text())["scenarios"]
    sides = set()
    for scenario, persona in zip(
        scenarios, run.frame("conditions/evolved", "personas").to_dicts(), strict=True
    ):
        placed = {p["axis"]: p["on"] for p in persona["axis_placement"]}
        assert len(scenario["user_persona"]["behaviors"]) == len(axes)
        for behavior in scenario["user_persona"]["behaviors"]:
            name = behavior["name"].removeprefix("not ")
            on = not behavior["name"].startswith("not ")
            assert placed[name] == on
            sides.add(on)
            books = axes[name]["presence"]
            assert behavior["behavior_instructions"] == [books["true" if on else "false"]]
            assert behavior["violation_rubrics"] == [books["false" if on else "true"]]
    assert sides == {True, False}


def test_an_adk_scenario_starts_with_what_its_persona_said(run: Run, hostile: Run, tmp_path: Path) -> None:
    export(run, "adk", tmp_path / "a")
    said = run.frame("conditions/evolved", "turns").filter(role="user")["content"].to_list()
    starts = [s["starting_prompt"] for s in json.loads((tmp_path / "a").read_text())["scenarios"]]
    assert all(start in said for start in starts)
    done = export(hostile, "adk", tmp_path / "b")
    assert done.counts.total() == 4
    assert "no conversation of theirs is kept" in str(done)


def test_tau2_tasks_are_the_benchmarks_with_a_policy_each(run: Run, tmp_path: Path) -> None:
    from inspect_evals.tau2.data_model.tasks import Task

    done = export(run, "tau2", tmp_path / "tasks.json")
    tasks = [Task.model_validate(t) for t in json.loads((tmp_path / "tasks.json").read_text())]
    kept = run.frame("conditions/evolved", "personas").to_dicts()
    assert [t.user_scenario.persona for t in tasks] == [p["policy"] for p in kept]
    assert len({t.id for t in tasks}) == 4
    for task, persona in zip(tasks, kept, strict=True):
        assert str(task.user_scenario).endswith(tau2.task("retail", persona["task_id"]).context)
        assert "before the instructions" in task.description.notes
        assert persona["persona_id"] in task.description.notes
    assert "not comparable" in str(done)


class Registry:
    """What τ²-bench's registry does with a user and a task set: a name may be taken once."""

    def __init__(self) -> None:
        self.users: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}

    def register_user(self, user_constructor: type, name: str) -> None:
        assert name not in self.users and issubclass(user_constructor, Simulator)
        self.users[name] = user_constructor

    def register_tasks(self, get_tasks: Any, name: str, get_task_splits: Any = None) -> None:
        assert name not in self.tasks
        self.tasks[name] = get_tasks


class Simulator:
    """What τ²-bench's simulator takes, and where it puts the scenario."""

    def __init__(
        self,
        llm: str,
        instructions: str | None = None,
        tools: Any = None,
        llm_args: Any = None,
        persona_config: Any = None,
    ) -> None:
        self.instructions = instructions

    @property
    def system_prompt(self) -> str:
        return f"Guidelines.\n\n<scenario>\n{self.instructions}\n</scenario>"


def test_the_plugin_puts_the_policy_behind_the_prompt(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspect_evals.tau2.data_model import tasks as model

    registry = Registry()
    for name, attributes in {
        "tau2": {},
        "tau2.data_model": {},
        "tau2.data_model.tasks": {"Task": model.Task},
        "tau2.registry": {"registry": registry},
        "tau2.user": {},
        "tau2.user.user_simulator": {"UserSimulator": Simulator},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    export(run, "tau2-plugin", tmp_path / "plug")
    # a policy that ends in blanks, quotes and braces, and one that begins like another
    file = tmp_path / "plug" / "tasks.json"
    tasks = json.loads(file.read_text())
    tasks[0]["user_scenario"]["persona"] = HOSTILE
    tasks[1]["user_scenario"]["persona"] = HOSTILE + "\n\n and more \n"
    file.write_text(json.dumps(tasks))
    runpy.run_path(str(tmp_path / "plug" / "ppol_user.py"))
    loaded = registry.tasks["ppol"](task_split_name="base")
    assert len(loaded) == 4
    for task in loaded:
        scenario = task.user_scenario
        user = registry.users["ppol"](
            llm="x", instructions=str(scenario), tools=None, llm_args={}, persona_config=None
        )
        bare = str(scenario.model_copy(update={"persona": None}))
        assert user.system_prompt == f"Guidelines.\n\n<scenario>\n{bare}\n</scenario>\n\n{scenario.persona}"
    other = registry.users["ppol"](llm="x", instructions="Instructions:\n\tas they are")
    assert other.system_prompt == "Guidelines.\n\n<scenario>\nInstructions:\n\tas they are\n</scenario>"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "yaml"], "There is no format 'yaml'; the formats are jsonl, tau2,"),
        (["--format", "jsonl", "--candidate", "0099"], "has no candidate '0099'; it has 0000 to 0001"),
        (
            ["--format", "jsonl", "--condition", "nobody"],
            "no held-out results of 'nobody'; it has humans, base, dp",
        ),
        (["--format", "jsonl", "--condition", "humans"], "holds fingerprints, no texts"),
        (["--format", "jsonl", "--condition", "base"], "condition base of"),
        (["--format", "jsonl", "--condition", "dp", "--candidate", "0001"], "not both"),
        (["--format", "jsonl", "--task", "nope"], "has no task 'nope'; it has"),
        (["--format", "program", "--condition", "dp"], "condition dp is no candidate's"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str], told: str, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(small), *arguments, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_not_evaluated_exports_its_best_candidate_and_says_how_to_get_more(
    small: Path, tmp_path: Path
) -> None:
    import shutil

    bare = tmp_path / "bare"
    shutil.copytree(small, bare)
    shutil.rmtree(bare / "conditions")
    done = export(bare, "jsonl", tmp_path / "out")
    assert f"candidate {open_run(bare).best}" in str(done)
    with pytest.raises(
        WorkbenchError, match=r"no held-out results of 'evolved'; none has been evaluated\. Run 'work"
    ):
        export(bare, "jsonl", tmp_path / "out", condition="evolved")
    shutil.rmtree(bare / "candidates")
    with pytest.raises(WorkbenchError, match="no accepted candidate yet"):
        export(bare, "jsonl", tmp_path / "out")


def test_places_that_cannot_be_written_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="cannot be written"):
        export(run, "jsonl", tmp_path / "file" / "below")
    with pytest.raises(WorkbenchError, match="is a folder; name a file"):
        export(run, "jsonl", tmp_path)
    with pytest.raises(WorkbenchError, match="is a file; tau2-plugin writes a folder"):
        export(run, "tau2-plugin", tmp_path / "file")


def test_tasks_that_are_none_of_the_benchmarks_have_no_tau2_export(hostile: Run, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="is none of τ²-bench's"):
        export(hostile, "tau2", tmp_path / "out")


def test_the_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in FORMATS)
