"""The composition root: here, and only here, settings become connections, flows and a Runtime."""

import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import partial
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from connectors.amocrm import AmoCrm
from connectors.amocrm_config import AmoCrmConfig
from connectors.base import Connector
from connectors.bitrix24 import Bitrix24
from connectors.bitrix24_config import Bitrix24Config
from connectors.comagic import CoMagic
from connectors.comagic_config import CoMagicConfig
from connectors.onec_handlers import OneCHandlers
from connectors.onec_handlers_config import OneCHandlersConfig
from connectors.onec_odata import OneC
from connectors.onec_odata_config import OneCConfig
from connectors.otmechalka import Otmechalka
from connectors.otmechalka_config import OtmechalkaConfig
from tasks.flow import Flow
from tasks.flows import KINDS
from tasks.idempotency import IdempotencyKeys
from tasks.ledger import Ledger, cursors, field_maps, migrate
from tasks.ledger.vault import LedgerVault
from tasks.runtime import Counter, Publisher, Runtime
from workers.embedded import running_url
from workers.settings import ConnectionSettings, FlowSettings, Settings, load


@dataclass(frozen=True)
class System:
    """How an outside system is configured and connected."""

    config: type
    connect: Callable[..., Connector]
    """Takes the configuration, Redis, and by name what `more` gives."""
    more: Callable[[str, Ledger], Mapping[str, Any]] = lambda _name, _ledger: {}


def vault_of(ledger: Ledger) -> LedgerVault:
    """Opened by `PAROM_SECRET_KEY`, which is missed only when there is something to keep or to read."""
    return LedgerVault(ledger, os.environ.get("PAROM_SECRET_KEY"))


def _kept_fields(name: str, ledger: Ledger) -> Mapping[str, Any]:
    return {"vault": vault_of(ledger), "field_map": partial(field_maps.wanted, ledger, name)}


SYSTEMS: Mapping[str, System] = {
    "bitrix24": System(Bitrix24Config, Bitrix24),
    "otmechalka": System(OtmechalkaConfig, Otmechalka),
    "onec": System(OneCConfig, OneC),
    "comagic": System(CoMagicConfig, CoMagic),
    "amocrm": System(AmoCrmConfig, AmoCrm, more=lambda _, ledger: {"vault": vault_of(ledger)}),
    "onec_handlers": System(OneCHandlersConfig, OneCHandlers, more=_kept_fields),
}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that `PAROM_CONFIG` names, `parom.toml` by default. Raises SettingsError with every problem."""
    configs = {name: system.config for name, system in SYSTEMS.items()}
    return load(None, environ, systems=configs, kinds=KINDS)


class RedisAway(Exception):
    """The embedded server is configured, and none is running."""

    def __init__(self) -> None:
        super().__init__("the embedded Redis is not running: start `parom up`, or set PAROM_REDIS_URL")


def redis_url(settings: Settings) -> str:
    """The address of the Redis that all processes share. Raises RedisAway."""
    found = running_url(settings.var) if settings.is_redis_embedded else settings.redis_url
    if found is None:
        raise RedisAway
    return found


def build_runtime(settings: Settings, redis: Redis, publisher: Publisher) -> Runtime:
    """A runtime over a migrated ledger. Raises NotMigrated."""
    ledger = Ledger(settings.database_url)
    migrate.require_current(ledger)
    flows = build_flows(settings, redis, ledger)
    cursors.register(ledger, [(flow.name, flow.starts_at) for flow in flows.values()])
    return Runtime(
        ledger=ledger,
        redis=redis,
        keys=IdempotencyKeys(redis),
        flows=flows,
        publisher=publisher,
        owner=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        timezone=settings.timezone,
        lease=settings.lease,
        history_days=settings.history_days,
        finished=Counter(redis),
    )


def connect_redis(url: str) -> Redis:
    """A client that gives up soon: redis-py's own defaults wait for minutes (facts/dependencies §0.3)."""
    return Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 1))


def build_flows(settings: Settings, redis: Redis, ledger: Ledger | None = None) -> dict[str, Flow]:
    """Every enabled flow of the settings, over one connector per connection."""
    ledger = ledger or Ledger(settings.database_url)
    connectors = {
        name: _connected(SYSTEMS[connection.system], connection, redis, ledger)
        for name, connection in settings.connections.items()
    }
    running = [flow for flow in settings.flows.values() if flow.enabled]
    return {flow.name: _build_flow(flow, settings, connectors, running) for flow in running}


def _connected(system: System, connection: ConnectionSettings, redis: Redis, ledger: Ledger) -> Connector:
    return system.connect(connection.config, redis, **system.more(connection.name, ledger))


def _build_flow(
    flow: FlowSettings, settings: Settings, connectors: Mapping[str, Connector], running: Sequence[FlowSettings]
) -> Flow:
    kind = KINDS[flow.kind]
    parents = [flow.parent] if flow.parent else flow.parents
    return Flow(
        name=flow.name,
        kind=kind,
        mapping=kind.mapping(flow.options),
        source_name=flow.source,
        source_connection=connectors[flow.source],
        target_name=flow.target,
        target_connection=connectors[flow.target],
        every=flow.every,
        since=datetime.combine(flow.since, time(), settings.timezone),
        starts_at=flow.modified_since,
        overlap=flow.overlap,
        status_field=flow.status_field,
        success_note=flow.success_note,
        skipped_note=flow.skipped_note,
        window=flow.window,
        parent_flows={settings.flows[name].kind: name for name in parents},
        twin_flow=next((other.name for other in running if _are_twins(flow, other)), None),
        brings_parents=flow.brings_parents,
        demands=kind.demands(flow.options),
    )


def _are_twins(flow: FlowSettings, other: FlowSettings) -> bool:
    twin = KINDS[flow.kind].twin
    return twin is not None and (other.kind, other.source, other.target) == (twin.kind, flow.target, flow.source)
