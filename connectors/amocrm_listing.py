"""The parts of a poll: what changed since, page by page, with filters and without (facts/amocrm.md §5).

With filters the list begins anew at the last second seen; that second's entities wait for the next page, so that none
is shown twice. Without them it is read from the latest change backwards, until what changed before the window; where a
second fills a page, everything is looked through by id instead, for no other order of its entities is sure to last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from connectors.amocrm_account import Account
from connectors.amocrm_api import Api, Query
from connectors.amocrm_entities import Entities, Listed
from connectors.amocrm_place import BY_ID, OF_DELETED, Place, slot
from connectors.amocrm_shapes import Shown

NEWEST_FIRST = (("order[updated_at]", "desc"),)
MOST_RESTARTS = 20
"""A list that is torn more often is read as it comes."""
DELETED = (("with", "only_deleted"),)


@dataclass(frozen=True)
class Part:
    """What is read at the place `here`, by rank; where it goes on (None: nowhere).

    `began` is the account's clock when it began to answer.
    """

    here: Place
    rows: tuple[Shown, ...]
    next: Place | None
    began: datetime


class Listing:
    """The changes of one kind of entity."""

    def __init__(self, api: Api, account: Account, entities: Entities) -> None:
        self._api, self._account, self._entities = api, account, entities
        self._rows = api.config.page_rows

    def read(self, place: str | None, since: datetime, *, with_deleted: bool) -> Part:
        """The part at `place`, by default the first of what changed at `since` or later. Raises as a read."""
        begin = int(since.timestamp())
        here = Place.parse(place) if place else self._first(begin)
        part = self._part(here, begin)
        if part is None:
            self._account.distrust("changes")
            part = self._descending(Place("desc", 0), begin)
        if part.next is None and with_deleted and here.mode not in OF_DELETED:
            part = replace(part, next=Place("gone", 0))
        ranked = sorted(part.rows, key=lambda row: self._rank(part.here, row))
        return replace(part, rows=tuple(row for row in ranked if not part.here.has_shown(self._rank(part.here, row))))

    def after(self, part: Part, row: Shown) -> Place:
        """Where those rows of `part` are read again that come after this one."""
        return part.here.after(self._rank(part.here, row))

    def second_of(self, shown: Shown) -> int:
        second = shown.get("updated_at")
        if not isinstance(second, int) or isinstance(second, bool):
            raise self._api.unusable(f"one of {self._entities.kind} does not tell when it changed")
        return second

    def _rank(self, here: Place, row: Shown) -> tuple[int, int]:
        return here.rank(self.second_of(row), row["id"])

    def _first(self, begin: int) -> Place:
        return Place("asc", begin) if self._account.has("changes") else Place("desc", 0)

    def _part(self, here: Place, begin: int) -> Part | None:
        if here.mode == "asc":
            return self._ascending(here)
        return self._by_id(here, begin) if here.mode in BY_ID.values() else self._descending(here, begin)

    def _ascending(self, here: Place) -> Part | None:
        """None if the filter was ignored. Whether it includes its bound is not documented, so we ask a second more."""
        listed = self._since(here.second - 1)
        if not self._is_filtered(listed, here.second - 1):
            return None
        began = listed.reply.began
        if listed.has_next and listed.rows and self.second_of(listed.rows[-1]) < here.second:
            listed = self._since(here.second)  # the page is full of what was seen, so the filter does include its bound
        rows = [row for row in listed.rows if self.second_of(row) >= here.second]
        if not listed.has_next or not rows:
            return Part(here, tuple(rows), None, began)
        last = self.second_of(rows[-1])
        if last == here.second:
            return Part(here, (), Place("within", last), began)
        return Part(here, tuple(row for row in rows if self.second_of(row) < last), Place("asc", last), began)

    def _since(self, second: int) -> Listed:
        query = [("filter[updated_at][from]", str(second)), ("order[updated_at]", "asc")]
        return self._entities.listed(query, limit=self._rows)

    def _is_filtered(self, listed: Listed, second: int) -> bool:
        seconds = [self.second_of(row) for row in listed.rows]
        if any(found < second for found in seconds):
            return False
        self._require_order(seconds)
        return True

    def _by_id(self, here: Place, begin: int) -> Part:
        """Of a second that fills a page: that one alone where filters work, else all that are not shown yet."""
        is_alone = here.mode == "within"
        least, after = (here.second, Place("asc", here.second + 1)) if is_alone else (begin, None)
        limit, page = slot(here.covered, self._rows)
        listed = self._entities.listed([*self._only(here), ("order[id]", "asc")], limit=limit, page=page)
        ids = [row["id"] for row in listed.rows]
        self._require_order(ids)
        began = listed.reply.began
        if here.covered and (not ids or ids[0] > here.last_id):
            return Part(here, (), here.anew(), began)
        rows = [row for row in listed.rows if row["id"] > here.last_id]
        fresh = tuple(row for row in rows if least <= self.second_of(row) <= here.second)
        if not listed.has_next:
            return Part(here, fresh, after, began)
        covered = (page - 1) * limit + len(listed.rows)
        if covered <= here.covered:
            raise self._api.unusable(f"pages of {self._entities.kind} hold less than they should: lower page_rows")
        return Part(here, fresh, Place(here.mode, here.second, covered, ids[-1], here.again), began)

    def _descending(self, here: Place, begin: int) -> Part:
        """Each page begins above the last second seen, which may have been shown in part, and in any order.

        What changed later than that was seen as well, or is for the next poll to show.
        """
        limit, page = slot(here.covered, self._rows)
        listed = self._entities.listed([*self._only(here), *NEWEST_FIRST], limit=limit, page=page)
        seconds = [self.second_of(row) for row in listed.rows]
        self._require_order([-second for second in seconds])
        began, passed = listed.reply.began, (page - 1) * limit
        is_joined = not passed or (seconds and seconds[0] > here.second)
        if not is_joined and here.again < MOST_RESTARTS:
            return Part(here, (), here.anew(), began)
        unseen = [row for row in listed.rows if not here.covered or self.second_of(row) <= here.second]
        if not listed.has_next or not seconds or seconds[-1] < begin:
            return Part(here, tuple(row for row in unseen if self.second_of(row) >= begin), None, began)
        last = seconds[-1]
        fresh = tuple(row for row in unseen if self.second_of(row) > last)
        if last in (here.second, seconds[0]):
            return Part(here, fresh, Place(BY_ID[here.mode], last), began)
        return Part(here, fresh, Place(here.mode, last, passed + seconds.index(last), again=here.again), began)

    def _only(self, here: Place) -> Query:
        """Filters may leave out what lies on their bounds; the second that is meant does not."""
        if here.mode == "within":
            bounds = ("from", here.second - 1), ("to", here.second + 1)
            return [(f"filter[updated_at][{end}]", str(second)) for end, second in bounds]
        return DELETED if here.mode in OF_DELETED else ()

    def _require_order(self, values: Sequence[int]) -> None:
        if any(later < earlier for earlier, later in pairwise(values)):
            raise self._api.unusable(f"a page of {self._entities.kind} is out of order")
