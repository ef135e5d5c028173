"""How an amoCRM connection is configured, and what follows from it: who is counted together, how fast.

An account is reached either with a long-lived token, which people renew, or by OAuth2: then the first refresh token or
authorization code stands here, and each later token in the vault.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from connectors.base import Secret
from connectors.budget import Rate

BASE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+/?")
PRINTABLE = re.compile(r"[!-~]+")
SECRET_END = re.compile(r"[A-Za-z0-9_-]{20,}")
CODE = re.compile(r"[A-Za-z0-9_]{1,64}")
MOST_ROWS = 250
SHARE = 0.9
"""Of the allowed pace: what leaves evenly arrives a tenth of a second early or late, and eight calls a second would be
too many. Whoever is refused often is shut out for good, so this is not the place to be greedy.
"""
ACCOUNT_BURST = 5


@dataclass(frozen=True)
class AmoCrmConfig:
    """`[connections.*]` with `system = "amocrm"`."""

    base_url: str = field(metadata={"help": "the account's address: https://SUBDOMAIN.amocrm.ru"})
    token: Secret | None = field(
        default=None, metadata={"help": "a long-lived token of a private integration; or set the client_… keys"}
    )
    client_id: str = field(default="", metadata={"help": "of the integration, for OAuth2 instead of token"})
    client_secret: Secret | None = field(default=None, metadata={"help": "of the integration"})
    redirect_uri: str = field(default="", metadata={"help": "of the integration, exactly as it is registered"})
    refresh_token: Secret | None = field(
        default=None, metadata={"help": "the first one; each next is kept in the ledger, encrypted"}
    )
    authorization_code: Secret | None = field(
        default=None, metadata={"help": "instead of refresh_token; works once, within 20 minutes"}
    )
    account_id: int | None = field(
        default=None, metadata={"help": "the account's number, which 1C sends as its key", "min": 1}
    )
    webhook_token: Secret | None = field(
        default=None, metadata={"help": "the secret end of the webhooks' address, which makes changes travel at once"}
    )
    id_field: str = field(
        default="PAROM_ID_1C", metadata={"help": "code or number of the field for 1C's id; `parom check` makes it"}
    )
    link_field: str = field(
        default="PAROM_LINK_1C", metadata={"help": "of the field for the link into 1C; `parom check` makes it"}
    )
    number_field: str = field(
        default="PAROM_ORDER_NUMBER", metadata={"help": "of the leads' field for the order's number; made as well"}
    )
    inn_field: str = field(default="", metadata={"help": "code or number of the companies' field for the INN"})
    default_user: int | None = field(
        default=None, metadata={"help": "who is responsible for what nobody was named for", "min": 1}
    )
    requests_per_second: float = field(
        default=7.0, metadata={"help": "calls a second that amoCRM grants to an integration", "min": 0.01}
    )
    account_requests_per_second: float = field(
        default=25.0, metadata={"help": "our part of the 50 that it grants to all of an account", "min": 0.01}
    )
    page_rows: int = field(default=MOST_ROWS, metadata={"help": "entities in an answer to a list", "min": 20})
    batch_rows: int = field(default=50, metadata={"help": "entities that are written by one call", "min": 1})
    connect_timeout: timedelta = field(default=timedelta(seconds=5), metadata={"help": "to reach the server"})
    read_timeout: timedelta = field(default=timedelta(seconds=25), metadata={"help": "between two parts of an answer"})
    deadline: timedelta = field(default=timedelta(seconds=30), metadata={"help": "for a call with all its repeats"})
    settle: timedelta = field(
        default=timedelta(seconds=60), metadata={"help": "how long a write whose answer was lost may stay unseen"}
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What the types cannot tell: the key, and what is wrong with its value."""
        if not BASE_URL.fullmatch(self.base_url):
            yield "base_url", "must look like https://SUBDOMAIN.amocrm.ru"
        yield from self._problems_of_access()
        for key in ("id_field", "link_field", "number_field"):
            if not CODE.fullmatch(getattr(self, key)):
                yield key, "must be the code of a field, or its number"
        if self.inn_field and not CODE.fullmatch(self.inn_field):
            yield "inn_field", "must be the code of a field, or its number"
        if self.webhook_token is not None and not SECRET_END.fullmatch(self.webhook_token):
            yield "webhook_token", "must be of at least 20 Latin letters, digits, - and _"
        if self.id_field == self.link_field:
            yield "link_field", "must be another field than id_field"
        for key in ("page_rows", "batch_rows"):
            if getattr(self, key) > MOST_ROWS:
                yield key, f"must not be more than {MOST_ROWS}, the vendor's own limit"
        if self.settle < self.deadline:
            yield "settle", "must not be shorter than deadline: a write may still be on its way until then"

    def _problems_of_access(self) -> Iterator[tuple[str, str]]:
        if self.token is not None:
            if not PRINTABLE.fullmatch(self.token):
                yield "token", "must be of printable Latin characters without spaces"
            if self.client_id or self.refresh_token or self.authorization_code:
                yield "token", "set either token, or client_id and its like"
            return
        if not self.client_id:
            yield "token", "is missing, and so is client_id"
            return
        for key in ("client_secret", "redirect_uri"):
            if not getattr(self, key):
                yield key, "belongs to client_id, and is missing"
        if (self.refresh_token is None) == (self.authorization_code is None):
            yield "refresh_token", "set either refresh_token or authorization_code"

    @property
    def root(self) -> str:
        return self.base_url.rstrip("/")

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc.lower()

    @property
    def subdomain(self) -> str:
        return self.host.partition(".")[0]

    @property
    def account(self) -> str:
        """Whose calls are counted together, whichever integration makes them."""
        return f"amocrm:{self.host}"

    @cached_property
    def integration(self) -> str:
        """Who is granted calls in this account; tells nothing of the secret."""
        who = self.client_id or str(claims(self.token or "").get("aud") or self.token)
        return f"{self.account}#{hashlib.sha256(who.encode()).hexdigest()[:16]}"

    @property
    def own_fields(self) -> tuple[str, ...]:
        """The custom fields of which we know the meaning."""
        return (self.id_field, self.link_field, self.number_field, *([self.inn_field] if self.inn_field else []))

    @property
    def rate(self) -> Rate:
        return Rate(self.requests_per_second * SHARE, 1)

    @property
    def account_rate(self) -> Rate:
        return Rate(self.account_requests_per_second, ACCOUNT_BURST)


def claims(token: str) -> Mapping[str, Any]:
    """What a token says of itself, unproved; empty if it is no JWT."""
    with suppress(ValueError, IndexError):
        part = token.split(".")[1]
        shown = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return shown if isinstance(shown, dict) else {}
    return {}
