"""What the documents say of the code is what the code says."""

from pathlib import Path

from tasks.flows import KINDS
from workers.cli import COMMANDS
from workers.compose import SYSTEMS
from workers.example import render

ROOT = Path(__file__).parents[2]


def test_the_flow_table_of_the_readme_is_that_of_the_code():
    readme = (ROOT / "README.md").read_text()
    table = readme.split("checked by tests/unit/test_docs.py -->\n")[1].split("<!-- /flows -->")[0]
    rows = "".join(f"| `{kind.name}` | {kind.summary} |\n" for kind in KINDS.values())
    assert table == "| kind | what it carries |\n|---|---|\n" + rows


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_example_configuration_is_what_parom_init_writes():
    systems = {name: system.config for name, system in SYSTEMS.items()}
    assert (ROOT / "parom.example.toml").read_text() == render(systems, KINDS)


def test_every_system_has_a_page():
    assert {name for name in SYSTEMS if not (ROOT / "docs" / f"{name}.md").exists()} == set()


def test_every_command_of_the_contract_exists():
    from click.testing import CliRunner

    from workers.cli import main

    for command in COMMANDS:
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0, command
