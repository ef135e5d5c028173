"""One HTTP request of the exchange, and what its answer means to a 1C programmer (briefs/001 §2, facts/onec.md §D3)."""

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sandbox.onec_handlers.reference import Values
from sandbox.onec_handlers.switches import Switches

LONGEST_ERROR = 500
UNREACHABLE = 0
DELIVERED, ACCEPTED, FAILED, LOST, REFUSED = "delivered", "accepted", "failed", "lost", "refused"
_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_CODES_FOR_LATER = {"RATE_LIMIT", "UPSTREAM_TEMPORARY", "INTERNAL"}


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` 0 is no whole answer; `envelope` is the body as JSON, or its text."""

    status: int
    envelope: Any = None

    @property
    def code(self) -> str:
        """What stands before the colon of the envelope's error."""
        return self.error.partition(":")[0].strip()

    @property
    def error(self) -> str:
        if self.status == UNREACHABLE:
            return str(self.envelope)
        if isinstance(self.envelope, dict):
            error = self.envelope.get("error")
            return "" if error is None else str(error)[:LONGEST_ERROR]
        return f"no envelope: {str(self.envelope)[:LONGEST_ERROR]}"

    @property
    def data(self) -> Any:
        return self.envelope.get("data") if isinstance(self.envelope, dict) else None

    @property
    def outcome(self) -> str:
        """Delivered is 200 and `success` alone; what is neither that nor put off is refused."""
        is_success = isinstance(self.envelope, dict) and self.envelope.get("success") is True
        if self.status == HTTPStatus.OK and is_success:
            return DELIVERED
        if self.status == UNREACHABLE:
            return LOST
        if self.status == HTTPStatus.ACCEPTED or self.code == "ACCEPTED":
            return ACCEPTED
        is_later = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in _LATER
        return FAILED if is_later or self.code in _CODES_FOR_LATER else REFUSED


class _Straight(urllib.request.HTTPRedirectHandler):
    """1C goes where it was sent and nowhere else."""

    def redirect_request(self, *_args: Any) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Straight)

Post = Callable[[str, bytes, dict[str, str], float], Reply]


def headers_of(switches: Switches, *, token: str | None, login: str | None, password: str | None) -> dict[str, str]:
    """Bearer or Basic, or nothing for a service that asks for nothing; raises ValueError for half of a pair."""
    headers = {"Content-Type": switches.request_content_type}
    if token is not None:
        return headers | {"Authorization": f"Bearer {token}"}
    if (login is None) != (password is None):
        raise ValueError("login and password go together")
    if login is None:
        return headers
    pair = base64.b64encode(f"{login}:{password}".encode()).decode()
    return headers | {"Authorization": f"Basic {pair}"}


def written(body: Values, switches: Switches) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8-sig" if switches.request_bom else "utf-8")


def post(url: str, content: bytes, headers: dict[str, str], timeout_s: float) -> Reply:
    """A `Post` over HTTP; the caller has checked the address."""
    request = urllib.request.Request(url, content, headers, method="POST")  # noqa: S310
    try:
        with _opener.open(request, timeout=timeout_s) as answer:
            return Reply(answer.status, _read(answer.read()))
    except urllib.error.HTTPError as error:
        return _refused(error)
    except (OSError, http.client.HTTPException) as error:
        return Reply(UNREACHABLE, f"{type(error).__name__}: {error}")


def _refused(error: urllib.error.HTTPError) -> Reply:
    try:
        return Reply(error.code, _read(error.read()))
    except (OSError, http.client.HTTPException) as lost:
        return Reply(UNREACHABLE, f"{type(lost).__name__}: {lost}")


def _read(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig", "replace"))
    except ValueError:
        return content.decode(errors="replace")
