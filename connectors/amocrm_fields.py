"""The custom fields of one kind of entity, by id and by code; remembered for a while (facts/amocrm.md §10)."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.amocrm_api import Api
from connectors.errors import Refused

REMEMBERED_FOR = 900.0
ASKED_AGAIN_AFTER = 30.0
"""Seconds: a field that is not known may have been made since, but not everybody who misses it may ask."""
MOST_PAGES = 100
TEXTS = ("text", "textarea", "url", "streetaddress")


@dataclass(frozen=True)
class Field:
    """A field; `code` is empty if it has none, `enums` are the ids of its choices."""

    id: int
    code: str
    name: str
    type: str
    enums: frozenset[int] = frozenset()

    @classmethod
    def of(cls, shown: Any) -> "Field":
        """Raises TypeError, ValueError, KeyError for what is no field."""
        enums = frozenset(int(each["id"]) for each in shown.get("enums") or ())
        return cls(int(shown["id"]), str(shown.get("code") or ""), str(shown.get("name") or ""), shown["type"], enums)

    def takes(self, text: str) -> bool:
        """Whether it can hold this text: a link into 1C that only its own program opens is no address."""
        return self.type != "url" or not text or text.startswith(("https://", "http://"))


class Fields:
    """The fields of `entity`: contacts, companies or leads. A code may be a field's number as text."""

    def __init__(self, api: Api, entity: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._entity, self._clock = api, entity, clock
        self._lock = threading.Lock()
        self._known: Mapping[str, Field] = {}
        self._read_at: float | None = None

    def find(self, code: str) -> Field | None:
        """The field, or None if the account has none such. Raises as a read does."""
        with self._lock:
            if self._is_older_than(REMEMBERED_FOR):
                self._read()
            if code not in self._known and self._is_older_than(ASKED_AGAIN_AFTER):
                self._read()
            return self._known.get(code)

    def get(self, code: str) -> Field:
        """As `find`; Refused if there is none."""
        if found := self.find(code):
            return found
        raise Refused(f"{self._api.name}: {self._entity} have no field {code}: run `parom check`, which makes ours")

    def forget(self) -> None:
        """Somebody changed the fields."""
        with self._lock:
            self._read_at = None

    def create(self, *, code: str, name: str, type_: str) -> Field:
        """A field that people see and only the API writes. Raises as a write."""
        wanted = {"name": name, "type": type_, "code": code, "is_api_only": True}
        reply = self._api.call("POST", self._path, repeatable=False, payload=[wanted])
        self.forget()
        try:
            (made,) = _fields(reply.body)
        except (TypeError, ValueError, KeyError, AttributeError):
            raise self._api.unusable(f"{self._entity}: the new field is not shown") from None
        return made

    @property
    def _path(self) -> str:
        return f"{self._entity}/custom_fields"

    def _is_older_than(self, seconds: float) -> bool:
        return self._read_at is None or self._clock() - self._read_at > seconds

    def _read(self) -> None:
        self._known = {key: field for field in self._pages() for key in (str(field.id), field.code) if key}
        self._read_at = self._clock()

    def _pages(self) -> Iterator[Field]:
        """The documented limit is 250, but fewer may come: only the link to the next page tells the end."""
        for page in range(1, MOST_PAGES + 1):
            body = self._api.get(self._path, [("limit", "250"), ("page", str(page))]).body
            if body is None:
                return
            try:
                yield from _fields(body)
                has_next = "next" in body["_links"]
            except (TypeError, ValueError, KeyError, AttributeError):
                raise self._api.unusable(f"{self._entity}: the fields cannot be read") from None
            if not has_next:
                return


def _fields(body: Any) -> Iterable[Field]:
    return [Field.of(each) for each in body["_embedded"]["custom_fields"]]
