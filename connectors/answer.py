"""What comes back from an outside system, before anybody knows what it means."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from connectors.errors import STATUS_MEANING, ConnectorError, Refused, Rejected

LONGEST_RETRY_AFTER = 24 * 3600.0
_CONTENT_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}", re.ASCII)


class Lost(Exception):
    """No usable answer. `Http.call` makes it Transient after a read and InDoubt after a write."""

    def __init__(self, reason: str, *, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Garbage(Lost):
    """An answer that is not what it should be; names its type and size, never its content."""


@dataclass(frozen=True)
class Answer:
    """What came back. `headers` are looked up without regard to case; `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's JSON. Raises Garbage."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            # `from None` alone would keep the original error, and with it the body, in `__context__`.
            pass
        raise Garbage(self.describe())

    def describe(self) -> str:
        """Status, content type and size, for an error message."""
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        kind = kind if _CONTENT_TYPE.fullmatch(kind) else "no content type"
        return f"HTTP {self.status}, {kind}, {len(self.body)} bytes"

    @property
    def retry_after(self) -> float | None:
        """Seconds that the vendor asks us to wait, by its own clock; at most a day."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdecimal():
            return min(float(value), LONGEST_RETRY_AFTER)
        then = _http_date(value)
        if then is None:
            return None
        now = _http_date(self.headers.get("Date", "")) or datetime.now(UTC)
        return min(max(0.0, (then - now).total_seconds()), LONGEST_RETRY_AFTER)

    @property
    def is_redirect(self) -> bool:
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST

    @property
    def is_error(self) -> bool:
        return self.status >= HTTPStatus.BAD_REQUEST

    @property
    def moved_to(self) -> str:
        """The host that a redirect names; nothing else of the address, for its path may be the secret."""
        return urlsplit(self.headers.get("Location", "")).hostname or "an unknown host"


def meaning_of_status(status: int) -> type[ConnectorError | Lost]:
    """What to raise for a status that the vendor's own error code does not explain better."""
    if status in STATUS_MEANING:
        return STATUS_MEANING[status]
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Refused
    return Rejected if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR else Lost


def _http_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)
    except (ValueError, TypeError):
        return None
