"""Merging duplicates: the loser disappears, its deals and what the winner lacks move over (facts/bitrix24.md §11)."""

from dataclasses import replace

from sandbox.bitrix24 import writes
from sandbox.bitrix24.entities import CONTACTS, DEALS
from sandbox.bitrix24.table import Row

# Every row has its own, so they never are a conflict.
OWN = {"ASSIGNED_BY_ID", "UF_CRM_SYNC_STATUS"}


def merge(loser_id: int, winner_id: int, context: writes.Context) -> Row:
    """The winning contact; raises KeyError for an unknown one, ValueError for a contact and itself."""
    if loser_id == winner_id:
        raise ValueError("a contact cannot be merged into itself")
    rows = context.store.table(CONTACTS).rows
    loser, winner = rows[loser_id], rows[winner_id]
    values = {code: value for code, value in loser.values.items() if _is_lacked(code, winner)}
    values |= {code: _united(code, loser, winner) for code in loser.values if CONTACTS.schema[code].is_multifield}
    _move_deals(loser_id, winner_id, context)
    writes.update(CONTACTS, winner, values, context, touches=True)
    writes.remove(CONTACTS, loser_id, context)
    return winner


def conflicts(loser: Row, winner: Row) -> list[str]:
    """Fields that both have filled in, and differently: a person has to choose."""
    return [
        code
        for code, value in loser.values.items()
        if value and winner.values.get(code) not in (None, "", [], False, value) and not _is_settled(code)
    ]


def _is_settled(code: str) -> bool:
    field = CONTACTS.schema[code]
    return field.is_read_only or field.is_multifield or field.is_multiple or code in OWN


def _is_lacked(code: str, winner: Row) -> bool:
    field = CONTACTS.schema[code]
    return not (field.is_read_only or field.is_multifield or winner.values.get(code))


def _united(code: str, loser: Row, winner: Row) -> list[dict[str, str]]:
    held = winner.values.get(code, [])
    known = {one["VALUE"] for one in held}
    return [*held, *(one for one in loser.values[code] if one["VALUE"] not in known)]


def _move_deals(loser_id: int, winner_id: int, context: writes.Context) -> None:
    """Also those where the loser is not the primary contact; a deal of both is the winner's once."""
    relation, deals = context.store.contacts_of_deals, context.store.table(DEALS).rows
    for deal_id in relation.far.others(loser_id):
        links = [
            replace(link, other=winner_id if link.other == loser_id else link.other)
            for link in relation.near.of(deal_id)
        ]
        writes.relink(DEALS, relation, deal_id, links, context)
        if context.switches.merge_touches_deals:
            writes.touch(deals[deal_id], context)
