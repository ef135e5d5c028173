"""Where a poll of an amoCRM list goes on: lists have page numbers only, and entities change while we read (§5).

A place is a short text, its numbers behind the mode, for the engine keeps it between two pages. The modes:
    asc       by time of change, from a second on; what follows begins anew at the last second seen
    within    the entities of one second, which fill whole pages, by id
    desc      by time of change, backwards, where filters do not work
    every     all entities, by id, for those of one second and before: where desc meets a second that fills a page
    gone      as desc, of deleted entities
    everygone as every, of deleted entities
A page number shifts when entities come or go, so each page overlaps the one before: as long as it shows again what was
seen last, nothing was passed over. If it does not, that list is read from its beginning.
"""

from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Literal, get_args

Mode = Literal["asc", "within", "desc", "every", "gone", "everygone"]
MODES: tuple[Mode, ...] = get_args(Mode)
BY_ID: Mapping[Mode, Mode] = {"asc": "within", "desc": "every", "gone": "everygone"}
"""How a second is read that fills a page: entities of one second may have another order each time."""
OF_DELETED: Collection[Mode] = ("gone", "everygone")
OVERLAP_SHARE = 25
"""A page of 250 shows again at least the last 10 of the page before."""


@dataclass(frozen=True)
class Place:
    """`covered` entities of the list were read, by id up to `last_id`; `second` is Unix time.

    `again` is how often the list was begun anew. Of what is read here, all up to the rank (`order`, `shown_id`) was
    shown, if there is such an id.
    """

    mode: Mode
    second: int
    covered: int = 0
    last_id: int = 0
    again: int = 0
    order: int = 0
    shown_id: int = 0

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Of a text that `str` made."""
        name, *numbers = text.split()
        mode = next(mode for mode in MODES if mode == name)
        return cls(mode, *map(int, numbers))

    def anew(self) -> "Place":
        """The beginning of the same list."""
        return Place(self.mode, self.second if self.mode in BY_ID.values() else 0, again=self.again + 1)

    def after(self, rank: tuple[int, int]) -> "Place":
        """The same, for what is left of it."""
        return replace(self, order=rank[0], shown_id=rank[1])

    def rank(self, second: int, id_: int) -> tuple[int, int]:
        """Of an entity among those that are read here; what joins them meanwhile ranks last."""
        if self.mode in BY_ID.values():
            return 0, id_
        return (second if self.mode == "asc" else -second), id_

    def has_shown(self, rank: tuple[int, int]) -> bool:
        return self.shown_id > 0 and rank <= (self.order, self.shown_id)

    def __str__(self) -> str:
        return " ".join(map(str, astuple(self)))


def slot(covered: int, rows: int) -> tuple[int, int]:
    """(limit, page) of at most `rows` that begins before `covered` and reaches as far beyond it as can be."""
    before = covered - max(1, rows // OVERLAP_SHARE)
    if covered == 0 or before < rows // 2:
        return rows, 1
    limit = max(range(rows // 2 + 1, rows + 1), key=lambda size: before // size * size + size)
    return limit, before // limit + 1
