"""What a URL of the base names (facts/onec.md §A1): a set, an object, a row of a tabular part; and what names none."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from sandbox.onec import errors
from sandbox.onec.errors import Refusal
from sandbox.onec.query import Options, is_json, metadata_of, options_of
from sandbox.onec.reference import guid_of
from sandbox.onec.schema import Shape, published
from sandbox.onec.switches import Switches
from sandbox.wire import Kind, Request, Trace

BASE = "/base"
PATH = f"{BASE}/odata/standard.odata"
KINDS: dict[str, Kind] = {"GET": "read", "PATCH": "write", "PUT": "write", "POST": "write", "DELETE": "write"}
_TARGET = re.compile(r"(?P<name>[^/()]+)(?:\((?P<key>.*)\))?(?P<count>/\$count)?")
_KEY = re.compile(r"(?:(\w+)=)?guid'([^']*)'(?:,LineNumber=(\d+))?")
LONGEST_APACHE_LINE, LONGEST_IIS_QUERY, LONGEST_IIS_SEGMENT = 8190, 2048, 260


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request to a set; `ref` is empty for the whole set, `line` for anything but a row of a tabular part."""

    request: Request
    shape: Shape
    options: Options
    ref: str = ""
    line: str = ""
    is_count: bool = False

    @property
    def root(self) -> str:
        return root_of(self.request)

    @property
    def is_json(self) -> bool:
        return is_json(self.options, self.request.headers)

    @property
    def metadata(self) -> str:
        return metadata_of(self.options, self.request.headers)


def inside(request: Request) -> str:
    """What follows the root of the interface."""
    return request.path.removeprefix(PATH).strip("/")


def trace_of(request: Request) -> Trace:
    if not request.path.startswith(PATH):
        return Trace(method=f"{request.http_method} (elsewhere)")
    match = _TARGET.fullmatch(inside(request))
    key = _KEY.fullmatch(match["key"] or "") if match else None
    return Trace(
        method=f"{request.http_method} {match['name'] if match else inside(request) or '(service)'}",
        kind=KINDS.get(request.http_method, "other"),
        entity=match["name"] if match else "",
        key=key[2].lower() if key else "",
        params=options_of(request.query),
    )


def asked_of(request: Request, switches: Switches) -> Asked:
    """Raises Refusal."""
    match = _TARGET.fullmatch(inside(request))
    if match is None:
        raise _bad_url(inside(request))
    shape = published(switches).get(match["name"])
    if shape is None:
        raise Refusal(HTTPStatus.NOT_FOUND, 8, f"Не найден тип сущности «{match['name']}»")
    ref, line = ("", "") if match["key"] is None else _key_of(match["key"], shape)
    is_count = match["count"] is not None
    if is_count and (ref or not switches.count_path):
        raise _bad_url(inside(request))
    options = options_of(request.query)
    return Asked(request=request, shape=shape, options=options, ref=ref, line=line, is_count=is_count)


def pass_web_server(request: Request, web_server: str) -> None:
    """What never comes as far as 1C: other paths, and URLs longer than Apache or IIS let through."""
    path = quote(request.path)
    if web_server == "apache" and len(request.http_method) + len(path) + len(request.query) > LONGEST_APACHE_LINE:
        raise errors.from_web_server(HTTPStatus.REQUEST_URI_TOO_LONG, "Request-URI Too Long")
    if web_server == "iis" and max(map(len, request.path.split("/"))) > LONGEST_IIS_SEGMENT:
        raise errors.from_web_server(HTTPStatus.BAD_REQUEST, "Bad Request - Invalid URL")
    if web_server == "iis" and len(request.query) > LONGEST_IIS_QUERY:
        raise errors.from_web_server(HTTPStatus.NOT_FOUND, "404 - File or directory not found.")
    if request.path != PATH and not request.path.startswith(f"{PATH}/"):
        raise errors.from_web_server(HTTPStatus.NOT_FOUND, "404 Not Found")


def root_of(request: Request) -> str:
    return f"http://{request.headers.get('host', 'localhost')}{PATH}"


def _key_of(text: str, shape: Shape) -> tuple[str, str]:
    """Reference and line number. Raises Refusal."""
    match = _KEY.fullmatch(text)
    if match is None or match[1] not in (None, shape.key):
        raise _bad_url(text)
    if bool(shape.part) != bool(match[3]) or (shape.part and match[1] is None):
        raise Refusal(HTTPStatus.BAD_REQUEST, 7, f"Неполный ключ: {text}")
    try:
        return guid_of(match[2]), match[3] or ""
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, 1, f"Не удалось преобразовать строку в GUID: {match[2]}") from error


def _bad_url(text: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, 6, f"Неверный URL: {text}")
