"""What a flow of 1C's events can configure: what each of them does to its lead (facts/onec.md D3 #13)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from mappings.onec_handlers_to_amocrm.templates import problems_of

PLACES = ("sum", "debt_sum", "document_name")
PAYMENT = "payment"
_WHAT_1C_SAYS = "\nДокумент: {document_name}\nСумма: {sum}\nОжидаемый остаток: {debt_sum}"


@dataclass(frozen=True)
class Stage:
    """A stage of amoCRM's sales funnel."""

    pipeline_id: int = field(metadata={"help": "amoCRM's id of the pipeline", "min": 1})
    status_id: int = field(
        metadata={"help": "amoCRM's id of the stage there; in every pipeline 142 is won, 143 is lost", "min": 1}
    )


@dataclass(frozen=True)
class Task:
    """A task for whoever is responsible for the lead."""

    text: str = field(metadata={"help": "template of the task's text"})
    in_hours: int = field(default=24, metadata={"help": "hours until it is due", "min": 1})


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What one kind of event does to its lead."""

    note: str = field(
        default="",
        metadata={"help": "template of the note; a line that names what 1C did not say is left out; empty: the usual"},
    )
    stage: Stage | None = field(
        default=None,
        metadata={"help": "{ pipeline_id, status_id } the lead moves to; after a payment only if nothing is owed"},
    )
    fields: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "help": 'field of the lead, by code or id, to the template of its value; sums are numbers: "1234.50"'
        },
    )
    task: Task | None = field(default=None, metadata={"help": "{ text, in_hours } of a task to set"})


EFFECTS: Mapping[str, Effect] = {
    "cancel_order": Effect(note="1С: заказ аннулирован" + _WHAT_1C_SAYS),
    PAYMENT: Effect(note="1С: получена оплата" + _WHAT_1C_SAYS),
    "part_payment": Effect(note="1С: получена частичная оплата" + _WHAT_1C_SAYS),
    "shipment": Effect(note="1С: заказ отгружен" + _WHAT_1C_SAYS),
    "part_shipment": Effect(note="1С: заказ отгружен частично" + _WHAT_1C_SAYS),
}
EVENTS = tuple(EFFECTS)


@dataclass(frozen=True, kw_only=True)
class EventOptions:
    """The part of a flow's configuration that this mapping reads."""

    effects: Mapping[str, Effect] = field(
        default_factory=lambda: dict(EFFECTS),
        metadata={"help": "what each event does; templates may name {sum}, {debt_sum} and {document_name}"},
    )
    currency: str = field(default="₽", metadata={"help": "sign after the sums of notes and tasks; empty: none"})

    @property
    def codes(self) -> tuple[str, ...]:
        """Keys of 1C's request that are read, and when it came first."""
        return ("key", "event_id", "event_name", "amo_id", "id_1c", *PLACES, "received_at")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages that amoCRM must have, each once."""
        return tuple(dict.fromkeys(effect.stage for effect in self.effects.values() if effect.stage))

    @property
    def lead_fields(self) -> tuple[str, ...]:
        """Codes of the fields that amoCRM's leads must have, each once."""
        return tuple(dict.fromkeys(code for effect in self.effects.values() for code in effect.fields))

    def effect_of(self, event: str) -> Effect:
        """What a known event does: as configured, else a note."""
        effect = self.effects.get(event, EFFECTS[event])
        return replace(effect, note=effect.note if effect.note.strip() else EFFECTS[event].note)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        for event, effect in self.effects.items():
            path = f"effects.{event}"
            if event not in EFFECTS:
                yield path, f"is no event of 1C; name one of {', '.join(EVENTS)}"
            yield from _problems_of(path, effect)


def _problems_of(path: str, effect: Effect) -> Iterator[tuple[str, str]]:
    yield from problems_of(f"{path}.note", effect.note, known=PLACES)
    for code, template in effect.fields.items():
        if not code.strip():
            yield f"{path}.fields", "has an empty code; name a field of amoCRM's leads"
        if not template.strip():
            yield f"{path}.fields.{code}", "is empty, and nothing is ever blanked; take it out"
        yield from problems_of(f"{path}.fields.{code}", template, known=PLACES)
    if effect.task:
        if not effect.task.text.strip():
            yield f"{path}.task.text", "is empty; say what is to be done"
        yield from problems_of(f"{path}.task.text", effect.task.text, known=PLACES)
