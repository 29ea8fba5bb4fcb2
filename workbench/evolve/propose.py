"""A proposal: draw a parent from an island, have it mutated, and try the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.evolve.archive import Archive, Member
from workbench.evolve.mutation import Prompt, mutate
from workbench.evolve.run import Run
from workbench.evolve.trial import Bench, Trial, try_out
from workbench.llm.client import metered
from workbench.simulate.program import read_axes
from workbench.simulate.seeds import derive

FAILURES = 3  # rejected children of a parent that its next mutation is told of


async def propose(
    bench: Bench,
    run: Run,
    candidates: Sequence[dict[str, Any]],
    archive: Archive,
    generation: int,
    proposal: int,
    candidate_id: str,
) -> Trial:
    """Mutate a parent of one island and try the result; a mutation that failed is a rejected trial."""
    settings = bench.settings
    island = ((generation - 1) * settings.proposals + proposal) % settings.islands
    parent = archive.parent(island, generation, proposal)
    inspirations = archive.inspirations(island, parent, generation, proposal)
    with metered() as spent:
        bench.progress.at(f"candidate {candidate_id}: mutation of {parent.candidate_id}")
        earlier = [c for c in candidates if c["generation"] < generation]
        prompt = await _prompt(bench, run, earlier, parent, inspirations)
        seed = derive(settings.seed, "mutation", candidate_id)
        mutation = await mutate(prompt, candidate_id, bench.client, seed=seed, attempts=settings.attempts)
        program = mutation.program or mutation.tried or prompt.program
        about = (generation, island, parent.candidate_id, "mutation")
        trial = Trial(candidate_id, *about, program, mutation.reason)
        trial.frames["attempts"] = mutation.attempts
        if mutation.program:
            await try_out(bench, trial)
    trial.spent = spent
    return trial


async def _prompt(
    bench: Bench,
    run: Run,
    candidates: Sequence[dict[str, Any]],
    parent: Member,
    inspirations: Sequence[Member],
) -> Prompt:
    by_id = {c["candidate_id"]: c for c in candidates}
    ideas = [(by_id[m.candidate_id], await read_axes(run.program(m.candidate_id))) for m in inspirations]
    failures = [
        f"a child of this parent: {c['reason']}"
        for c in candidates
        if c["status"] == "rejected" and c["parent"] == parent.candidate_id
    ]
    base = bench.reference.discriminator.likeness(run.frame("conditions/base_train", "fingerprints"))
    return Prompt(
        parent_id=parent.candidate_id,
        program=run.program(parent.candidate_id),
        scores=by_id[parent.candidate_id],
        references=f"For comparison, human_likeness of the base simulator is {base.to_numpy().mean():.3f}.",
        reflection=run.reflection(parent.candidate_id),
        inspirations=ideas,
        failures=failures[-FAILURES:],
    )
