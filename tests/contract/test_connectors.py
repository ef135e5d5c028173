"""What every connector must do, whichever system it speaks to: one suite, against the sandbox process.

A new system joins by an entry in SUBJECTS; until then `test_every_system_is_under_contract` fails.
"""

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import requests
from redis.exceptions import ConnectionError as RedisConnectionError

from connectors.base import FieldNeed, Note, Secret, Window, WriteClass
from connectors.bitrix24 import Bitrix24Config
from connectors.breaker import BreakerOpen
from connectors.errors import ConnectorError, InDoubt, LimitReached, Refused, Rejected, Throttled, Transient
from connectors.otmechalka import OtmechalkaConfig
from workers.compose import SYSTEMS

LIMITS = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=20),
    "deadline": timedelta(seconds=20),
    "requests_per_second": 10_000.0,
    "burst": 10_000,
}
SOON = timedelta(seconds=0.5)
"""The deadline where the vendor keeps us waiting on purpose."""
WAITING = ("hang", "latency", "slow")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
STATUS = "UF_CRM_SYNC_STATUS"
CLIENT = {
    "last_name": "Петров",
    "first_name": "Василий",
    "phone": "79990000001",
    "courses": ["10985"],
    "branchoffices": ["2633"],
    "gender": "M",
}


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

    def journal(self, system):
        return self("GET", f"/journal?system={system}")["entries"]

    def committed(self, system):
        """Keys of the entities written, in order, each command of a batch for itself."""
        acts = [act for entry in self.journal(system) for act in (entry["commands"] or [entry])]
        return [act["key"] for act in acts if act["kind"] == "write" and act["committed"]]


@dataclass(frozen=True)
class Subject:
    """A system under contract: how to reach it, and what of it is a source or a target."""

    config: Callable
    secret: str
    """Which of the sandbox's addresses must never be shown."""
    source: str | None = None
    target: str | None = None
    needs: tuple[FieldNeed, ...] = ()
    payload: Callable | None = None
    wrong: tuple[str, object, str] = ("", "", "")
    """A field of the payload, a value that the target refuses, and how the manager knows the field."""


SUBJECTS = {
    "bitrix24": Subject(
        config=lambda at, **changes: Bitrix24Config(webhook_url=Secret(at["bitrix24"]), **LIMITS | changes),
        secret="bitrix24",
        source="contacts",
        needs=(FieldNeed(STATUS, "Статус", ("string",), writable=True), FieldNeed("PHONE", "Телефон", ())),
    ),
    "otmechalka": Subject(
        config=lambda at, **changes: OtmechalkaConfig(
            **{"base_url": at["otmechalka"], "token": Secret(at["otmechalka_token"])} | LIMITS | changes
        ),
        secret="otmechalka_token",
        target="clients",
        payload=lambda key: CLIENT | {"origin_id": key},
        wrong=("phone", "12345", "телефон"),
    ),
}
SOURCES = [name for name, subject in SUBJECTS.items() if subject.source]
TARGETS = [name for name, subject in SUBJECTS.items() if subject.target]


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    sandbox.process.terminate()
    sandbox.process.wait(10)


@pytest.fixture
def sandbox(process):
    process("POST", "/reset")
    process("POST", "/switches/bitrix24", rate_profile="off")
    return process


@pytest.fixture
def connect(sandbox):
    def build(system, *, redis=None, sleep=lambda _: None, **changes):
        redis = redis or fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return SYSTEMS[system].connect(SUBJECTS[system].config(sandbox.addresses, **changes), redis, sleep=sleep)

    return build


def failure(sandbox, system, call):
    """What `call` raises; with no secret in it nor in anything that hangs on it."""
    with pytest.raises(ConnectorError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    secret = sandbox.addresses[SUBJECTS[system].secret].rstrip("/").rpartition("/")[2]
    assert secret not in shown
    return caught.value


def test_every_system_is_under_contract():
    assert SUBJECTS.keys() == SYSTEMS.keys()
    assert SOURCES
    assert TARGETS


# Every connector.


@pytest.mark.parametrize("system", SUBJECTS)
def test_a_working_account_passes_probe_and_check_and_neither_writes(sandbox, connect, system):
    connector, subject = connect(system), SUBJECTS[system]
    connector.probe()
    findings = list(connector.check(subject.source or subject.target, subject.needs))
    assert findings
    assert [finding for finding in findings if finding.level == "error"] == []
    assert {entry["kind"] for entry in sandbox.journal(system)} <= {"read", "other"}
    assert connector.headroom() > 1


@pytest.mark.parametrize("system", SUBJECTS)
def test_a_revoked_key_is_refused_and_check_says_so(sandbox, connect, system):
    sandbox("POST", "/faults", system=system, action="revoke")
    connector, subject = connect(system), SUBJECTS[system]
    assert type(failure(sandbox, system, connector.probe)) is Refused
    findings = list(connector.check(subject.source or subject.target, subject.needs))
    assert {finding.level for finding in findings} & {"error"}
    sandbox("DELETE", "/faults")
    connector.probe()


@pytest.mark.parametrize("system", SUBJECTS)
def test_an_entity_that_the_system_does_not_have_is_a_key_error(connect, system):
    connector = connect(system)
    for ask in (connector.source, connector.target, lambda name: list(connector.check(name, ()))):
        with pytest.raises(KeyError):
            ask("unicorns")


@pytest.mark.parametrize("system", SUBJECTS)
def test_without_redis_nothing_is_asked(sandbox, connect, system):
    class Away(fakeredis.FakeRedis):
        def execute_command(self, *_args, **_kwargs):
            raise RedisConnectionError

    connector = connect(system, redis=Away())
    error = failure(sandbox, system, connector.probe)
    assert type(error) is Throttled
    assert error.wait
    assert connector.headroom() == 1
    assert sandbox.journal(system) == []


@pytest.mark.parametrize("system", SUBJECTS)
def test_a_system_that_is_down_is_left_alone_until_it_may_be_probed(sandbox, connect, system):
    sandbox("POST", "/faults", system=system, action="status", status=502, times=None)
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    workers = [connect(system, redis=redis) for _ in range(3)]
    for number in range(9):
        failure(sandbox, system, workers[number % 3].probe)
    assert len(sandbox.journal(system)) == 5
    error = failure(sandbox, system, workers[0].probe)
    assert type(error) is BreakerOpen
    assert 25 < error.wait <= 30
    assert [worker.headroom() for worker in workers] == [1, 1, 1]


FAULTS = {
    "500": ({"action": "status", "status": 500}, Transient),
    "502 after commit": ({"action": "status", "status": 502, "commit": True}, Transient),
    "503 in html": ({"action": "status", "status": 503}, Transient),
    "504 in json": ({"action": "status", "status": 504, "json": {"message": "timeout"}}, Transient),
    "html with 200": ({"action": "html"}, Transient),
    "error with 200": ({"action": "error", "commit": True}, Transient),
    "half a json": ({"action": "truncated"}, Transient),
    "another type": ({"action": "wrong_type", "value": ["x"]}, Transient),
    "null": ({"action": "wrong_type", "value": None}, Transient),
    "reset before": ({"action": "reset_before"}, Transient),
    "reset after": ({"action": "reset_after"}, Transient),
    "hang": ({"action": "hang"}, Transient),
    "hang before commit": ({"action": "hang", "commit": False}, Transient),
    "late": ({"action": "latency", "after_s": 3.0}, Transient),
    "byte by byte": ({"action": "slow", "bytes_per_s": 30}, Transient),
    "cut": ({"action": "cut"}, Transient),
    "huge": ({"action": "huge"}, Transient),
    "redirect": ({"action": "redirect", "location": "https://new.example/x"}, Refused),
    "revoked": ({"action": "revoke"}, Refused),
    "throttled": ({"action": "throttle", "retry_after_s": 40}, Throttled),
}
by_fault = pytest.mark.parametrize(("fault", "meaning"), FAULTS.values(), ids=FAULTS.keys())


def arm(sandbox, system, fault, *, match="", times=None):
    return sandbox("POST", "/faults", **{"system": system, "match": match, "times": times} | fault)


def deadline_for(fault):
    return {"deadline": SOON} if fault["action"] in WAITING else {}


def reads_of(connect, system, fault):
    """Every way to read of a system, each on a connector of its own."""
    subject = SUBJECTS[system]

    def fresh():
        return connect(system, **deadline_for(fault))

    yield lambda: fresh().probe()
    if subject.source:
        yield lambda: fresh().source(subject.source).page(Window(LONG_AGO), ())
        yield lambda: fresh().source(subject.source).read(["1"], ())
    if subject.target:
        yield lambda: fresh().target(subject.target).find("1")


@by_fault
@pytest.mark.parametrize("system", SUBJECTS)
def test_a_read_ends_in_time_and_by_its_right_name(sandbox, connect, system, fault, meaning):
    arm(sandbox, system, fault)
    for read in reads_of(connect, system, fault):
        began = time.monotonic()
        assert type(failure(sandbox, system, read)) is meaning
        assert time.monotonic() - began < 10


# Every source.


def pages_of(source, window, fields):
    pages = []
    while not pages or not pages[-1].last:
        after = pages[-1].rows[-1].id if pages else None
        pages.append(source.page(Window(window.modified_since, window.created_since, after), fields))
    return pages


def ids_of(pages):
    return [row.id for page in pages for row in page.rows]


@pytest.mark.parametrize("system", SOURCES)
def test_pages_show_every_entity_once_by_ascending_id(sandbox, connect, system):
    sandbox("POST", "/seed", contacts=130)
    stored = sandbox("GET", f"/store/{system}/{SUBJECTS[system].source}")["rows"]
    source = connect(system).source(SUBJECTS[system].source)
    pages = pages_of(source, Window(LONG_AGO), ("PHONE", STATUS))
    assert ids_of(pages) == sorted((row["ID"] for row in stored), key=int)
    assert [page.last for page in pages] == [False, False, True]
    for page in pages:
        assert page.server_time.tzinfo
        assert abs(page.server_time - datetime.now(UTC)) < timedelta(seconds=30)
        assert all(row.modified.tzinfo for row in page.rows)
    shown = {row.id: row.fields for page in pages for row in page.rows}
    assert all(shown[row["ID"]].get("PHONE", []) == (row.get("PHONE") or []) for row in stored)


def create(sandbox, **fields):
    return sandbox("POST", "/bitrix24/contacts", **fields)["ID"]


@pytest.mark.parametrize("system", SOURCES)
def test_a_window_includes_its_first_second_and_leaves_out_what_is_older(sandbox, connect, system):
    def row(modified, created="2026-01-01T00:00:00+03:00"):
        return create(sandbox, DATE_MODIFY=modified, DATE_CREATE=created)

    row("2026-01-31T23:59:59+03:00")
    inside = [row("2026-02-01T00:00:00+03:00") for _ in range(3)]
    row("2026-02-02T00:00:00+03:00", created="2025-12-31T23:59:59+03:00")
    inside.append(row("2026-02-03T00:00:00+03:00"))
    window = Window(
        datetime.fromisoformat("2026-01-31T21:00:00.7+00:00"),
        created_since=datetime.fromisoformat("2026-01-01T00:00:00+03:00"),
    )
    assert ids_of(pages_of(connect(system).source(SUBJECTS[system].source), window, ())) == inside


@pytest.mark.parametrize("system", SOURCES)
def test_single_entities_are_shown_as_they_are_now_and_the_deleted_are_absent(sandbox, connect, system):
    kept, gone = create(sandbox, NAME="Анна"), create(sandbox, NAME="Борис")
    sandbox("DELETE", f"/bitrix24/contacts/{gone}")
    sandbox("POST", f"/bitrix24/contacts/{kept}", fields={"NAME": "Инна"})
    rows = connect(system).source(SUBJECTS[system].source).read([gone, kept, "999999"], ("NAME",))
    assert [(row.id, row.fields["NAME"]) for row in rows] == [(kept, "Инна")]


@pytest.mark.parametrize("system", SOURCES)
def test_a_field_that_does_not_exist_is_refused_by_its_name(sandbox, connect, system):
    create(sandbox)
    source = connect(system).source(SUBJECTS[system].source)
    error = failure(sandbox, system, lambda: source.page(Window(LONG_AGO), ("UF_CRM_MISTYPED",)))
    assert type(error) is Refused
    assert "UF_CRM_MISTYPED" in str(error)


def status_of(sandbox, id_):
    return next(row[STATUS] for row in sandbox("GET", "/store/bitrix24/contacts")["rows"] if row["ID"] == id_)


@pytest.mark.parametrize("system", SOURCES)
def test_notes_are_written_and_each_has_its_own_result(sandbox, connect, system):
    first, gone, last = (create(sandbox) for _ in range(3))
    sandbox("DELETE", f"/bitrix24/contacts/{gone}")
    text = "Ошибка: «имя» & 100% + [курс] = ?\n#1"
    notes = [Note(first, text), Note(gone, "x"), Note(last, "Успешно")]
    results = connect(system).source(SUBJECTS[system].source).write_notes(STATUS, notes)
    assert [type(result) for result in results] == [type(None), Rejected, type(None)]
    assert [status_of(sandbox, id_) for id_ in (first, last)] == [text, "Успешно"]
    assert 0 < len(results[1].told) <= 255


@pytest.mark.parametrize("system", SOURCES)
def test_the_notes_of_many_threads_travel_together(sandbox, connect, system):
    ids = [create(sandbox) for _ in range(200)]
    sandbox("POST", "/faults", system=system, action="latency", before_s=0.3)
    source = connect(system).source(SUBJECTS[system].source)
    with ThreadPoolExecutor(200) as pool:
        results = list(pool.map(lambda id_: source.write_notes(STATUS, [Note(id_, f"note {id_}")]), ids))
    assert results == [[None]] * 200
    shown = {row["ID"]: row[STATUS] for row in sandbox("GET", "/store/bitrix24/contacts")["rows"]}
    assert shown == {id_: f"note {id_}" for id_ in ids}
    calls = sandbox("GET", "/journal/summary")["systems"][system]["http"]["total"]
    assert calls < 20, "two hundred notes are not two hundred calls"


@by_fault
@pytest.mark.parametrize("system", SOURCES)
def test_notes_never_raise_and_each_tells_what_happened(sandbox, connect, system, fault, meaning):
    ids = [create(sandbox), create(sandbox)]
    arm(sandbox, system, fault)
    source = connect(system, **deadline_for(fault)).source(SUBJECTS[system].source)
    results = source.write_notes(STATUS, [Note(id_, "x") for id_ in ids])
    assert [type(result) for result in results] == [meaning, meaning]


@pytest.mark.parametrize("system", SOURCES)
def test_a_note_whose_answer_was_lost_is_simply_written_again(sandbox, connect, system):
    id_ = create(sandbox)
    arm(sandbox, system, {"action": "reset_after"}, times=1)
    source = connect(system).source(SUBJECTS[system].source)
    assert source.write_notes(STATUS, [Note(id_, "Успешно")]) == [None]
    assert status_of(sandbox, id_) == "Успешно"


# Every target.


@pytest.mark.parametrize("system", TARGETS)
def test_an_entity_is_found_by_our_key_once_it_was_created(sandbox, connect, system):
    subject = SUBJECTS[system]
    target = connect(system).target(subject.target)
    assert target.find("39558") is None
    created = target.create(subject.payload("39558"))
    assert created
    assert target.find("39558").id == created
    assert target.update("39558", subject.payload("39558")) == created
    assert target.find("39559") is None
    assert target.update("39559", subject.payload("39559")) is None
    assert sandbox.committed(system) == ["39558", "39558"]


@pytest.mark.parametrize("system", TARGETS)
def test_an_update_replaces_what_was_sent_before(sandbox, connect, system):
    subject = SUBJECTS[system]
    target = connect(system).target(subject.target)
    target.create(subject.payload("1"))
    target.update("1", subject.payload("1") | {"last_name": "Сидоров"})
    (stored,) = sandbox("GET", f"/store/{system}/{subject.target}")["rows"]
    assert stored["last_name"] == "Сидоров"


@pytest.mark.parametrize("system", TARGETS)
def test_creating_twice_makes_one_entity_where_the_target_keeps_our_key_unique(sandbox, connect, system):
    subject = SUBJECTS[system]
    target = connect(system).target(subject.target)
    assert target.write_class in WriteClass
    assert target.settle >= timedelta(0)
    assert target.create(subject.payload("1")) == target.create(subject.payload("1"))
    assert len(sandbox("GET", f"/store/{system}/{subject.target}")["rows"]) == 1


@by_fault
@pytest.mark.parametrize("system", TARGETS)
def test_a_creation_that_went_wrong_is_told_apart_and_never_doubled(sandbox, connect, system, fault, meaning):
    subject = SUBJECTS[system]
    arm(sandbox, system, fault, match="POST", times=1)
    target = connect(system, **deadline_for(fault)).target(subject.target)
    began = time.monotonic()
    error = failure(sandbox, system, lambda: target.create(subject.payload("39558")))
    assert time.monotonic() - began < 10
    assert type(error) is (InDoubt if meaning is Transient else meaning)
    assert len(sandbox.journal(system)) == 1, "a write is not repeated within the call"
    sandbox("DELETE", "/faults")
    target = connect(system).target(subject.target)
    committed = sandbox.committed(system)
    found = target.find("39558")
    assert (found is not None) == (committed == ["39558"])
    assert found or target.create(subject.payload("39558"))
    assert sandbox.committed(system) == ["39558"]


@by_fault
@pytest.mark.parametrize("system", TARGETS)
def test_an_update_that_went_wrong_is_told_apart(sandbox, connect, system, fault, meaning):
    subject = SUBJECTS[system]
    connect(system).target(subject.target).create(subject.payload("39558"))
    arm(sandbox, system, fault, match="39558", times=1)
    target = connect(system, **deadline_for(fault)).target(subject.target)
    error = failure(sandbox, system, lambda: target.update("39558", subject.payload("39558")))
    assert type(error) is (InDoubt if meaning is Transient else meaning)


@pytest.mark.parametrize("system", TARGETS)
def test_a_write_that_was_never_sent_is_transient(sandbox, connect, system):
    subject = SUBJECTS[system]
    target = connect(system, base_url="http://127.0.0.1:9").target(subject.target)
    error = failure(sandbox, system, lambda: target.create(subject.payload("1")))
    assert type(error) is Transient
    assert "nothing was sent" in str(error)


@pytest.mark.parametrize("system", TARGETS)
def test_a_wrong_record_is_rejected_in_words_for_the_manager(sandbox, connect, system):
    subject = SUBJECTS[system]
    field, value, label = subject.wrong
    target = connect(system).target(subject.target)
    error = failure(sandbox, system, lambda: target.create(subject.payload("1") | {field: value}))
    assert type(error) is Rejected
    assert label in error.told
    assert 0 < len(error.told) <= 255
    assert target.find("1") is None


# What only one system does.


@pytest.mark.parametrize("status", [400, 403])
def test_a_full_school_takes_no_new_client_and_updates_the_old(sandbox, connect, status):
    sandbox("POST", "/switches/otmechalka", client_limit=1, limit_status=status)
    clients, payload = connect("otmechalka").target("clients"), SUBJECTS["otmechalka"].payload
    known = clients.create(payload("1"))
    error = failure(sandbox, "otmechalka", lambda: clients.create(payload("2")))
    assert type(error) is LimitReached
    assert error.told.startswith("Отмечалка не приняла: Превышено")
    assert clients.update("1", payload("1")) == known
    assert clients.create(payload("1")) == known


def test_an_archived_client_is_rejected_with_the_schools_reason(sandbox, connect):
    clients, payload = connect("otmechalka").target("clients"), SUBJECTS["otmechalka"].payload
    clients.create(payload("1"))
    sandbox("POST", "/otmechalka/clients/1/archive")
    error = failure(sandbox, "otmechalka", lambda: clients.update("1", payload("1")))
    assert error.told == "Отмечалка не приняла: Посетитель находится в архиве."
    assert clients.find("1")


@pytest.mark.parametrize(
    ("switches", "config"),
    [
        ({"created_status": 201, "duplicate_status": 400}, {}),
        ({"absent": "null"}, {"absent_as_empty_200": True}),
        ({"absent": "empty"}, {"absent_as_empty_200": True}),
        ({"absent": "null_id"}, {"absent_as_empty_200": True}),
        ({"update_method": "PUT"}, {"update_method": "PUT"}),
        ({"update_method": "PATCH"}, {"update_method": "PATCH"}),
        ({"auth_header": "X-Api-Key", "auth_scheme": ""}, {"auth_header": "X-Api-Key", "auth_scheme": ""}),
        ({"slashless": "404"}, {}),
    ],
    ids=str,
)
def test_whatever_the_school_turns_out_to_do_is_configuration(sandbox, connect, switches, config):
    sandbox("POST", "/switches/otmechalka", **switches)
    connector, payload = connect("otmechalka", **config), SUBJECTS["otmechalka"].payload
    clients = connector.target("clients")
    connector.probe()
    assert clients.find("1") is None
    assert clients.update("1", payload("1")) is None
    created = clients.create(payload("1"))
    assert clients.find("1").id == clients.create(payload("1")) == clients.update("1", payload("1")) == created


def test_the_school_is_never_asked_faster_than_it_can_bear(sandbox, connect):
    # The school's bucket is deeper than ours by a second, for what a busy machine holds up between grant and arrival.
    sandbox("POST", "/switches/otmechalka", rate_per_s=25.0, rate_burst=25)
    limits = {"requests_per_second": 25.0, "burst": 2}
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    workers = [connect("otmechalka", redis=redis, sleep=time.sleep, **limits).target("clients") for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: workers[number % 4].find(str(number)), range(50)))
    assert {entry["status"] for entry in sandbox.journal("otmechalka")} == {404}


@pytest.mark.parametrize(
    "switches",
    [
        {"enumeration_as": "string", "empty_multiple_uf": "false", "empty_single_uf": "null"},
        {"empty_multifield": "list", "empty_reference": "zero", "next_on_full_page": True},
        {"operating_reported": False, "batch_charges": "both", "server_offset": "-05:00"},
    ],
    ids=str,
)
def test_whatever_a_portal_leaves_open_is_read(sandbox, connect, switches):
    sandbox("POST", "/switches/bitrix24", **switches)
    sandbox("POST", "/seed", contacts=60)
    contacts = connect("bitrix24").source("contacts")
    pages = pages_of(contacts, Window(LONG_AGO), ("PHONE", "UF_CRM_58D15BB9CA8F4", "UF_CRM_1607943642", STATUS))
    assert len(ids_of(pages)) == 60
    assert contacts.write_notes(STATUS, [Note(id_, "x") for id_ in ids_of(pages)]) == [None] * 60


def test_a_portal_that_blocks_a_method_for_its_running_time_is_left_alone(sandbox, connect):
    id_ = create(sandbox)
    sandbox("POST", "/switches/bitrix24", operating_limit_s=1.0, operating_cost_s=0.6, batch_charges="methods")
    connector = connect("bitrix24", operating_limit=timedelta(seconds=480))
    contacts = connector.source("contacts")
    results = [contacts.write_notes(STATUS, [Note(id_, str(number))])[0] for number in range(4)]
    assert [type(result) for result in results] == [type(None), type(None), Throttled, Throttled]
    assert len([entry for entry in sandbox.journal("bitrix24") if entry["method"] == "batch"]) == 3
    assert contacts.page(Window(LONG_AGO), ()).last


def test_a_portal_never_has_to_block_a_method(sandbox, connect):
    id_ = create(sandbox)
    sandbox("POST", "/switches/bitrix24", operating_limit_s=10.0, operating_cost_s=1.0, batch_charges="both")
    contacts = connect("bitrix24", operating_limit=timedelta(seconds=10)).source("contacts")
    results = [contacts.write_notes(STATUS, [Note(id_, str(number))])[0] for number in range(15)]
    assert {type(result) for result in results} == {type(None), Throttled}
    journal = sandbox.journal("bitrix24")
    assert all(not command["error"] for entry in journal for command in entry["commands"])


def test_a_standard_portal_does_not_refuse_us_from_a_cold_start(sandbox, connect):
    sandbox("POST", "/switches/bitrix24", rate_profile="standard")
    connector = connect("bitrix24", requests_per_second=None, burst=None, sleep=time.sleep)
    began = time.monotonic()
    for _ in range(4):
        connector.probe()
    assert time.monotonic() - began > 1.4, "one call at once, then two a second"
    assert {entry["status"] for entry in sandbox.journal("bitrix24")} == {200}
