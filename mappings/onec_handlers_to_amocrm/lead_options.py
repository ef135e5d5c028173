"""What a flow of 1C's orders to amoCRM leads can configure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mappings.onec_handlers_to_amocrm.pushed import PushedOptions
from mappings.onec_handlers_to_amocrm.templates import problems_of

ORDER_NUMBER = "order_number"


@dataclass(frozen=True, kw_only=True)
class LeadOptions(PushedOptions):
    """The part of a flow's configuration that this mapping reads."""

    name_pattern: str = field(
        default="Заказ {order_number}",
        metadata={"help": "name of a new lead; an order without number shows its id in 1C there"},
    )
    pipeline_id: int | None = field(
        default=None, metadata={"help": "pipeline of new leads; left out: amoCRM's main one", "min": 1}
    )
    status_id: int | None = field(
        default=None, metadata={"help": "stage of new leads in that pipeline; left out: its first one", "min": 1}
    )

    @property
    def codes(self) -> tuple[str, ...]:
        """Keys of 1C's request that are read."""
        return self.own_codes("contact_id", "company_id", "budget", ORDER_NUMBER)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        if not self.name_pattern.strip():
            yield "name_pattern", "is empty, but a lead needs a name; leave it out to get the default"
        yield from problems_of("name_pattern", self.name_pattern, known=(ORDER_NUMBER,))
        if self.status_id and not self.pipeline_id:
            yield "status_id", "is a stage of no pipeline; name pipeline_id too"
