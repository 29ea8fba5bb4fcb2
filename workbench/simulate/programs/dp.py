"""DP baseline: one direct call writes all N persona policies, with no axes and no second phase.

The host offers complete, complete_many and parse_json.
"""

DIVERSITY_AXES = []

DIRECT_SYSTEM = """\
You write communication policies for customers of a support service.
A policy says how a customer talks and never changes what the customer wants or knows.
Answer with one JSON object and nothing else."""

DIRECT_USER = """\
This is the errand that every customer has:
<context>
{context}
</context>

Write exactly {n} personas who would bring this errand to a support chat, as different from one another as real people are.

For each persona give
- "description": one or two sentences on who this is and how they come across in writing;
- "reasoning": one sentence on what this persona adds to the group;
- "policy": 150 to 250 words, addressed to "you", with concrete habits of communication for this errand.

Leave the goal, the facts and the limits of the errand untouched.
Do not mention a simulation, a benchmark, a test or an AI.

Answer in this form:
{"personas": [{"description": "...", "reasoning": "...", "policy": "..."}]}"""


def ask(c: str, n: int) -> list:
    """Ask for n personas, and once more when the answer cannot be used."""
    request = DIRECT_USER.replace("{n}", str(n)).replace("{context}", c)
    problem = ""
    for attempt in range(2):
        prompt = request
        if attempt > 0:
            prompt = request + "\n\nYour last answer could not be used: " + problem
        try:
            personas = parse_json(complete(DIRECT_SYSTEM, prompt))["personas"]
            if len(personas) < n:
                raise ValueError("expected " + str(n) + " personas, got " + str(len(personas)))
            for persona in personas[:n]:
                for key in ["description", "reasoning", "policy"]:
                    if not isinstance(persona[key], str):
                        raise ValueError("every persona needs a " + key + ", as text")
            return personas[:n]
        except (ValueError, KeyError, TypeError) as error:
            problem = str(error)
    raise ValueError("no usable personas after two attempts: " + problem)


def generate_personas_detailed(c: str, axes: list, n: int) -> list:
    """Return n persona records for the task with context c."""
    personas = ask(c, n)
    records = []
    for i in range(n):
        records.append(
            {
                "persona_id": f"p{i + 1:02d}",
                "description": personas[i]["description"],
                "reasoning": personas[i]["reasoning"],
                "axis_placement": {},
                "expanded_instruction": personas[i]["policy"].strip(),
            }
        )
    return records
