"""`make chaos`: rounds of seeded faults until N are spent, what they showed, and the seed of every round that failed.

A round replays with `make chaos SEED=… N=…`, the numbers that its failure names.
"""

import sys
from pathlib import Path

import click

from tests.chaos.campaign import rounds, without_each_mechanism
from tests.chaos.certificate import Certificate, machine


@click.command()
@click.option("--faults", default=100, help="how many, over all rounds")
@click.option("--seed", default=1, help="of the first round; each further one counts on")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="postgresql")
@click.option("--jobs", default=2, help="rounds side by side")
@click.option("--mutations", is_flag=True, help="take away one mechanism at a time instead; each must be noticed")
@click.option("--certificate", type=click.Path(path_type=Path), help="the page that shows the last results")
def main(faults: int, seed: int, database: str, jobs: int, *, mutations: bool, certificate: Path | None) -> None:
    """Let N seeded faults loose on real processes, and judge."""
    page = Certificate(certificate)
    if mutations:
        caught = without_each_mechanism(seed=seed, database=database, jobs=jobs)
        page.put_mutations(caught)
        sys.exit(any(found is None for found in caught.values()))
    results = rounds(faults, seed=seed, database=database, jobs=jobs)
    click.echo(page.put_run(results, machine()))
    sys.exit(any(result.verdict.violations for result in results))


if __name__ == "__main__":
    main()
