"""The answers 1C gets: always {"success", "data", "error"}, an error being "CODE: text" (facts/onec.md D3 #4).

No answer shows anything of what was sent.
"""

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify

SCHEME = 'Basic realm="parom", charset="UTF-8"'


class Code(StrEnum):
    """What went wrong, for a program."""

    BAD_REQUEST = "BAD_REQUEST"
    UNAUTHORIZED = "UNAUTHORIZED"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    RATE_LIMIT = "RATE_LIMIT"
    ACCEPTED = "ACCEPTED"
    UPSTREAM_TEMPORARY = "UPSTREAM_TEMPORARY"
    INTERNAL = "INTERNAL"


STATUS: Mapping[Code, HTTPStatus] = {
    Code.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    Code.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.CONFLICT: HTTPStatus.CONFLICT,
    Code.RATE_LIMIT: HTTPStatus.TOO_MANY_REQUESTS,
    Code.ACCEPTED: HTTPStatus.ACCEPTED,
    Code.UPSTREAM_TEMPORARY: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Failure(Exception):
    """A request that is not fulfilled (yet). `text` is for the caller."""

    def __init__(
        self,
        code: Code,
        text: str,
        *,
        status: HTTPStatus | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {text}")
        self.status = status or STATUS[code]
        self.headers = dict(headers or {})


def stranger() -> Failure:
    """The one answer to whoever is not known, so that nobody learns which bases there are."""
    return Failure(Code.UNAUTHORIZED, "unknown base or wrong credentials", headers={"WWW-Authenticate": SCHEME})


def success(data: Any) -> Response:
    return _answer(data, None)


def refusal(failure: Failure, *, always_200: bool = False) -> Response:
    """The failure as an answer; with status 200 for a base whose 1C reads nothing else."""
    answer = _answer(None, str(failure))
    answer.status_code = HTTPStatus.OK if always_200 else failure.status
    answer.headers.update(failure.headers)
    return answer


def _answer(data: Any, error: str | None) -> Response:
    answer = jsonify(success=error is None, data=data, error=error)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
