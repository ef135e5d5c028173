"""What `parom check` finds out about an amoCRM account, and the one thing that it mends: our own fields."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from connectors.amocrm_account import Account
from connectors.amocrm_api import Api
from connectors.amocrm_config import AmoCrmConfig, claims
from connectors.amocrm_entities import Entities
from connectors.amocrm_fields import TEXTS, Field
from connectors.amocrm_hooks import findings
from connectors.amocrm_shapes import BASE, KINDS, OURS, embedded
from connectors.base import FieldNeed, Finding
from connectors.errors import ConnectorError

STATUS, PIPELINE = "status", "pipeline"
"""Types of `FieldNeed` that are no fields. Codes: "PIPELINE/STATUS" and "PIPELINE", by their numbers."""
PLACE = ("pipeline_id", "status_id")
"""What of a lead may be chosen by its options: of the latter, each must be in one of the chosen pipelines."""
LARGEST_SKEW = 60.0
SOON = timedelta(days=14).total_seconds()
UNCHECKED = "what comes after it could not be checked"
INN_TYPES = (*TEXTS, "numeric", "legal_entity")
PARTS = {"main_contact": "contacts", "company": "companies"}


@dataclass(frozen=True)
class _Ours:
    """A field that we make where it is missing."""

    code: str
    name: str
    type: str = "text"


class Check:
    """The checks of one account."""

    def __init__(self, api: Api, account: Account, kinds: Mapping[str, Entities], config: AmoCrmConfig) -> None:
        self._api, self._account, self._kinds, self._config = api, account, kinds, config
        self._name = api.name

    def run(self, entity: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        """As `Connector.check`. Makes our fields where they are missing: nothing else would."""
        if self._config.base_url.startswith("http://"):
            yield Finding("warning", f"{self._name}: people's data and the token travel unencrypted", "use https://")
        kind = "leads" if entity == "events" else entity
        steps: list[Callable[[], Iterator[Finding]]] = [self._of_account, self._of_token]
        steps.append(partial(self._of_own_fields, kind, needs))
        steps.append(partial(self._of_needs, kind, needs))
        steps.append(self._of_default_user)
        steps.append(partial(findings, self._api, entity))
        try:
            for step in steps:
                yield from step()
        except ConnectorError as error:
            yield Finding("error", str(error), UNCHECKED)

    def _of_account(self) -> Iterator[Finding]:
        body, skew = self._account.shown()
        wanted, found = self._config.account_id, body.get("id")
        zone = _object(_object(body.get("_embedded")).get("datetime_settings")).get("timezone") or "not told"
        if wanted not in (None, found):
            text = f"{self._name}: this is account {found}, configured is {wanted}"
            yield Finding("error", text, "correct account_id or base_url")
        else:
            yield Finding("ok", f"{self._name}: account {found} answers; its time zone is {zone}")
        if body.get("subdomain") not in (None, self._config.subdomain) and not self._config.host.startswith("127."):
            text = f"{self._name}: the account's address begins with {body['subdomain']} now"
            yield Finding("warning", text, "change base_url")
        if abs(skew) > LARGEST_SKEW:
            hint = "nothing is lost by it, but tokens may end and tasks fall due at odd times"
            yield Finding("warning", f"{self._name}: its clock and ours differ by {abs(skew):.0f} s", hint)
        else:
            yield Finding("ok", f"{self._name}: the clocks agree")
        if self._account.has("changes"):
            yield Finding("ok", f"{self._name}: lists can be filtered")
        else:
            text = f"{self._name}: lists cannot be filtered in this account: it takes more calls to find something"
            yield Finding("warning", text, "ask amoCRM's support for filtering by API")

    def _of_token(self) -> Iterator[Finding]:
        ends = claims(self._config.token or "").get("exp")
        if isinstance(ends, int | float) and ends - time.time() < SOON:
            days = max(0, round((ends - time.time()) / 86400))
            yield Finding(
                "warning", f"{self._name}: the long-lived token ends in {days} days", "make a new one in time"
            )

    def _of_own_fields(self, kind: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        """Fields that people are to see, and only the API is to write."""
        ours = [_Ours(self._config.id_field, "Идентификатор 1С"), _Ours(self._config.link_field, "Ссылка в 1С", "url")]
        if kind == "leads":
            ours.append(_Ours(self._config.number_field, "Номер заказа 1С"))
        ours += [_Ours(need.code, need.label) for need in needs if need.writable and need.code.startswith(OURS)]
        for each in ours:
            yield self._own_field(kind, each)
        if kind == "companies" and self._config.inn_field:
            yield self._field(kind, FieldNeed(self._config.inn_field, "ИНН", INN_TYPES))

    def _own_field(self, kind: str, ours: _Ours) -> Finding:
        fields = self._kinds[kind].fields
        if found := fields.find(ours.code):
            if found.type in TEXTS:
                return Finding("ok", f"{self._name}: {kind} have the field {ours.code}")
            text = f"{self._name}: field {ours.code} of {kind} is of type {found.type}, and must be a text"
            return Finding("error", text, "name another field in the configuration")
        if ours.code.isdecimal():
            return Finding("error", f"{self._name}: {kind} have no field {ours.code}", "correct its number")
        try:
            fields.create(code=ours.code, name=ours.name, type_=ours.type)
        except ConnectorError as error:
            return Finding("error", str(error), f"create a text field with the code {ours.code} for {kind}")
        return Finding("ok", f"{self._name}: {kind} have the field {ours.code} now")

    def _of_needs(self, kind: str, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        places = [need for need in needs if need.types in ((STATUS,), (PIPELINE,)) or _is_choice_of_place(need)]
        if places:
            yield from self._of_places(places)
        named = {need.code for need in needs}
        kinds = [kind, *(part for name, part in PARTS.items() if name in named and kind == "leads")]
        known = {*BASE, *(name for each in kinds for name in KINDS[each])}
        for need in needs:
            is_ours = need.writable and need.code.startswith(OURS)
            if need not in places and need.code not in known and not is_ours:
                holder = next((each for each in kinds if self._kinds[each].fields.find(need.code)), kind)
                yield self._field(holder, need)

    def _field(self, kind: str, need: FieldNeed) -> Finding:
        field = self._kinds[kind].fields.find(need.code)
        faults = list(_faults(need, field))
        about = f"{self._name}: field {need.code} ({need.label}) of {kind}"
        return Finding("error", f"{about} {'; '.join(faults)}") if faults else Finding("ok", about)

    def _of_places(self, needs: Sequence[FieldNeed]) -> Iterator[Finding]:
        body = self._api.get("leads/pipelines").body
        stages = {
            str(each.get("id")): {str(status.get("id")) for status in embedded(each, "statuses")}
            for each in embedded(_object(body), "pipelines")
        }
        for need in needs:
            for what, code, is_there in _places(need, needs, stages):
                text = f"{self._name}: {what} {code} ({need.label})"
                if is_there:
                    yield Finding("ok", text)
                else:
                    yield Finding("error", f"{text} does not exist", "correct it: numbers of pipeline and stage, 1/142")

    def _of_default_user(self) -> Iterator[Finding]:
        user = self._config.default_user
        if user is None:
            return
        try:
            is_there = user in self._active_users()
        except ConnectorError as error:
            yield Finding("warning", str(error), "users can be checked with an administrator's token only")
            return
        if is_there:
            yield Finding("ok", f"{self._name}: user {user} is there")
        else:
            yield Finding("error", f"{self._name}: there is no active user {user}", "correct default_user")

    def _active_users(self) -> Iterator[int]:
        for page in range(1, 21):
            body = self._api.get("users", [("limit", "250"), ("page", str(page))]).body
            for user in embedded(_object(body), "users"):
                if _object(user.get("rights")).get("is_active") is not False and isinstance(user.get("id"), int):
                    yield user["id"]
            if "next" not in _object(_object(body).get("_links")):
                return


def _is_choice_of_place(need: FieldNeed) -> bool:
    return need.code in PLACE and bool(need.options)


def _places(
    need: FieldNeed, needs: Sequence[FieldNeed], stages: Mapping[str, set[str]]
) -> Iterator[tuple[str, str, bool]]:
    """What `need` asks for, by its kind and its code, and whether it is there. `stages` by pipeline."""
    if not _is_choice_of_place(need):
        pipeline, _, status = need.code.partition("/")
        yield need.types[0], need.code, status in stages.get(pipeline, ()) if status else pipeline in stages
        return
    chosen = {str(option) for other in needs if other.code == PLACE[0] for option in other.options}
    counted = [stages[pipeline] for pipeline in stages if pipeline in chosen or not chosen & stages.keys()]
    for code in map(str, sorted(need.options)):
        if need.code == PLACE[0]:
            yield PIPELINE, code, code in stages
        else:
            yield STATUS, code, any(code in each for each in counted)


def _faults(need: FieldNeed, field: Field | None) -> Iterator[str]:
    if field is None:
        yield "does not exist"
        return
    if need.types and field.type not in need.types:
        yield f"is of type {field.type}, expected {' or '.join(need.types)}"
    if need.writable and field.type not in TEXTS:
        yield "cannot take a text"
    if lost := sorted(option for option in need.options if option not in field.enums):
        yield f"has no option {', '.join(map(str, lost))}"


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
