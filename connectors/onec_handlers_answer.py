"""What the handlers of a 1C base answer, and what it means (facts/onec.md A5, C, D1, D3 #5).

Handlers are written by each customer's programmers: JSON comes with any content type and with a BOM, errors come with
status 200, as an exception's text, or as a web server's page. Their words echo values: they decide, and are not shown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from connectors.answer import Answer, Garbage, Lost
from connectors.base import Located
from connectors.errors import ConnectorError, Refused, Rejected, Throttled
from connectors.onec_handlers_texts import clean, link
from connectors.onec_texts import Trouble, parsed, trouble_of

LONGEST_ID = 100
LONGEST_TITLE = 255
MOST_DOCUMENTS = 500
THROTTLED_WAIT = 60.0
ENVELOPE = {"success", "data", "error"}
ERRORS = ("error", "errors", "ошибка", "exception", "#exception", "odata.error")

BY_STATUS: Mapping[int, str] = {
    401: "the base does not know the login and password that it registered",
    403: "access is forbidden",
    404: "nothing is there: are the handlers published at web_address?",
    405: "the web server forbids POST",
    407: "a proxy wants a password",
    501: "not supported",
}
"""What no record is to blame for."""

MENTIONS: tuple[tuple[str, str], ...] = (
    (r"\bинн\b", "ИНН"),
    (r"\bунп\b", "УНП"),
    (r"телефон", "телефон"),
    (r"e-?mail|электронн\w+ почт", "e-mail"),
    (r"ответственн", "ответственный"),
    (r"наименовани", "наименование"),
    (r"\bдубл|уже существует", "возможный дубль"),
    (r"дат\w+ запрета", "дата запрета изменений"),
)
"""What a person can look at when the handlers' words name it."""


@dataclass(frozen=True)
class Question:
    """What was asked, for messages. `thing` is Russian, in the accusative; a blind write must not be repeated."""

    title: str
    kind: str
    thing: str
    is_blind: bool = False
    links_host: str | None = None

    @property
    def intro(self) -> str:
        return f"{self.title} {self.kind}: "


def located(answer: Answer, question: Question) -> Located:
    """`{"id_1c", "link"}`. Raises any ConnectorError but InDoubt, and Lost."""
    body = content(answer, question)
    if not isinstance(body, Mapping):
        raise Garbage(answer.describe())
    id_ = body.get("id_1c")
    text = str(id_).strip() if isinstance(id_, str | int) and not isinstance(id_, bool) else ""
    if not text or len(text) > LONGEST_ID or not text.isprintable():
        raise _refusal(answer, question, "an answer without id_1c", "обработчик не вернул id_1c")
    return Located(text, link=link(body.get("link"), question.links_host))


def documents(answer: Answer, question: Question) -> list[dict[str, str]]:
    """`[{"title", "doc_type", "link", "parent_link", "google_drive_id", "google_drive_link"}]`. Raises as `located`."""
    body = content(answer, question) or []
    if not isinstance(body, Sequence) or isinstance(body, str) or not all(isinstance(each, Mapping) for each in body):
        raise Garbage(answer.describe())
    return [_document(each, question.links_host) for each in body[:MOST_DOCUMENTS]]


def version(answer: Answer, question: Question) -> str:
    """`{"version"}`. Raises as `located`."""
    body = content(answer, question)
    found = clean(body.get("version"), 64) if isinstance(body, Mapping) else None
    if found is None:
        raise Garbage(answer.describe())
    return found


def accepted(answer: Answer, question: Question) -> None:
    """Nothing is read of the answer but that it is no error. Raises as `located`."""
    if answer.is_redirect or answer.is_error or _start(answer):
        content(answer, question, text_is_fine=True)


def content(answer: Answer, question: Question, *, text_is_fine: bool = False) -> Any:
    """The JSON of a good answer, out of its envelope if it has one. Raises as `located`."""
    if answer.is_redirect:
        raise Refused(f"{question.intro}the address redirects: 1C must register the one that it redirects to")
    if answer.is_error:
        raise _failure(answer, question, trouble_of(answer))
    try:
        body = parsed(answer)
    except Garbage:
        body, problem = None, _no_json(answer, question)
        if not (text_is_fine and isinstance(problem, Rejected)):
            raise problem from None
    if _is_error(body):
        raise _failure(answer, question, trouble_of(answer))
    return body["data"] if isinstance(body, Mapping) and "data" in body and body.keys() <= ENVELOPE else body


def _is_error(body: Any) -> bool:
    if not isinstance(body, Mapping):
        return False
    said = {str(key).lower(): value for key, value in body.items()}
    return said.get("success") is False or any(said.get(name) for name in ERRORS)


def _is_text(answer: Answer) -> bool:
    """Words, and neither a page nor JSON that broke off."""
    return _start(answer) not in ("", "<", "{", "[")


def _start(answer: Answer) -> str:
    """The first sign of the body; empty if there is none."""
    return answer.body.decode("utf-8-sig", errors="replace").strip()[:1]


def _no_json(answer: Answer, question: Question) -> ConnectorError | Lost:
    trouble = trouble_of(answer)
    if trouble.known():
        return _failure(answer, question, trouble)
    if not _is_text(answer):
        return Garbage(answer.describe())
    return _refusal(answer, question, "an answer that is not JSON", "обработчик ответил непонятно")


def _failure(answer: Answer, question: Question, trouble: Trouble) -> ConnectorError | Lost:
    return _of_the_base(answer, question, trouble) or _of_the_record(answer, question, trouble)


def _of_the_base(answer: Answer, question: Question, trouble: Trouble) -> ConnectorError | None:
    """What no record is to blame for."""
    if words := trouble.known():
        return words.kind(question.intro + words.shown, wait=answer.retry_after or words.wait)
    body = _body(answer)
    status = _reason(body) or answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(f"{question.intro}too many requests", wait=answer.retry_after or THROTTLED_WAIT)
    if status not in BY_STATUS or (status == HTTPStatus.NOT_FOUND and _is_their_word(body)):
        return None
    return Refused(f"{question.intro}{BY_STATUS[status]} ({answer.describe()})")


def _of_the_record(answer: Answer, question: Question, trouble: Trouble) -> ConnectorError | Lost:
    about = ", ".join(shown for words, shown in MENTIONS if re.search(words, trouble.words, re.IGNORECASE))
    told = "обработчик сообщил об ошибке" + (f", в ней упомянуто: {about}" if about else "")
    is_their_word = _is_their_word(_body(answer))
    is_plain = answer.status < HTTPStatus.INTERNAL_SERVER_ERROR and answer.status != HTTPStatus.REQUEST_TIMEOUT
    if is_plain and (is_their_word or answer.is_error):
        return _rejected(question, f"an error of the handlers{trouble.place} ({answer.describe()})", told)
    if trouble.place or (is_their_word and answer.status == HTTPStatus.INTERNAL_SERVER_ERROR):
        # It broke off somewhere, and may have written something before.
        return _refusal(answer, question, f"an exception{trouble.place}", told)
    return Lost(answer.describe(), wait=answer.retry_after)


def _refusal(answer: Answer, question: Question, reason: str, told: str) -> ConnectorError | Lost:
    """Of an answer that leaves open whether something was written."""
    if question.is_blind:
        return Lost(f"{reason} ({answer.describe()})")
    return _rejected(question, f"{reason} ({answer.describe()})", told)


def _rejected(question: Question, reason: str, told: str) -> Rejected:
    return Rejected(question.intro + reason, told=f"1С не приняла {question.thing}: {told}"[:255])


def _body(answer: Answer) -> Any:
    try:
        return parsed(answer)
    except Garbage:
        return None


def _is_their_word(body: Any) -> bool:
    """Whether the handlers themselves say that it is an error, and not the platform."""
    return _is_error(body) and not _is_exception(body)


def _is_exception(body: Any) -> bool:
    return isinstance(body, Mapping) and isinstance(body.get("exception"), Mapping)


def _reason(body: Any) -> int | None:
    """The status within an exception of 1C's web server extension, which may come with any other."""
    reason = body["exception"].get("reason") if _is_exception(body) else None
    return reason if isinstance(reason, int) and reason >= HTTPStatus.BAD_REQUEST else None


def _document(shown: Mapping[str, Any], host: str | None) -> dict[str, str]:
    return {
        "title": clean(shown.get("title"), LONGEST_TITLE) or "",
        "doc_type": clean(shown.get("doc_type"), 32) or "leads",
        "link": link(shown.get("link"), host) or "",
        "parent_link": link(shown.get("parent_link"), host) or "",
        "google_drive_id": "",
        "google_drive_link": "",
    }
