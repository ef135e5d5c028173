"""What a field is: its type, what may be written, how `*.fields` describes it (facts/bitrix24.md §6.1)."""

from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["int", "number", "flag", "bool", "moment", "day", "text", "option", "multifield", "file"]

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
    "file": "file",
}
REFERENCES = {"user", "crm_contact", "crm_company", "crm_lead", "crm_quote"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`is_write_only` fields are accepted by add and update, and shown by no classic method."""

    code: str
    type: str = "string"
    is_read_only: bool = False
    is_immutable: bool = False
    is_multiple: bool = False
    is_write_only: bool = False
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


def of(type_: str, *codes: str) -> list[Field]:
    return [Field(code=code, type=type_) for code in codes]


def read_only(type_: str, *codes: str) -> list[Field]:
    return [Field(code=code, type=type_, is_read_only=True) for code in codes]
