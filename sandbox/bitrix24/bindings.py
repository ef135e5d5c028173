"""`crm.contact.company.*`, `crm.company.contact.*`, `crm.deal.contact.*`: who belongs to whom (§6.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.bitrix24 import writes
from sandbox.bitrix24.entities import COMPANIES, CONTACTS, DEALS, Entity
from sandbox.bitrix24.errors import bad_owner, not_array, not_found
from sandbox.bitrix24.fields import Field
from sandbox.bitrix24.links import SORT_STEP, Link, Side
from sandbox.bitrix24.listing import Result
from sandbox.bitrix24.method import Method, Params, fields_of
from sandbox.bitrix24.php import items_of
from sandbox.bitrix24.store import Relation, Store
from sandbox.bitrix24.table import Row
from sandbox.bitrix24.values import to_int
from sandbox.wire import Kind

if TYPE_CHECKING:
    from sandbox.bitrix24.portal import Portal


@dataclass(frozen=True, slots=True)
class Binding:
    """`owner` has links to others, whose id is in `code`."""

    owner: Entity
    code: str
    relation: Callable[[Store], Relation]

    def side(self, store: Store) -> Side:
        relation = self.relation(store)
        return relation.near if relation.entity is self.owner else relation.far

    def row(self, portal: "Portal", params: Params) -> Row:
        """Raises Refusal, in some versions of the vendor with HTTP 200."""
        status = portal.switches.link_error_status
        owner_id = to_int(params.get("id"))
        if owner_id <= 0:
            raise bad_owner(status)
        row = portal.store.table(self.owner).rows.get(owner_id)
        if row is None or not portal.is_readable(row):
            raise not_found(status)
        return row

    def replace(self, portal: "Portal", row: Row, links: list[Link]) -> bool:
        context = portal.context()
        is_changed = writes.relink(self.owner, self.relation(portal.store), row.id, links, context)
        if is_changed and portal.switches.links_touch:
            writes.touch(row, context)
        return is_changed


Run = Callable[[Binding, "Portal", Params], Result]


def _get(binding: Binding, portal: "Portal", params: Params) -> Result:
    row = binding.row(portal, params)
    return Result([_shown(binding, link) for link in binding.side(portal.store).of(row.id)])


def _set(binding: Binding, portal: "Portal", params: Params) -> Result:
    row = binding.row(portal, params)
    if not isinstance(params.get("items"), list | dict):
        raise not_array("items")
    given = [_link(binding, item, SORT_STEP * number) for number, item in enumerate(items_of(params["items"]), 1)]
    binding.replace(portal, row, [link for link in given if link])
    return Result(value=True)


def _clear(binding: Binding, portal: "Portal", params: Params) -> Result:
    binding.replace(portal, binding.row(portal, params), [])
    return Result(value=True)


def _add(binding: Binding, portal: "Portal", params: Params) -> Result:
    """False when they are linked already."""
    row, side = binding.row(portal, params), binding.side(portal.store)
    link = _link(binding, fields_of(params), side.next_sort(row.id))
    if link is None:
        raise not_found(portal.switches.link_error_status)
    held = side.of(row.id)
    if link.other in {known.other for known in held}:
        return Result(value=False)
    if link.is_primary:
        held = [Link(known.other, known.sort) for known in held]
    binding.replace(portal, row, [*held, link])
    return Result(value=True)


def _delete(binding: Binding, portal: "Portal", params: Params) -> Result:
    row = binding.row(portal, params)
    other = to_int(fields_of(params).get(binding.code))
    left = [link for link in binding.side(portal.store).of(row.id) if link.other != other]
    return Result(value=binding.replace(portal, row, left))


def _fields(binding: Binding, _portal: "Portal", _params: Params) -> Result:
    fields = (
        Field(code=binding.code, type="integer"),
        Field(code="SORT", type="integer"),
        Field(code="ROLE_ID", type="integer"),
        Field(code="IS_PRIMARY", type="char"),
    )
    return Result({field.code: field.described() for field in fields})


def _shown(binding: Binding, link: Link) -> dict[str, Any]:
    return {
        binding.code: link.other,
        "SORT": link.sort,
        "ROLE_ID": 0,
        "IS_PRIMARY": "Y" if link.is_primary else "N",
    }


def _link(binding: Binding, item: Any, sort: int) -> Link | None:
    if not isinstance(item, dict) or to_int(item.get(binding.code)) <= 0:
        return None
    return Link(to_int(item[binding.code]), to_int(item.get("SORT")) or sort, item.get("IS_PRIMARY") == "Y")


def _bound(binding: Binding, act: Run) -> Callable[["Portal", Params], Result]:
    return lambda portal, params: act(binding, portal, params)


ACTS: dict[str, tuple[Run, Kind]] = {
    "items.get": (_get, "read"),
    "items.set": (_set, "write"),
    "items.delete": (_clear, "write"),
    "add": (_add, "write"),
    "delete": (_delete, "write"),
    "fields": (_fields, "other"),
}
BOUND = {
    "crm.contact.company": Binding(CONTACTS, "COMPANY_ID", lambda store: store.companies_of_contacts),
    "crm.company.contact": Binding(COMPANIES, "CONTACT_ID", lambda store: store.companies_of_contacts),
    "crm.deal.contact": Binding(DEALS, "CONTACT_ID", lambda store: store.contacts_of_deals),
}
BINDINGS = {
    f"{prefix}.{verb}": Method(_bound(binding, act), "crm", kind, binding.owner.name)
    for prefix, binding in BOUND.items()
    for verb, (act, kind) in ACTS.items()
}
