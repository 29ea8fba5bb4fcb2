"""Every command on the pages about what goes out, and about runs of other programs, is run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from foreign_runs import openevolve_run, ppol_run

from workbench.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.stem for path in (ROOT / "docs" / "formats").glob("*.md") if re.match(r"out_|\w+_runs$", path.stem)
)


def plain(text: str) -> str:
    """Leave out what differs from version to version: how many turns a conversation had, and the best candidate."""
    return re.sub(r"\d[\d,]*", "#", re.sub(r"^ +", "  ", text, flags=re.MULTILINE)).rstrip()


def test_every_kind_of_export_has_a_page() -> None:
    assert len(PAGES) == 10


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_is_printed(
    page: str,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "small").symlink_to(small)
    ppol_run(tmp_path / "ppol")
    openevolve_run(tmp_path / "openevolve")
    text = (ROOT / "docs" / "formats" / f"{page}.md").read_text()
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    assert blocks
    for part in [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]:
        line, _, shown = part.partition("\n")
        words = [re.sub(r"^runs/", f"{tmp_path}/", word) for word in shlex.split(line)]
        assert words.pop(0) == "workbench"
        assert main(words) == 0
        printed = capsys.readouterr().out.replace(f"{tmp_path}/", "runs/")
        assert not shown.strip() or plain(printed) == plain(shown)
