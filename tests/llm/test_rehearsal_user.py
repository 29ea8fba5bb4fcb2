"""The rehearsal user: its shape without a policy, what policies do to it, and what it never does."""

from __future__ import annotations

import re
from collections.abc import Callable
from statistics import mean

import pytest
from rehearsal_cases import COUNT, SCRIPT, everyone, system, talk

from workbench.llm.rehearsal import user, voice


def _turns(policy: str = "") -> list[str]:
    return [turn for said in everyone(policy) for turn in said]


def _words(text: str) -> int:
    return len(re.findall(r"\w+", text))


def _length(turns: list[str]) -> float:
    return mean(_words(turn) for turn in turns)


def _short(turns: list[str]) -> float:
    return mean(_words(turn) <= 3 for turn in turns)


def _with(pattern: str) -> Callable[[list[str]], float]:
    return lambda turns: mean(bool(re.search(pattern, turn, re.I)) for turn in turns)


_polite = _with(r"\bplease\b|thank|appreciate|sorry")


def test_without_a_policy_turns_are_long_complete_and_polite() -> None:
    turns = _turns()
    assert 15 <= _length(turns) <= 30
    assert _short(turns) < 0.05
    assert _polite(turns) >= 0.40


def test_without_a_policy_all_customers_sound_alike() -> None:
    lengths = [mean(_words(turn) for turn in said) for said in everyone()]
    assert max(lengths) < 2.5 * min(lengths)


@pytest.mark.parametrize(
    ("policy", "measure", "grows"),
    [
        ("Most messages are very short, a fragment or a few words.", _length, False),
        ("Most messages are very short, a fragment or a few words.", _short, True),
        ("Write long messages that explain every detail at length.", _length, True),
        ("Never says please or thanks; skips all greetings.", _polite, False),
        ("Be effusive, with heartfelt thanks and praise in every message.", _with("thank you|wonderful|kindness"), True),
        ("Answer a request to confirm with a bare yes.", _with(r"^(yes|ok|sure|confirmed)\W*$"), True),
        ("Type everything in lower case.", lambda ts: mean(t == re.sub(r"[A-Z]", lambda m: m[0].lower(), t) for t in ts), True),
        ("Leave out punctuation.", lambda ts: mean(not t.endswith((".", "!", "?")) for t in ts), True),
        ("Hedge a lot, with 'maybe' and 'I think'.", _with("maybe|i think|not sure but|i guess"), True),
        ("Push back and ask 'are you sure'.", _with("are you sure|double check|sound right|how do you know"), True),
        ("Is frustrated and lets annoyance show.", _with("frustrat|annoying|ugh|come on|seriously|fed up"), True),
        ("Accuse the agent, call everything unacceptable.", _with("unacceptable|useless|waste of time|your job"), True),
        ("Often change your mind with 'actually'.", _with("actually|second thought"), True),
        ("Ask 'what do you mean' and seek clarification.", _with("what do you mean|explain|understand|which one"), True),
        ("Curious: often ask how long it takes and when it will happen.", _with("how long|when will|fee|can you check"), True),
        ("Write formal prose with semicolons, like a letter.", _with("furthermore|however|indeed|regarding|;|would like"), True),
        ("Sound like an agent: 'let me check that'.", _with("let me check|inconvenience"), True),
        ("Hesitate with fillers like um and uh.", _with(r"^(um|uh|well|so|hmm)\b"), True),
        ("Use slang and abbreviations, texting style.", _with(r"\b(u|pls|thx|im|wanna|dont)\b"), True),
        ("Make small talk, often off topic.", _with("busy over there|long day|shift"), True),
        ("Repeat the same request in every message.", _with("as i said"), True),
        ("Full of enthusiasm and exclamation marks.", _with("!$"), True),
    ],
)  # fmt: skip
def test_a_policy_moves_what_it_speaks_of(
    policy: str, measure: Callable[[list[str]], float], grows: bool
) -> None:
    before, after = measure(_turns()), measure(_turns(policy))
    assert after > before + 0.05 if grows else after < before * 0.8


def test_withholding_delays_the_facts_and_front_loading_hastens_them() -> None:
    def opening(policy: str) -> float:
        return mean(_words(said[0]) / sum(map(_words, said)) for said in everyone(policy))

    held = opening("Hold details back: give one thing at a time, only when asked, after a vague opening.")
    told = opening("Put all the details up front in the first message.")
    assert held < opening("") < told


def test_how_often_a_policy_says_a_habit_shows_is_how_often_it_shows() -> None:
    shares = [
        _short(_turns(f"{amount} answer with a short fragment."))
        for amount in ("Rarely", "Sometimes", "Always")
    ]
    assert shares == sorted(shares)
    assert shares[2] > shares[0] + 0.1


def test_a_policy_that_contradicts_itself_is_milder_than_one_that_does_not() -> None:
    clear = voice.read("Keep messages terse.")["terse"]
    mixed = voice.read("Keep messages terse. Write in full sentences.")["terse"]
    assert voice.read("")["terse"] < mixed < clear


@pytest.mark.parametrize("policy", ["Does not use slang.", "Never rude, never hostile.", "No typos at all."])
def test_a_habit_that_a_policy_rules_out_does_not_show(policy: str) -> None:
    style = voice.read(policy)
    assert style["slang"] == style["accuse"] == style["typo"] == 0


def test_many_small_habits_together_reach_the_way_people_chat() -> None:
    policy = (
        "Most messages are a few words. Greetings and thanks are mostly left out. Confirm with a bare yes. "
        "Usually lower case, often without punctuation. Give one detail at a time, when asked. Lengths are uneven."
    )
    turns = _turns(policy)
    assert 5 <= _length(turns) <= 12
    assert 0.2 <= _short(turns) <= 0.55
    assert _polite(turns) < 0.25


def test_identifiers_survive_every_habit() -> None:
    policy = "Always in lower case, with typos in every message, no punctuation, slang, very short."
    said = " ".join(turn for seed in range(10) for turn in talk(6, policy, seed))
    assert "#W1200458" in said
    assert re.search(r"\b60611\b", said)
    emails = " ".join(turn for seed in range(10) for turn in talk(2, policy, seed))
    assert "ida.lund55@example.com" in emails


@pytest.mark.parametrize("number", range(COUNT))
def test_numbers_and_addresses_come_from_the_scenario_or_the_agent(number: int) -> None:
    known = system(number) + " ".join(SCRIPT)
    for policy in ("", "Very short, lower case, typos.", "Long, formal, effusive."):
        for turn in talk(number, policy, seed=3):
            for token in re.findall(r"#?\w*\d[\w@.-]*", turn.split("###")[0]):
                assert token.rstrip(".") in known or token == "100", turn


@pytest.mark.parametrize("number", range(COUNT))
def test_every_request_of_the_scenario_is_put_before_the_customer_leaves(number: int) -> None:
    said = talk(number, seed=1)
    spoken = user.stems(" ".join(said))
    points = user.read(system(number))[0]
    assert points
    assert all(len(point.keys & spoken) >= 0.6 * len(point.keys) for point in points)
    assert said[-1].endswith("###STOP###")


def test_second_person_becomes_first_person() -> None:
    text = "You are sure that your lamp is broken and you want to return it"
    assert user.first_person(text) == "I am sure that my lamp is broken and I'd like to return it"
    assert user.first_person("Ask the agent to confirm the price") == "could you confirm the price"
    assert user.first_person("You want the agent to tell you if you're eligible") == (
        "I want you to tell me if I'm eligible"
    )


def test_a_refusal_sets_off_the_fallback_and_is_not_mentioned_before() -> None:
    script = [*SCRIPT[:3], "Unfortunately it is not possible to cancel that. Shall I look for another way?"]
    said = talk(2, seed=5, script=script)
    assert "instead" not in " ".join(said[:3])
    assert re.search("return the tent instead", said[3], re.I)


def test_a_request_to_confirm_sets_off_the_change_once_and_then_a_yes() -> None:
    ask = "I will update the address. Do you confirm (yes/no)?"
    said = talk(4, seed=2, script=[*SCRIPT[:5], ask, ask])
    assert "printer" in said[5]
    assert said[6].lower().startswith(("yes", "sure", "ok", "confirmed", "thank"))


def test_asked_for_a_reason_the_customer_gives_the_one_of_the_scenario() -> None:
    said = talk(5, seed=2, script=[*SCRIPT[:3], "May I ask why you want to exchange it?"])
    assert "does not fit" in said[3]


def test_being_transferred_ends_the_conversation() -> None:
    script = [*SCRIPT[:2], "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON."]
    assert talk(7, script=script)[-1] == "###TRANSFER###"


def test_an_agent_that_goes_in_circles_is_left() -> None:
    said = talk(0, script=[SCRIPT[0], *["I do not follow. What is the code?"] * 8])
    assert said[-1].endswith("###STOP###")
    assert len(said) < 8


def test_equal_requests_get_equal_answers_and_seeds_make_a_difference() -> None:
    policy = "Sometimes short, often hedging, at times frustrated."
    assert talk(1, policy, 4) == talk(1, policy, 4)
    assert len({tuple(talk(1, policy, seed)) for seed in range(6)}) == 6


@pytest.mark.parametrize(
    "text", ["", "Hello", "<scenario></scenario>", "<scenario>\x00{{[(\n</scenario> (((", "You want"]
)
def test_any_system_message_gets_an_answer(text: str) -> None:
    messages = [
        {"role": "system", "content": text},
        {"role": "user", "content": "Hi! How can I help you today?"},
    ]
    assert user.reply(messages, 1).strip()
