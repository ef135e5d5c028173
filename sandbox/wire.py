"""HTTP/1.1 as plain values: what came in, what goes out, what the journal says of it. No vendor is known here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedIOBase
from typing import Any, Literal
from urllib.parse import unquote

Kind = Literal["read", "write", "other"]
Headers = tuple[tuple[str, str], ...]

MAX_LINE = 65_536
JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
PHRASES = {status.value: status.phrase for status in HTTPStatus}


class BadRequest(Exception):
    """What arrived on the socket is not HTTP we can answer."""


@dataclass(frozen=True, slots=True)
class Request:
    http_method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    client_ip: str
    is_last: bool
    is_secure: bool = False

    @property
    def line(self) -> str:
        return f"{self.http_method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a system tells the journal: the vendor's method, the row it touched, whether the write is in the store."""

    method: str = ""
    kind: Kind = "other"
    entity: str = ""
    key: str = ""
    params: Any = None
    is_committed: bool = False
    error: str = ""
    commands: "tuple[Trace, ...]" = ()


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Headers = ()
    trace: Trace = field(default_factory=Trace)

    def encoded(self, *, is_last: bool = False) -> bytes:
        """Head and body as one piece, so that one send is one packet."""
        lines = [
            f"HTTP/1.1 {self.status} {PHRASES.get(self.status, 'Unknown')}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Connection: close" if is_last else "Connection: keep-alive",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + self.body


def json_response(status: int, value: Any, *, headers: Headers = (), trace: Trace | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), JSON_TYPE, headers, trace or Trace())


def html_response(status: int, text: str, *, headers: Headers = (), trace: Trace | None = None) -> Response:
    return Response(status, text.encode(), HTML_TYPE, headers, trace or Trace())


def read_request(stream: BufferedIOBase, client_ip: str, *, is_secure: bool = False) -> Request | None:
    """The next request of a socket, None when the client has left; raises BadRequest for anything that is not HTTP."""
    line = stream.readline(MAX_LINE)
    if not line:
        return None
    try:
        http_method, target, version = line.decode().split()
    except ValueError as error:
        raise BadRequest("request line") from error
    headers = _headers(stream)
    path, _, query = target.partition("?")
    return Request(
        http_method=http_method,
        path=unquote(path),
        query=query,
        headers=headers,
        body=_body(stream, headers),
        client_ip=client_ip,
        is_last=version != "HTTP/1.1" or headers.get("connection", "").lower() == "close",
        is_secure=is_secure,
    )


def _headers(stream: BufferedIOBase) -> dict[str, str]:
    headers = {}
    while (line := stream.readline(MAX_LINE).strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _body(stream: BufferedIOBase, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return b"".join(iter(lambda: _chunk(stream), b""))
    try:
        length = int(headers.get("content-length") or 0)
    except ValueError as error:
        raise BadRequest("content length") from error
    return stream.read(length) if length else b""


def _chunk(stream: BufferedIOBase) -> bytes:
    try:
        size = int(stream.readline(MAX_LINE).partition(b";")[0] or b"0", 16)
    except ValueError as error:
        raise BadRequest("chunk size") from error
    chunk = stream.read(size)
    stream.readline(MAX_LINE)
    return chunk
