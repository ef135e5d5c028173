"""How a Bitrix24 connection is configured, and what follows from it: whose calls are counted together, how fast."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from connectors.base import Secret
from connectors.budget import Rate

PLANS = {"standard": Rate(2.0, 40), "enterprise": Rate(5.0, 200)}
"""The documented drain, and less than the documented burst: the vendor's bucket drains in steps of a second."""
WEBHOOK = re.compile(r"https?://[^/@\s]+/rest/[0-9]+/[A-Za-z0-9]+/?")


@dataclass(frozen=True)
class Bitrix24Config:
    """`[connections.*]` with `system = "bitrix24"`."""

    webhook_url: Secret = field(metadata={"help": "the incoming webhook: https://PORTAL/rest/USER/SECRET/"})
    application_token: Secret | None = field(
        default=None,
        metadata={"help": "of an outgoing webhook to /hooks/bitrix24/NAME, which makes changes travel at once"},
    )
    plan: Literal["standard", "enterprise"] = field(
        default="standard", metadata={"help": "the portal's tariff, which sets how often it may be called"}
    )
    requests_per_second: float | None = field(
        default=None, metadata={"help": "calls a second, instead of the plan's", "min": 0.01}
    )
    burst: int | None = field(default=None, metadata={"help": "calls at once, instead of the plan's", "min": 1})
    egress: str = field(
        default="", metadata={"help": "a name for the address we call from: portals count each address apart"}
    )
    operating_limit: timedelta = field(
        default=timedelta(seconds=480), metadata={"help": "running time that a method may use in ten minutes"}
    )
    connect_timeout: timedelta = field(default=timedelta(seconds=5), metadata={"help": "to reach the portal"})
    read_timeout: timedelta = field(
        default=timedelta(seconds=65), metadata={"help": "between two parts of an answer; the portal gives up at 60 s"}
    )
    deadline: timedelta = field(default=timedelta(seconds=70), metadata={"help": "for a call with all its repeats"})

    def problems(self) -> Iterator[tuple[str, str]]:
        """What the types cannot tell: the key, and what is wrong with its value."""
        if not WEBHOOK.fullmatch(self.webhook_url):
            yield "webhook_url", "must look like https://PORTAL/rest/USER/SECRET/, without a method's name"

    @property
    def host(self) -> str:
        return urlsplit(self.webhook_url).netloc.lower()

    @property
    def account(self) -> str:
        """Whose calls are counted together; holds no part of the secret."""
        return "@".join(filter(None, ["bitrix24:" + self.host, self.egress]))

    @property
    def webhook(self) -> str:
        """Whose running time is counted together, from whatever address it calls; tells nothing of the secret."""
        path = urlsplit(self.webhook_url).path.strip("/")
        return f"bitrix24:{self.host}#{hashlib.sha256(path.encode()).hexdigest()[:16]}"

    @property
    def rate(self) -> Rate:
        plan = PLANS[self.plan]
        return Rate(self.requests_per_second or plan.per_second, self.burst or plan.burst)
