"""What the answers of amoCRM's API mean (facts/amocrm.md §4): a table by status, and the errors of single entities.

The vendor's words and values may quote people's data: the log shows codes and places, the manager masked words.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from connectors.answer import LONGEST_RETRY_AFTER, Answer, Garbage, Lost
from connectors.complaint import Complaint
from connectors.errors import ConnectorError, Refused, Rejected, Transient

INTRO = "amoCRM не принимает"
GONE = f"{INTRO}: запись не найдена, возможно, её удалили"
LABELS: Mapping[str, str] = {
    "name": "название",
    "price": "бюджет",
    "responsible_user_id": "ответственный",
    "status_id": "этап",
    "pipeline_id": "воронка",
    "contacts": "контакт",
    "companies": "компания",
    "entity_id": "сделка",
    "text": "текст",
    "complete_till": "срок задачи",
    "custom_fields_values": "дополнительное поле",
}
TOLD: Mapping[str, str] = {
    "NotSupportedChoice": "недопустимое значение",
    "InvalidType": "неверный тип значения",
    "FieldMissing": "не заполнено",
    "NotBlank": "не заполнено",
    "TooLong": "слишком длинное значение",
    "NotFound": "не найдено",
}
_CODE = re.compile(r"[A-Za-z0-9]{1,40}")
_LAST_PART = re.compile(r"[a-z_]{1,40}")


class Unauthorised(Refused):
    """The access token is expired, revoked or unknown; the call was not carried out."""


class Banned(Refused):
    """amoCRM shuts out the account or our address, and only its support lets us in again."""


class Absent(Rejected):
    """There is no such place, or the entity that it names is gone."""


class UnknownUser(Rejected):
    """Nobody of that number can be responsible: there is none, or not any more. Nothing was written."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one value of an entity. `path` is dotted, from the entity's root."""

    code: str
    path: str
    detail: str

    @classmethod
    def of(cls, shown: Any) -> "Fault":
        found = shown if isinstance(shown, dict) else {}
        return cls(*(str(found.get(key) or "") for key in ("code", "path", "detail")))

    @property
    def parts(self) -> list[str]:
        return self.path.split(".")

    @property
    def place(self) -> int | None:
        """Of a custom field: its number among those that were sent."""
        is_custom = len(self.parts) > 1 and self.parts[0] == "custom_fields_values" and self.parts[1].isdecimal()
        return int(self.parts[1]) if is_custom else None

    @property
    def is_about_field(self) -> bool:
        """Whether the account has no such custom field."""
        return self.place is not None and self.parts[-1] in ("field_id", "field_code")

    @property
    def label(self) -> str:
        return next((LABELS[part] for part in self.parts if part in LABELS), "")

    @property
    def reason(self) -> str:
        """For the log."""
        code = self.code if _CODE.fullmatch(self.code) else "an unknown error"
        about = next((part for part in self.parts if part in LABELS), "")
        last = self.parts[-1] if _LAST_PART.fullmatch(self.parts[-1]) and self.parts[-1] != about else ""
        return " ".join([code, *(["about", ".".join(filter(None, [about, last]))] if about else [])])


class Invalid(Rejected):
    """A call that was refused for some of its entities; `faults` by the `request_id` of each."""

    def __init__(self, message: str, *, told: str, faults: Mapping[str, Sequence[Fault]]) -> None:
        super().__init__(message, told=told)
        self.faults = faults


def told(faults: Sequence[Fault], label: Callable[[Fault], str] = lambda fault: fault.label) -> str:
    """One line for the manager."""
    texts = tuple((label(fault), TOLD.get(fault.code) or fault.detail or fault.code) for fault in faults)
    return Complaint(texts).told(INTRO, {}, secrets=(), otherwise="ошибка без объяснения")


def read(name: str, call: str, answer: Answer) -> Any | None:
    """The JSON of an answer that is neither 401 nor 429; None for "nothing there" (204, 304).

    Raises Lost, Transient, Rejected (of it Absent, Invalid) and Refused (of it Banned).
    """
    if answer.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return None
    if answer.is_redirect:
        # Followed, a redirect turns a POST into a GET, and carries the token elsewhere.
        raise Refused(f"{name}: redirects to {answer.moved_to}: change base_url")
    if answer.is_error:
        raise _error(name, call, answer)
    body = answer.json()
    if body is None:
        raise Garbage(answer.describe())
    return body


def retry_after(answer: Answer) -> float | None:
    """Seconds that a 429 asks us to wait, in its header or body; None if it is a bare page."""
    shown = _object(answer).get("retry_after")
    if isinstance(shown, int | float) and not isinstance(shown, bool) and shown > 0:
        return min(float(shown), LONGEST_RETRY_AFTER)
    return answer.retry_after


def _error(name: str, call: str, answer: Answer) -> ConnectorError | Lost:
    message = f"{name} {call}: {answer.describe()}"
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Lost(answer.describe(), wait=answer.retry_after)
    if answer.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.TOO_EARLY):
        return Transient(message, wait=answer.retry_after)
    if answer.status == HTTPStatus.PAYMENT_REQUIRED:
        return Refused(f"{message}: the account is not paid: nothing can be written until it is")
    if answer.status == HTTPStatus.FORBIDDEN:
        return _forbidden(message, answer)
    if answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED or not is_json(answer):
        return Refused(f"{message}: this is not amoCRM's API: check base_url")
    return _rejection(message, answer)


def _forbidden(message: str, answer: Answer) -> Refused:
    if is_json(answer):
        return Refused(f"{message}: the integration or its user lacks a right, or our address is not on the white list")
    return Banned(
        f"{message}: amoCRM shut out this account or our address: stop other integrations that call too often, "
        "and write to its support"
    )


def _rejection(message: str, answer: Answer) -> Rejected:
    body = _object(answer)
    faults = _faults(body.get("validation-errors"))
    if faults:
        everything = [fault for each in faults.values() for fault in each]
        return Invalid(f"{message}: {everything[0].reason}", told=told(everything[:3]), faults=faults)
    kind = Absent if answer.status == HTTPStatus.NOT_FOUND else Rejected
    words = tuple(("", str(body[key])) for key in ("detail", "title") if body.get(key))[:1]
    return kind(message, told=Complaint(words).told(INTRO, {}, secrets=(), otherwise=f"ошибка {answer.status}"))


def _faults(shown: Any) -> dict[str, list[Fault]]:
    found: dict[str, list[Fault]] = {}
    for each in shown if isinstance(shown, list) else []:
        if isinstance(each, dict) and isinstance(each.get("errors"), list) and each["errors"]:
            found.setdefault(str(each.get("request_id")), []).extend(map(Fault.of, each["errors"]))
    return found


def is_json(answer: Answer) -> bool:
    """Whether amoCRM itself speaks, and not a server in front of it."""
    try:
        return isinstance(answer.json(), dict)
    except Garbage:
        return False


def _object(answer: Answer) -> Mapping[str, Any]:
    body = answer.json() if is_json(answer) else {}
    return body if isinstance(body, dict) else {}
