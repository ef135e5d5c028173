"""What requests are worked with, and one of them on its way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.base import Vault
from connectors.outbound import Resolve
from tasks.runtime import Runtime
from workers.web.onec_public.bases import Base, Bases
from workers.web.onec_public.delivery import Carry
from workers.web.onec_public.limits import Counters

BEGINNING = ("key", "id_base")


@dataclass(frozen=True)
class Means:
    """`vault` keeps where the bases are; `resolve` asks the DNS."""

    bases: Bases
    runtime: Runtime
    vault: Vault
    counters: Counters
    carry: Carry
    resolve: Resolve


@dataclass(frozen=True)
class Call:
    """One request of one base: its loaded body, and the login that was shown with it."""

    base: Base
    body: Mapping[str, Any]
    login: str | None
    means: Means

    @property
    def runtime(self) -> Runtime:
        return self.means.runtime

    @property
    def row(self) -> dict[str, Any]:
        """What it says of an entity."""
        return {name: value for name, value in self.body.items() if name not in BEGINNING}
