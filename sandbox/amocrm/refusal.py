"""The vendor's errors (facts/amocrm.md §4): problem bodies, validation errors by element, HTML for throttle and ban."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from sandbox.amocrm.switches import Switches
from sandbox.wire import Headers, Response, html_response, json_response

PROBLEM_TYPE = "application/problem+json"
TYPE = "https://httpstatus.es/"
OAUTH_TYPE = "https://developers.amocrm.ru/v3/errors/OAuthProblemJson"
THROTTLED_PAGE = "<html><head><title>429 Too Many Requests</title></head><body><center>openresty</center></body></html>"
BANNED_PAGE = (
    "<html><head><title>403 Forbidden</title></head><body><center><h1>403 Forbidden</h1></center>"
    "<hr><center>nginx</center></body></html>"
)

DETAILS = {
    "NotSupportedChoice": "The value you selected is not a valid choice.",
    "InvalidType": "This value should be of another type.",
    "FieldMissing": "This field is missing.",
    "NotBlank": "This value should not be blank.",
    "Length": "This value is too long. It should have 255 characters or less.",
    "UnexpectedField": "This field was not expected.",
    "NotUnique": "This value is already used.",
    "NotFound": "Element not found.",
    "InvalidCount": "This collection has a wrong number of elements.",
    "StaleUpdate": "Last modified date is older than in database.",
}


class Wrong(Exception):
    """One value is not what it must be: the constraint's name, and the path from where it was noticed."""

    def __init__(self, code: str, *path: str | int, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.path = path
        self.detail = detail or DETAILS[code]

    def within(self, *outer: str | int) -> "Wrong":
        self.path = (*outer, *self.path)
        return self

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "path": ".".join(str(part) for part in self.path), "detail": self.detail}


class Refusal(Exception):
    """A call that fails as a whole. `kept` are the keys of rows that were written all the same, by element."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        more: dict[str, Any] | None = None,
        html: str | None = None,
        headers: Headers = (),
        kept: dict[int, str] | None = None,
    ) -> None:
        super().__init__(detail or HTTPStatus(status).phrase)
        self.status = int(status)
        self.body = problem(self.status, detail) | (more or {})
        self.html = html
        self.headers = headers
        self.kept = kept or {}

    def response(self) -> Response:
        if self.html is not None:
            return html_response(self.status, self.html, headers=self.headers)
        return problem_response(self.status, self.body, self.headers)


def problem(status: int, detail: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    return {"title": title, "type": f"{TYPE}{status}", "status": status, "detail": detail or title}


def problem_response(status: int, body: dict[str, Any], headers: Headers = ()) -> Response:
    plain = json_response(status, body, headers=headers)
    return Response(plain.status, plain.body, PROBLEM_TYPE, headers)


def invalid(errors: Sequence[tuple[str, Sequence[Wrong]]], kept: dict[int, str] | None = None) -> Refusal:
    """`errors` by request id."""
    listed = [{"request_id": name, "errors": [wrong.as_json() for wrong in wrongs]} for name, wrongs in errors]
    more = {"validation-errors": listed}
    return Refusal(HTTPStatus.BAD_REQUEST, "Request validation failed", more=more, kept=kept)


def unauthorised(detail: str = "Токен доступа недействителен") -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, detail)


def too_fast(switches: Switches, retry_after_s: int) -> Refusal:
    headers = (("Retry-After", str(retry_after_s)),) if switches.retry_after_header else ()
    page = THROTTLED_PAGE if switches.throttle_body == "html" else None
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, more={"retry_after": retry_after_s}, html=page, headers=headers)


def banned() -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, html=BANNED_PAGE)


def grant_refused(switches: Switches, hint: str) -> Refusal:
    detail = "The provided authorization grant or refresh token is invalid, expired, revoked or of another client."
    more = {"hint": hint, "title": "Некорректный запрос", "type": OAUTH_TYPE}
    return Refusal(switches.oauth_error_status, detail, more=more)
