"""`parom pause`: an operator stops a flow; only an operator lets it run again."""

import click

from tasks.ledger import pauses
from workers.app import runtime
from workers.cli.failures import require_flow


@click.command()
@click.argument("flow")
@click.option("--reason", default="paused by an operator", help="shown in `parom status`")
def pause(flow: str, reason: str) -> None:
    """Stop polling and delivering for FLOW; what runs ends, what waits waits."""
    built = runtime()
    require_flow(flow, built.flows)
    pauses.pause(built.ledger, flow, reason=reason)
    click.echo(f"{flow} is paused; `parom resume {flow}` lets it run again")
