"""Puts the API of the 1C bases into the web app, if there are any bases."""

from dataclasses import dataclass, field

from apiflask import APIFlask
from flask import Response
from werkzeug.exceptions import HTTPException

from connectors.base import Vault
from connectors.outbound import Resolve, resolved
from tasks import inline
from tasks.runtime import Runtime
from workers.compose import vault_of
from workers.settings import Settings
from workers.web.onec_public import operators, published, routes
from workers.web.onec_public.bases import bases_of
from workers.web.onec_public.delivery import Carry
from workers.web.onec_public.envelope import refusal
from workers.web.onec_public.limits import Counters, Limits
from workers.web.onec_public.means import Means

PREFIXES = ("/sync/", "/update_handlers/", "/api/onec/")


@dataclass(frozen=True)
class Parts:
    """What a test may have otherwise. `vault` keeps where the bases are; by default, in the ledger."""

    vault: Vault | None = None
    carry: Carry = inline.carry
    resolve: Resolve = resolved
    limits: Limits = field(default_factory=Limits)


def register(app: APIFlask, settings: Settings, runtime: Runtime, parts: Parts) -> None:
    """The routes, and what the published document says of them. Without a base there are none."""
    bases = bases_of(settings)
    if not bases.known:
        return
    vault = parts.vault or vault_of(runtime.ledger)
    means = Means(bases, runtime, vault, Counters(runtime.redis, parts.limits), parts.carry, parts.resolve)
    app.register_blueprint(routes.blueprint(means))
    app.register_blueprint(operators.blueprint(means, settings.api_token))
    app.config["DESCRIPTION"] = published.DESCRIPTION
    app.config["SECURITY_SCHEMES"] = published.SECURITY_SCHEMES
    app.servers = [{"url": "/"}]
    app.spec_callback = published.complete


def is_ours(path: str) -> bool:
    """Whether an error there is answered in the shape that 1C reads."""
    return path.startswith(PREFIXES)


def refused(error: HTTPException) -> Response:
    """What was refused before any of our routes was found."""
    return refusal(routes.failure_of(error))
