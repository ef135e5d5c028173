"""Logging of every Parom process: one event is one line, of JSON or for a person's eyes.

No line holds a secret, a whole phone number or e-mail address, or a character that could forge or hide another line.
"""

import json as codec
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
SHORTEST = 4  # a shorter secret is not looked for: its letters stand in every second line
LONGEST = 20_000  # characters of one text; the rest is cut
DEEPEST = 5  # levels of a value given as `extra`
LONG_NUMBER = 10**9

# Lengths are bounded, or possessive, so that no text takes more than linear time.
PASSWORD = re.compile(r"://([^:@/\s]{0,64}):\S{1,256}@")
WEBHOOK = re.compile(r"(/rest/\d+/)[^/\s\"'?#]+")
EMAIL = re.compile(r"(?<![\w.+-])([\w.+-])[\w.+-]*+(@[\w-]++(?:\.[\w-]++)+)")
UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
WITH_PLUS = r"\+[0-9][0-9 ()\xa0-]{8,20}[0-9]"
GROUPED = r"(?:[78][ \xa0-]?)?\(?[0-9]{3}\)?[ \xa0-]?[0-9]{3}[ \xa0-]?[0-9]{2}[ \xa0-]?[0-9]{2}"
PHONE = re.compile(rf"({UUID})|(?<![\w.])(?:{WITH_PLUS}|(?:{GROUPED}|[0-9]{{10,15}})(?!\w|\.[0-9]))")
# Controls, line and paragraph separators, marks that turn or hide text, lone surrogates, invisible tags.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def setup(level: int | str, *, json: bool | None = None, secrets: Iterable[str] = ()) -> None:
    """Send all logging, and Python's warnings, to stderr. `json=None`: JSON unless stderr is a terminal."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(json=not sys.stderr.isatty() if json is None else json, secrets=secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)


class OneLine(logging.Formatter):
    """An event as one line: time, level, logger, message, what came as `extra`, and the traceback."""

    def __init__(self, *, json: bool, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = frozenset(secrets)
        self._write = _as_json if json else _as_text

    def format(self, record: logging.LogRecord) -> str:
        event = {"message": _message(record)}
        event |= {key: value for key, value in vars(record).items() if key not in STANDARD}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            event["stack"] = record.stack_info
        return self._write(record, clean(event, self._secrets))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - logging would print the raw arguments, secrets included, over many lines
        return f"{record.msg} {record.args}"


def _as_json(record: logging.LogRecord, event: Mapping[str, Any]) -> str:
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head = {"time": time, "level": record.levelname, "logger": record.name}
    return codec.dumps(head | dict(event), ensure_ascii=False, default=str)


def _as_text(record: logging.LogRecord, event: Mapping[str, Any]) -> str:
    time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
    extra = (f"{key}={value}" for key, value in event.items() if key != "message")
    return " ".join([time, f"{record.levelname:7}", f"{record.name}:", event["message"], *extra])


def clean(value: Any, secrets: frozenset[str], depth: int = DEEPEST) -> Any:
    """The value with every text in it, keys included, masked and on one line; what is not of JSON becomes text."""
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < LONG_NUMBER):
        return value
    if isinstance(value, Mapping) and depth:
        return {clean(str(key), secrets): clean(item, secrets, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [clean(item, secrets, depth - 1) for item in value]
    return escape(mask(str(value), secrets))


def escape(text: str) -> str:
    r"""The text on one line and without tricks: a line feed becomes the two characters `\n`."""
    return UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def mask(text: str, secrets: frozenset[str] = frozenset()) -> str:
    """The text without secrets, webhook keys, passwords in URLs; phones and e-mail addresses cannot be told from it.

    `secrets` as `Settings.secrets` gives them. Record ids of less than ten digits and UUIDs stay readable.
    """
    for form in _forms(secrets):
        if form in text:
            text = text.replace(form, MASK)
    text = text[:LONGEST]
    text = PASSWORD.sub(rf"://\1:{MASK}@", text)
    text = WEBHOOK.sub(rf"\1{MASK}", text)
    text = EMAIL.sub(rf"\1{MASK}\2", text)
    return PHONE.sub(_hidden, text)


def _hidden(match: re.Match[str]) -> str:
    """+79991230001 → +7999***0001."""
    if match[1]:
        return match[1]
    digits = re.sub(r"\D", "", match[0])
    plus = "+" if match[0].startswith("+") else ""
    return f"{plus}{digits[: min(4, len(digits) - 7)]}{MASK}{digits[-4:]}"


@lru_cache(maxsize=8)
def _forms(secrets: frozenset[str]) -> list[str]:
    """Each secret as it is, as in a URL, as in JSON and as in a `repr`; longer ones first, as they may hold others."""
    shapes = (
        str,
        quote,
        quote_plus,
        lambda secret: quote(secret, safe=""),
        _in_json,
        lambda secret: repr(secret)[1:-1],
    )
    forms = {shape(str(secret)) for secret in secrets for shape in shapes if len(secret) >= SHORTEST}
    return sorted(forms, key=len, reverse=True)


def _in_json(secret: str) -> str:
    return codec.dumps(secret)[1:-1]


def secret_parts(value: str, *, whole: bool) -> Iterator[str]:
    """The secrets within a setting: a URL's password and, if the value is `whole` a secret, its telling parts too."""
    if password := re.search(r"://[^:@/\s]*:(\S+)@", value):
        yield from {password[1], unquote(password[1])}
    if whole:
        yield value
        yield from (part for part in re.split(r"[/?&=#]", value.partition("://")[2])[1:] if _telling(part))


def _telling(part: str) -> bool:
    """Whether a part of a URL is a key rather than a word."""
    return len(part) >= 16 or (len(part) >= 8 and any(map(str.isdigit, part)))  # noqa: PLR2004
