"""What is wrong with options whose types are right: (dotted path below the flow, what is wrong and what to do)."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from mappings.bitrix24_to_otmechalka.references import Reference

Problem = tuple[str, str]

HINTS = {"id": 'ask otmechalka for it, or set reference_mode = "name"', "name": "copy it from otmechalka"}


def ambiguous_codes(fields: Any, *, taken: Mapping[str, str]) -> Iterator[Problem]:
    """Codes that are empty or have two meanings. `taken`: codes that are no option, and what they hold."""
    meanings = dict(taken)
    for meaning, code in asdict(fields).items():
        if not code:
            yield f"fields.{meaning}", "is empty; name the code of the Bitrix24 field"
        elif code in meanings:
            yield f"fields.{meaning}", f"{code} already holds {meanings[code]}; name another Bitrix24 field"
        meanings.setdefault(code, f"fields.{meaning}")


def unknown_keys(path: str, keys: Sequence[str], *, known: Mapping[str, Reference]) -> Iterator[Problem]:
    """Keys that a rule uses and no table has."""
    hint = f"name one of {', '.join(known)}"
    if not keys:
        yield path, f"is empty, so the rule has no effect; {hint}"
    for key in keys:
        if key not in known:
            yield path, f"«{key}» is unknown; {hint}"


def unsendable_references(
    table: str, references: Mapping[str, Reference], *, used: Container[str], by: str, mode: Literal["id", "name"]
) -> Iterator[Problem]:
    """Entries that are used and lack what is sent of them."""
    for key, reference in references.items():
        if key in used and not getattr(reference, mode):
            yield f"{table}.{key}.{mode}", f"is empty, but {by} uses «{reference.name or key}»; {HINTS[mode]}"
