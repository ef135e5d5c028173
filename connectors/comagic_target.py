"""Contacts and deals of a CoMagic account: what is sent, many together where the vendor can (facts/comagic.md §6-§8).

Both are known by our own `ext_id`, so no write needs to be looked up before it is repeated.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.base import Found, WriteClass
from connectors.coalesce import Coalescer
from connectors.comagic_answer import Duplicate, NotFound
from connectors.comagic_api import Api
from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from connectors.comagic_config import CoMagicConfig

Wire = dict[str, Any]


class Contacts:
    """Contact cards. Creations of concurrent callers leave together; an update is a call of its own."""

    write_class = WriteClass.UPSERT
    updates = True

    def __init__(self, api: Api, config: "CoMagicConfig") -> None:
        self.settle = config.settle
        self._api, self._config = api, config
        self._creations: Coalescer[Wire, None] = Coalescer(
            self._create, limit=config.rows_per_call, pause=api.points.pace
        )

    def find(self, key: str) -> Found | None:  # noqa: ARG002 - writes are repeatable, so nothing is looked up
        return None

    def create(self, payload: Mapping[str, Any]) -> str:
        """As `TargetEntity`. What exists already is our own earlier write, and is overwritten."""
        contact = self._wire(payload)
        try:
            _submit(self._creations, contact)
        except Duplicate:
            if not self._update(contact):
                raise
        return str(contact["ext_id"])

    def match(self, payload: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - nothing but our key tells who is who
        return None

    def update(self, id_: str, payload: Mapping[str, Any]) -> str | None:
        return id_ if self._update(self._wire(payload) | {"ext_id": id_}) else None

    def _create(self, contacts: list[Wire]) -> list[None]:
        self._api.write("create.deal_contacts", {"contacts": contacts}, rows=contacts)
        return [None] * len(contacts)

    def _update(self, contact: Wire) -> bool:
        """Whether there was one. A list that is not sent would stay as it is."""
        try:
            self._api.write("update.deal_contacts", {"phone_numbers": [], "emails": [], **contact})
        except NotFound:
            return False
        return True

    def _wire(self, payload: Mapping[str, Any]) -> Wire:
        contact = in_zone(payload, self._config.timezone)
        if "phone_numbers" in contact:
            plus = "+" if self._config.phone_plus else ""
            contact["phone_numbers"] = [plus + phone.removeprefix("+") for phone in contact["phone_numbers"]]
        return contact


class Deals:
    """Rows of deals' histories: the first creates its deal, each later one is its next stage, in order of arrival."""

    write_class = WriteClass.UPSERT
    updates = True

    def __init__(self, api: Api, config: "CoMagicConfig") -> None:
        self.settle = config.settle
        self._api, self._config = api, config
        self._uploads: Coalescer[Wire, None] = Coalescer(
            self._upload, limit=config.rows_per_call, pause=api.points.pace
        )

    def find(self, key: str) -> Found | None:  # noqa: ARG002 - writes are repeatable, so nothing is looked up
        return None

    def create(self, payload: Mapping[str, Any]) -> str:
        """As `TargetEntity`. ParentMissing if the deal's contact is unknown there."""
        row = in_zone(payload, self._config.timezone)
        if row.get("revenue") is not None:
            row["revenue"] = json_number(row["revenue"])
        if row.get("communication_id") is not None:
            row["communication_id"] = int(row["communication_id"])
        _submit(self._uploads, row)
        return str(row["ext_id"])

    def match(self, payload: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - nothing but our key tells who is who
        return None

    def update(self, id_: str, payload: Mapping[str, Any]) -> str | None:
        return self.create({**payload, "ext_id": id_})

    def _upload(self, rows: list[Wire]) -> list[None]:
        self._api.write("upload.deals_history", {"deals": rows}, rows=rows)
        return [None] * len(rows)


def _submit(coalescer: Coalescer[Wire, None], item: Wire) -> None:
    (result,) = coalescer.submit([item])
    if isinstance(result, ConnectorError):
        raise _own(result)


def _own(error: ConnectorError) -> ConnectorError:
    """A copy for this thread: all callers of a failed call share one error, and raising writes into it."""
    own = type(error).__new__(type(error), *error.args)
    own.__dict__.update(error.__dict__)
    return own


def in_zone(payload: Mapping[str, Any], zone: ZoneInfo) -> Wire:
    """With each `…_date_time`, ISO with offset, as the account's own naive time in whole seconds."""
    return {
        name: local(value, zone) if name.endswith("_date_time") and value is not None else value
        for name, value in payload.items()
    }


def local(text: str, zone: ZoneInfo) -> str:
    """`2025-03-04T10:00:00+05:00` → `2025-03-04 08:00:00` in Moscow. ValueError if `text` has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def json_number(text: str) -> int | float:
    amount = Decimal(text)
    return int(amount) if amount == amount.to_integral_value() else float(amount)
