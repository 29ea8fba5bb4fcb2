"""The archive is a pure function of what was committed; islands, elites and migration follow the paper."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from workbench.evolve.archive import Archive, Member
from workbench.evolve.settings import Settings

SETTINGS = Settings(islands=3, population=12, migration_every=5, seed=1)


def member(number: int, rank: float, hl: float = 0.5, cov: float = 0.5, island: int = 0) -> Member:
    return Member(f"{number:04d}", number, island, rank, hl, cov)


def test_the_seed_program_lives_on_every_island():
    archive = Archive.replay(SETTINGS, [member(0, 0.2)], 1)
    assert [list(i) for i in archive.islands] == [["0000"]] * 3


def test_a_cell_keeps_its_fittest_and_the_edges_belong_to_the_outer_bins():
    members = [
        member(0, 0.2, 0.05, 0.05),
        member(1, 0.5, 0.41, 0.32),
        member(2, 0.4, 0.49, 0.39),
        member(3, 0.9, 1, 1),
    ]
    grid = Archive.replay(SETTINGS, members, 4).grid(0)
    assert {cell: m.candidate_id for cell, m in grid.items()} == {
        (0, 0): "0000",
        (4, 3): "0001",
        (9, 9): "0003",
    }


def test_the_top_of_an_island_migrates_to_its_neighbors_every_fifth_generation():
    members = [member(0, 0.1), member(1, 0.9, island=1)]
    before, after = (Archive.replay(SETTINGS, members, g) for g in (5, 6))
    assert "0001" not in before.islands[0] and "0001" in after.islands[0] and "0001" in after.islands[2]


def test_an_island_never_outgrows_its_share_and_never_loses_its_best():
    members = [member(i, i / 40, hl=0.5) for i in range(30)]
    archive = Archive.replay(SETTINGS, members, 30)
    assert len(archive.islands[0]) == 4 and "0029" in archive.islands[0]


def test_parents_are_mostly_elites_but_anyone_may_be_drawn():
    members = [member(i, 0.1 + 0.2 * (i == 3), hl=i / 10) for i in range(4)]
    archive = Archive.replay(SETTINGS, members, 4)
    drawn = Counter(archive.parent(0, g, 0).candidate_id for g in range(400))
    assert drawn["0003"] > 250 and min(drawn[i] for i in ("0000", "0001", "0002")) > 5


def test_the_random_control_draws_parents_evenly():
    settings = Settings(islands=1, selection="random")
    members = [member(i, 0.9 * (i == 3), hl=i / 10) for i in range(4)]
    archive = Archive.replay(settings, members, 4)
    drawn = Counter(archive.parent(0, g, 0).candidate_id for g in range(800))
    assert all(150 < n < 250 for n in drawn.values()) and len(drawn) == 4


def test_inspirations_are_other_candidates_of_the_island():
    members = [member(i, i / 10, hl=i / 10) for i in range(6)]
    archive = Archive.replay(Settings(islands=1), members, 6)
    parent = archive.parent(0, 6, 0)
    found = [m.candidate_id for m in archive.inspirations(0, parent, 6, 0)]
    assert len(found) == 4 == len(set(found)) and parent.candidate_id not in found


RANKS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 2)), min_size=1, max_size=25)


@given(RANKS)
def test_replaying_gives_the_same_archive_and_the_best_is_always_kept(rows: list[tuple[float, float, int]]):
    members = [Member(f"{i:04d}", i, k, r, h, h) for i, (r, h, k) in enumerate(rows)]
    one, two = (Archive.replay(SETTINGS, members, len(members) + 1) for _ in range(2))
    assert one.islands == two.islands
    assert max(m.rank for i in range(3) for m in one.grid(i).values()) == max(m.rank for m in members)
