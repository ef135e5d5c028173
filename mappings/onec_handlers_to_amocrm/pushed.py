"""What 1C says of anything: which entity it means, where it stands in 1C, who is responsible (brief 001 §2.3-2.5)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError, validates_schema

from mappings.onec_public.fields import BY_AMO_ID, AmoId, Line, Link, OneCId
from mappings.onec_public.rows import RowSchema, Values, filled

OPTIONAL = ("responsible_user_id", "link")
"""Unreadable is a warning: amoCRM does without."""


@dataclass(frozen=True, kw_only=True)
class PushedOptions:
    """What a flow of anything that 1C pushes can configure."""

    send_responsible: bool = field(
        default=True,
        metadata={"help": "send the responsible user whom 1C names; otherwise amoCRM keeps or chooses its own"},
    )

    def own_codes(self, *own: str) -> tuple[str, ...]:
        """Codes of what 1C says of anything, with those of one entity amid."""
        responsible = ("responsible_user_id",) if self.send_responsible else ()
        return ("id_1c", "amo_id", *own, *responsible, "link")


class PushedSchema(RowSchema):
    """Something of 1C's. The labels are the brief's words."""

    id_1c = OneCId("ID в 1С")
    amo_id = AmoId("ID в amoCRM")
    responsible_user_id = AmoId("Ответственный")
    link = Link("Ссылка на объект 1С")

    def __init__(self, codes: Iterable[str]) -> None:
        super().__init__({code: code for code in codes})

    @validates_schema(skip_on_field_errors=False)
    def is_identified(self, row: Mapping[str, Any], **_: Any) -> None:
        """Facts/onec.md D3 #8. What is unreadable is absent from `row` and has its error already."""
        if all(row.get(name, "unreadable") is None for name in ("id_1c", "amo_id")):
            raise ValidationError({"id_1c": [f"Не заполнено поле «{self.label('id_1c')}»"]})


class ClientSchema(PushedSchema):
    """A counterparty of 1C's."""

    name = Line("Имя контрагента")

    @validates_schema(skip_on_field_errors=False)
    def is_named(self, row: Mapping[str, Any], **_: Any) -> None:
        """What amoCRM may have to create needs a name (facts/onec.md D3 #8)."""
        if all(row.get(name, "unreadable") is None for name in ("name", "amo_id")):
            raise ValidationError({"name": [f"Не заполнено поле «{self.label('name')}»"]})


def heading(values: Values) -> dict[str, Any]:
    """By what amoCRM finds the entity: 1C's id, or failing that the one in amoCRM that 1C named."""
    return filled(id_1c=values["id_1c"] or f"{BY_AMO_ID}{values['amo_id']}", amo_id=values["amo_id"])
