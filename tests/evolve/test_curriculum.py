"""Windows, stages and weights follow the paper; the validation tasks are never trained on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.evolve.curriculum import choose_tasks, personas_per_task, steps_per_epoch, weights, window
from workbench.evolve.settings import Settings


def test_n_grows_by_epoch_and_the_weight_of_coverage_with_it():
    settings = Settings()
    assert [personas_per_task(settings, g) for g in (0, 3, 4, 7, 8, 40)] == [5, 5, 8, 8, 10, 10]
    assert [weights(settings, n) for n in (5, 8, 10)] == [(0.75, 0.25), (0.6, 0.4), (0.5, 0.5)]


@given(st.integers(5, 80), st.integers(1, 5))
def test_one_epoch_of_windows_visits_every_task_and_none_twice_in_a_window(n: int, size: int):
    seen = [window(range(n), g, size) for g in range(steps_per_epoch(n, size))]
    assert {t for w in seen for t in w} == set(range(n))
    assert all(len(set(w)) == size for w in seen)
    assert window(range(n), steps_per_epoch(n, size), size) == seen[0]


@pytest.mark.parametrize("domain", ["retail", "airline"])
def test_validation_tasks_are_never_in_a_training_window_and_test_tasks_come_from_the_test_split(domain: str):
    tasks = choose_tasks(Settings(domain=domain, seed=3))
    train, validation, test = ({t.task_id for t in tasks[w]} for w in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (20, 5, 20)
    assert not train & validation and not (train | validation) & test
    assert all(t.split == "test" for t in tasks["test"]) and all(t.split == "train" for t in tasks["train"])


def test_another_seed_draws_other_tasks_and_the_same_seed_the_same():
    draw = [[t.task_id for t in choose_tasks(Settings(seed=s))["train"]] for s in (1, 1, 2)]
    assert draw[0] == draw[1] != draw[2]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"train_tasks": 500}, "retail has 74"),
        ({"generations": -1}, "generations is -1; it must be a whole number of 0 or more"),
        ({"islands": 0}, "islands is 0"),
        ({"lambda_b": 1.5}, "lambda-b is 1.5; it must be a number from 0 to 1"),
        ({"train_tasks": 3}, "at least as many train tasks, not 3"),
        ({"selection": "best"}, "fitness or random"),
        ({"max_cost": float("nan")}, "max-cost is nan"),
        ({"stages": (8, 5)}, "growing numbers"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_sentence(wrong: dict, told: str):
    with pytest.raises(WorkbenchError, match=told):
        choose_tasks(Settings(**wrong))


def test_settings_survive_a_round_trip_through_json():
    import json

    settings = Settings(domain="airline", seed=5, max_tokens=10)
    assert Settings.from_json(json.loads(json.dumps(settings.as_json()))) == settings
