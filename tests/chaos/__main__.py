"""`make chaos`: rounds of seeded faults until N are spent, what they showed, and the seed of every round that failed.

A round replays with `make chaos SEED=… N=…`, the numbers that its failure names.
"""

import sys
from pathlib import Path

import click

from tests.chaos.campaign import look_without, rounds
from tests.chaos.certificate import Certificate, machine
from tests.chaos.mutations import MUTATIONS


@click.command()
@click.option("--faults", default=100, help="how many, over all rounds")
@click.option("--seed", default=1, help="of the first round; each further one counts on")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="postgresql")
@click.option("--jobs", default=2, help="rounds side by side")
@click.option("--without", type=click.Choice([*MUTATIONS, "each"]), help="take a mechanism away; it must be noticed")
@click.option("--only-deaths", is_flag=True, help="of one worker at a time, to measure how soon others go on")
@click.option("--certificate", type=click.Path(path_type=Path), help="the page that shows the last results")
def main(
    *,
    faults: int,
    seed: int,
    database: str,
    jobs: int,
    without: str | None,
    only_deaths: bool,
    certificate: Path | None,
) -> None:
    """Let N seeded faults loose on real processes, and judge."""
    page = Certificate(certificate)
    if without:
        names = list(MUTATIONS) if without == "each" else [without]
        caught = look_without(names, seed=seed, database=database, jobs=jobs)
        if without == "each":
            page.put_mutations(caught)
        sys.exit(any(found is None for found in caught.values()))
    results = rounds(faults, seed=seed, database=database, jobs=jobs, only_deaths=only_deaths)
    put = page.put_recovery if only_deaths else page.put_run
    click.echo(put(results, machine()))
    sys.exit(any(result.verdict.violations for result in results))


if __name__ == "__main__":
    main()
