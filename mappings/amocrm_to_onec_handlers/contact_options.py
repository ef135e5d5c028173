"""What a flow of amoCRM contacts to 1C's individuals can configure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mappings.amocrm_to_onec_handlers.shown import OWN, ShownOptions, code_problems


@dataclass(frozen=True, kw_only=True)
class ContactOptions(ShownOptions):
    """The part of a flow's configuration that this mapping reads."""

    reachable_only: bool = field(
        default=False, metadata={"help": "skip contacts without phone and e-mail that 1C does not know yet"}
    )

    @property
    def keys(self) -> Mapping[str, str]:
        """Names in the mapping → keys of amoCRM's rows."""
        return {**OWN, "phone": "PHONE", "email": "EMAIL", "id_1c": self.id_field}

    @property
    def codes(self) -> tuple[str, ...]:
        """Keys of amoCRM's rows that are read."""
        return tuple(self.keys.values())

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        yield from code_problems(self, "id_field")
        yield from self.list_problems()
