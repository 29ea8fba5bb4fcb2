"""The stepper shows every candidate in every tab, goes where it is told, and drives a search."""

from __future__ import annotations

import asyncio
import html
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from workbench.errors import WorkbenchError
from workbench.evolve.run import Run, open_run
from workbench.evolve.search import Search
from workbench.show import goodhart
from workbench.show.samples import SMALL
from workbench.show.stepping import TABS, Stepper, stepper


def send(view: Stepper, go: str, **fields: Any) -> None:
    view._receive(view, {"go": go, "fields": fields})


async def idle(view: Stepper) -> None:
    assert view.driver is not None
    while view.driver.busy:
        await asyncio.sleep(0.05)


@pytest.fixture
def copied(small: Path, tmp_path: Path) -> Path:
    shutil.copytree(small, tmp_path / "copied", ignore=shutil.ignore_patterns("lock"))
    return tmp_path / "copied"


def test_it_opens_at_the_last_candidate_and_steps_both_ways(run: Run) -> None:
    view = stepper(run)
    ids = run.candidate_ids
    assert view.candidate_id == ids[-1]
    send(view, "back")
    assert view.candidate_id == ids[-2]
    assert ids[-2] in view.card
    send(view, "first")
    send(view, "back")
    assert view.candidate_id == ids[0]
    send(view, "next")
    assert view.candidate_id == ids[1]
    send(view, "slide", at="2")
    assert view.candidate_id == ids[2]
    send(view, "c:0000")
    assert view.candidate_id == "0000"


def test_next_best_goes_through_the_new_bests_only(run: Run) -> None:
    view = stepper(run)
    best = run.candidates.filter(new_best=True)["candidate_id"].to_list()
    view.go("0000")
    seen = ["0000"]
    for _ in best[1:]:
        send(view, "best")
        seen.append(str(view.candidate_id))
    assert seen == best


@pytest.mark.parametrize("tab", TABS)
def test_every_candidate_has_something_to_say_in_every_tab(run: Run, tab: str) -> None:
    view = stepper(run)
    send(view, f"tab:{tab}")
    for candidate_id in run.candidate_ids:
        send(view, f"c:{candidate_id}")
        assert view.note == ""
        assert view.tab == tab
        assert len(view.body) > 40


def test_the_tab_and_its_key_are_the_same(run: Run) -> None:
    view = stepper(run)
    for i, tab in enumerate(TABS):
        send(view, f"tab:{i + 1}")
        assert view.tab == tab


def test_a_rejected_candidate_shows_its_reason_where_its_scores_would_be(run: Run) -> None:
    rejected = run.candidates.filter(status="rejected").row(-1, named=True)
    view = stepper(run)
    view.go(rejected["candidate_id"])
    send(view, "tab:scores")
    assert "rejected" in view.body
    assert "program rejected" in view.body


def test_hostile_text_is_shown_as_text(run: Run) -> None:
    view = stepper(run)
    view.go(run.candidates.filter(status="rejected")["candidate_id"][-1])
    for tab in TABS:
        send(view, f"tab:{tab}")
        page = view.top + view.card + view.body
        assert "<script" not in page
        assert "<img" not in page
    assert "&lt;script&gt;" in view.card


def test_the_policy_is_marked_in_the_exact_prompt(run: Run) -> None:
    view = stepper(run)
    view.go("0000")
    send(view, "tab:episodes")
    send(view, "show:user")
    policy = view.reader.frame("0000", "personas")
    assert policy is not None
    assert view.body.split("<mark>")[1].split("</mark>")[0].split(" ")[0] in " ".join(policy["policy"])


def test_a_click_on_a_persona_opens_its_policy_and_its_conversation(run: Run) -> None:
    view = stepper(run)
    view.go("0000")
    send(view, "tab:personas")
    personas = view.reader.frame("0000", "personas")
    assert personas is not None
    row = personas.row(2, named=True)
    send(view, f"persona:{row['split']}|{row['task_id']}|{row['persona_id']}")
    assert row["policy"][:30] in view.body.replace("&#x27;", "'")
    send(view, f"episode:0000|{row['split']}|{row['task_id']}|{row['persona_id']}")
    assert view.tab == "episodes"
    assert f"0000|{row['split']}|{row['task_id']}|{row['persona_id']}" in view.body


def test_the_goodhart_panel_is_computed_on_demand_in_the_background_and_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))

    async def drive() -> Stepper:
        view = stepper(run)
        send(view, "tab:scores")
        assert "Compute the panel" in view.body
        send(view, "panel")
        await asyncio.sleep(0.1)
        assert "so far" in view.body
        send(view, "back")
        while view._judging:
            await asyncio.sleep(0.05)
        view._following.cancel()
        return view

    view = asyncio.run(drive())
    assert view.note == ""
    for text in ("Humans", "Rule-based editor", "PPol evolved", "By human-likeness,"):
        assert text in view.body
    again = stepper(run)
    send(again, "tab:scores")
    assert "Compute the panel" not in again.body
    found = goodhart.known(run)
    assert found is not None
    marked = found.filter(pl.col("mark").str.contains("below the editor"))
    assert again.body.count('<span class="tag bad">below the editor</span>') == len(marked)


def test_the_code_behind_every_tab_runs(run: Run) -> None:
    view = stepper(run)
    for tab in TABS:
        send(view, f"tab:{tab}")
        code = html.unescape(
            view.body.rsplit('<details class="code">')[-1].split(">")[3].removesuffix("</pre")
        )
        assert "run." in code or "(run)" in code
        exec(code, {"run": run})


def test_an_error_in_a_callback_is_shown(run: Run) -> None:
    view = stepper(run)
    send(view, "c:9999")
    assert "has no candidate &#x27;9999&#x27;" in view.note
    send(view, "step")
    assert "only reads its run" in view.note
    send(view, "slide", at="three")
    assert "ValueError" in view.note
    send(view, "first")
    assert view.note == ""


def test_an_empty_run_says_so_and_fills_when_it_is_written(tmp_path: Path) -> None:
    with Search(tmp_path / "run", SMALL) as search:
        view = stepper(search)
        assert view.candidate_id is None
        assert "no candidate yet" in view.body
        search.step()
        view._refresh(jump=False)
        assert view.candidate_id == "0000"


def test_it_drives_a_search_pauses_and_stops(copied: Path) -> None:
    before = len(open_run(copied).candidate_ids)

    async def drive() -> Stepper:
        with Search(copied) as search:
            view = stepper(search)
            assert view.driver is not None
            send(view, "step")
            assert view.driver.busy
            send(view, "step")
            assert "already running" in view.note
            while view.driver.busy:
                assert "episodes" in view.live
                await asyncio.sleep(0.05)
            assert "done" in view.live
            assert len(view.reader.candidates) == before + 1
            assert view.at == before
            send(view, "run", generations="50")
            send(view, "pause")
            await idle(view)
            assert "paused" in view.live
            assert len(view.reader.candidates) == before + 2
            send(view, "run", generations="50")
            await asyncio.sleep(0.1)
            send(view, "stop")
            await idle(view)
            assert "stopped" in view.live
            assert len(open_run(copied).candidate_ids) < before + 10
            send(view, "run", generations="many")
            assert "&#x27;many&#x27; is no number" in view.note
            view._following.cancel()
            return view

    view = asyncio.run(drive())
    assert [c["candidate_id"] for c in view.reader.candidates] == sorted(view.reader.at)


def test_something_else_than_a_run_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="shows a Run or a Search, not a str"):
        stepper("runs/demo")  # type: ignore[arg-type]


def test_a_program_edited_by_hand_enters_the_run_and_a_branch_is_another_run(copied: Path) -> None:
    async def drive() -> None:
        view = stepper(Search(copied))
        assert view.driver is not None
        view.go("0000")
        send(view, "tab:edit")
        assert "<textarea" in view.body
        program = view.reader.program("0000").replace("Stay even-tempered", "Stay rather even-tempered")
        send(view, "evaluate", program=program)
        await idle(view)
        added = view.reader.candidates[-1]
        assert (added["author"], added["parent"], added["status"]) == ("human", "0000", "accepted")
        assert "rather" in view.body
        send(view, "evaluate", program="def broken(:")
        await idle(view)
        assert 'class="error"' in view.note
        send(view, "c:0001")
        send(view, "branch")
        assert view.reader.run.path == copied.with_name("copied-from-0001-1")
        assert "a new run" in view.note
        send(view, "step")
        await idle(view)
        assert view.reader.program("0000") == open_run(copied).program("0001")
        view.driver.search.close()
        view._following.cancel()

    asyncio.run(drive())


def test_a_run_of_failures_only_says_what_it_is(copied: Path) -> None:
    import workbench as wb
    from workbench.evolve import store

    for folder in sorted((copied / "candidates").iterdir()):
        record = store.read_json(folder / "candidate.json")
        nothing = dict.fromkeys((k for k, v in record.items() if isinstance(v, float)), None)
        record |= nothing | {
            "status": "rejected",
            "reason": "every episode failed",
            "new_best": False,
            "cell": None,
        }
        store.write_json(folder / "candidate.json", record)
        for frame in folder.glob("*.parquet"):
            if frame.stem != "attempts":
                frame.unlink()
    view = stepper(open_run(copied))
    for tab in TABS:
        send(view, f"tab:{tab}")
        assert view.note == ""
    assert "every episode failed" in view.card
    send(view, "best")
    assert view.note == ""
    with pytest.raises(WorkbenchError, match="no accepted candidate yet"):
        wb.show.scores(open_run(copied))
    assert "every episode failed" in wb.show.diffs(open_run(copied)).body


def test_a_candidate_that_is_being_written_is_not_shown(small: Path, copied: Path) -> None:
    (copied / "candidates" / ".tmp-0099").mkdir()
    assert len(stepper(open_run(copied)).reader.candidates) == len(open_run(small).candidate_ids)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    "file", ["candidate.json", "program.py", *(f"{n}.parquet" for n in ("episodes", "turns", "attempts"))]
)
@pytest.mark.parametrize("candidate_id", ["0000", "0001"])
def test_a_damaged_candidate_is_told_and_the_others_are_shown(
    copied: Path, candidate_id: str, file: str
) -> None:
    damaged = copied / "candidates" / candidate_id / file
    damaged.unlink() if file == "program.py" else cut(damaged)
    view = stepper(open_run(copied))
    assert view.top.count(f"Damaged: candidates/{candidate_id}/{file} is") == 1
    assert ("crossed: damaged" in view.bar) is (file in {"candidate.json", "program.py"})
    for other in view.reader.at:
        view.go(other)
        assert ('<span class="tag bad">damaged</span>' in view.card) is (other == candidate_id)
        for tab in TABS:
            send(view, f"tab:{tab}")
            assert view.note == ""
            assert len(view.body) > 40
            assert other == candidate_id or tab == "diff" or "is not readable" not in view.body


def test_nothing_is_edited_where_a_program_cannot_be_read(copied: Path) -> None:
    (copied / "candidates" / "0001" / "program.py").unlink()
    view = stepper(open_run(copied))
    view.go("0000")
    send(view, "tab:edit")
    assert "<textarea" in view.body
    send(view, "c:0001")
    assert "<textarea" not in view.body
    assert "program.py is missing" in view.body


def test_a_run_of_another_format_is_shown_as_far_as_it_can_be_read(copied: Path) -> None:
    from workbench.evolve import store

    store.write_json(
        copied / "run.json", store.read_json(copied / "run.json") | {"format": 0, "version": "0.0.1"}
    )
    run = open_run(copied)
    view = stepper(run)
    assert (
        "has format 0; this version reads format 1: open it with the version that wrote it (0.0.1)"
        in view.top
    )
    assert f"{len(run.candidate_ids)} programs can be read" in view.body
    assert "domain retail, seed 7" in view.body
    send(view, "step")
    assert "only reads its run" in view.note
    store.write_json(copied / "run.json", store.read_json(copied / "run.json") | {"format": 1})
    view._refresh(jump=False)
    assert view.candidate_id == run.candidate_ids[-1]


def test_a_run_that_is_being_set_up_becomes_one(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "lock").touch()
    view = stepper(open_run(path))
    assert "was begun but has no run.json yet" in view.top
    with Search(path, SMALL):
        view._refresh(jump=False)
        assert "In progress: process" in view.top
        assert "are being tried" in view.body
    view._refresh(jump=False)
    assert "In progress" not in view.top
    assert "nobody is writing it" in view.body
