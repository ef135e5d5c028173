"""Answers other than success (facts/onec.md §A5, §C): plain text, a polite error, BSL exceptions, exception JSON."""

from html import escape
from http import HTTPStatus
from typing import Any

from sandbox.onec.errors import APPLICATION_ERROR, CHALLENGE, EXCEPTION, PAGE
from sandbox.onec_handlers.reference import PATH
from sandbox.onec_handlers.switches import Switches
from sandbox.onec_handlers.texts import sent
from sandbox.wire import HTML_TYPE, JSON_TYPE, Headers, Response

PLAIN_TYPE = "text/plain; charset=utf-8"
STACK = (
    "{{ОбщийМодуль.ОбменAmoCRM.Модуль(412)}}: Ошибка при обработке запроса\n"
    "{{HTTPСервис.ОбменAmoCRM.Модуль(37)}}: {text}\nпо причине:\n{text}"
)


class Refusal(Exception):
    """Carries the whole answer; `text` is what the journal says of it."""

    def __init__(self, response: Response, text: str) -> None:
        super().__init__(text)
        self.response = response
        self.text = text


def bad_request(text: str) -> Refusal:
    return Refusal(Response(HTTPStatus.BAD_REQUEST, text.encode(), PLAIN_TYPE), text)


def of_web_server(status: int, *, headers: Headers = ()) -> Refusal:
    phrase = HTTPStatus(status).phrase
    return Refusal(Response(status, PAGE.format(title=phrase).encode(), HTML_TYPE, headers), phrase)


def unauthorised() -> Refusal:
    return of_web_server(HTTPStatus.UNAUTHORIZED, headers=CHALLENGE)


def polite(text: str, switches: Switches) -> Refusal:
    """200 with an error inside, as most 1C programmers do it."""
    shapes: dict[str, dict[str, Any]] = {
        "error": {"error": text},
        "success": {"success": False, "error": text},
        "Ошибка": {"Ошибка": True, "ТекстОшибки": text},
    }
    return Refusal(sent(shapes[switches.error_shape], switches), text)


def exception(text: str, switches: Switches) -> Refusal:
    """An unhandled exception in BSL: 500 with module and line."""
    stack = STACK.format(text=text)
    if switches.exception_shape == "json":
        return Refusal(_of_server(switches, 500, 500, stack), text)
    page = APPLICATION_ERROR.format(outer="Ошибка при вызове метода HTTP-сервиса", inner=escape(stack))
    return Refusal(Response(HTTPStatus.INTERNAL_SERVER_ERROR, page.encode(), HTML_TYPE), text)


def locked(switches: Switches) -> Refusal:
    text = f"Начало сеанса с информационной базой запрещено.\n{switches.locked_text}"
    return Refusal(_of_server(switches, switches.locked_status, 403, text), text)


def no_licence(switches: Switches) -> Refusal:
    return Refusal(_of_server(switches, switches.licence_status, 500, switches.licence_text), switches.licence_text)


def _of_server(switches: Switches, status: int, reason: int, text: str) -> Response:
    """Exception JSON; `reason` is the status that the application server means, whatever the web server makes of it."""
    innermost = {"descr": text, "inner": None, "creationStack": "", "data": ""}
    inner = {"descr": "Ошибка при выполнении запроса к информационной базе", "inner": innermost}
    outer = {"reason": reason, "descr": f"HTTP: {HTTPStatus(reason).phrase}\nURI: {PATH}", "inner": inner}
    value = {"#exception": EXCEPTION, "exception": outer}
    return sent(value, switches, status=status, content_type=JSON_TYPE)
