"""A search whose first program cannot be scored stops with a sentence, and goes on once the cause is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.evolve.search import Search
from workbench.evolve.settings import Settings
from workbench.simulate import batch

SMALL = Settings(seed=5, train_tasks=2, validation_tasks=1, test_tasks=1, window=2, stages=(2,), islands=1)


def test_a_first_program_whose_episodes_fail_is_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rollout = batch.rollout

    async def failing(job, client):
        episode = await rollout(job, client)
        if job.candidate_id == "0000" and job.persona_id == "p01":
            episode.error = "the line was cut"
        return episode

    with Search(tmp_path / "run", replace(SMALL, generations=1)) as search:
        with monkeypatch.context() as during:
            during.setattr(batch, "rollout", failing)
            with pytest.raises(
                WorkbenchError, match=r"could not be scored: 2 of 4 episodes failed.*the line was cut"
            ):
                search.step()
        assert search.run.candidate_ids == []
        assert search.step()[0]["status"] == "accepted"
        assert search.step()[0]["parent"] == "0000"
