"""Turning a system's switches: fields of its frozen `Switches` dataclass, named after what the vendor does."""

import dataclasses
from typing import Any, TypeVar

T = TypeVar("T")


def choice(default: Any, *others: Any) -> Any:
    """A switch with a closed list of positions, the first being the default."""
    return dataclasses.field(default=default, metadata={"choices": (default, *others)})


def switched(current: T, changes: dict[str, Any]) -> T:
    """The same switches with some turned; raises ValueError naming an unknown switch or an impossible position."""
    fields = {field.name: field for field in dataclasses.fields(current)}  # type: ignore[arg-type]
    for name, value in changes.items():
        if name not in fields:
            raise ValueError(f"no such switch: {name}; there are {', '.join(sorted(fields))}")
        _check(fields[name], value)
    settled = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    return dataclasses.replace(current, **settled)  # type: ignore[type-var]


def _check(field: "dataclasses.Field[Any]", value: Any) -> None:
    choices = field.metadata.get("choices")
    if choices is not None and value not in choices:
        raise ValueError(f"{field.name} must be one of {list(choices)}, not {value!r}")
    if choices is None and _shape(value) != _shape(field.default):
        raise ValueError(f"{field.name} must look like {field.default!r}, not {value!r}")


def _shape(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "list" if isinstance(value, list | tuple) else type(value).__name__
