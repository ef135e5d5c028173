"""Addresses of strangers: how they are read, where they may lead, and that nothing is ever sent elsewhere."""

import hashlib
import http.client
import socket
import ssl
import threading
import time
import warnings
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.base import Malformed
from connectors.errors import ConnectorError, InDoubt, Refused, Transient
from connectors.outbound import Address, Forbidden, examine, lie_of, resolved
from connectors.outbound_http import LARGEST_ANSWER, GuardedHttp, Permit, fingerprint
from sandbox.tls import Certificate, maker

HERE = "127.0.0.1"
HOME = frozenset([HERE])


class Listener(ThreadingHTTPServer):
    """Counts who comes, keeps what was asked; `answer` is (status, headers, body), or a function of the socket."""

    daemon_threads = True

    def __init__(self, host=HERE, certificate=None):
        super().__init__((host, 0), Handler)
        self.connections, self.requests, self.sni = 0, [], []
        self.answer = (200, {}, b"{}")
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.sni_callback = lambda _socket, name, _context: self.sni.append(name)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=partial(self.serve_forever, 0.02), daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def get_request(self):
        found = super().get_request()
        self.connections += 1
        return found

    def handle_error(self, request, client_address):
        """A caller that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.path, dict(self.headers), body))
        if callable(self.server.answer):
            self.server.answer(self.connection)
            return
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def listening(*args, **kwargs):
    server = Listener(*args, **kwargs)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def listener():
    with listening() as server:
        yield server


class Names:
    """A DNS of one's own: each lookup takes the next answer, the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, host, port):
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, OSError):
            raise found
        return found


def http_to(url, *, resolve=resolved, deadline=5.0, **permit):
    return GuardedHttp(
        "1C base",
        permit=Permit(Address.of(url), **permit),
        resolve=resolve,
        connect=timedelta(seconds=1),
        read=timedelta(seconds=deadline),
        deadline=timedelta(seconds=deadline),
        sleep=lambda _: None,
    )


def ask(http, url, **how):
    return http.call("POST", url, **{"name": "ask", "repeatable": False, "read": lambda answer: answer, **how})


def failure(http, url, **how):
    with pytest.raises(ConnectorError) as raised:
        ask(http, url, **how)
    return raised.value


# How an address is read.


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://1c.example/base/hs/amo", "https://1c.example/base/hs/amo"),
        ("HTTPS://1C.Example", "https://1c.example/"),
        ("https://1c.example:443/", "https://1c.example/"),
        ("https://1c.example:8443/a?b=c", "https://1c.example:8443/a?b=c"),
        ("http://srv_1c:8080/База/hs", "http://srv_1c:8080/%D0%91%D0%B0%D0%B7%D0%B0/hs"),
        ("https://сервер.рф/", "https://xn--b1afb6bcb.xn--p1ai/"),
        ("https://192.0.2.1/a%20b", "https://192.0.2.1/a%20b"),
        ("https://[2001:DB8:0:0::1]:444/", "https://[2001:db8::1]:444/"),
    ],
)
def test_an_address_is_read_and_written_in_one_way_only(text, url):
    assert Address.of(text).url == url
    assert Address.of(url) == Address.of(text)


ODD_HOSTS = [
    *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "127.0.0.1.", "127.0.0.01", "0"),
    *(
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "１２７.0.0.1",
        "1270.0.0.1",
        "256.0.0.1",
        "1c.0x7f",
        "1c..example",
        ".example",
        "-",
    ),
    *("[::1%25lo]", "[::ffff:127.0.0.1%1]", "[::1", "::1", "[127.0.0.1]", "[]", "[::g]", "%31%32%37.0.0.1", "a" * 64),
    *("1c.example.", "user@1c.example", "u:p@1c.example", "1c.example\\@127.0.0.1", "1c example", "1c.exam℀ple"),
]


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_odd_hosts_are_none(host):
    with pytest.raises(Forbidden):
        Address.of(f"https://{host}/")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "file:///etc/passwd",
            "gopher://1c.example/_x",
            "ftp://1c.example/",
            "//1c.example/",
            "1c.example",
            "",
            "https://",
        ),
        *(
            "javascript:alert(1)",
            "https:1c.example",
            "https:/1c.example",
            "https:///1c.example",
            " https://1c.example/",
        ),
        *("https://1c.example:0/", "https://1c.example:65536/", "https://1c.example:/", "https://1c.example:4a3/"),
        *(
            "https://1c.example/#x",
            "https://1c.example/a b",
            "https://1c.example/\r\nHost: x",
            "https://1c.example/\u202e",
        ),
        *(
            "https://1c.example?x",
            "https://1c.example/<script>",
            "https://1c.example/" + "a" * 1000,
            "https://1c.example/\x00",
        ),
    ],
)
def test_what_is_no_http_address_is_none(text):
    with pytest.raises(Forbidden) as refused:
        Address.of(text)
    assert isinstance(refused.value, Malformed)
    assert "1c.example" not in str(refused.value)


# Where it may lie.

PUBLIC = ["8.8.8.8", "93.184.216.34", "2a00:1450:4010:c05::64"]
INSIDE = [
    *("127.0.0.1", "127.255.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.5", "100.64.0.1"),
    *("::1", "fd12:3456::1", "fc00::1"),
]
NEVER = [
    *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%1", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"),
    *("0.0.0.0", "::", "0.1.2.3", "224.0.0.1", "239.255.255.250", "ff02::1", "255.255.255.255", "240.0.0.1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "192.0.2.1", "198.18.0.1", "2001:db8::1", "100::1", "4000::1"),
    *("", "localhost", "1", "127.1"),
]


@pytest.mark.parametrize(
    ("address", "lie"),
    [
        *((each, "public") for each in PUBLIC),
        *((each, "inside") for each in INSIDE),
        *((each, "never") for each in NEVER),
    ],
)
def test_where_an_address_lies(address, lie):
    assert lie_of(address) == lie


@pytest.mark.parametrize(
    ("url", "answer", "doubts"),
    [
        ("https://1c.example/", PUBLIC, 0),
        ("https://1c.example:8443/", PUBLIC, 0),
        ("https://8.8.8.8/", None, 0),
        ("https://1c.example:6379/", PUBLIC, 1),
        ("http://1c.example/", PUBLIC, 1),
        ("https://1c.example/", [PUBLIC[0], "10.0.0.1"], 1),
        ("https://127.0.0.1/", None, 1),
        ("http://[::1]:1234/", None, 3),
        ("https://1c.example/", OSError(), 1),
        ("https://1c.example/", [], 1),
    ],
)
def test_only_https_to_a_public_address_needs_nobodys_approval(url, answer, doubts):
    assert len(examine(Address.of(url), resolve=Names(answer)).doubts) == doubts


@pytest.mark.parametrize("address", [each for each in NEVER if each not in ("", "localhost")])
def test_some_addresses_nobody_can_approve(address):
    with pytest.raises(Forbidden):
        examine(Address.of("https://1c.example/"), resolve=Names([PUBLIC[0], address]))


def test_the_addresses_to_be_approved_are_named():
    found = examine(Address.of("https://1c.example/"), resolve=Names(["10.0.0.2", PUBLIC[0], "10.0.0.1", "10.0.0.2"]))
    assert found.inside == ("10.0.0.2", "10.0.0.1")


def test_nobody_is_asked_where_an_address_lies():
    names = Names([HERE])
    for url in ("https://8.8.8.8/", "https://[2a00:1450::64]/"):
        examine(Address.of(url), resolve=names)
    assert names.asked == []


def test_the_operating_system_knows_names():
    assert HERE in resolved("localhost", 80)


# Nothing is sent elsewhere (RELIABILITY §3.3, H1).


@pytest.mark.parametrize("address", [*INSIDE, *(each for each in NEVER if each not in ("", "localhost"))])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_leads_where_nobody_approved_is_not_called(listener, scheme, address):
    url = f"{scheme}://1c.example:{listener.port}/"
    assert type(failure(http_to(url, resolve=Names([address])), url)) is Refused
    elsewhere = frozenset(["10.9.9.9"])
    approved = http_to(url, resolve=Names([address]), is_approved=True, inside=elsewhere)
    assert type(failure(approved, url)) is Refused
    assert listener.connections == 0


@pytest.mark.parametrize("host", [HERE, "localhost", "[::1]", "[::ffff:127.0.0.1]", *ODD_HOSTS])
def test_no_spelling_of_an_inner_address_gets_through(listener, host):
    url = f"https://{host}:{listener.port}/"
    with pytest.raises((Forbidden, Refused)):
        ask(http_to(url), url)
    assert listener.connections == 0


def test_one_inner_address_among_public_ones_is_enough_to_refuse(listener):
    url = f"https://1c.example:{listener.port}/"
    http = http_to(url, resolve=Names([HERE, PUBLIC[0]]), is_approved=True, inside=frozenset(["10.0.0.1"]))
    assert type(failure(http, url)) is Refused
    assert listener.connections == 0


def test_what_a_name_turns_into_later_is_judged_anew(listener):
    """DNS rebinding: public when it registers, ours when it is called."""
    url, names = f"https://1c.example:{listener.port}/", Names(PUBLIC, [HERE])
    assert examine(Address.of(url), resolve=names).inside == ()
    assert type(failure(http_to(url, resolve=names, is_approved=True, inside=frozenset(["10.0.0.1"])), url)) is Refused
    assert (names.asked, listener.connections) == (["1c.example"] * 2, 0)


def test_a_name_is_looked_up_once_and_that_very_answer_is_called(listener):
    with listening("127.0.0.2") as other:
        url, names = f"http://1c.example:{listener.port}/hs/amo", Names([HERE], ["127.0.0.2"])
        http = http_to(url, resolve=names, is_approved=True, inside=HOME)
        for _ in range(2):
            ask(http, url, payload={"a": 1})
        assert (len(names.asked), listener.connections, other.connections) == (1, 1, 0)
    path, headers, body = listener.requests[0]
    assert (path, body) == ("/hs/amo", b'{"a": 1}')
    assert headers["Host"] == f"1c.example:{listener.port}"


def test_a_host_that_the_operator_named_may_move_within_the_private_network(listener):
    url = f"http://1c.example:{listener.port}/"
    assert ask(http_to(url, resolve=Names([HERE]), is_approved=True, any_inside=True), url).status == 200
    moved = http_to(url, resolve=Names(["169.254.169.254"]), is_approved=True, any_inside=True)
    assert type(failure(moved, url)) is Refused


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.1.2.3", "fd12:3456::1"])
def test_an_approval_of_a_public_host_is_none_of_a_private_address(listener, inside):
    url = f"http://1c.example:{listener.port}/"
    assert type(failure(http_to(url, resolve=Names([inside]), is_approved=True), url)) is Refused
    assert listener.connections == 0


def test_the_next_address_is_tried_when_one_does_not_answer(listener):
    url = f"http://1c.example:{listener.port}/"
    both = http_to(url, resolve=Names(["127.0.0.2", HERE]), is_approved=True, any_inside=True)
    assert ask(both, url).status == 200
    none = http_to(url, resolve=Names(["127.0.0.2", "127.0.0.3"]), is_approved=True, any_inside=True)
    error = failure(none, url)
    assert type(error) is Transient
    assert "nothing was sent" in str(error)


@pytest.mark.parametrize("answer", [socket.gaierror(), [], OSError("no network")])
def test_a_name_without_an_address_is_an_outage(answer):
    url = "https://1c.example/"
    assert type(failure(http_to(url, resolve=Names(answer)), url)) is Transient


@pytest.mark.parametrize(
    "other",
    ["http://1c.example:{port}/", "https://other.example:{port}/", "https://1c.example/", "file:///etc/passwd", "x"],
)
def test_a_line_to_one_address_reaches_no_other(listener, other):
    mine = http_to(f"https://1c.example:{listener.port}/", resolve=Names([HERE]), is_approved=True, inside=HOME)
    assert type(failure(mine, other.format(port=listener.port))) is Refused
    assert listener.connections == 0


@pytest.mark.parametrize("url", ["http://1c.example/", "https://1c.example:25/"])
def test_plain_http_and_odd_ports_need_an_approval_although_the_address_is_public(url):
    error = failure(http_to(url, resolve=Names(PUBLIC)), url)
    assert type(error) is Refused
    assert "an operator must approve it" in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(listener, status):
    with listening("127.0.0.2") as inner:
        listener.answer = (status, {"Location": f"http://127.0.0.2:{inner.port}/"}, b"")
        url = f"http://1c.example:{listener.port}/"
        assert ask(http_to(url, resolve=Names([HERE]), is_approved=True, inside=HOME), url).is_redirect
        assert (len(listener.requests), inner.connections) == (1, 0)


def test_proxies_of_the_environment_have_no_say(listener, monkeypatch):
    with listening("127.0.0.2") as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.2:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        url = f"http://1c.example:{listener.port}/"
        ask(http_to(url, resolve=Names([HERE]), is_approved=True, inside=HOME), url)
        assert (listener.connections, proxy.connections) == (1, 0)


# How much, how long.


def test_an_answer_is_cut_off_at_a_megabyte(listener):
    url = f"http://1c.example:{listener.port}/"
    http = http_to(url, resolve=Names([HERE]), is_approved=True, inside=HOME)
    listener.answer = (200, {}, b" " * LARGEST_ANSWER)
    assert len(ask(http, url).body) == LARGEST_ANSWER
    listener.answer = (200, {}, b" " * (LARGEST_ANSWER + 1))
    assert "larger" in str(failure(http, url))


def test_an_endless_answer_ends_at_the_deadline(listener):
    over = threading.Event()

    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not over.wait(0.05):
            connection.sendall(b" ")

    listener.answer = drip
    url = f"http://1c.example:{listener.port}/"
    began = time.monotonic()
    error = failure(http_to(url, resolve=Names([HERE]), is_approved=True, inside=HOME, deadline=0.3), url)
    over.set()
    assert type(error) is InDoubt
    assert time.monotonic() - began < 5


# Certificates.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed one for localhost, as files: what is served, and what would be trusted."""
    kept = {}

    def make(path, key):
        maker()(path, key)
        folder = tmp_path_factory.mktemp("tls")
        for name, file in (("ca", path), ("key", key)):
            kept[name] = folder / file.name
            kept[name].write_bytes(file.read_bytes())

    Certificate(make).close()
    return kept["ca"], kept["key"]


@pytest.fixture
def over_tls(certificate):
    with listening(certificate=certificate) as server:
        yield server


@pytest.fixture
def pin(certificate):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate[0].read_text())).hexdigest()


def tls(server, host="1c.example", **permit):
    url = f"https://{host}:{server.port}/"
    return http_to(url, resolve=Names([HERE]), is_approved=True, inside=HOME, **permit), url


def test_a_self_signed_certificate_is_believed_if_it_is_the_pinned_one(over_tls, pin):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        http, url = tls(over_tls, pin=pin)
        for _ in range(2):
            assert ask(http, url, payload={}).status == 200
    assert (over_tls.connections, over_tls.sni) == (1, ["1c.example"])
    assert over_tls.requests[0][1]["Host"] == f"1c.example:{over_tls.port}"


def test_another_certificate_than_the_pinned_one_is_told_and_sees_nothing(over_tls, pin):
    error = failure(*tls(over_tls, pin="0" * 64), payload={"a": "secret"})
    assert type(error) is Refused
    assert pin in str(error), "what it shows instead"
    assert over_tls.requests == []


def test_even_a_certificate_that_others_vouch_for_must_be_the_pinned_one(over_tls, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    assert ask(*tls(over_tls, host="localhost")).status == 200
    assert type(failure(*tls(over_tls, host="localhost", pin="0" * 64))) is Refused


def test_without_a_pin_a_certificate_must_be_valid_and_of_that_name(over_tls, certificate, monkeypatch):
    assert "certificate is not valid" in str(failure(*tls(over_tls, host="localhost")))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    error = failure(*tls(over_tls))
    assert type(error) is Refused
    assert "certificate is not valid" in str(error)
    assert over_tls.requests == []


@pytest.mark.parametrize("text", ["AB" * 32, ":".join(["ab"] * 32), "sha256:" + "ab" * 32, " ab" * 32])
def test_a_fingerprint_is_read_as_tools_show_it(text):
    assert fingerprint(text) == "ab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 20, "zz" * 32])
def test_what_is_no_sha256_is_no_fingerprint(text):
    with pytest.raises(ValueError, match="64 hexadecimal"):
        fingerprint(text)


def test_a_listener_counts():
    """So that zero connections mean something."""
    with listening() as server:
        connection = http.client.HTTPConnection(HERE, server.port, timeout=5)
        connection.request("POST", "/")
        assert connection.getresponse().status == 200
        connection.close()
        assert server.connections == 1
