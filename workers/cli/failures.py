"""What people see instead of a traceback when the reason is known: one plain message, and the right exit code."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import click
from redis import RedisError
from sqlalchemy.exc import OperationalError

from connectors.errors import ConnectorError
from tasks.ledger.migrate import NotMigrated
from workers.compose import RedisAway
from workers.embedded import EmbeddedError
from workers.settings import SettingsError


class WorkFailed(click.ClickException):
    """The command was right and the work could not be done."""

    exit_code = 1


class Misconfigured(click.ClickException):
    """Nothing can work until a person changes the configuration."""

    exit_code = 2


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn the failures that an operator can mend into a plain message."""
    try:
        yield
    except (SettingsError, NotMigrated) as error:
        raise Misconfigured(str(error)) from None
    except (RedisAway, EmbeddedError, ConnectorError) as error:
        raise WorkFailed(str(error)) from None
    except RedisError as error:
        raise WorkFailed(f"Redis does not answer ({type(error).__name__}); look at redis_url") from None
    except OperationalError as error:
        kind = type(error.orig).__name__
        raise WorkFailed(f"the ledger's database does not answer ({kind}); look at database_url") from None


def require_flow(name: str, flows: Collection[str]) -> None:
    """A usage error that lists the flows, unless `name` is one."""
    if name not in flows:
        raise click.BadParameter(f"no flow {name!r}; there are: {', '.join(flows) or 'none'}")
