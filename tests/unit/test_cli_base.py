"""`parom base`: an operator sees where 1C bases are called and want to be, and says which of it may be."""

import json

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet

from connectors import onec_handlers_base as registry
from connectors.onec_handlers_config import OneCHandlersConfig
from tasks.ledger import Ledger, migrate
from tasks.ledger.vault import LedgerVault
from workers import app
from workers.cli import main

FILE = """\
timezone = "Europe/Moscow"
database_url = "sqlite:///ledger.db"
redis_url = "redis://127.0.0.1:1/0"

[connections.office]
system = "onec_handlers"
key = "1234567"
id_base = "base-1"
token = "${TOKEN}"

[connections.second]
system = "onec_handlers"
key = "1234567"
id_base = "base-2"
token = "${TOKEN}"
"""
SECRET = "secret of 1C"
PRIVATE, FIRST, OTHER = "https://192.168.0.5/hs", "https://198.41.0.4/hs", "https://198.41.0.5/hs"
PIN = "ab" * 32


@pytest.fixture
def parom(tmp_path, monkeypatch):
    """Runs `parom base …`; the answer's exit code and text."""
    keys = [Fernet.generate_key().decode()]
    (tmp_path / "parom.toml").write_text(FILE, "utf-8")
    monkeypatch.setenv("PAROM_CONFIG", str(tmp_path / "parom.toml"))
    monkeypatch.setenv("TOKEN", "invented-token-of-the-base")
    monkeypatch.setenv("PAROM_SECRET_KEY", keys[0])
    app.settings.cache_clear()
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    migrate.upgrade(ledger)

    def run(*words):
        found = CliRunner().invoke(main, ["base", *map(str, words)])
        assert SECRET not in found.output
        return found.exit_code, found.output

    run.vault = LedgerVault(ledger, keys[0])
    run.config = OneCHandlersConfig(key="1234567", id_base="base-1", token="x" * 22)
    yield run
    app.settings.cache_clear()
    ledger.close()


def propose(parom, address):
    base = registry.registered(web_address=address, url_address=address, login="Обмен", password=SECRET)
    return registry.propose(parom.vault, parom.config, base)


def test_bases_are_listed_with_what_waits(parom):
    propose(parom, FIRST)
    propose(parom, PRIVATE)
    code, text = parom("list")
    assert code == 0
    office, second = text.splitlines()
    assert office == f"office: account 1234567, base base-1: called at {FIRST}; waits for approval: {PRIVATE}"
    assert second == "second: account 1234567, base base-2: has not registered"


def test_what_waits_is_shown_with_its_addresses_and_why(parom):
    propose(parom, PRIVATE)
    code, text = parom("show", "office")
    assert code == 0
    assert "called at: nothing" in text
    assert f"waits: {PRIVATE}" in text
    assert "addresses now: 192.168.0.5" in text
    assert "private network" in text
    assert "login: Обмен" in text


def test_a_private_address_needs_the_word_for_it(parom):
    propose(parom, PRIVATE)
    code, text = parom("approve", "office")
    assert code == 1
    assert "private" in text
    assert registry.current(parom.vault, parom.config) is None
    code, text = parom("approve", "office", "--private", "--pin", PIN)
    assert code == 0, text
    bound = registry.current(parom.vault, parom.config)
    assert (bound.web_address, bound.resolved, bound.pin) == (PRIVATE, ("192.168.0.5",), PIN)
    assert PIN in text


def test_what_is_approved_for_its_scheme_has_no_private_address(parom):
    propose(parom, "http://198.41.0.4/hs")
    code, text = parom("approve", "office", "--private")
    assert code == 0, text
    assert "private addresses approved: none" in text


def test_an_approval_is_of_the_address_that_was_looked_at(parom):
    propose(parom, FIRST)
    propose(parom, OTHER)
    assert parom("approve", "office", "--address", PRIVATE)[0] == 1
    assert registry.current(parom.vault, parom.config).web_address == FIRST
    assert parom("approve", "office", "--address", OTHER)[0] == 0
    assert registry.current(parom.vault, parom.config).web_address == OTHER


def test_what_waits_can_be_forgotten(parom):
    propose(parom, FIRST)
    propose(parom, OTHER)
    assert parom("reject", "office")[0] == 0
    assert registry.pending(parom.vault, parom.config) is None
    assert registry.current(parom.vault, parom.config).web_address == FIRST
    assert parom("reject", "office")[0] == 1


def test_after_a_rotation_the_old_key_may_go(parom, monkeypatch, tmp_path):
    propose(parom, FIRST)
    fresh = Fernet.generate_key().decode()
    old = parom.vault._keys
    monkeypatch.setenv("PAROM_SECRET_KEY", f"{fresh},{old}")
    code, text = parom("rotate-keys")
    assert (code, text) == (0, "1 secrets are encrypted with the first key\n")
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    assert registry.current(LedgerVault(ledger, fresh), parom.config).web_address == FIRST
    ledger.close()


def test_without_a_key_it_says_so(parom, monkeypatch):
    propose(parom, FIRST)
    monkeypatch.delenv("PAROM_SECRET_KEY")
    code, text = parom("show", "office")
    assert code == 1
    assert "PAROM_SECRET_KEY" in text


@pytest.mark.parametrize("words", [("show",), ("approve",), ("reject",), ("version",)])
def test_a_base_that_there_is_not_is_named_with_those_that_there_are(parom, words):
    code, text = parom(*words, "nobody")
    assert code == 2
    assert "office, second" in text


def test_a_base_that_has_not_registered_cannot_be_asked(parom):
    for words in (("version", "office"), ("orders", "office", 5)):
        code, text = parom(*words)
        assert code == 1
        assert "has not registered" in text


@pytest.mark.parametrize("text", ["{", "{}", "[1]", json.dumps({"a": 1})])
def test_a_table_must_be_a_list_of_objects(parom, tmp_path, text):
    file = tmp_path / "table.json"
    file.write_text(text, "utf-8")
    code, told = parom("send-table", "office", file)
    assert code == 2
    assert "JSON list" in told
