"""What every connector must do, whichever system it speaks to: one suite, against the sandbox process.

A new entity joins by an entry in SUBJECTS; until then `test_every_entity_is_under_contract` fails.
"""

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
import requests
from redis.exceptions import ConnectionError as RedisConnectionError

from connectors import bitrix24_source, otmechalka_target
from connectors.base import FieldNeed, Note, Secret, Window, WriteClass
from connectors.bitrix24_config import Bitrix24Config
from connectors.breaker import BreakerOpen
from connectors.errors import (
    ConnectorError,
    InDoubt,
    LimitReached,
    ParentMissing,
    Refused,
    Rejected,
    Throttled,
    Transient,
)
from connectors.otmechalka_config import OtmechalkaConfig
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
STATUS_NEED = FieldNeed(STATUS, "Статус", ("string",), writable=True)
OWNER = "7000"
CLIENT = {
    "last_name": "Петров",
    "first_name": "Василий",
    "phone": "79990000001",
    "courses": ["10985"],
    "branchoffices": ["2633"],
    "gender": "M",
}
TICKET = {
    "client_origin_id": OWNER,
    "ticket_type": "8 занятий групповые 60 мин",
    "price_initial": "9000.00",
    "discount": "300.00",
    "price_final": "8700.00",
    "selling_date": "2026-02-01",
    "selling_branchoffice": "2634",
    "employee": "Андрей Сергеев",
    "payment_method": "CASH",
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

    def about(self, subject):
        """What was asked about the subject's target."""
        return [entry for entry in self.journal(subject.system) if entry["entity"] == subject.target.removesuffix("s")]

    def committed(self, subject):
        """Keys of the target's entities written, in order."""
        return [entry["key"] for entry in self.about(subject) if entry["kind"] == "write" and entry["committed"]]

    def rows(self, subject):
        entity = subject.source or subject.target
        return self("GET", f"/store/{subject.system}/{entity}")["rows"]


@dataclass(frozen=True)
class Subject:
    """An entity under contract: how to reach its system, and what of it is to be read or written."""

    system: str
    source: str | None = None
    target: str | None = None
    needs: tuple[FieldNeed, ...] = ()
    fields: tuple[str, ...] = ()
    payload: Callable | None = None
    wrong: tuple[str, object, str] = ("", "", "")
    """A field of the payload, a value that the target refuses, and how the manager knows the field."""
    prepare: Callable = lambda _connector: None
    """What must be there before the target is written."""

    @property
    def entity(self):
        return self.source or self.target


@dataclass(frozen=True)
class System:
    config: Callable
    secret: str
    """Which of the sandbox's addresses must never be shown."""


REACHED = {
    "bitrix24": System(
        config=lambda at, **changes: Bitrix24Config(webhook_url=Secret(at["bitrix24"]), **LIMITS | changes),
        secret="bitrix24",
    ),
    "otmechalka": System(
        config=lambda at, **changes: OtmechalkaConfig(
            **{"base_url": at["otmechalka"], "token": Secret(at["otmechalka_token"])} | LIMITS | changes
        ),
        secret="otmechalka_token",
    ),
}
SUBJECTS = {
    "contacts": Subject(
        "bitrix24",
        source="contacts",
        needs=(STATUS_NEED, FieldNeed("PHONE", "Телефон", ())),
        fields=("PHONE", STATUS),
    ),
    "deals": Subject(
        "bitrix24",
        source="deals",
        needs=(STATUS_NEED, FieldNeed("PRODUCT_ROWS", "Товары", ()), FieldNeed("ASSIGNED_BY", "Ответственный", ())),
        fields=("PRODUCT_ROWS", "ASSIGNED_BY", STATUS),
    ),
    "clients": Subject(
        "otmechalka",
        target="clients",
        payload=lambda key: CLIENT | {"origin_id": key},
        wrong=("phone", "12345", "телефон"),
    ),
    "tickets": Subject(
        "otmechalka",
        target="tickets",
        payload=lambda key: TICKET | {"origin_id": key},
        wrong=("ticket_type", "10 занятий", "тип абонемента"),
        prepare=lambda connector: connector.target("clients").create(CLIENT | {"origin_id": OWNER}),
    ),
}
every_subject = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
every_system = pytest.mark.parametrize("system", REACHED)
every_source = pytest.mark.parametrize(
    "subject", [SUBJECTS[name] for name in ("contacts", "deals")], ids=["contacts", "deals"]
)
every_target = pytest.mark.parametrize(
    "subject", [SUBJECTS[name] for name in ("clients", "tickets")], ids=["clients", "tickets"]
)
every_rewritable = pytest.mark.parametrize("subject", [SUBJECTS["clients"]], ids=["clients"])


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
        return SYSTEMS[system].connect(REACHED[system].config(sandbox.addresses, **changes), redis, sleep=sleep)

    return build


def failure(sandbox, system, call):
    """What `call` raises; with no secret in it nor in anything that hangs on it."""
    with pytest.raises(ConnectorError) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    secret = sandbox.addresses[REACHED[system].secret].rstrip("/").rpartition("/")[2]
    assert secret not in shown
    return caught.value


def test_every_entity_is_under_contract():
    assert REACHED.keys() == SYSTEMS.keys()
    assert {subject.source for subject in SUBJECTS.values()} - {None} == bitrix24_source.ENTITIES.keys()
    assert {subject.target for subject in SUBJECTS.values()} - {None} == otmechalka_target.ENTITIES.keys()


# Every connector.


@every_subject
def test_a_working_account_passes_probe_and_check_and_neither_writes(sandbox, connect, subject):
    connector = connect(subject.system)
    connector.probe()
    findings = list(connector.check(subject.entity, subject.needs))
    assert findings
    assert [finding for finding in findings if finding.level == "error"] == []
    assert {entry["kind"] for entry in sandbox.journal(subject.system)} <= {"read", "other"}
    assert connector.headroom() > 1


@every_subject
def test_a_revoked_key_is_refused_and_check_says_so(sandbox, connect, subject):
    sandbox("POST", "/faults", system=subject.system, action="revoke")
    connector = connect(subject.system)
    assert type(failure(sandbox, subject.system, connector.probe)) is Refused
    findings = list(connector.check(subject.entity, subject.needs))
    assert {finding.level for finding in findings} & {"error"}
    sandbox("DELETE", "/faults")
    connector.probe()


@every_system
def test_an_entity_that_the_system_does_not_have_is_a_key_error(connect, system):
    connector = connect(system)
    for ask in (connector.source, connector.target, lambda name: list(connector.check(name, ()))):
        with pytest.raises(KeyError):
            ask("unicorns")


class Away(fakeredis.FakeRedis):
    """Redis, but nobody answers."""

    def execute_command(self, *_args, **_kwargs):
        raise RedisConnectionError


@every_system
def test_without_redis_nothing_is_asked(sandbox, connect, system):
    connector = connect(system, redis=Away())
    error = failure(sandbox, system, connector.probe)
    assert type(error) is Throttled
    assert error.wait
    assert connector.headroom() == 1
    assert connector.health().breaker == "unknown"
    assert sandbox.journal(system) == []


@every_system
def test_health_asks_nobody(sandbox, connect, system):
    health = connect(system).health()
    assert health.breaker == "closed"
    assert 0 <= health.budget_used <= 1
    assert sandbox.journal(system) == []


@every_system
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
    assert [worker.health().breaker for worker in workers] == ["open", "open", "open"]
    assert 25 < workers[0].health().seconds <= 30


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


def reads_of(connect, subject, fault):
    """Every way to read of a subject, each on a connector of its own."""

    def fresh():
        return connect(subject.system, **deadline_for(fault))

    yield lambda: fresh().probe()
    if subject.source:
        yield lambda: fresh().source(subject.source).page(Window(LONG_AGO), subject.fields)
        yield lambda: fresh().source(subject.source).read(["1"], subject.fields, {})
    if subject.target:
        yield lambda: fresh().target(subject.target).find("1")


@by_fault
@every_subject
def test_a_read_ends_in_time_and_by_its_right_name(sandbox, connect, subject, fault, meaning):
    arm(sandbox, subject.system, fault)
    for read in reads_of(connect, subject, fault):
        began = time.monotonic()
        assert type(failure(sandbox, subject.system, read)) is meaning
        assert time.monotonic() - began < 10


# Every source.


def pages_of(source, window, fields):
    pages = []
    while not pages or not pages[-1].last:
        pages.append(source.page(replace(window, after_id=pages[-1].last_id if pages else None), fields))
    return pages


def ids_of(pages):
    return [row.id for page in pages for row in page.rows]


@every_source
def test_pages_show_every_entity_once_by_ascending_id(sandbox, connect, subject):
    sandbox("POST", "/seed", contacts=130, deals=130)
    stored = sandbox.rows(subject)
    source = connect(subject.system).source(subject.source)
    pages = pages_of(source, Window(LONG_AGO), subject.fields)
    assert ids_of(pages) == sorted((row["ID"] for row in stored), key=int)
    assert [page.last for page in pages] == [False, False, True]
    assert [page.last_id for page in pages] == [page.rows[-1].id for page in pages]
    for page in pages:
        assert page.server_time.tzinfo
        assert abs(page.server_time - datetime.now(UTC)) < timedelta(seconds=30)
    shown = {row.id: row for page in pages for row in page.rows}
    for row in stored:
        assert shown[row["ID"]].modified == datetime.fromisoformat(row["DATE_MODIFY"])
        assert shown[row["ID"]].created == datetime.fromisoformat(row["DATE_CREATE"])
        assert shown[row["ID"]].fields[STATUS] == row[STATUS]


def create(sandbox, subject, **fields):
    return sandbox("POST", f"/bitrix24/{subject.source}", fields=fields)["ID"]


@every_source
def test_a_window_includes_its_first_second_and_leaves_out_what_is_older(sandbox, connect, subject):
    def row(modified, created="2026-01-01T00:00:00+03:00"):
        return create(sandbox, subject, DATE_MODIFY=modified, DATE_CREATE=created)

    row("2026-01-31T23:59:59+03:00")
    inside = [row("2026-02-01T00:00:00+03:00") for _ in range(3)]
    row("2026-02-02T00:00:00+03:00", created="2025-12-31T23:59:59+03:00")
    inside.append(row("2026-02-03T00:00:00+03:00"))
    window = Window(
        datetime.fromisoformat("2026-01-31T21:00:00.7+00:00"),
        created_since=datetime.fromisoformat("2026-01-01T00:00:00+03:00"),
    )
    assert ids_of(pages_of(connect(subject.system).source(subject.source), window, ())) == inside


@every_source
def test_single_entities_are_shown_as_they_are_now_and_the_deleted_are_absent(sandbox, connect, subject):
    kept, gone = create(sandbox, subject, COMMENTS="Анна"), create(sandbox, subject, COMMENTS="Борис")
    sandbox("DELETE", f"/bitrix24/{subject.source}/{gone}")
    sandbox("POST", f"/bitrix24/{subject.source}/{kept}", fields={"COMMENTS": "Инна"})
    source = connect(subject.system).source(subject.source)
    rows = source.read([gone, kept, "999999"], ("COMMENTS", *subject.fields), {})
    assert [(row.id, row.fields["COMMENTS"]) for row in rows] == [(kept, "Инна")]


@every_source
@pytest.mark.parametrize("unknown_filter_key", ["ignored", "error"])
def test_only_entities_that_meet_every_condition_are_shown(sandbox, connect, subject, unknown_filter_key):
    sandbox("POST", "/switches/bitrix24", unknown_filter_key=unknown_filter_key)
    created = [
        create(sandbox, subject, OPENED=opened, SOURCE_ID=source, COMMENTS="x")
        for opened in "YN"
        for source in ("CALL", "EMAIL", "WEB")
    ]
    conditions = {"OPENED": ("Y",), "SOURCE_ID": ("CALL", "WEB")}
    source = connect(subject.system).source(subject.source)
    assert ids_of(pages_of(source, Window(LONG_AGO, conditions=conditions), ())) == [created[0], created[2]]
    assert [row.id for row in source.read(created, (), conditions)] == [created[0], created[2]]


@every_source
@pytest.mark.parametrize("unknown_filter_key", ["ignored", "error"])
def test_a_condition_on_a_field_that_does_not_exist_is_refused(sandbox, connect, subject, unknown_filter_key):
    sandbox("POST", "/switches/bitrix24", unknown_filter_key=unknown_filter_key)
    create(sandbox, subject)
    source, window = connect(subject.system).source(subject.source), Window(LONG_AGO, conditions={"STAGEID": ("WON",)})
    assert type(failure(sandbox, subject.system, lambda: source.page(window, ()))) is Refused


@every_source
def test_a_field_that_does_not_exist_is_refused_by_its_name(sandbox, connect, subject):
    create(sandbox, subject)
    source = connect(subject.system).source(subject.source)
    error = failure(sandbox, subject.system, lambda: source.page(Window(LONG_AGO), ("UF_CRM_MISTYPED",)))
    assert type(error) is Refused
    assert "UF_CRM_MISTYPED" in str(error)


def statuses(sandbox, subject):
    return {row["ID"]: row[STATUS] for row in sandbox.rows(subject)}


@every_source
def test_notes_are_written_and_each_has_its_own_result(sandbox, connect, subject):
    first, gone, last = (create(sandbox, subject) for _ in range(3))
    sandbox("DELETE", f"/bitrix24/{subject.source}/{gone}")
    text = "Ошибка: «имя» & 100% + [курс] = ?\n#1"
    notes = [Note(first, text), Note(gone, "x"), Note(last, "Успешно")]
    wrote, refused, wrote_too = connect(subject.system).source(subject.source).write_notes(STATUS, notes)
    assert (wrote, wrote_too) == (None, None)
    assert isinstance(refused, Rejected)
    assert statuses(sandbox, subject) == {first: text, last: "Успешно"}
    assert 0 < len(refused.told) <= 255


@every_source
def test_the_notes_of_many_threads_travel_together(sandbox, connect, subject):
    ids = [create(sandbox, subject) for _ in range(200)]
    sandbox("POST", "/faults", system=subject.system, action="latency", before_s=0.3)
    source = connect(subject.system).source(subject.source)
    with ThreadPoolExecutor(200) as pool:
        results = list(pool.map(lambda id_: source.write_notes(STATUS, [Note(id_, f"note {id_}")]), ids))
    assert results == [[None]] * 200
    assert statuses(sandbox, subject) == {id_: f"note {id_}" for id_ in ids}
    calls = sandbox("GET", "/journal/summary")["systems"][subject.system]["http"]["total"]
    assert calls < 20, "two hundred notes are not two hundred calls"


@by_fault
@every_source
def test_notes_never_raise_and_each_tells_what_happened(sandbox, connect, subject, fault, meaning):
    ids = [create(sandbox, subject), create(sandbox, subject)]
    arm(sandbox, subject.system, fault)
    source = connect(subject.system, **deadline_for(fault)).source(subject.source)
    results = source.write_notes(STATUS, [Note(id_, "x") for id_ in ids])
    assert [type(result) for result in results] == [meaning, meaning]


@every_source
def test_a_note_whose_answer_was_lost_is_simply_written_again(sandbox, connect, subject):
    id_ = create(sandbox, subject)
    arm(sandbox, subject.system, {"action": "reset_after"}, times=1)
    source = connect(subject.system).source(subject.source)
    assert source.write_notes(STATUS, [Note(id_, "Успешно")]) == [None]
    assert statuses(sandbox, subject) == {id_: "Успешно"}


# Every target.


def ready(connect, subject, **changes):
    """The subject's target, when all is there that it needs."""
    subject.prepare(connect(subject.system))
    return connect(subject.system, **changes).target(subject.target)


@every_target
def test_an_entity_is_found_by_our_key_once_it_was_created(sandbox, connect, subject):
    target = ready(connect, subject)
    assert target.find("39558") is None
    created = target.create(subject.payload("39558"))
    assert created
    assert target.find("39558").id == created
    assert target.find("39559") is None
    assert sandbox.committed(subject)[-1:] == ["39558"]


@every_rewritable
def test_an_update_overwrites_by_our_key_and_creates_nothing(sandbox, connect, subject):
    target = ready(connect, subject)
    assert target.updates
    created = target.create(subject.payload("39558"))
    assert target.update("39558", subject.payload("39558") | {"last_name": "Сидоров"}) == created
    assert target.update("39559", subject.payload("39559")) is None
    (stored,) = sandbox.rows(subject)
    assert stored["last_name"] == "Сидоров"
    assert sandbox.committed(subject) == ["39558", "39558"]


def test_what_is_never_rewritten_refuses_to_be(sandbox, connect):
    target = ready(connect, SUBJECTS["tickets"])
    assert not target.updates
    asked = len(sandbox.journal("otmechalka"))
    error = failure(sandbox, "otmechalka", lambda: target.update("1", SUBJECTS["tickets"].payload("1")))
    assert type(error) is Refused
    assert len(sandbox.journal("otmechalka")) == asked


@every_target
def test_creating_twice_makes_one_entity_where_the_target_keeps_our_key_unique(sandbox, connect, subject):
    target = ready(connect, subject)
    assert target.write_class in WriteClass
    assert target.settle >= timedelta(0)
    assert target.create(subject.payload("1")) == target.create(subject.payload("1"))
    assert len(sandbox.rows(subject)) == 1


@by_fault
@every_target
def test_a_creation_that_went_wrong_is_told_apart_and_never_doubled(sandbox, connect, subject, fault, meaning):
    target = ready(connect, subject, **deadline_for(fault))
    arm(sandbox, subject.system, fault, match="POST", times=1)
    began, asked = time.monotonic(), len(sandbox.journal(subject.system))
    error = failure(sandbox, subject.system, lambda: target.create(subject.payload("39558")))
    assert time.monotonic() - began < 10
    assert type(error) is (InDoubt if meaning is Transient else meaning)
    assert len(sandbox.journal(subject.system)) == asked + 1, "a write is not repeated within the call"
    sandbox("DELETE", "/faults")
    target = connect(subject.system).target(subject.target)
    committed = sandbox.committed(subject)
    found = target.find("39558")
    assert (found is not None) == (committed == ["39558"])
    assert found or target.create(subject.payload("39558"))
    assert sandbox.committed(subject) == ["39558"]


@by_fault
@every_rewritable
def test_an_update_that_went_wrong_is_told_apart(sandbox, connect, subject, fault, meaning):
    target = ready(connect, subject, **deadline_for(fault))
    connect(subject.system).target(subject.target).create(subject.payload("39558"))
    arm(sandbox, subject.system, fault, match="39558", times=1)
    error = failure(sandbox, subject.system, lambda: target.update("39558", subject.payload("39558")))
    assert type(error) is (InDoubt if meaning is Transient else meaning)


@every_target
def test_a_write_that_was_never_sent_is_transient(sandbox, connect, subject):
    target = connect(subject.system, base_url="http://127.0.0.1:9").target(subject.target)
    error = failure(sandbox, subject.system, lambda: target.create(subject.payload("1")))
    assert type(error) is Transient
    assert "nothing was sent" in str(error)


@every_target
def test_a_wrong_record_is_rejected_in_words_for_the_manager(sandbox, connect, subject):
    field, value, label = subject.wrong
    target = ready(connect, subject)
    error = failure(sandbox, subject.system, lambda: target.create(subject.payload("1") | {field: value}))
    assert type(error) is Rejected
    assert label in error.told
    assert 0 < len(error.told) <= 255
    assert target.find("1") is None


# Deals.


def deal(sandbox, **fields):
    return create(sandbox, SUBJECTS["deals"], **fields)


def calls_to(sandbox, method):
    return [entry for entry in sandbox.journal("bitrix24") if entry["method"] == method]


def test_deals_come_with_their_product_rows_and_their_sellers_names(sandbox, connect):
    sandbox("POST", "/seed", contacts=40, deals=130)
    pages = pages_of(connect("bitrix24").source("deals"), Window(LONG_AGO), SUBJECTS["deals"].fields)
    assert len(ids_of(pages)) == 130
    stored = sandbox("GET", "/store/bitrix24/product_rows")["rows"]
    names = {row["ID"]: row for row in sandbox("GET", "/store/bitrix24/users")["rows"]}
    for row in (row for page in pages for row in page.rows):
        assert row.fields["PRODUCT_ROWS"] == [product for product in stored if product["OWNER_ID"] == row.id]
        seller = names[row.fields["ASSIGNED_BY_ID"]]
        assert row.fields["ASSIGNED_BY"] == {code: seller[code] or "" for code in ("NAME", "LAST_NAME")}


WON = {"STAGE_SEMANTIC_ID": ("S",), "IS_RECURRING": ("N",)}


def won_deals(sandbox):
    rows = sandbox.rows(SUBJECTS["deals"])
    return [row["ID"] for row in rows if (row["STAGE_SEMANTIC_ID"], row["IS_RECURRING"]) == ("S", "N")]


def test_a_thousand_won_deals_cost_a_list_and_a_batch_for_forty_eight(sandbox, connect):
    sandbox("POST", "/seed", contacts=100, deals=1000)
    window = Window(LONG_AGO, conditions=WON)
    pages = pages_of(connect("bitrix24").source("deals"), window, SUBJECTS["deals"].fields)
    won = won_deals(sandbox)
    assert ids_of(pages) == won
    pages_needed = -(-len(won) // 48)
    assert pages_needed <= len(calls_to(sandbox, "crm.deal.list")) <= pages_needed + 1
    assert len(calls_to(sandbox, "batch")) == pages_needed
    assert len(sandbox.journal("bitrix24")) <= 43


def test_a_seller_whom_the_webhook_may_not_see_is_null(sandbox, connect):
    seen, hidden = deal(sandbox, ASSIGNED_BY_ID="18"), deal(sandbox, ASSIGNED_BY_ID="30")
    rows = connect("bitrix24").source("deals").read([seen, hidden], ("ASSIGNED_BY",), {})
    assert [row.fields["ASSIGNED_BY"] for row in rows] == [{"NAME": "Ольга", "LAST_NAME": "Ферзева"}, None]


def test_without_the_scope_of_users_a_page_with_sellers_is_refused_and_check_says_which_is_missing(sandbox, connect):
    sandbox("POST", "/switches/bitrix24", scopes=["crm"])
    deal(sandbox)
    connector = connect("bitrix24")
    error = failure(sandbox, "bitrix24", lambda: connector.source("deals").page(Window(LONG_AGO), ("ASSIGNED_BY",)))
    assert type(error) is Refused
    assert "user.get" in str(error)
    errors = [found.text for found in connector.check("deals", SUBJECTS["deals"].needs) if found.level == "error"]
    assert len(errors) == 1
    assert "scope user" in errors[0]


@by_fault
@pytest.mark.parametrize("field", ["PRODUCT_ROWS", "ASSIGNED_BY"])
def test_a_page_whose_batch_went_wrong_ends_by_its_right_name(sandbox, connect, field, fault, meaning):
    id_ = deal(sandbox)
    arm(sandbox, "bitrix24", fault, match="batch")
    deals = connect("bitrix24", **deadline_for(fault)).source("deals")
    assert type(failure(sandbox, "bitrix24", lambda: deals.page(Window(LONG_AGO), (field,)))) is meaning
    deals = connect("bitrix24", **deadline_for(fault)).source("deals")
    assert type(failure(sandbox, "bitrix24", lambda: deals.read([id_], (field,), {}))) is meaning


@pytest.mark.parametrize("batch_charges", ["methods", "batch", "both"])
def test_product_rows_that_ran_too_long_hold_back_nothing_else(sandbox, connect, batch_charges):
    ids = [deal(sandbox) for _ in range(12)]
    sandbox("POST", "/switches/bitrix24", operating_limit_s=10.0, operating_cost_s=1.0, batch_charges=batch_charges)
    deals = connect("bitrix24", operating_limit=timedelta(seconds=10)).source("deals")
    with suppress(Throttled):
        deals.page(Window(LONG_AGO), ("PRODUCT_ROWS",))
    batches = len(calls_to(sandbox, "batch"))
    error = failure(sandbox, "bitrix24", lambda: deals.read(ids[:1], ("PRODUCT_ROWS",), {}))
    assert type(error) is Throttled
    assert len(calls_to(sandbox, "batch")) == batches, "the portal did not have to say it twice"
    (written,) = deals.write_notes(STATUS, [Note(ids[0], "Успешно")])
    assert written is None if batch_charges == "methods" else type(written) is Throttled


# Tickets.


@pytest.mark.parametrize("status", [400, 404])
def test_a_ticket_of_an_unknown_client_waits_until_the_client_is_there(sandbox, connect, status):
    sandbox("POST", "/switches/otmechalka", unknown_client_status=status)
    connector, payload = connect("otmechalka"), SUBJECTS["tickets"].payload("1")
    error = failure(sandbox, "otmechalka", lambda: connector.target("tickets").create(payload))
    assert type(error) is ParentMissing
    assert error.told == "Отмечалка не приняла: клиент: Посетитель не найден."
    SUBJECTS["tickets"].prepare(connector)
    assert connector.target("tickets").create(payload)


# What only one system does.


@pytest.mark.parametrize("status", [400, 403])
def test_a_full_school_takes_no_new_client_and_updates_the_old(sandbox, connect, status):
    sandbox("POST", "/switches/otmechalka", client_limit=1, limit_status=status)
    clients, payload = connect("otmechalka").target("clients"), SUBJECTS["clients"].payload
    known = clients.create(payload("1"))
    error = failure(sandbox, "otmechalka", lambda: clients.create(payload("2")))
    assert type(error) is LimitReached
    assert error.told.startswith("Отмечалка не приняла: Превышено")
    assert clients.update("1", payload("1")) == known
    assert clients.create(payload("1")) == known


def test_an_archived_client_is_rejected_with_the_schools_reason(sandbox, connect):
    clients, payload = connect("otmechalka").target("clients"), SUBJECTS["clients"].payload
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
    connector, payload = connect("otmechalka", **config), SUBJECTS["clients"].payload
    clients = connector.target("clients")
    connector.probe()
    assert clients.find("1") is None
    assert clients.update("1", payload("1")) is None
    created = clients.create(payload("1"))
    assert clients.find("1").id == clients.create(payload("1")) == clients.update("1", payload("1")) == created
    tickets, ticket = connector.target("tickets"), SUBJECTS["tickets"].payload("5") | {"client_origin_id": "1"}
    assert tickets.find("5") is None
    sold = tickets.create(ticket)
    assert tickets.find("5").id == tickets.create(ticket) == sold


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
    sandbox("POST", "/seed", deals=60)
    deals = connect("bitrix24").source("deals")
    pages = pages_of(deals, Window(LONG_AGO, conditions=WON), SUBJECTS["deals"].fields)
    assert ids_of(pages) == won_deals(sandbox)


def test_a_portal_that_blocks_a_method_for_its_running_time_is_left_alone(sandbox, connect):
    id_ = create(sandbox, SUBJECTS["contacts"])
    sandbox("POST", "/switches/bitrix24", operating_limit_s=1.0, operating_cost_s=0.6, batch_charges="methods")
    connector = connect("bitrix24", operating_limit=timedelta(seconds=480))
    contacts = connector.source("contacts")
    results = [contacts.write_notes(STATUS, [Note(id_, str(number))])[0] for number in range(4)]
    assert [type(result) for result in results] == [type(None), type(None), Throttled, Throttled]
    assert len([entry for entry in sandbox.journal("bitrix24") if entry["method"] == "batch"]) == 3
    assert contacts.page(Window(LONG_AGO), ()).last


def test_a_portal_never_has_to_block_a_method(sandbox, connect):
    id_ = create(sandbox, SUBJECTS["contacts"])
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
