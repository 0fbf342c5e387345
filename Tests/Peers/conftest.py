"""What the tests share: built programs, a running FileFerry, the servers around it, and the people in it.

Servers that tests only read from live as long as the run; a test that changes or breaks one makes its own.
"""
import os
import pathlib
import random
import subprocess
import uuid

import pytest

import samples
import servers
from contract import ROOT
from deliveries import Courier
from ferry_system import FerrySystem
from receivers import MailReceiver, TeamsReceiver
from slow_proxy import SlowProxy

SEED = int(os.environ.get("FERRY_TEST_SEED", samples.SEED))
LOCAL_USER = "ferrypeer"
LOCAL_PASSWORD = "a local password 17"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("slow") is None:
            item.add_marker("quick")


def pytest_report_header():
    return f"seed {SEED} (FERRY_TEST_SEED), programs in {binaries_directory()}"


def binaries_directory() -> pathlib.Path:
    return pathlib.Path(os.environ.get("FERRY_BIN_DIR", ROOT / ".build/debug")).resolve()


@pytest.fixture
def rng(request) -> random.Random:
    """Chance, the same at every run for the same test."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def binaries() -> pathlib.Path:
    directory = binaries_directory()
    assert (directory / "ferry").exists(), f"no programs in {directory}: run `swift build` first"
    return directory


@pytest.fixture(scope="session")
def mail():
    receiver = MailReceiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="session")
def teams():
    receiver = TeamsReceiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="session")
def start_system(binaries, mail, teams, tmp_path_factory):
    """Starts a FileFerry of its own for whoever asks; all are stopped at the end of the run."""
    started: list[FerrySystem] = []

    def start(name: str, **options: str) -> FerrySystem:
        directory = tmp_path_factory.mktemp(name)
        webhook = directory / "teams.url"
        webhook.write_text(teams.url)
        defaults = {"smtp_url": f"smtp://127.0.0.1:{mail.port}", "mail_from": "ferry@example.com",
                    "teams_webhook_url_file": str(webhook)}
        system = FerrySystem(binaries, directory, **(defaults | options))
        started.append(system)
        return system.start()

    yield start
    for system in started:
        system.stop()


@pytest.fixture(scope="session")
def system(start_system) -> FerrySystem:
    return start_system("system")


@pytest.fixture(scope="session")
def admin(system):
    return system.client()


@pytest.fixture(scope="session")
def weed(tmp_path_factory):
    """SeaweedFS with the samples in the bucket "samples"."""
    server = servers.SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))
    try:
        server.start()
        server.source = tmp_path_factory.mktemp("source")
        servers.write_source(server.source)
        servers.upload(server, server.source, "samples")
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    server = servers.OpenSSH(tmp_path_factory.mktemp("sshd"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def slow_way(sshd):
    """To the SFTP server, at 12 MiB a second: 64 MiB take about five."""
    proxy = SlowProxy(sshd.port, 12 << 20)
    yield proxy
    proxy.stop()


@pytest.fixture
def inbox(tmp_path) -> pathlib.Path:
    """The customer's folder."""
    directory = tmp_path / "inbox"
    directory.mkdir()
    return directory


@pytest.fixture(scope="session")
def courier(system, weed, sshd) -> Courier:
    """Delivers from SeaweedFS to OpenSSH, as a requester who gets mail."""
    return Courier(system, weed, sshd)


@pytest.fixture
def target(courier, inbox):
    """The inbox as a saved destination; its name."""
    name = f"inbox-{uuid.uuid4().hex[:6]}"
    courier.save_destination(name, courier.sshd.url(inbox))
    yield name
    courier.admin.Transfer.DeleteDestination(name=name)


@pytest.fixture(scope="session")
def local_user():
    """A user of this machine with a password; only root can make one. Yields (name, password)."""
    if os.geteuid() != 0:
        pytest.skip("a user with a password can only be made by root")
    command = ["useradd", "--no-create-home", "--shell", "/usr/sbin/nologin", LOCAL_USER]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode in (0, 9), f"useradd: {made.stderr}"  # 9: left over from a run that was killed
    subprocess.run(["chpasswd"], input=f"{LOCAL_USER}:{LOCAL_PASSWORD}", text=True, check=True)
    yield LOCAL_USER, LOCAL_PASSWORD
    subprocess.run(["userdel", LOCAL_USER], capture_output=True, check=False)
