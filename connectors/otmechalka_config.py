"""How an otmechalka connection is configured: every assumption about an API that its vendor has not published."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from connectors.base import Secret

BASE_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[^?#\s]*)?")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class OtmechalkaConfig:
    """`[connections.*]` with `system = "otmechalka"`. What the vendor has not told is a key here (facts §9)."""

    base_url: str = field(metadata={"help": "the school's address, without /api/: https://SCHOOL"})
    token: Secret = field(metadata={"help": "the API token"})
    auth_header: str = field(default="Authorization", metadata={"help": "the header that carries the token"})
    auth_scheme: str = field(default="Token", metadata={"help": "the word before the token; empty for none"})
    requests_per_second: float = field(
        default=2.0, metadata={"help": "calls a second that the server is asked to bear", "min": 0.01}
    )
    burst: int = field(default=2, metadata={"help": "calls at once", "min": 1})
    connect_timeout: timedelta = field(default=timedelta(seconds=5), metadata={"help": "to reach the server"})
    read_timeout: timedelta = field(default=timedelta(seconds=30), metadata={"help": "between two parts of an answer"})
    deadline: timedelta = field(default=timedelta(seconds=35), metadata={"help": "for a call with all its repeats"})
    settle: timedelta = field(
        default=timedelta(seconds=60), metadata={"help": "how long a write whose answer was lost may stay unseen"}
    )
    update_method: Literal["POST", "PUT", "PATCH"] = field(
        default="POST", metadata={"help": "the HTTP method that updates"}
    )
    absent_as_empty_200: bool = field(
        default=False, metadata={"help": "null, {} or an id of null with 200 means: no such client"}
    )
    absent_as_any_404: bool = field(default=False, metadata={"help": "a 404 without JSON, too, means: no such client"})
    duplicate_statuses: tuple[int, ...] = field(
        default=(409,), metadata={"help": "statuses of a creation that say: it exists"}
    )
    limit_words: tuple[str, ...] = field(
        default=("limit", "лимит"), metadata={"help": "words of an error that say: no more clients"}
    )
    sentinel_origin_id: str = field(
        default="0", metadata={"help": "an id that no client has; reading it shows if the API works"}
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What the types cannot tell: the key, and what is wrong with its value."""
        if not BASE_URL.fullmatch(self.base_url):
            yield "base_url", "must look like https://SCHOOL"
        if not PRINTABLE.fullmatch(self.token):
            yield "token", "must be of printable Latin characters without spaces"
        if not HEADER_NAME.fullmatch(self.auth_header):
            yield "auth_header", "must be the name of an HTTP header"
        if not PRINTABLE.fullmatch(self.auth_scheme or "-"):
            yield "auth_scheme", "must be one Latin word, or empty"
        if self.settle < self.deadline:
            yield "settle", "must not be shorter than deadline: a write may still be on its way until then"

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc.lower()

    @property
    def account(self) -> str:
        return f"otmechalka:{self.host}"
