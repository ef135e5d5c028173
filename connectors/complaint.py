"""A target's complaint about one record, made fit for a person to read.

Django REST shapes errors as `{"detail": "…"}` or `{"field": ["…"]}`; any other JSON is flattened alike. HTML is not
shown, nor anything that looks like a phone number, an e-mail address or a secret of ours.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.answer import Answer, Garbage

LONGEST = 255
LONGEST_TEXT_BODY = 300
LONGEST_LINE = 2000
DEEPEST = 8
MASK = "***"
_PERSONAL = re.compile(r"[^\s@,;:]+@[^\s@,;:]+\.\w+|(?:\+?\d[\s().-]*){10,}")
_MARKUP = re.compile(r"<[^>]*>?")
_CODE = "code"
_NAMELESS = ("detail", "error", "errors", "message", "non_field_errors")


@dataclass(frozen=True)
class Complaint:
    """Texts by the field that they are about; the field of a text about none is empty."""

    texts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, answer: Answer) -> "Complaint":
        try:
            body = answer.json()
        except Garbage:
            is_text = answer.headers.get("Content-Type", "").startswith("text/plain")
            body = answer.body.decode(errors="replace")[:LONGEST_TEXT_BODY] if is_text else None
        return cls(tuple(_flat("", body, DEEPEST)))

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(field for field, _ in self.texts if field not in ("", _CODE))

    def mentions(self, words: Iterable[str]) -> bool:
        """Whether a text that is about no field holds one of `words`: the limit of one field is another matter."""
        general = " ".join(text for field, text in self.texts if field in ("", _CODE)).lower()
        return any(word.lower() in general for word in words)

    def told(self, intro: str, labels: Mapping[str, str], *, secrets: Iterable[str], otherwise: str) -> str:
        """One line for the manager, with the fields' names as a person knows them; `otherwise` if there is no text."""
        shown = ((labels.get(field, field), text) for field, text in self.texts if field != _CODE)
        parts = "; ".join(f"{label}: {text}" if label else text for label, text in shown)
        line = f"{intro}: {parts or otherwise}"[:LONGEST_LINE]
        for secret in filter(None, secrets):
            line = line.replace(secret, MASK)
        return " ".join(_PERSONAL.sub(f"{MASK} ", _MARKUP.sub(" ", line)).split())[:LONGEST]


def _flat(field: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth:
        for key, nested in value.items():
            yield from _flat(field or ("" if key in _NAMELESS else str(key)), nested, depth - 1)
    elif isinstance(value, list) and depth:
        for nested in value:
            yield from _flat(field, nested, depth - 1)
    elif isinstance(value, str | int | float) and value != "":
        yield field, str(value)
