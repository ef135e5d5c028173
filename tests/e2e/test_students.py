"""The story of the flow `students`, with everything real: sandbox, Redis protocol, database, Celery worker and beat."""

import json

import pytest

from tests.harbour import assert_all_arrived, kill, wait_until

both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""The engine's own tests and the chaos run on both; most stories need one, and SQLite's is the quicker one."""


@both_databases
@pytest.mark.outside(contacts=150)
def test_every_contact_arrives_with_its_note_and_a_second_run_writes_nothing(harbour):
    harbour.redis.stop()  # `up` starts its own
    first = harbour.run("up", "--drain")
    assert first.returncode == 0, first.stderr
    assert_all_arrived(harbour)
    writes = len(harbour.sandbox.writes("otmechalka")) + len(harbour.sandbox.writes("bitrix24"))
    second = harbour.run("up", "--drain")
    assert second.returncode == 0, second.stderr
    assert len(harbour.sandbox.writes("otmechalka")) + len(harbour.sandbox.writes("bitrix24")) == writes


@pytest.mark.outside(contacts=20)
def test_an_edit_by_a_person_travels_and_the_note_does_not_come_back(harbour):
    harbour.start_working()
    wait_until(lambda: harbour.settled(15), "the first contacts arrive")
    key = next(iter(harbour.sandbox.clients()))
    harbour.sandbox.post(f"/bitrix24/contacts/{key}", fields={"UF_CRM_1608028374": "Новое"})
    wait_until(lambda: harbour.sandbox.clients()[key]["first_name"] == "Новое", "the edit arrives")
    harbour.sandbox.post(f"/bitrix24/contacts/{key}", fields={"UF_CRM_1608028374": ""})
    wait_until(
        lambda: "Имя ученика" in harbour.sandbox.contacts()[key]["UF_CRM_SYNC_STATUS"],
        "the manager is told what is wrong",
    )
    assert harbour.sandbox.clients()[key]["first_name"] == "Новое"


@pytest.mark.outside(contacts=10)
def test_the_commands_tell_what_happened(harbour):
    harbour.start_working()
    wait_until(lambda: harbour.settled(8), "the contacts arrive")
    key = next(iter(harbour.sandbox.clients()))
    told_history = harbour.run("history", "students", key)
    assert told_history.returncode == 0
    assert "created" in told_history.stdout
    assert "noted" in told_history.stdout
    status = json.loads(harbour.run("status", "--json").stdout)
    assert status[0]["name"] == "students"
    assert status[0]["by_state"]["done"] == len(harbour.sandbox.clients())
    unknown = harbour.run("history", "students", "999999")
    assert unknown.returncode == 1
    assert "resync students 999999" in unknown.stderr
    assert harbour.run("history", "pupils", "1").returncode == 2


@pytest.mark.outside(contacts=20)
def test_status_names_the_system_that_is_away_and_everything_arrives_when_it_is_back(harbour):
    harbour.sandbox.post("/faults", system="otmechalka", match="", times=None, action="status", status=503)
    harbour.start_working()
    wait_until(lambda: "school did not answer lately" in harbour.run("status").stdout, "the breaker opens")
    harbour.sandbox.session.delete(harbour.sandbox.addresses["admin"] + "/faults").raise_for_status()
    wait_until(lambda: harbour.settled(18), "everything arrives", patience=110)
    assert_all_arrived(harbour)


@pytest.mark.outside(contacts=10, crm='application_token = "${file:application_token}"')
def test_up_serves_the_web_side_when_webhooks_are_configured(harbour):
    (harbour.folder / "application_token").write_text("invented-application-token")
    harbour.redis.stop()
    address = harbour.start_web("up")
    wait_until(lambda: harbour.ready(address), "the web side answers")
    wait_until(lambda: harbour.settled(8), "the contacts arrive")


@pytest.mark.outside(contacts=10)
def test_resync_sends_again_what_was_lost_in_the_target(harbour):
    harbour.start_working()
    wait_until(lambda: harbour.settled(8), "the contacts arrive")
    key = next(iter(harbour.sandbox.clients()))
    before = len(harbour.sandbox.writes("otmechalka"))
    assert harbour.run("resync", "students", key, "--dry-run").stdout.startswith("1 ")
    assert harbour.run("resync", "students", key).returncode == 0
    wait_until(lambda: len(harbour.sandbox.writes("otmechalka")) == before + 1, "the client is sent again")
    assert harbour.run("resync", "students").returncode == 2


@pytest.mark.outside(contacts=10)
def test_check_finds_nothing_wrong_and_names_what_is(harbour):
    harbour.redis.stop()  # it is the first command that people run: nothing else need be running
    good = harbour.run("check")
    assert good.returncode == 0, good.stdout + good.stderr
    config = harbour.folder / "parom.toml"
    config.write_text(config.read_text().replace("UF_CRM_SYNC_STATUS", "UF_CRM_MISTYPED"))
    bad = harbour.run("check")
    assert bad.returncode == 1
    assert "UF_CRM_MISTYPED" in bad.stdout


@pytest.mark.outside(contacts=10)
def test_preview_shows_the_difference_and_writes_nothing(harbour):
    kinds = harbour.sandbox.get("/seed")["kinds"]
    by_kind = {kind: key for key, kind in kinds.items()}
    before = harbour.run("preview", "students", by_kind["valid"])
    assert before.returncode == 0, before.stderr
    assert "would be created" in before.stdout
    harbour.start_working()
    wait_until(lambda: harbour.settled(8), "the contacts arrive")
    assert harbour.run("pause", "students").returncode == 0  # or the edit could travel before anybody looks
    harbour.sandbox.post(f"/bitrix24/contacts/{by_kind['valid']}", fields={"UF_CRM_1608028374": "Новое"})
    writes = len(harbour.sandbox.writes("otmechalka"))
    after = harbour.run("preview", "students", by_kind["valid"]).stdout
    assert "would update" in after
    assert [line.split()[1] for line in after.splitlines() if line.startswith("≠")] == ["first_name"]
    assert "Новое" in after
    assert harbour.run("preview", "students", "999999").returncode == 1
    assert len(harbour.sandbox.writes("otmechalka")) == writes


def test_a_wrong_configuration_is_refused_with_every_problem_at_once(harbour):
    config = harbour.folder / "parom.toml"
    config.write_text(
        config.read_text().replace('system = "bitrix24"', 'system = "bitrix"').replace("since =", "sinse =")
    )
    for command in (["worker"], ["up", "--drain"], ["status"]):
        refused = harbour.run(*command)
        assert refused.returncode == 2
        assert "bitrix" in refused.stderr
        assert "sinse" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.outside(contacts=60)
def test_no_secret_and_no_personal_data_is_logged(harbour):
    harbour.sandbox.post("/faults", system="otmechalka", match="POST", times=5, action="status", status=500)
    (worker,) = harbour.start_working()
    wait_until(lambda: harbour.settled(50), "the contacts arrive")
    kill(worker)
    logs = harbour.logs()
    assert "in doubt" in logs
    assert harbour.sandbox.addresses["otmechalka_token"] not in logs
    assert harbour.sandbox.addresses["bitrix24"].rstrip("/").rsplit("/", 1)[1] not in logs
    for client in harbour.sandbox.clients().values():
        assert client["phone"] not in logs
        assert client["last_name"] not in logs
