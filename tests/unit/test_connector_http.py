"""One HTTP call: bounded in time and size whatever the vendor does, its end named, no secret shown."""

import gzip
import json
import logging
import socket
import ssl
import threading
import time
import traceback
import tracemalloc
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from connectors.answer import Answer, Garbage, Lost, meaning_of_status
from connectors.base import Health
from connectors.breaker import BreakerOpen, BreakerState
from connectors.budget import Level
from connectors.errors import ConnectorError, InDoubt, Refused, Rejected, Throttled, Transient
from connectors.http import Http

SECRET = "s3cr3t"
DRIPS = 200
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Accepts connections on a free port; `script` has each of them in its own thread, its `hangs_up` told after."""

    def __init__(self, script):
        self.script, self.connections, self.requests = script, 0, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, suppress(OSError):
            self.script(self, connection)

    def request(self, connection):
        """Read one request; None if the caller hung up."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ength:" in line), 0)
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append((head.decode(), body))
        return head


@contextmanager
def serving(script):
    server = Server(script)
    yield server
    server.socket.close()


def answers(*responses):
    """A script that reads a request and sends the next response, over and over; the last one for ever."""
    left = list(responses)

    def script(server, connection):
        while server.request(connection) is not None:
            connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return script


def after_request(*sends, pause=0.05):
    """A script that reads a request, then sends each piece after a pause, and holds the line."""

    def script(server, connection):
        server.request(connection)
        for piece in sends:
            connection.sendall(piece)
            time.sleep(pause)
        connection.recv(1)

    return script


def last_words(data):
    """A script that reads a request, answers `data` and hangs up."""

    def script(server, connection):
        server.request(connection)
        connection.sendall(data)

    return script


def response(status=200, body=b"{}", *headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_or_status(answer):
    if answer.is_error:
        meaning = meaning_of_status(answer.status)
        raise meaning("said so") if meaning is Lost else meaning("said so", wait=answer.retry_after)
    return answer.json()


class Recorder:
    """A budget and a breaker that let everything pass and write down what they were asked."""

    def __init__(self, *, error=None, is_probe=False):
        self.log, self.error, self.is_probe = [], error, is_probe

    def reserve(self, _weight, _patience):
        self.log.append("reserve")
        if self.error:
            raise self.error

    def before_call(self):
        self.log.append("ask")
        return self.is_probe

    def succeeded(self):
        self.log.append("up")

    def failed(self):
        self.log.append("down")

    def abandoned(self):
        self.log.append("abandoned")

    def state(self):
        return BreakerState("closed")

    def headroom(self):
        return 7

    def level(self):
        if self.error:
            raise self.error
        return Level(used=0.25, wait=2.0)


def http_to(recorder=None, *, connect=1.0, read=5.0, deadline=20.0, sleep=lambda _: None):
    seconds = {"connect": connect, "read": read, "deadline": deadline}
    limits = {name: timedelta(seconds=value) for name, value in seconds.items()}
    return Http("Vendor", **limits, budget=recorder, breaker=recorder, sleep=sleep)


def call(http, server, *, repeatable=False, scheme="http", read=json_or_status, payload=None):
    port = server if isinstance(server, int) else server.port
    url = f"{scheme}://127.0.0.1:{port}/rest/1/{SECRET}/method"
    payload = payload or {"phone": SECRET}
    return http.call("POST", url, name="method", repeatable=repeatable, read=read, payload=payload)


def failure(http, server, **kwargs):
    """The error of a call that must fail; with no secret in it, nor in anything that hangs on it."""
    with pytest.raises(ConnectorError) as caught:
        call(http, server, **kwargs)
    error = caught.value
    shown = "".join(traceback.format_exception(error))
    assert SECRET not in shown
    assert SECRET not in f"{error!r} {error.__context__!r} {error.__cause__!r}"
    assert str(error).startswith("Vendor")
    return error


HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "one byte of the body at a time": [HEAD + b"Content-Length: 9000\r\n\r\n", *[b" "] * DRIPS],
    "a body without length": [HEAD + b"\r\n{}", *[b" "] * DRIPS],
    "chunks": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * DRIPS],
    "one byte of the headers at a time": [HEAD + b"X: ", *[b"x"] * DRIPS],
    "headers without end": [HEAD, *[b"X: x\r\n"] * DRIPS],
    "a status line without end": [b"HTTP/1.1 200 ", *[b"O"] * DRIPS],
    "informational answers without end": [b"HTTP/1.1 100 Continue\r\n\r\n"] * DRIPS,
    "silence after the headers": [HEAD + b"Content-Length: 9000\r\n\r\n"],
    "silence": [],
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW.keys())
@pytest.mark.parametrize(("repeatable", "meaning"), [(True, Transient), (False, InDoubt)])
def test_a_dripping_vendor_holds_a_call_no_longer_than_its_deadline(pieces, repeatable, meaning):
    with serving(after_request(*pieces)) as server:
        began = time.monotonic()
        error = failure(http_to(deadline=0.3), server, repeatable=repeatable)
        assert time.monotonic() - began < 5, "the vendor would have taken ten seconds"
    assert type(error) is meaning
    assert "0.3 s" in str(error)


def test_silence_ends_at_the_read_timeout_already():
    with serving(after_request()) as server:
        assert str(failure(http_to(read=0.2), server)) == "Vendor method: no answer in time"


def test_a_vendor_that_does_not_read_ends_at_the_deadline_too():
    def script(_server, connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        time.sleep(10)

    with serving(script) as server:
        error = failure(http_to(connect=30, deadline=0.3), server, payload={"text": "x" * 9_000_000})
    assert type(error) is InDoubt


def test_a_tls_handshake_that_never_comes_means_nothing_was_sent():
    def script(_server, connection):
        for _ in range(DRIPS):
            connection.sendall(b"\x16")
            time.sleep(0.05)

    began = time.monotonic()
    with serving(script) as server:
        error = failure(http_to(connect=0.2), server, scheme="https")
    assert time.monotonic() - began < 5, "the vendor would have taken ten seconds"
    assert type(error) is Transient
    assert str(error).endswith("nothing was sent")


def test_the_deadline_spans_all_repeats():
    with serving(after_request()) as server:
        began = time.monotonic()
        failure(http_to(read=0.2, deadline=0.5, sleep=time.sleep), server, repeatable=True)
        assert time.monotonic() - began < 3


def test_a_call_that_ended_leaves_the_next_one_alone():
    with serving(answers(OK)) as server:
        http = http_to(deadline=0.25)
        assert call(http, server) == {}
        time.sleep(0.15)
        assert call(http, server) == {}
        time.sleep(0.15)
        assert call(http, server) == {}
        assert server.connections == 1, "the connection is kept"


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_refused_connection_means_nothing_was_sent(repeatable):
    error = failure(http_to(), unused_port(), repeatable=repeatable)
    assert type(error) is Transient
    assert str(error) == "Vendor method: it refuses the connection; nothing was sent"


def test_an_unknown_name_means_nothing_was_sent():
    with pytest.raises(Transient, match="name cannot be resolved; nothing was sent"):
        http_to().call("GET", "https://nowhere.invalid/", name="x", repeatable=False, read=json_or_status)


def test_plain_http_on_a_tls_port_means_nothing_was_sent():
    def script(_server, connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(script) as server:
        error = failure(http_to(), server, scheme="https")
    assert type(error) is Transient


@pytest.mark.parametrize("url", ["portal.example/rest", "ftp://portal.example", "http://", "http://[::1/"])
def test_an_impossible_address_is_refused(url):
    with pytest.raises(Refused, match="address cannot be used"):
        http_to().call("GET", url, name="x", repeatable=True, read=json_or_status)


CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOdW6A1/XDsMLzeHU
a6GXbPSgUuOSm43A3mndxSyDRv+hRANCAATTXaLUh34ppaBuavLqljeGPnlODmai
EP1XY8sVGH2vczqzKDiup7upB0rl6uPGgx0og4zShSetTjhT4ObXCuhf
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUazCoxZwuTU1lMZehUyL/B10VLPwwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMDA5NTYxN1oYDzIxMjYxMDI3
MDk1NjE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATTXaLUh34ppaBuavLqljeGPnlODmaiEP1XY8sVGH2vczqzKDiup7up
B0rl6uPGgx0og4zShSetTjhT4ObXCuhfo28wbTAdBgNVHQ4EFgQUsW3NUqbU9EVT
fdLo8uM/2sTXMOIwHwYDVR0jBBgwFoAUsW3NUqbU9EVTfdLo8uM/2sTXMOIwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAP4B2D1+KXz1SnNfOYIJBuRuNjPCO9M4T34SkWOcMCzTAiEA
mp0B41OHAlTd0J3cnTs54HXSs/jCzj1UbdIIvRsuLXM=
-----END CERTIFICATE-----
"""


@pytest.fixture
def over_tls(tmp_path):
    """Makes a script speak TLS with a certificate that only a caller who knows `ca` believes."""
    (tmp_path / "both.pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")

    def wrapped(script):
        def speak(server, connection):
            script(server, context.wrap_socket(connection, server_side=True))

        return speak

    wrapped.ca = str(tmp_path / "both.pem")
    return wrapped


def test_tls_works_and_its_deadline_too(over_tls, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", over_tls.ca)
    with serving(over_tls(answers(OK))) as server:
        assert call(http_to(), server, scheme="https") == {}
    for pieces in SLOW.values():
        with serving(over_tls(after_request(*pieces))) as server:
            began = time.monotonic()
            assert type(failure(http_to(deadline=0.3), server, scheme="https")) is InDoubt
            assert time.monotonic() - began < 5


def test_the_deadline_holds_through_a_proxy(monkeypatch):
    for pieces in SLOW.values():
        with serving(after_request(*pieces)) as server:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
            monkeypatch.delenv("NO_PROXY", raising=False)
            http, url = http_to(deadline=0.2), "http://portal.invalid/"
            with pytest.raises(InDoubt):
                http.call("POST", url, name="x", repeatable=False, read=json_or_status)
            assert server.requests[0][0].startswith("POST http://portal.invalid/")


def test_a_proxy_that_does_not_connect_us_means_nothing_was_sent(monkeypatch):
    refusals = last_words(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), after_request(*[b"H"] * DRIPS)
    for script in refusals:
        with serving(script) as server:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
            monkeypatch.delenv("NO_PROXY", raising=False)
            http, url = http_to(deadline=0.3), "https://portal.invalid/"
            with pytest.raises(Transient, match="nothing was sent"):
                http.call("POST", url, name="x", repeatable=False, read=json_or_status)


def test_a_certificate_that_nobody_vouches_for_is_refused(over_tls):
    recorder = Recorder()
    with serving(over_tls(lambda _server, connection: connection.recv(1))) as server:
        error = failure(http_to(recorder), server, scheme="https", repeatable=True)
    assert type(error) is Refused
    assert "certificate" in str(error)
    assert recorder.log == ["ask", "reserve", "up"], "it is there, it is not to be repeated"


def reset(server, connection):
    server.request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def zipped(size, layers=1):
    body = bytes(size)
    for _ in range(layers):
        body = gzip.compress(body)
    return body


BROKEN = {
    "reset": reset,
    "hung up": lambda server, connection: server.request(connection),
    "cut off": last_words(HEAD + b"Content-Length: 9000\r\n\r\n{}"),
    "cut off in a chunk": last_words(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
    "not http": answers(b"SSH-2.0-OpenSSH\r\n"),
    "bad gzip": answers(response(200, b"nonsense", "Content-Encoding: gzip")),
    "too large": answers(response(200, b" " * 11_000_000)),
    "html": answers(response(200, b"<html>", "Content-Type: text/html")),
    "half a json": answers(response(200, b'{"a": ')),
    "deep json": answers(response(200, b"[" * 200_000)),
    "huge number": answers(response(200, b"9" * 10_000)),
    "empty": answers(response(200, b"")),
    "500": answers(response(500)),
    "503 page": answers(response(503, b"<html>")),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize(("repeatable", "meaning"), [(True, Transient), (False, InDoubt)])
def test_no_usable_answer_is_transient_after_a_read_and_in_doubt_after_a_write(script, repeatable, meaning):
    recorder = Recorder()
    http = http_to(recorder)
    with serving(script if callable(script) else answers(script)) as server:
        assert type(failure(http, server, repeatable=repeatable)) is meaning
    attempts = 3 if repeatable else 1
    assert recorder.log == ["ask", "reserve", "down"] * attempts
    assert http._session().cookies == {}


@pytest.mark.parametrize("layers", [1, 2])
def test_a_gzip_bomb_is_not_unpacked(layers):
    encoding = "Content-Encoding: " + ", ".join(["gzip"] * layers)
    bomb = response(200, zipped(300_000_000, layers), encoding)
    with serving(answers(bomb)) as server:
        http = http_to()
        tracemalloc.start()
        try:
            error = failure(http, server)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert "larger than 10 MiB" in str(error)
    assert peak < 50_000_000


def test_gzip_within_bounds_is_unpacked():
    with serving(answers(response(200, gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip"))) as server:
        assert call(http_to(), server) == {"a": 1}


def test_redirects_are_not_followed():
    with serving(answers(response(302, b"", "Location: https://new.example/rest/1/" + SECRET))) as server:
        answer = call(http_to(), server, read=lambda answer: answer)
    assert (answer.status, answer.is_redirect, answer.moved_to) == (302, True, "new.example")
    assert len(server.requests) == 1


def test_the_request_says_who_asks_and_carries_json():
    with serving(answers(OK)) as server:
        call(http_to(), server, payload={"text": "Успешно"})
    head, body = server.requests[0]
    assert "User-Agent: Parom/" in head
    assert "Content-Type: application/json" in head
    assert "Accept: application/json" in head
    assert json.loads(body) == {"text": "Успешно"}


def test_cookies_and_netrc_have_no_say(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login robot password robot")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(answers(response(200, b"{}", "Set-Cookie: session=1; Path=/"))) as server:
        limits = dict.fromkeys(("connect", "read", "deadline"), timedelta(seconds=5))
        http = Http("Vendor", **limits, headers={"Authorization": "Token t"})
        call(http, server)
        call(http, server)
    heads = [head for head, _ in server.requests]
    assert all("Authorization: Token t" in head and "Cookie" not in head for head in heads)


def test_payloads_that_are_not_json_are_our_bug():
    with pytest.raises(ValueError, match="JSON"):
        http_to().call("POST", "http://x", name="x", repeatable=True, read=json_or_status, payload=float("nan"))


def test_a_read_is_repeated_within_the_call_until_it_works():
    slept = []
    with serving(answers(response(502), response(200, b"<html>"), OK)) as server:
        assert call(http_to(sleep=slept.append), server, repeatable=True) == {}
    assert len(server.requests) == 3
    assert len(slept) == 2
    assert all(0 <= wait <= 5 for wait in slept)


@pytest.mark.parametrize(
    ("response_", "meaning"),
    [
        (response(429, b"", "Retry-After: 7"), Throttled),
        (response(408, b"", "Retry-After: 7"), Transient),
        (response(401), Refused),
        (response(301), Refused),
    ],
)
def test_what_repeating_would_not_help_is_not_repeated(response_, meaning):
    def read(answer):
        error = meaning_of_status(answer.status)
        raise error("Vendor") if error is Refused else error("Vendor", wait=answer.retry_after)

    with serving(answers(response_)) as server:
        error = failure(http_to(), server, repeatable=True, read=read)
    assert type(error) is meaning
    assert getattr(error, "wait", 7) == 7
    assert len(server.requests) == 1


def test_the_breaker_hears_what_tells_about_health_and_nothing_else():
    def heard(error, *, is_probe=False):
        def read(_answer):
            raise error

        recorder = Recorder(is_probe=is_probe)
        with serving(answers(OK)) as server, suppress(ConnectorError, RuntimeError):
            call(http_to(recorder), server, read=read)
        return recorder.log[2:]

    assert heard(Rejected("", told="")) == ["up"]
    assert heard(Refused("")) == ["up"]
    assert heard(Transient("")) == ["down"]
    assert heard(Lost("")) == ["down"]
    assert heard(Throttled("")) == []
    assert heard(RuntimeError("a bug")) == []
    assert heard(Throttled(""), is_probe=True) == ["abandoned"]
    assert heard(RuntimeError("a bug"), is_probe=True) == ["abandoned"]


def test_no_call_goes_out_without_a_place_in_the_budget():
    recorder = Recorder(error=Throttled("Vendor: wait", wait=9), is_probe=True)
    with serving(answers(OK)) as server:
        failure(http_to(recorder), server, repeatable=True)
    assert server.connections == 0
    assert recorder.log == ["ask", "reserve", "abandoned"]


def test_no_call_goes_out_while_the_breaker_is_open():
    class Open(Recorder):
        def before_call(self):
            raise BreakerOpen("Vendor: down", wait=30)

        def state(self):
            return BreakerState("open", 30)

    with serving(answers(OK)) as server:
        assert type(failure(http_to(Open()), server, repeatable=True)) is BreakerOpen
    assert server.connections == 0
    assert http_to(Open()).headroom(2) == 1


def test_headroom_counts_records():
    assert http_to(Recorder()).headroom(2) == 3
    assert http_to(Recorder()).headroom(100) == 1


def test_health_is_the_breaker_and_the_budget_and_the_later_of_their_times():
    class Open(Recorder):
        def state(self):
            return BreakerState("open", 30.0)

    assert http_to(Recorder()).health() == Health("closed", 2.0, 0.25)
    assert http_to(Open()).health() == Health("open", 30.0, 0.25)
    assert http_to().health() == Health("closed", 0.0, 0.0)


def test_health_without_redis_is_unknown_and_raises_nothing():
    assert http_to(Recorder(error=Throttled("no Redis"))).health() == Health("unknown", 5.0, 1.0)


def test_no_log_shows_the_url(caplog):
    caplog.set_level(logging.DEBUG)
    with serving(last_words(HEAD + b"Bad header\r\n\r\n{}")) as server:
        call(http_to(), server, read=lambda answer: answer)
    assert SECRET not in caplog.text


def test_each_thread_has_its_own_connection():
    with serving(answers(OK)) as server:
        http = http_to()
        threads = [threading.Thread(target=call, args=(http, server)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections == 5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "9" * 400}, 86_400),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 60),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT", "Date": "Thu, 01 Jan 2026 00:01:00 GMT"}, 0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"Retry-After": "Fri, 32 Foo 2026"}, None),
    ],
)
def test_retry_after_is_read_in_both_forms(headers, seconds):
    assert Answer(429, headers, b"").retry_after == seconds


def test_garbage_names_type_and_size_and_nothing_else():
    body = b"<html>Ivan Petrov +79261234567"
    with pytest.raises(Garbage) as caught:
        Answer(200, {"Content-Type": "text/html; charset=utf-8"}, body).json()
    assert str(caught.value) == f"HTTP 200, text/html, {len(body)} bytes"
    assert caught.value.__context__ is None
    odd = Answer(200, {"Content-Type": "\x1b[31m" + "x" * 900}, b"")
    assert odd.describe() == "HTTP 200, no content type, 0 bytes"
