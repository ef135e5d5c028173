"""amoCRM's webhooks: forms nested as PHP nests them, that say what changed (facts/amocrm.md §14).

They come late, twice, out of order or never, and nobody signs them: a hint to look, no more. So only ids are read, by a
pattern and not by building what the keys describe: odd, deep or contradicting keys cannot do harm. Quirks, pinned by
tests/unit/test_web_amocrm_hooks.py: companies come as contacts with a type, deletions without it, or as bare ids.
"""

import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from connectors.amocrm_shapes import embedded
from connectors.base import Finding
from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from connectors.amocrm_api import Api

MOST_IDS = 1000
"""Of one kind in one body: amoCRM tells of a few dozen. Polling finds the rest."""
PEOPLE = ("contacts", "companies")
TYPES: Mapping[bytes | None, tuple[str, ...]] = {b"contact": ("contacts",), b"company": ("companies",)}
"""What is told under `contacts`; without a type it may be either."""
HEADS = (b"contacts", b"companies", b"leads", b"account")
_OPEN, _CLOSE = r"(?:\[|%5[Bb])", r"(?:\]|%5[Dd])"
_DEED = rf"{_OPEN}(add|update|delete|restore|responsible|status){_CLOSE}"
_ITEM = rf"(?:{_OPEN}([0-9]{{1,9}}){_CLOSE}(?:{_OPEN}(id|type){_CLOSE})?)?"
EVENT = re.compile(rf"(contacts|companies|leads){_DEED}{_ITEM}=([a-z0-9]{{1,18}})".encode())
"""`leads[add][0][id]=5`, `leads[delete][0]=5` and `leads[delete]=5` alike; brackets may be escaped."""
ACCOUNT = re.compile(rf"account{_OPEN}id{_CLOSE}=([0-9]{{1,18}})".encode())

Item = tuple[bytes, bytes, bytes | None]
"""Which of a body's items: what it is filed under, what happened to it, its number."""

SINGULAR = {"contacts": "contact", "companies": "company", "leads": "lead"}
TELLING = ("add", "update", "responsible", "restore")
"""What a webhook must tell of each kind. A deletion is nothing to read, and found by the next poll."""


@dataclass(frozen=True)
class News:
    """What one body tells: by kind of entity, the ids of what changed; and the accounts that it says it comes from."""

    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    accounts: frozenset[int] = frozenset()

    def is_of(self, account_id: int | None) -> bool:
        """Whether it names no other account. The id decides: the subdomain changes when an account is renamed."""
        return account_id is None or self.accounts <= {account_id}


def is_from(token: str | None, given: str) -> bool:
    """Whether the sender knows the secret end of the address; takes as long for any wrong one, and for none."""
    is_same = hmac.compare_digest(given.encode("utf-8", "surrogatepass"), (token or "").encode())
    return is_same and bool(token)


def read_news(body: bytes) -> News:
    """What a body tells. Whatever is in it, nothing is raised; what is not understood is left out."""
    types: dict[Item, bytes] = {}
    told: list[tuple[Item, bytes]] = []
    accounts: set[int] = set()
    for pair in body.split(b"&"):
        if not pair.startswith(HEADS):
            continue
        if found := EVENT.fullmatch(pair):
            top, deed, index, key, value = found.groups()
            item = top, deed, index
            if key == b"type":
                types[item] = value
            elif value.isdigit() and value.strip(b"0"):
                told.append((item, value))
        elif named := ACCOUNT.fullmatch(pair):
            accounts.add(int(named[1]))
    ids: dict[str, dict[str, None]] = {}
    for item, value in told:
        for kind in _kinds(item[0], types.get(item)):
            ids.setdefault(kind, {})[value.decode()] = None
    return News({kind: tuple(islice(each, MOST_IDS)) for kind, each in ids.items()}, frozenset(accounts))


def findings(api: "Api", entity: str) -> Iterator[Finding]:
    """For `parom check`: whether amoCRM calls us when one of `entity` changes. Without it, polls find what changed.

    Ours is every webhook that ends in our token. None of this is an error, and no address is shown.
    """
    token = api.config.webhook_token
    if token is None or entity not in SINGULAR:
        return
    try:
        body = api.get("webhooks").body
    except ConnectorError as error:
        yield Finding("warning", str(error), "webhooks can be checked with an administrator's token only")
        return
    ours = [hook for hook in embedded(body if isinstance(body, dict) else {}, "webhooks") if _ends_in(hook, token)]
    working = [hook for hook in ours if hook.get("disabled") is not True]
    if not ours:
        text = f"{api.name}: no webhook leads to us: changes of {entity} wait for the next poll"
        yield Finding("warning", text, "add https://YOUR-HOST/hooks/amocrm/CONNECTION/ and webhook_token in amoCRM")
    elif not working:
        text = f"{api.name}: amoCRM switched our webhook off, for it got too few good answers"
        yield Finding("warning", text, "see that `parom web` is reached at that address, and save the webhook again")
    elif lacking := _wanted(entity) - {one for hook in working for one in _told(hook)}:
        text = f"{api.name}: our webhook does not tell of {', '.join(sorted(lacking))}"
        yield Finding("warning", text, "tick these events in its settings")
    else:
        yield Finding("ok", f"{api.name}: a webhook tells of changed {entity}")


def _kinds(top: bytes, type_: bytes | None) -> tuple[str, ...]:
    return TYPES.get(type_, PEOPLE) if top == b"contacts" else (top.decode(),)


def _wanted(entity: str) -> set[str]:
    told = {f"{deed}_{SINGULAR[entity]}" for deed in TELLING}
    return told | {"status_lead"} if entity == "leads" else told


def _told(hook: Mapping[str, Any]) -> list[str]:
    settings = hook.get("settings")
    return [str(each) for each in settings] if isinstance(settings, list) else []


def _ends_in(hook: Mapping[str, Any], token: str) -> bool:
    try:
        path = urlsplit(str(hook.get("destination"))).path
    except ValueError:
        return False
    return unquote(path.rstrip("/").rpartition("/")[2]) == token
