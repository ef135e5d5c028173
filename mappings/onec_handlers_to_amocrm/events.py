"""An event of 1C's → what it does to its lead in amoCRM: a note always, and a stage, fields and a task if configured.
Brief 001 §2.6 as facts/onec.md D3 #3, #11, #13 and #14 resolve it: what 1C says is told as it is, nothing is computed.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, validates_schema

from mappings.money import rounded
from mappings.onec_fields import Revenue
from mappings.onec_handlers_to_amocrm.event_options import EVENTS, PAYMENT, PLACES, Effect, EventOptions
from mappings.onec_handlers_to_amocrm.templates import filled_in, filled_in_by_line
from mappings.onec_public.fields import AmoId, EventKey, Line, OneCId, Word, shortened
from mappings.onec_public.rows import RowSchema, Values, filled
from mappings.outcome import FieldUse, Mapped

_NBSP = "\u00a0"


class EventSchema(RowSchema):
    """The brief's request but for its envelope, and the key that it was given."""

    key = EventKey("Ключ события", required=True)
    event_id = OneCId("ID события")
    event_name = Word("Тип события", known=EVENTS)
    amo_id = AmoId("ID в amoCRM")
    id_1c = OneCId("ID в 1С")
    sum = Revenue("Сумма")
    debt_sum = Revenue("Ожидаемый остаток")
    document_name = Line("Название документа")
    received_at = Line("Время получения")

    def __init__(self, codes: Iterable[str]) -> None:
        super().__init__({code: code for code in codes})

    @validates_schema(skip_on_field_errors=False)
    def is_of_a_lead(self, row: Mapping[str, Any], **_: Any) -> None:
        if all(row.get(name, "unreadable") is None for name in ("amo_id", "id_1c")):
            raise ValidationError({"id_1c": [f"Не заполнено поле «{self.label('id_1c')}»"]})


class OneCEventToAmoCRMEvent:
    """An event → its note, and what else the configuration has for it. Which lead it is of, the engine finds out."""

    def __init__(self, options: EventOptions) -> None:
        self._options = options
        self._schema = EventSchema(options.codes)
        self.fields = options.codes
        self.conditions: Mapping[str, tuple[str, ...]] = {}

    def needs(self) -> tuple[FieldUse, ...]:
        """The keys of 1C's request."""
        return self._schema.needs()

    def map(self, raw: Mapping[str, Any], *, today: date) -> Mapped:  # noqa: ARG002 - a task is due hours from now
        """What to do to the lead. Raises ValidationError if the event, its lead or a sum is none.

        A payment that does not say what is still owed moves no lead: that is a warning.
        """
        event, errors = self._schema.read(raw)
        if errors:
            raise ValidationError(errors)
        effect = self._options.effect_of(event["event_name"])
        return Mapped(self._payload(event, effect), tuple(self._warnings(event, effect)))

    def _payload(self, event: Values, effect: Effect) -> dict[str, Any]:
        name = event["document_name"] and shortened(event["document_name"])
        told = {**{place: self._in_russian(event[place]) for place in PLACES[:2]}, PLACES[2]: name}
        plain = {**{place: _plain(event[place]) for place in PLACES[:2]}, PLACES[2]: name}
        values = {code: filled_in(template, plain) for code, template in effect.fields.items()}
        return {
            "key": _occurrence(event),
            **(filled(order_id_1c=event["id_1c"]) if event["amo_id"] is None else {"lead_id": event["amo_id"]}),
            "note": filled_in_by_line(effect.note, told),
            **_status(event, effect),
            "fields": {code: shortened(value) for code, value in values.items() if value},
            **_task(effect, told),
        }

    def _warnings(self, event: Values, effect: Effect) -> Iterator[str]:
        yield from self._schema.cut(event, "document_name")
        if effect.stage and event["event_name"] == PAYMENT and event["debt_sum"] is None:
            yield f"Не заполнено поле «{self._schema.label('debt_sum')}»: этап сделки не изменён"

    def _in_russian(self, amount: Decimal | None) -> str | None:
        if amount is None:
            return None
        digits = f"{rounded(amount):,.2f}".replace(",", _NBSP).replace(".", ",")
        return _NBSP.join(filter(None, (digits, self._options.currency.strip())))


def _occurrence(event: Values) -> str:
    """What tells this event from one that says the same and came another day; 1C's own id of it does by itself."""
    came = None if event["event_id"] else event["received_at"]
    return hashlib.sha256(f"{event['key']} {came}".encode()).hexdigest()[:40] if came else str(event["key"])


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else str(rounded(amount))


def _status(event: Values, effect: Effect) -> dict[str, Any]:
    """A payment moves the lead only when it was the last one (facts/onec.md D3 #13)."""
    stage, debt = effect.stage, event["debt_sum"]
    is_owed = event["event_name"] == PAYMENT and (debt is None or rounded(debt) != 0)
    if stage is None or is_owed:
        return {}
    return {"status": {"pipeline_id": stage.pipeline_id, "status_id": stage.status_id}}


def _task(effect: Effect, told: Mapping[str, str | None]) -> dict[str, Any]:
    task = effect.task
    return {"task": {"text": filled_in_by_line(task.text, told), "in_hours": task.in_hours}} if task else {}
