"""The example that `parom init` writes is made from the dataclasses, and is a good file itself."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import pytest

from connectors.base import Secret
from tasks.flows import KINDS
from workers.compose import SYSTEMS
from workers.example import render
from workers.settings import SettingsError, load


@dataclass(frozen=True)
class Login:
    user: str = field(metadata={"help": "who we are"})
    password: Secret = field(metadata={"help": "of that user"})


@dataclass(frozen=True)
class AccountConfig:
    base_url: str = field(metadata={"help": "address of the account", "example": "https://account.example"})
    api_key: Secret = field(metadata={"help": "issued by the vendor"})
    login: Login = field(metadata={"help": "for the old interface"})
    mode: Literal["fast", "slow"] = field(default="fast", metadata={"help": "how it goes"})
    pause: timedelta = field(default=timedelta(seconds=90), metadata={"help": "between two calls"})
    proxy_password: Secret | None = field(default=None, metadata={"help": "of the proxy"})
    burst: int | None = field(default=None, metadata={"help": "calls at once", "min": 5})


@dataclass(frozen=True)
class Place:
    id: str = field(metadata={"help": "id there; ask for it"})
    name: str = field(default="", metadata={"help": "its name"})


@dataclass(frozen=True)
class Codes:
    surname: str = field(default="LAST_NAME", metadata={"help": "family name"})
    name: str = field(default="NAME", metadata={"help": "given name, which the flow has otherwise"})


@dataclass(frozen=True)
class Row:
    product: int
    branch: int | None = None
    courses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    codes: Codes = field(default_factory=lambda: Codes(name='УЧЕНИК "1"'), metadata={"help": "codes of the fields"})
    places: Mapping[str, Place] = field(
        default_factory=lambda: {"home": Place("1", "Дом"), "с пробелом": Place("")}, metadata={"help": "places"}
    )
    rows: tuple[Row, ...] = field(default=(Row(1, 2, ("a",)), Row(3)), metadata={"help": "what means what"})
    empty: Mapping[str, str] = field(default_factory=dict)

    def problems(self) -> Iterator[tuple[str, str]]:
        for key, place in self.places.items():
            if not place.id:
                yield f"places.{key}.id", "is empty"


@dataclass(frozen=True)
class Kind:
    instance: str = "people"
    options: type = Options
    source_system: str = "account"
    target_system: str = "account"
    parents: tuple = ()
    status_types: tuple[str, ...] = ("string",)
    is_pushed: bool = False
    shared: tuple = ()

    def reads(self, options: Options) -> tuple[str, ...]:
        return (options.codes.name,)


SYSTEM_CONFIGS = {"account": AccountConfig}
EXAMPLE_KINDS = {"persons-to-persons": Kind()}


def loaded(tmp_path, text, systems, kinds):
    path = tmp_path / "parom.toml"
    path.write_text(text, "utf-8")
    names = re.findall(r"\$\{([A-Z0-9_]+)\}", text)
    environ = {name: f"https://{name.lower()}.example/rest/1/secret/" for name in names}
    return load(path, environ, systems=systems, kinds=kinds)


def uncommented(text):
    return re.sub(r"(?m)^#(?! |$)", "", text)


def test_the_example_is_loaded_again_but_for_what_only_the_user_knows(tmp_path):
    text = render(SYSTEM_CONFIGS, EXAMPLE_KINDS)
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text, SYSTEM_CONFIGS, EXAMPLE_KINDS)
    assert [(problem.key, problem.message) for problem in caught.value.problems] == [
        ("flows.people.places.с пробелом.id", "is empty")
    ]
    filled = loaded(tmp_path, text.replace('id = ""', 'id = "7"'), SYSTEM_CONFIGS, EXAMPLE_KINDS)
    assert filled.flows["people"].options == Options(places={"home": Place("1", "Дом"), "с пробелом": Place("7")})
    assert filled.connections["account"].config.base_url == "https://account.example"


def test_the_example_with_every_default_taken_from_its_comment_says_the_same(tmp_path):
    text = uncommented(render(SYSTEM_CONFIGS, EXAMPLE_KINDS)).replace('id = ""', 'id = "7"')
    made = loaded(tmp_path, text, SYSTEM_CONFIGS, EXAMPLE_KINDS)
    assert made.threads == 200
    assert made.flows["people"].every == timedelta(seconds=60)
    assert made.flows["people"].options.rows == Options().rows
    assert made.flows["people"].options.codes == Options().codes
    config = made.connections["account"].config
    assert (config.pause, config.burst) == (timedelta(seconds=90), 5)


def test_required_keys_stand_live_and_optional_ones_as_commented_defaults_below_their_help():
    text = render(SYSTEM_CONFIGS, EXAMPLE_KINDS)
    for lines in (
        '# address of the account\nbase_url = "https://account.example"\n',
        '# issued by the vendor\napi_key = "${ACCOUNT_API_KEY}"\n',
        '# how it goes; one of "fast", "slow"\n#mode = "fast"\n',
        '# between two calls\n#pause = "90s"\n',
        '# of the proxy\n#proxy_password = "${ACCOUNT_PROXY_PASSWORD}"\n',
        '# for the old interface\n[connections.account.login]\n# who we are\nuser = "FILL_IN"\n',
        '# of that user\npassword = "${ACCOUNT_LOGIN_PASSWORD}"\n',
        "# places\n# id: id there; ask for it\n# name: its name\n[flows.people.places]\nhome = {",
        'home = { id = "1", name = "Дом" }\n"с пробелом" = { id = "", name = "" }\n',
        '# codes of the fields\n[flows.people.codes]\n# family name\n#surname = "LAST_NAME"\n',
        '# given name, which the flow has otherwise\nname = "УЧЕНИК \\"1\\""\n',
        '#[[flows.people.rows]]\n#product = 1\n#branch = 2\n#courses = ["a"]\n\n#[[flows.people.rows]]\n#product = 3\n',
        "#empty = {}\n",
    ):
        assert lines in text


def test_the_example_of_the_real_systems_lacks_nothing_but_unknown_ids(tmp_path):
    systems = {name: system.config for name, system in SYSTEMS.items()}
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, render(systems, KINDS), systems, KINDS)
    found = {problem.key.rpartition(".")[2] for problem in caught.value.problems}
    assert found == {"id", "threads"}  # of which all flows at once need more than one installation is likely to have
