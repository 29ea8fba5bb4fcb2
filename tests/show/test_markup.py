"""Text from models is shown as text."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from workbench.show.markup import attr, button, esc, sent, table


@given(st.text())
def test_what_is_shown_reads_as_the_text_itself(text: str) -> None:
    shown = re.sub(r'<span class="ctl">[^<]*</span>', "", esc(text))
    assert "<" not in shown
    kept = html.unescape(shown)
    assert [c for c in text if c in kept] == list(kept)


def test_markup_stays_text() -> None:
    assert esc('<img src=x onerror="f()">') == "&lt;img src=x onerror=&quot;f()&quot;&gt;"


def test_characters_that_hide_or_turn_text_are_named() -> None:
    assert esc("\x1b[31mred") == '<span class="ctl">ESC</span>[31mred'
    assert "U+202E" in esc("\u202etxt.exe")
    assert "U+0000" in esc("\x00")


@given(st.text())
def test_an_attribute_ends_where_it_should(text: str) -> None:
    assert not set('<>"') & set(attr(text))
    assert html.unescape(sent(text)) == text
    assert button(text, "go", text).count("<") == 2


def test_newlines_and_tabs_are_kept() -> None:
    assert esc("a\n\tb") == "a\n\tb"


def test_a_text_of_a_megabyte_is_cut_and_says_so() -> None:
    shown = esc("x" * 1_000_000)
    assert len(shown) < 21_000
    assert "1,000,000 characters in all" in shown


def test_heads_of_a_table_are_escaped() -> None:
    assert "<th>&lt;b&gt;</th>" in table(["<b>"], [["x"]])
