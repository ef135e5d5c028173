"""How a row is read: values by name, and what cannot be read, by code."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from marshmallow import EXCLUDE, Schema, ValidationError
from marshmallow.fields import Field

from mappings.onec_fields import Several
from mappings.onec_public.fields import LONGEST, shortened
from mappings.outcome import FieldUse

Values = Mapping[str, Any]
"""By the names of a schema; None for what is not filled in, and what could not be read is absent."""
Errors = dict[str, list[str]]


class RowSchema(Schema):
    """Those of the fields below that `codes` names: {name: the row's key}. What else a row holds is never read."""

    class Meta:
        unknown = EXCLUDE

    def __init__(self, codes: Mapping[str, str]) -> None:
        self.codes = codes
        super().__init__(only=tuple(codes))

    def on_bind_field(self, field_name: str, field_obj: Field[Any]) -> None:
        field_obj.data_key = self.codes[field_name]

    def read(self, row: Mapping[str, Any]) -> tuple[Values, Errors]:
        """What could be read, and messages by code in the order of `codes` for what could not."""
        try:
            return self.load(row), {}
        except ValidationError as error:
            told = error.messages_dict
            errors = {code: told[code] for code in self.codes.values() if code in told}
            return cast("Values", error.valid_data), errors

    def needs(self, types: Mapping[str, tuple[str, ...]] | None = None) -> tuple[FieldUse, ...]:
        """The fields as `parom check` names them. `types` by name: of which they may be in the live system."""
        may_be = types or {}
        return tuple(FieldUse(code, self.label(name), may_be.get(name, ())) for name, code in self.codes.items())

    def label(self, name: str) -> str:
        return str(self.fields[name].metadata["label"])

    def left_out(self, errors: Errors, *names: str) -> Iterator[str]:
        """Takes out of `errors` what the payload can do without, and yields the messages."""
        for name in names:
            yield from errors.pop(self.codes.get(name, ""), ())

    def lost(self, values: Values, *names: str) -> Iterator[str]:
        """A message for each list of phones or e-mails of which something is not sent because nobody can read it."""
        for name in names:
            several: Several | None = values.get(name)
            if several and several.has_unreadable:
                yield str(self.fields[name].make_error("unreadable"))

    def cut(self, values: Values, *names: str) -> Iterator[str]:
        """A message for each text of which only the beginning is sent."""
        for name in names:
            text = values.get(name)
            if text and shortened(text) != text:
                yield f"Передано только начало поля «{self.label(name)}»: оно длиннее {LONGEST} знаков"


def readable(values: Values, name: str) -> tuple[str, ...]:
    """The phones or e-mails that can be sent."""
    several: Several | None = values.get(name)
    return several.readable if several else ()


def filled(**values: Any) -> dict[str, Any]:
    """What is known: neither None nor an empty list."""
    return {name: value for name, value in values.items() if value is not None and value != []}
