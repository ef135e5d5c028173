"""Reads TOML tables into frozen dataclasses: a field's annotation is its type in the file, `metadata["help"]` its
meaning, `metadata["min"]` its least value. marshmallow does the walking and finds all that is wrong at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from marshmallow import RAISE, Schema, ValidationError
from marshmallow.fields import Field as MarshmallowField

from workers.faults import Fault, suggestion
from workers.values import SCALARS, Reader, WrongType, choice, plain, refused, spell


def read(table: Mapping[str, Any], *classes: type) -> tuple[list[Any], list[Fault]]:
    """One instance per class from a shared table, and all that is wrong with it.

    With faults the instances are a best effort, for further checks only: defaults stand in for what is wrong, and an
    instance is None if a required key is.
    """
    try:
        values, faults = schema_of(*classes).load(table), []
    except ValidationError as error:
        values = {key: value for key, value in error.valid_data.items() if key not in error.messages}  # type: ignore[union-attr]
        faults = list(_faults(error.messages))
    return [_build(cls, values) for cls in classes], faults


def _build(cls: type, values: Mapping[str, Any]) -> Any:
    own = {name: values[name] for name in names_of(cls) & values.keys()}
    lacks = any(not has_default(declared) and declared.name not in own for declared in fields(cls))
    return None if lacks else cls(**own)


def _faults(messages: Any, path: tuple[str, ...] = ()) -> Iterator[Fault]:
    if isinstance(messages, dict):
        for key, nested in messages.items():
            yield from _faults(nested, (*path, str(key)))
    else:
        yield from (fault._replace(path=path) for fault in messages)


def has_default(declared: "Field[Any]") -> bool:
    return declared.default is not MISSING or declared.default_factory is not MISSING


def is_required(declared: "Field[Any]", hint: Any) -> bool:
    """Whether the file must have the key. `X | None` without a default may be left out: TOML has no null."""
    return not has_default(declared) and NoneType not in get_args(hint)


def names_of(cls: type) -> set[str]:
    return {declared.name for declared in fields(cls)}


@cache
def schema_of(*classes: type) -> Schema:
    """The marshmallow schema of a table that holds the fields of all `classes`. TypeError if two share a name."""
    keys: dict[str, MarshmallowField[Any]] = {}
    for cls in classes:
        hints = get_type_hints(cls)
        if shared := keys.keys() & names_of(cls):
            raise TypeError(f"{cls.__name__} declares keys that its table has already: {sorted(shared)}")
        keys |= {declared.name: Key(declared, hints[declared.name]) for declared in fields(cls)}
    return Table.from_dict(keys)()


class Table(Schema):
    """A table of the file: nothing unknown, and a hint for what is misspelt."""

    class Meta:
        unknown = RAISE

    def handle_error(self, error: ValidationError, data: Any, **_: Any) -> None:
        for key in set(data) - set(self.load_fields):
            error.messages[key] = [Fault((), "unknown key", suggestion(key, self.load_fields))]


class Key(MarshmallowField[Any]):
    """One key of a table."""

    def __init__(self, declared: "Field[Any]", hint: Any) -> None:
        super().__init__(required=is_required(declared, hint))
        if not self.required and not has_default(declared):
            self.load_default = None
        self.error_messages["required"] = [Fault((), "is required", declared.metadata.get("help", ""))]
        self._read = reader_of(hint)
        self._least = declared.metadata.get("min")

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        result = self._read(value)
        if self._least is not None and result < self._least:
            least = spell(self._least) if isinstance(self._least, timedelta) else self._least
            raise refused(f"must be at least {least}")
        return result


def reader_of(hint: Any) -> Reader:
    """How a value of this annotation is read. KeyError if the file has no form for it: a programmer's mistake."""
    if shape := SHAPES.get(get_origin(hint)):
        return shape(*get_args(hint))
    if is_dataclass(hint):
        return plain(dict, convert=lambda value: hint(**schema_of(hint).load(value)))  # type: ignore[operator,arg-type]
    return SCALARS[hint]


def _either(*hints: Any) -> Reader:
    readers = [reader_of(hint) for hint in hints if hint is not NoneType]

    def read(value: Any) -> Any:
        expected = []
        for reader in readers:
            try:
                return reader(value)
            except WrongType as error:
                expected.append(error.expected)
        raise WrongType(" or ".join(expected), value)

    return read


def _items(hint: Any, _: Any) -> Reader:
    reader = reader_of(hint)
    return plain(list, convert=lambda value: tuple(_each(enumerate(value), reader).values()))


def _entries(_: Any, hint: Any) -> Reader:
    reader = reader_of(hint)
    return plain(dict, convert=lambda value: _each(value.items(), reader))


def _each(values: Iterable[tuple[Any, Any]], reader: Reader) -> dict[Any, Any]:
    results, errors = {}, {}
    for key, value in values:
        try:
            results[key] = reader(value)
        except ValidationError as error:
            errors[key] = error.messages
    if errors:
        raise ValidationError(errors)
    return results


SHAPES: Mapping[Any, Callable[..., Reader]] = {
    Literal: choice,
    Union: _either,
    UnionType: _either,
    tuple: _items,
    Mapping: _entries,
}
