"""What a generation changed is put under the right part, and counted once."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from workbench.evolve.run import Run
from workbench.evolve.search import seed_program
from workbench.show import diffs
from workbench.show.changes import PARTS, by_part, changes, hunks, matching, parts_of, repeated


def parts(old: str, new: str) -> list[str]:
    return [part for part, _, _ in hunks(old, new)]


def test_each_part_of_the_seed_program_is_told_apart() -> None:
    seed = seed_program()
    assert parts(seed, seed.replace("Stay even-tempered", "Stay calm")) == ["axes"]
    assert parts(seed, seed.replace("Propose exactly {n} customers.", "Propose exactly {n} people.")) == [
        "population prompt"
    ]
    assert parts(seed, seed.replace("in 150 to 250 words", "in 100 words")) == ["roleplay prompt"]
    assert parts(seed, seed.replace("for attempt in range(2)", "for attempt in range(3)")) == ["logic"]
    assert parts(seed, seed.replace("Seed generator:", "Generator:")) == ["text"]


def test_a_program_that_cannot_be_parsed_is_logic() -> None:
    assert parts_of("def broken(:\nx") == ["logic", "logic"]


lines = st.lists(
    st.sampled_from(["a = 1", "POPULATION = 'x'", "", "b = 2", "def f(): pass"]), min_size=1, max_size=10
)


@given(lines, lines)
def test_hunks_hold_every_removed_and_every_added_line(old: list[str], new: list[str]) -> None:
    found = hunks("\n".join(old), "\n".join(new))
    gone = [line for _, removed, _ in found for line in removed.split("\n") if line]
    came = [line for _, _, added in found for line in added.split("\n") if line]
    kept = [line for line in old if line]
    for line in gone:
        kept.remove(line)
    assert sorted(kept + came) == sorted(line for line in new if line)


def test_changes_are_differences_against_the_parent(run: Run) -> None:
    frame, rows = changes(run), {c["candidate_id"]: c for c in run.candidates.to_dicts()}
    assert frame["candidate_id"].to_list() == [c for c in run.candidate_ids if rows[c]["parent"]]
    for row in frame.iter_rows(named=True):
        mine, parent = rows[row["candidate_id"]], rows[row["parent"]]
        if mine["rank"] is not None:
            assert row["rank"] == mine["rank"] - parent["rank"]


def test_an_edit_that_comes_back_is_counted(run: Run) -> None:
    seed, again = seed_program(), repeated(run)
    assert (again["times"] > 1).all()
    assert (again["candidates"].list.len() == again["times"]).all()
    assert hunks(seed, seed) == []


def test_filters_keep_only_what_they_name(run: Run) -> None:
    frame = changes(run)
    assert matching(frame, {}) == frame["candidate_id"].to_list()
    assert matching(frame, {"parts": []}) == []
    rejected = matching(frame, {"parts": PARTS, "status": "rejected"})
    assert rejected == frame.filter(status="rejected")["candidate_id"].to_list()
    logic = matching(frame, {"parts": ["logic"]})
    assert set(logic) == set(frame.filter(pl.col("parts").list.contains("logic"))["candidate_id"])
    gain = matching(frame, {"order": "gain"})
    assert gain[0] == frame.sort("rank", descending=True, nulls_last=True)["candidate_id"][0]


def test_parts_count_every_accepted_change(run: Run) -> None:
    frame = changes(run)
    found = by_part(frame)
    assert found["candidates"].sum() == frame.filter(status="accepted")["parts"].list.len().sum()


def test_every_page_shows_and_hostile_text_stays_text(run: Run) -> None:
    view = diffs(run)
    for page in ("line", "vain", "parts", "all"):
        view._receive(view, {"go": f"page:{page}", "fields": {}})
        assert view.note == ""
        assert len(view.body) > 40
        assert "<script" not in view.body
        assert "<img" not in view.body
    fields = {f"part-{p}": p == "logic" for p in PARTS} | {"status": "rejected", "order": "time"}
    view._receive(view, {"go": "filter", "fields": fields})
    assert "1 of" in view.body
    assert "&lt;script&gt;" in view.body


def test_changes_say_what_is_damaged_and_show_the_others(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns("lock"))
    (copy / "candidates" / "0000" / "program.py").unlink()
    (copy / "candidates" / "0001" / "candidate.json").write_text("{")
    view = diffs(Run(copy))
    assert "candidates/0001/candidate.json is cut off" in view.top
    for page in ("line", "vain", "parts", "all"):
        view._receive(view, {"go": f"page:{page}", "fields": {}})
        assert view.note == ""
    assert "0000 cannot be compared with: it is damaged (program.py is missing)" in view.body
