"""What the answers of CoMagic's Data API mean (facts/comagic.md §1, §11).

An error is known by `data.mnemonic`, for its code is not unique, and the HTTP status is ignored where JSON-RPC came.
The vendor's words and values may quote people's data: the log shows known words only, the manager masked ones.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from connectors.answer import Answer, Garbage, Lost
from connectors.complaint import Complaint
from connectors.errors import ConnectorError, LimitReached, ParentMissing, Refused, Rejected, Throttled
from connectors.points import Limits

INTRO = "CoMagic не принял"
THROTTLED_WAIT = 60.0
"""Seconds: the minute's points are whole again after that."""


class SessionOver(Refused):
    """The token is unknown, or its session has ended."""


class Duplicate(Rejected):
    """An entity with this ext_id exists already."""


class NotFound(Rejected):
    """An id in the call is unknown."""


MEANING: Mapping[str, type[ConnectorError | Lost]] = {
    "parse_error": Refused,
    "invalid_request": Refused,
    "batch_opreations_not_supported": Refused,
    "batch_operations_not_supported": Refused,
    "notifications_not_supported": Refused,
    "method_not_found": Refused,
    "auth_error": Refused,
    "access_token_invalid": SessionOver,
    "access_token_expired": Refused,
    "access_token_blocked": Refused,
    "ip_not_whitelisted": Refused,
    "forbidden": Refused,
    "account_inactive": Refused,
    "method_component_disabled": Refused,
    "parameter_component_disabled": Refused,
    "tariff_restrictions": Refused,
    "campaign_is_inactive": Refused,
    "unexpected_parameters": Refused,
    "limit_exceeded": Throttled,
    "internal_error": Lost,
    "data_limit_exceeded": LimitReached,
    "duplicate_entity": Duplicate,
    "entity_not_found": NotFound,
}
"""Everything else is Rejected, unless its code says otherwise."""
CODE_MEANING: Mapping[int, type[ConnectorError | Lost]] = {
    -32700: Refused,
    -32600: Refused,
    -32099: Refused,
    -32601: Refused,
    -32001: Refused,
    -32003: Refused,
    -32008: Refused,
    -32009: Refused,
    -32029: Throttled,
    -32603: Lost,
}
ADVICE: Mapping[str, str] = {
    "auth_error": "check login and password",
    "access_token_invalid": "check token and base_url: a token works on its own host only",
    "access_token_expired": "make a new token in the cabinet",
    "access_token_blocked": "make a new token in the cabinet",
    "ip_not_whitelisted": "list our address in the cabinet, security rules, API",
    "forbidden": "the token's user lacks a right",
    "account_inactive": "the account is blocked, perhaps it is not paid",
    "method_component_disabled": "the account lacks the component sales_funnel",
    "parameter_component_disabled": "the account lacks a component",
    "tariff_restrictions": "the tariff does not allow it",
    "unexpected_parameters": "the API takes no such field; is contact_user_fields set?",
    "method_not_found": "check base_url",
}
LABELS: Mapping[str, str] = {
    "ext_id": "внешний код",
    "name": "название",
    "created_date_time": "дата создания",
    "modified_date_time": "дата изменения",
    "modified_stage_date_time": "дата смены этапа",
    "closed_date_time": "дата закрытия",
    "phone_numbers": "телефон",
    "emails": "e-mail",
    "sales_funnel_ext_id": "воронка",
    "stage_ext_id": "этап",
    "contact_ext_ids": "контакт",
    "main_contact_ext_id": "основной контакт",
    "communication_id": "обращение",
    "communication_type": "вид обращения",
    "revenue": "выручка",
    "comments": "комментарий",
    "user_fields": "пользовательское поле",
}
TOLD: Mapping[str, str] = {
    "data_type_error": "неверный тип значения",
    "required_parameter_missed": "не заполнено",
    "invalid_parameter_value": "недопустимое значение",
    "invalid_parameters_combination": "значения не сочетаются друг с другом",
    "invalid_date_time": "недопустимая дата, или загружено более позднее изменение",
    "duplicate_entity": "такая запись уже есть",
    "already_in_use": "значение занято другой записью",
    "entity_not_found": "не найдено",
    "dependency_error": "запись используется",
    "data_limit_exceeded": "достигнут предел количества данных",
}
CONTACT_FIELDS = ("contact_ext_ids", "main_contact_ext_id")
REFERENCE_UNKNOWN = ("entity_not_found", "invalid_parameter_value")
WRONG_ADDRESS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
)
_WORD = re.compile(r"[a-z_]{1,60}")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7}\b")


@dataclass(frozen=True)
class Fault:
    """A JSON-RPC error. `field` is one of LABELS, or empty; `value` may be a person's."""

    code: int
    mnemonic: str
    field: str
    value: Any
    message: str
    limit_type: str
    limits: Limits

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> "Fault":
        data = _object(error.get("data"))
        code, path = error.get("code"), str(data.get("field") or "")
        return cls(
            code=code if isinstance(code, int) else 0,
            mnemonic=str(data.get("mnemonic") or ""),
            # Of `deals.user_fields.ext_id` a person knows the field, not its key.
            field=next((part for part in re.findall(r"[a-z_]+", path) if part in LABELS), ""),
            value=data.get("value"),
            message=str(error.get("message") or ""),
            limit_type=str(_object(data.get("params")).get("limit_type") or ""),
            limits=_limits(data),
        )

    @property
    def meaning(self) -> type[ConnectorError | Lost]:
        return MEANING.get(self.mnemonic) or CODE_MEANING.get(self.code, Rejected)

    @property
    def reason(self) -> str:
        """For the log."""
        mnemonic = self.mnemonic if _WORD.fullmatch(self.mnemonic) else "an unknown error"
        about = f" about {self.field}" if self.field else ""
        return f"{mnemonic} ({self.code}){about}"

    @property
    def advice(self) -> str:
        """For the operator; with our address, if that is what the vendor objects to."""
        ours = _ADDRESS.search(self.message) if self.mnemonic == "ip_not_whitelisted" else None
        return "; ".join(filter(None, [ADVICE.get(self.mnemonic, ""), f"it is {ours.group()}" if ours else ""]))

    def rejection(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Rejected:
        """What it makes of a call that carried `rows`; `name` is the log's for the call."""
        meaning = self.meaning
        kind = meaning if issubclass(meaning, Rejected) else Rejected
        if self._is_about_contact(rows):
            kind = ParentMissing
        error = kind(f"{name}: {self.reason}", told=self._told())
        holders = [number for number, row in enumerate(rows) if _holds(row, self.value)]
        error.culprit = holders[0] if len(holders) == 1 else None
        return error

    def _is_about_contact(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a deal's contact is unknown. Without a field the value tells, where no other id has it."""
        if self.mnemonic not in REFERENCE_UNKNOWN:
            return False
        if self.field:
            return self.field in CONTACT_FIELDS
        return any(self.value in row.get("contact_ext_ids", ()) for row in rows)

    def _told(self) -> str:
        text = TOLD.get(self.mnemonic) or self.message
        return Complaint(((self.field, text),)).told(INTRO, LABELS, secrets=(), otherwise=f"ошибка {self.code}")


def envelope(answer: Answer) -> Mapping[str, Any] | None:
    """The JSON-RPC object of an answer, with an `error` or else a `result`, both objects; None if it is none."""
    with suppress(Garbage):
        body = _object(answer.json())
        error, result = body.get("error"), body.get("result")
        if isinstance(error, dict) and error.keys() & {"code", "data"}:
            return {"error": error}
        if error is None and isinstance(result, dict):
            return {"result": result}
    return None


def limits_of(result: Mapping[str, Any]) -> Limits:
    return _limits(result)


def _limits(holder: Mapping[str, Any]) -> Limits:
    """Some methods spell the key otherwise."""
    return Limits.of(_object(holder.get("metadata") or holder.get("meta_data")).get("limits"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _holds(row: Mapping[str, Any], value: Any) -> bool:
    if value in (None, "", [], {}):
        return False
    return any(value == held or (isinstance(held, list) and value in held) for held in row.values())
