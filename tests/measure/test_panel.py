"""The Goodhart panel: its controls, its marks, and the finding it was made for, on real traces."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from workbench.errors import WorkbenchError
from workbench.measure import FEATURES
from workbench.measure.discriminator import Discriminator
from workbench.measure.distances import NAMES, distances
from workbench.measure.editor import SHARE, WORDS, edit
from workbench.measure.fresh import KINDS, auc, fresh_scores, roc_auc
from workbench.measure.panel import dossier, panel


def side(n: int, shift: float, seed: int, words: str = "") -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(np.abs(rng.normal(size=(n, 19)) + shift), schema=list(FEATURES), orient="row")
    names = [f"t{i % 8}" for i in range(n)]
    frame = frame.with_columns(
        dialogue_id=pl.Series([f"{words}{seed}-{i}" for i in range(n)]), task_id=pl.Series(names)
    )
    return frame.with_columns(text=pl.lit(words)) if words else frame


def turns_of(*users: str, name: str = "d", task: str = "1") -> pl.DataFrame:
    rows = [(name, 2 * i + k, role, text, task) for i, user in enumerate(users)
            for k, (role, text) in enumerate((("assistant", "Thanks! Please go on."), ("user", user)))]  # fmt: skip
    return pl.DataFrame(rows, schema=["dialogue_id", "turn", "role", "content", "task_id"], orient="row")


def said(turns: pl.DataFrame) -> list[str]:
    return turns.filter(role="user")["content"].to_list()


def test_the_editor_drops_courtesies_keeps_one_sentence_and_lowers_the_case():
    turns = turns_of("Hi there! Thank you so much. I want to RETURN my lamp, please. It is broken.")
    assert said(edit(turns)) == ["i want to return my lamp"]
    assert edit(turns).drop("content").equals(turns.drop("content"))
    assert edit(turns).filter(role="assistant").equals(turns.filter(role="assistant"))
    assert said(edit(turns_of("Thanks!", "x")))[0] == "ok"


def test_the_editor_answers_a_third_of_later_turns_in_a_word_whatever_stands_beside():
    many = pl.concat([turns_of(*["my order is late"] * 5, name=f"d{i}") for i in range(200)])
    edited = edit(many)
    first = edited.filter(role="user").filter(pl.col("turn") == 1)
    assert set(first["content"]) == {"my order is late"}
    later = edited.filter(pl.col("role") == "user", pl.col("turn") > 1)["content"]
    assert later.is_in(WORDS).mean() == pytest.approx(SHARE, abs=0.05)
    assert set(later.unique()) == {"my order is late", *WORDS}
    alone = edit(many.filter(dialogue_id="d7"))
    assert alone.equals(edited.filter(dialogue_id="d7"))
    assert not edit(many, seed=1).equals(edited)


def test_distances_are_best_for_people_themselves_and_worse_the_farther_off():
    people = side(40, 1.0, 1)
    same, near, far = (distances(frame, people) for frame in (people, side(40, 1.0, 2), side(60, 4.0, 3)))
    assert same == {
        "frechet": pytest.approx(0, abs=1e-4),
        "density_js": pytest.approx(0, abs=0.05),
        "precision": 1,
        "recall": 1,
    }
    assert near["frechet"] < far["frechet"]
    assert near["density_js"] < far["density_js"]
    assert near["precision"] > far["precision"] == 0
    assert near["recall"] > far["recall"]
    assert list(same) == list(NAMES)
    assert distances(people.reverse(), people) == same
    with pytest.raises(WorkbenchError, match="at least 5"):
        distances(people.head(4), people)


def test_fresh_classifiers_tell_what_differs_and_not_what_does_not():
    a, b, alike = (
        side(40, 1.0, 1, "gimme refund now"),
        side(40, 2.5, 2, "I would like a refund"),
        side(40, 1.0, 5, "gimme refund now"),
    )
    for kind in KINDS:
        apart = auc(fresh_scores(b, a, kind), resamples=50)
        assert apart[0] > 0.95 and apart[1] > 0.9, kind
    assert auc(fresh_scores(alike, a, "ngram"), resamples=50)[0] == pytest.approx(0.5, abs=0.01)
    assert 0.25 < auc(fresh_scores(alike, a), resamples=50)[0] < 0.75


def test_an_embedding_of_ones_own_can_be_given():
    a, b = side(20, 1.0, 1, "red"), side(20, 1.0, 2, "blue")
    scores = fresh_scores(b, a, "embedding", embed=lambda texts: np.array([[len(t), 1.0] for t in texts]))
    assert auc(scores, resamples=20)[0] == 1


def test_roc_auc_counts_ties_half():
    assert roc_auc(np.array([1, 0, 1, 0]), np.array([0.9, 0.1, 0.5, 0.5])) == 0.875


@pytest.mark.parametrize(
    ("frame", "kind", "words"),
    [
        (side(9, 1, 1), "oracle", "no classifier"),
        (side(9, 1, 1), "ngram", "lack text"),
        (side(1, 1, 1), "forest", "fewer than two tasks"),
    ],
)
def test_fresh_classifiers_refuse_what_they_cannot_use(frame, kind, words):
    with pytest.raises(WorkbenchError, match=words):
        fresh_scores(frame, side(9, 1, 2, "x"), kind)


def test_the_panel_marks_what_beats_people_and_what_the_editor_beats():
    seen, fresh = side(30, 1.0, 1), side(24, 1.0, 2)
    base = side(40, 4.0, 3).with_columns(fault=pl.Series(["role_swap"] * 10 + [None] * 30))
    forest = Discriminator.fit(seen, base)
    bold = pl.concat([seen.head(12).with_columns(pl.col(FEATURES) * 1.01), seen.head(12)])
    table = panel({"editor": bold, "base": base.tail(30), "faulty": base}, forest, seen, fresh)
    assert table["condition"].to_list() == ["people", "editor", "base", "faulty"]
    marks = dict(table.select("condition", "mark").iter_rows())
    assert marks["people"] == ""
    assert "above people" in marks["editor"]
    assert "below the editor" in marks["base"] and "caught" in marks["base"]
    row = table.row(3, named=True)
    assert (row["n"], row["faulty"]) == (40, 10)
    assert row["human_likeness"] != row["human_likeness_sound"]
    assert row["ngram_auc"] is None
    again = panel({"editor": bold.reverse(), "base": base.tail(30), "faulty": base}, forest, seen, fresh)
    assert again.equals(table)


def test_the_panel_refuses_an_empty_condition():
    seen = side(30, 1.0, 1)
    with pytest.raises(WorkbenchError, match="condition dp"):
        panel({"dp": seen.clear()}, Discriminator.fit(seen, side(9, 3, 4)), seen, seen)


def test_a_dossier_joins_what_users_said_with_their_task():
    found = dossier(pl.concat([turns_of("one", "two", name="b"), turns_of("x", name="a", task="2")]))
    assert found.select("dialogue_id", "task_id", "text", "fault").rows() == [
        ("a", "2", "x", None),
        ("b", "1", "one\ntwo", None),
    ]
    with pytest.raises(WorkbenchError, match="task_id"):
        dossier(turns_of("x").drop("task_id"))


def test_the_editor_beats_people_on_real_traces_and_a_fresh_forest_catches_it(traces):
    from panel import one

    table = one(traces, "airline_base_gpt-4.1_tau2")
    likeness = dict(table.select("condition", "human_likeness").iter_rows())
    assert likeness["editor"] > likeness["people"] > likeness["base"]
    editor = table.row(by_predicate=pl.col("condition") == "editor", named=True)
    assert editor["forest_auc_low"] > 0.5
    assert editor["mark"] == "above people; caught"
