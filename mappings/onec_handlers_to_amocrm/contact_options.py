"""What a flow of 1C's individuals to amoCRM contacts can configure."""

from collections.abc import Iterator
from dataclasses import dataclass

from mappings.onec_handlers_to_amocrm.pushed import PushedOptions


@dataclass(frozen=True, kw_only=True)
class ContactOptions(PushedOptions):
    """The part of a flow's configuration that this mapping reads."""

    @property
    def codes(self) -> tuple[str, ...]:
        """Keys of 1C's request that are read."""
        return self.own_codes("name", "phone", "email")

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: nothing."""
        yield from ()
