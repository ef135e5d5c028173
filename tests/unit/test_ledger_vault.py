"""The vault: what it keeps is encrypted, durable, changed by one at a time, and shown by nothing."""

import base64
import logging
import threading
import traceback
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from connectors.errors import Refused, Throttled, Transient
from tasks.ledger import Ledger, tables
from tasks.ledger.vault import LedgerVault, new_key
from tests.unit.vaults import MemoryVault

TOKEN = "t0ken-of-a-stranger"
OLD, NEW, FOREIGN = (base64.urlsafe_b64encode(sign * 32).decode() for sign in (b"o", b"n", b"f"))
TEN = timedelta(seconds=10)


@pytest.fixture
def open_vault(ledger):
    """A vault as another process would open it; its sleep moves the database's clock."""

    def sleep(seconds):
        ledger.ahead += timedelta(seconds=seconds)

    return lambda keys=OLD: LedgerVault(ledger, keys, sleep=sleep)


def stored(ledger, name="amo"):
    with ledger.read() as connection:
        return connection.execute(select(tables.vault.c.value).where(tables.vault.c.name == name)).scalar()


@pytest.fixture(params=["ledger", "memory"])
def vault(request, open_vault):
    return MemoryVault() if request.param == "memory" else open_vault()


# What every vault does.


def test_what_was_written_last_is_read(vault):
    assert vault.read("amo") is None
    vault.write("amo", TOKEN)
    vault.write("amo", TOKEN + "\n2")
    vault.write("other", "")
    assert (vault.read("amo"), vault.read("other")) == (TOKEN + "\n2", "")


def test_a_name_is_free_again_however_its_holder_ended(vault):
    with pytest.raises(ZeroDivisionError), vault.exclusively("amo", longest=TEN):
        raise ZeroDivisionError
    with vault.exclusively("amo", longest=TEN), vault.exclusively("other", longest=TEN):
        vault.write("amo", TOKEN)
    assert vault.read("amo") == TOKEN


def test_only_one_at_a_time_does_what_is_exclusive(vault):
    inside, most, done = [], [], []

    def renew():
        with vault.exclusively("amo", longest=timedelta(hours=1)):
            inside.append(1)
            most.append(len(inside))
            vault.write("amo", str(int(vault.read("amo") or 0) + 1))
            inside.pop()
        done.append(1)

    threads = [threading.Thread(target=renew) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), max(most), vault.read("amo")) == (6, 1, "6")


# The ledger's.


def test_the_database_holds_no_secret_in_the_clear(ledger, open_vault):
    open_vault().write("amo", TOKEN)
    assert TOKEN not in stored(ledger)
    assert open_vault().read("amo") == TOKEN


def test_a_stranger_waits_and_is_told_when_it_takes_too_long(ledger, open_vault):
    here, there = open_vault(), open_vault()
    with here.exclusively("amo", longest=timedelta(hours=1)):
        began = ledger.ahead
        with pytest.raises(Throttled, match="amo is held"), there.exclusively("amo", longest=TEN):
            pytest.fail("two at a time")
        assert (ledger.ahead - began).total_seconds() == pytest.approx(10, abs=0.01)
    with there.exclusively("amo", longest=TEN):
        assert stored(ledger) is None, "a turn is no secret"


def test_the_turn_of_the_dead_ends_with_its_lease(ledger, open_vault):
    with ExitStack() as dead:
        dead.enter_context(open_vault().exclusively("amo", longest=TEN))
        ledger.ahead += TEN
        with open_vault().exclusively("amo", longest=TEN):
            dead.close()
            with pytest.raises(Throttled), open_vault().exclusively("amo", longest=timedelta(seconds=1)):
                pytest.fail("the dead man ended a turn that was not his")


def test_writing_leaves_the_turn_alone(open_vault):
    here = open_vault()
    with here.exclusively("amo", longest=timedelta(hours=1)):
        here.write("amo", TOKEN)
        with pytest.raises(Throttled), open_vault().exclusively("amo", longest=TEN):
            pytest.fail("the write has freed it")


@pytest.mark.parametrize("keys", [f"{NEW},{OLD}", f"{NEW}\n{OLD}\n", f" {NEW} , {OLD} "])
def test_the_first_key_encrypts_and_the_others_still_decrypt(ledger, open_vault, keys):
    open_vault(OLD).write("amo", TOKEN)
    assert open_vault(keys).read("amo") == TOKEN
    open_vault(keys).write("amo", TOKEN + "2")
    assert open_vault(NEW).read("amo") == TOKEN + "2"


def test_after_rotation_the_old_key_can_go(ledger, open_vault):
    old = open_vault(OLD)
    for number in range(3):
        old.write(f"amo{number}", TOKEN)
    with old.exclusively("a turn", longest=TEN):
        assert open_vault(f"{NEW},{OLD}").rotate() == 3
    assert {open_vault(NEW).read(f"amo{number}") for number in range(3)} == {TOKEN}
    with pytest.raises(Refused, match="no key for amo0"):
        old.read("amo0")


def test_rotation_does_what_it_can_and_names_the_rest(open_vault):
    open_vault(FOREIGN).write("lost", TOKEN)
    open_vault(OLD).write("amo", TOKEN)
    with pytest.raises(Refused, match=r"no key for lost$"):
        open_vault(f"{NEW},{OLD}").rotate()
    assert open_vault(NEW).read("amo") == TOKEN


@pytest.mark.parametrize(
    ("keys", "hint"), [(None, "is not set"), (" \n", "is not set"), ("secret-but-no-key", "32 bytes"), (",", "32")]
)
def test_a_key_is_missed_only_when_a_secret_needs_it(open_vault, keys, hint):
    keyless = open_vault(keys)
    assert keyless.read("amo") is None
    with keyless.exclusively("amo", longest=TEN):
        pass
    assert keyless.rotate() == 0
    with pytest.raises(Refused, match=f"PAROM_SECRET_KEY.*{hint}") as missed:
        keyless.write("amo", TOKEN)
    assert "secret-but-no-key" not in str(missed.value)
    open_vault(OLD).write("amo", TOKEN)
    with pytest.raises(Refused, match="PAROM_SECRET_KEY"):
        keyless.read("amo")


def test_no_secret_passes_for_another(ledger, open_vault):
    open_vault().write("amo", TOKEN)
    open_vault().write("base", "b")
    with ledger.write() as connection:
        moved = update(tables.vault).where(tables.vault.c.name == "base").values(value=stored(ledger))
        connection.execute(moved)
    with pytest.raises(Refused, match="no key for base"):
        open_vault().read("base")


def test_nothing_shows_what_is_kept(open_vault, caplog):
    caplog.set_level(logging.DEBUG)
    open_vault().write("amo", TOKEN)
    with pytest.raises(Refused) as failed:
        open_vault(FOREIGN).read("amo")
    shown = "".join(traceback.format_exception(failed.value)) + caplog.text + repr(vars(open_vault()))
    assert TOKEN not in shown


def test_a_database_that_is_away_is_an_outage():
    away = LedgerVault(Ledger("postgresql+psycopg://nobody:s3cret@127.0.0.1:1/none"), OLD)
    for ask in (lambda: away.read("amo"), lambda: away.write("amo", TOKEN), away.rotate):
        with pytest.raises(Transient) as failed:
            ask()
        assert "s3cret" not in str(failed.value)
        assert TOKEN not in str(failed.value)
    with pytest.raises(Transient), away.exclusively("amo", longest=TEN):
        pytest.fail("held")


def test_a_new_key_is_one(open_vault):
    open_vault(new_key()).write("amo", TOKEN)


# Its neighbours in the same migration.


def test_versions_of_handler_packages_are_never_given_twice(ledger):
    package = {"connection": "base", "handlers": {"a": 1}, "published_by": "p"}
    versions = []
    for _ in range(2):
        with ledger.write() as connection:
            table, now = tables.handler_packages, ledger.now(connection)
            versions += connection.execute(insert(table).values(**package, published_at=now)).inserted_primary_key
            connection.execute(text("DELETE FROM handler_packages"))
    assert versions == [1, 2]


def test_an_entity_of_a_base_has_one_field_map(ledger):
    def keep():
        with ledger.write() as connection:
            values = {"connection": "base", "entity": "leads", "fields": ["7"], "changed_at": ledger.now(connection)}
            connection.execute(insert(tables.field_maps).values(values))

    keep()
    with pytest.raises(IntegrityError):
        keep()
