"""Reads every section of `parom.toml` and finds all that is wrong, each thing once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from tasks.flow import FlowKind
from workers.document import Document
from workers.faults import Fault, suggestion
from workers.schema import names_of, read
from workers.sections import Basics, ConnectionKeys, FlowKeys, Tables, flow_keys
from workers.substitution import Substitution
from workers.urls import overrides, url_faults

KEPT_FOR_TICKS = 8
DEFAULT_WINDOW = next(each.default for each in fields(FlowKeys) if each.name == "window")

Section = tuple[Any, Any]
"""An instance of ConnectionKeys or FlowKeys, and one of the dataclass that the system or the kind declares."""


class Checks:
    """What is wrong gathers in `faults`; the sections are complete if nothing is, and have gaps otherwise."""

    def __init__(
        self,
        document: Document,
        environ: Mapping[str, str],
        *,
        systems: Mapping[str, type],
        kinds: Mapping[str, FlowKind],
    ) -> None:
        from_environ = overrides(environ)
        substitution = Substitution(environ, document.folder)
        self._written = {key: value for key, value in document.values.items() if key not in from_environ}
        self._meant = substitution.expand(self._written) | from_environ
        self._connections, self._flows = _tables(self._meant, "connections"), _tables(self._meant, "flows")
        self._systems, self._kinds = systems, kinds
        self.faults = substitution.faults

    def basics(self) -> Any:
        (basics, _), faults = read(self._meant, Basics, Tables)
        self._note(faults)
        self._note(url_faults(self._written, self._meant))
        return basics

    def capacity(self, threads: int) -> None:
        """All windows together must leave threads for polls and ticks, or a slow target would stop them."""
        windows = {name: table.get("window", DEFAULT_WINDOW) for name, table in self._flows.items()}
        running = [windows[name] for name, table in self._flows.items() if table.get("enabled", True) is True]
        needed = sum(window for window in running if isinstance(window, int)) + KEPT_FOR_TICKS
        if threads < needed:
            text = f"are fewer than all windows together and {KEPT_FOR_TICKS} for polls and ticks need ({needed})"
            self._note([Fault(("threads",), text, "raise threads, or lower a window")])

    def connections(self) -> dict[str, Section]:
        return {name: self._connection(name, table) for name, table in self._connections.items()}

    def flows(self) -> dict[str, Section]:
        return {name: self._flow(name, table) for name, table in self._flows.items()}

    def _connection(self, name: str, table: Mapping[str, Any]) -> Section:
        return self._section(("connections", name), table, ConnectionKeys, choice="system", parts=self._systems)

    def _flow(self, name: str, table: Mapping[str, Any]) -> Section:
        at = ("flows", name)
        parts = {kind: declared.options for kind, declared in self._kinds.items()}
        kind = self._kinds.get(str(table.get("kind")))
        common = flow_keys(kind) if kind else FlowKeys
        shared = self._shared(table, kind) if kind else {}
        keys, options = self._section(at, {**shared, **table}, common, choice="kind", parts=parts)
        if kind:
            self._note(_shared_faults(table, shared, kind), *at)
            self._note(self._role_faults(table, kind), *at)
            self._note(self._parent_faults(table, kind), *at)
            if kind.status_types:
                self._note(_status_faults(table, kind.reads(options) if options else ()), *at)
        return keys, options

    def _section(
        self, at: tuple[str, str], table: Mapping[str, Any], common: type, *, choice: str, parts: Mapping[str, type]
    ) -> Section:
        """The `common` keys and those of the part that the key `choice` names; of an unknown part nothing is judged."""
        part = parts.get(str(table.get(choice)))
        if part is None:
            _, faults = read({key: table[key] for key in names_of(common) & table.keys()}, common)
            self._note(faults, *at)
            self._note([Fault((choice,), f"is not a known {choice}", f"known: {', '.join(sorted(parts))}")], *at)
            return None, None
        (keys, own), faults = read(table, common, part)
        self._note(faults, *at)
        if hasattr(own, "problems") and not self._faulty(at) & names_of(part):
            self._note((Fault(tuple(path.split(".")), message) for path, message in own.problems()), *at)
        return keys, own

    def _faulty(self, at: tuple[str, str]) -> set[str]:
        """The keys of a table that have been found wrong."""
        return {fault.path[2] for fault in self.faults if fault.path[:2] == at and fault.path != at}

    def _role_faults(self, table: Mapping[str, Any], kind: FlowKind) -> Iterator[Fault]:
        for role, system in (("source", kind.source_system), ("target", kind.target_system)):
            name = str(table.get(role))
            found = self._connections.get(name, {}).get("system")
            if name not in self._connections:
                yield Fault((role,), "names no connection", suggestion(name, self._connections))
            elif found != system and str(found) in self._systems:
                yield Fault((role,), f"must be a connection of {system}, and this one is of {found}")

    def _shared(self, table: Mapping[str, Any], kind: FlowKind) -> dict[str, Any]:
        """By option: what the source's connection says of it, for then nobody need say it twice."""
        connection = self._connections.get(str(table.get("source")), {})
        config = self._systems.get(str(connection.get("system")))
        if not kind.shared or config is None or connection["system"] != kind.source_system:
            return {}
        meant = {each.name: each.default for each in fields(config)} | connection
        return {option: meant[key] for option, key in kind.shared if isinstance(meant[key], str) and meant[key]}

    def _parent_faults(self, table: Mapping[str, Any], kind: FlowKind) -> Iterator[Fault]:
        key, given = ("parents", table.get("parents")) if "parents" in table else ("parent", [table.get("parent")])
        names = [str(name) for name in given] if isinstance(given, list) else []
        for needed in kind.parents:
            found = [name for name in names if self._is_running(name, needed.kind)]
            if not found:
                near = suggestion(", ".join(names), self._flows)
                yield Fault((key,), f"names no enabled flow of kind {needed.kind}", near)
        for side in ("source", "target"):
            others = [self._flows.get(name, {}).get(side, table.get(side)) for name in names]
            if any(other != table.get(side) for other in others):
                yield Fault((key,), f"names a flow with another {side}", "children live where their parents live")

    def _is_running(self, name: str, kind: str) -> bool:
        flow = self._flows.get(name, {})
        return flow.get("kind") == kind and flow.get("enabled") is not False

    def _note(self, faults: Iterable[Fault], *at: str) -> None:
        """A later check often stumbles over what an earlier one has named already: such echoes are dropped."""
        named = [fault.path for fault in self.faults]
        placed = [fault._replace(path=(*at, *fault.path)) for fault in faults]
        self.faults += [fault for fault in placed if not any(_nested(fault.path, path) for path in named)]


def _tables(document: Mapping[str, Any], section: str) -> dict[str, dict[str, Any]]:
    tables = document.get(section)
    items = tables.items() if isinstance(tables, dict) else ()
    return {name: table for name, table in items if isinstance(table, dict)}


def _shared_faults(table: Mapping[str, Any], shared: Mapping[str, Any], kind: FlowKind) -> Iterator[Fault]:
    for option, key in kind.shared:
        if option in shared and table.get(option, shared[option]) != shared[option]:
            yield Fault((option,), f"is not {key} of the source", "leave it out: the connection says it")


def _status_faults(table: Mapping[str, Any], mapped: Iterable[str]) -> Iterator[Fault]:
    code = str(table.get("status_field"))
    if not code:
        yield Fault(("status_field",), "is required", "the source's text field for notes")
    elif code.casefold() in map(str.casefold, mapped):
        yield Fault(("status_field",), "is also read by the mapping; a note would overwrite it", "create a text field")


def _nested(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))
