"""What a 1C server says when it does not do what it was asked, whatever it was asked by (facts/onec.md A5).

Its own words echo submitted values and people's data. They decide the meaning, and are never shown: a message holds the
module's place, and such names as the caller says may be shown.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import unescape
from typing import Any, NoReturn

from connectors.answer import Answer, Garbage
from connectors.errors import Throttled, Transient

LOCKED_WAIT = 300.0
NO_LICENCE_WAIT = 60.0
DEEPEST = 10
_MARKUP = re.compile(r"<[^>]*>?")
_XML_CODE = re.compile(r"<(?:\w+:)?code>\s*(-?\d{1,5})\s*</")
_PLACE = re.compile(r"\{((?:\w+\.)*(?:Модул|Module)\w*|(?:\w+\.)+(?:Модул|Module)\w*)\((\d{1,6})")


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


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth:
        for nested in value.values() if isinstance(value, dict) else value:
            yield from _texts(nested, depth - 1)


def _no_number(_: str) -> NoReturn:
    raise ValueError
