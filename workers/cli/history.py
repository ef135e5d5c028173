"""`parom history`: what happened to one record."""

import json
from dataclasses import asdict

import click

from tasks.ledger import report
from tasks.ledger.report import RecordReport
from workers.app import runtime
from workers.cli.failures import WorkFailed, require_flow


@click.command()
@click.argument("flow")
@click.argument("source_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="for scripts")
def history(flow: str, source_id: str, *, as_json: bool) -> None:
    """Tell what happened to the record ID of FLOW (ID is the source system's)."""
    built = runtime()
    require_flow(flow, built.flows)
    record = report.of_record(built.ledger, flow, source_id)
    if record is None:
        raise WorkFailed(f"{flow} has never seen {source_id}; to fetch it: parom resync {flow} {source_id}")
    if as_json:
        click.echo(json.dumps(asdict(record), ensure_ascii=False, default=str, indent=2))
        return
    _show(record, source=built.flows[flow].source_name, target=built.flows[flow].target_name)


def _show(record: RecordReport, *, source: str, target: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{record.flow} {record.source_id}[/]: {record.state}", markup=True)
    for label, value in _facts(record, source, target):
        console.print(f"  {label}: ", end="")
        console.print(str(value), markup=False)
    table = Table("when", "version", "what", "detail", box=None, pad_edge=False)
    for event in record.events:
        when = event.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(when, str(event.version), event.event, _plain(event.detail or ""))
    console.print(table)


def _facts(record: RecordReport, source: str, target: str) -> list[tuple[str, object]]:
    facts = [
        ("why", record.detail if record.cause else None),
        ("id in " + target, record.target_id),
        (
            "next attempt",
            record.due_at and record.state != "done" and record.due_at.astimezone().isoformat(timespec="seconds"),
        ),
        ("in doubt", "a write was sent and not answered; it is looked up first" if record.is_in_doubt else None),
        (f"{source} shows", record.note_shown),
        ("note on its way", record.note_text if record.note_text != record.note_shown else None),
    ]
    return [(label, value) for label, value in facts if value]


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
