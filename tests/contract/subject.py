"""What an entry of the contract is made of: the sandbox process, a system in it, an entity of that system."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from operator import itemgetter

import requests

from connectors.base import FieldNeed
from connectors.errors import Throttled, Transient

PATIENT = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=20),
    "deadline": timedelta(seconds=20),
}
MANY = 1_000_000
"""Points that need not be saved."""
STATUS = "UF_CRM_SYNC_STATUS"
OWNER = "7000"
PHONE, FAMILY, EMAIL = "79990000001", "Петров", "ivan@example.com"
PERSONAL = (PHONE, FAMILY, EMAIL)
"""What payloads and rows hold of people, and no error may."""


class Sandbox:
    """The sandbox process and its side door."""

    def __init__(self, folder):
        ready = folder / "ready.json"
        self.process = subprocess.Popen([sys.executable, "-m", "sandbox", "--ready-file", ready])
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert self.process.poll() is None, "the sandbox ended"
            assert time.monotonic() < deadline, "the sandbox is not ready"
            time.sleep(0.02)
        self.addresses = json.loads(ready.read_text())
        self.session = requests.Session()

    def __call__(self, http_method, path, **body):
        url = self.addresses["admin"] + path
        answer = self.session.request(http_method, url, json=body or None, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def journal(self, system):
        return self("GET", f"/journal?system={system}")["entries"]

    def writes(self, system):
        return [entry for entry in self.journal(system) if entry["kind"] == "write"]

    def table(self, system, name):
        return self("GET", f"/store/{system}/{name}")["rows"]

    # What a person does in a source.

    def rows(self, subject):
        return self.table(subject.system, subject.source)

    def create(self, subject, **fields):
        """Its id."""
        return str(self("POST", f"/{subject.system}/{subject.source}", **subject.form(fields))[subject.key])

    def edit(self, subject, id_, **fields):
        self("POST", f"/{subject.system}/{subject.source}/{id_}", **subject.form(fields))

    def remove(self, subject, id_):
        http_method, act = subject.removal
        self(http_method, f"/{subject.system}/{subject.source}/{id_}{act}")

    def seed(self, subject, count):
        """What is there then, by id; what has no date is left out, for no window by date can show it."""
        path, others = subject.seeded
        self("POST", path, **others | {subject.source: count})
        return {str(row[subject.key]): row for row in self.rows(subject) if row.get("created_at", "unknown")}

    def notes(self, subject):
        rows = self.table(subject.system, subject.table or subject.source)
        return {str(row[subject.table_key or subject.key]): subject.noted(row) for row in rows}

    # What a target holds of ours.

    def held(self, subject):
        """(our key, row) of each of the target's entities that carries one, in order."""
        rows = self.table(subject.system, subject.kept or subject.target)
        return [(key, row) for row in rows if (key := subject.own(row)) is not None]

    def keys(self, subject):
        return [key for key, _ in self.held(subject)]

    def committed(self, subject):
        """Our keys of the target's entities written, in order."""
        names = (subject.told or subject.target, subject.target.removesuffix("s"))
        entries = [entry for entry in self.writes(subject.system) if entry["entity"] in names and entry["committed"]]
        by_id = {str(row["id"]): key for key, row in self.held(subject)} if subject.is_told_by_id else {}
        return [by_id.get(entry["key"], entry["key"]) for entry in entries]


@dataclass(frozen=True)
class Subject:
    """An entity under contract: how to reach its system, and what of it is to be read or written."""

    system: str
    source: str | None = None
    target: str | None = None
    needs: tuple[FieldNeed, ...] = ()
    fields: tuple[str, ...] = ()

    # Of a source: how its rows are kept, edited and shown.
    key: str = "ID"
    text: str = "COMMENTS"
    form: Callable = dict
    """What is sent to the side door, of fields by their codes."""
    times: Callable = lambda modified, created: {"DATE_MODIFY": modified, "DATE_CREATE": created}
    """The fields that say when a row was changed last and made, of two ISO times."""
    seeded: tuple[str, Mapping] = ("/seed", {"contacts": 130})
    """The side door for many invented rows, and what else they need."""
    note: str = STATUS
    noted: Callable = itemgetter(STATUS)
    """The note that a row of the store holds."""
    table: str = ""
    table_key: str = ""
    """Where the store keeps the field for notes, if not with all the rest."""
    removal: tuple[str, str] = ("DELETE", "")
    nobody: str = "999999"
    """An id that no entity has, in the source or in the target."""
    marks: Mapping = field(default_factory=dict)
    """Two fields that conditions may name, with some values of each."""
    filters: tuple = ()
    """The sandbox's switches for what becomes of filters that are unknown, or of all."""
    mistyped: tuple = ((), {})
    """A field that does not exist, UF_CRM_MISTYPED: to be asked for, or configured."""
    shows: Callable | None = None
    """Whether a row shows what the store keeps."""
    overlap: int = 0
    """How many rows of a page the next may show again."""
    torn: int = 0
    """How many more, where people move rows between its pages meanwhile."""
    pages: int = 3
    """In how many pages at most 130 rows come."""
    item: Mapping | None = None
    """What the source pushes, if it can."""
    malformed: Mapping[str, Callable] = field(default_factory=dict)
    """How an item may be spoilt in ways of its own."""
    is_only_pushed: bool = False
    """Whether nothing is asked of the system: rows come by themselves, and notes have no place."""

    # Of a target.
    payload: Callable | None = None
    wrong: tuple[str, object, str] = ("", "", "")
    """A field of the payload, a value that the target refuses, and how the manager knows the field (1C: the record)."""
    change: tuple[str, object] = ("", "")
    """A field of the payload, and another value that an update brings."""
    prepare: Callable = lambda _connector: None
    """What must be there before the target is written."""
    keyed: Callable = str
    """Our key, of a number."""
    own: Callable = lambda row: row.get("origin_id") or row.get("ext_id")
    """Our key, of a row of the target; None if it carries none."""
    kept: str = ""
    """Where the store keeps the target's entities, if not under its name."""
    id: str = "ext_id"
    """What of such a row is the target's own id."""
    told: str = ""
    """How the journal calls the target's entities, if not by its name."""
    is_told_by_id: bool = False
    """Whether the journal knows them by the target's own ids, and not by our keys."""

    @property
    def entity(self):
        return self.source or self.target


@dataclass(frozen=True)
class System:
    config: Callable
    secret: str
    """Which of the sandbox's addresses must never be shown."""
    exhausted: type[Transient] = Throttled
    """What it is called when the system has no capacity left for us."""
    complains: type[Exception] = Transient
    """What an error in words and with status 200 is called: trouble of its own, or the fault of a record."""
    address: str = "base_url"
    """What of the configuration says where it is."""
    more: Callable = lambda _vault: {}
    """What else its connector is given."""
    ready: Callable = lambda _sandbox: None
    """What people have done in it before we come."""
