"""Fields of contacts, deals and users: what exists, of which type, what may be written (facts/bitrix24.md §6, §7)."""

from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["int", "number", "flag", "bool", "moment", "day", "text", "option", "multifield"]

FAMILIES: dict[str, Family] = {
    "integer": "int",
    "user": "int",
    "crm_contact": "int",
    "crm_company": "int",
    "crm_lead": "int",
    "crm_quote": "int",
    "crm_category": "int",
    "double": "number",
    "char": "flag",
    "boolean": "bool",
    "datetime": "moment",
    "date": "day",
    "enumeration": "option",
    "crm_multifield": "multifield",
}
REFERENCES = {"user", "crm_contact", "crm_company", "crm_lead", "crm_quote"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    code: str
    type: str = "string"
    is_read_only: bool = False
    is_immutable: bool = False
    is_multiple: bool = False
    status_type: str = ""
    label: str = ""
    options: tuple[tuple[int, str], ...] = ()

    @property
    def family(self) -> Family:
        return FAMILIES.get(self.type, "text")

    @property
    def is_custom(self) -> bool:
        return self.code.startswith("UF_")

    @property
    def is_multifield(self) -> bool:
        return self.type == "crm_multifield"

    def described(self) -> dict[str, Any]:
        """The entry of `crm.*.fields`."""
        described: dict[str, Any] = {
            "type": self.type,
            "isRequired": False,
            "isReadOnly": self.is_read_only,
            "isImmutable": self.is_immutable,
            "isMultiple": self.is_multiple or self.is_multifield,
            "isDynamic": self.is_custom,
            "title": self.code if self.is_custom else self.label or self.code,
        }
        if self.status_type:
            described["statusType"] = self.status_type
        if self.options:
            described["items"] = [{"ID": str(option), "VALUE": name} for option, name in self.options]
        if self.is_custom:
            described |= {"listLabel": self.label, "formLabel": self.label, "filterLabel": self.label}
        return described


def schema(*fields: Field) -> dict[str, Field]:
    return {field.code: field for field in fields}


def _of(type_: str, *codes: str) -> list[Field]:
    return [Field(code=code, type=type_) for code in codes]


def _read_only(type_: str, *codes: str) -> list[Field]:
    return [Field(code=code, type=type_, is_read_only=True) for code in codes]


_UTM = _of("string", "UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM")
_BOOKKEEPING = [
    *_read_only("user", "CREATED_BY_ID", "MODIFY_BY_ID"),
    *_read_only("datetime", "DATE_CREATE", "DATE_MODIFY"),
]
_STATUS_TEXT = Field(code="UF_CRM_SYNC_STATUS", label="Статус синхронизации")

CONTACT = schema(
    *_read_only("integer", "ID"),
    Field(code="HONORIFIC", type="crm_status", status_type="HONORIFIC"),
    *_of("string", "NAME", "SECOND_NAME", "LAST_NAME"),
    *_of("date", "BIRTHDATE"),
    Field(code="TYPE_ID", type="crm_status", status_type="CONTACT_TYPE"),
    Field(code="SOURCE_ID", type="crm_status", status_type="SOURCE"),
    *_of("string", "SOURCE_DESCRIPTION", "POST", "ADDRESS", "ADDRESS_2", "ADDRESS_CITY", "COMMENTS"),
    *_of("char", "OPENED", "EXPORT"),
    *_read_only("char", "HAS_PHONE", "HAS_EMAIL", "HAS_IMOL"),
    *_of("user", "ASSIGNED_BY_ID"),
    *_BOOKKEEPING,
    *_of("crm_company", "COMPANY_ID"),
    *_read_only("crm_lead", "LEAD_ID"),
    *_of("string", "ORIGINATOR_ID", "ORIGIN_ID", "ORIGIN_VERSION"),
    *_UTM,
    *_read_only("datetime", "LAST_ACTIVITY_TIME"),
    *_read_only("user", "LAST_ACTIVITY_BY"),
    *_of("crm_multifield", "PHONE", "EMAIL", "WEB", "IM", "LINK"),
    Field(code="UF_CRM_57AD7FAF7E6C4", label="Фамилия ученика"),
    Field(code="UF_CRM_1608028374", label="Имя ученика"),
    Field(
        code="UF_CRM_58D15BB9CA8F4",
        type="enumeration",
        is_multiple=True,
        label="Продукт",
        options=((404, "Обучение шахматам"), (410, "Онлайн школа"), (412, "Турниры")),
    ),
    Field(
        code="UF_CRM_1470852549",
        type="enumeration",
        is_multiple=True,
        label="Филиал",
        options=((48, "Гоголевский"), (12708, "Сколково"), (50, "Измайлово")),
    ),
    Field(code="UF_CRM_1607943642", type="date", label="Дата рождения ученика"),
    _STATUS_TEXT,
)

DEAL = schema(
    *_read_only("integer", "ID"),
    *_of("string", "TITLE"),
    Field(code="TYPE_ID", type="crm_status", status_type="DEAL_TYPE"),
    Field(code="STAGE_ID", type="crm_status", status_type="DEAL_STAGE"),
    *_of("integer", "PROBABILITY"),
    *_of("string", "CURRENCY_ID"),
    *_of("double", "OPPORTUNITY", "TAX_VALUE"),
    *_of("char", "IS_MANUAL_OPPORTUNITY"),
    *_of("crm_lead", "LEAD_ID"),
    *_of("crm_company", "COMPANY_ID"),
    *_of("crm_contact", "CONTACT_ID"),
    *_of("crm_quote", "QUOTE_ID"),
    *_of("date", "BEGINDATE", "CLOSEDATE"),
    *_of("user", "ASSIGNED_BY_ID"),
    *_BOOKKEEPING,
    *_of("char", "OPENED", "CLOSED"),
    *_of("string", "COMMENTS", "ADDITIONAL_INFO", "LOCATION_ID"),
    Field(code="CATEGORY_ID", type="crm_category", is_immutable=True),
    *_read_only("string", "STAGE_SEMANTIC_ID"),
    *_read_only("char", "IS_NEW"),
    *_of("char", "IS_RECURRING", "IS_RETURN_CUSTOMER", "IS_REPEATED_APPROACH"),
    Field(code="SOURCE_ID", type="crm_status", status_type="SOURCE"),
    *_of("string", "SOURCE_DESCRIPTION", "ORIGINATOR_ID", "ORIGIN_ID"),
    *_read_only("user", "MOVED_BY_ID"),
    *_read_only("datetime", "MOVED_TIME", "LAST_ACTIVITY_TIME"),
    *_read_only("user", "LAST_ACTIVITY_BY"),
    *_UTM,
    Field(code="UF_CRM_58D1057919A6F", type="date", label="Дата продажи"),
    Field(
        code="UF_CRM_1470852549",
        type="enumeration",
        is_multiple=True,
        label="Филиал",
        options=((186, "Гоголевский"), (12706, "Сколково"), (188, "Измайлово")),
    ),
    Field(
        code="UF_CRM_1490347942",
        type="enumeration",
        label="Способ оплаты",
        options=((450, "Наличные"), (452, "Карта"), (454, "Перевод")),
    ),
    _STATUS_TEXT,
)

USER = schema(
    *_read_only("integer", "ID"),
    *_of("boolean", "ACTIVE"),
    *_of("string", "NAME", "LAST_NAME", "SECOND_NAME", "EMAIL", "WORK_POSITION", "USER_TYPE"),
    *_read_only("datetime", "LAST_LOGIN", "DATE_REGISTER"),
    Field(code="UF_DEPARTMENT", type="integer", is_multiple=True),
)
