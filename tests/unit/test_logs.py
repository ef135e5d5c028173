"""One event is one line, and the line is safe to keep and to show."""

import io
import json
import logging
import re
import sys
import time
import warnings
from contextlib import contextmanager

import pytest

from connectors.base import Secret
from workers import logs
from workers.logs import OneLine, escape, mask

SECRETS = frozenset({"t0p-s3cret", "pa ss/wörd"})


@pytest.fixture
def written():
    """Logs through a logger of its own and returns the lines."""

    def written(log, *, json=True):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(OneLine(json=json, secrets=SECRETS))
        logger = logging.Logger("parom.test")  # noqa: LOG001 - one that no other test shares
        logger.addHandler(handler)
        log(logger)
        assert stream.getvalue().endswith("\n")
        return stream.getvalue()[:-1].split("\n")

    return written


@pytest.fixture
def event(written):
    def event(log):
        (line,) = written(log)
        return json.loads(line)

    return event


@contextmanager
def root_logger_given_back():
    """Within the test itself: pytest has handlers of its own there for each phase of a test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)


def test_an_event_in_json_has_time_level_logger_message_and_extras(event):
    found = event(
        lambda logger: logger.warning("%d delivered", 3, extra={"flow": "students", "took": 0.5, "ids": [1, "2"]})
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found.pop("time"))
    assert found == {
        "level": "WARNING",
        "logger": "parom.test",
        "message": "3 delivered",
        "flow": "students",
        "took": 0.5,
        "ids": [1, "2"],
    }


def test_an_event_for_a_person_is_one_compact_line(written):
    (line,) = written(lambda logger: logger.info("delivered", extra={"flow": "ученики"}), json=False)
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    parom\.test: delivered flow=ученики", line)


def fail(secret):
    raise ValueError(f"bad key {secret}\nWARNING forged")


def log_failure(logger):
    try:
        fail("t0p-s3cret")
    except ValueError:
        logger.exception("failed")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_is_part_of_the_line_and_masked(written, as_json):
    (line,) = written(log_failure, json=as_json)
    assert "Traceback" in line
    assert "ValueError: bad key ***" in line
    assert "t0p-s3cret" not in line


def test_a_stack_is_part_of_the_line(event):
    assert "test_logs.py" in event(lambda logger: logger.info("here", stack_info=True))["stack"]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "evil", ["\n", "\r", "\x1b[2K", "\x85", "\u2028", "\u202e", "\u2066", "\u200b", "\ud800", "\x7f", "\x00"]
)
def test_no_character_forges_or_hides_a_line(written, as_json, evil):
    (line,) = written(lambda logger: logger.info("a%sb", evil, extra={f"k{evil}": evil}), json=as_json)
    shown = line if not as_json else "".join(json.loads(line).values()) + "".join(json.loads(line))
    for text in (line, shown):
        assert evil not in text
        assert text.isprintable()
    line.encode()


def test_an_escaped_character_can_still_be_told():
    assert escape("a\r\nb\t\x1b\u202eПривет \ud800") == r"a\r\nb\t\x1b\u202eПривет \ud800"


@pytest.mark.parametrize(
    "text",
    [
        "key t0p-s3cret.",
        "https://x/?key=pa%20ss%2Fw%C3%B6rd",
        "https://x/?key=pa+ss%2Fw%C3%B6rd",
        "https://x/pa%20ss/w%C3%B6rd/y",
        '{"key": "pa ss/w\\u00f6rd"}',
        repr({"key": "pa ss/wörd"}),
    ],
)
def test_a_secret_is_masked_in_every_form(text):
    masked = mask(text, SECRETS)
    assert "***" in masked
    assert not re.search("s3cret|rd", masked)


def test_a_secret_that_holds_another_is_masked_whole():
    assert mask("abcdef", frozenset({"abcd", "abcdef"})) == "***"


def test_a_secret_of_fewer_than_four_characters_is_not_looked_for():
    assert mask("task at hand", frozenset({"a", ""})) == "task at hand"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "POST https://p.example/rest/1/abcDEF0/crm.contact.list.json",
            "POST https://p.example/rest/1/***/crm.contact.list.json",
        ),
        ("redis://:hunter2@localhost:6379/0", "redis://:***@localhost:6379/0"),
        ("postgresql+psycopg://parom:p@ss@db/x", "postgresql+psycopg://parom:***@db/x"),
        ("ivan.petrov+x@mail.example.ru wrote", "i***@mail.example.ru wrote"),
        ("Иван@почта.рф", "И***@почта.рф"),
        ("+79991230001", "+7999***0001"),
        ("79991230001", "7999***0001"),
        ("9991230001", "999***0001"),
        ("8 (999) 123-00-01", "8999***0001"),
        ("8(999)123-00-01", "8999***0001"),
        ("999 123-00-01", "999***0001"),
        ("tel:+7(999)1230001.", "tel:+7999***0001."),
        ("+374 98 888 888", "+3749***8888"),
        ("phone=79991230001;", "phone=7999***0001;"),
        ("contact-79991230001", "contact-7999***0001"),
    ],
)
def test_webhooks_passwords_phones_and_addresses_are_masked_without_being_known(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "record 123456789",
        "deal 12708 of 2633",
        "2026-11-20T09:26:11.123456+03:00",
        "2026-11-20 09:26:11,123 +0300",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678-1234-1234-1234-123456789012",
        "192.168.123.45:6379",
        "took 0.12345678901 s",
        "sha 1234567890abcdef1234567890abcdef12345678",
        "http://127.0.0.1:8080/rest/ docs",
        "1 000 000 records",
    ],
)
def test_ids_times_and_numbers_stay_readable(text):
    assert mask(text) == text


def test_extras_are_masked_whatever_their_shape(event):
    extra = {
        "phone": 79991230001,
        "id": 123456789,
        "nested": {"t0p-s3cret": ["x t0p-s3cret", {"mail": "ann@mail.example"}]},
        "token": Secret("t0p-s3cret"),
        "error": ValueError("t0p-s3cret"),
        "nothing": None,
    }
    found = event(lambda logger: logger.info("x", extra=extra))
    assert found["phone"] == "7999***0001"
    assert found["id"] == 123456789
    assert found["nested"] == {"***": ["x ***", {"mail": "a***@mail.example"}]}
    assert (found["token"], found["error"], found["nothing"]) == ("***", "***", None)


def test_an_extra_that_holds_itself_is_cut(event):
    endless = {}
    endless["again"] = endless
    assert event(lambda logger: logger.info("x", extra={"endless": endless}))["endless"]


def test_a_message_that_does_not_fit_its_arguments_is_still_one_masked_line(event):
    found = event(lambda logger: logger.info("%d of %d", "t0p-s3cret"))  # noqa: PLE1206
    assert found["message"] == "%d of %d ('***',)"


def test_a_very_long_text_is_cut(event):
    assert len(event(lambda logger: logger.info("x" * 10**6))["message"]) == logs.LONGEST


@pytest.mark.parametrize("part", ["://a:", "a", "1", "+1 ", "a.b-", "a@a-", "/rest/1/", "(123) "])
def test_no_text_takes_long_to_mask(part):
    text = part * (logs.LONGEST // len(part))
    begin = time.process_time()
    mask(text)
    assert time.process_time() - begin < 0.5


def test_setup_sends_everything_to_stderr_as_json_when_nobody_watches(capsys):
    with root_logger_given_back():
        logs.setup("INFO", secrets=SECRETS)
        logging.getLogger("somebody.else").info("t0p-s3cret")
        logging.getLogger("somebody.else").debug("not asked for")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "***"


def test_setup_writes_for_a_person_at_a_terminal_or_on_request(capsys, monkeypatch):
    with root_logger_given_back():
        logs.setup("INFO", json=False)
        logging.getLogger("x").info("first")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        logs.setup("INFO")
        logging.getLogger("x").info("second")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["INFO    x: first", "INFO    x: second"]


def test_setup_twice_does_not_double_the_lines(capsys):
    with root_logger_given_back():
        logs.setup("INFO", json=True)
        logs.setup("INFO", json=True)
        logging.getLogger("x").info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_setup_takes_pythons_warnings_along(capsys):
    with root_logger_given_back(), warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.setup("INFO", json=True)
        warnings.warn("old\nway", DeprecationWarning, stacklevel=1)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["logger"] == "py.warnings"
