"""The rehearsal's writers: populations and policies, edits to programs, reflections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path

import pytest
from rehearsal_cases import scenario

from workbench.evolve import edits
from workbench.llm.rehearsal import generator, mutation, voice
from workbench.simulate import program

PROGRAMS = Path(program.__file__).parent / "programs"
SEED = (PROGRAMS / "seed.py").read_text(encoding="utf-8")
DP = (PROGRAMS / "dp.py").read_text(encoding="utf-8")


def _generate(source: str, n: int, seed: int = 1, number: int = 0) -> list[program.Persona]:
    async def complete(system: str, request: str) -> str:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": request}]
        return generator.reply(messages, seed)

    return asyncio.run(program.run_program(source, scenario(number), n, complete))


def _axes(source: str) -> list[dict[str, object]]:
    return asyncio.run(program.read_axes(source))


@pytest.mark.parametrize("source", [SEED, DP], ids=["seed", "dp"])
@pytest.mark.parametrize("n", [1, 5, 10, 25])
def test_the_shipped_programs_get_policies_of_150_to_250_words(source: str, n: int) -> None:
    personas = _generate(source, n)
    assert len(personas) == n
    assert all(150 <= len(persona.policy.split()) <= 250 for persona in personas)


def test_asked_to_spread_the_members_every_axis_is_on_for_some_and_off_for_some() -> None:
    personas = _generate(SEED, 8)
    for axis in personas[0].axis_placement:
        assert 0 < sum(persona.axis_placement[axis] for persona in personas) < 8
    assert len({tuple(persona.axis_placement.values()) for persona in personas}) > 4


def test_what_a_playbook_says_reaches_the_policy_and_the_user() -> None:
    source = SEED.replace(
        "Most messages are under eight words", "Most messages are in lower case and under eight words"
    )
    for persona in _generate(source, 6):
        assert ("in lower case" in persona.policy) == persona.axis_placement["terse"]
        assert (voice.read(persona.policy)["lower"] > 0.3) == persona.axis_placement["terse"]


@pytest.mark.parametrize("request_text", [
    "The errand: x\nThe habit: Type in lower case.\nWrite the policy in 150 words.",
    "Instructions:\n\tDomain: retail\nStay on the matter. Type in lower case.",
    "* case (true): Type in lower case.\nWrite 80-120 words.",
])  # fmt: skip
def test_playbooks_are_found_in_prompts_of_other_shapes(request_text: str) -> None:
    policy = generator.reply([{"role": "user", "content": request_text}], 1)
    assert "Type in lower case." in policy
    assert "(true)" not in policy


def test_many_axes_still_fit_and_all_are_heard() -> None:
    bank = list(mutation.BEHAVIORS.items())[:12]
    lines = "\n".join(f"- {name} = true: {on} {off}" for name, (_, on, off) in bank)
    request = (
        f"<member>\nA cook.\n</member>\n<playbooks>\n{lines}\n</playbooks>\nWrite it in 150 to 250 words."
    )
    policy = generator.reply([{"role": "user", "content": request}], 1)
    assert len(policy.split()) <= 250
    assert all(on in policy for _, (_, on, _) in bank)


def test_what_a_prompt_says_of_customers_reaches_the_policy() -> None:
    for wish in mutation.BANK["wishes"]:
        request = f"- lower = true: Type in lower case.\n\nWrite 150 to 250 words.\n{wish}\nBe concrete."
        assert wish in generator.reply([{"role": "user", "content": request}], 1)


def test_the_filling_of_a_policy_says_nothing_about_manner() -> None:
    filling = voice.WORDS["generator"]["padding"] + voice.WORDS["generator"]["people"]
    assert [text for text in filling if voice.read(text) != voice.read("")] == []


def test_the_baselines_policies_are_middling() -> None:
    styles = [voice.read(persona.policy) for persona in _generate(DP, 10)]
    assert sum(style["polite"] >= 0.4 for style in styles) >= 8
    assert all(style["terse"] < 0.3 for style in styles)


def test_at_least_a_third_of_the_bank_makes_users_less_human_and_each_entry_is_heard() -> None:
    bank = mutation.BANK
    away, toward = bank["away_from_people"], bank["toward_people"]
    assert len(mutation.BEHAVIORS) == len(away) + len(toward) >= 30
    assert 3 * len(away) >= len(mutation.BEHAVIORS)
    deaf = [name for name, (_, on, _) in mutation.BEHAVIORS.items() if voice.read(on) == voice.read("")]
    assert deaf == []


def test_the_documentation_lists_the_bank_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rehearsal.md").read_text(encoding="utf-8")
    missing = [
        name
        for name, (said, on, _) in mutation.BEHAVIORS.items()
        if f"| `{name}` | {said} | {on} |" not in page
    ]
    assert missing == []


def test_no_name_number_or_task_stands_in_the_bank() -> None:
    text = json.dumps(mutation.BEHAVIORS)
    assert not re.search(r"\d|#", text)


def _mutate(source: str, seed: int, critique: str = "") -> str:
    request = f"## Parent program\n```python\n{source}\n```\n\n## Scores\nfitness: 0.4\n\n## Reflection\n{critique}\n\n## Earlier"
    return mutation.reply([{"role": "system", "content": "s"}, {"role": "user", "content": request}], seed)


def _apply(source: str, answer: str) -> str:
    child = edits.apply(source, edits.parse(answer))
    _axes(child)
    return child


def test_most_edits_apply_and_about_one_in_eight_is_malformed_in_one_of_several_ways() -> None:
    reasons = []
    for seed in range(400):
        try:
            _apply(SEED, _mutate(SEED, seed))
        except (edits.EditError, program.ProgramRejected) as error:
            reasons.append(re.sub(r"\d|line .*", "", str(error))[:30])
    assert 0.08 <= len(reasons) / 400 <= 0.17
    assert len(set(reasons)) >= 5


def test_edits_go_to_axes_prompts_and_logic() -> None:
    said = [_mutate(SEED, seed).splitlines()[0] for seed in range(300)]
    for start in (
        "I add an axis",
        "I replace",
        "I reword",
        "The axis",
        "I add a wish to a prompt",
        "I place members",
    ):
        assert any(line.startswith(start) for line in said), start


def test_behaviors_are_drawn_uniformly_whatever_the_reflection_says() -> None:
    counts = dict.fromkeys(mutation.BEHAVIORS, 0)
    for seed in range(1500):
        said = _mutate(SEED, seed, "Messages are too long and too courteous; use lower case.").splitlines()[0]
        if found := re.match(r"I add an axis, (\w+)", said):
            counts[found[1]] += 1
    away = sum(counts[name] for name in mutation.BANK["away_from_people"])
    expected = len(mutation.BANK["away_from_people"]) / len(counts)
    assert away / sum(counts.values()) == pytest.approx(expected, abs=0.06)
    assert min(counts.values()) > 0


def test_the_reflection_says_which_axis_is_touched() -> None:
    touched = [re.search(r"(?:The axis|playbook of|replace the axis) (\w+)", _mutate(SEED, seed, "The annoyance and sighs, delays, complaints."))
               for seed in range(300)]  # fmt: skip
    names = [found[1] for found in touched if found]
    assert names.count("frustrated") > 1.3 * len(names) / 4


def test_a_line_of_descent_stays_a_program_that_runs() -> None:
    source, made = SEED, 0
    for seed in range(40):
        with contextlib.suppress(edits.EditError, program.ProgramRejected):
            source = _apply(source, _mutate(source, 1000 + seed))
            made += 1
    assert made > 25
    personas = _generate(source, 5)
    assert len(personas) == 5
    assert {str(axis["behavior"]) for axis in _axes(source)} == set(personas[0].axis_placement)


def test_the_baseline_without_axes_can_be_given_one() -> None:
    answer = next(answer for seed in range(9) if "I add an axis" in (answer := _mutate(DP, seed)))
    assert len(_axes(_apply(DP, answer))) == 1


@pytest.mark.parametrize("source", ["", "def broken(:", "x = 1", "DIVERSITY_AXES = make()"])
def test_any_parent_gets_an_answer(source: str) -> None:
    assert _mutate(source, 1)


_REQUEST = """## Scores
fitness: 0.412

## Mean fingerprint: this batch against people
words_per_turn: 22.10 against 9.80
politeness_rate: 0.61 against 0.22
certainty_rate: 0.10 against 0.09
short_utterance_rate: 0.02 against 0.31
"""


def test_a_reflection_names_what_is_furthest_from_people_in_prose_without_figures() -> None:
    text = mutation.reflect([{"role": "system", "content": ""}, {"role": "user", "content": _REQUEST}], 3)
    assert len(text.split()) <= 300
    assert not re.search(r"\d|_", text)
    assert text.index("too little use of messages of a word or two") < text.index(
        "too much text in a message"
    )
    assert "certainty" not in text


def test_a_reflection_on_nothing_is_still_prose() -> None:
    text = mutation.reflect([{"role": "user", "content": "There is nothing here."}], 1)
    assert 5 < len(text.split()) <= 300
