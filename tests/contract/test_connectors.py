"""What every connector must do, whichever system it speaks to: one suite, against the sandbox process.

A new entity joins by an entry in SUBJECTS; until then `test_every_entity_is_under_contract` fails.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import fakeredis
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from connectors.base import FieldNeed, Malformed, Note, Window, WriteClass
from connectors.breaker import BreakerOpen
from connectors.errors import (
    InDoubt,
    LimitReached,
    ParentMissing,
    Refused,
    Rejected,
    Throttled,
    Transient,
)
from tasks.flows import KINDS
from tests.contract.subject import FAMILY, PERSONAL, STATUS
from tests.contract.subjects import (
    LONG_AGO,
    REACHED,
    SUBJECTS,
    each,
    every_only_pushed,
    every_source,
    every_subject,
    every_system,
    every_target,
    failure,
    is_wrong,
    together,
)
from workers.compose import SYSTEMS

SOON = timedelta(seconds=0.5)
"""The deadline where the vendor keeps us waiting on purpose."""
WAITING = ("hang", "latency", "slow")
WRITES = "^(POST|PUT|PATCH) "
AMO, BASE = ("amo_contacts", "amo_companies", "amo_leads"), ("base_contacts", "base_companies", "base_orders")
of_crms = each("contacts", "deals", *AMO)


def test_every_entity_is_under_contract():
    assert REACHED.keys() == SYSTEMS.keys()
    under_contract = {(subject.system, subject.entity) for subject in SUBJECTS.values()}
    sources = {(kind.source_system, kind.source_entity) for kind in KINDS.values()}
    targets = {(kind.target_system, kind.target_entity) for kind in KINDS.values()}
    assert under_contract == sources | targets
    pushed = {subject.entity for subject in SUBJECTS.values() if subject.item and not subject.is_only_pushed}
    assert pushed == {kind.source_entity for kind in KINDS.values() if kind.is_pushed}


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
    # What comes by itself comes all the same.
    assert {finding.level for finding in findings} & {"warning" if subject.is_only_pushed else "error"}
    sandbox("DELETE", "/faults")
    connector.probe()


INTERESTS, PERSONS = "Document_CRM_Интерес", "Catalog_КонтактныеЛицаПартнеров"
MISCONFIGURED = {
    "a scope": ("deals", {"scopes": ["crm"]}, "scope user"),
    "a set": ("interests", {"unpublished": [INTERESTS]}, f"{INTERESTS} is not published"),
    "a part": ("interests", {"unpublished": [PERSONS]}, f"{PERSONS}_КонтактнаяИнформация is not published"),
    "an attribute": ("interests", {"communication": "absent"}, "has no attribute CoMagicID"),
    "a right": ("interests", {"no_rights": [INTERESTS]}, "no right to it"),
    "a right to a part": ("interests", {"no_rights": [PERSONS]}, "no right to it"),
    "a base": ("interests", {"locked": True}, "maintenance"),
    "a zone": ("cards", {"timezone": "Asia/Omsk"}, "time zone is Asia/Omsk"),
    "a component": ("cards", {"component_enabled": False}, "component"),
    "a funnel": ("stages", {"with_funnel": False}, "there is no funnel 123"),
    "an address": ("stages", {"ip_list": ["203.0.113.7/32"]}, "ip_not_whitelisted"),
    "an account": ("stages", {"account_active": False}, "account_inactive"),
    "a right of a token": ("amo_contacts", {"rights": "none"}, "lacks a right"),
    "a subscription": ("amo_leads", {"account_state": "unpaid"}, "not paid"),
    "a subdomain": ("amo_companies", {"subdomain_state": "renamed"}, "check base_url"),
    "a session": ("base_orders", {"locked": True}, "maintenance"),
    "a licence": ("base_companies", {"no_licence": True}, "no free client licence"),
    "a password": ("base_contacts", {"password": "another"}, "login and password"),
}


@pytest.mark.parametrize(("name", "switches", "found"), MISCONFIGURED.values(), ids=MISCONFIGURED)
def test_check_says_what_is_missing_in_the_account(sandbox, connect, name, switches, found):
    subject = SUBJECTS[name]
    sandbox("POST", f"/switches/{subject.system}", **switches)
    findings = connect(subject.system).check(subject.entity, subject.needs)
    errors = [f"{finding.text} {finding.hint}" for finding in findings if finding.level == "error"]
    assert any(found in error for error in errors), errors


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


class Complaint(Transient):
    """An error in words, and with status 200."""


FAULTS = {
    "500": ({"action": "status", "status": 500}, Transient),
    "502 after commit": ({"action": "status", "status": 502, "commit": True}, Transient),
    "503 in html": ({"action": "status", "status": 503}, Transient),
    "504 in json": ({"action": "status", "status": 504, "json": {"message": "timeout"}}, Transient),
    "html with 200": ({"action": "html"}, Transient),
    "error with 200": ({"action": "error", "commit": True}, Complaint),
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


def meant(system, meaning):
    """`meaning` as this system has it."""
    words = {Throttled: REACHED[system].exhausted, Complaint: REACHED[system].complains}
    return words.get(meaning, meaning)


def meant_of_a_write(subject, meaning):
    """As `meant`: what was lost is in doubt, unless it is certain that nothing was written."""
    found = meant(subject.system, meaning)
    return InDoubt if found is Transient and meaning is not Throttled else found


def arm(sandbox, system, fault, *, match="", key=None, times=None):
    return sandbox("POST", "/faults", **{"system": system, "match": match, "key": key, "times": times} | fault)


every_read = each("contacts", "deals", "interests", "clients", "tickets", *AMO, "amo_events")


def deadline_for(fault):
    return {"deadline": SOON} if fault["action"] in WAITING else {}


def assert_ends(sandbox, system, read, meaning):
    """By its right name, and in time."""
    began = time.monotonic()
    error = failure(sandbox, system, read)
    assert time.monotonic() - began < 10
    assert type(error) is meant(system, meaning)
    assert meaning is not Throttled or error.wait


@by_fault
@every_system
def test_a_probe_ends_in_time_and_by_its_right_name(sandbox, connect, system, fault, meaning):
    arm(sandbox, system, fault)
    connector = connect(system, **deadline_for(fault))
    if meant(system, meaning) is Rejected:
        connector.probe()  # whoever complains of a question is at home
    else:
        assert_ends(sandbox, system, connector.probe, meaning)


def reads_of(connect, subject, fault, id_):
    """Every way to read of a subject, each on a connector of its own."""

    def fresh():
        return connect(subject.system, **deadline_for(fault))

    if subject.source:
        source, of_ids = fresh().source(subject.source), fresh().source(subject.source)
        yield lambda: source.page(Window(LONG_AGO), subject.fields)
        yield lambda: of_ids.read([id_], subject.fields, {})
    if subject.target:
        target = fresh().target(subject.target)
        yield lambda: target.find(subject.keyed("1"))


@by_fault
@every_read
def test_a_read_ends_in_time_and_by_its_right_name(sandbox, connect, subject, fault, meaning):
    id_ = sandbox.create(subject, **{subject.text: " ".join(PERSONAL)}) if subject.source else ""
    if subject.target:
        ready(connect, subject).create(subject.payload(subject.keyed("1")))
    for read in reads_of(connect, subject, fault, id_):
        if fault["action"] not in WAITING:
            read()  # so that it is not the first question about the account that fails
        arm(sandbox, subject.system, fault)
        assert_ends(sandbox, subject.system, read, meaning)
        sandbox("DELETE", "/faults")


@every_source
def test_check_names_a_field_that_does_not_exist(sandbox, connect, subject):
    needs = (*subject.needs, FieldNeed("UF_CRM_MISTYPED", "Опечатка", ()))
    errors = [found.text for found in connect(subject.system).check(subject.source, needs) if found.level == "error"]
    assert len(errors) == 1
    assert "UF_CRM_MISTYPED" in errors[0]


# Every source.

RECENTLY = timedelta(minutes=1)
every_window = pytest.mark.parametrize(
    ("subject", "is_recent"),
    [
        (SUBJECTS["contacts"], False),
        (SUBJECTS["deals"], False),
        (SUBJECTS["interests"], False),
        (SUBJECTS["interests"], True),
        (SUBJECTS["amo_contacts"], False),
        (SUBJECTS["amo_companies"], False),
        (SUBJECTS["amo_leads"], False),
    ],
    ids=[
        "contacts",
        "deals",
        "interests by a scan",
        "interests by date",
        "amo_contacts",
        "amo_companies",
        "amo_leads",
    ],
)


def window_of(*, is_recent):
    """The recent one of a source that cannot tell what changed shows all of the last days."""
    return Window(datetime.now(UTC) - RECENTLY if is_recent else LONG_AGO)


def pages_of(source, window, fields, between=lambda _number: None):
    pages = []
    while not pages or not pages[-1].last:
        pages.append(source.page(replace(window, after_id=pages[-1].last_id if pages else None), fields))
        between(len(pages))
    return pages


def ids_of(pages):
    return [row.id for page in pages for row in page.rows]


def repeated(pages):
    ids = ids_of(pages)
    return len(ids) - len(set(ids))


@every_window
def test_pages_show_every_entity_as_the_source_keeps_it(sandbox, connect, subject, is_recent):
    stored = sandbox.seed(subject, 130)
    source = connect(subject.system).source(subject.source)
    pages = pages_of(source, window_of(is_recent=is_recent), subject.fields)
    assert 3 <= len(pages) <= subject.pages
    assert repeated(pages) <= subject.overlap * (len(pages) - 1)
    shown = {row.id: row for page in pages for row in page.rows}
    assert shown.keys() >= stored.keys()
    assert [id_ for id_, row in stored.items() if not subject.shows(shown[id_], row)] == []
    for page in pages:
        assert page.server_time.tzinfo
        assert abs(page.server_time - datetime.now(UTC)) < timedelta(seconds=30)
        assert all(row.modified.tzinfo and row.created.tzinfo for row in page.rows)


@each("contacts", "deals")
def test_pages_of_a_source_that_numbers_its_entities_ascend(sandbox, connect, subject):
    stored = sandbox.seed(subject, 130)
    pages = pages_of(connect(subject.system).source(subject.source), Window(LONG_AGO), subject.fields)
    assert ids_of(pages) == sorted(stored, key=int)
    assert [page.last_id for page in pages] == [page.rows[-1].id for page in pages]


@every_window
def test_pages_leave_nothing_out_while_people_edit_create_and_delete(sandbox, connect, subject, is_recent):
    ids = list(sandbox.seed(subject, 150))
    removed = set()

    def work(number):
        for id_ in ids[number::30]:
            sandbox.edit(subject, id_, **{subject.text: f"edit {number}"})
        for id_ in ids[number + 10 :: 50]:
            if id_ not in removed:
                sandbox.remove(subject, id_)
            removed.add(id_)
        for _ in range(3):
            sandbox.create(subject)

    source = connect(subject.system).source(subject.source)
    pages = pages_of(source, window_of(is_recent=is_recent), subject.fields, between=work)
    assert set(ids) - removed <= set(ids_of(pages))
    assert repeated(pages) <= (subject.overlap + subject.torn) * (len(pages) - 1)


@of_crms
def test_a_window_includes_its_first_second_and_leaves_out_what_is_older(sandbox, connect, subject):
    def row(modified, created="2026-01-01T00:00:00+03:00"):
        return sandbox.create(subject, **subject.times(modified, created))

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
def test_single_entities_are_shown_as_they_are_now_and_the_deleted_are_absent_or_marked(sandbox, connect, subject):
    kept, gone = (sandbox.create(subject, **{subject.text: name}) for name in ("Анна", "Борис"))
    sandbox.remove(subject, gone)
    sandbox.edit(subject, kept, **{subject.text: "Инна"})
    source = connect(subject.system).source(subject.source)
    rows = source.read([gone, kept, subject.nobody, kept], (subject.text, *subject.fields), {})
    alive = [row for row in rows if not row.fields.get("is_deleted")]
    assert [(row.id, row.fields[subject.text]) for row in alive] == [(kept, "Инна")]


@every_source
def test_ids_that_nobody_has_are_absent(sandbox, connect, subject):
    sandbox.create(subject)
    source = connect(subject.system).source(subject.source)
    assert source.read([], subject.fields, {}) == ()
    assert source.read([subject.nobody], subject.fields, {}) == ()


every_filter = pytest.mark.parametrize(
    ("subject", "switches"),
    [(subject, switches) for subject in SUBJECTS.values() for switches in subject.filters],
    ids=[f"{name} {switches}" for name, subject in SUBJECTS.items() for switches in subject.filters],
)


@every_filter
def test_only_entities_that_meet_every_condition_are_shown(sandbox, connect, subject, switches):
    sandbox("POST", f"/switches/{subject.system}", **switches)
    (one, (yes, no)), (other, values) = subject.marks.items()
    created = [sandbox.create(subject, **{one: mark, other: value}) for mark in (yes, no) for value in values]
    conditions = {one: (yes,), other: (values[0], values[2])}
    source = connect(subject.system).source(subject.source)
    shown = ids_of(pages_of(source, Window(LONG_AGO, conditions=conditions), ()))
    assert sorted(shown) == sorted([created[0], created[2]])
    assert sorted(row.id for row in source.read(created, (), conditions)) == sorted([created[0], created[2]])


@every_filter
def test_a_condition_on_a_field_that_does_not_exist_is_refused(sandbox, connect, subject, switches):
    sandbox("POST", f"/switches/{subject.system}", **switches)
    sandbox.create(subject)
    source, window = connect(subject.system).source(subject.source), Window(LONG_AGO, conditions={"STAGEID": ("WON",)})
    assert type(failure(sandbox, subject.system, lambda: source.page(window, ()))) is Refused


@every_source
def test_a_field_that_does_not_exist_is_refused_by_its_name(sandbox, connect, subject):
    sandbox.create(subject)
    fields, configured = subject.mistyped
    source = connect(subject.system, **configured).source(subject.source)
    error = failure(sandbox, subject.system, lambda: source.page(Window(LONG_AGO), fields))
    assert type(error) is Refused
    assert "UF_CRM_MISTYPED" in str(error)


MALFORMED = {
    "no object": lambda item: [item],
    "a text": lambda _: FAMILY,
    "nothing": lambda _: None,
    "no id of any kind": lambda item: {name: value for name, value in item.items() if not name.startswith("id")},
}
SPOILT = [
    pytest.param(subject, spoil, id=f"{name} {how}")
    for name, subject in SUBJECTS.items()
    if subject.item
    for how, spoil in (MALFORMED | dict(subject.malformed)).items()
]


@pytest.mark.parametrize(("subject", "spoil"), SPOILT)
def test_what_is_pushed_in_another_shape_is_malformed_and_nobodys_data_is_repeated(connect, subject, spoil):
    source = connect(subject.system).source(subject.source)
    with pytest.raises(Malformed) as caught:
        source.received(spoil(subject.item))
    assert [text for text in PERSONAL if text in str(caught.value)] == []
    assert len(str(caught.value)) < 300


@each("interests")
def test_what_is_pushed_is_the_row_that_would_have_been_read(sandbox, connect, subject):
    stored = sandbox.seed(subject, 40)
    source = connect(subject.system).source(subject.source)
    for row in source.read(list(stored), subject.fields, {}):
        received = source.received(stored[row.id])
        assert (received.id, received.created) == (row.id, row.created)
        names = received.fields.keys() - {"modified_at", "stage_changed_at"}
        assert {name: received.fields[name] or None for name in names} == {
            name: row.fields[name] or None for name in names
        }


@every_only_pushed
def test_what_is_only_pushed_is_a_whole_row_and_the_same_one_when_it_comes_again(connect, subject):
    source = connect(subject.system).source(subject.source)
    row, again = (source.received(subject.item) for _ in range(2))
    assert set(row.fields) == set(subject.fields)
    assert {need.code for need in subject.needs} <= {name for name, value in row.fields.items() if value is not None}
    assert (again.id, *without_moments(again)) == (row.id, *without_moments(row))
    assert row.created <= row.modified <= datetime.now(UTC)
    few = source.received({name: subject.item[name] for name in ("id", "event_name") if name in subject.item})
    assert set(few.fields) == set(subject.fields)
    assert few.id != row.id


def without_moments(row):
    return sorted((name, value) for name, value in row.fields.items() if name != "received_at")


@every_only_pushed
def test_what_is_only_pushed_is_neither_asked_for_nor_told_of(sandbox, connect, subject):
    connector = connect(subject.system)
    source = connector.source(subject.source)
    page = source.page(Window(LONG_AGO), subject.fields)
    assert (page.rows, page.last) == ((), True)
    assert abs(page.server_time - datetime.now(UTC)) < timedelta(seconds=30)
    assert source.read(["7"], subject.fields, {}) == ()
    results = source.write_notes("x", [Note("7", FAMILY), Note("8", FAMILY)])
    assert [is_wrong(result) and 0 < len(result.told) <= 255 for result in results] == [True, True]
    assert sandbox.journal(subject.system) == []
    wrong = connector.check(subject.source, (FieldNeed("UF_CRM_MISTYPED", "Опечатка", ()),))
    assert any("UF_CRM_MISTYPED" in found.text for found in wrong if found.level == "error")


@every_source
def test_a_source_that_does_not_push_receives_nothing(connect, subject):
    if not subject.item:
        with pytest.raises(NotImplementedError):
            connect(subject.system).source(subject.source).received({})


@every_source
def test_notes_are_written_and_each_has_its_own_result(sandbox, connect, subject):
    first, last = (sandbox.create(subject) for _ in range(2))
    text = "Ошибка: «имя» & 100% + [курс] = ?\n#1"
    notes = [Note(first, text), Note(subject.nobody, "x"), Note(last, "Успешно")]
    wrote, refused, wrote_too = connect(subject.system).source(subject.source).write_notes(subject.note, notes)
    assert (wrote, wrote_too) == (None, None)
    assert isinstance(refused, Rejected)
    assert sandbox.notes(subject) == {first: text, last: "Успешно"}
    assert 0 < len(refused.told) <= 255


@of_crms
def test_the_note_of_a_deleted_entity_is_rejected(sandbox, connect, subject):
    gone = sandbox.create(subject)
    sandbox.remove(subject, gone)
    (refused,) = connect(subject.system).source(subject.source).write_notes(subject.note, [Note(gone, "x")])
    assert isinstance(refused, Rejected)


@of_crms
def test_the_notes_of_many_threads_travel_together(sandbox, connect, subject):
    ids = [sandbox.create(subject) for _ in range(200)]
    sandbox("POST", "/faults", system=subject.system, action="latency", before_s=0.3)
    source = connect(subject.system).source(subject.source)
    with ThreadPoolExecutor(200) as pool:
        results = list(pool.map(lambda id_: source.write_notes(subject.note, [Note(id_, f"note {id_}")]), ids))
    assert results == [[None]] * 200
    assert sandbox.notes(subject) == {id_: f"note {id_}" for id_ in ids}
    calls = sandbox("GET", "/journal/summary")["systems"][subject.system]["http"]["total"]
    assert calls < 40, "two hundred notes are not two hundred calls"


@by_fault
@every_source
def test_notes_never_raise_and_each_tells_what_happened(sandbox, connect, subject, fault, meaning):
    ids = [sandbox.create(subject), sandbox.create(subject)]
    for knows_account in (False,) if fault["action"] in WAITING else (False, True):
        source = connect(subject.system, **deadline_for(fault)).source(subject.source)
        if knows_account:
            source.write_notes(subject.note, [Note(ids[0], "x")])
        arm(sandbox, subject.system, fault)
        results = source.write_notes(subject.note, [Note(id_, FAMILY) for id_ in ids])
        first, second = map(type, results)
        assert first is meant(subject.system, meaning)
        assert second in (first, BreakerOpen), "one by one they may find that enough has failed"
        assert FAMILY not in repr(results)
        sandbox("DELETE", "/faults")


@every_source
def test_a_note_whose_answer_was_lost_is_simply_written_again(sandbox, connect, subject):
    id_ = sandbox.create(subject)
    arm(sandbox, subject.system, {"action": "reset_after"}, match=WRITES, times=1)
    source = connect(subject.system).source(subject.source)
    assert source.write_notes(subject.note, [Note(id_, "Успешно")]) == [None]
    assert sandbox.notes(subject) == {id_: "Успешно"}


# Every target.


looked_up = each("clients", "tickets", *AMO, "amo_events")
converging = each("cards", "stages", *BASE)
"""Targets where a repeated write is harmless, so that nothing is looked up."""
unique = each("clients", "tickets", "cards", "stages", *BASE)
"""Targets that never hold two entities of one key of ours."""
gathering = each("cards", "stages")
"""Converging targets that take many records in one call."""
overwritten = each("clients", "cards", *AMO)
uploaded = each("stages", *BASE)
"""Targets where an update and a creation are one request."""
rewritable = each("clients", "cards", "stages", *AMO, *BASE)


def is_looked_up(target):
    return target.write_class is not WriteClass.UPSERT


def ready(connect, subject, **changes):
    """The subject's target, when all is there that it needs."""
    subject.prepare(connect(subject.system))
    return connect(subject.system, **changes).target(subject.target)


def given(subject, number, **changes):
    """Our key of this number, and a payload."""
    key = subject.keyed(number)
    return key, subject.payload(key) | changes


@looked_up
def test_an_entity_is_found_by_our_key_once_it_was_created(sandbox, connect, subject):
    target, (key, payload) = ready(connect, subject), given(subject, "39558")
    assert is_looked_up(target)
    assert target.find(key) is None
    created = target.create(payload)
    assert created
    assert target.find(key).id == created
    assert target.find(subject.keyed("39559")) is None
    assert sandbox.committed(subject)[-1:] == [key]


@converging
def test_where_a_repeat_is_harmless_nothing_is_looked_up(sandbox, connect, subject):
    target, (key, payload) = ready(connect, subject), given(subject, "39558")
    assert not is_looked_up(target)
    asked = len(sandbox.journal(subject.system))
    created = target.create(payload)
    assert [(key, created)] == [(held, row[subject.id]) for held, row in sandbox.held(subject)]
    assert target.find(key) is None
    assert len(sandbox.journal(subject.system)) == asked + 1
    assert sandbox.committed(subject)[-1:] == [key]


@overwritten
def test_an_update_overwrites_and_creates_nothing(sandbox, connect, subject):
    target, (field, value) = ready(connect, subject), subject.change
    assert target.updates
    key, payload = given(subject, "39558")
    created = target.create(payload)
    assert target.update(created, payload | {field: value}) == created
    assert target.update(subject.nobody, given(subject, "39559")[1]) is None
    ((_, stored),) = sandbox.held(subject)
    assert stored[field] == value
    assert sandbox.committed(subject) == [key, key]


@uploaded
def test_where_an_update_is_an_upload_it_needs_nothing_to_be_there(sandbox, connect, subject):
    target, (field, value) = ready(connect, subject), subject.change
    assert target.updates
    key, payload = given(subject, "39558")
    updated = target.update(key, payload)
    assert target.update(updated, payload | {field: value}) == updated
    ((held, stored),) = sandbox.held(subject)
    assert (held, stored[subject.id], stored[field]) == (key, updated, value)


@each("tickets", "amo_events")
def test_what_is_never_rewritten_refuses_to_be(sandbox, connect, subject):
    target = ready(connect, subject)
    assert not target.updates
    asked = len(sandbox.journal(subject.system))
    error = failure(sandbox, subject.system, lambda: target.update("1", given(subject, "1")[1]))
    assert type(error) is Refused
    assert len(sandbox.journal(subject.system)) == asked


@every_target
def test_a_target_says_what_a_repeated_write_does_and_how_long_one_stays_unseen(connect, subject):
    target = connect(subject.system).target(subject.target)
    assert target.write_class in WriteClass
    assert target.settle >= timedelta(0)


@unique
def test_creating_twice_makes_one_entity_where_the_target_keeps_our_key_unique(sandbox, connect, subject):
    target, (key, payload) = ready(connect, subject), given(subject, "1")
    assert target.create(payload) == target.create(payload)
    assert sandbox.keys(subject) == [key]


@by_fault
@every_target
def test_a_creation_that_went_wrong_is_told_apart_and_never_doubled(sandbox, connect, subject, fault, meaning):
    target, (key, payload) = ready(connect, subject, **deadline_for(fault)), given(subject, "39558")
    arm(sandbox, subject.system, fault, match="POST", times=1)
    began, asked = time.monotonic(), len(sandbox.writes(subject.system))
    error = failure(sandbox, subject.system, lambda: target.create(payload))
    assert time.monotonic() - began < 10
    assert type(error) is meant_of_a_write(subject, meaning)
    assert len(sandbox.writes(subject.system)) == asked + 1, "a write is not repeated within the call"
    sandbox("DELETE", "/faults")
    target = connect(subject.system).target(subject.target)
    committed = sandbox.committed(subject)
    found = target.find(key)
    if is_looked_up(target):
        assert (found is not None) == (committed == [key])
    assert found or target.create(payload)
    assert sandbox.keys(subject) == [key]
    if is_looked_up(target):
        assert sandbox.committed(subject) == [key]


@by_fault
@rewritable
def test_an_update_that_went_wrong_is_told_apart(sandbox, connect, subject, fault, meaning):
    (field, value), (_, payload) = subject.change, given(subject, "39558")
    created = ready(connect, subject).create(payload)
    target = connect(subject.system, **deadline_for(fault)).target(subject.target)
    arm(sandbox, subject.system, fault, match=WRITES, times=1)
    asked = len(sandbox.writes(subject.system))
    error = failure(sandbox, subject.system, lambda: target.update(created, payload | {field: value}))
    assert type(error) is meant_of_a_write(subject, meaning)
    assert len(sandbox.writes(subject.system)) == asked + 1, "a write is not repeated within the call"


@every_target
def test_a_write_that_was_never_sent_is_transient(sandbox, connect, subject):
    nowhere = {REACHED[subject.system].address: "http://127.0.0.1:9"}
    target = connect(subject.system, **nowhere).target(subject.target)
    error = failure(sandbox, subject.system, lambda: target.create(given(subject, "1")[1]))
    assert type(error) is Transient
    assert "nothing was sent" in str(error)


@every_target
def test_a_wrong_record_is_rejected_in_words_for_the_manager(sandbox, connect, subject):
    field, value, label = subject.wrong
    target = ready(connect, subject)
    error = failure(sandbox, subject.system, lambda: target.create(given(subject, "1", **{field: value})[1]))
    assert is_wrong(error)
    assert label in error.told
    assert 0 < len(error.told) <= 255
    assert sandbox.keys(subject) == []


@gathering
@pytest.mark.parametrize("index_in_field", ["none", "dotted", "brackets"])
def test_of_many_records_that_travel_together_only_the_wrong_ones_are_rejected(
    sandbox, connect, subject, index_in_field
):
    sandbox("POST", "/switches/comagic", index_in_field=index_in_field)
    target, (field, value, _) = ready(connect, subject), subject.wrong
    arm(sandbox, subject.system, {"action": "latency", "before_s": 0.5}, times=1)
    wrong = (17, 42)

    def create(number):
        return target.create(subject.payload(str(number)) | ({field: value} if number in wrong else {}))

    asked = len(sandbox.journal(subject.system))
    expected = [Rejected if number in wrong else str(number) for number in range(60)]
    assert together(60, create) == expected
    assert sorted(sandbox.keys(subject)) == sorted(filter(lambda each: each is not Rejected, expected))
    assert len(sandbox.journal(subject.system)) - asked < 30, "sixty records are not sixty calls"


@gathering
def test_many_records_whose_answer_was_lost_are_all_in_doubt_and_converge(sandbox, connect, subject):
    target = ready(connect, subject)
    arm(sandbox, subject.system, {"action": "reset_after"}, times=2)
    first = together(30, lambda number: target.create(subject.payload(str(number))))
    assert set(first) <= {InDoubt, *map(str, range(30))}
    assert first.count(InDoubt) > 1
    assert together(30, lambda number: target.create(subject.payload(str(number)))) == [str(n) for n in range(30)]
    assert sorted(sandbox.keys(subject)) == sorted(map(str, range(30)))


# Deals.


def deal(sandbox, **fields):
    return sandbox.create(SUBJECTS["deals"], **fields)


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
    expected = meant("bitrix24", meaning)
    assert type(failure(sandbox, "bitrix24", lambda: deals.page(Window(LONG_AGO), (field,)))) is expected
    deals = connect("bitrix24", **deadline_for(fault)).source("deals")
    assert type(failure(sandbox, "bitrix24", lambda: deals.read([id_], (field,), {}))) is expected


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
    id_ = sandbox.create(SUBJECTS["contacts"])
    sandbox("POST", "/switches/bitrix24", operating_limit_s=1.0, operating_cost_s=0.6, batch_charges="methods")
    connector = connect("bitrix24", operating_limit=timedelta(seconds=480))
    contacts = connector.source("contacts")
    results = [contacts.write_notes(STATUS, [Note(id_, str(number))])[0] for number in range(4)]
    assert [type(result) for result in results] == [type(None), type(None), Throttled, Throttled]
    assert len([entry for entry in sandbox.journal("bitrix24") if entry["method"] == "batch"]) == 3
    assert contacts.page(Window(LONG_AGO), ()).last


def test_a_portal_never_has_to_block_a_method(sandbox, connect):
    id_ = sandbox.create(SUBJECTS["contacts"])
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
