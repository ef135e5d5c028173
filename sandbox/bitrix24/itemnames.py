"""Names of `crm.item.*`: camelCase for standard fields, `ufCrm…` for custom ones (facts/bitrix24.md §7.4)."""

import re
from dataclasses import dataclass

from sandbox.bitrix24.entities import ENTITIES, Entity

# Classic code → name, where it is not simply the same in camelCase.
RENAMED = {
    "DATE_CREATE": "createdTime",
    "DATE_MODIFY": "updatedTime",
    "CREATED_BY_ID": "createdBy",
    "MODIFY_BY_ID": "updatedBy",
    "MOVED_BY_ID": "movedBy",
    "COMPANY_TYPE": "typeId",
}
# What only the classic methods know: multifields are `fm` here, links are named by the whole set.
UNKNOWN = {"PHONE", "EMAIL", "WEB", "IM", "LINK"}
WHOLE_SETS = {"deal": ("contactIds", "CONTACT_IDS"), "contact": ("companyIds", "COMPANY_IDS")}
WHOLE_SETS |= {"company": ("contactIds", "CONTACT_ID")}

_CUSTOM = "UF_CRM_"
_NUMBERS = re.compile(r"(?:(\d+)_)?(\d+)")
_WORDS = re.compile(r"(?:\d+_)?[A-Z]+(?:_[A-Z]+)*")


@dataclass(frozen=True, slots=True)
class Names:
    """`code_of` also knows every name in upper case, `ID` for one, and the original codes of custom fields."""

    name_of: dict[str, str]
    code_of: dict[str, str]
    whole_set: tuple[str, str]


def _names(entity: Entity) -> Names:
    whole_set = WHOLE_SETS[entity.name]
    known = [field for field in entity.schema.values() if field.code not in UNKNOWN and not field.is_write_only]
    name_of = {field.code: _name(field.code) for field in known}
    code_of = {name: code for code, name in name_of.items()}
    code_of |= {upper(name): code for code, name in name_of.items()}
    code_of |= {code: code for code in name_of if code.startswith(_CUSTOM)}
    return Names(name_of, code_of, whole_set)


def _name(code: str) -> str:
    if code.startswith(_CUSTOM):
        return _custom(code.removeprefix(_CUSTOM))
    return RENAMED.get(code) or _camel(code)


def _custom(rest: str) -> str:
    """Digits keep their underscore, words lose it, and what could not be read back stays as it is."""
    if numbers := _NUMBERS.fullmatch(rest):
        return f"ufCrm{numbers[1] or ''}_{numbers[2]}"
    if _WORDS.fullmatch(rest):
        return "ufCrm" + "".join(word.capitalize() for word in rest.split("_"))
    return f"ufCrm_{rest}"


def _camel(code: str) -> str:
    first, *words = code.lower().split("_")
    return first + "".join(word.capitalize() for word in words)


def upper(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


NAMES = {entity.name: _names(entity) for entity in ENTITIES.values()}
