"""What a 1C base says when it does not do what it was asked, in four formats (facts/onec.md A5).

The base's own words echo submitted values and people's data. They decide the meaning, and are never shown: a message
holds the code's meaning, the module's place, and such configured names as the words mention.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import unescape
from http import HTTPStatus
from typing import Any, NoReturn

from connectors.answer import Answer, Garbage, Lost
from connectors.errors import ConnectorError, Refused, Rejected, Throttled, Transient

LONGEST = 500
LOCKED_WAIT = 300.0
NO_LICENCE_WAIT = 60.0
THROTTLED_WAIT = 60.0
DEEPEST = 10
_MARKUP = re.compile(r"<[^>]*>?")
_XML_CODE = re.compile(r"<(?:\w+:)?code>\s*(-?\d{1,5})\s*</")
_PLACE = re.compile(r"\{((?:\w+\.)*(?:Модул|Module)\w*|(?:\w+\.)+(?:Модул|Module)\w*)\((\d{1,6})")

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


@dataclass(frozen=True)
class Words:
    """What some words of the base mean, whatever the status and format they come in."""

    parts: Sequence[str]
    kind: type[Transient]
    wait: float | None
    shown: str


WORDS = (
    Words(
        (
            "начало сеанса с информационной базой запрещено",
            "начало сеанса запрещено",
            "session with the infobase is not allowed",
            "infobase session is denied",
            "session start is prohibited",
        ),
        Throttled,
        LOCKED_WAIT,
        "maintenance: the base's administrator has locked sessions",
    ),
    Words(
        (
            "не обнаружено свободной лицензии",
            "не найдена лицензия",
            "лицензия не найдена",
            "no free licen",
            "license not found",
            "licence not found",
        ),
        Transient,
        NO_LICENCE_WAIT,
        "no free client licence: close sessions, or add licences",
    ),
    Words(
        (
            "конфликт блокировок",
            "ожидания предоставления блокировки",
            "lock conflict",
            "lock request time",
            "waiting for lock",
            "deadlock",
        ),
        Transient,
        None,
        "the data is locked by another transaction",
    ),
)
BY_STATUS: Mapping[int, tuple[type[Refused | Throttled], str]] = {
    401: (Refused, "the base does not know this login and password"),
    403: (Refused, "access is forbidden"),
    404: (Refused, "nothing is there: is base_url right, and the set published?"),
    405: (Refused, "the HTTP method is forbidden by the web server"),
    407: (Refused, "a proxy wants a password"),
    429: (Throttled, "too many requests"),
    501: (Refused, "not supported"),
}


@dataclass(frozen=True)
class Trouble:
    """An error body, read: OData's code if it bears one, and the words, for classifying only."""

    code: int | None
    words: str

    @property
    def place(self) -> str:
        """The module and line of an exception, which tell a 1C programmer most."""
        found = _PLACE.search(self.words)
        return f" at {found[1]}({found[2]})" if found else ""

    def mentioned(self, names: Iterable[str]) -> str:
        found = [name for name in names if re.search(rf"\b{re.escape(name)}\b", self.words)]
        return f", about {', '.join(dict.fromkeys(found))}" if found else ""

    def known(self) -> Words | None:
        said = self.words.lower()
        return next((words for words in WORDS if any(part in said for part in words.parts)), None)


def parsed(answer: Answer) -> Any:
    """The body's JSON, with or without a BOM; fractions as Decimal. Raises Garbage."""
    try:
        return json.loads(answer.body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # Raised below: the original error holds the body, and would stay in `__context__`.
        pass
    raise Garbage(answer.describe())


def trouble_of(answer: Answer) -> Trouble:
    """Whatever format the answer has."""
    try:
        body = parsed(answer)
    except Garbage:
        text = answer.body.decode("utf-8-sig", errors="replace")
        code = _XML_CODE.search(text)
        return Trouble(int(code[1]) if code else None, unescape(_MARKUP.sub(" ", text)))
    error = body.get("odata.error") if isinstance(body, dict) else None
    code_shown = str(error.get("code")) if isinstance(error, dict) else ""
    code_read = int(code_shown) if re.fullmatch(r"-?\d{1,5}", code_shown) else None
    return Trouble(code_read, "\n".join(_texts(body, DEEPEST)))


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


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth:
        for nested in value.values() if isinstance(value, dict) else value:
            yield from _texts(nested, depth - 1)


def _no_number(_: str) -> NoReturn:
    raise ValueError
