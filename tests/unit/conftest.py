import fakeredis
import pytest

from tests import siblings


@pytest.fixture
def redis():
    return fakeredis.FakeRedis()


@pytest.fixture
def world(ledger, redis):
    return siblings.build(ledger, redis)
