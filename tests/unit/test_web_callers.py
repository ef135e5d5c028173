"""Whether `parom up` must serve the web side."""

from types import SimpleNamespace

import pytest

from connectors.amocrm_config import AmoCrmConfig
from connectors.base import Secret
from connectors.bitrix24_config import Bitrix24Config
from connectors.onec_handlers_config import OneCHandlersConfig
from workers.web.callers import are_expected

PORTAL = Bitrix24Config(webhook_url=Secret("https://crm.example/rest/1/q7w8e9r0t1/"))
AMO = AmoCrmConfig(base_url="https://school.amocrm.example", token=Secret("invented"))
HEARING = {
    "webhooks of Bitrix24": Bitrix24Config(webhook_url=PORTAL.webhook_url, application_token=Secret("invented-token")),
    "webhooks of amoCRM": AmoCrmConfig(base_url=AMO.base_url, token=AMO.token, webhook_token=Secret("w" * 20)),
    "a 1C base": OneCHandlersConfig(key="31000001", id_base="trade-1", token=Secret("t" * 22)),
}


def settings(*configs, **flow):
    named = {f"c{number}": SimpleNamespace(name=f"c{number}", config=config) for number, config in enumerate(configs)}
    flows = {"people": SimpleNamespace(name="people", enabled=True, **flow)} if flow else {}
    return SimpleNamespace(connections=named, flows=flows)


def test_an_installation_that_only_polls_needs_no_web_side():
    assert not are_expected(settings(PORTAL, AMO, inbox_token=None))


@pytest.mark.parametrize("config", HEARING.values(), ids=HEARING)
def test_whoever_may_call_is_served(config):
    assert are_expected(settings(PORTAL, AMO, config))


def test_who_may_push_is_served():
    assert are_expected(settings(PORTAL, inbox_token="invented"))
