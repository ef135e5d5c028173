"""What an error of a base's OData interface means; the words are read by onec_texts.py (facts/onec.md A5).

A message holds the code's meaning, the module's place, and such configured names as the words mention.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from connectors.answer import Answer, Lost
from connectors.errors import ConnectorError, Refused, Rejected, Throttled
from connectors.onec_texts import Trouble, trouble_of

LONGEST = 500
THROTTLED_WAIT = 60.0

CODES: Mapping[int, str] = {
    -1: "an exception inside the base",
    0: "not supported",
    1: "a value that cannot be read",
    2: "a wrong request",
    3: "a representation that is not supported",
    4: "a wrong value of a property",
    5: "a required value is missing",
    6: "a wrong address",
    7: "a part of the key is missing",
    8: "the set is not published",
    9: "no such object",
    10: "no such property",
    11: "no such method",
    12: "an argument is missing",
    13: "rows cannot be created by themselves",
    14: "a query option that cannot be read",
    15: "an object with this key exists",
    16: "the property cannot be set",
    17: "the load mode is not supported",
    18: "a property is named twice",
    19: "the HTTP method is forbidden",
    20: "the user has no right to it",
    21: "a wrong function",
}
RIGHTS, UNPUBLISHED, ABSENT, EXCEPTION = 20, 8, 9, -1
OF_A_RECORD = (EXCEPTION, 4, 5, ABSENT, 15)
"""Codes that, after a write, are about its one record."""
PUBLISH_HINT = "switch it on in «Настройки стандартного интерфейса OData»"
RIGHTS_HINT = "give the user the right to read it"


class Gone(Rejected):
    """The object is not there, or not any more."""


BY_STATUS: Mapping[int, tuple[type[Refused | Throttled], str]] = {
    401: (Refused, "the base does not know this login and password"),
    403: (Refused, "access is forbidden"),
    404: (Refused, "nothing is there: is base_url right, and the set published?"),
    405: (Refused, "the HTTP method is forbidden by the web server"),
    407: (Refused, "a proxy wants a password"),
    429: (Throttled, "too many requests"),
    501: (Refused, "not supported"),
}


def is_trouble(body: Any) -> bool:
    """Whether JSON that came with a good status is an error all the same."""
    return not isinstance(body, dict) or bool({"odata.error", "#exception", "exception"} & body.keys())


def error_of(
    answer: Answer, *, title: str, subject: str, names: Iterable[str], is_write: bool
) -> ConnectorError | Lost:
    """What to raise. `subject` is the set, by which messages name the call; `names` are those that may be shown."""
    trouble = trouble_of(answer)
    intro = f"{title} {subject}: "
    if words := trouble.known():
        return words.kind((intro + words.shown)[:LONGEST], wait=answer.retry_after or words.wait)
    if trouble.code is not None:
        others = [name for name in names if name != subject]
        return _by_code(trouble, answer, intro, others, is_write=is_write)
    if answer.status in BY_STATUS:
        kind, shown = BY_STATUS[answer.status]
        message = f"{intro}{shown} ({answer.describe()})"[:LONGEST]
        return kind(message, wait=answer.retry_after or THROTTLED_WAIT) if kind is Throttled else kind(message)
    return Lost(f"{answer.describe()}{trouble.place}"[:LONGEST], wait=answer.retry_after)


def _by_code(
    trouble: Trouble, answer: Answer, intro: str, names: Iterable[str], *, is_write: bool
) -> ConnectorError | Lost:
    code = trouble.code or 0
    if code == EXCEPTION and answer.status < HTTPStatus.BAD_REQUEST:
        return Lost(answer.describe())
    hint = {UNPUBLISHED: f": {PUBLISH_HINT}", RIGHTS: f": {RIGHTS_HINT}"}.get(code, "")
    shown = CODES.get(code, "an unknown error")
    message = f"{intro}{shown}{hint}{trouble.place}{trouble.mentioned(names)} (code {code}, HTTP {answer.status})"
    if not is_write or code not in OF_A_RECORD:
        return Refused(message[:LONGEST])
    if code == ABSENT:
        return Gone(message[:LONGEST], told="1С: документ не найден, возможно, его удалили")
    return Rejected(message[:LONGEST], told="1С не приняла статус: запись отклонена в базе")
