"""`parom check`: the configuration against the live systems, all findings at once."""

import click
from redis import RedisError

from connectors.base import Finding
from connectors.errors import ConnectorError
from tasks.flow import Flow
from tasks.ledger import Ledger
from tasks.ledger import migrate as migrations
from workers import compose
from workers.app import settings
from workers.cli.borrowed import borrowed_redis
from workers.cli.failures import WorkFailed

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}


@click.command()
def check() -> None:
    """Compare parom.toml with the live systems. Exit code 1 if anything would not work.

    Makes Parom's own fields in amoCRM and CoMagic where they are missing; changes nothing else.
    """
    findings = [("parom", finding) for finding in _own()]
    with borrowed_redis() as redis:
        for flow in compose.build_flows(settings(), redis).values():
            findings += [(flow.name, finding) for finding in _of_flow(flow)]
    for place, finding in findings:
        mark, colour = MARKS[finding.level]
        click.secho(f"{mark} ", fg=colour, nl=False)
        click.echo(f"{place}: {finding.text}" + (f" → {finding.hint}" if finding.hint else ""))
    if any(finding.level == "error" for _, finding in findings):
        raise SystemExit(WorkFailed.exit_code)


def _own() -> list[Finding]:
    return [Finding("ok", "parom.toml is complete"), _redis(), _ledger()]


def _redis() -> Finding:
    try:
        compose.connect_redis(compose.redis_url(settings())).ping()
    except compose.RedisAway:
        return Finding("ok", "Redis: embedded, started by `parom up`")
    except RedisError as error:
        return Finding("error", f"Redis does not answer ({type(error).__name__})", "look at redis_url")
    return Finding("ok", "Redis answers")


def _ledger() -> Finding:
    try:
        migrations.require_current(Ledger(settings().database_url))
    except migrations.NotMigrated as error:
        return Finding("warning", str(error))
    except Exception as error:  # noqa: BLE001 - whatever the driver raises, it is one finding among others
        return Finding(
            "error", f"the ledger's database does not answer ({type(error).__name__})", "look at database_url"
        )
    return Finding("ok", "the ledger answers")


def _of_flow(flow: Flow) -> list[Finding]:
    sides = (
        (flow.source_connection, flow.kind.source_entity, flow.needs()),
        (flow.target_connection, flow.kind.target_entity, flow.demands),
    )
    findings: list[Finding] = []
    for connection, entity, needs in sides:
        try:
            findings += connection.check(entity, needs)
        except ConnectorError as error:
            findings.append(Finding("error", str(error)))
    return findings
