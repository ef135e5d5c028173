"""The sandbox process, anew for each test, and connectors to its systems."""

import fakeredis
import pytest

from tests.contract.subjects import MANY, REACHED, Sandbox
from workers.compose import SYSTEMS


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(process):
    process("POST", "/reset")
    process("POST", "/switches/bitrix24", rate_profile="off")
    process("POST", "/switches/comagic", minute_limit=MANY, day_limit=MANY)
    return process


@pytest.fixture
def connect(sandbox):
    def build(system, *, redis=None, sleep=lambda _: None, **changes):
        redis = redis or fakeredis.FakeRedis(server=fakeredis.FakeServer())
        return SYSTEMS[system].connect(REACHED[system].config(sandbox.addresses, **changes), redis, sleep=sleep)

    return build
