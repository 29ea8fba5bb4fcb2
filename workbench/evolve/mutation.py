"""Mutation: ask for edits to a parent program, apply them, and keep every try with its verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from workbench.evolve import edits
from workbench.evolve.reflection import score_lines
from workbench.llm.client import Client, LLMError
from workbench.simulate.program import SUBSET, ProgramRejected, read_axes
from workbench.simulate.seeds import derive

ATTEMPTS: dict[str, Any] = {
    "candidate_id": pl.String,
    "attempt": pl.Int32,
    "parent": pl.String,
    "prompt": pl.String,
    "answer": pl.String,
    "edits": pl.Int32,
    "verdict": pl.String,
    "reason": pl.String,
}

SYSTEM = f"""You improve a program that writes persona policies for simulated customers of a help desk.
A policy changes how a customer talks, never what the customer wants. The aim is twofold: each conversation should look
like a real person's to a classifier trained on real people (human-likeness), and the N personas of a task should span
the ways real people behave (coverage).

The program is one Python file. It must keep
- the module variable DIVERSITY_AXES: a list, possibly empty, of {{"behavior", "definition", "presence": {{"true", "false"}}}};
- generate_personas_detailed(c, axes, n): returns exactly n dicts with persona_id, description, reasoning,
  axis_placement (a boolean for each axis's behavior) and expanded_instruction (1 to 4,000 characters).
Everything else may change: the axes, the prompts, the logic. The host offers complete(system, user),
complete_many([(system, user), ...]) and parse_json(text).
{SUBSET}

Answer with a few sentences on what you change and why, then one or more edits, each in this form:
<<<<<<< SEARCH
lines of the parent program, exactly as they stand there, enough of them to be found in one place only
=======
the lines that take their place
>>>>>>> REPLACE
"""


@dataclass(frozen=True)
class Prompt:
    """What a mutation starts from: the parent, what is known of it, others' ideas and failures."""

    parent_id: str
    program: str
    scores: dict[str, Any]
    references: str
    reflection: str
    inspirations: Sequence[tuple[dict[str, Any], list[dict[str, Any]]]]
    failures: Sequence[str]

    def text(self) -> str:
        """Write the user message."""
        parts = ["## Parent program", "```python", self.program.rstrip("\n"), "```", "", "## Scores"]
        parts += [score_lines(self.scores), self.references, "", "## Reflection", self.reflection or "(none)"]
        if self.inspirations:
            parts += ["", "## Inspirations", "Axes of other programs in the archive."]
            for scores, axes in self.inspirations:
                parts += [f"fitness {scores['fitness']:.3f}", "```json", json.dumps(axes, indent=1), "```"]
        if self.failures:
            parts += ["", "## Earlier attempts that failed", *(f"- {reason}" for reason in self.failures)]
        return "\n".join(parts)


@dataclass
class Mutation:
    """The outcome: a program, or None with the last reason; every attempt as a row; the last program that was tried."""

    program: str | None
    reason: str | None
    attempts: pl.DataFrame
    tried: str


async def mutate(prompt: Prompt, candidate_id: str, client: Client, *, seed: int, attempts: int) -> Mutation:
    """Ask for edits until they apply and the program's axes can be read, at most ``attempts`` times.

    After a failed attempt the model is shown its answer and the reason.

    Raises
    ------
    LLMError
        Of kind ``cap`` or ``transport``.
    """
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": prompt.text()},
    ]
    rows: list[dict[str, Any]] = []
    program, reason, tried = None, None, ""
    for attempt in range(attempts):
        row: dict[str, Any] = {"candidate_id": candidate_id, "attempt": attempt, "parent": prompt.parent_id}
        row["prompt"] = "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in messages)
        answer, found = "", 0
        try:
            answer = (await client.chat("mutation", messages, seed=derive(seed, attempt))).content
            blocks = edits.parse(answer)
            found = len(blocks)
            tried = edits.apply(prompt.program, blocks)
            await read_axes(tried)
            program, reason = tried, None
        except edits.EditError as error:
            reason = f"edit rejected: {error}"
        except ProgramRejected as error:
            reason = f"program rejected ({error.kind}): {error.reason}"
        except LLMError as error:
            if error.kind != "content":
                raise
            reason = f"no answer: {error.reason}"
        verdict = "applied" if program else "rejected"
        rows.append(row | {"answer": answer, "edits": found, "verdict": verdict, "reason": reason})
        if program:
            break
        if answer:
            again = f"That was not taken: {reason}. Answer again with all your edits."
            messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": again}]
    return Mutation(program, reason, pl.DataFrame(rows, schema=ATTEMPTS), tried)
