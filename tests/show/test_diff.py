"""Diffs lose no line, mark what changed, and fold what did not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.show.diff import counts, diff_html, program_html, rows

lines = st.lists(
    st.sampled_from(["a = 1", "b = two", "b = three", "", "def f():", "    return a"]),
    min_size=1,
    max_size=12,
)


@given(lines, lines)
def test_every_line_of_both_programs_is_there_once_in_order(old: list[str], new: list[str]) -> None:
    found = rows("\n".join(old), "\n".join(new))
    count = {side: sum(r.folded for r in found) for side in ("old", "new")}
    for side, program in (("old", old), ("new", new)):
        numbers = [n for r in found if (n := getattr(r, side)) is not None]
        assert numbers == sorted(set(numbers))
        assert len(numbers) + count[side] == len(program)


@given(lines, lines)
def test_lines_called_the_same_are_the_same(old: list[str], new: list[str]) -> None:
    for row in rows("\n".join(old), "\n".join(new)):
        if row.kind == "same" and row.old is not None and row.new is not None:
            assert old[row.old] == new[row.new]


def test_only_the_changed_word_is_marked() -> None:
    (row,) = rows("x = say(one, thing)", "x = say(two, thing)")
    assert row.kind == "change"
    assert row.old_marks == ((8, 11),)
    assert row.new_marks == ((8, 11),)


def test_lines_with_little_in_common_are_removed_and_added() -> None:
    assert [r.kind for r in rows("alpha beta gamma", "one two three")] == ["del", "add"]


def test_far_context_is_folded_with_its_count() -> None:
    old = [f"line {i}" for i in range(50)]
    new = [*old[:25], "a quite different one", *old[25:]]
    page = diff_html("\n".join(old), "\n".join(new), ("0000", "0001"))
    assert "22 unchanged lines" in page
    assert counts("\n".join(old), "\n".join(new)) == (1, 0)


def test_both_layouts_carry_signs_beside_color() -> None:
    for beside in (False, True):
        page = diff_html("a = 1", "b = 22", ("0000", "0001"), beside=beside)
        assert ">−<" in page
        assert ">+<" in page


def test_equal_programs_are_said_to_be_equal() -> None:
    assert "same program" in diff_html("a", "a", ("0000", "0001"))


def test_a_program_full_of_markup_stays_text() -> None:
    hostile = 'x = "<script>alert(1)</script>"  # </td>'
    for page in (
        program_html(hostile),
        diff_html("", hostile, ("a", "b")),
        diff_html(hostile, "", ("a", "<b>"), beside=True),
    ):
        assert "<script" not in page
        assert "&lt;script&gt;" in page.replace('</span><span class="s">', "")
