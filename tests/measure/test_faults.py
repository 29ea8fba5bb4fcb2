"""Faults of simulated users: each rule on what it must catch and what it must leave alone, and rates on real traces."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.measure.faults import COLUMNS, FAULTS, FILE, faults, pieces
from workbench.measure.lexicon import MarkerClass, lexicon, normalize
from workbench.traces import read_scenarios, read_traces

SCENARIO = (
    "reason_for_call: You want to exchange the mechanical keyboard of order #W2378156 for a clicky one. You also want "
    "to return the yoga mat and the office chair. If that fails, you want to cancel the desk lamp.\n"
    "known_info: You are Yusuf Rossi in zip code 19122, yusuf_rossi_9620."
)
OPENING = "Hi, I want to exchange the keyboard in #W2378156 and return my yoga mat and chair."


def talk(*messages: str, start: str = "assistant") -> pl.DataFrame:
    """Lay out a dialogue, sides alternating."""
    roles = ["assistant", "user"] if start == "assistant" else ["user", "assistant"]
    rows = [("d", i, roles[i % 2], text) for i, text in enumerate(messages)]
    return pl.DataFrame(rows, schema=["dialogue_id", "turn", "role", "content"], orient="row")


def found(
    turns: pl.DataFrame, scenario: str | None = SCENARIO, ended_by: str | None = None
) -> dict[str, object]:
    about = pl.DataFrame({"dialogue_id": ["d"], "scenario": [scenario], "ended_by": [ended_by]},
                         schema=dict.fromkeys(["dialogue_id", "scenario", "ended_by"], pl.String))  # fmt: skip
    return faults(turns, about).row(0, named=True)


ENTRIES = [(name, marker) for name, markers in lexicon(FILE).items() for marker in markers.markers]


@pytest.mark.parametrize(("name", "marker"), ENTRIES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(ENTRIES)])
def test_an_entry_fires_on_its_examples_and_its_class_on_no_counter_example(name, marker):
    alone = MarkerClass("", False, (marker,))
    for turns, expected in ((marker.yes, True), (marker.no, False)):
        text = pl.DataFrame({"turn": turns}).select(normalize(pl.col("turn")).alias("turn"))
        assert text.select(lexicon(FILE)[name].matches(pl.col("turn")))["turn"].to_list() == [expected] * len(
            turns
        )
        assert text.select(alone.matches(pl.col("turn")))["turn"].to_list() == [expected] * len(turns)


def test_a_sound_conversation_shows_none():
    row = found(
        talk("Hi!", OPENING, "Your zip code?", "19122", "Done, all three.", "thanks!"), ended_by="stop"
    )
    assert row["fault"] is None
    assert [row[name] for name in FAULTS] == [None] * len(FAULTS)
    assert (row["goal_pieces"], row["goal_delivered"]) == (2, 2)


def test_an_empty_turn_is_named_with_its_place_and_a_silent_user_with_the_start():
    assert found(talk("Hi!", OPENING, "Yes?", "  ", "?", "sorry"))["empty_turn"] == 3
    assert found(talk("Hi!"))["empty_turn"] == 0
    assert found(talk("Hi!", ""))["fault"] == "empty_turn"


def test_speaking_as_the_agent_is_a_role_swap_but_asking_it_to_act_is_not():
    row = found(
        talk("Hi!", OPENING, "Done.", "Glad to hear! Is there anything else I can help you with today?")
    )
    assert (row["fault"], row["role_swap"]) == ("role_swap", 3)
    assert (
        found(talk("Hi!", "Can you look up my order and help me?", "ok", "let me check my email"))[
            "role_swap"
        ]
        is None
    )


def test_an_identifier_from_nowhere_is_invented_one_that_was_named_or_mistyped_is_not():
    assert found(talk("Hi!", OPENING, "Your email?", "it's yusuf.r@mail.com"))["invented_identifier"] == 3
    assert found(talk("Hi!", OPENING, "Your order?", "#W1112223"))["invented_identifier"] == 3
    for known in ("#w2378156", "w2378156", "#W237815", "yusuf_rossi_9620"):
        assert found(talk("Hi!", OPENING, "Your order?", known))["invented_identifier"] is None
    assert (
        found(talk("Hi!", OPENING, "You also have #W9998887.", "yes #W9998887"))["invented_identifier"]
        is None
    )


def test_what_a_shortened_or_missing_message_may_have_named_is_not_held_against_the_user():
    assert found(talk("Hi!", OPENING, "You have these orders: …", "#W9998887"))["invented_identifier"] is None
    alone = talk("Hi", OPENING, "x", "#W9998887", start="assistant").filter(role="user")
    assert found(alone)["invented_identifier"] is None
    assert found(alone.tail(1))["invented_identifier"] == 3
    assert found(talk("Hi!", "It is #W9998887"), scenario=None)["invented_identifier"] is None


def test_claiming_to_have_done_the_agents_work_is_a_fault_and_a_changed_mind_is_none():
    assert found(talk("Hi!", OPENING, "I need a card.", "Okay, I’ve added the card."))["claimed_action"] == 3
    assert found(talk("Hi!", OPENING, "ok", "Actually, I've changed my mind."))["claimed_action"] is None


def test_a_message_said_three_times_or_a_short_one_five_times_running_is_a_repetition():
    again = "Please exchange the keyboard now."
    assert (
        found(talk("Hi!", again, "no", again, "no", "please, exchange the keyboard NOW"))["repeated_turn"]
        == 5
    )
    assert found(talk("Hi!", again, "no", again))["repeated_turn"] is None
    assert found(talk(*["a", "yes"] * 4))["repeated_turn"] is None
    assert found(talk(*["a", "yes"] * 5))["repeated_turn"] == 9


def test_pieces_are_what_is_to_be_acted_on_without_conditions_and_identity():
    assert pieces(SCENARIO) == (
        frozenset({"mechanical", "keyboard", "w2378156", "click"}),
        frozenset({"yoga", "mat", "offic", "chair"}),
    )
    assert pieces("You are a private person that does not want to reveal much.") == ()


def test_leaving_before_every_piece_came_up_is_an_early_stop():
    row = found(talk("Hi!", "I want to exchange my keyboard.", "Done.", "thanks"), ended_by="stop")
    assert (row["fault"], row["stopped_early"]) == ("stopped_early", 3)
    assert (row["goal_pieces"], row["goal_delivered"]) == (2, 1)
    assert row["goal_undelivered"] is None
    cut = talk("Hi!", "I want to exchange my keyboard.", "Done.", "thanks")
    assert found(cut, ended_by="transfer")["stopped_early"] is None
    assert found(cut, ended_by=None)["stopped_early"] is None


def test_never_saying_what_one_wants_is_an_undelivered_goal_however_it_ends():
    row = found(talk("Hi!", "Hello there, nice weather.", "What can I do?", "nothing"), ended_by="turn_limit")
    assert (row["fault"], row["goal_undelivered"], row["stopped_early"]) == ("goal_undelivered", 3, None)


@pytest.mark.parametrize(("last", "turn"), [("Yes, please proceed.", 3), ("No, leave it as it is.", None)])
def test_agreeing_and_leaving_before_the_agent_can_act_is_an_early_stop(last, turn):
    row = found(
        talk("Hi!", OPENING, "I will do all that. Would you like me to proceed?", last), ended_by="stop"
    )
    assert row["stopped_early"] == turn


def test_without_scenario_and_ending_nothing_is_said_about_them():
    row = faults(talk("Hi!", "Hello")).row(0, named=True)
    assert list(row) == ["dialogue_id", *COLUMNS]
    assert (row["goal_pieces"], row["stopped_early"], row["fault"]) == (None, None, None)


def test_frames_that_lack_a_column_are_told_so():
    with pytest.raises(WorkbenchError, match="lack content"):
        faults(talk("Hi").drop("content"))
    with pytest.raises(WorkbenchError, match="lack dialogue_id"):
        faults(talk("Hi"), pl.DataFrame({"scenario": ["x"]}))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.text(max_size=30), min_size=1, max_size=5),
    st.text(max_size=60),
    st.sampled_from(["stop", None]),
)
def test_any_text_gives_one_row_whose_turns_exist(messages, scenario, ended_by):
    row = found(talk(*messages), scenario, ended_by)
    assert all(row[name] is None or 0 <= row[name] < len(messages) for name in FAULTS)  # type: ignore[operator]
    assert (row["fault"] is None) == all(row[name] is None for name in FAULTS)


def test_dialogues_are_judged_apart_and_in_any_order():
    a = talk("Hi!", "Please exchange the keyboard now.")
    pair = pl.concat([a.with_columns(dialogue_id=pl.lit(str(i))) for i in range(4)])
    assert faults(pair)["fault"].to_list() == [None] * 4
    assert faults(pair.reverse()).equals(faults(pair))


@pytest.mark.parametrize("name", ["retail_base_gpt-4.1_tau2", "airline_base_gpt-4.1_tau2"])
def test_successful_base_dialogues_seldom_trip_a_rule_and_cut_ones_often_do(traces, name):
    file = traces / "simulated" / f"{name}.jsonl.gz"
    turns, about = read_traces(file).collect(), read_scenarios(file)
    good = turns.filter(pl.col("reward") >= 1)
    assert faults(good, about)["fault"].is_not_null().mean() < 0.04
    first = pl.col("turn") <= pl.col("turn").filter(role="user").min().over("dialogue_id")
    cut = faults(good.filter(first), about.with_columns(ended_by=pl.lit("stop")))
    assert cut["stopped_early"].is_not_null().all()
