"""The names that a 1C base publishes, out of its `$metadata`: megabytes of XML, read as a stream (facts/onec.md A1)."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO
from xml.etree.ElementTree import Element, ParseError, iterparse

from connectors.errors import Transient

REMEMBERED_FOR = 300.0


class Unreadable(Exception):
    """Not the EDMX document that it should be."""


@dataclass(frozen=True)
class Catalogue:
    """Property names and types by set."""

    sets: Mapping[str, Mapping[str, str]]

    def close_to(self, name: str) -> str:
        return _closest(name, self.sets)

    def close_property(self, set_: str, name: str) -> str:
        return _closest(name, self.sets.get(set_, {}))


class Catalogues:
    """The catalogue of one base: downloaded once for a `parom check`, parsed once while it is the same document."""

    def __init__(self, download: Callable[[], bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._download, self._clock = download, clock
        self._lock = threading.Lock()
        self._known: tuple[float, str, Catalogue] | None = None

    def current(self) -> Catalogue:
        """Raises what the download raises, and Transient for XML that breaks off."""
        with self._lock:
            now = self._clock()
            if self._known and now - self._known[0] < REMEMBERED_FOR:
                return self._known[2]
            document = self._download()
            digest = hashlib.sha256(document).hexdigest()
            is_same = self._known is not None and self._known[1] == digest
            catalogue = self._known[2] if self._known and is_same else _readable(document)
            self._known = (now, digest, catalogue)
            return catalogue


def _readable(document: bytes) -> Catalogue:
    try:
        return catalogue_of(document)
    except Unreadable as error:
        raise Transient(str(error)) from None


def catalogue_of(document: bytes) -> Catalogue:
    """Raises Unreadable."""
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise Unreadable("$metadata declares entities")
    properties: dict[str, dict[str, str]] = {}
    types: dict[str, str] = {}
    try:
        for element in _elements(document):
            if _tag(element) == "EntityType":
                properties[element.get("Name", "")] = dict(_properties(element))
                element.clear()
            elif _tag(element) == "EntitySet":
                types[element.get("Name", "")] = element.get("EntityType", "").rpartition(".")[2]
    except ParseError:
        types = {}
    if not types:
        raise Unreadable("$metadata names no sets")
    return Catalogue({name: properties.get(kind, {}) for name, kind in types.items()})


def _elements(document: bytes) -> Iterator[Element]:
    for _, element in iterparse(BytesIO(document)):  # noqa: S314 - see above
        yield element


def _properties(element: Element) -> Iterator[tuple[str, str]]:
    for child in element:
        if _tag(child) == "Property":
            yield child.get("Name", ""), child.get("Type", "")


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _closest(name: str, known: Mapping[str, object]) -> str:
    """A likely spelling of `name`, or empty; the case may differ, for that is the commonest slip."""
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[found[0]] if found else ""
