"""Walking JSON in pieces gives what reading it whole gives, however the pieces fall."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.traces import json_walk
from workbench.traces.json_walk import DamageError, Walk

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=5), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_an_array_walked_is_the_array_read(values, chunk, indent, ascii_only):
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_walk, "CHUNK", chunk)
        assert list(Walk(io.StringIO(text)).elements()) == values


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_an_object_walked_is_the_object_read(value, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_walk, "CHUNK", chunk)
        walk = Walk(io.StringIO(json.dumps(value)))
        assert {key: walk.value() for key in walk.fields()} == value


@given(st.lists(VALUES, min_size=1, max_size=5), st.data())
@settings(max_examples=100, deadline=None)
def test_a_text_cut_anywhere_gives_its_first_values_and_then_says_so(values, data):
    text = json.dumps(values)
    cut = data.draw(st.integers(1, len(text) - 1))
    found = []
    with pytest.raises(DamageError):
        for value in Walk(io.StringIO(text[:cut])).elements():
            found.append(value)
    assert found == values[: len(found)] or len(found) == len(values)


def test_a_value_that_never_ends_is_not_read_to_the_end_of_the_file(monkeypatch):
    monkeypatch.setattr(json_walk, "CHUNK", 100)
    monkeypatch.setattr(json_walk, "LONGEST", 1000)
    stream = io.StringIO('["' + "a" * 100_000 + '"]')
    with pytest.raises(DamageError, match="longer than"):
        list(Walk(stream).elements())
    assert stream.tell() < 5000


def test_a_mistake_in_the_middle_is_told_at_once(monkeypatch):
    monkeypatch.setattr(json_walk, "CHUNK", 100)
    stream = io.StringIO('[{"a": oops}, ' + " " * 100_000 + "]")
    with pytest.raises(DamageError, match="not JSON"):
        list(Walk(stream).elements())
    assert stream.tell() < 1000
