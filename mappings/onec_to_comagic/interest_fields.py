"""Marshmallow fields: how an Interest names the call or request that it came from."""

from typing import Any

from mappings.fields import Labelled, PersonName
from mappings.onec_fields import TOO_LARGE_ID

COMMUNICATION_TYPES = frozenset({"call", "offline_message", "chat", "goal", "email"})  # facts/comagic §8


class CommunicationId(PersonName):
    """Digits however 1C prints a number, or any other text as it is; zero is an attribute that nobody filled in."""

    unreadable = "Не распознан идентификатор в поле «{label}»"

    def read(self, value: Any) -> str | None:
        if type(value) is int and 0 <= value < TOO_LARGE_ID:
            return str(value) if value else None
        text = super().read(value) or ""
        compact = text.replace(" ", "")
        is_number = compact.isascii() and compact.isdigit()
        return (compact if compact.strip("0") else None) if is_number else text or None


class CommunicationType(Labelled[str]):
    """One of the kinds of communication that CoMagic knows."""

    unreadable = "Не распознано значение в поле «{label}»"

    def read(self, value: Any) -> str | None:
        text = value.strip().lower() if isinstance(value, str) else value
        if text == "":
            return None
        if not isinstance(text, str) or text not in COMMUNICATION_TYPES:
            raise self.make_error("unreadable")
        return text
