"""`parom resume`: the end of a pause, whoever made it."""

import click

from tasks.ledger import pauses
from workers.app import runtime
from workers.cli.failures import require_flow


@click.command()
@click.argument("flow")
def resume(flow: str) -> None:
    """Let FLOW run again; it polls at once."""
    built = runtime()
    require_flow(flow, built.flows)
    was_paused = pauses.resume(built.ledger, flow)
    click.echo(f"{flow} runs again" if was_paused else f"{flow} was not paused")
