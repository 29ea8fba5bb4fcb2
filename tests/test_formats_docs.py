"""Every command on the pages of docs/formats about what comes in is run, and prints what the page says."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from workbench.cli import main

ROOT = Path(__file__).parents[1]
PAGES = (
    "chat_jsonl",
    "tau_usi",
    "tau_bench",
    "tau2_results",
    "inspect_logs",
    "ppol",
    "sdialog",
    "realusersim",
)


def commands(page: str) -> list[tuple[list[str], str]]:
    """The commands of a page, each with the output that is shown below it."""
    text = (ROOT / "docs/formats" / f"{page}.md").read_text()
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append((shlex.split(line), output.rstrip()))
    assert found, f"{page}.md shows no command"
    return found


@pytest.fixture
def play(monkeypatch, tmp_path, capsys):
    """Run a page's commands in the repository's root, with runs/ somewhere else."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delitem(sys.modules, "agent", raising=False)

    def run(page: str) -> None:
        for words, shown in commands(page):
            if words[0].startswith("PYTHONPATH="):
                monkeypatch.syspath_prepend(words.pop(0).removeprefix("PYTHONPATH="))
            assert words.pop(0) == "workbench"
            assert main([re.sub(r"^runs/", f"{tmp_path}/", word) for word in words]) == 0
            printed = capsys.readouterr().out.rstrip().replace(f"{tmp_path}/", "runs/")
            assert not shown or printed == shown

    return run


@pytest.mark.parametrize("page", PAGES)
def test_a_page_about_a_format_shows_what_is_printed(page, play):
    play(page)


def test_the_example_of_ones_own_domain_runs_offline_from_reference_to_report(play, tmp_path):
    play("own_scenarios")
    assert (tmp_path / "bakery/run/tasks.jsonl").read_text() == (
        ROOT / "docs/formats/examples/bakery/scenarios.jsonl"
    ).read_text()
    assert list((tmp_path / "bakery/figures").glob("*.pdf"))


def test_the_index_names_every_page():
    index = (ROOT / "docs/formats/README.md").read_text()
    pages = {path.stem for path in (ROOT / "docs/formats").glob("*.md")} - {"README"}
    assert pages == set(re.findall(r"\]\((\w+)\.md\)", index))
