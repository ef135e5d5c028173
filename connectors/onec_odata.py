"""1C:Enterprise over its standard OData interface: Interests to read, and one attribute for notes (facts/onec.md A, B).

Auth: HTTP Basic of a base's user, in UTF-8. Limits: no rate, but few calls at a time, for each holds a session. Quirks,
pinned by tests/unit/test_connector_onec_odata.py: nothing tells when an object changed; times bear no offset; GUIDs
cannot be compared, so pages are counted; an error comes in any of four formats, and its status says little; 401 may
mean rights; a session that ended answers 400, 404, 406 or 500; a mistyped name in a filter finds nothing, in silence.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.base import FieldNeed, Finding, Health, TargetEntity
from connectors.errors import ConnectorError
from connectors.onec_odata_base import Base
from connectors.onec_odata_config import OneCConfig
from connectors.onec_odata_contacts import ContactInformation
from connectors.onec_odata_errors import PUBLISH_HINT, RIGHTS_HINT
from connectors.onec_odata_interest import PERSONS, Interests, moment
from connectors.onec_odata_metadata import Catalogue, Catalogues
from connectors.onec_odata_source import InterestSource

if TYPE_CHECKING:
    from redis import Redis

ENTITIES = ("interests",)
LARGEST_SKEW = timedelta(seconds=60)
ATTRIBUTE_OF: Mapping[str, tuple[str, ...]] = {
    "id": (),
    "name": ("name",),
    "created_at": ("date",),
    "stage": ("stage",),
    "stage_changed_at": ("stage_changed_at",),
    "modified_at": ("modified_at",),
    "revenue": ("revenue",),
    "comment": ("comment",),
    "phones": PERSONS,
    "emails": PERSONS,
    "communication_id": ("communication_id",),
    "communication_type": ("communication_type",),
    "is_deleted": (),
    "data_version": (),
}
"""Fields of a row, and the keys of the configuration that name what they are read from: one of them is needed."""


class OneC:
    """A base. Its Interests can be read, and take notes if an attribute is set aside for them."""

    def __init__(
        self,
        config: OneCConfig,
        redis: "Redis",
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._base = Base(config, redis, sleep=sleep, clock=clock)
        self._sources = {"interests": InterestSource(self._base, config)}
        self._catalogues = Catalogues(self._base.metadata, clock=clock)

    def source(self, entity: str) -> InterestSource:
        return self._sources[entity]

    def target(self, entity: str) -> TargetEntity:
        raise KeyError(entity)

    def headroom(self) -> int:
        return self._base.http.headroom(calls_per_record=1)

    def health(self) -> Health:
        return self._base.http.health()

    def probe(self) -> None:
        self._base.service()

    def check(self, entity: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        """The login, the clocks, every configured name, the right to read each set; `needs` name fields of a row."""
        self._sources[entity]
        if self._config.base_url.startswith("http://"):
            yield self._finding("warning", "people's data and the password travel unencrypted", "use https://")
        try:
            yield self._check_clock(self._base.service().server_time)
            yield from self._check_names(self._catalogues.current())
            yield from self._check_rights()
            yield from self._check_zone()
        except ConnectorError as error:
            yield Finding("error", str(error), "what comes after it could not be checked")
        yield from (self._needed(need) for need in needs)

    def _check_clock(self, theirs: datetime) -> Finding:
        skew = abs(theirs - datetime.now(UTC))
        if skew > LARGEST_SKEW:
            text = f"its clock and ours differ by {skew.total_seconds():.0f} s"
            return self._finding("warning", text, "nothing is lost by it, but times in reports will look odd")
        return self._finding("ok", "the base answers to this login, and the clocks agree")

    def _check_names(self, catalogue: Catalogue) -> Iterator[Finding]:
        for set_, names in self._used().items():
            if set_ not in catalogue.sets:
                close = catalogue.close_to(set_)
                hint = f"did you mean {close}? If not, {PUBLISH_HINT}" if close else PUBLISH_HINT
                yield self._finding("error", f"{set_} is not published", hint)
                continue
            lost = [name for name in names if name not in catalogue.sets[set_]]
            for name in lost:
                close = catalogue.close_property(set_, name)
                hint = f"did you mean {close}?" if close else "an empty name switches it off"
                yield self._finding("error", f"{set_} has no attribute {name}", hint)
            if not lost:
                yield self._finding("ok", f"{set_} is published, with all {len(names)} attributes")

    def _check_rights(self) -> Iterator[Finding]:
        for set_ in self._used():
            try:
                self._base.rows(set_, {"$top": "1", "$select": "Ref_Key" if self._is_interest(set_) else self._owner})
            except ConnectorError as error:
                yield Finding("error", str(error), RIGHTS_HINT)
            else:
                yield self._finding("ok", f"{set_} can be read")

    def _check_zone(self) -> Iterator[Finding]:
        """A wrong zone shows where the newest Interest lies in the future."""
        date = self._config.interest.date
        options = {"$top": "1", "$orderby": f"{date} desc", "$select": f"Ref_Key,{date}"}
        told = self._base.rows(self._config.interest.set, options)
        newest = moment(told.content[0].get(date), self._config.timezone) if told.content else None
        if newest and newest > told.server_time + LARGEST_SKEW:
            ahead = (newest - told.server_time).total_seconds() / 60
            text = f"the newest Interest is dated {ahead:.0f} minutes ahead, by {self._config.timezone.key}"
            yield self._finding("warning", text, "is timezone that of the 1C server?")

    def _needed(self, need: FieldNeed) -> Finding:
        if need.code == self._config.status_attribute and need.code:
            return self._finding("ok", f"field {need.code} ({need.label})")
        if need.code not in ATTRIBUTE_OF or need.writable:
            return self._finding("error", f"field {need.code} ({need.label}) does not exist", "see status_attribute")
        keys = ATTRIBUTE_OF[need.code]
        if keys and not any(getattr(self._config.interest, key) for key in keys):
            hint = f"name its attribute in interest.{keys[0]}"
            return self._finding("warning", f"field {need.code} ({need.label}) is switched off", hint)
        return self._finding("ok", f"field {need.code} ({need.label})")

    def _used(self) -> dict[str, list[str]]:
        """Every set that is read, and its attributes that are."""
        config, contacts = self._config, ContactInformation(self._base, self._config)
        interests = Interests(config.interest, config.timezone, status_attribute=config.status_attribute)
        persons = [person for person in PERSONS if getattr(config.interest, person)]
        sets = {contacts.set_of(person): contacts.select() for person in persons if contacts.set_of(person)}
        return {config.interest.set: interests.select(), **sets}

    @property
    def _owner(self) -> str:
        return self._config.contacts.owner

    def _is_interest(self, set_: str) -> bool:
        return set_ == self._config.interest.set

    def _finding(self, level: Any, text: str, hint: str = "") -> Finding:
        return Finding(level, f"{self._base.title}: {text}", hint)
