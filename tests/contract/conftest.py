"""The sandbox process, anew for each test, and connectors to its systems."""

import fakeredis
import pytest

from tests.contract.subject import MANY, Sandbox
from tests.contract.subjects import REACHED
from tests.unit.vaults import MemoryVault
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
    process("POST", "/switches/amocrm", rate_profile="off")
    for system in REACHED.values():
        system.ready(process)
    return process


@pytest.fixture
def connect(sandbox):
    def build(system, *, redis=None, sleep=lambda _: None, vault=None, **changes):
        redis = redis or fakeredis.FakeRedis(server=fakeredis.FakeServer())
        reached = REACHED[system]
        config, more = reached.config(sandbox.addresses, **changes), reached.more(vault or MemoryVault())
        return SYSTEMS[system].connect(config, redis, sleep=sleep, **more)

    return build
