"""Answers other than success in the four shapes of facts/onec.md §A5: JSON, XML, #exception JSON, HTML."""

from html import escape
from http import HTTPStatus
from typing import Any, Literal

from sandbox.onec.switches import Switches
from sandbox.onec.texts import JSON, XML, as_json, encoded
from sandbox.wire import HTML_TYPE, Headers, Response

Origin = Literal["odata", "server", "web"]

BUSINESS = -1
CHALLENGE = (("WWW-Authenticate", 'Basic realm="1C:Enterprise 8.3"'),)
EXCEPTION = "{http://v8.1c.ru/8.2/virtual-resource-system}Exception"
PAGE = "<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
APPLICATION_ERROR = (
    "<!DOCTYPE html><html><head><title>1C:Enterprise 8 application error</title></head><body>"
    "<h1>1C:Enterprise 8 application error:</h1><p>{outer}<br>by reason:<br>{inner}</p></body></html>"
)


class Refusal(Exception):
    """`origin` is who refuses: the OData interface, the application server around it, or the web server in front."""

    def __init__(
        self, status: int, code: int, text: str, *, origin: Origin = "odata", reason: int = 0, headers: Headers = ()
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.origin = origin
        self.reason = reason or status
        self.headers = headers


def unsupported(text: str) -> Refusal:
    """What the vendor has and the sandbox does not; never a quiet wrong answer."""
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, 0, f"Песочница этого не умеет: {text}")


def bad_query(text: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, 14, f"Ошибка при разборе опции запроса: {text}")


def unknown_property(name: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, 10, f"Свойство «{name}» не найдено")


def no_rights(name: str, switches: Switches) -> Refusal:
    return Refusal(switches.no_rights_status, 20, f"Недостаточно прав доступа: {name}")


def business(text: str) -> Refusal:
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, BUSINESS, text)


def from_server(status: int, text: str, *, reason: int = 0) -> Refusal:
    return Refusal(status, BUSINESS, text, origin="server", reason=reason)


def from_web_server(status: int, text: str, *, headers: Headers = ()) -> Refusal:
    return Refusal(status, 0, text, origin="web", headers=headers)


def unauthorised() -> Refusal:
    return from_web_server(HTTPStatus.UNAUTHORIZED, "", headers=CHALLENGE)


def answered(refusal: Refusal, switches: Switches, *, is_json: bool) -> Response:
    """In the shape of its origin; `is_json` is what the client asked for, and not always what it gets."""
    if refusal.origin == "web":
        page = PAGE.format(title=escape(refusal.text)) if refusal.text else ""
        return Response(refusal.status, page.encode(), HTML_TYPE, refusal.headers)
    if switches.html_errors:
        page = APPLICATION_ERROR.format(outer="Ошибка при выполнении запроса", inner=escape(refusal.text))
        return Response(refusal.status, page.encode(), HTML_TYPE)
    if refusal.origin == "server":
        return Response(refusal.status, encoded(as_json(_exception(refusal)), switches), JSON)
    if switches.error_format == "json" or (switches.error_format == "as_asked" and is_json):
        return Response(refusal.status, encoded(as_json(body(str(refusal.code), refusal.text)), switches), JSON)
    return Response(refusal.status, encoded(_xml(refusal), switches), XML)


def body(code: str, text: str) -> dict[str, Any]:
    return {"odata.error": {"code": code, "message": {"lang": "ru", "value": text}}}


def _exception(refusal: Refusal) -> dict[str, Any]:
    phrase = HTTPStatus(refusal.reason).phrase
    innermost = {"descr": refusal.text, "inner": None, "creationStack": "", "data": ""}
    inner = {"descr": "Ошибка при выполнении запроса к информационной базе", "inner": innermost}
    outer = {"reason": refusal.reason, "descr": f"HTTP: {phrase}\nURI: /odata/standard.odata", "inner": inner}
    return {"#exception": EXCEPTION, "exception": outer}


def _xml(refusal: Refusal) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
        f'<m:code>{refusal.code}</m:code><m:message xml:lang="ru">{escape(refusal.text)}</m:message></m:error>'
    )
