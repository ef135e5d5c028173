"""Every move of a deal, append-only under growing ids (facts/bitrix24.md §7.3)."""

from sandbox.bitrix24.table import Row, Table
from sandbox.bitrix24.values import to_int

CREATED, MOVED, FINISHED, CHANGED_PIPELINE = 1, 2, 3, 5

Place = tuple[str, str]


def place_of(deal: Row) -> Place:
    """Pipeline and stage."""
    return deal.values.get("CATEGORY_ID", "0"), deal.values.get("STAGE_ID", "")


def begun(history: Table, deal: Row, *, born: float) -> None:
    _append(history, deal, CREATED, deal.values["DATE_CREATE"], born)


def moved(history: Table, deal: Row, before: Place, now: str, *, born: float) -> None:
    """Nothing if the deal is where it was."""
    after = place_of(deal)
    if after == before:
        return
    kind = MOVED if deal.values["STAGE_SEMANTIC_ID"] == "P" else FINISHED
    _append(history, deal, kind if after[0] == before[0] else CHANGED_PIPELINE, now, born)


def _append(history: Table, deal: Row, kind: int, moment: str, born: float) -> None:
    category, stage = place_of(deal)
    values = {
        "TYPE_ID": kind,
        "OWNER_ID": deal.id,
        "CREATED_TIME": moment,
        "CATEGORY_ID": to_int(category),
        "STAGE_SEMANTIC_ID": deal.values["STAGE_SEMANTIC_ID"],
        "STAGE_ID": stage,
    }
    history.add(values, born=born)
