"""A dataclass is all that a table of parom.toml needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from connectors.base import Secret
from workers.faults import Fault
from workers.schema import read
from workers.substitution import Given, Substitution
from workers.values import spell


@dataclass(frozen=True)
class Rule:
    product: int
    branch: int | None
    courses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Codes:
    name: str = "NAME"
    phone: str = "PHONE"


@dataclass(frozen=True)
class Everything:
    text: str = ""
    count: int = 0
    share: float = 0.0
    flag: bool = False
    day: date = date(2020, 1, 1)
    moment: datetime | date | None = None
    pause: timedelta = timedelta(seconds=60)
    key: Secret | None = None
    mode: Literal["id", "name"] = "id"
    kinds: tuple[Literal["a", "b"], ...] = ()
    zone: ZoneInfo | None = None
    folder: Path | None = None
    ids: Mapping[str, int] = field(default_factory=dict)
    codes: Codes = field(default_factory=Codes)
    rules: tuple[Rule, ...] = ()
    books: Mapping[str, Codes] = field(default_factory=dict)
    rest: Any = None


def loaded(**table):
    (result,), faults = read(table, Everything)
    assert faults == []
    return result


def faults_of(**table):
    return read(table, Everything)[1]


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("text", "x", "x"),
        ("count", 3, 3),
        ("share", 0.5, 0.5),
        ("share", 2, 2),
        ("flag", True, True),
        ("day", date(2020, 12, 22), date(2020, 12, 22)),
        ("moment", date(2020, 12, 24), date(2020, 12, 24)),
        ("moment", datetime(2020, 12, 24, 9, tzinfo=UTC), datetime(2020, 12, 24, 9, tzinfo=UTC)),
        ("pause", "500ms", timedelta(milliseconds=500)),
        ("pause", "60s", timedelta(seconds=60)),
        ("pause", "1.5m", timedelta(seconds=90)),
        ("pause", "2h", timedelta(hours=2)),
        ("pause", "1d", timedelta(days=1)),
        ("key", Given("s3cret"), Secret("s3cret")),
        ("mode", "name", "name"),
        ("kinds", ["b", "a"], ("b", "a")),
        ("zone", "Europe/Moscow", ZoneInfo("Europe/Moscow")),
        ("folder", "var", Path("var")),
        ("ids", {"186": 2633}, {"186": 2633}),
        ("codes", {"phone": "UF_1"}, Codes(phone="UF_1")),
        ("rules", [{"product": 1, "courses": ["x"]}], (Rule(1, None, ("x",)),)),
        ("books", {"a": {"name": "B"}}, {"a": Codes(name="B")}),
        ("rest", {"any": [1]}, {"any": [1]}),
    ],
)
def test_each_annotation_has_its_form_in_the_file(key, written, meant):
    value = getattr(loaded(**{key: written}), key)
    assert value == meant
    assert type(value) is type(meant)


def test_what_is_left_out_takes_the_default_of_the_dataclass():
    assert loaded() == Everything()


@pytest.mark.parametrize(
    ("key", "written", "message"),
    [
        ("text", 1, "expected text, found a whole number"),
        ("count", "1", "expected a whole number, found text"),
        ("count", 1.0, "expected a whole number, found a number"),
        ("count", True, "expected a whole number, found true or false"),
        ("share", "1", "expected a number, found text"),
        ("share", True, "expected a number, found true or false"),
        ("flag", 1, "expected true or false, found a whole number"),
        ("day", "2020-12-22", "expected a date, found text"),
        ("day", datetime(2020, 12, 22, tzinfo=UTC), "expected a date, found a date with time"),
        ("moment", time(9), "expected a date with time or a date, found a time"),
        ("pause", 60, 'expected a duration such as "60s", "5m", "2h" or "1d", found a whole number'),
        ("pause", "60", "is not a duration"),
        ("pause", "-5s", "is not a duration"),
        ("pause", "0s", "must be more than zero"),
        ("key", 5, "expected text, found a whole number"),
        ("mode", "nmae", "expected one of 'id', 'name'"),
        ("mode", 5, "expected text, found a whole number"),
        ("kinds", "a", "expected a list, found text"),
        ("zone", "Europe/Mosow", "is not a time zone"),
        ("zone", "Europe", "is not a time zone"),
        ("ids", [1], "expected a table, found a list"),
        ("codes", "x", "expected a table, found text"),
        ("rules", {"a": 1}, "expected a list, found a table"),
    ],
)
def test_a_wrong_value_is_refused_by_what_was_expected_and_what_was_found(key, written, message):
    assert [(fault.path, fault.message) for fault in faults_of(**{key: written})] == [((key,), message)]


def test_faults_deep_inside_are_told_by_their_path_all_at_once():
    faults = faults_of(
        rules=[{"product": 1}, {"product": "x", "courses": ["a", 5]}, 7],
        ids={"a": "x"},
        books={"b": {"name": 1}},
        codes={"nmae": "x"},
    )
    assert {fault.path for fault in faults} == {
        ("rules", "1", "product"),
        ("rules", "1", "courses", "1"),
        ("rules", "2"),
        ("ids", "a"),
        ("books", "b", "name"),
        ("codes", "nmae"),
    }


def test_a_misspelt_key_is_told_what_it_may_have_meant():
    assert faults_of(cuont=1) == [Fault(("cuont",), "unknown key", "did you mean 'count'?")]
    (fault,) = faults_of(codes={"zzzz": "x"})
    assert fault.hint == "known: name, phone"


def test_a_missing_key_is_told_with_its_help():
    @dataclass(frozen=True)
    class Account:
        token: Secret = field(metadata={"help": "issued by the school"})

    assert read({}, Account) == ([None], [Fault(("token",), "is required", "issued by the school")])


def test_a_value_below_its_least_is_refused():
    @dataclass(frozen=True)
    class Limits:
        threads: int = field(default=1, metadata={"min": 1})
        every: timedelta = field(default=timedelta(seconds=1), metadata={"min": timedelta(seconds=1)})

    _, faults = read({"threads": 0, "every": "500ms"}, Limits)
    assert [fault.message for fault in faults] == ["must be at least 1", "must be at least 1s"]
    assert read({"threads": 1, "every": "1s"}, Limits)[1] == []


def test_a_secret_written_in_the_file_is_refused_without_being_shown():
    (fault,) = faults_of(key="hunter2")
    assert fault.message == "a secret must not stand in this file"
    assert "${NAME}" in fault.hint
    assert "hunter2" not in repr(fault)


def test_a_secret_partly_written_in_the_file_is_refused_too():
    table = Substitution({"KEY": "hunter2"}, Path()).expand({"key": "prefix-${KEY}"})
    (fault,) = read(table, Everything)[1]
    assert fault.message == "a secret must not stand in this file"


def test_no_message_shows_a_value_that_came_from_outside():
    table = Substitution({"KEY": "hunter2"}, Path()).expand(
        dict.fromkeys(["count", "mode", "zone", "pause", "rules"], "${KEY}")
    )
    _, faults = read(table, Everything)
    assert len(faults) == 5
    assert "hunter2" not in repr(faults)


def test_two_dataclasses_share_one_table():
    @dataclass(frozen=True)
    class Head:
        system: str

    (head, codes), faults = read({"system": "x", "name": "N"}, Head, Codes)
    assert (head, codes, faults) == (Head("x"), Codes(name="N"), [])
    assert read({"system": "x", "nmae": "N"}, Head, Codes)[1][0].hint == "did you mean 'name'?"


def test_a_key_declared_twice_is_a_programmers_mistake():
    @dataclass(frozen=True)
    class Rival:
        name: str

    with pytest.raises(TypeError, match="name"):
        read({}, Codes, Rival)


def test_an_annotation_without_a_form_is_a_programmers_mistake():
    @dataclass(frozen=True)
    class Odd:
        value: complex

    with pytest.raises(KeyError, match="complex"):
        read({}, Odd)


@pytest.mark.parametrize("text", ["250ms", "1s", "59s", "1m", "90s", "2h", "1d", "36h"])
def test_a_duration_is_spelt_as_it_is_read(text):
    assert spell(loaded(pause=text).pause) == text


def test_variables_and_files_are_put_in_place_inside_any_text(tmp_path):
    (tmp_path / "token").write_text(" t0ken\n")
    substitution = Substitution({"HOST": "crm.example", "A": "${B}"}, tmp_path)
    table = {
        "url": "https://${HOST}/${HOST}",
        "list": ["${HOST}", 5],
        "file": "${file:token}",
        "path": f"${{file:{tmp_path}/token}}",
        "once": "${A}",
        "plain": "$HOST",
    }
    assert substitution.expand(table) == {
        "url": "https://crm.example/crm.example",
        "list": ["crm.example", 5],
        "file": "t0ken",
        "path": "t0ken",
        "once": "${B}",
        "plain": "$HOST",
    }
    assert substitution.faults == []


def test_what_cannot_be_put_in_place_is_named_once_per_key(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    substitution = Substitution({"EMPTY": ""}, tmp_path)
    texts = ["${NO}/${NO}", "${EMPTY}", "${file:absent}", "${file:empty}", "${file:binary}", "${file:.}"]
    substitution.expand({"a": {"b": texts}})
    assert [(".".join(path), message) for path, message, _ in substitution.faults] == [
        ("a.b.0", "the environment variable NO is not set"),
        ("a.b.1", "the environment variable EMPTY is empty"),
        ("a.b.2", "the file absent cannot be read: No such file or directory"),
        ("a.b.3", "the file empty is empty"),
        ("a.b.4", "the file binary cannot be read: it is not UTF-8 text"),
        ("a.b.5", "the file . cannot be read: Is a directory"),
    ]
