"""Texts with {places} in them, as an integrator writes them into `parom.toml`. What is put into one is never read."""

from collections.abc import Collection, Iterator, Mapping
from string import Formatter

UNKNOWN = "—"


def problems_of(path: str, template: str, *, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with a template: (path, what and what to do about it)."""
    hint = f"write {', '.join(f'{{{name}}}' for name in known)}, or {{{{ for a brace"
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        yield path, f"is not a template: {error}; {hint}"
        return
    for _, name, spec, conversion in parts:
        if name is not None and (name not in known or spec or conversion):
            yield path, f"{{{name}}} is nothing that 1C says; {hint}"


def filled_in(template: str, values: Mapping[str, str | None]) -> str | None:
    """The template with its values, or None if it names one that is not known."""
    names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    return None if any(values[name] is None for name in names) else template.format_map(values)


def filled_in_by_line(template: str, values: Mapping[str, str | None]) -> str:
    """The lines of which all is known; a dash for what is not if there is no such line."""
    lines = [line for line in (filled_in(line, values) for line in template.splitlines()) if line and line.strip()]
    dashed = {name: UNKNOWN if value is None else value for name, value in values.items()}
    return "\n".join(lines) or template.format_map(dashed)
