"""`parom status`: how the flows stand, and what a person should do next."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from connectors.base import Health
from tasks.flow import Flow
from tasks.ledger import report
from tasks.ledger.report import FlowReport
from workers.app import runtime

if TYPE_CHECKING:
    from rich.table import Table

WORTH_TELLING = 60.0
"""Seconds; shorter waits for a vendor's allowance are everyday life."""
STATES = ("done", "skipped", "pending", "queued", "running", "waiting", "rejected", "parked")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="for scripts")
def status(*, as_json: bool) -> None:
    """Show every flow: records by state, what is late, what a person should do."""
    built = runtime()
    reports = [report.of_flow(built.ledger, name) for name in built.flows]
    if as_json:
        click.echo(json.dumps([_plain(each) for each in reports], ensure_ascii=False, default=str, indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(flows_table(reports))
    for line in [*advice(reports), *troubles(built.flows.values())]:
        console.print(line, markup=False)


def _plain(flow: FlowReport) -> dict[str, object]:
    causes = [{"state": s, "cause": c, "records": n} for (s, c), n in flow.causes.items()]
    late = None if flow.oldest_due is None else flow.oldest_due.total_seconds()
    return {**asdict(flow), "causes": causes, "oldest_due": late}


def flows_table(reports: list[FlowReport]) -> "Table":
    """A row per flow: counts of records by state."""
    from rich.table import Table

    shown = [s for s in STATES if s in ("done", "skipped") or any(r.by_state.get(s) for r in reports)]
    table = Table("flow", *shown, "notes due", "last poll", box=None, pad_edge=False)
    for each in reports:
        polled = each.completed_at.astimezone().strftime("%H:%M:%S") if each.completed_at else "never"
        counts = [str(each.by_state.get(state, 0)) for state in shown]
        table.add_row(each.name, *counts, str(each.notes_due), "now" if each.is_polling else polled)
    return table


def advice(reports: list[FlowReport]) -> list[str]:
    """What a person should know or do, one line each."""
    return [line for each in reports for line in _advice(each)]


def troubles(flows: Iterable[Flow]) -> list[str]:
    """Connections that nobody may call for the moment, one line each."""
    connections = {flow.source_name: flow.source_connection for flow in flows}
    connections |= {flow.target_name: flow.target_connection for flow in flows}
    found = [(name, connection.health()) for name, connection in sorted(connections.items())]
    return [text for name, health in found if (text := _trouble(name, health))]


def _trouble(name: str, health: Health) -> str:
    if health.breaker in ("open", "half-open"):
        return f"{name} did not answer lately (breaker {health.breaker}); it is tried again in {health.seconds:.0f} s"
    if health.breaker == "closed" and health.seconds > WORTH_TELLING:
        goes_on = (datetime.now().astimezone() + timedelta(seconds=health.seconds)).strftime("%d.%m. %H:%M")
        return f"{name}: its allowance is used up; calls go on at {goes_on}, and no record loses an attempt"
    return ""


def _advice(flow: FlowReport) -> list[str]:
    lines = []
    if flow.paused_by:
        end = (
            "a probe or `parom resume` ends it" if flow.paused_by == "refused" else f"end it: parom resume {flow.name}"
        )
        lines.append(f"{flow.name} is paused ({flow.paused_reason}); {end}")
    if flow.poll_error:
        lines.append(f"{flow.name}: the last poll ended early: {flow.poll_error}")
    if flow.oldest_due and flow.oldest_due > timedelta(minutes=1):
        lines.append(
            f"{flow.name}: {flow.due} records are due, the oldest for {_spoken(flow.oldest_due)}: is a worker running?"
        )
    lines += [_cause(flow.name, state, cause, count) for (state, cause), count in sorted(flow.causes.items())]
    return lines


def _spoken(late: timedelta) -> str:
    hours, seconds = divmod(int(late.total_seconds()), 3600)
    return f"{hours} h {seconds // 60} min" if hours else f"{seconds // 60} min"


_MEANS = {
    "invalid": "to be corrected where they come from; its status field, or parom history {flow} ID, says what",
    "rejected": "the target refused them: parom history {flow} ID. After a remedy there: parom resync {flow} --failed",
    "parked in doubt": "look in the target whether they are there; if not: parom resync {flow} ID",
    "parent": "what they belong to is not delivered yet; they follow by themselves when it is",
    "limit reached": "the target takes no more; make room there, creations go on by themselves",
    "unavailable": "the target or source was down; they are tried again by themselves",
    "in doubt": "a write was not answered; it is looked up and settled by itself",
    "throttled": "held back by a rate limit or an outage; nothing to do",
    "crashed": "a worker died on them; when parked, look at its log, then: parom resync {flow} --cause crashed",
    "bug": "our mistake: parom history {flow} ID shows where; after a fix: parom resync {flow} --cause bug",
    "refused": "the connection is refused; they wait until it works again",
}


def _cause(flow: str, state: str, cause: str, count: int) -> str:
    meaning = (_MEANS.get(f"{state} {cause}") or _MEANS.get(cause, "")).format(flow=flow)
    return f"{flow}: {count} {state} ({cause}): {meaning}"
