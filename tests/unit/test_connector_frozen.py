"""A process that was frozen past its deadline must not send what it had meant to."""

import http.server
import threading
import time
from contextlib import suppress
from datetime import timedelta

from connectors.errors import ConnectorError
from connectors.http import Http


class Frozen:
    """A budget in which the process is frozen (SIGSTOP) once its place is granted."""

    seconds = 0.0

    def reserve(self, weight=1, patience=5.0):
        time.sleep(self.seconds)


class Target(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: list  # set by the test

    def do_POST(self):
        self.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_a_process_that_was_frozen_past_its_deadline_sends_nothing():
    Target.received = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    second, budget = timedelta(seconds=1), Frozen()
    client = Http("x", connect=second, read=second, deadline=second / 4, budget=budget)

    def send(n):
        url = f"http://127.0.0.1:{server.server_port}/"
        client.call("POST", url, name="create", repeatable=False, read=lambda answer: answer, payload=n)

    send(0)  # the connection is kept, so the next call need not open one
    budget.seconds = 0.3
    for n in range(1, 6):
        with suppress(ConnectorError):
            send(n)
    server.shutdown()
    assert Target.received == [b"0"]
