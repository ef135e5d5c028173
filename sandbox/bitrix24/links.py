"""Who belongs to whom: contacts and companies, deals and contacts (facts/bitrix24.md §6.4). Both ends see a link."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

SORT_STEP = 10


@dataclass(frozen=True, slots=True)
class Link:
    """One end's view: `other` is at the far end, one link of every owner is primary."""

    other: int
    sort: int
    is_primary: bool = False


Ends = dict[int, dict[int, Link]]


class Side:
    """The links as seen from one end; whatever changes here changes at the far end too."""

    def __init__(self, mine: Ends, theirs: Ends) -> None:
        self._mine = mine
        self._theirs = theirs

    def of(self, owner: int) -> list[Link]:
        return sorted(self._mine.get(owner, {}).values(), key=lambda link: link.sort)

    def others(self, owner: int) -> list[int]:
        """The far ends, the primary one first."""
        return [link.other for link in sorted(self.of(owner), key=lambda link: not link.is_primary)]

    def set(self, owner: int, links: Iterable[Link]) -> bool:
        """Exactly these; the first is primary unless another says so. Whether anything changed."""
        before, wanted = self.of(owner), {link.other: link for link in links}
        for link in before:
            if link.other not in wanted:
                self._drop(owner, link.other)
        for link in wanted.values():
            self._put(owner, link)
        _appoint(self._mine.get(owner, {}))
        return self.of(owner) != before

    def next_sort(self, owner: int) -> int:
        return _after(self._mine.get(owner, {}))

    def _put(self, owner: int, link: Link) -> None:
        self._mine.setdefault(owner, {})[link.other] = link
        far = self._theirs.setdefault(link.other, {})
        if owner not in far:
            far[owner] = Link(owner, _after(far), is_primary=not far)

    def _drop(self, owner: int, other: int) -> None:
        del self._mine[owner][other]
        del self._theirs[other][owner]
        _appoint(self._theirs[other])


def sides() -> tuple[Side, Side]:
    """Both ends of a new relation without links."""
    near: Ends = {}
    far: Ends = {}
    return Side(near, far), Side(far, near)


def _after(links: dict[int, Link]) -> int:
    return SORT_STEP + max((link.sort for link in links.values()), default=0)


def _appoint(links: dict[int, Link]) -> None:
    """Exactly one primary link: the first that claims it, else the first of all."""
    ordered = sorted(links.values(), key=lambda link: (not link.is_primary, link.sort))
    for number, link in enumerate(ordered):
        links[link.other] = replace(link, is_primary=number == 0)
