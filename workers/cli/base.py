"""`parom base`: where 1C bases are called, which only an operator may change; and what can be asked of a base."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from connectors import onec_handlers_base as registry
from connectors.base import Malformed
from connectors.onec_handlers import OneCHandlers
from connectors.onec_handlers_base import Base
from connectors.onec_handlers_config import OneCHandlersConfig
from connectors.outbound import Forbidden, examine, resolved
from tasks.ledger import Ledger
from tasks.ledger.vault import LedgerVault
from workers import compose
from workers.app import settings
from workers.cli.borrowed import borrowed_redis
from workers.cli.failures import WorkFailed


@click.group()
def base() -> None:
    """1C bases: where they are called, and what they say. NAME is that of a connection."""


@base.command("list")
def list_() -> None:
    """How every base stands."""
    vault = _vault()
    for name, config in _configs().items():
        click.echo(f"{name}: account {config.key}, base {config.id_base}: {_standing(vault, config)}")


@base.command()
@click.argument("name")
def show(name: str) -> None:
    """Where NAME is called, and where it wants to be, with the addresses that its host has now."""
    vault, config = _vault(), _config(name)
    for title, found in (("called at", registry.current(vault, config)), ("waits", registry.pending(vault, config))):
        click.echo(f"{title}: {found.web_address if found else 'nothing'}")
        if found:
            _show(found)


@base.command()
@click.argument("name")
@click.option("--private", is_flag=True, help="allow plain http, an odd port, and the private addresses it has now")
@click.option("--pin", metavar="SHA256", help="the only certificate to believe, instead of whom the public trusts")
@click.option("--address", metavar="URL", help="only if this is the address that waits")
def approve(name: str, pin: str | None, address: str | None, *, private: bool) -> None:
    """Call NAME where it wants to be called; or, if nothing waits, approve its address anew."""
    try:
        approved = registry.approve(_vault(), _config(name), private=private, pin=pin, expected=address)
    except registry.NotApproved as error:
        raise WorkFailed(str(error)) from None
    click.echo(f"{name} is called at {approved.web_address}")
    _show(approved)


@base.command()
@click.argument("name")
def reject(name: str) -> None:
    """Forget where NAME wants to be called; it goes on as before."""
    if not registry.reject(_vault(), _config(name)):
        raise WorkFailed(f"nothing of {name} waits")
    click.echo(f"{name}: what waited is forgotten")


@base.command("rotate-keys")
def rotate_keys() -> None:
    """Encrypt every stored secret with the first key of PAROM_SECRET_KEY; afterwards the others may go."""
    click.echo(f"{_vault().rotate()} secrets are encrypted with the first key")


@base.command()
@click.argument("name")
@click.argument("lead_id", type=click.IntRange(min=1))
def orders(name: str, lead_id: int) -> None:
    """The documents that NAME has of amoCRM's lead LEAD_ID, as JSON."""
    with _connected(name) as connector:
        click.echo(json.dumps(connector.get_orders(lead_id), ensure_ascii=False, indent=2))


@base.command()
@click.argument("name")
def version(name: str) -> None:
    """Which handlers are installed in NAME."""
    with _connected(name) as connector:
        click.echo(connector.handlers_version())


@base.command("send-table")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--user-id", type=click.IntRange(min=1), help="a user of amoCRM")
def send_table(name: str, file: Path, user_id: int | None) -> None:
    """Tell NAME which field of amoCRM is which. FILE: [{"amo_name", "amo_id", "entity_name"}, …] in JSON."""
    try:
        rows = json.loads(file.read_text("utf-8-sig"))
    except ValueError:
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise click.BadParameter("is not a JSON list of objects", param_hint="FILE")
    try:
        with _connected(name) as connector:
            click.echo(f"{connector.send_table(rows, user_id)} rows were sent")
    except Malformed as error:
        raise click.BadParameter(str(error), param_hint="FILE") from None


def _configs() -> dict[str, OneCHandlersConfig]:
    configs = {name: connection.config for name, connection in settings().connections.items()}
    return {name: config for name, config in configs.items() if isinstance(config, OneCHandlersConfig)}


def _config(name: str) -> OneCHandlersConfig:
    configs = _configs()
    if name not in configs:
        raise click.BadParameter(f"no 1C base {name!r}; there are: {', '.join(configs) or 'none'}")
    return configs[name]


def _vault() -> LedgerVault:
    return compose.vault_of(Ledger(settings().database_url))


@contextmanager
def _connected(name: str) -> Iterator[OneCHandlers]:
    config = _config(name)
    with borrowed_redis() as redis:
        yield OneCHandlers(config, redis, vault=_vault())


def _standing(vault: LedgerVault, config: OneCHandlersConfig) -> str:
    current, pending = registry.current(vault, config), registry.pending(vault, config)
    parts = [f"called at {current.web_address}" if current else "has not registered"]
    parts += [f"waits for approval: {pending.web_address}"] if pending else []
    return "; ".join(parts)


def _show(found: Base) -> None:
    """All but the password."""
    for label, text in _facts(found):
        click.echo(f"  {label}: {text}")


def _facts(found: Base) -> Iterator[tuple[str, str]]:
    yield "links begin with", found.url_address
    yield "login", found.login
    try:
        examined = examine(found.address)
    except Forbidden as error:
        yield "never", str(error)
        return
    yield "addresses now", ", ".join(_addresses(found)) or "none: its name cannot be resolved"
    yield "needs --private, because", "; ".join(examined.doubts) or "nothing: it may be called unasked"
    if found.approved_private:
        yield "private addresses approved", _approved(found)
    if found.pin:
        yield "certificate", found.pin


def _approved(found: Base) -> str:
    return "whatever its host has" if found.is_configured else ", ".join(found.resolved) or "none"


def _addresses(found: Base) -> tuple[str, ...]:
    try:
        return found.address.addresses(resolved)
    except (OSError, UnicodeError):
        return ()
