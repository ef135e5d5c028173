"""The first thing a newcomer runs: it works, verifies itself, and leaves nothing behind however it ends."""

import os
import signal
import subprocess
import sys

import psutil

from tests.harbour import wait_until


def demo(folder, *options):
    command = [sys.executable, "-m", "workers.cli", "demo", "--contacts", "60", "--folder", str(folder), *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def processes_of(folder):
    """Every process that was started for this demo, by what its environment or arguments name."""
    found = []
    for process in psutil.process_iter():
        try:
            named = " ".join(process.cmdline()) + process.environ().get("PAROM_CONFIG", "") + process.cwd()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if str(folder) in named and process.pid != os.getpid():
            found.append(process)
    return found


def test_the_demo_carries_everything_verifies_it_and_ends(tmp_path):
    process = demo(tmp_path / "demo", "--exit")
    told, _ = process.communicate(timeout=100)
    assert process.returncode == 0, told
    assert told.count("otmechalka holds exactly what the mapping makes of") == 2
    assert "a second poll wrote nothing" in told
    assert "0 writes" in told
    assert processes_of(tmp_path) == []


def test_ctrl_c_leaves_no_process_behind(tmp_path):
    process = demo(tmp_path / "demo", "--stay")
    wait_until(lambda: len(processes_of(tmp_path)) >= 5, "demo, sandbox, Redis, worker and beat run")
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=60)
    assert "Traceback" not in told
    wait_until(lambda: processes_of(tmp_path) == [], "everything has ended")


def test_a_killed_demo_leaves_no_process_behind(tmp_path):
    process = demo(tmp_path / "demo", "--stay")
    wait_until(lambda: len(processes_of(tmp_path)) >= 5, "demo, sandbox, Redis, worker and beat run")
    process.kill()
    process.communicate(timeout=60)
    wait_until(lambda: processes_of(tmp_path) == [], "everything has ended")
