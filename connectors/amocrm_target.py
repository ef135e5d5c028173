"""Contacts, companies and leads of an amoCRM account: found by 1C's id, matched by what people know them by, written.

Nothing is guessed: several that could be meant are left to a person, and one that carries another id of 1C is no match.
Nothing is sent that is there already, for every write is told to everybody as a change (facts/amocrm.md §12, §14, §15).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from connectors.amocrm_answer import UnknownUser
from connectors.amocrm_claims import Claims
from connectors.amocrm_config import AmoCrmConfig
from connectors.amocrm_entities import Change, Entities
from connectors.amocrm_shapes import LONGEST_NAME, Shown, Wire, text_of
from connectors.base import Found, Located, WriteClass
from connectors.errors import Rejected

PERSON_WORDS: Mapping[str, tuple[str, str]] = {
    "contacts": ("Контакт", "связан"),
    "companies": ("Компания", "связана"),
    "leads": ("Сделка", "связана"),
}
MOST_NAMED = 5
BY_AMO_ID = "amo:"
"""Begins the `id_1c` of what 1C names by nothing but its id in amoCRM: that is no id of 1C's."""
Payload = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Trait:
    """By what an entity may be recognised: how people call it, and who has it."""

    label: str
    holders: Callable[[], list[Shown]]


class AmoCrmTarget:
    """What the three kinds have in common; each adds its traits and its own fields."""

    write_class = WriteClass.CREATE_AND_FIND
    updates = True
    kind: ClassVar[str]

    def __init__(self, entities: Entities, config: AmoCrmConfig, claims: Claims) -> None:
        self.settle = config.settle
        self._entities, self._config, self._claims = entities, config, claims

    def find(self, key: str) -> Found | None:
        """As `TargetEntity`. Rejected if several carry the key: two were merged from outside, or one was copied."""
        if not key.strip():
            raise self._rejected("an empty key", "нет идентификатора 1С")
        if key.startswith(BY_AMO_ID):
            return None
        field = self._entities.fields.get(self._config.id_field)
        found = self._entities.holding(field, key, lambda shown: text_of(shown, str(field.id)) == key)
        one = self._only([shown["id"] for shown in found], "id 1С")
        shown = next((each for each in found if each["id"] == one), None)
        return None if shown is None else Found(self._located(shown["id"]), self._held(shown))

    def match(self, payload: Payload) -> str | None:
        """As `TargetEntity`: by the id that 1C names, else by the traits in their order."""
        named = payload.get("amo_id")
        if named is not None:
            return self._named(int(named), payload)
        for trait in self._traits(payload):
            ids = [shown["id"] for shown in trait.holders() if self._is_free(shown, payload)]
            if (found := self._only(ids, trait.label)) is not None:
                return self._located(found)
        return None

    def create(self, payload: Payload) -> str:
        if payload.get("amo_id") is not None:
            raise self._lacks(int(payload["amo_id"]))
        key = str(payload["id_1c"])
        return self._located(_for_known_user(payload, lambda wanted: self._entities.create(key, self._new(wanted))))

    def update(self, id_: str, payload: Payload) -> str | None:
        """As `TargetEntity`. Rejected if the entity belongs to another of 1C's, or 1C names another.

        Throttled while another of 1C's is being linked with it, or has just been.
        """
        return self._changed(int(id_), payload, self._edited)

    def _changed(self, id_: int, payload: Payload, edit: Callable[[Payload, Shown], Wire]) -> str | None:
        named = payload.get("amo_id")
        if named is not None and int(named) != id_:
            raise self._rejected(
                f"1C names {named}, and {id_} is linked",
                f"1С называет номер {named}, а с этим идентификатором 1С уже связана запись {id_}",
            )

        def claimed(wanted: Payload, shown: Shown) -> Wire:
            # Of one that another was given a moment ago, too: what was matched with it is to be matched anew.
            if id_1c and text_of(shown, self._config.id_field) != id_1c:
                self._claims.take(self.kind, id_, id_1c)
            return edit(wanted, shown)

        id_1c = _id_1c(payload)
        change = _for_known_user(payload, lambda wanted: self._entities.change(Change(id_, partial(claimed, wanted))))
        return self._located(id_) if change else None

    def _traits(self, payload: Payload) -> Iterator[Trait]:
        raise NotImplementedError

    def _held(self, shown: Shown) -> Wire:
        """What an entity holds, in the words of a payload."""
        return {
            "id_1c": text_of(shown, self._config.id_field) or None,
            "link": text_of(shown, self._config.link_field) or None,
            "name": shown.get("name"),
            "responsible_user_id": shown.get("responsible_user_id"),
        }

    def _own(self, shown: Shown, payload: Payload) -> Iterator[tuple[str, Any]]:  # noqa: ARG002 - most have none
        """What this kind writes besides the common: keys of the entity, with what differs from `shown`."""
        yield from ()

    def _custom(self, shown: Shown, payload: Payload) -> Iterator[Wire]:
        """As `_own`, of the custom fields."""
        yield from self._text(shown, self._config.id_field, _id_1c(payload))
        yield from self._text(shown, self._config.link_field, payload.get("link"))

    def _text(self, shown: Shown, code: str, value: Any) -> Iterator[Wire]:
        if value in (None, "") or not code:
            return
        field = self._entities.fields.get(code)
        if text_of(shown, str(field.id)) != str(value).strip() and field.takes(str(value)):
            yield {"field_id": field.id, "values": [{"value": str(value)}]}

    def _edited(self, payload: Payload, shown: Shown) -> Wire:
        """What differs; raises Rejected if the entity is another's."""
        if not self._is_free(shown, payload):
            what, linked = PERSON_WORDS[self.kind]
            raise self._rejected(
                f"{shown['id']} carries another id of 1C", f"{what} {shown['id']} уже {linked} с другой записью 1С"
            )
        body = dict(self._own(shown, payload))
        name = str(payload.get("name") or "")[:LONGEST_NAME]
        if name and name != shown.get("name"):
            body["name"] = name
        user = payload.get("responsible_user_id")
        if user is not None and user != shown.get("responsible_user_id"):
            body["responsible_user_id"] = user
        if custom := list(self._custom(shown, payload)):
            body["custom_fields_values"] = custom
        return body

    def _new(self, payload: Payload) -> Wire:
        body = self._edited(payload, {"id": 0})
        if "responsible_user_id" not in body and self._config.default_user is not None:
            body["responsible_user_id"] = self._config.default_user
        return body

    def _named(self, id_: int, payload: Payload) -> str:
        shown = self._entities.by_ids([id_]).get(id_)
        if shown is None:
            raise self._lacks(id_)
        self._edited(payload, shown)
        return self._located(id_)

    def _is_free(self, shown: Shown, payload: Payload) -> bool:
        """Whether the entity carries no id of 1C, or the payload's, or is all that the payload names."""
        field, id_1c = self._entities.fields.get(self._config.id_field), _id_1c(payload)
        return not id_1c or text_of(shown, str(field.id)) in ("", id_1c)

    def _only(self, ids: Sequence[int], label: str) -> int | None:
        """The one of `ids`, None of none; Rejected of several."""
        several = sorted(set(ids))
        if len(several) > 1:
            shown = ", ".join(map(str, several[:MOST_NAMED])) + ("…" if len(several) > MOST_NAMED else "")
            raise self._rejected(
                f"{len(several)} could be meant",
                f"по признаку «{label}» подходит несколько: {shown}. Объедините их или укажите в 1С номер нужной",
            )
        return several[0] if several else None

    def _lacks(self, id_: int) -> Rejected:
        what, _ = PERSON_WORDS[self.kind]
        return self._rejected(f"there is no {id_}", f"нет записи «{what}» с номером {id_}: её удалили или объединили")

    def _rejected(self, message: str, told: str) -> Rejected:
        return Rejected(f"amoCRM {self._config.host} {self.kind}: {message}", told=f"amoCRM: {told}"[:255])

    def _located(self, id_: int) -> Located:
        return Located(str(id_), link=f"{self._config.root}/{self.kind}/detail/{id_}")


def _for_known_user(payload: Payload, write: Callable[[Payload], T]) -> T:
    """What `write` returns; without the responsible user if amoCRM knows nobody of that number (onec.md D3 #21)."""
    try:
        return write(payload)
    except UnknownUser:
        return write({**payload, "responsible_user_id": None})


def _id_1c(payload: Payload) -> str:
    id_ = str(payload.get("id_1c") or "").strip()
    return "" if id_.startswith(BY_AMO_ID) else id_
