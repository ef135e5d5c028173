"""The page about the API: everything it needs comes from us; what is not the API for 1C is not in it."""

import re
from types import SimpleNamespace

import pytest

from tests import siblings
from tests.unit.onec_public import World, config_of, is_refusal
from workers.web.app import create_app


@pytest.fixture
def world(ledger, redis):
    return World(ledger, redis, {"base": config_of()})


pytestmark = pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)


def test_the_page_and_all_it_names_are_ours(world):
    page = world.client.get("/docs")
    assert page.status_code == 200
    assert "://" not in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for named in re.findall(r'(?:src|spec-url)="([^"]+)"', page.text):
        assert world.client.get(named).status_code == 200
    assert 'load-fonts="false"' in page.text


def test_the_licence_lies_beside_the_script(world):
    assert b"MIT License" in world.client.get("/static/rapidoc/LICENSE.txt").data


def test_the_document_names_the_requests_of_the_brief_and_nothing_of_ours(world):
    document = world.client.get("/openapi.json").json
    assert document["servers"] == [{"url": "/"}]
    paths = {path for path in document["paths"] if not path.startswith(("/sync/", "/update_handlers/"))}
    assert paths == {
        f"/api/onec/{{connection}}/{name}" for name in ("get_orders", "get_handlers_version", "corr_table")
    }
    assert all(operation["security"] for path in document["paths"].values() for operation in path.values())
    assert document["paths"]["/sync/orders"]["post"]["deprecated"]


def test_without_a_base_there_is_no_api_for_it(ledger, redis):
    settings = SimpleNamespace(connections={}, flows={})
    client = create_app(settings, siblings.runtime_of(ledger, redis, {})).test_client()
    assert client.get("/openapi.json").json["paths"] == {}
    assert is_refusal(client.post("/sync/base", json={}), "NOT_FOUND", 404)
    assert client.get("/healthz").json == {"ok": True}
    assert client.get("/readyz").json == {"ok": True, "away": []}
    assert client.post("/hooks/bitrix24/none").json == {"error": "forbidden"}
    assert client.get("/none").json == {"error": "not found"}
