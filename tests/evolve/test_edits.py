"""SEARCH/REPLACE edits apply to one place or say why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evolve.edits import Edit, EditError, apply, parse

PROGRAM = "a = 1\nb = 2\n\ndef f():\n    return a\n\n\ndef g():\n    return a\n"


def block(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"


def test_an_answer_may_hold_prose_and_several_blocks():
    answer = f"I raise a.\n{block('a = 1', 'a = 3')}and b\n{block('b = 2', 'b = 4')}"
    assert apply(PROGRAM, parse(answer)).startswith("a = 3\nb = 4\n")


def test_an_empty_replacement_deletes_the_lines():
    assert apply(PROGRAM, parse("<<<<<<< SEARCH\nb = 2\n=======\n>>>>>>> REPLACE")) == PROGRAM.replace(
        "b = 2\n", ""
    )


def test_blanks_at_line_ends_do_not_matter_when_nothing_matches_exactly():
    assert apply(PROGRAM, [Edit("a = 1   ", "a = 9")]).startswith("a = 9\n")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("no edits at all", "holds no block"),
        ("<<<<<<< SEARCH\na = 1\n>>>>>>> REPLACE", "no '=======' line"),
        ("<<<<<<< SEARCH\na = 1\n=======\na = 2", "no '>>>>>>> REPLACE' line"),
        ("<<<<<<< SEARCH\na = 1\n<<<<<<< SEARCH", "not closed before line 3"),
        (block("a = 7", "a = 2"), "no line reads 'a = 7'; the nearest line is 'a = 1'"),
        (block("    return a", "    return b"), "matches at lines 5, 9"),
        (block("a = 1\n\ndef f():", "x"), "not together in this order"),
        (block("a = 1", "a = 1"), "leave the program as it was"),
        (block("  ", "x"), "searches for nothing"),
        (block("a = 1", "x" * 70_000), "the limit is 60,000"),
    ],
)
def test_what_cannot_be_applied_is_refused_with_the_reason(answer: str, told: str):
    with pytest.raises(EditError, match=told.replace("(", r"\(")):
        apply(PROGRAM, parse(answer))


LINES = st.lists(st.text(alphabet="abc ()", min_size=1, max_size=8), min_size=2, max_size=12, unique=True)


@given(LINES, st.data())
def test_replacing_any_one_line_changes_that_line_only(lines: list[str], data: st.DataObject):
    at = data.draw(st.integers(0, len(lines) - 1))
    if not lines[at].strip() or [x.rstrip() for x in lines].count(lines[at].rstrip()) > 1:
        return
    new = apply("\n".join(lines), parse(block(lines[at], "NEW")))
    assert new.split("\n") == [*lines[:at], "NEW", *lines[at + 1 :]]
