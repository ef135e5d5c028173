"""The addresses of the ledger's database and of Redis: which Parom can use, and what the environment overrides."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workers.faults import Fault

VARIABLES = {"database_url": "PAROM_DATABASE_URL", "redis_url": "PAROM_REDIS_URL"}
FORMS = {  # key → form, hint; a database in memory is refused because the processes could not share it
    "database_url": (
        re.compile(r"sqlite(\+pysqlite)?:///(?!:memory:).+|postgresql(\+psycopg)?://.+"),
        "write sqlite:///FILE or postgresql+psycopg://USER:${PASSWORD}@HOST/NAME",
    ),
    "redis_url": (re.compile(r"embedded|rediss?://.+"), "write embedded or rediss://:${PASSWORD}@HOST:PORT/0"),
}
PASSWORD = re.compile(r"://[^:@/]*:([^@]+)@")


def overrides(environ: Mapping[str, str]) -> dict[str, str]:
    return {key: environ[name] for key, name in VARIABLES.items() if environ.get(name)}


def url_faults(written: Mapping[str, Any], meant: Mapping[str, Any]) -> Iterator[Fault]:
    """`written`: as in the file, without what the environment overrides; `meant`: as Parom would use them."""
    for key, (form, hint) in FORMS.items():
        path = (key if key in written else VARIABLES[key],)
        if key in meant and not form.fullmatch(str(meant[key])):
            yield Fault(path, "is not a URL that Parom can use", hint)
        password = PASSWORD.search(str(written.get(key)))
        if password and "${" not in password[1]:
            yield Fault(path, "holds a password, and secrets must not stand in this file", hint)


def absolute(url: str, folder: Path) -> str:
    """The URL with an SQLite file's path taken from `folder`."""
    scheme, slashes, name = url.partition(":///")
    return f"{scheme}{slashes}{folder / name}" if scheme.startswith("sqlite") else url
