"""`parom resync`: deliver chosen records again, behind everything fresh."""

from datetime import datetime
from zoneinfo import ZoneInfo

import click

from tasks.resync import Choice
from tasks.resync import resync as make_due
from workers.app import runtime, settings
from workers.cli.failures import require_flow


@click.command()
@click.argument("flow")
@click.argument("ids", nargs=-1)
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="changed in the source since")
@click.option("--failed", is_flag=True, help="rejected, waiting and parked ones")
@click.option("--cause", help="with this cause, as `parom status` names it")
@click.option("--all", "everything", is_flag=True, help="every record of the flow")
@click.option("--dry-run", is_flag=True, help="only count them")
def resync(
    flow: str,
    ids: tuple[str, ...],
    since: datetime | None,
    cause: str | None,
    *,
    failed: bool,
    everything: bool,
    dry_run: bool,
) -> None:
    """Deliver records of FLOW again, changed or not: the named IDS, or those that the options choose."""
    if not (ids or since or failed or cause or everything):
        raise click.UsageError("name ids, or choose with --since, --failed, --cause or --all")
    built = runtime()
    require_flow(flow, built.flows)
    choice = Choice(ids=ids, since=_aware(since, settings().timezone), failed=failed, cause=cause)
    count = make_due(built, flow, choice, dry_run=dry_run)
    if dry_run:
        click.echo(f"{count} records would be delivered again")
        return
    click.echo(f"{count} records will be delivered again; watch: parom status")
    if ids and count < len(ids):
        raise click.ClickException(f"{len(ids) - count} of the named ids are neither in the source nor in the ledger")


def _aware(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    return moment and moment.replace(tzinfo=zone)
