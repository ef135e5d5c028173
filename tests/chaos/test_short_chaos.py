"""A short chaos on each database with every change; `make chaos` is the long one."""

import pytest

from tests.chaos.round import Round

FAULTS = 21


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("database", "seed"), [("sqlite", 101), ("postgresql", 102)])
def test_seeded_faults_lose_double_and_reorder_nothing(tmp_path, database, seed):
    result = Round(tmp_path, seed=seed, count=FAULTS, database=database).run()
    assert result.verdict.violations == []
    assert result.faults.total() == FAULTS
    assert result.verdict.writes > 100
