"""How a CoMagic or UIS connection is configured; what the vendor leaves open is a key here (facts/comagic.md)."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from connectors.base import Secret

BASE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[^?#\s]*)?")
PRINTABLE = re.compile(r"[!-~]+")
MOST_ROWS = 1000


@dataclass(frozen=True)
class CoMagicConfig:
    """`[connections.*]` with `system = "comagic"`."""

    timezone: ZoneInfo = field(metadata={"help": "the account's time zone, as its cabinet shows it: Europe/Moscow"})
    base_url: str = field(
        default="https://dataapi.comagic.ru/v2.0",
        metadata={"help": "for accounts of UIS: https://dataapi.uiscom.ru/v2.0; a token works on its own host only"},
    )
    token: Secret | None = field(default=None, metadata={"help": "a permanent API key; or set login and password"})
    login: str = field(default="", metadata={"help": "of the user whose sessions we use, instead of a token"})
    password: Secret | None = field(default=None, metadata={"help": "of that user"})
    user_id: int | None = field(default=None, metadata={"help": "the client's number; for agents only", "min": 1})
    phone_plus: bool = field(default=False, metadata={"help": "phones are sent as +79990000001, not as 79990000001"})
    minute_limit: int = field(
        default=60, metadata={"help": "points a minute, until an answer tells how many the tariff has", "min": 1}
    )
    day_limit: int = field(default=3000, metadata={"help": "points a day, until an answer tells", "min": 1})
    rows_per_call: int = field(default=MOST_ROWS, metadata={"help": "contacts or deal rows in one call", "min": 1})
    connect_timeout: timedelta = field(default=timedelta(seconds=5), metadata={"help": "to reach the server"})
    read_timeout: timedelta = field(default=timedelta(seconds=60), metadata={"help": "between two parts of an answer"})
    deadline: timedelta = field(default=timedelta(seconds=65), metadata={"help": "for a call with all its repeats"})
    settle: timedelta = field(
        default=timedelta(seconds=70), metadata={"help": "how long a write whose answer was lost is left alone"}
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What the types cannot tell: the key, and what is wrong with its value."""
        if not BASE_URL.fullmatch(self.base_url):
            yield "base_url", "must look like https://dataapi.comagic.ru/v2.0"
        if self.token is not None and not PRINTABLE.fullmatch(self.token):
            yield "token", "must be of printable Latin characters without spaces"
        if self.token is not None and (self.login or self.password):
            yield "token", "set either token, or login and password"
        if self.token is None and not self.login:
            yield "token", "is missing, and so is login"
        if bool(self.login) != bool(self.password):
            yield "password", "login and password belong together"
        if self.rows_per_call > MOST_ROWS:
            yield "rows_per_call", f"must not be more than {MOST_ROWS}, the vendor's own limit"
        if self.settle < self.deadline:
            yield "settle", "must not be shorter than deadline: a write may still be on its way until then"

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc.lower()

    @property
    def account(self) -> str:
        """Whose points are counted together; tells nothing of the secret."""
        user = hashlib.sha256((self.token or self.login).encode()).hexdigest()[:16]
        return ":".join(filter(None, [f"comagic:{self.host}#{user}", str(self.user_id or "")]))
