"""What happens to an order in 1C, as a note in its lead; with a stage, fields and a task where they are configured.

Exactly once, however often an event is brought: the note carries the event's key and is written last, so an event whose
note is there has had all its effects. What else it does is absolute, or carries the key as well.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connectors.amocrm_answer import Absent
from connectors.amocrm_api import Api, Query
from connectors.amocrm_batch import Batch, Item, Written, result_of
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_entities import Change, Entities
from connectors.amocrm_shapes import Shown, Wire, embedded, values
from connectors.base import Found, Located, WriteClass
from connectors.coalesce import Coalescer
from connectors.errors import Refused, Rejected

KEY = re.compile(r"(?:([0-9]{1,18})/)?([0-9a-f]{40})")
LEAD = re.compile(r"[0-9]{1,18}")
NOTE_TYPE = "service_message"
"""Of all types the one whose text people cannot change, and with it the key."""
SERVICE = "1С"
MOST_PAGES = 20
FOLLOW_UP = 1
"""amoCRM's own type of task."""
HOUR = 3600
Payload = Mapping[str, Any]


class Events:
    """The target "events". Payloads: {"key", "lead_id", "note"}, and perhaps {"status", "fields", "task"}.

    `key` is 40 hexadecimal digits; "LEAD/40 hex" names the lead as well. Only in its lead can an event be looked for.
    `status` is {"pipeline_id", "status_id"}; `fields` are texts by code; `task` is {"text", "in_hours"}.
    """

    write_class = WriteClass.CREATE_AND_FIND
    updates = False

    def __init__(
        self, api: Api, leads: Entities, config: AmoCrmConfig, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.settle = config.settle
        self._api, self._leads, self._config, self._clock = api, leads, config, clock
        rows = config.batch_rows
        notes, tasks = Batch(api, "POST", "leads/notes", "notes"), Batch(api, "POST", "tasks", "tasks")
        self._notes: Coalescer[Item, Written] = Coalescer(notes.write, limit=rows)
        self._tasks: Coalescer[Item, Written] = Coalescer(tasks.write, limit=rows)

    def find(self, key: str) -> Found | None:
        """The event's note; None of a key that names no lead, which `match` then looks for."""
        found = KEY.fullmatch(key)
        return self._note(int(found[1]), _mark(found[2])) if found and found[1] else None

    def match(self, payload: Payload) -> str | None:
        """The event's note in the lead that the payload names: for a note is known by its key alone."""
        found = self._note(*self._parts(payload))
        return found.id if found else None

    def create(self, payload: Payload) -> str:
        """As `TargetEntity`; returns the note's id. Rejected if the lead is gone."""
        key = str(payload["key"])
        lead, mark = self._parts(payload)
        seen: list[Shown] = []

        def edited(shown: Shown) -> Wire:
            seen[:] = [shown]
            return self._edited(payload, shown)

        if not self._leads.change(Change(lead, edited)):
            raise Rejected(
                f"amoCRM {self._config.host} events: there is no lead {lead}",
                told=f"amoCRM: нет сделки с номером {lead}: её удалили или объединили",
            )
        if payload.get("task"):
            self._task(lead, key, mark, payload["task"], seen[0])
        text = f"{payload['note']}\n{mark}"
        body = {"entity_id": lead, "note_type": NOTE_TYPE, "params": {"service": SERVICE, "text": text}}
        (note,) = self._notes.submit([Item(key, body)])
        return self._located(result_of(note)["id"], lead)

    def update(self, id_: str, payload: Payload) -> str | None:  # noqa: ARG002 - what is done is done
        raise Refused(f"amoCRM {self._config.host}: what happened does not change")

    def _note(self, lead: int, mark: str) -> Found | None:
        query = [("filter[note_type][]", NOTE_TYPE), ("order[id]", "desc")]
        for note in self._listed(f"leads/{lead}/notes", "notes", query):
            if mark in _note_text(note):
                return Found(self._located(note["id"], lead), {"lead_id": lead, "note": _note_text(note)})
        return None

    def _edited(self, payload: Payload, shown: Shown) -> Wire:
        """The lead's stage and fields, where they differ."""
        body: Wire = {}
        status = payload.get("status") or {}
        if any(status[name] != shown.get(name) for name in status):
            body |= status
        custom = list(self._custom(payload.get("fields") or {}, shown))
        return body | {"custom_fields_values": custom} if custom else body

    def _custom(self, fields: Mapping[str, str], shown: Shown) -> Iterator[Wire]:
        for code, value in fields.items():
            field = self._leads.fields.get(code)
            if value not in map(str, values(shown, str(field.id))):
                yield {"field_id": field.id, "values": [{"value": value}]}

    def _task(self, lead: int, key: str, mark: str, task: Mapping[str, Any], shown: Shown) -> None:
        """Unless an earlier attempt has made it."""
        query = [("filter[entity_type]", "leads"), ("filter[entity_id][]", str(lead)), ("order[id]", "desc")]
        for made in self._listed("tasks", "tasks", query):
            if made.get("entity_id") == lead and mark in str(made.get("text") or ""):
                return
        body: Wire = {
            "text": f"{task['text']}\n{mark}",
            "complete_till": int(self._clock()) + int(task["in_hours"]) * HOUR,
            "task_type_id": FOLLOW_UP,
            "entity_id": lead,
            "entity_type": "leads",
        }
        user = shown.get("responsible_user_id") or self._config.default_user
        if user:
            body["responsible_user_id"] = user
        (written,) = self._tasks.submit([Item(key, body)])
        result_of(written)

    def _listed(self, path: str, name: str, query: Query) -> Iterator[Shown]:
        """The latest first, page by page."""
        for page in range(1, MOST_PAGES + 1):
            try:
                body = self._api.get(path, [*query, ("limit", "250"), ("page", str(page))]).body
            except Absent:
                return
            if body is None:
                return
            if not isinstance(body, dict) or not isinstance(body.get("_links"), dict):
                raise self._api.unusable(f"a list of {name} cannot be read")
            yield from (each for each in embedded(body, name) if isinstance(each.get("id"), int))
            if "next" not in body["_links"]:
                return

    def _parts(self, payload: Payload) -> tuple[int, str]:
        """The lead, and what marks the event's traces."""
        key = KEY.fullmatch(str(payload["key"]))
        lead = str(payload.get("lead_id") or (key and key[1]) or "")
        if key is None or not LEAD.fullmatch(lead):
            raise Rejected(
                f"amoCRM {self._config.host} events: no key or no lead", told="amoCRM: у события нет ключа или сделки"
            )
        return int(lead), _mark(key[2])

    def _located(self, note: int, lead: int) -> Located:
        return Located(str(note), link=f"{self._config.root}/leads/detail/{lead}")


def _mark(key: str) -> str:
    return f"[parom:{key}]"


def _note_text(note: Shown) -> str:
    params = note.get("params")
    return str(params.get("text") or "") if isinstance(params, dict) else ""
