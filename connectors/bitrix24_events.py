"""Bitrix24's outgoing webhooks: a form that says what changed, by id only (facts/bitrix24.md §10).

They come late, twice, out of order or never, and prove nothing but the knowledge of a token: a hint to look, no more.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

ENTITIES = {"ONCRMCONTACT": "contacts", "ONCRMDEAL": "deals"}
EVENT = re.compile(r"(ONCRM[A-Z]+?)(ADD|UPDATE|DELETE)")
ID = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Event:
    """Something happened to one entity; `entity` is a name of `connectors/bitrix24.py`."""

    entity: str
    id: str


def is_from(token: str, form: Mapping[str, str]) -> bool:
    """Whether the sender knows the token of the webhook's form; takes as long for any wrong one."""
    given = form.get("auth[application_token]", "")
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def read_event(form: Mapping[str, str]) -> Event | None:
    """What the form tells, or None if it tells of nothing that we carry. A deletion is no change to carry."""
    name = EVENT.fullmatch(form.get("event", "").upper())
    entity = ENTITIES.get(name[1]) if name and name[2] != "DELETE" else None
    id_ = form.get("data[FIELDS][ID]", "")
    return Event(entity, id_) if entity and ID.fullmatch(id_) else None
