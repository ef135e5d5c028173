"""What amoCRM shows of anything: who it is, who is responsible, the customer's own fields (brief 001 §1.2, §1.3)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.fields import PersonName, SourceId
from mappings.onec_fields import Flag
from mappings.onec_public.fields import AmoId, CustomValues, OneCId, is_field_id, shortened
from mappings.onec_public.rows import RowSchema, Values
from mappings.outcome import FieldUse

ID_FIELD = "PAROM_ID_1C"
OWN: Mapping[str, str] = {
    "id": "id",
    "name": "name",
    "responsible_user_id": "responsible_user_id",
    "is_deleted": "is_deleted",
    "custom": "values",
}
"""Names in `ShownSchema` → keys of a row that are no option."""
TAKEN = frozenset(OWN.values()) | {"PHONE", "EMAIL", "price", "status_id", "pipeline_id", "main_contact", "company"}
DELETED = "удалено в amoCRM"
TYPES: Mapping[str, tuple[str, ...]] = {
    "id_1c": ("text",),
    "phone": ("multitext",),
    "email": ("multitext",),
    "inn": ("text", "numeric", "legal_entity"),
}
"""By name: the types of amoCRM field that can hold it; none for what is no field there."""


@dataclass(frozen=True, kw_only=True)
class ShownOptions:
    """What a flow of anything that amoCRM shows can configure."""

    id_field: str = field(
        default=ID_FIELD, metadata={"help": "field of amoCRM, by code or id, with the id in 1C; as in the connection"}
    )
    custom_fields: tuple[str, ...] = field(
        default=(), metadata={"help": "ids of the amoCRM fields that may be sent; empty: every one that 1C asked for"}
    )

    def list_problems(self) -> Iterator[tuple[str, str]]:
        """What is wrong with the list of fields."""
        for number, id_ in enumerate(self.custom_fields):
            if not is_field_id(id_):
                yield f"custom_fields.{number}", "is not the id of an amoCRM field; write digits only"


class ShownSchema(RowSchema):
    """Something of amoCRM's. The labels are those of amoCRM."""

    id = SourceId("ID", required=True)
    name = PersonName("Название", required=True)
    responsible_user_id = AmoId("Ответственный", required=True)
    is_deleted = Flag("Удалено")
    custom = CustomValues("Дополнительные поля")
    id_1c = OneCId("ID в 1С")


def heading(values: Values) -> dict[str, Any]:
    """What 1C is told of anything."""
    return {
        "id": values["id"],
        "name": shortened(values["name"]),
        "responsible_user_id": values["responsible_user_id"],
    }


def custom(values: Values, options: ShownOptions, *ours: str) -> dict[str, Any]:
    """The customer's own fields, by id, that may be sent; `ours` have another meaning."""
    known = values.get("custom") or {}
    wanted = set(options.custom_fields or known) - set(ours)
    return {id_: value for id_, value in known.items() if id_ in wanted}


def custom_uses(options: ShownOptions, codes: Iterable[str]) -> Iterator[FieldUse]:
    """The customer's own fields that the configuration names; those of `codes` have another meaning."""
    for id_ in dict.fromkeys(options.custom_fields):
        if id_ not in codes:
            yield FieldUse(id_, "Дополнительное поле", ())


def code_problems(options: ShownOptions, *names: str) -> Iterator[tuple[str, str]]:
    """Of the options `names`, all codes of one entity's fields: those that are empty or have two meanings."""
    meanings = dict.fromkeys(TAKEN, "something else")
    for name in names:
        code = getattr(options, name)
        if not code.strip():
            yield name, "is empty; name the code or the id of an amoCRM field"
        elif code in meanings:
            yield name, f"{code} already holds {meanings[code]}; name another amoCRM field"
        meanings.setdefault(code, name)
