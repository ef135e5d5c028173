"""parom.toml: what it means, and that all its mistakes are told at once, by line, key and hint."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.base import Secret
from tasks.flow import Parent
from workers.faults import Problem
from workers.settings import Settings, SettingsError, load

MOSCOW = ZoneInfo("Europe/Moscow")
ENVIRON = {"CRM_URL": "https://crm.example/rest/1/q7w8e9r0t1/", "TOKEN": "t0ken-of-the-school"}
FILE = """\
timezone = "Europe/Moscow"

[connections.crm]
system = "portal"
webhook_url = "${CRM_URL}"

[connections.school]
system = "school"
base_url = "https://school.example"
token = "${TOKEN}"

[flows.students]
kind = "pupils"
source = "crm"
target = "school"
since = 2020-12-22
status_field = "UF_STATUS"
"""
LITERAL_SECRET = 'a secret must not stand in this file (write exactly "${NAME}" or "${file:/path}")'


@dataclass(frozen=True)
class PortalConfig:
    webhook_url: Secret
    id_field: str = "ID"
    tax_field: str = ""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.webhook_url.startswith("https://"):
            yield "webhook_url", "must begin with https://"


@dataclass(frozen=True)
class SchoolConfig:
    base_url: str
    token: Secret
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True)
class Codes:
    name: str = "NAME"
    phone: str = "PHONE"


@dataclass(frozen=True)
class Rule:
    product: int
    course: str = ""


@dataclass(frozen=True)
class PupilOptions:
    fields: Codes = field(default_factory=Codes)
    rules: tuple[Rule, ...] = (Rule(1, "chess"),)

    def problems(self) -> Iterator[tuple[str, str]]:
        for number, rule in enumerate(self.rules):
            if not rule.course:
                yield f"rules.{number}.course", "is empty"


@dataclass(frozen=True)
class GuestOptions(PupilOptions):
    id_field: str = "ID"
    parent_id_field: str = "ID"
    tax_field: str = field(kw_only=True)


@dataclass(frozen=True)
class Kind:
    options: type
    source_system: str
    target_system: str
    parents: tuple[Parent, ...] = ()
    status_types: tuple[str, ...] = ("string",)
    is_pushed: bool = False
    shared: tuple[tuple[str, str], ...] = ()

    def reads(self, options: PupilOptions) -> tuple[str, ...]:
        return (options.fields.name, options.fields.phone)


SYSTEMS = {"portal": PortalConfig, "school": SchoolConfig}
KINDS = {
    "pupils": Kind(PupilOptions, "portal", "school"),
    "sales": Kind(PupilOptions, "portal", "school", (Parent("pupils", "client", "контакт"),)),
    "guests": Kind(
        GuestOptions,
        "portal",
        "school",
        shared=(("id_field", "id_field"), ("parent_id_field", "id_field"), ("tax_field", "tax_field")),
    ),
}


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "parom.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def settings(write):
    def settings(text: str = FILE, **environ: str) -> Settings:
        return load(write(text), ENVIRON | environ, systems=SYSTEMS, kinds=KINDS)

    return settings


@pytest.fixture
def problems(settings):
    def problems(text: str, **environ: str) -> list[Problem]:
        with pytest.raises(SettingsError) as caught:
            settings(text, **environ)
        return list(caught.value.problems)

    return problems


def told(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.key, problem.message) for problem in problems]


# --- what a good file means


def test_a_short_file_gets_the_documented_defaults(settings, tmp_path):
    made = settings()
    assert made.timezone == MOSCOW
    assert made.database_url == f"sqlite:///{tmp_path}/var/parom.db"
    assert made.redis_url == "embedded"
    assert made.var == tmp_path / "var"
    assert (made.threads, made.lease, made.history_days) == (200, timedelta(seconds=15), 90)
    flow = made.flows["students"]
    assert (flow.every, flow.overlap) == (timedelta(seconds=60), timedelta(seconds=120))
    assert (flow.success_note, flow.skipped_note) == ("Успешно", "Успешно")
    assert (flow.window, flow.enabled) == (48, True)


def test_connections_and_flows_are_of_their_systems_and_kinds_dataclasses(settings):
    made = settings(
        FILE + '[flows.students.fields]\nphone = "UF_PHONE"\n[[flows.students.rules]]\nproduct = 4\ncourse = "go"\n'
    )
    crm, flow = made.connections["crm"], made.flows["students"]
    assert (crm.name, crm.system, crm.config) == ("crm", "portal", PortalConfig(Secret(ENVIRON["CRM_URL"])))
    assert (flow.name, flow.kind, flow.source, flow.target) == ("students", "pupils", "crm", "school")
    assert (flow.since, flow.status_field) == (date(2020, 12, 22), "UF_STATUS")
    assert flow.options == PupilOptions(Codes(phone="UF_PHONE"), (Rule(4, "go"),))


@pytest.mark.parametrize(
    ("line", "begin"),
    [
        ("", datetime(2020, 12, 22, tzinfo=MOSCOW)),
        ("modified_since = 2020-12-24", datetime(2020, 12, 24, tzinfo=MOSCOW)),
        ("modified_since = 2020-12-24T10:00:00", datetime(2020, 12, 24, 10, tzinfo=MOSCOW)),
        ("modified_since = 2020-12-24T10:00:00Z", datetime(2020, 12, 24, 10, tzinfo=UTC)),
    ],
)
def test_the_first_poll_begins_at_an_aware_moment(settings, line, begin):
    found = settings(FILE + line).flows["students"].modified_since
    assert found == begin
    assert found.tzinfo is not None


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("sqlite:///x/l.db", "sqlite:///{folder}/x/l.db"),
        ("sqlite+pysqlite:///l.db?timeout=5", "sqlite+pysqlite:///{folder}/l.db?timeout=5"),
        ("sqlite:////srv/l.db", "sqlite:////srv/l.db"),
        ("postgresql+psycopg://db/parom", "postgresql+psycopg://db/parom"),
    ],
)
def test_an_sqlite_path_is_relative_to_the_files_folder(settings, tmp_path, url, meant):
    assert settings(f'database_url = "{url}"\n{FILE}').database_url == meant.format(folder=tmp_path)


def test_a_relative_config_path_gives_absolute_paths(write, tmp_path, monkeypatch):
    write(FILE)
    monkeypatch.chdir(tmp_path)
    made = load("parom.toml", ENVIRON, systems=SYSTEMS, kinds=KINDS)
    assert made.var == tmp_path / "var"
    assert made.database_url == f"sqlite:///{tmp_path}/var/parom.db"


def test_the_environment_names_the_file_unless_a_path_is_given(write):
    path = write(FILE)
    environ = ENVIRON | {"PAROM_CONFIG": str(path)}
    assert load(None, environ, systems=SYSTEMS, kinds=KINDS).flows.keys() == {"students"}
    with pytest.raises(SettingsError, match=r"other\.toml"):
        load(path.with_name("other.toml"), environ, systems=SYSTEMS, kinds=KINDS)


def test_the_environment_overrides_the_urls_of_the_file(settings):
    urls = {"PAROM_DATABASE_URL": "postgresql://u:p${x@db/n", "PAROM_REDIS_URL": "rediss://:pw@redis:1/0"}
    made = settings('database_url = "${NOT_SET}"\nredis_url = "nonsense"\n' + FILE, **urls)
    assert (made.database_url, made.redis_url) == (urls["PAROM_DATABASE_URL"], urls["PAROM_REDIS_URL"])


def test_a_secret_may_come_from_a_file(settings, tmp_path):
    (tmp_path / "token").write_text("from-a-file\n")
    made = settings(FILE.replace("${TOKEN}", "${file:token}"))
    assert made.connections["school"].config.token == "from-a-file"


def test_a_file_with_a_byte_order_mark_and_windows_line_ends_is_read(tmp_path):
    path = tmp_path / "parom.toml"
    path.write_bytes(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())
    assert load(path, ENVIRON, systems=SYSTEMS, kinds=KINDS).timezone == MOSCOW


def test_a_dot_env_beside_the_file_is_not_read(problems, tmp_path):
    (tmp_path / ".env").write_text("OTHER=x\n")
    assert told(problems(FILE.replace("${TOKEN}", "${OTHER}"))) == [
        ("connections.school.token", "the environment variable OTHER is not set")
    ]


def test_every_secret_is_known_for_masking_in_every_form(settings):
    made = settings(
        'database_url = "postgresql+psycopg://parom:${PG}@db/parom"\nredis_url = "${REDIS}"\n' + FILE,
        PG="pg%40word",
        REDIS="redis://:re-dis@localhost:6379/0",
    )
    assert made.secrets() == {
        ENVIRON["CRM_URL"],
        "q7w8e9r0t1",
        ENVIRON["TOKEN"],
        "pg%40word",
        "pg@word",
        "re-dis",
    }


def test_neither_repr_nor_str_of_settings_shows_a_secret(settings):
    made = settings(FILE, PAROM_REDIS_URL="redis://:re-dis@localhost:6379/0")
    for secret in made.secrets():
        assert secret not in repr(made)


# --- what is wrong


def test_all_problems_are_told_at_once_each_with_its_line(settings, write):
    text = """\
timezone = "Europe/Mosow"
redis_url = "http://redis"
thread = 5

[connections.crm]
system = "portal"
webhook_url = "https://crm.example/rest/1/secret/"

[connections.school]
system = "shcool"

[flows.students]
kind = "pupils"
source = "school"
target = "shool"
every = "500ms"
since = "2020-12-22"
status_feild = "X"
window = 0

[flows.others]
kind = "pupil"
status_field = 5
"""
    with pytest.raises(SettingsError) as caught:
        settings(text)
    path = write(text)
    assert str(caught.value).splitlines() == [
        f"{path}:1: timezone: is not a time zone (did you mean 'Europe/Moscow'?)",
        f"{path}:2: redis_url: is not a URL that Parom can use (write embedded or rediss://:${{PASSWORD}}@HOST:PORT/0)",
        f"{path}:3: thread: unknown key (did you mean 'threads'?)",
        f"{path}:7: connections.crm.webhook_url: {LITERAL_SECRET}",
        f"{path}:10: connections.school.system: is not a known system (known: portal, school)",
        f"{path}:12: flows.students.status_field: is required (the source's text field for notes)",
        f"{path}:15: flows.students.target: names no connection (did you mean 'school'?)",
        f"{path}:16: flows.students.every: must be at least 1s",
        f"{path}:17: flows.students.since: expected a date, found text",
        f"{path}:18: flows.students.status_feild: unknown key (did you mean 'status_field'?)",
        f"{path}:19: flows.students.window: must be at least 1",
        f"{path}:21: flows.others.source: is required (the connection that is read)",
        f"{path}:21: flows.others.target: is required (the connection that is written to)",
        f"{path}:21: flows.others.since: is required (what was created earlier is left alone)",
        f"{path}:22: flows.others.kind: is not a known kind (known: guests, pupils, sales)",
    ]


def test_a_connection_must_be_of_the_system_that_the_role_needs(problems):
    swapped = FILE.replace('source = "crm"', 'source = "school"').replace('target = "school"', 'target = "crm"')
    assert told(problems(swapped)) == [
        ("flows.students.source", "must be a connection of portal, and this one is of school"),
        ("flows.students.target", "must be a connection of school, and this one is of portal"),
    ]


@pytest.mark.parametrize("code", ["NAME", "phone"])
def test_a_status_field_that_the_mapping_reads_is_refused(problems, code):
    (problem,) = problems(FILE.replace("UF_STATUS", code))
    assert problem.key == "flows.students.status_field"
    assert "a note would overwrite it" in problem.message
    assert problem.line == 17


def test_a_status_field_is_compared_with_the_codes_that_this_flow_maps(problems, settings):
    renamed = FILE + '[flows.students.fields]\nname = "UF_STATUS"\n'
    assert told(problems(renamed))[0][0] == "flows.students.status_field"
    assert settings(renamed.replace('status_field = "UF_STATUS"', 'status_field = "NAME"'))


@pytest.mark.parametrize("line", ["", 'status_field = ""'])
def test_a_flow_without_a_status_field_is_refused(problems, line):
    assert told(problems(FILE.replace('status_field = "UF_STATUS"', line))) == [
        ("flows.students.status_field", "is required")
    ]


def test_options_tell_their_own_problems_at_their_own_lines(problems):
    rules = (
        '[[flows.students.rules]]\nproduct = 1\ncourse = "a"\n\n[[flows.students.rules]]\nproduct = 2\ncourse = ""\n'
    )
    (problem,) = problems(FILE + rules)
    assert (problem.key, problem.message, problem.line) == ("flows.students.rules.1.course", "is empty", 24)


def test_options_tell_their_own_problems_beside_a_misspelt_key(problems):
    found = told(problems(FILE + "enabeld = false\n[[flows.students.rules]]\nproduct = 2\n"))
    assert found == [("flows.students.enabeld", "unknown key"), ("flows.students.rules.0.course", "is empty")]


def test_options_with_a_wrong_type_are_not_asked_for_further_problems(problems):
    found = told(problems(FILE + '[[flows.students.rules]]\nproduct = 1\n[[flows.students.rules]]\nproduct = "x"\n'))
    assert found == [("flows.students.rules.1.product", "expected a whole number, found text")]


def test_a_connection_tells_its_own_problems(problems):
    assert told(problems(FILE, CRM_URL="http://crm.example/rest/1/x/")) == [
        ("connections.crm.webhook_url", "must begin with https://")
    ]


def test_an_unresolved_variable_is_named_once_and_has_no_echo(problems):
    text = FILE.replace('"crm"', '"${WHO}"').replace('"UF_STATUS"', '"${STATUS}"').replace("${CRM_URL}", "${HOOK}")
    assert told(problems(f'database_url = "${{DB}}"\n{text}')) == [
        ("database_url", "the environment variable DB is not set"),
        ("connections.crm.webhook_url", "the environment variable HOOK is not set"),
        ("flows.students.source", "the environment variable WHO is not set"),
        ("flows.students.status_field", "the environment variable STATUS is not set"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        'database_url = "mysql://db/parom"',
        'database_url = "postgres://db/parom"',
        'database_url = "embedded"',
        'database_url = "sqlite://"',
        'database_url = "sqlite:///:memory:"',
        'redis_url = "valkey://x"',
        'redis_url = ""',
    ],
)
def test_a_url_of_another_kind_is_refused(problems, line):
    (problem,) = problems(f"{line}\n{FILE}")
    assert (problem.key, problem.message) == (line.split()[0], "is not a URL that Parom can use")
    assert problem.hint.startswith("write ")


def test_a_wrong_url_in_the_environment_is_told_by_the_variables_name(problems):
    (problem,) = problems('redis_url = "embedded"\n' + FILE, PAROM_REDIS_URL="amqp://:hunter2@mq")
    assert (problem.key, problem.line) == ("PAROM_REDIS_URL", None)
    assert "hunter2" not in repr(problem)


def test_a_password_written_into_a_url_of_the_file_is_refused_without_being_shown(problems):
    (problem,) = problems('database_url = "postgresql://parom:hunter2@db/parom"\n' + FILE)
    assert problem.message == "holds a password, and secrets must not stand in this file"
    assert "hunter2" not in repr(problem)


@pytest.mark.parametrize("key", ["lease", "every", "overlap"])
def test_a_duration_of_nothing_is_refused(problems, key):
    text = f'lease = "0s"\n{FILE}' if key == "lease" else f'{FILE}{key} = "0s"\n'
    assert [message for _, message in told(problems(text))] == ["must be more than zero"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("connections = 5\n" + FILE.partition("[")[0], {"connections"}),
        (FILE.partition("[")[0] + '[flows]\nstudents = "x"\n', {"flows.students"}),
        (FILE.replace('kind = "pupils"', "kind = []"), {"flows.students.kind"}),
        (FILE.replace('system = "portal"', "system = {}"), {"connections.crm.system"}),
        (FILE.replace('source = "crm"', "source = 1"), {"flows.students.source"}),
        (FILE.replace('timezone = "Europe/Moscow"', ""), {"timezone"}),
    ],
)
def test_a_value_of_a_wrong_shape_is_one_problem(problems, text, keys):
    assert {key for key, _ in told(problems(text))} == keys


def test_a_syntax_error_is_told_with_line_and_column(problems):
    (problem,) = problems('timezone = "Europe/Moscow"\nredis_url "embedded"\n')
    assert problem.line == 2
    assert "column 11" in problem.message


def test_an_unfinished_file_is_told_at_its_last_line(problems):
    (problem,) = problems('timezone = "Europe/Moscow"\nthreads = [1,\n')
    assert problem.line == 2
    assert problem.message.startswith("is not TOML")


def test_a_missing_file_is_told_with_the_command_that_writes_one(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "parom.toml", {}, systems=SYSTEMS, kinds=KINDS)
    assert str(caught.value) == f"{tmp_path}/parom.toml: there is no such file (`parom init` writes one)"


def test_a_file_that_is_no_text_or_no_file_is_told_plainly(tmp_path):
    (tmp_path / "parom.toml").write_bytes(b"\xff\xfe\x00")
    for path, reason in ((tmp_path / "parom.toml", "is not UTF-8 text"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=reason):
            load(path, {}, systems=SYSTEMS, kinds=KINDS)


def test_a_key_with_a_line_feed_cannot_forge_a_problem(settings):
    with pytest.raises(SettingsError) as caught:
        settings('"x\\nforged" = 1\n' + FILE)
    assert len(str(caught.value).splitlines()) == 1


def test_an_address_in_brackets_and_quoted_names_do_not_confuse_the_lines(problems):
    text = FILE + 'window = 64 # [flows.x]\n\n[ flows . "two words" ] # here\nkind = "x"\n'
    assert {(problem.key, problem.line) for problem in problems(text)} >= {
        ("flows.two words.kind", 21),
        ("flows.two words.source", 20),
    }


SALES = """
[flows.sales]
kind = "sales"
source = "crm"
target = "school"
since = 2020-12-22
status_field = "UF_CRM_SYNC_STATUS"
"""


def test_a_flow_whose_records_need_others_first_names_the_flow_that_brings_them(settings):
    flow = settings(FILE + SALES + 'parent = "students"\n').flows["sales"]
    assert (flow.parent, flow.brings_parents) == ("students", True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "is required"),
        ('parent = "studens"', "names no enabled flow of kind pupils"),
        ('parent = "sales"', "names no enabled flow of kind pupils"),
    ],
)
def test_a_missing_or_wrong_parent_is_named(settings, line, message):
    with pytest.raises(SettingsError, match=message):
        settings(FILE + SALES + line)


def test_a_flow_that_needs_nobody_first_has_no_such_key(settings):
    with pytest.raises(SettingsError, match="parent"):
        settings(FILE.replace("[flows.students]\n", '[flows.students]\nparent = "students"\n'))


def test_windows_that_leave_no_thread_for_polls_are_refused(settings):
    with pytest.raises(SettingsError, match=r"threads: are fewer than all windows together .* need \(56\)"):
        settings("threads = 40\n" + FILE)
    assert settings("threads = 40\n" + FILE + "window = 32\n").threads == 40


# What a connection says already.

GUESTS = FILE.replace('kind = "pupils"', 'kind = "guests"')
CUSTOM = GUESTS.replace('"${CRM_URL}"', '"${CRM_URL}"\nid_field = "KEY"\ntax_field = "TAX"')


def test_what_the_sources_connection_says_need_not_be_said_twice(settings):
    options = settings(CUSTOM).flows["students"].options
    assert (options.id_field, options.parent_id_field, options.tax_field) == ("KEY", "KEY", "TAX")
    again = settings(f'{CUSTOM}id_field = "KEY"\ntax_field = "TAX"\n')
    assert again.flows["students"].options == options


@pytest.mark.parametrize(
    "text", [CUSTOM + 'id_field = "ID"\n', GUESTS + 'tax_field = "TAX"\nparent_id_field = "KEY"\n']
)
def test_what_contradicts_the_sources_connection_is_named(problems, text):
    (problem,) = problems(text)
    assert problem.message == "is not id_field of the source"


def test_what_the_sources_connection_leaves_open_a_flow_says(settings, problems):
    assert settings(f'{GUESTS}tax_field = "TAX"\n').flows["students"].options.tax_field == "TAX"
    assert [(problem.key, problem.message) for problem in problems(GUESTS)] == [
        ("flows.students.tax_field", "is required")
    ]
