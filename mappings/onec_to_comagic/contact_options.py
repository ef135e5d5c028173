"""What a flow of Interests to contact cards can configure (facts/comagic §12 #2)."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ContactOptions:
    """The part of a flow's configuration that this mapping reads."""

    contact_user_fields: bool = field(
        default=False,
        metadata={
            "help": "send the id of the call on the card too, as the brief has it; CoMagic documents no such key"
        },
    )
    communication_field: str = field(
        default="communication_id", metadata={"help": "CoMagic's custom field for the id of the call or request"}
    )

    @property
    def codes(self) -> tuple[str, ...]:
        """Only what a card shows, so that a new stage is no work for this flow."""
        communication = ("communication_id",) if self.contact_user_fields else ()
        return ("id", "name", "created_at", "phones", "emails", *communication, "is_deleted")

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        if not self.communication_field.strip():
            yield "communication_field", "is empty; name CoMagic's custom field, or leave it out"
