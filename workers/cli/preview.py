"""`parom preview`: the mapped payload of one record, field by field against what the target holds now."""

import json
from datetime import datetime

import click
from marshmallow import ValidationError

from mappings.outcome import Skipped, told
from tasks.flow import Flow
from tasks.preview import ABSENT, Preview
from tasks.preview import preview as look
from workers import compose
from workers.app import settings
from workers.cli.borrowed import borrowed_redis
from workers.cli.failures import WorkFailed, require_flow


@click.command()
@click.argument("flow")
@click.argument("source_id", metavar="ID")
def preview(flow: str, source_id: str) -> None:
    """Show what would be sent for the record ID of FLOW as it is in the source now; writes nothing.

    It shows personal data: that is what it is for.
    """
    with borrowed_redis() as redis:
        flows = compose.build_flows(settings(), redis)
        require_flow(flow, flows)
        seen = _look(flows[flow], source_id)
    if isinstance(seen.outcome, Skipped):
        click.echo(f"skipped: {seen.outcome.reason}")
        return
    _show(seen, flows[flow].target_name)


def _look(flow: Flow, source_id: str) -> Preview:
    try:
        seen = look(flow, source_id, today=datetime.now(settings().timezone).date())
    except ValidationError as error:
        raise WorkFailed(f"rejected, and the manager would be told: {told(error)}") from None
    if seen is None:
        raise WorkFailed(f"{flow.source_name} has no {source_id}, or our rights there do not show it")
    return seen


def _show(seen: Preview, target: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table("", "field", "would be sent", f"{target} holds", box=None, pad_edge=False)
    for each in seen.fields:
        mark = "=" if each.is_equal else "[yellow]≠[/]" if seen.target_id else "[green]+[/]"
        table.add_row(mark, each.field, escape(_text(each.sent)), escape(_text(each.held)))
    what = f"would update {seen.target_id} in {target}" if seen.target_id else f"would be created in {target}"
    console.print(what)
    console.print(table)
    for warning in getattr(seen.outcome, "warnings", ()):
        console.print(f"! {warning}", markup=False)


def _text(value: object) -> str:
    return "" if value is ABSENT else json.dumps(value, ensure_ascii=False)
