"""An amoCRM account for the connector's unit tests: what facts/amocrm.md says of lists and writes, and no more."""

import json
import re
import threading
from collections import defaultdict
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from urllib.parse import parse_qsl, urlsplit

HOST = "https://parom.amocrm.example"
PIPELINES = [{"id": 1, "name": "Воронка", "statuses": [11, 12, 142, 143]}, {"id": 2, "statuses": [21, 142, 143]}]
USERS = [7, 8]


class Vendor:
    """`tables` hold entities as the API shows them. `says` overrides answers: (method, path pattern) → callable."""

    def __init__(self, mock):
        self.lock, self.calls, self.ids = threading.RLock(), [], count(101)
        self.tables = {kind: {} for kind in ("contacts", "companies", "leads", "notes", "tasks")}
        self.trash = defaultdict(dict)
        self.fields = {kind: {} for kind in ("contacts", "companies", "leads")}
        self.has_filters, self.ignores_filters, self.most = True, False, 250
        self.overrides, self.tokens = [], {"t0k3n-of-the-account"}
        self.links, self.second = [], None
        for method in ("GET", "POST", "PATCH"):
            mock.add_callback(method, re.compile(re.escape(HOST) + "/api/.*"), self)
        for kind in self.fields:
            for code in ("PAROM_ID_1C", "PAROM_STATUS"):
                self.field(kind, code)
            self.field(kind, "PAROM_LINK_1C", "url")
        self.field("leads", "PAROM_ORDER_NUMBER")
        for kind in ("contacts", "companies"):
            self.field(kind, "PHONE", "multitext")
            self.field(kind, "EMAIL", "multitext")

    # What tests prepare and ask.

    def field(self, kind, code, type_="text", **more):
        id_ = next(self.ids)
        self.fields[kind][id_] = {"id": id_, "code": code, "name": f"Поле {code}", "type": type_, "enums": None} | more
        return id_

    def id_of(self, kind, code):
        return next(id_ for id_, field in self.fields[kind].items() if field["code"] == code)

    def add(self, kind, *, fields=None, second=None, contacts=(), companies=(), **shown):
        """`fields`: values by code, each a value or a list of them."""
        id_ = shown.pop("id", None) or next(self.ids)
        now = second or self.now()
        row = {"id": id_, "name": "", "responsible_user_id": 7, "is_deleted": False} | shown
        row |= {"created_at": shown.get("created_at", now), "updated_at": now, "custom_fields_values": None}
        row["_embedded"] = {"tags": [], "companies": [{"id": each} for each in companies]}
        if kind == "leads":
            row = {"price": 0, "status_id": 11, "pipeline_id": 1} | row
            row["_embedded"]["contacts"] = [{"id": each, "is_main": each == contacts[0]} for each in contacts]
        self.tables[kind][id_] = row
        self.put(kind, id_, fields or {})
        row["updated_at"] = now
        return id_

    def put(self, kind, id_, fields):
        for code, given in fields.items():
            values = given if isinstance(given, list) else [given]
            entries = [value if isinstance(value, dict) else {"value": value} for value in values]
            self.write(kind, self.tables[kind][id_], {"field_id": self.id_of(kind, code), "values": entries})

    def on(self, method, pattern, *answers):
        """Each of `answers` once, the last for ever: (status, body), a callable of the request, or an exception."""
        self.overrides.insert(0, (method, re.compile(pattern), list(answers)))

    def values(self, kind, id_, code):
        for field in self.tables[kind][id_]["custom_fields_values"] or ():
            if field["field_code"] == code:
                return [value["value"] for value in field["values"]]
        return []

    def sent(self, method, path):
        return [call for call in self.calls if call["method"] == method and call["path"] == path]

    def bodies(self, method, path):
        return [call["body"] for call in self.sent(method, path)]

    def now(self):
        return int(datetime.now(UTC).timestamp())

    # What the connector meets.

    def __call__(self, request):
        parts = urlsplit(request.url)
        path = parts.path.removeprefix("/api/v4/")
        call = {"method": request.method, "path": path, "query": parse_qsl(parts.query, keep_blank_values=True)}
        call |= {"body": json.loads(request.body) if request.body else None, "headers": dict(request.headers)}
        with self.lock:
            self.calls.append(call)
            status, body = self.answer(call)
        kind = "application/hal+json" if not isinstance(body, str) else "text/html"
        headers = {"Content-Type": kind, "Date": format_datetime(datetime.now(UTC), usegmt=True)}
        return status, headers, "" if body is None else body if isinstance(body, str) else json.dumps(body)

    def answer(self, call):
        for method, pattern, answers in self.overrides:
            if method == call["method"] and pattern.fullmatch(call["path"]):
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if isinstance(answer, Exception):
                    raise answer
                found = answer(call) if callable(answer) else answer
                if found is not None:
                    return found
        if call["headers"].get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {"title": "Unauthorized", "status": 401}
        return self.route(call)

    def route(self, call):
        method, path = call["method"], call["path"]
        if path in ("account", "users", "leads/pipelines"):
            return 200, self.directory(path)
        kind, *rest = path.split("/")
        if rest == ["custom_fields"]:
            return self.custom_fields(kind, call)
        if rest and rest[-1] in ("link", "unlink"):
            return self.linked(rest[-1], int(rest[0]), call["body"])
        if method == "GET" and len(rest) == 1:
            row = self.tables[kind].get(int(rest[0]))
            return (200, row) if row else (204, None)
        if method == "GET":
            kind, owner = ("notes", int(rest[0])) if rest else (kind, None)
            return self.listed(kind, call["query"], owner)
        table = "notes" if rest == ["notes"] else kind
        return self.written(table, call["method"], call["body"])

    def directory(self, path):
        if path == "account":
            embedded = {"datetime_settings": {"timezone": "Europe/Moscow"}}
            return {"id": 31, "is_api_filter_enabled": self.has_filters, "_embedded": embedded, "_links": {}}
        if path == "users":
            users = [{"id": each, "rights": {"is_active": True}} for each in USERS]
            return {"_embedded": {"users": users}, "_links": {}}
        shown = [{**each, "_embedded": {"statuses": [{"id": s} for s in each["statuses"]]}} for each in PIPELINES]
        return {"_embedded": {"pipelines": shown}, "_links": {}}

    def linked(self, verb, id_, rows):
        self.links.append((verb, id_, rows))
        return (200, {"_embedded": {"links": []}}) if verb == "link" else (204, None)

    def custom_fields(self, kind, call):
        if call["method"] == "POST":
            made = [self.fields[kind][self.field(kind, each["code"], each["type"])] for each in call["body"]]
            return 200, {"_embedded": {"custom_fields": made}}
        return self.paged("custom_fields", list(self.fields[kind].values()), call["query"], most=50)

    def listed(self, kind, query, owner):
        rows = list(self.tables[kind].values())
        if ("with", "only_deleted") in query:
            rows = list(self.trash[kind].values())
        if owner is not None:
            rows = [row for row in rows if row["entity_id"] == owner]
        if self.has_filters and not self.ignores_filters:
            rows = [row for row in rows if matches(row, query)]
        wanted = dict(query).get("query")
        if wanted:
            rows = [row for row in rows if any(wanted.lower() in text.lower() for text in texts_of(row))]
        key, falling = next(((k[6:-1], v == "desc") for k, v in query if k.startswith("order[")), ("id", False))
        rows.sort(key=lambda row: (row.get(key) or 0, row["id"]), reverse=falling)
        return self.paged(kind, rows, query, most=self.most)

    def paged(self, name, rows, query, *, most):
        asked = dict(query)
        limit, page = min(int(asked.get("limit", 50)), most), int(asked.get("page", 1))
        shown = rows[(page - 1) * limit : page * limit]
        links = {"next": {"href": "https://elsewhere.example"}} if page * limit < len(rows) else {}
        return (200, {"_page": page, "_links": links, "_embedded": {name: shown}}) if shown else (204, None)

    def written(self, table, method, bodies):
        faults = [(str(n), fault) for n, body in enumerate(bodies) if (fault := self.fault(table, method, body))]
        if faults:
            named = [{"request_id": bodies[int(n)].get("request_id", n), "errors": [fault]} for n, fault in faults]
            return 400, {"title": "Bad Request", "status": 400, "validation-errors": named}
        told = []
        for body in bodies:
            if method == "POST":
                given = {key: value for key, value in body.items() if key not in ("custom_fields_values", "request_id")}
                embedded = given.pop("_embedded", {})
                linked = {key: [each["id"] for each in embedded.get(key, ())] for key in ("contacts", "companies")}
                id_ = self.add(table, **given, **linked)
            else:
                id_ = body["id"]
                keys = ("name", "price", "status_id", "pipeline_id", "responsible_user_id")
                self.tables[table][id_] |= {key: body[key] for key in keys if key in body} | {"updated_at": self.now()}
            for field in body.get("custom_fields_values") or ():
                self.write(table, self.tables[table][id_], field)
            told.append({"id": id_, "request_id": body.get("request_id")})
        return 200, {"_links": {}, "_embedded": {table: told}}

    def fault(self, table, method, body):
        if method == "PATCH" and body.get("id") not in self.tables[table]:
            return {"code": "NotFound", "path": "id", "detail": "Element not found."}
        if body.get("responsible_user_id", 7) not in USERS:
            return {"code": "NotSupportedChoice", "path": "responsible_user_id", "detail": "not a valid choice"}
        for number, field in enumerate(body.get("custom_fields_values") or ()):
            if "field_id" in field and field["field_id"] not in self.fields[table]:
                return {"code": "NotSupportedChoice", "path": f"custom_fields_values.{number}.field_id", "detail": ""}
            if any(value.get("value") == "wrong" for value in field["values"] or ()):
                return {"code": "InvalidType", "path": f"custom_fields_values.{number}.values.0.value", "detail": ""}
        return None

    def write(self, kind, row, field):
        known = self.fields[kind]
        id_ = field.get("field_id") or next(each for each, f in known.items() if f["code"] == field["field_code"])
        kept = [each for each in row["custom_fields_values"] or () if each["field_id"] != id_]
        if field["values"] is not None:
            shown = {"field_id": id_, "field_code": known[id_]["code"], "field_type": known[id_]["type"]}
            kept.append(shown | {"values": field["values"]})
        row["custom_fields_values"] = kept or None


def texts_of(row):
    return [row["name"], *(str(each["value"]) for f in row["custom_fields_values"] or () for each in f["values"])]


def matches(row, query):
    ids = [int(value) for key, value in query if key == "filter[id][]"]
    if ids and row["id"] not in ids:
        return False
    for key, value in query:
        bound = re.fullmatch(r"filter\[(\w+)\]\[(from|to)\]", key)
        if bound and not (row[bound[1]] >= int(value) if bound[2] == "from" else row[bound[1]] <= int(value)):
            return False
        custom = re.fullmatch(r"filter\[custom_fields_values\]\[(\d+)\]\[\]", key)
        if custom:
            held = [f for f in row["custom_fields_values"] or () if f["field_id"] == int(custom[1])]
            if not any(str(v["value"]) == value for field in held for v in field["values"]):
                return False
    return True
