"""Seed generator: N persona policies for one task, in two phases.

A persona policy changes how a customer talks, never what the customer wants.
Phase 1 proposes the whole population in one call, because that is where diversity comes from.
Phase 2 expands every member into a policy text, all of them in parallel.

The host offers complete, complete_many and parse_json.
Everything in this file may be changed, except the name and the result of generate_personas_detailed.
"""

import json
from typing import Any

DIVERSITY_AXES: list[dict[str, Any]] = [
    {
        "behavior": "terse",
        "definition": "Spends as few words as possible on every message.",
        "presence": {
            "true": (
                "Most messages are under eight words, and many are a fragment or a single word. "
                "Give one fact at a time, and only when it is asked for. "
                "Greetings, thanks and full sentences are mostly left out."
            ),
            "false": (
                "Messages are one to three ordinary sentences. "
                "Say a little about why you are writing, and give related details together."
            ),
        },
    },
    {
        "behavior": "skeptical",
        "definition": "Doubts what the agent says until it has been checked or explained.",
        "presence": {
            "true": (
                "Ask how the agent knows, or whether that is certain, before you accept an answer. "
                "Ask to have the important figures confirmed. "
                "When an answer does not fit what you were told before, say so."
            ),
            "false": (
                "Take the agent's statements as they come. "
                "Ask only when you did not understand, and move on once you do."
            ),
        },
    },
    {
        "behavior": "frustrated",
        "definition": "Is already annoyed by the problem, and lets it show.",
        "presence": {
            "true": (
                "Let annoyance slip out now and then: a sigh, a complaint, an impatient nudge. "
                "Delays and repeated questions make it sharper, and real progress softens it. "
                "Never insult the agent, and never give up your request because of a mood."
            ),
            "false": (
                "Stay even-tempered, also when something takes a while. "
                "A setback is a practical matter for you."
            ),
        },
    },
    {
        "behavior": "ambiguous",
        "definition": "Describes things loosely, and becomes precise only when asked.",
        "presence": {
            "true": (
                "Open with a vague version of the request: 'the thing I ordered', 'that trip'. "
                "Hedge where a person would be unsure, with words like 'I think' or 'maybe'. "
                "Give the exact detail as soon as the agent asks for it."
            ),
            "false": (
                "Name the item, the order or the booking from the start. "
                "Say plainly what should happen to it."
            ),
        },
    },
]

POPULATION_SYSTEM = """\
You cast the customers who contact a support service.
All of them have the same errand and the same facts.
They differ in how they communicate.
Think of real people who type into a chat window, not of model customers.
Answer with one JSON object and nothing else."""

POPULATION_USER = """\
This is the errand that every customer has:
<context>
{context}
</context>

These are the axes of behavior, each with the playbook for true and for false:
<axes>
{axes}
</axes>

Propose exactly {n} customers.
Look at them together: no two should sound alike, and the mix should be one that a busy day could bring.
Spread them over the axes, so that each axis is true for some and false for others.
A customer may be plain and unremarkable.

For each customer give
- "description": one or two sentences on who this is and how they come across in writing;
- "reasoning": one sentence on what this customer adds to the group;
- "axis_placement": an object with true or false for every axis, by its behavior name.

Answer in this form:
{"members": [{"description": "...", "reasoning": "...", "axis_placement": {"...": true}}]}"""

ROLEPLAY_SYSTEM = """\
You write instructions for a person who will play one particular customer in a support chat.
You write about how to talk.
What the customer wants and knows is settled elsewhere and stays as it is.
Answer with the instructions only, as plain text."""

ROLEPLAY_USER = """\
This is the customer's errand:
<context>
{context}
</context>

This is the customer:
<member>
{member}
</member>

This is how the customer behaves on each axis:
<playbooks>
{playbooks}
</playbooks>

Write the customer's communication policy in 150 to 250 words, addressed to "you".
Root it in this errand: what this customer would say first, hold back, or ask about.
Be concrete about habits: message length, punctuation and case, courtesy, hesitation, pace, reaction to delay and to bad news.
Describe tendencies that come and go, as a person's do, and not rules for every message.
Leave the goal, the facts and the limits of the errand untouched: add none, drop none, change none.
Do not mention a simulation, a benchmark, a test or an AI."""


def fill(template: str, values: dict[str, str]) -> str:
    """Put the values in place of their {names}."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


def propose_members(c: str, axes: list, n: int) -> list:
    """Phase 1: ask for n members at once, and once more when the answer cannot be used."""
    request = fill(POPULATION_USER, {"n": str(n), "axes": json.dumps(axes, indent=2), "context": c})
    problem = ""
    for attempt in range(2):
        prompt = request
        if attempt > 0:
            prompt = request + "\n\nYour last answer could not be used: " + problem
        try:
            members = parse_json(complete(POPULATION_SYSTEM, prompt))["members"]
            check_members(members, axes, n)
            return members[:n]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = str(error)
    raise ValueError("no usable population after two attempts: " + problem)


def check_members(members: list, axes: list, n: int) -> None:
    """Raise ValueError unless there are n members, described and placed on every axis."""
    if len(members) < n:
        raise ValueError("expected " + str(n) + " members, got " + str(len(members)))
    for member in members[:n]:
        if not (isinstance(member["description"], str) and isinstance(member["reasoning"], str)):
            raise ValueError("every member needs a description and a reasoning, both text")
        for axis in axes:
            if not isinstance(member["axis_placement"].get(axis["behavior"]), bool):
                raise ValueError("every member needs true or false for the axis " + axis["behavior"])


def playbooks(member: dict, axes: list) -> str:
    """List the text that each axis has for this member."""
    lines = []
    for axis in axes:
        side = "true" if member["axis_placement"][axis["behavior"]] else "false"
        lines.append("- " + axis["behavior"] + " = " + side + ": " + axis["presence"][side])
    return "\n".join(lines)


def generate_personas_detailed(c: str, axes: list, n: int) -> list:
    """Return n persona records for the task with context c."""
    members = propose_members(c, axes, n)
    prompts = []
    for member in members:
        request = fill(
            ROLEPLAY_USER,
            {"member": member["description"], "playbooks": playbooks(member, axes), "context": c},
        )
        prompts.append((ROLEPLAY_SYSTEM, request))
    policies = complete_many(prompts)

    records = []
    for i in range(n):
        member = members[i]
        records.append(
            {
                "persona_id": f"p{i + 1:02d}",
                "description": member["description"],
                "reasoning": member["reasoning"],
                "axis_placement": {a["behavior"]: member["axis_placement"][a["behavior"]] for a in axes},
                "expanded_instruction": policies[i].strip(),
            }
        )
    return records
