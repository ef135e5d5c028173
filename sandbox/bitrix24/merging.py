"""Merging duplicates: the loser disappears, its deals and what the winner lacks move over (facts/bitrix24.md §11)."""

from sandbox.bitrix24 import entities
from sandbox.bitrix24.entities import CONTACTS, Context
from sandbox.bitrix24.portal import Portal
from sandbox.bitrix24.table import Row
from sandbox.bitrix24.values import to_int


def merge(portal: Portal, loser_id: int, winner_id: int, context: Context) -> Row:
    """The winning contact; raises KeyError for an unknown one, ValueError for a contact and itself."""
    if loser_id == winner_id:
        raise ValueError("a contact cannot be merged into itself")
    rows = portal.tables["contact"].rows
    loser, winner = rows[loser_id], rows[winner_id]
    _complete(winner, loser)
    CONTACTS.derive(winner, context)
    entities.touch(winner, context)
    for deal in portal.tables["deal"].rows.values():
        if to_int(deal.values.get("CONTACT_ID")) == loser_id:
            deal.put("CONTACT_ID", str(winner_id))
            if portal.switches.merge_touches_deals:
                entities.touch(deal, context)
    portal.remove(CONTACTS, loser_id)
    return winner


def _complete(winner: Row, loser: Row) -> None:
    """Phones and the like are united, other fields are taken only where the winner has nothing."""
    for code, value in loser.values.items():
        field = CONTACTS.schema[code]
        if field.is_multifield:
            held = winner.values.get(code, [])
            known = {item["VALUE"] for item in held}
            winner.put(code, held + [item for item in value if item["VALUE"] not in known])
        elif not field.is_read_only and not winner.values.get(code):
            winner.put(code, value)
