"""The https listener, its certificate, and clients of several addresses."""

import http.client
import importlib.util
import json
import ssl
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.admin import Admin
from sandbox.tls import Certificate, NoTls, with_cryptography, with_openssl
from sandbox.world import Sandbox, World

MAKERS = [with_openssl, with_cryptography] if importlib.util.find_spec("cryptography") else [with_openssl]


@pytest.fixture
def sandbox():
    world = World()
    with Sandbox(world, Admin(world).handle, {}) as running:
        yield running


def asked(sandbox, name, method, *, context=None, source="127.0.0.1", host="127.0.0.1"):
    """Status and body of one call, from an address of one's own."""
    address = sandbox.addresses()[name]
    scheme, _, rest = address.partition("://")
    authority, _, path = rest.partition("/")
    port, named = int(authority.partition(":")[2]), {"timeout": 10, "source_address": (source, 0)}
    if scheme == "https":
        context = context or ssl.create_default_context(cafile=sandbox.addresses()["ca"])
        connection = http.client.HTTPSConnection(host, port, context=context, **named)
    else:
        connection = http.client.HTTPConnection(host, port, **named)
    try:
        connection.request("POST", f"/{path}{method}", "{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


# The certificate.


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_strict_client_accepts_the_certificate_for_both_names(make, host):
    certificate = Certificate(make)
    context = ssl.create_default_context(cafile=certificate.path)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=host)
    server = certificate.context.wrap_bio(outgoing, incoming, server_side=True)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.getpeercert()["subjectAltName"] == (("DNS", "localhost"), ("IP Address", "127.0.0.1"))
    certificate.close()


def test_the_key_is_never_left_on_disk_and_the_certificate_only_until_the_end():
    certificate = Certificate()
    folder = certificate.path.parent
    assert [path.name for path in folder.iterdir()] == ["ca.pem"]
    assert folder.stat().st_mode & 0o077 == 0
    certificate.close()
    assert not folder.exists()


def broken(_certificate, _key):
    raise OSError("no such program")


def test_without_a_way_to_a_certificate_there_is_no_listener_but_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setenv("PATH", "")
    world = World()
    with Sandbox(world, Admin(world).handle, {}) as running:
        assert "openssl" in running.without_tls
        assert {"bitrix24_tls", "ca"}.isdisjoint(running.addresses())
        assert asked(running, "bitrix24", "profile")[0] == 200


def test_a_certificate_that_cannot_be_made_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(NoTls, match="no such program"):
        Certificate(broken)
    assert list(tmp_path.iterdir()) == []


# The listener.


def test_both_listeners_serve_the_same_portal(sandbox):
    assert asked(sandbox, "bitrix24_tls", "profile")[1]["result"]["ID"] == "1"
    asked(sandbox, "bitrix24", "profile")
    assert sandbox.world.journal.summary()["systems"]["bitrix24"]["http"]["by_method"] == {"profile": 2}
    assert Path(sandbox.addresses()["ca"]).read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_a_client_that_does_not_trust_it_leaves_the_others_alone(sandbox, capfd):
    with pytest.raises(ssl.SSLCertVerificationError):
        asked(sandbox, "bitrix24_tls", "profile", context=ssl.create_default_context())
    assert asked(sandbox, "bitrix24_tls", "profile")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_portal_may_insist_on_https(sandbox):
    sandbox.world.portal.switch({"https_required": True})
    status, answer = asked(sandbox, "bitrix24", "profile")
    assert (status, answer["error"], answer["error_description"]) == (400, "INVALID_REQUEST", "Https required")
    assert asked(sandbox, "bitrix24_tls", "profile")[0] == 200


@pytest.mark.parametrize("action", ["reset_after", "cut", "truncated"])
def test_faults_happen_on_https_too(sandbox, action):
    sandbox.world.faults.arm(system="bitrix24", action=action)
    with pytest.raises((OSError, http.client.HTTPException, ValueError)):
        asked(sandbox, "bitrix24_tls", "profile")
    assert asked(sandbox, "bitrix24_tls", "profile")[0] == 200


# Egress.


@pytest.mark.parametrize("name", ["bitrix24", "bitrix24_tls"])
def test_every_source_address_has_a_bucket_of_its_own(sandbox, name):
    while asked(sandbox, "bitrix24", "profile")[0] == 200:
        pass
    assert asked(sandbox, name, "profile", source="127.0.0.2")[0] == 200
    ips = {entry.client_ip for entry in sandbox.world.journal.since(0)}
    assert ips == {"127.0.0.1", "127.0.0.2"}
