"""Where a 1C base is called: who may bind it, what waits for an operator, what nobody can have."""

import socket
import threading
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from connectors.base import Malformed, Secret
from connectors.errors import Throttled, Transient
from connectors.onec_handlers_base import (
    Base,
    NotApproved,
    approve,
    current,
    host_of,
    pending,
    propose,
    registered,
    reject,
)
from connectors.onec_handlers_config import OneCHandlersConfig, basic
from connectors.outbound import Address, Forbidden
from tests.unit.vaults import MemoryVault

PUBLIC, INSIDE, METADATA = ["93.184.216.34"], ["10.0.0.5"], ["169.254.169.254"]
URL, OTHER = "https://1c.example/base/hs/amo", "https://thief.example/hs"
PASSWORD = "пар0ль-s3cret"
PIN = "ab" * 32
REQUEST = {"web_address": URL, "url_address": "https://1c.example/base", "login": "Обмен", "password": PASSWORD}


def config(**changes):
    known = {"key": "31000001", "id_base": "trade-1", "token": Secret("t" * 22)}
    return OneCHandlersConfig(**known | changes)


CONFIG = config()
CONFIGURED = config(web_address="http://10.0.0.9/hs", handlers_login="a", handlers_password=Secret("b"))


def base(**changes):
    return registered(**REQUEST | changes)


class Desk:
    """One base's registrations, with a DNS of one's own."""

    def __init__(self):
        self.vault, self.found = MemoryVault(), PUBLIC

    def resolve(self, host, port):
        if isinstance(self.found, OSError):
            raise self.found
        return self.found

    def propose(self, found=PUBLIC, **changes):
        self.found = found
        return propose(self.vault, CONFIG, base(**changes), resolve=self.resolve)

    def approve(self, *, private=False, pin=None, **more):
        return approve(self.vault, CONFIG, private=private, pin=pin, resolve=self.resolve, **more)

    @property
    def current(self):
        return current(self.vault, CONFIG)

    @property
    def pending(self):
        return pending(self.vault, CONFIG)


@pytest.fixture
def desk():
    return Desk()


# Registering.


def test_nobody_is_registered_at_first(desk):
    assert (desk.current, desk.pending) == (None, None)


def test_the_first_public_https_address_is_bound_at_once(desk):
    assert desk.propose() == "bound"
    assert desk.current == base()
    assert desk.pending is None


def test_the_same_again_changes_nothing(desk):
    desk.propose()
    assert desk.propose() == "unchanged"
    assert len(desk.vault.writes) == 1


@pytest.mark.parametrize("changes", [{"password": "new"}, {"login": "Новый"}, {"url_address": "https://1c.example/x"}])
def test_a_new_password_at_the_known_address_is_taken_at_once(desk, changes):
    desk.propose(INSIDE)
    desk.approve(private=True, pin=PIN)
    assert desk.propose(INSIDE, **changes) == "bound"
    approved = replace(base(**changes), approved_private=True, pin=PIN, resolved=tuple(INSIDE))
    assert desk.current == approved
    assert desk.pending is None


@pytest.mark.parametrize(
    "changes",
    [
        {"web_address": OTHER},
        {"web_address": "https://1c.example/base/hs/other"},
        {"web_address": "https://1c.example:8443/base/hs/amo"},
        {"web_address": "http://1c.example/base/hs/amo"},
        {"url_address": "https://thief.example/"},
        {"url_address": ""},
    ],
)
def test_a_known_base_is_not_bound_elsewhere_without_an_operator(desk, changes):
    desk.propose()
    assert desk.propose(**changes) == "pending"
    assert desk.current == base()
    assert desk.pending == base(**changes)
    assert desk.propose(**changes) == "still pending"
    assert desk.propose(**changes, password="new") == "pending"
    assert desk.propose(**changes) == "pending"
    assert desk.propose() == "unchanged", "which does not make the other one go away"
    assert desk.pending == base(**changes)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (URL, INSIDE),
        (URL, [*PUBLIC, "127.0.0.1"]),
        (URL, socket.gaierror()),
        ("http://1c.example/hs", PUBLIC),
        ("https://1c.example:6379/hs", PUBLIC),
        ("https://192.168.1.5/hs", PUBLIC),
        ("https://localhost/hs", ["127.0.0.1", "::1"]),
    ],
)
def test_what_is_not_public_https_waits_for_an_operator(desk, url, found):
    assert desk.propose(found, web_address=url) == "pending"
    assert desk.current is None
    assert desk.pending.web_address == url


def test_once_somebody_waits_another_address_waits_too(desk):
    desk.propose(INSIDE)
    assert desk.propose(web_address=OTHER) == "pending"
    assert desk.current is None


def test_an_address_that_waited_only_for_its_name_is_bound_when_it_comes_again(desk):
    desk.propose(socket.gaierror())
    assert desk.propose() == "bound"
    assert (desk.current, desk.pending) == (base(), None)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        *((URL, [each]) for each in ("169.254.169.254", "::ffff:10.0.0.1", "224.0.0.1", "0.0.0.0")),
        ("https://169.254.169.254/latest", PUBLIC),
        ("https://[::ffff:127.0.0.1]/", PUBLIC),
    ],
)
def test_where_nobody_may_call_is_refused_and_nothing_is_kept(desk, url, found):
    with pytest.raises(Forbidden):
        desk.propose(found, web_address=url)
    assert desk.vault.writes == []


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"web_address": url}
            for url in ("file:///etc/passwd", "gopher://x/", "https://u:p@1c.example/", "127.1", "")
        ),
        *({"login": login} for login in ("", "a:b", "a\nb", "a" * 501)),
        {"password": "p" * 501},
    ],
)
def test_what_is_no_registration_is_told_without_its_values(changes):
    with pytest.raises(Malformed) as refused:
        base(**changes)
    assert "1c.example" not in str(refused.value)


def test_a_registration_claims_no_approval_for_itself(desk):
    claims = {"approved_private": True, "pin": PIN, "resolved": ("10.0.0.5",), "is_configured": True}
    forged = replace(base(web_address="http://10.0.0.5/"), **claims)
    assert propose(desk.vault, CONFIG, forged, resolve=desk.resolve) == "pending"
    assert desk.pending == base(web_address="http://10.0.0.5/")


def test_of_two_first_registrations_one_is_bound_and_the_other_waits(desk):
    fates, start = [], threading.Barrier(2)

    def register(url):
        start.wait()
        fates.append(propose(desk.vault, CONFIG, base(web_address=url), resolve=lambda *_: PUBLIC))

    threads = [threading.Thread(target=register, args=[url]) for url in (URL, OTHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fates) == ["bound", "pending"]
    assert {desk.current.web_address, desk.pending.web_address} == {URL, OTHER}


# An operator's word.


def test_an_approved_base_is_the_current_one(desk):
    desk.propose()
    desk.propose(web_address=OTHER)
    assert desk.approve(expected=OTHER) == base(web_address=OTHER)
    assert (desk.current, desk.pending) == (base(web_address=OTHER), None)


def test_a_private_base_is_approved_where_it_lies_now(desk):
    desk.propose(INSIDE, web_address="http://srv1c:8081/hs")
    with pytest.raises(NotApproved, match=r"srv1c:8081: it is plain http.*its port is 8081.*private network"):
        desk.approve()
    assert desk.current is None
    approved = desk.approve(private=True)
    assert (approved.approved_private, approved.resolved) == (True, tuple(INSIDE))
    permit = approved.permit
    assert (permit.is_approved, permit.inside, permit.any_inside, permit.pin) == (True, frozenset(INSIDE), False, None)


def test_a_public_base_that_is_approved_for_its_scheme_may_not_become_a_private_one(desk):
    desk.propose(web_address="http://1c.example:8081/hs")
    permit = desk.approve(private=True).permit
    assert (permit.is_approved, permit.inside, permit.any_inside) == (True, frozenset(), False)
    assert desk.current.permit == permit


def test_a_public_base_gets_no_more_than_it_needs(desk):
    desk.propose()
    approved = desk.approve(private=True, pin="AB:" * 31 + "AB")
    assert (approved.approved_private, approved.resolved, approved.pin) == (False, (), PIN)


def test_a_base_that_moved_is_approved_anew(desk):
    desk.propose(INSIDE)
    desk.approve(private=True, pin=PIN)
    desk.found = ["10.0.0.6"]
    again = desk.approve(private=True, pin="cd" * 32)
    assert (again.resolved, again.pin) == (("10.0.0.6",), "cd" * 32)
    assert desk.current == again


@pytest.mark.parametrize(
    ("found", "changes", "how", "why"),
    [
        (socket.gaierror(), {}, {"private": True}, "cannot be resolved"),
        (METADATA, {}, {"private": True}, "nothing of ours may call"),
        (PUBLIC, {}, {"pin": "x"}, "64 hexadecimal"),
        (PUBLIC, {"web_address": "http://1c.example/"}, {"private": True, "pin": PIN}, "no certificate"),
        (PUBLIC, {}, {"expected": OTHER}, "another address"),
    ],
)
def test_what_cannot_be_approved_is_told_and_goes_on_waiting(desk, found, changes, how, why):
    desk.propose(INSIDE, **changes)
    desk.found = found
    with pytest.raises(NotApproved, match=why):
        desk.approve(**how)
    assert (desk.current, desk.pending) == (None, base(**changes))


def test_there_must_be_something_to_approve(desk):
    with pytest.raises(NotApproved, match="registered"):
        desk.approve()


def test_what_is_rejected_waits_no_longer(desk):
    desk.propose()
    assert not reject(desk.vault, CONFIG)
    desk.propose(web_address=OTHER)
    assert reject(desk.vault, CONFIG)
    assert (desk.current, desk.pending) == (base(), None)


# What the configuration says wins.


def test_a_configured_address_needs_no_registration_and_takes_none(desk):
    assert propose(desk.vault, CONFIGURED, base(), resolve=desk.resolve) == "unchanged"
    assert desk.vault.writes == []
    configured = current(desk.vault, CONFIGURED)
    assert (configured.web_address, configured.login, configured.password) == ("http://10.0.0.9/hs", "a", "b")
    assert (configured.permit.is_approved, configured.permit.any_inside) == (True, True)
    assert configured.links_host == "10.0.0.9"


def test_a_configured_link_address_wins_over_the_registered_one(desk):
    desk.propose()
    assert current(desk.vault, config(url_address="https://links.example/b")).links_host == "links.example"
    assert current(MemoryVault(), config(url_address="https://links.example/b")) is None


# The vault.


def test_a_registration_survives_and_shows_no_password(desk):
    desk.propose(["10.0.0.5", "fd00::1"])
    approved = desk.approve(private=True, pin=PIN)
    assert desk.current == approved
    assert isinstance(desk.current.password, Secret)
    assert PASSWORD in desk.vault.values["base:31000001:trade-1"]
    assert PASSWORD not in repr(desk.current)


def test_each_base_of_each_account_has_a_place_of_its_own(desk):
    desk.propose()
    assert list(desk.vault.values) == ["base:31000001:trade-1"]
    assert current(desk.vault, config(id_base="trade-2")) is None
    assert current(desk.vault, config(key="2")) is None


def test_a_registration_waits_its_turn_and_a_vault_that_is_away_is_an_outage(desk):
    desk.vault.held.add("base:31000001:trade-1")
    with pytest.raises(Throttled):
        desk.propose()
    desk.vault.is_down = True
    with pytest.raises(Transient):
        _ = desk.current


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://1c.example:81/b", "1c.example"), ("http://10.0.0.1/", "10.0.0.1"), ("srv1c", None), ("", None)],
)
def test_the_host_of_links(url, host):
    assert host_of(url) == host


def test_an_address_that_is_not_read_as_one_is_kept_for_links_only_as_text():
    kept = base(url_address=' Srvr="srv1c";\tRef="base"\x00; ')
    assert kept.url_address == 'Srvr="srv1c"; Ref="base";'
    assert kept.links_host is None


# The configuration.


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"key": "account"}, "key"),
        ({"key": "0"}, "key"),
        ({"key": "1" * 5000}, "key"),
        ({"key": "١٢"}, "key"),
        ({"id_base": ""}, "id_base"),
        ({"id_base": "a b"}, "id_base"),
        ({"token": Secret("short")}, "token"),
        ({"token": None}, "token"),
        ({"login": "a"}, "password"),
        ({"password": Secret("a")}, "password"),
        ({"login": "a:b", "password": Secret("p" * 16)}, "login"),
        ({"login": "a", "password": Secret("")}, "password"),
        ({"login": "a", "password": Secret("p" * 15)}, "password"),
        ({"handlers_publisher_login": "p"}, "handlers_publisher_password"),
        ({"handlers_publisher_password": Secret("p" * 16)}, "handlers_publisher_password"),
        ({"handlers_publisher_login": "p", "handlers_publisher_password": Secret("p")}, "handlers_publisher_password"),
        (
            {"handlers_publisher_login": "p", "handlers_publisher_password": Secret("t" * 22)},
            "handlers_publisher_password",
        ),
        (
            {"handlers_publisher_login": ":", "handlers_publisher_password": Secret("p" * 16)},
            "handlers_publisher_login",
        ),
        ({"legacy_addresses": ("10.0.0.1/8",)}, "legacy_addresses"),
        ({"legacy_addresses": ("everybody",)}, "legacy_addresses"),
        *(
            ({"legacy_addresses": (wide,)}, "legacy_addresses")
            for wide in ("0.0.0.0/0", "10.0.0.0/15", "::/0", "fc00::/7")
        ),
        ({"legacy_addresses": ("203.0.113.7", "2001:db8::/47")}, "legacy_addresses"),
        ({"web_address": URL}, "web_address"),
        ({"handlers_login": "a"}, "web_address"),
        ({"web_address": "1c.example", "handlers_login": "a", "handlers_password": Secret("b")}, "web_address"),
        ({"web_address": URL, "handlers_login": "a:b", "handlers_password": Secret("b")}, "handlers_login"),
        ({"url_address": "1c.example"}, "url_address"),
        ({"links_host": "https://1c.example"}, "links_host"),
        ({"settle": timedelta(seconds=1)}, "settle"),
    ],
)
def test_what_cannot_be_is_told_by_its_key(changes, key):
    assert [path for path, _ in config(**changes).problems()] == [key]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"token": None, "login": "a", "password": Secret("p" * 16)},
        {"token": None, "legacy_addresses": ("203.0.113.7", "10.1.0.0/16", "2001:db8::/48")},
        {"web_address": URL, "handlers_login": "Обмен", "handlers_password": Secret("b"), "links_host": "1C.example"},
        {"id_base": "{0e9a1a5e-0000-4000-8000-00155d000001}"},
    ],
)
def test_what_can_be_has_no_problem(changes):
    assert list(config(**changes).problems()) == []


def test_networks_are_read_and_secrets_are_not_shown():
    whole = config(legacy_addresses=("203.0.113.0/24",), password=Secret(PASSWORD))
    assert whole.networks == (ip_network("203.0.113.0/24"),)
    assert PASSWORD not in repr(whole)
    assert basic("Обмен", "п") == "Basic 0J7QsdC80LXQvTrQvw=="


def test_a_base_is_called_at_the_address_that_was_judged():
    whole = Base("https://1C.example:443/База", "", "a", Secret("b"))
    assert whole.permit.address == Address.of("https://1c.example/База")
