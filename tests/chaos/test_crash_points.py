"""Level F: a process is killed at every named point, in every operation that comes to it, on both databases.

Afterwards, and the sandbox alone is asked: nothing is missing, nothing is there twice, and nobody has more to say.
The school does not know keys to be unique, and shows what was created only when it has settled.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy.engine import make_url

from tasks import look, resync
from tasks.ledger.tables import metadata
from tests.chaos.crashes import Hand, Scene, Work, celery_of
from tests.chaos.seams import NAMED
from tests.e2e.test_tickets import enrol, sell
from tests.harbour import assert_all_arrived, open_harbour
from workers import compose

GIVEN_NAME, PRODUCTS = "UF_CRM_1608028374", "UF_CRM_58D15BB9CA8F4"
SEED = 54
"""Three contacts that become clients, a nameless one as the second, and a ticket for each of two of the three."""

POINTS = NAMED | {
    "before the turn is committed": "cursors.take_turn open",
    "page asked for": "crm[.].*[.]list sent",
    "page read": "crm[.].*[.]list answered",
    "turn given back, not committed": "cursors.end_turn open",
    "turn given back": "cursors.end_turn committed",
    "queued, not committed": "dispatch.dispatch open",
    "poll asked for": "publish poll",
    "before the note is claimed": "notes.claim open",
    "note answered": "batch of notes answered",
    "freed, not queued": "upkeep.upkeep committed",
    "missed hints found, not sent": "dispatch.publish_lost_hints committed",
    "hint taken, nothing read": "crm[.].*[.]list sending",
    "hinted, cursor aside": "look._read half",
    "hinted, not committed": "look._read open",
    "hinted, nothing published": "look._read committed",
    "parent fetched, not stored": "parents._fetched half",
    "parent fetched, not committed": "parents._fetched open",
    "parent fetched, child not told to wait": "parents._fetched committed",
    "told to wait": "records.finish committed",
    "child read again, not committed": "parents._read_again open",
    "child read again": "parents._read_again committed",
    "lost parent due, not committed": "parents.deliver_again open",
    "lost parent due": "parents.deliver_again committed",
    "flow paused, not committed": "pauses.refuse open",
    "flow paused, attempt not finished": "pauses.refuse committed",
    "probe taken": "pauses.take_probe committed",
    "probe passed, not resumed": "pauses.resume open",
    "resumed": "pauses.resume committed",
    "creations held, not committed": "pauses.hold_creates open",
    "creations held, attempt not finished": "pauses.hold_creates committed",
    "resync read, not committed": "resync._read_again open",
    "resync read, nothing due": "resync._read_again committed",
    "resync due, not committed": "resync._make_due open",
    "resync due": "resync._make_due committed",
    "rewound, not committed": "cursors.rewind open",
    "rewound": "cursors.rewind committed",
}
"""The certificate's points, and those that only some operation comes to."""

ATTEMPT = (
    "before the claim is committed",
    "after the claim",
    "after the find",
    "before the intent is committed",
    "after the intent, before sending",
    "sent, not yet answered",
    "answered, not yet finished",
    "before the finish is committed",
    "after the finish, before the note",
)
UPDATE = tuple(point for point in ATTEMPT if point != "after the find")
NOTE_SENT = ("note sent", "note answered")
NOTE_WRITTEN = ("before the note is claimed", "note claimed", "note answered, not written down", "note written down")
TURN = (
    "poll asked for",
    "before the turn is committed",
    "turn taken",
    "page asked for",
    "page read",
    "cursor moved, rows not stored",
    "page not committed",
    "page committed, nothing published",
)
HINTED = (
    "hint taken, nothing read",
    "page asked for",
    "hinted, cursor aside",
    "hinted, not committed",
    "hinted, nothing published",
)
FETCHED = (
    "parent fetched, not stored",
    "parent fetched, not committed",
    "parent fetched, child not told to wait",
)
HANDED_OUT = ("queued, not committed", "queued, not published", "half published")
PUT_OFF = ("before the finish is committed", "told to wait")
RESYNC = ("resync due, not committed", "resync due")
TURN_ENDS = ("turn given back, not committed", "turn given back")


@dataclass(frozen=True)
class Operation:
    """What has happened before, and what the process does when it dies."""

    prepare: Callable[[Scene], None]
    work: Work = Hand.work
    rests: timedelta = timedelta()
    """What the recovered waits for before the last of it goes out."""


# --- what the outside world does ---


def seeded(scene):
    scene.sandbox.post("/seed", contacts=4, deals=2, seed=SEED)


def settled(scene):
    seeded(scene)
    scene.live()
    scene.later(timedelta(seconds=10))


def edit_two(scene):
    """The first is renamed; who had no name gets one, and so another note."""
    kinds = scene.sandbox.get("/seed")["kinds"]
    chosen = [
        next(contact for contact, kind in kinds.items() if kind == wanted) for wanted in ("valid", "no_pupil_name")
    ]
    for contact in chosen:
        scene.sandbox.post(f"/bitrix24/contacts/{contact}", fields={GIVEN_NAME: "Новое"})
    return chosen


def refuse_once(scene, match, status, body):
    fault = {"match": match, "action": "status", "status": status, "json": body, "times": 1}
    scene.sandbox.post("/faults", system="otmechalka", **fault)


# --- the operations ---


def changed(scene):
    settled(scene)
    edit_two(scene)
    scene.later(timedelta(seconds=60))


def hinted(scene):
    """An event brings the changes, long before the next poll would."""
    settled(scene)
    look.hint(scene.redis, "students", edit_two(scene))


def sold(scene):
    """A deal is heard of before its contact is."""
    settled(scene)
    look.hint(scene.redis, "tickets", [sell(scene, enrol(scene))])


def sold_and_lost(scene):
    """The school has no such client (any more), whatever the ledger says."""
    settled(scene)
    scene.later(timedelta(seconds=40))
    look.hint(scene.redis, "tickets", [sell(scene, "1000")])
    refuse_once(scene, "POST .*tickets", 400, {"client_origin_id": ["Посетитель не найден."]})


def merged(scene):
    """The contact for whom a ticket waits is merged into another, and the deal is not marked as changed."""
    settled(scene)
    loser, winner = enrol(scene, **{GIVEN_NAME: ""}), enrol(scene)
    sell(scene, loser)
    for _ in range(2):  # until no poll looks back to the deal
        scene.later(timedelta(seconds=200))
        scene.live()
    scene.sandbox.post(f"/bitrix24/contacts/{loser}/merge", into=winner)
    scene.later(timedelta(seconds=3700))


def paged(scene):
    """More than a page, but few of them clients."""
    seeded(scene)
    for _ in range(50):
        enrol(scene, **{PRODUCTS: [412]})


def abandoned(scene):
    """Somebody died with an intent on the books."""
    seeded(scene)
    scene.live(road=(POINTS["after the intent, before sending"],) * 2)
    scene.later(timedelta(seconds=35))


def unheard(scene):
    """Somebody died before the hints were sent."""
    seeded(scene)
    scene.live(road=(POINTS["page committed, nothing published"], POINTS["queued, not published"]))
    scene.later(timedelta(seconds=8))


def refused(scene):
    seeded(scene)
    refuse_once(scene, "POST .*clients", 401, {"detail": "Недопустимый токен."})


def to_be_probed(scene):
    refused(scene)
    scene.live()
    scene.later(timedelta(seconds=35))


def full(scene):
    seeded(scene)
    refuse_once(scene, "POST .*clients", 400, {"code": "limit", "detail": "limit"})


def resync_ids(hand):
    resync.resync(hand.runtime, "students", resync.Choice(ids=("1000", "1002")))


def resync_since(hand):
    resync.resync(hand.runtime, "students", resync.Choice(since=hand.runtime.flows["students"].since))


OPERATIONS = {
    "create": Operation(seeded),
    "update": Operation(changed),
    "batch": Operation(seeded),
    "ticket": Operation(sold),
    "parent": Operation(sold),
    "waiting ticket": Operation(sold),
    "event": Operation(hinted),
    "pages": Operation(paged),
    "second death": Operation(abandoned),
    "lost hints": Operation(unheard),
    "lost parent": Operation(sold_and_lost),
    "merged parent": Operation(merged),
    "refusal": Operation(refused),
    "probe": Operation(to_be_probed),
    "limit": Operation(full, rests=timedelta(seconds=3700)),
    "resync": Operation(settled, work=resync_ids),
    "resync since": Operation(settled, work=resync_since),
}

STORED, FOUND, FINISHED = "page committed, nothing published", "find clients answered", "records.finish committed"
# The operation, what is come to before the point counts, the points.
DEATHS = (
    ("create", (), (*TURN, *ATTEMPT, *NOTE_WRITTEN)),
    ("create", (STORED,), (*HANDED_OUT, *TURN_ENDS)),
    ("create", ("note claimed",), NOTE_SENT),
    ("update", (), (*TURN[-3:], *UPDATE, *NOTE_WRITTEN)),
    ("update", (STORED,), HANDED_OUT),
    ("update", ("note claimed",), NOTE_SENT),
    ("batch", (FINISHED, FINISHED), ATTEMPT),
    ("pages", (STORED,), TURN[-3:]),
    ("event", (), HINTED),
    ("event", (HINTED[-1],), HANDED_OUT),
    ("waiting ticket", (), FETCHED),
    ("waiting ticket", (FETCHED[-1],), PUT_OFF),
    ("parent", (FINISHED,), ATTEMPT[-4:]),
    ("ticket", (FINISHED, FINISHED), ATTEMPT),
    ("ticket", (FINISHED, FINISHED, FINISHED, "note claimed"), ("note answered", "note answered, not written down")),
    ("lost parent", (), ("lost parent due, not committed", "lost parent due")),
    ("lost parent", ("lost parent due",), PUT_OFF),
    ("merged parent", ("crm[.]deal[.]list answered",), ("child read again, not committed", "child read again")),
    ("second death", (), ("freed, not committed", "freed, not queued")),
    ("second death", (FOUND, FOUND), ("before the intent is committed", "after the intent, before sending")),
    ("lost hints", (), ("missed hints found, not sent", "half published")),
    ("refusal", (), ("flow paused, not committed", "flow paused, attempt not finished")),
    ("probe", (), ("probe taken", "probe passed, not resumed", "resumed")),
    ("limit", (), ("creations held, not committed", "creations held, attempt not finished")),
    ("resync", (), ("resync read, not committed", "resync read, nothing due", *RESYNC)),
    ("resync since", (), (*RESYNC, "rewound, not committed", "rewound")),
)
DATABASES = ("sqlite", "postgresql")


def road_to(point, passed=()):
    return [POINTS.get(step, step) for step in (*passed, point)]


def cases():
    return [
        pytest.param(database, operation, point, road_to(point, passed), id=f"{database}-{operation}-{point}")
        for operation, passed, points in DEATHS
        for point in points
        for database in DATABASES
    ]


@pytest.fixture(scope="session")
def outside(tmp_path_factory):
    """Sandbox, Redis and a migrated, empty ledger, for all cases of this test process."""
    folder = tmp_path_factory.mktemp("crashes")
    roomy = "requests_per_second = 5000.0\nburst = 500"  # of the portal: nothing here is about limits
    harbour = open_harbour(folder, f"sqlite:///{folder}/parom.db", tickets=True, every="30s", settle="30s", crm=roomy)
    harbour.ledger.close()
    yield harbour
    harbour.stop()


@pytest.fixture(scope="session")
def celery(outside):
    return celery_of(outside.redis.url)


@pytest.fixture
def scene(request, outside, celery, tmp_path):
    """An empty world, source and ledger, on the database that the test names."""
    redis = Redis.from_url(outside.redis.url)
    redis.flushdb()
    outside.sandbox.post("/reset")
    # Nothing outside shall save us from creating twice, and whoever looks too early finds nothing.
    outside.sandbox.post("/switches/otmechalka", unique_origin_id=False, read_lag_s=29)
    url = _on_sqlite(outside, tmp_path) if request.param == "sqlite" else _on_postgresql(request)
    settings = replace(compose.read_settings(outside.environ), database_url=url)
    yield Scene(outside.sandbox, redis, outside.environ, settings, celery)
    redis.close()


def _on_sqlite(outside, folder):
    shutil.copy(outside.folder / "parom.db", folder)
    return f"sqlite:///{folder}/parom.db"


def _on_postgresql(request):
    ledger = request.getfixturevalue("postgres_ledger")
    with ledger.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    # No server dies here: that its answers do not wait for the disk changes nothing but our patience.
    url = make_url(request.getfixturevalue("postgres_url")).update_query_dict({"options": "-csynchronous_commit=off"})
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize(("scene", "operation", "point", "road"), cases(), indirect=["scene"])
def test_whoever_dies_leaves_nothing_undone_and_nothing_done_twice(scene, operation, point, road):
    told = OPERATIONS[operation]
    told.prepare(scene)
    scene.live(told.work, road=road)
    assert_recovers(scene, point, rests=told.rests)


@pytest.mark.parametrize("scene", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("mechanism", "point"),
    [
        ("find", "answered, not yet finished"),
        ("doubt", "sent, not yet answered"),
        ("cursor", "page committed, nothing published"),
        ("sweeper", "after the claim"),
        ("echo", "after the claim"),
    ],
)
def test_the_same_death_does_harm_without_the_mechanism_that_is_there_for_it(scene, mechanism, point):
    seeded(scene)
    scene.mutation = mechanism
    scene.live(road=road_to(point))
    with pytest.raises(AssertionError):
        assert_recovers(scene, point)


def test_every_point_of_the_certificate_is_died_at():
    assert NAMED.keys() <= {point for _, _, points in DEATHS for point in points}


def assert_recovers(scene, point, *, rests=timedelta()):
    """Whoever comes after the dead one brings everything where it belongs, once, and then has no more to say."""
    died_at, spared = scene.last_call(), records_to_be_spared(scene, point)
    settled_at = scene.live(Hand.recover)
    if rests:
        scene.later(rests)
        settled_at = scene.live(Hand.recover)
    assert_all_arrived(scene)
    assert not spared & set(calls_of_target(scene, since=died_at))
    assert not [entry for entry in scene.sandbox.journal(settled_at) if is_write(entry)]


def records_to_be_spared(scene, point):
    """Whom nobody may call the target for again: what is finished is finished."""
    called = calls_of_target(scene)
    if point == "after the finish, before the note":
        return set(called[-1:])
    return set(called) if point in (*NOTE_SENT, *NOTE_WRITTEN) else set()


def calls_of_target(scene, since=0):
    return [
        (entry["entity"], entry["key"]) for entry in scene.sandbox.journal(since) if entry["system"] == "otmechalka"
    ]


def is_write(entry):
    return any(act["kind"] == "write" and act["committed"] for act in entry["commands"] or [entry])
