"""The published OpenAPI against what is really taken and answered: schemathesis plays a client that reads only that."""

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.unit.onec_public import AUTH, ID_BASE, KEY, World, config_of
from workers.web.onec_public.limits import Limits

CONFIG = {
    "headers": {"Authorization": AUTH["token"]},
    "operations": [
        {"include-path-regex": "^/api/", "headers": {"Authorization": AUTH["operator"]}},
        {"include-path": "/update_handlers/set_handlers", "headers": {"Authorization": AUTH["publisher"]}},
    ],
    "generation": {"max-examples": 8, "deterministic": True, "database": "none"},
    "phases": {"stateful": {"enabled": False}},
    # A rule that no schema can tell (an address that may be called) is answered with 422, everything else with 400.
    # Its probe without credentials does not fit the WSGI client; the hostile client's tests are that.
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]},
        "ignored_auth": {"enabled": False},
    },
}


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_the_published_api_is_what_is_taken_and_answered(ledger, redis):
    world = World(ledger, redis, {"base": config_of()}, limits=Limits(per_address=10**9, per_base=10**9))
    found = [event for event in _played_through(world) if isinstance(event, events.ScenarioFinished)]
    failures = {
        f"{event.recorder.label}: {check.name}: {check.failure_info.failure}"
        for event in found
        for checks in event.recorder.checks.values()
        for check in checks
        if check.failure_info
    }
    assert not failures
    paths = world.client.get("/openapi.json").json["paths"]
    assert {event.label.split()[-1] for event in found if event.label} >= set(paths)


def _played_through(world):
    """As published, with the only account and base that may be named: others are strangers'."""
    document = world.client.get("/openapi.json").json
    for shown in document["components"]["schemas"].values():
        keys = shown.get("properties", {})
        keys |= {"key": {"const": KEY}} if "key" in keys else {}
        keys |= {"id_base": {"const": ID_BASE}} if "id_base" in keys else {}
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(CONFIG))
    schema.app = world.app
    heard = list(from_schema(schema).execute())
    assert not [event for event in heard if isinstance(event, events.FatalError | events.NonFatalError)]
    return heard
