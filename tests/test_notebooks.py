"""The notebooks run from top to bottom without a key, and work in a real JupyterLab."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from foreign_runs import ppol_run
from in_browser import Lab, browser_page, chromium, jupyterlab, theme

from workbench.evolve.run import open_run
from workbench.show.stepping import TABS

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NAMES = sorted(p.name for p in NOTEBOOKS.glob("*.ipynb"))
RUN = os.environ.get("WORKBENCH_RUN")  # what the README's pictures show (`make pictures`); else a small one
SHOTS = os.environ.get("WORKBENCH_SCREENSHOTS")  # a folder: keep what the browser saw


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run that a notebook makes where there is none."""
    from workbench.show import demo_run

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WORKBENCH_RUN", raising=False)
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        return demo_run().path


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_without_outputs_and_names_its_kernel(name: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_top_to_bottom(name: str, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("WORKBENCH_RUN", str(small))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    before = sorted(p.name for p in (small / "candidates").iterdir())
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
    ).execute()
    assert sorted(p.name for p in (small / "candidates").iterdir()) == before, "the run itself was changed"


# -- in the browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab on loopback that serves a copy of the notebooks."""
    if not chromium():
        pytest.skip("chromium is not installed (Debian: apt install chromium)")
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks")
    with jupyterlab(folder, WORKBENCH_RUN=str(small)) as found:
        yield found


@pytest.fixture
def page(lab: Lab) -> Iterator[Any]:
    """A browser page that fails the test on a console error or a request to another machine."""
    with browser_page() as found:
        yield found


def _shot(element: Any, name: str) -> None:
    if SHOTS:
        element.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def test_stepping_through_a_run_in_jupyterlab(page: Any, lab: Lab, small: Path) -> None:
    last = sorted(p.name for p in (small / "candidates").iterdir())[-1]
    lab.open(page, "01_step_through_evolution.ipynb")
    view = page.locator(".wb").first
    view.scroll_into_view_if_needed()
    name, diff = view.locator(".wb-card h4"), view.locator("table.diff")

    def shown(candidate: str) -> None:
        name.filter(has_text=candidate).wait_for()

    shown(last)
    diff.wait_for()
    view.locator("[data-go=back]").click()
    shown(f"{int(last) - 1:04d}")
    view.locator("[data-go=next]").click()
    shown(last)
    view.focus()
    page.keyboard.press("Home")
    shown("0000")
    page.keyboard.press("ArrowRight")
    shown("0001")
    page.keyboard.press("End")
    shown(last)
    page.keyboard.press("b")
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    view.get_by_text("■ stop").wait_for()
    shown("0001")
    view.locator("[data-go=play]").click()
    view.locator("[data-go='c:0001']").first.click()
    shown("0001")
    for tab in TABS:
        view.locator(f"[data-go='tab:{tab}']").click()
        view.locator(f"[data-go='tab:{tab}'][aria-selected=true]").wait_for()
        _shot(view, f"stepper_{tab}")
    page.keyboard.press("7")
    view.locator(".turn.user").first.wait_for()
    view.locator("[data-go='show:user']").click()
    view.locator("pre mark").wait_for()
    theme(page, "JupyterLab Dark")
    _shot(view, "stepper_dark")


def test_a_live_generation_in_jupyterlab(page: Any, lab: Lab, small: Path) -> None:
    lab.open(page, "01_step_through_evolution.ipynb")
    view = page.locator(".wb").nth(1)
    view.scroll_into_view_if_needed()
    count = "document.querySelectorAll('.wb input[data-go=slide]')[1].max"
    before = len(list((small / "candidates").iterdir()))  # the last cell of the notebook added one
    page.wait_for_function(f"() => {count} === '{before}'")
    view.locator("[data-go=step]").click()
    page.wait_for_function(f"() => {count} === '{before + 1}'")
    view.locator(".wb-live", has_text="done").wait_for()
    view.locator("table.diff").wait_for()
    view.locator("[data-go='tab:edit']").click()
    editor = view.locator("textarea")
    editor.fill(editor.input_value() + "\n# a word by hand\n")
    view.locator("[data-go=evaluate]").click()
    view.locator(".wb-card", has_text="by human").wait_for()
    view.get_by_text("# a word by hand").first.wait_for()
    view.locator("input[name=generations]").fill("50")
    view.locator("[data-go=run]").click()
    view.locator("progress").wait_for()
    _shot(view, "stepper_live")
    view.locator("[data-go=pause]").click()
    view.locator(".wb-live", has_text="paused").wait_for()
    view.locator("[data-go='c:0001']").first.click()
    view.locator("[data-go=branch]").click()
    view.get_by_text("This is now a new run").wait_for()
    view.locator("[data-go=run]").click()
    view.locator("progress").wait_for()
    view.locator("[data-go=stop]").click()
    view.locator(".wb-live", has_text="stopped").wait_for()


def test_changes_are_filtered_in_jupyterlab(page: Any, lab: Lab) -> None:
    lab.open(page, "02_generator_diffs.ipynb")
    view = page.locator(".wb").first
    view.scroll_into_view_if_needed()
    assert view.locator("section").count() >= 1
    for part in ("axes", "population prompt", "roleplay prompt", "logic", "text"):
        view.locator(f"[name='part-{part}']").uncheck()
    view.get_by_text("No change passes this filter").wait_for()
    for name in ("line", "vain", "parts", "all"):
        view.locator(f"[data-go='page:{name}']").click()
        view.locator(f"[data-go='page:{name}'][aria-selected=true]").wait_for()
    _shot(view, "diffs")


def test_the_map_is_brushed_in_jupyterlab(page: Any, lab: Lab) -> None:
    lab.open(page, "04_persona_map.ipynb")
    canvas = page.locator("canvas[data-marks]")
    canvas.scroll_into_view_if_needed()
    side = page.locator(".wb[aria-label='Selection of the map']")
    canvas.focus()
    page.keyboard.press("Escape")
    side.get_by_text("Nothing is selected").wait_for()
    box = canvas.bounding_box()
    x, y, wide, high = box["x"], box["y"], box["width"], box["height"]
    page.mouse.move(x + 10, y + 10)
    page.mouse.down()
    page.mouse.move(x + wide - 10, y + high - 10, steps=5)
    page.mouse.up()
    side.get_by_text(re.compile(r"^[\d,]+ selected$")).wait_for()
    assert int(side.locator("h4").inner_text().split()[0].replace(",", "")) > 20
    side.locator("[data-go^='open:']").first.click()
    side.locator(".turn.user").first.wait_for()
    _shot(page, "map_brushed")
    marks = int(canvas.get_attribute("data-marks"))
    page.locator("input[type=range][data-go=until]").focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"() => +document.querySelector('canvas[data-marks]').dataset.marks < {marks}")
    page.locator("input[name='layer-base']").uncheck()
    page.locator("select[name=color]").select_option("likeness")
    page.get_by_text("not scored").wait_for()
    assert int(canvas.get_attribute("data-ms")) < 300


def test_hostile_text_does_not_run_in_jupyterlab(page: Any, lab: Lab, small: Path, tmp_path: Path) -> None:
    import polars as pl

    from workbench.evolve import store

    evil = (
        "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'><svg onload='window.hacked=1'>"
        "[x](javascript:window.hacked=1)\x1b[31m\u202e</textarea></table>"
    )
    copy = tmp_path / "hostile"
    shutil.copytree(small, copy, ignore=shutil.ignore_patterns("lock"))
    last = open_run(copy).candidate_ids[-1]
    folder = copy / "candidates" / last
    record = store.read_json(folder / "candidate.json")
    (folder / "candidate.json").write_text(json.dumps(record | {"reason": evil}))
    (folder / "program.py").write_text(
        f"{(folder / 'program.py').read_text()}\n# {evil}\nx = '{'y' * 1_000_000}'\n"
    )
    (folder / "reflection.txt").write_text(evil)
    for name, columns in {
        "attempts": ["answer", "prompt", "reason"],
        "personas": ["policy", "description", "reasoning"],
    }.items():
        frame = pl.read_parquet(folder / f"{name}.parquet")
        frame.with_columns(pl.lit(evil).alias(c) for c in columns).write_parquet(folder / f"{name}.parquet")
    turns = pl.read_parquet(folder / "turns.parquet")
    turns.with_columns(content=pl.lit(evil + "z" * 1_000_000)).write_parquet(folder / "turns.parquet")
    code = f"import workbench as wb\nrun = wb.open_run({str(copy)!r})\nwb.show.stepper(run)"
    lab.cells(page, "hostile.ipynb", code, "wb.show.diffs(run)")
    view = page.locator(".wb").first
    for tab in TABS:
        view.locator(f"[data-go='tab:{tab}']").click()
        view.locator(f"[data-go='tab:{tab}'][aria-selected=true]").wait_for()
        for fold in view.locator(".wb-body summary").all():
            fold.click()
    view.locator("[data-go='tab:episodes']").click()
    view.get_by_text("<script>window.hacked=1</script>").first.wait_for()
    assert page.evaluate("window.hacked") is None
    assert page.locator(".wb script, .wb img, .wb svg[onload]").count() == 0


def test_stepping_through_a_run_of_ppol_in_jupyterlab(page: Any, lab: Lab, tmp_path: Path) -> None:
    folder = ppol_run(tmp_path / "run")
    lab.cells(page, "ppol.ipynb", f"import workbench as wb\nwb.show.stepper(wb.open_run({str(folder)!r}))")
    view = page.locator(".wb").first
    view.get_by_text("A run of ppol. It lacks:").wait_for()
    view.locator(".wb-card h4").filter(has_text="0005").wait_for()
    view.locator("table.diff").get_by_text("variant 5").first.wait_for()
    page.keyboard.press("Home")
    view.locator("[data-go='c:0001']").first.click()
    view.locator(".wb-card h4").filter(has_text="0001").wait_for()
    assert ".40" in view.locator(".wb-card").inner_text()  # its human-likeness
    view.locator("[data-go='tab:personas']").click()
    view.get_by_text("Policy 0 of evaluation 2.").first.wait_for()
    _shot(view, "stepper_ppol")


def test_scores_are_drawn_in_jupyterlab(page: Any, lab: Lab) -> None:
    lab.open(page, "05_scores.ipynb")
    charts = page.locator(".vega-embed svg.marks")
    charts.nth(8).wait_for()
    assert charts.count() == 9
    assert "rehearsal models" in charts.first.text_content()
    described = page.locator("[role='graphics-document'][aria-label^='Best fitness goes from']")
    assert described.count() == 2  # of one run, and of two side by side
    page.locator(".wb-code summary").first.click()
    copy = page.locator(".wb-code [data-copy]").first
    copy.click()
    copy.filter(has_text="Copied").or_(copy.filter(has_text="Press Ctrl+C")).wait_for()
    assert page.evaluate("getSelection().toString()").endswith("frames.generations([run])")
    for i in range(charts.count()):
        charts.nth(i).scroll_into_view_if_needed()
        _shot(charts.nth(i), f"scores_{i}")
    theme(page, "JupyterLab Dark")
    _shot(charts.first, "scores_dark")


def test_the_pictures_of_the_readme_show_one_run(page: Any, lab: Lab, small: Path) -> None:
    run = open_run(RUN or small)
    opened = f"import workbench as wb\nrun = wb.open_run({str(run.path)!r})"
    page.set_viewport_size({"width": 1250, "height": 1100})
    lab.cells(
        page, "pictures.ipynb", opened, "wb.show.stepper(run)", "wb.show.scores(run)", "wb.show.map(run)"
    )
    outputs = page.locator(".jp-OutputArea-output")

    view = outputs.filter(has=page.locator("table.diff")).first
    view.scroll_into_view_if_needed()
    view.locator("[data-go=first]").click()
    view.locator("[data-go=back][aria-disabled=true]").wait_for()
    bests = run.candidates.filter("new_best")["candidate_id"].to_list()
    for best in bests[1:]:
        view.locator("[data-go=best]").click()
        view.locator(".wb-card h4").filter(has_text=best).wait_for()
    assert run.run_id in view.inner_text()
    _shot(view, "stepper")

    chart = page.locator(".vega-embed").first
    chart.locator("svg.marks").wait_for()
    assert run.run_id in chart.inner_text()
    _shot(chart.locator("svg.marks"), "scores")

    view = outputs.filter(has=page.locator("canvas[data-marks]")).first
    view.scroll_into_view_if_needed()
    page.locator("select[name=layout]").select_option("umap")
    canvas = page.locator("canvas[aria-label*=UMAP]")
    canvas.wait_for(timeout=300_000)
    box = canvas.bounding_box()
    x, y, wide, high = box["x"], box["y"], box["width"], box["height"]
    page.mouse.move(x + 0.55 * wide, y + 0.35 * high)
    page.mouse.down()
    page.mouse.move(x + 0.8 * wide, y + 0.6 * high, steps=5)
    page.mouse.up()
    view.get_by_text(re.compile(r"^[\d,]+ selected$")).wait_for()
    assert run.run_id in view.inner_text()
    _shot(view, "map")


def test_a_damaged_run_and_one_of_another_format_open_in_jupyterlab(
    page: Any, lab: Lab, small: Path, tmp_path: Path
) -> None:
    damaged, other = tmp_path / "damaged", tmp_path / "other"
    for folder in (damaged, other):
        shutil.copytree(small, folder, ignore=shutil.ignore_patterns("lock"))
    (damaged / "candidates" / "0001" / "candidate.json").write_text('{"rank": 0.')
    info = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(info | {"format": 0, "version": "0.0.1"}))
    code = "import workbench as wb\nwb.show.stepper(wb.open_run({!r}))"
    lab.cells(page, "damaged.ipynb", code.format(str(damaged)), code.format(str(other)))
    view = page.locator(".wb").first
    view.get_by_text("Damaged: candidates/0001/candidate.json is cut off or no JSON.").wait_for()
    view.locator("[data-go='c:0001']").first.click()
    view.locator(".wb-card .tag.bad", has_text="damaged").wait_for()
    _shot(view, "stepper_damaged")
    view.locator("[data-go='c:0000']").first.click()
    view.locator(".wb-card").get_by_text("human-likeness").wait_for()
    old = page.locator(".wb").nth(1)
    old.get_by_text("has format 0; this version reads format 1").wait_for()
    old.get_by_text("programs can be read, 0000 to").wait_for()
    _shot(old, "stepper_other_format")
