"""`parom preview`: the mapped payload of one record, field by field against what the target holds now."""

import json

import click
from marshmallow import ValidationError

from mappings.outcome import Skipped, told
from tasks.preview import ABSENT, Preview
from tasks.preview import preview as look
from workers.app import runtime
from workers.cli.failures import WorkFailed, require_flow


@click.command()
@click.argument("flow")
@click.argument("source_id", metavar="ID")
def preview(flow: str, source_id: str) -> None:
    """Show what would be sent for the record ID of FLOW as it is in the source now; writes nothing.

    It shows personal data: that is what it is for.
    """
    built = runtime()
    require_flow(flow, built.flows)
    source, target = built.flows[flow].source_name, built.flows[flow].target_name
    try:
        seen = look(built, flow, source_id)
    except ValidationError as error:
        raise WorkFailed(f"rejected, and the manager would be told: {told(error)}") from None
    if seen is None:
        raise WorkFailed(f"{source} has no {source_id}, or shows it to nobody with our rights")
    if isinstance(seen.outcome, Skipped):
        click.echo(f"skipped: {seen.outcome.reason}")
        return
    _show(seen, target)


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
