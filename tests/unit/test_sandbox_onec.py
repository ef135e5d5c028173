"""The 1C stand-in over real HTTP against facts/onec.md parts A and B: OData, sessions, a person in 1C, an outbox."""

import base64
import http.client
import json
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from sandbox import delivery, seed_interests
from sandbox.admin import Admin
from sandbox.onec.reference import (
    CONTACT_PERSONS,
    EMPTY_DATE,
    EMPTY_REF,
    INTERESTS,
    PARTNERS,
    POTENTIAL_CLIENTS,
    PROPERTIES,
    STAGES,
    STATES,
    USERS,
)
from sandbox.server import Listener
from sandbox.wire import json_response
from sandbox.world import Sandbox, World

ROOT = "/base/odata/standard.odata"
BOM = b"\xef\xbb\xbf"
ROWS = f"{CONTACT_PERSONS}_КонтактнаяИнформация"
JSON = {"$format": "json"}
EDM = "{http://schemas.microsoft.com/ado/2009/11/edm}"
NOBODY = "11111111-1111-4111-8111-111111111111"


def basic(login, password, encoding="utf-8"):
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode(encoding)).decode()}


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode("utf-8-sig")

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def value(self):
        assert self.status == 200, self.text
        return self.json["value"]

    @property
    def error(self):
        """Status, internal code and text of an OData error in JSON."""
        inside = self.json["odata.error"]
        return self.status, inside["code"], inside["message"]["value"]


class Base:
    """A client of the base and of the admin side, one socket each."""

    def __init__(self, sandbox):
        self.addresses = sandbox.addresses()
        self.host = self.addresses["onec"].split("/")[2]
        self.lines = {}
        self.headers = basic(self.addresses["onec_login"], self.addresses["onec_password"])

    def line(self, host):
        if host not in self.lines:
            self.lines[host] = http.client.HTTPConnection(host, timeout=10)
        return self.lines[host]

    def send(self, http_method, target, body=None, headers=None, line=None):
        line = line or self.line(self.host)
        line.request(http_method, target, body, self.headers if headers is None else headers)
        return Answer(line.getresponse())

    def get(self, path="", options=None, **headers):
        return self.send("GET", target(path, JSON if options is None else options), headers=self.headers | headers)

    def patch(self, ref, body, http_method="PATCH", set_name=INTERESTS, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = target(f"{set_name}(guid'{ref}')", JSON)
        return self.send(http_method, path, content, self.headers | headers)

    def rows(self, set_name=INTERESTS, **options):
        return self.get(set_name, JSON | {f"${name}": value for name, value in options.items()}).value

    def refs(self, condition, set_name=INTERESTS):
        return {row["Ref_Key"] for row in self.rows(set_name, filter=condition)}

    def asked(self, http_method, path, body=None):
        line = self.line(self.addresses["admin"].split("/")[2])
        line.request(http_method, quote(path, safe="/?=&"), None if body is None else json.dumps(body))
        return Answer(line.getresponse())

    def admin(self, http_method, path, body=None):
        answer = self.asked(http_method, path, body)
        assert answer.status == 200, answer.text
        return answer.json

    def switch(self, **changes):
        return self.admin("POST", "/switches/onec", changes)

    def create(self, **fields):
        return self.admin("POST", "/onec/interests", fields)

    def edit(self, ref, **fields):
        return self.admin("POST", f"/onec/interests/{ref}", fields)

    def one(self, ref, set_name=INTERESTS):
        return self.get(f"{set_name}(guid'{ref}')").json

    def store(self, entity):
        return self.admin("GET", f"/store/onec/{entity}")["rows"]

    def versions(self):
        return self.admin("GET", "/chronicle?system=onec")["entries"]


def target(path, options):
    asked = "&".join(f"{quote(name, safe='$')}={quote(str(value), safe='')}" for name, value in options.items())
    inside = quote(path, safe="()'=,/$")
    return f"{ROOT}/{inside}?{asked}"


@pytest.fixture(scope="module")
def sandbox():
    world = World()
    with Sandbox(world, Admin(world).handle, {}) as running:
        yield running


@pytest.fixture
def base(sandbox):
    sandbox.world.reset()
    client = Base(sandbox)
    yield client
    for line in client.lines.values():
        line.close()


@pytest.fixture
def three(base):
    """Interests of three days, the second without a name."""
    given = (
        ("2024-03-01", "Первый", "Новый", 10),
        ("2024-03-02", "", "Договор", 0),
        ("2024-03-03", "О'Генри", "", 7.5),
    )
    return [
        base.create(created_at=f"{day}T10:00:00", name=name, stage=stage, revenue=revenue)["id"]
        for day, name, stage, revenue in given
    ]


# Access.


def test_the_ready_file_tells_address_login_and_password(base):
    assert base.addresses["onec"].endswith("/base")
    assert (base.addresses["onec_login"], base.addresses["onec_password"]) == ("Обмен", "пароль-песочницы")


@pytest.mark.parametrize(
    "headers",
    [{}, basic("Обмен", "другой"), basic("Обмен", "пароль-песочницы", "cp1251"), {"Authorization": "Bearer x"}],
)
def test_a_wrong_login_is_401_with_a_challenge_and_no_odata_body(base, headers):
    answer = base.send("GET", target(INTERESTS, JSON), headers=headers)
    assert (answer.status, answer.headers["WWW-Authenticate"].split()[0], answer.body) == (401, "Basic", b"")


def test_the_password_is_a_switch(base):
    base.switch(password="иной")
    assert base.get(INTERESTS).status == 401
    base.headers = basic("Обмен", "иной")
    assert base.get(INTERESTS).status == 200


@pytest.mark.parametrize("path", ["/", "/base", "/base/hs/exchange", "/base/odata/standard.odataX"])
def test_other_paths_are_the_web_servers_404_in_html(base, path):
    answer = base.send("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_locked_base_answers_an_exception_with_the_administrators_message(base, status):
    base.switch(locked=True, locked_status=status, locked_text="До 18:00")
    answer = base.get(INTERESTS)
    exception = answer.json["exception"]
    assert (answer.status, exception["reason"], answer.json["#exception"][0]) == (status, 403, "{")
    text = exception["inner"]["inner"]["descr"]
    assert text == "Начало сеанса с информационной базой запрещено.\nДо 18:00"
    base.headers = {}
    assert base.get(INTERESTS).status == 401


def test_every_error_can_come_as_html(base):
    base.switch(html_errors=True)
    answer = base.get("Catalog_Нет")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "1C:Enterprise 8 application error" in answer.text
    assert "by reason:" in answer.text
    base.switch(locked=True)
    assert "Начало сеанса" in base.get(INTERESTS).text
    assert base.get(INTERESTS).text.startswith("<!DOCTYPE html>")


# Sessions and licences.


def test_a_kept_session_takes_a_licence_until_it_is_finished(base):
    base.switch(licences=1, licence_status=503)
    first = base.get(INTERESTS, IBSession="start")
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    assert (first.status, cookie.startswith("ibsession=")) == (200, True)
    refused = base.get(INTERESTS)
    assert (refused.status, refused.json["exception"]["inner"]["inner"]["descr"]) == (
        503,
        "Не обнаружено свободной лицензии!",
    )
    again = base.get(INTERESTS, Cookie=f"a=b; {cookie}")
    assert (again.status, again.headers["Set-Cookie"]) == (200, None)
    assert base.get(INTERESTS, Cookie=cookie, IBSession="finish").status == 200
    assert base.get(INTERESTS).status == 200
    assert base.store("load")[0]["peak_sessions"] == 1


@pytest.mark.parametrize("status", [404, 400, 500])
def test_a_stale_cookie_is_refused_and_a_new_session_can_be_started_with_it(base, status):
    base.switch(stale_session_status=status)
    answer = base.get(INTERESTS, Cookie="ibsession=gone")
    assert (answer.status, "Сеанс" in answer.text) == (status, True)
    assert base.get(INTERESTS, Cookie="ibsession=gone", IBSession="start").headers["Set-Cookie"]


def test_an_idle_session_expires(base):
    base.switch(licences=1, session_idle_s=20)
    cookie = base.get(INTERESTS, IBSession="start").headers["Set-Cookie"].partition(";")[0]
    base.admin("POST", "/clock", {"advance_s": 21})
    assert base.get(INTERESTS, Cookie=cookie).status == 404
    assert base.get(INTERESTS).status == 200


def test_reuse_can_be_refused_with_406_or_passed_over(base):
    base.switch(session_reuse="refused")
    assert base.get(INTERESTS, IBSession="start").status == 406
    assert base.get(INTERESTS).status == 200
    base.switch(session_reuse="off")
    answer = base.get(INTERESTS, IBSession="start", Cookie="ibsession=gone")
    assert (answer.status, answer.headers["Set-Cookie"]) == (200, None)


def test_a_session_started_by_a_refused_request_is_told_of(base):
    answer = base.get("Catalog_Нет", IBSession="start")
    assert (answer.status, bool(answer.headers["Set-Cookie"])) == (404, True)


def together(base, count, **headers):
    """`count` requests at once, each over a socket of its own; their statuses."""
    statuses = []

    def ask():
        line = http.client.HTTPConnection(base.host, timeout=10)
        answer = base.send("GET", target(INTERESTS, JSON), headers=base.headers | headers, line=line)
        statuses.append(answer.status)
        line.close()

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(statuses)


def test_the_most_requests_at_once_are_remembered(base):
    assert base.get(INTERESTS).status == 200
    assert base.store("load")[0]["peak"] == 1
    base.switch(latency_s=0.8)
    assert together(base, 3) == {200: 3}
    (load,) = base.store("load")
    assert (load["peak"], load["in_flight"], load["peak_sessions"], load["requests"]) == (3, 0, 3, 4)
    base.admin("POST", "/reset")
    assert base.store("load")[0]["peak"] == 0


def test_more_requests_at_once_than_licences_are_refused(base):
    base.switch(latency_s=1.0, licences=1)
    first = threading.Thread(target=together, args=(base, 1))
    first.start()
    while not base.store("load")[0]["sessions"]:
        assert first.is_alive()
    assert base.get(INTERESTS).status == 500
    first.join()
    assert base.get(INTERESTS).status == 200


def test_requests_of_one_session_wait_for_each_other(base):
    cookie = base.get(INTERESTS, IBSession="start").headers["Set-Cookie"].partition(";")[0]
    base.switch(latency_s=0.1)
    begun = datetime.now(UTC)
    assert together(base, 3, Cookie=cookie) == {200: 3}
    assert (datetime.now(UTC) - begun).total_seconds() >= 0.3
    assert base.store("load")[0]["started"] == 1


# What a base tells of itself.


def test_the_service_document_names_published_sets(base):
    sets = {row["name"] for row in base.get().value}
    assert {INTERESTS, STATES, USERS, ROWS, "Catalog_Контрагенты_КонтактнаяИнформация"} <= sets
    assert base.get("", {}).text.count("<collection") == len(sets)
    base.switch(unpublished=[CONTACT_PERSONS])
    assert sets - {row["name"] for row in base.get().value} == {CONTACT_PERSONS, ROWS}
    base.switch(unpublished=list(sets))
    assert base.get().value == []


def properties(base, set_name):
    document = ET.fromstring(base.get("$metadata").text)
    (found,) = (kind for kind in document.iter(f"{EDM}EntityType") if kind.get("Name") == set_name)
    return {one.get("Name"): one.get("Type") for one in found.iter(f"{EDM}Property")}


def test_metadata_is_xml_with_the_properties_of_published_sets(base):
    shown = properties(base, INTERESTS)
    assert shown["Ref_Key"] == "Edm.Guid"
    assert (shown["Date"], shown["ОжидаемаяВыручка"], shown["Тема"]) == ("Edm.DateTime", "Edm.Double", "Edm.String")
    assert properties(base, ROWS)["LineNumber"] == "Edm.Int64"
    assert properties(base, CONTACT_PERSONS)["КонтактнаяИнформация"].startswith("Collection(")
    base.switch(unpublished=[INTERESTS])
    assert f'Name="{INTERESTS}"' not in base.get("$metadata").text


def test_metadata_names_exactly_what_rows_hold(base):
    base.create(phones=["1"])
    for switches in ({}, {"communication": "additional", "change_dates": True, "contact_key": "ObjectId"}):
        base.switch(**switches)
        for set_name in (INTERESTS, CONTACT_PERSONS, ROWS, STATES):
            (row, *_) = base.get(set_name, {"$format": "application/json;odata=nometadata"}).value
            assert list(row) == list(properties(base, set_name)), set_name


def test_stages_have_fixed_references_and_staff_is_known(base):
    assert {row["Description"]: row["Ref_Key"] for row in base.rows(STATES)} == STAGES
    assert [row["Ref_Key"] for row in base.store("states")] == list(STAGES.values())
    assert len(base.rows(USERS)) == 3


# Addressing and options.


def test_a_plus_is_no_space(base, three):
    condition = quote("DeletionMark eq false", safe="")
    raw = target(INTERESTS, JSON) + "&$filter="
    assert len(base.send("GET", raw + condition).value) == 3
    answer = base.send("GET", raw + condition.replace("%20", "+"))
    assert answer.error[:2] == (400, "14")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("Catalog_Нет", 404, "8"),
        (f"{INTERESTS}(guid'{NOBODY}')", 404, "9"),
        (f"{INTERESTS}(guid'1')", 400, "1"),
        (f"{INTERESTS}(1)", 400, "6"),
        (f"{INTERESTS}(Code=guid'{NOBODY}')", 400, "6"),
        (f"{ROWS}(Ref_Key=guid'{NOBODY}')", 400, "7"),
        (f"{INTERESTS}/Тема", 400, "6"),
    ],
)
def test_wrong_addresses_have_the_codes_of_the_sheet(base, path, status, code):
    assert base.get(path).error[:2] == (status, code)


@pytest.mark.parametrize(
    ("option", "value", "status", "code"),
    [
        ("$search", "x", 400, "0"),
        ("limit", "1", 400, "0"),
        ("$top", "-1", 400, "14"),
        ("$top", "x", 400, "14"),
        ("$skip", "1.5", 400, "14"),
        ("$inlinecount", "all", 400, "14"),
        ("$select", "Ref_Key,Нет", 400, "10"),
        ("$orderby", "Нет", 400, "10"),
        ("$orderby", "Date down", 400, "14"),
        ("$expand", "Партнер", 501, "0"),
    ],
)
def test_wrong_options_have_the_codes_of_the_sheet(base, option, value, status, code):
    assert base.get(INTERESTS, JSON | {option: value}).error[:2] == (status, code)


def test_an_unknown_representation_is_501(base):
    answer = base.get(INTERESTS, {"$format": "csv"})
    assert (answer.status, "<m:code>3</m:code>" in answer.text) == (501, True)


def test_unknown_properties_to_select_or_order_by_can_be_passed_over(base, three):
    base.switch(unknown_select_field="ignored", unknown_orderby_field="ignored")
    rows = base.rows(select="Ref_Key,Нет", orderby="Нет")
    assert [list(row) for row in rows] == [["Ref_Key"]] * 3


def test_select_shows_only_what_is_named_and_stars_are_wide(base):
    base.create(phones=["1"])
    assert list(base.rows(select="DataVersion, Ref_Key")[0]) == ["DataVersion", "Ref_Key"]
    everything, flat = base.rows(CONTACT_PERSONS, select="*")[0], base.rows(CONTACT_PERSONS, select="**")[0]
    assert set(everything) - set(flat) == {"КонтактнаяИнформация"}


def test_skip_comes_before_top_and_the_count_is_a_string_of_all_rows(base, three):
    answer = base.get(INTERESTS, JSON | {"$orderby": "Date", "$skip": 1, "$top": 1, "$inlinecount": "allpages"})
    assert [row["Date"] for row in answer.value] == ["2024-03-02T10:00:00"]
    assert answer.json["odata.count"] == "3"
    assert "odata.count" not in base.get(INTERESTS).json
    assert base.rows(top=0) == []


def test_count_is_a_plain_number_behind_a_byte_order_mark_or_unavailable(base, three):
    answer = base.get(f"{INTERESTS}/$count", {"$filter": f"Date ge datetime'{'2024-03-02T00:00:00'}'"})
    assert (answer.status, answer.body) == (200, BOM + b"2")
    base.switch(count_path=False)
    assert base.get(f"{INTERESTS}/$count", {}).status == 400


# The filter.


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("Date ge datetime'2024-03-02T10:00:00'", {1, 2}),
        ("Date gt datetime'2024-03-02T10:00:00'", {2}),
        ("Date lt datetime'2024-03-02T10:00:00'", {0}),
        ("Date le datetime'2024-03-02T10:00:00'", {0, 1}),
        ("datetime'2024-03-02T10:00:00' lt Date", {2}),
        ("Тема eq 'О''Генри'", {2}),
        ("Тема ne ''", {0, 2}),
        ("DeletionMark eq false", {0, 1, 2}),
        ("DeletionMark eq true", set()),
        ("not DeletionMark eq true", {0, 1, 2}),
        ("ОжидаемаяВыручка gt 7", {0, 2}),
        ("ОжидаемаяВыручка eq 7.5", {2}),
        (f"СостояниеИнтереса_Key eq guid'{STAGES['Договор'].upper()}'", {1}),
        (f"СостояниеИнтереса_Key ne guid'{EMPTY_REF}'", {0, 1}),
        ("Тема eq 'Первый' or Тема eq '' and ОжидаемаяВыручка gt 5", {0}),
        ("(Тема eq 'Первый' or Тема eq '') and ОжидаемаяВыручка gt 5", {0}),
        ("Тема eq 'Первый' or ОжидаемаяВыручка eq 7.5", {0, 2}),
        ("not(Тема eq 'Первый') and not (Тема eq '')", {2}),
        ("ДокументОснование eq ''", {0, 1, 2}),
        (f"ДокументОснование eq guid'{EMPTY_REF}'", set()),
    ],
)
def test_a_filter_finds_what_it_says(base, three, condition, found):
    assert base.refs(condition) == {three[number] for number in found}


def test_references_are_found_by_a_list_of_comparisons(base, three):
    first, second, third = (f"Ref_Key eq guid'{ref}'" for ref in three)
    assert base.refs(f"{first} or {third} or Ref_Key eq guid'{NOBODY}'") == {three[0], three[2]}
    assert base.refs(f"({first} or {second}) and {second}") == {three[1]}
    assert base.refs(f"({first} or {second}) and Тема ne ''") == {three[0]}
    assert base.refs(f"{first} or Тема eq ''") == {three[0], three[1]}
    assert base.refs(f"not ({first} or {second})") == {three[2]}


@pytest.mark.parametrize(
    ("condition", "status", "code"),
    [
        (f"Ref_Key gt guid'{NOBODY}'", 500, "-1"),
        (f"Партнер_Key le guid'{NOBODY}'", 500, "-1"),
        ("Ref_Key eq guid'1'", 400, "1"),
        ("Date ge datetime'2024-03-02'", 400, "14"),
        ("Date ge datetime'2024-03-02T10:00:00Z'", 400, "14"),
        ("Date ge '2024-03-02T10:00:00'", 400, "14"),
        ("DeletionMark eq 1", 400, "14"),
        ("Тема eq", 400, "14"),
        ("(Тема eq ''", 400, "14"),
        ("Тема eq '' Тема", 400, "14"),
        ("Тема = ''", 400, "14"),
        ("Тема is ''", 400, "14"),
        ("Тема eq Описание", 400, "14"),
        ("substringof('а',Тема)", 501, "0"),
        ("ОжидаемаяВыручка add 1 eq 2", 501, "0"),
    ],
)
def test_a_filter_that_cannot_be_understood_is_refused(base, three, condition, status, code):
    assert base.get(INTERESTS, JSON | {"$filter": condition}).error[:2] == (status, code)


@pytest.mark.parametrize("condition", ["Имя eq 'а'", "not (Имя eq 'а')", "Имя eq 'а' or Тема eq ''"])
def test_a_typo_in_a_property_empties_the_answer_without_a_word_unless_switched(base, three, condition):
    assert base.refs(condition) == set()
    base.switch(unknown_filter_field="error")
    assert base.get(INTERESTS, JSON | {"$filter": condition}).error[:2] == (400, "10")


def test_an_unpublished_property_cannot_be_filtered_by(base, three):
    assert base.refs("ДатаИзменения ge datetime'2020-01-01T00:00:00'") == set()
    base.switch(change_dates=True)
    assert base.refs("ДатаИзменения ge datetime'2020-01-01T00:00:00'") == set(three)


# Order and pages.


def pages(base, set_name, size, **options):
    rows = []
    while page := base.rows(set_name, top=size, skip=len(rows), **options):
        rows += page
    return rows


def test_the_order_of_references_is_stable_and_not_that_of_guids(base):
    base.admin("POST", "/seed", {"interests": 40})
    refs = [row["Ref_Key"] for row in pages(base, INTERESTS, 7, orderby="Ref_Key")]
    assert (len(refs), len(set(refs))) == (40, 40)
    assert refs == [row["Ref_Key"] for row in base.rows(orderby="Ref_Key asc")]
    assert refs != sorted(refs)
    assert refs[::-1] == [row["Ref_Key"] for row in base.rows(orderby="Ref_Key desc")]


def test_references_can_be_ordered_by_what_they_present(base, three):
    base.switch(ref_order="presentation")
    assert [row["Ref_Key"] for row in base.rows(orderby="Ref_Key")] == three
    assert [row["Description"] for row in base.rows(STATES, orderby="Ref_Key")] == sorted(STAGES)


@pytest.mark.parametrize("options", [{}, {"orderby": "DeletionMark"}])
def test_pages_without_a_unique_order_lose_rows_unless_switched(base, options):
    base.admin("POST", "/seed", {"interests": 40})
    assert len({row["Ref_Key"] for row in pages(base, INTERESTS, 15, **options)}) < 40
    base.switch(unordered_rows="stable")
    assert len({row["Ref_Key"] for row in pages(base, INTERESTS, 15, **options)}) == 40


def test_rows_of_a_tabular_part_need_reference_and_line_number(base):
    for number in range(9):
        base.create(phones=[f"{number}-{phone}" for phone in range(3)])

    def found(order):
        return {(row["Ref_Key"], row["LineNumber"]) for row in pages(base, ROWS, 4, orderby=order)}

    assert len(found("Ref_Key,LineNumber")) == 27
    assert len(found("Ref_Key")) < 27


def test_line_numbers_are_ordered_as_numbers(base):
    base.create(phones=[str(number) for number in range(11)])
    lines = [row["LineNumber"] for row in base.rows(ROWS, orderby="LineNumber desc")]
    assert lines == [str(number) for number in range(11, 0, -1)]
    assert len(base.rows(ROWS, filter="LineNumber gt 9")) == 2
    assert len(base.rows(ROWS, filter="LineNumber eq 9")) == 1


def test_order_is_by_several_properties_each_in_its_direction(base, three):
    extra = base.create(created_at="2024-03-03T10:00:00", name="А")["id"]
    rows = base.rows(orderby="Date desc, Тема", select="Ref_Key")
    assert [row["Ref_Key"] for row in rows] == [extra, three[2], three[1], three[0]]


# Rights.


@pytest.mark.parametrize("status", [401, 403])
def test_a_set_without_rights_is_refused_with_code_20_though_the_login_is_good(base, status):
    base.switch(no_rights=[CONTACT_PERSONS], no_rights_status=status)
    assert base.get(CONTACT_PERSONS).error[:2] == (status, "20")
    answer = base.get(ROWS)
    assert (answer.error[:2], answer.headers["WWW-Authenticate"]) == ((status, "20"), None)
    assert base.get(INTERESTS).status == 200


def test_forbidden_rows_fail_the_set_unless_only_allowed_ones_are_asked_for(base, three):
    base.switch(hidden_rows=[three[0]])
    assert base.get(INTERESTS).error[:2] == (401, "20")
    assert base.get(f"{INTERESTS}(guid'{three[0]}')").error[:2] == (401, "20")
    for option in ("allowedOnly", "$allowedOnly"):
        assert {row["Ref_Key"] for row in base.get(INTERESTS, JSON | {option: "true"}).value} == set(three[1:])
    assert base.refs("ОжидаемаяВыручка lt 8") == {three[1], three[2]}


def test_an_unpublished_set_is_404_code_8(base):
    base.switch(unpublished=[POTENTIAL_CLIENTS])
    assert base.get(POTENTIAL_CLIENTS).error[:2] == (404, "8")
    assert base.get(f"{POTENTIAL_CLIENTS}_КонтактнаяИнформация").error[:2] == (404, "8")


# Formats.


def test_without_a_format_the_answer_is_atom_and_errors_are_xml(base, three):
    answer = base.get(INTERESTS, {})
    assert answer.headers["Content-Type"].startswith("application/atom+xml")
    assert answer.text.count("<entry>") == 3
    assert f"<d:Ref_Key>{three[0]}</d:Ref_Key>" in base.get(f"{INTERESTS}(guid'{three[0]}')", {}).text
    refused = base.get("Catalog_Нет", {})
    assert refused.headers["Content-Type"].startswith("application/xml")
    assert ET.fromstring(refused.text)[0].text == "8"


def test_accept_asks_for_json_too(base):
    assert base.get(STATES, {}, Accept="application/json").value
    assert base.get("Catalog_Нет", {}, Accept="application/json").error[1] == "8"


@pytest.mark.parametrize(("shape", "start"), [("json", '{"odata.error"'), ("xml", "<?xml")])
def test_the_format_of_errors_may_not_follow_the_request(base, shape, start):
    base.switch(error_format=shape)
    assert base.get("Catalog_Нет", JSON).text.startswith(start)
    assert base.get("Catalog_Нет", {}).text.startswith(start)


def test_one_control_character_refuses_the_whole_atom_package(base):
    base.create(name="a\x02b")
    assert base.get(INTERESTS, {}).status == 400
    assert base.rows()[0]["Тема"] == "a\x02b"


def test_bodies_begin_with_a_byte_order_mark_unless_switched(base):
    assert [base.get(name).body[:3] for name in (STATES, "Catalog_Нет", "$metadata", "")] == [BOM] * 4
    base.switch(bom=False)
    assert base.get(STATES).body[:1] == b"{"


def test_metadata_in_json_is_more_or_less(base):
    ref = base.create(phones=["1"])["id"]
    full = base.one(ref)
    assert full["odata.metadata"].endswith(f"$metadata#{INTERESTS}/@Element")
    assert full["КонтактноеЛицо@navigationLinkUrl"] == f"{INTERESTS}(guid'{ref}')/КонтактноеЛицо"
    assert "Партнер@navigationLinkUrl" not in full
    bare = base.get(f"{INTERESTS}(guid'{ref}')", {"$format": "application/json;odata=nometadata"}).json
    assert not any("@" in name or "odata" in name for name in bare)
    assert base.get(INTERESTS).json["odata.metadata"].startswith("http://127.0.0.1")


def test_urls_are_as_long_as_the_web_server_lets_them(base, three):
    condition = " or ".join([f"Ref_Key eq guid'{three[0]}'"] * 30)
    assert base.refs(condition) == {three[0]}
    longer = target(INTERESTS, JSON | {"$filter": " or ".join([condition] * 5)})
    assert base.send("GET", longer).status == 414
    base.switch(web_server="iis")
    assert base.get(INTERESTS, JSON | {"$filter": condition}).status == 404
    answer = base.get("Catalog_" + "Я" * 260)
    assert (answer.status, "Invalid URL" in answer.text) == (400, True)


# Representation.


def test_empty_values_are_years_zeros_and_blanks(base):
    row = base.one(base.create(created_at="", stage=None)["id"])
    assert (row["Date"], row["ДатаСледующегоДействия"]) == (EMPTY_DATE, EMPTY_DATE)
    assert (row["СостояниеИнтереса_Key"], row["КонтактноеЛицо_Key"]) == (EMPTY_REF, EMPTY_REF)
    assert (row["ОжидаемаяВыручка"], row["Тема"], row["DeletionMark"]) == (0, "", False)
    assert (row["ДокументОснование"], row["ДокументОснование_Type"]) == ("", "StandardODATA.Undefined")
    (state,) = base.store("interests")
    assert (state["created_at"], state["stage"], state["revenue"], state["comment"]) == ("", "", "0", None)


@pytest.mark.parametrize(
    ("zone", "given", "written", "shown"),
    [
        ("Europe/Moscow", "2024-03-20T10:15:00", "2024-03-20T10:15:00", "2024-03-20T10:15:00+03:00"),
        ("Europe/Moscow", "2024-03-20T10:15:00+05:00", "2024-03-20T08:15:00", "2024-03-20T08:15:00+03:00"),
        ("Asia/Yekaterinburg", "2024-03-20T10:15:00+03:00", "2024-03-20T12:15:00", "2024-03-20T12:15:00+05:00"),
        ("Europe/Berlin", "2024-07-01T10:00:00Z", "2024-07-01T12:00:00", "2024-07-01T12:00:00+02:00"),
        ("Europe/Berlin", "2024-01-01T10:00:00Z", "2024-01-01T11:00:00", "2024-01-01T11:00:00+01:00"),
        # Of the two half past two of an autumn night the base knows only one.
        ("Europe/Berlin", "2024-10-27T01:30:00Z", "2024-10-27T02:30:00", "2024-10-27T02:30:00+02:00"),
    ],
)
def test_times_are_naive_in_the_zone_of_the_base(base, zone, given, written, shown):
    base.switch(time_zone=zone)
    state = base.create(created_at=given)
    assert state["created_at"] == shown
    assert base.one(state["id"])["Date"] == written


def test_the_zone_is_known_and_stays_while_there_are_interests(base):
    assert base.asked("POST", "/switches/onec", {"time_zone": "Луна"}).status == 400
    base.create()
    assert base.asked("POST", "/switches/onec", {"time_zone": "Europe/Berlin"}).status == 400
    base.switch(time_zone="Europe/Moscow")


def test_a_new_interest_is_of_now(base):
    base.admin("POST", "/clock", {"freeze": "2024-03-20T10:15:00Z"})
    state = base.create()
    assert {state[name] for name in ("created_at", "modified_at", "stage_changed_at")} == {"2024-03-20T13:15:00+03:00"}
    assert state["stage"] == STAGES["Новый"]


def test_numbers_are_unique_within_a_year_only(base):
    numbers = [base.one(base.create(created_at=f"{year}-01-05")["id"])["Number"] for year in (2023, 2024, 2024)]
    assert numbers == ["0000-000001", "0000-000001", "0000-000002"]


def test_the_version_is_eight_bytes_that_grow_with_every_write(base):
    ref = base.create()["id"]
    versions = [base.one(ref)["DataVersion"]]
    for write in (lambda: base.edit(ref), lambda: base.patch(ref, {})):
        write()
        versions.append(base.one(ref)["DataVersion"])
    counters = [int.from_bytes(base64.b64decode(version), "big") for version in versions]
    assert all(len(base64.b64decode(version)) == 8 for version in versions)
    assert counters[0] < counters[1] < counters[2]


def test_contact_data_are_rows_nested_and_as_a_set_of_their_own(base):
    person = {
        "name": "Анна",
        "phones": ["8 (999) 000-00-01"],
        "emails": ["p1@mail.example"],
        "others": [["Skype", "s"]],
    }
    ref = base.one(base.create(contact_person=person)["id"])["КонтактноеЛицо_Key"]
    held = base.one(ref, CONTACT_PERSONS)
    condition = f"Ref_Key eq guid'{ref}'"
    rows = base.rows(ROWS, orderby="Ref_Key,LineNumber", filter=condition, format="application/json;odata=nometadata")
    assert (held["Description"], held["КонтактнаяИнформация"]) == ("Анна", rows)
    phone, email, skype = rows
    assert (phone["LineNumber"], phone["Тип"], phone["Представление"]) == ("1", "Телефон", "8 (999) 000-00-01")
    assert (phone["НомерТелефона"], phone["НомерТелефонаБезКодов"]) == ("89990000001", "9990000001")
    assert (email["Тип"], email["АдресЭП"], skype["Тип"]) == ("АдресЭлектроннойПочты", "p1@mail.example", "Skype")
    condition = "Тип eq 'АдресЭлектроннойПочты' and АдресЭП eq 'p1@mail.example'"
    assert [row["LineNumber"] for row in base.rows(ROWS, filter=condition)] == ["2"]
    assert base.get(f"{ROWS}(Ref_Key=guid'{ref}',LineNumber=2)").json["АдресЭП"] == "p1@mail.example"
    assert base.get(f"{ROWS}(Ref_Key=guid'{ref}',LineNumber=9)").error[:2] == (404, "9")


def test_contact_rows_may_name_their_owner_otherwise(base):
    base.create(phones=["1"])
    base.switch(contact_key="ObjectId")
    (row,) = base.rows(ROWS, orderby="ObjectId,LineNumber")
    assert ("Ref_Key" in row, base.rows(ROWS, filter=f"ObjectId eq guid'{row['ObjectId']}'")) == (False, [row])


def test_the_communication_is_an_attribute_or_an_additional_one_or_unknown(base):
    ref = base.create(communication_id="81", communication_type="call")["id"]
    row = base.one(ref)
    assert (row["CoMagicID"], row["CoMagicТип"], "ДополнительныеРеквизиты" in row) == ("81", "call", False)
    base.switch(communication="additional")
    row = base.one(ref)
    held = {one["Свойство_Key"]: one["Значение"] for one in row["ДополнительныеРеквизиты"]}
    assert held == {PROPERTIES["CoMagicID"]: "81", PROPERTIES["CoMagicТип"]: "call"}
    assert "CoMagicID" not in row
    assert len(base.rows(f"{INTERESTS}_ДополнительныеРеквизиты")) == 2
    base.switch(communication="absent")
    assert not {"CoMagicID", "ДополнительныеРеквизиты"} & base.one(ref).keys()


def test_dates_of_change_are_published_only_if_somebody_made_them(base):
    ref = base.create(modified_at="2024-03-20T10:15:00", stage_changed_at="2024-03-19T10:15:00")["id"]
    assert "ДатаИзменения" not in base.one(ref)
    base.switch(change_dates=True)
    row = base.one(ref)
    assert (row["ДатаИзменения"], row["ДатаИзмененияСостояния"]) == ("2024-03-20T10:15:00", "2024-03-19T10:15:00")


# Writes.


def test_a_patch_answers_the_whole_object_and_is_in_the_chronicle(base):
    ref = base.create(name="А")["id"]
    answer = base.patch(ref, {"CoMagicID": "81", "Неизвестное": 1, "Ref_Key": NOBODY, "DataVersion": "x"})
    assert (answer.status, answer.json["CoMagicID"], answer.json["Ref_Key"], answer.json["Тема"]) == (
        200,
        "81",
        ref,
        "А",
    )
    last = base.versions()[-1]
    assert (last["who"], last["key"], last["verb"], last["state"]["communication_id"]) == ("api", ref, "updated", "81")
    base.switch(unknown_property="error")
    assert base.patch(ref, {"Неизвестное": 1}).error[:2] == (400, "10")


def test_if_match_is_not_looked_at_unless_switched(base):
    ref = base.create()["id"]
    assert base.patch(ref, {}, **{"If-Match": '"AAAAAAAAAAA="'}).status == 200
    base.switch(if_match="enforce")
    assert base.patch(ref, {}, **{"If-Match": '"AAAAAAAAAAA="'}).status == 412
    assert base.patch(ref, {}, **{"If-Match": f'W/"{base.one(ref)["DataVersion"]}"'}).status == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 500, "-1"),
        (b"[]", 400, "2"),
        ({"Тема": ["а"]}, 500, "-1"),
        ({"Тема": 1}, 400, "4"),
        ({"DeletionMark": "да"}, 400, "1"),
        ({"Партнер_Key": "нет"}, 400, "1"),
        ({"Date": "20.03.2024"}, 400, "1"),
        ({"ОжидаемаяВыручка": "много"}, 400, "1"),
    ],
)
def test_a_wrong_write_is_refused_and_stores_nothing(base, body, status, code):
    ref = base.create()["id"]
    before = base.one(ref)
    assert base.patch(ref, body).error[:2] == (status, code)
    assert (base.one(ref), len(base.versions())) == (before, 1)


def test_a_write_is_cut_to_length_and_a_dangling_reference_is_taken(base):
    ref = base.create()["id"]
    row = base.patch(ref, {"CoMagicID": "7" * 60, "Партнер_Key": NOBODY, "DeletionMark": True}).json
    assert (row["CoMagicID"], row["Партнер_Key"], row["DeletionMark"]) == ("7" * 50, NOBODY, True)
    assert base.store("interests")[0]["is_deleted"] is True


def test_a_handler_of_the_configuration_may_refuse_the_write(base):
    ref = base.create()["id"]
    base.switch(write_refusal="Дата запрета изменения")
    status, code, text = base.patch(ref, {"Тема": "Б"}).error
    assert (status, code, text[0], "Дата запрета изменения" in text) == (500, "-1", "{", True)
    assert base.one(ref)["Тема"] == ""


def test_rows_of_a_tabular_part_are_replaced_and_numbered_from_one(base):
    base.switch(communication="additional")
    ref = base.create(communication_id="81", communication_type="call")["id"]
    row = {"Свойство_Key": PROPERTIES["CoMagicID"], "Значение": "82"}
    for number, status in ((None, 500), (2, 400), (1, 200)):
        given = row if number is None else row | {"LineNumber": number}
        assert base.patch(ref, {"ДополнительныеРеквизиты": [given]}).status == status
    assert [one["Значение"] for one in base.one(ref)["ДополнительныеРеквизиты"]] == ["82"]
    (state,) = base.store("interests")
    assert (state["communication_id"], state["communication_type"]) == ("82", None)


def test_where_patch_is_not_allowed_put_replaces_everything(base):
    ref = base.create(name="А", comment="Б", communication_id="81")["id"]
    base.switch(patch="405")
    assert base.patch(ref, {"Тема": "В"}).error[:2] == (405, "19")
    body = {"Тема": "В", "СостояниеИнтереса@odata.bind": f"{STATES}(guid'{STAGES['Договор']}')"}
    row = base.patch(ref, body, "PUT").json
    assert (row["Тема"], row["Описание"], row["CoMagicID"], row["Ref_Key"]) == ("В", "", "", ref)
    assert row["СостояниеИнтереса_Key"] == STAGES["Договор"]


@pytest.mark.parametrize(("http_method", "status"), [("POST", 501), ("DELETE", 501), ("OPTIONS", 405)])
def test_other_writes_are_not_pretended(base, http_method, status):
    ref = base.create()["id"]
    assert base.patch(ref, {}, http_method).status == status
    assert len(base.rows()) == 1
    assert base.send("PATCH", target(ROWS, JSON), b"{}").status == 405
    assert base.send("PATCH", target(INTERESTS, JSON), b"{}").error[:2] == (400, "7")


# A person in 1C.


def test_a_person_creates_by_the_names_of_the_form_or_of_the_shape(base):
    form = {"Дата": "2024-03-20T10:15:00", "Тема": "А", "Состояние": "Договор", "Описание": "О", "CoMagicID": "1"}
    shape = {
        "created_at": "2024-03-20T10:15:00",
        "name": "А",
        "stage": "Договор",
        "comment": "О",
        "communication_id": "1",
    }
    first, second = base.create(**form), base.create(**shape)
    assert {name for name in first if first[name] != second[name]} <= {"id", "modified_at", "stage_changed_at"}
    assert (first["name"], first["stage"], first["comment"]) == ("А", STAGES["Договор"], "О")
    assert base.store("interests") == [first, second]


@pytest.mark.parametrize("bad", [{"colour": 1}, {"stage": "Ура"}, {"revenue": "много"}, {"contact_person": {"age": 5}}])
def test_what_no_form_takes_is_refused(base, bad):
    assert base.asked("POST", "/onec/interests", bad).status == 400
    assert base.store("interests") == []


def test_a_reference_is_given_once(base):
    assert base.create(id=NOBODY.upper())["id"] == NOBODY
    assert base.asked("POST", "/onec/interests", {"id": NOBODY}).status == 400
    assert base.asked("POST", f"/onec/interests/{EMPTY_REF}", {}).status == 404


def test_phones_and_mails_are_in_the_order_person_client_partner(base):
    state = base.create(
        partner={"phones": ["3"], "emails": ["3@mail.example"]},
        potential_client={"phones": ["2", "1"]},
        contact_person={"phones": ["1"], "emails": ["1@mail.example"]},
    )
    assert (state["phones"], state["emails"]) == (["1", "2", "1", "3"], ["1@mail.example", "3@mail.example"])
    assert [len(base.rows(name)) for name in (CONTACT_PERSONS, POTENTIAL_CLIENTS, PARTNERS)] == [1, 1, 1]


def test_partners_are_counterparties_in_other_configurations(base):
    base.switch(partner_set="Catalog_Контрагенты")
    assert base.create(partner={"phones": ["3"]})["phones"] == ["3"]
    assert (len(base.rows("Catalog_Контрагенты")), base.rows(PARTNERS)) == (1, [])


def test_an_edit_replaces_what_it_names_and_keeps_the_rest(base):
    state = base.create(name="А", contact_person={"name": "Анна", "phones": ["1"], "emails": ["1@mail.example"]})
    edited = base.edit(state["id"], name="Б", phones=["2", "3"])
    assert (edited["name"], edited["phones"], edited["emails"]) == ("Б", ["2", "3"], ["1@mail.example"])
    assert [row["Description"] for row in base.rows(CONTACT_PERSONS)] == ["Анна"]
    unlinked = base.edit(state["id"], contact_person=None)
    assert (unlinked["phones"], len(base.rows(CONTACT_PERSONS))) == ([], 1)


def test_a_change_of_a_shared_person_is_a_change_of_each_interest_and_of_no_version(base):
    first = base.create(phones=["1"])
    person = base.one(first["id"])["КонтактноеЛицо_Key"]
    second = base.create(contact_person=person, stage_changed_at="2024-01-01")
    third = base.create(phones=["9"])
    before = base.one(second["id"])
    seen = len(base.versions())
    base.edit(first["id"], phones=["2"])
    later = base.versions()[seen:]
    assert {one["key"]: one["state"]["phones"] for one in later} == {first["id"]: ["2"], second["id"]: ["2"]}
    assert base.one(second["id"]) == before
    assert base.store("interests")[2] == third
    base.edit(second["id"], contact_person=None)
    seen = len(base.versions())
    base.edit(first["id"], phones=["3"])
    assert {one["key"] for one in base.versions()[seen:]} == {first["id"]}


def test_a_person_changed_through_the_interface_changes_the_interests_too(base):
    ref = base.create(phones=["1"])["id"]
    person = base.one(ref)["КонтактноеЛицо_Key"]
    assert base.patch(person, {"КонтактнаяИнформация": []}, set_name=CONTACT_PERSONS).status == 200
    last = base.versions()[-1]
    assert (last["key"], last["who"], last["state"]["phones"]) == (ref, "api", [])


def test_deleting_is_marking(base):
    ref = base.create()["id"]
    assert base.admin("POST", f"/onec/interests/{ref}/delete")["is_deleted"] is True
    assert base.one(ref)["DeletionMark"] is True
    assert base.edit(ref, is_deleted=False)["is_deleted"] is False


def test_the_moment_of_a_stage_moves_with_the_stage_only(base):
    base.admin("POST", "/clock", {"freeze": "2024-03-20T10:00:00Z"})
    ref = base.create()["id"]
    base.admin("POST", "/clock", {"advance_s": 3600})
    renamed = base.edit(ref, name="А")
    assert renamed["stage_changed_at"] == "2024-03-20T13:00:00+03:00"
    assert renamed["modified_at"] == "2024-03-20T14:00:00+03:00"
    base.admin("POST", "/clock", {"advance_s": 3600})
    assert base.edit(ref, stage="Договор")["stage_changed_at"] == "2024-03-20T15:00:00+03:00"
    base.admin("POST", "/clock", {"advance_s": 3600})
    row = base.patch(ref, {"СостояниеИнтереса_Key": STAGES["Выигран"]})
    assert (row.status, base.store("interests")[0]["stage_changed_at"]) == (200, "2024-03-20T16:00:00+03:00")


def test_the_history_holds_the_last_state_in_each_stage_and_each_was_a_state(base):
    ref = base.create(name="А", phones=["1"])["id"]
    base.edit(ref, name="Б")
    base.edit(ref, stage="Договор")
    base.edit(ref, stage="Новый")
    base.edit(ref, phones=["2"])
    history = base.store("history")
    assert [state["stage"] for state in history] == [STAGES[name] for name in ("Новый", "Договор", "Новый")]
    assert [(state["name"], state["phones"]) for state in history] == [("Б", ["1"]), ("Б", ["1"]), ("Б", ["2"])]
    states = [version["state"] for version in base.versions()]
    assert all(state in states for state in history)
    assert base.versions()[0]["verb"] == "created"


def test_an_interest_can_be_created_with_a_past(base):
    state = base.create(
        created_at="2024-03-01T10:00:00",
        history=[["Новый", "2024-03-01T10:00:00"], ["Предложение", "2024-03-02T10:00:00"]],
        stage="Договор",
        stage_changed_at="2024-03-03T10:00:00",
        modified_at="2024-03-03T11:00:00",
    )
    history = base.store("history")
    assert [one["stage_changed_at"][:10] for one in history] == ["2024-03-01", "2024-03-02", "2024-03-03"]
    assert (history[-1], [one["state"] for one in base.versions()]) == (state, history)
    assert len(base.rows()) == 1


def test_the_admin_side_shows_whole_sets_and_knows_no_others(base, three):
    assert {row["Ref_Key"] for row in base.store(INTERESTS)} == set(three)
    assert base.asked("GET", "/store/onec/deals").status == 404


# The outbox.


@pytest.fixture
def inbox():
    """What was posted, and a listener that answers 202, or the statuses put into `script` first."""
    taken, script = [], []

    def answer(request):
        taken.append(request)
        return json_response(script.pop(0) if script else 202, {"taken": True}), delivery.whole

    listener = Listener(0, answer)
    listener.start()
    yield listener.url + "/inbox/people", taken, script
    listener.stop()


def test_the_outbox_posts_interests_in_batches_with_a_bearer_token(base, three, inbox):
    url, taken, script = inbox
    script += [500]
    sent = base.admin("POST", "/onec/push", {"url": url, "token": "секрет".encode().hex(), "batch": 2})
    assert (sent["items"], sent["requests"], sent["statuses"]) == (3, 2, {"500": 1, "202": 1})
    assert sent["answers"][1] == {"status": 202, "items": 1, "answer": {"taken": True}}
    items = [item for request in taken for item in json.loads(request.body)["items"]]
    assert items == base.store("interests")
    assert {request.headers["authorization"] for request in taken} == {f"Bearer {'секрет'.encode().hex()}"}
    assert taken[0].http_method == "POST"
    assert taken[0].headers["content-type"].startswith("application/json")


def test_the_outbox_posts_chosen_interests_and_their_history_shuffled_by_seed(base, inbox):
    url, taken, _ = inbox
    base.admin("POST", "/seed", {"interests": 30})
    history = base.store("history")
    orders = []
    for shuffle in (1, 1, 2):
        base.admin("POST", "/onec/push", {"url": url, "token": "t", "history": True, "shuffle": shuffle})
        orders.append(json.loads(taken[-1].body)["items"])
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != history
    assert sorted(orders[0], key=str) == sorted(history, key=str)
    one = history[0]["id"]
    base.admin("POST", "/onec/push", {"url": url, "token": "t", "interests": [one], "history": True})
    assert json.loads(taken[-1].body)["items"] == [state for state in history if state["id"] == one]


def test_an_inbox_that_is_away_is_status_0_and_nonsense_is_refused(base, three):
    sent = base.admin("POST", "/onec/push", {"url": "http://127.0.0.1:9/", "token": "t"})
    assert sent["statuses"] == {"0": 1}
    for bad in ({"url": "ftp://x", "token": "t"}, {"url": "http://x", "token": "t", "speed": 1}, {"url": "http://x"}):
        assert base.asked("POST", "/onec/push", bad).status == 400
    assert base.asked("POST", "/onec/push", {"url": "http://x", "token": "t", "interests": [NOBODY]}).status == 404


# Seeds.


def seeded(count=200, number=5):
    return seed_interests.interests(count, seed=number, now=datetime(2026, 1, 15, 9, tzinfo=UTC))


def test_seeds_are_deterministic_and_hold_every_shape_in_its_share(base):
    assert seeded() == seeded()
    assert seeded() != seeded(number=6)
    answer = base.admin("POST", "/seed", {"interests": 100, "seed": 5})
    assert answer["interests_by_kind"] == seed_interests.SHARES
    kinds = base.admin("GET", "/seed/interests")["kinds"]
    assert set(kinds) == {state["id"] for state in base.store("interests")}
    base.admin("POST", "/reset")
    assert base.admin("GET", "/seed/interests")["kinds"] == {}


@pytest.mark.parametrize(
    ("kind", "is_peculiar"),
    [
        ("valid", lambda state, row: len(state["phones"]) == 1 and state["created_at"] and not state["is_deleted"]),
        (
            "no_contact",
            lambda state, row: not state["phones"] + state["emails"] and row["КонтактноеЛицо_Key"] != EMPTY_REF,
        ),
        ("empty_references", lambda state, row: row["КонтактноеЛицо_Key"] == row["Автор_Key"] == EMPTY_REF),
        ("empty_references", lambda state, row: state["stage"] == "" and not state["phones"]),
        ("empty_dates", lambda state, row: row["Date"] == EMPTY_DATE),
        ("deleted", lambda state, row: row["DeletionMark"]),
        ("several_phones", lambda state, row: len(state["phones"]) == 4 and state["emails"]),
        ("only_email", lambda state, row: not state["phones"] and len(state["emails"]) == 1),
        ("client_only", lambda state, row: row["КонтактноеЛицо_Key"] == EMPTY_REF != row["ПотенциальныйКлиент_Key"]),
        ("partner_only", lambda state, row: row["КонтактноеЛицо_Key"] == EMPTY_REF != row["Партнер_Key"]),
    ],
)
def test_what_is_peculiar_about_a_seeded_interest_is_peculiar(base, kind, is_peculiar):
    base.admin("POST", "/seed", {"interests": 100})
    kinds, rows = base.admin("GET", "/seed/interests")["kinds"], {row["Ref_Key"]: row for row in base.rows()}
    chosen = [state for state in base.store("interests") if kinds[state["id"]] == kind]
    assert chosen
    assert all(is_peculiar(state, rows[state["id"]]) for state in chosen)


def test_seeded_people_are_invented_and_rows_carry_no_hint(base):
    base.admin("POST", "/seed", {"interests": 200})
    states = base.store("interests")
    assert all("999" in phone and "000" in phone for state in states for phone in state["phones"])
    assert all(email.endswith(".example") for state in states for email in state["emails"])
    known = Counter((bool(state["communication_id"]), bool(state["communication_type"])) for state in states)
    assert len(known) == 4
    assert known[True, True] > known[False, False] > known[True, False]
    held = [list(row.values()) for row in (*states, *base.rows(), *base.rows(CONTACT_PERSONS))]
    text = json.dumps(held, ensure_ascii=False)
    assert not any(kind in text for kind in seed_interests.SHARES)


# What every system of the sandbox does.


def test_faults_speak_the_language_of_1c(base):
    for action, status, text in (("revoke", 401, ""), ("throttle", 500, "Не обнаружено свободной лицензии!")):
        base.admin("POST", "/faults", {"system": "onec", "action": action, "times": 1})
        answer = base.get(INTERESTS)
        assert (answer.status, text in answer.text) == (status, True)
    fault = {"system": "onec", "action": "error", "code": "-1", "text": "конфликт блокировок", "status": 500}
    base.admin("POST", "/faults", fault | {"match": quote(STATES, safe="_")})
    base.admin("DELETE", "/faults")
    base.admin("POST", "/faults", fault | {"match": STATES})
    assert base.get(INTERESTS).status == 200
    assert base.get(STATES).error == (500, "-1", "конфликт блокировок")


def test_the_journal_names_set_reference_and_whether_it_was_written(base):
    ref = base.create()["id"]
    base.get(INTERESTS, JSON | {"$top": 1})
    base.patch(ref, {"Тема": "А"})
    base.patch(ref, {"DeletionMark": "да"})
    read, written, refused = base.admin("GET", "/journal?system=onec")["entries"]
    assert (read["method"], read["kind"], read["params"]["$top"]) == (f"GET {INTERESTS}", "read", "1")
    assert (written["kind"], written["entity"], written["key"]) == ("write", INTERESTS, ref)
    assert (written["committed"], refused["committed"], bool(refused["error"])) == (True, False, True)


def test_a_reset_forgets_everything(base):
    base.admin("POST", "/seed", {"interests": 5})
    base.switch(locked=True)
    base.admin("POST", "/reset")
    assert (base.rows(), base.store("interests"), len(base.rows(STATES))) == ([], [], 6)
