"""What a route is, what it is called with and what it answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from sandbox.amocrm.reference import INTEGRATION
from sandbox.amocrm.refusal import Refusal
from sandbox.amocrm.store import Store
from sandbox.amocrm.switches import Switches
from sandbox.bitrix24.php import items_of
from sandbox.wire import Kind

MOST_IN_BATCH = 250
_PIECES = {"{entity}": r"(contacts|companies|leads)", "{id}": r"(\d{1,18})"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`parts` are the pieces of the path, `query` the nested parameters, `author` the acting user, `origin` our own."""

    store: Store
    switches: Switches
    author: int = INTEGRATION
    parts: tuple[str, ...] = ()
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    path: str = ""
    origin: str = ""

    def now(self) -> int:
        return self.store.now()

    def entity(self) -> str:
        return self.parts[0]

    def number(self, index: int = -1) -> int:
        return int(self.parts[index])

    def withs(self) -> set[str]:
        return {name.strip() for name in str(self.query.get("with", "")).split(",") if name.strip()}

    def filter(self) -> dict[str, Any]:
        given = self.query.get("filter")
        return given if isinstance(given, dict) else {}

    def elements(self, most: int = MOST_IN_BATCH) -> list[dict[str, Any]]:
        """The body as an array of objects; raises Refusal."""
        if not isinstance(self.body, list) or not all(isinstance(one, dict) for one in self.body):
            raise Refusal(HTTPStatus.BAD_REQUEST, "The body must be an array of objects.")
        if not 1 <= len(self.body) <= most:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"From 1 to {most} elements are accepted in one request.")
        return self.body

    def object(self) -> dict[str, Any]:
        if not isinstance(self.body, dict):
            raise Refusal(HTTPStatus.BAD_REQUEST, "The body must be an object.")
        return self.body

    def link(self, path: str) -> dict[str, Any]:
        return {"self": {"href": f"{self.origin}/api/v4/{path}"}}


@dataclass(frozen=True, slots=True)
class Answer:
    """`keys` are the ids of the rows that were written, in the order of the elements that wrote them."""

    body: Any = None
    status: int = HTTPStatus.OK
    keys: tuple[str, ...] = ()


NOTHING = Answer(status=HTTPStatus.NO_CONTENT)
Run = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """`{entity}` and `{id}` in the path stand for what they say; `entity` is the table, the path's own if empty."""

    http_method: str
    template: str
    run: Run
    entity: str = ""

    @property
    def kind(self) -> Kind:
        return "read" if self.http_method == "GET" else "write"

    def pattern(self) -> re.Pattern[str]:
        text = self.template
        for piece, expression in _PIECES.items():
            text = text.replace(piece, expression)
        return re.compile(f"/api/v4/{text}/?")


def numbers(given: Any, *, comma: bool = False) -> list[int]:
    """One or several ids of a filter; raises Refusal."""
    texts = [text for item in items_of(given) for text in (str(item).split(",") if comma else [str(item)])]
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, "A filter holds something that is no number.") from None


def request_id(element: dict[str, Any], index: int) -> str:
    return str(element.get("request_id", index))
