"""Many rounds, each a process of its own, so that several can run side by side; what they found is told as it comes."""

import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import click

from tests.chaos.round import Result, Round

FAULTS_PER_ROUND = 50
FAULTS_TO_CATCH = 200
"""Within so many faults the oracle must see that a mechanism is missing."""


def rounds(faults: int, *, seed: int, database: str, jobs: int, only_deaths: bool = False) -> list[Result]:
    """Every round is a process of its own, so that several can run side by side."""
    counts = [min(FAULTS_PER_ROUND, faults - begun) for begun in range(0, faults, FAULTS_PER_ROUND)]
    results = []
    start = partial(_round, database=database, only_deaths=only_deaths)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = [pool.submit(start, seed + number, count) for number, count in enumerate(counts)]
        for each in as_completed(waiting):
            result, count, folder = each.result()
            _tell(result, count, folder)
            results.append(result)
    return sorted(results, key=lambda result: result.seed)


def _round(
    seed: int, count: int, *, database: str, mutation: str = "", only_deaths: bool = False
) -> tuple[Result, int, Path]:
    """One round, in a folder that stays if it failed."""
    folder = Path(tempfile.mkdtemp(prefix="parom-chaos-", dir="/tmp"))
    result = Round(folder, seed=seed, count=count, database=database, mutation=mutation, only_deaths=only_deaths).run()
    if mutation or not result.verdict.violations:
        shutil.rmtree(folder)
    return result, count, folder


def _tell(result: Result, count: int, folder: Path) -> None:
    found = result.verdict.violations
    click.echo(
        f"{result.database} seed {result.seed}: {count} faults, {result.verdict.records} records,"
        f" {result.verdict.writes} writes, {result.seconds:.0f} s: {f'{len(found)} VIOLATIONS' if found else 'ok'}"
    )
    for violation in found[:20]:
        click.echo(f"  {violation}")
    if found:
        click.echo(f"  again: make chaos SEED={result.seed} N={count} DATABASE={result.database}; its logs: {folder}")


def _caught(mutation: str, *, seed: int, database: str) -> tuple[int, str] | None:
    """Within how many faults the first violation was seen, and which; None if none was."""
    spent = 0
    while spent < FAULTS_TO_CATCH:
        result, _, _ = _round(seed, FAULTS_PER_ROUND, database=database, mutation=mutation)
        seed, spent = seed + 1, spent + result.faults.total()
        if found := result.verdict.violations:
            click.echo(f"without {mutation}: {found[0]} ({spent} faults)")
            return spent, found[0]
    click.echo(f"without {mutation}: NOT noticed in {spent} faults")
    return None


def look_without(names: Sequence[str], *, seed: int, database: str, jobs: int) -> dict[str, tuple[int, str] | None]:
    """Per mechanism: within how many faults its absence was noticed, and by what violation."""
    look = partial(_caught, seed=seed, database=database)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return dict(zip(names, pool.map(look, names), strict=True))
