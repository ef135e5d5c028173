"""An answer other than success, with its DRF-like body (facts/otmechalka.md §9)."""

from http import HTTPStatus
from typing import Any

from sandbox.wire import Headers


class Refusal(Exception):
    """`{"detail": text}` for the request as a whole, `{"field": [text]}` for fields."""

    def __init__(self, status: int, body: Any, *, headers: Headers = ()) -> None:
        super().__init__(body)
        self.status = status
        self.body = body
        self.headers = headers


def refused(status: int, text: str) -> Refusal:
    return Refusal(status, {"detail": text})


def unauthorised(text: str = "Недопустимый токен.") -> Refusal:
    return refused(HTTPStatus.UNAUTHORIZED, text)


def too_fast(retry_after_s: int) -> Refusal:
    text = f"Запрос был проигнорирован. Ожидается доступность через {retry_after_s} с."
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, {"detail": text}, headers=(("Retry-After", str(retry_after_s)),))
