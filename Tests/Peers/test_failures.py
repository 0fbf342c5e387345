"""Whatever goes wrong ends the delivery as failed, says what and what to do next, on both tickets and to the requester
once, and leaves neither a final file nor a .part file."""
import os
import pathlib
import re
import subprocess
import tempfile
import uuid

import pytest

import samples
import servers
from contract import api
from deliveries import Courier, unfinished
from slow_proxy import SlowProxy


@pytest.fixture(scope="module")
def courier(start_system, weed, sshd) -> Courier:
    """Of a FileFerry that soon gives up what may work later."""
    return Courier(start_system("failures", retry_budget_seconds="3"), weed, sshd)


@pytest.fixture(scope="module")
def key() -> str:
    return samples.SMALL_PREFIX + max(samples.small(), key=lambda name: len(samples.small()[name]))


def assert_failed(courier, mail, teams, delivery, inbox: pathlib.Path, code: str, *names: str) -> None:
    """`names`: what the message has to name, as patterns."""
    assert delivery.status == api.DELIVERY_STATUS_FAILED, f"{delivery}\n{courier.system.report()}"
    problem = delivery.problem
    assert problem.code == code, problem
    for name in names:
        assert re.search(name, problem.message, re.IGNORECASE), f"{name!r} is not in {problem.message!r}"
    assert problem.next_step, "it does not say what to do next"
    assert list(inbox.rglob("*")) == [], f"left behind: {list(inbox.rglob('*'))}, unfinished: {unfinished(inbox)}"
    assert not delivery.has_receipt and delivery.files_done == 0

    pair = courier.tickets(delivery)
    for ticket in (pair.user, pair.audit):
        assert ticket.status == api.TICKET_STATUS_CLOSED and ticket.outcome == api.OUTCOME_FAILED, ticket
        told = [note.text for note in ticket.work_notes] + [ticket.closing_note]
        assert any(problem.message in text for text in told), told
        assert any(problem.next_step in text for text in told), told

    notification = courier.await_told(delivery)
    assert notification.severity == api.SEVERITY_ERROR
    assert problem.next_step in notification.body + str(notification.facts)
    assert [recipients for recipients, _ in mail.about(delivery.id)] == [[courier.email]]
    assert len(teams.about(delivery.id)) == 1
    everything = f"{delivery} {pair} {notification} {mail.about(delivery.id)} {teams.about(delivery.id)} {courier.system.report(10_000)}"
    assert courier.weed.secret_key not in everything and "PRIVATE KEY" not in everything


def let_in(directory: pathlib.Path) -> None:
    """Makes a folder reachable for other users of this machine: pytest's folders are for their owner alone."""
    temporary = pathlib.Path(tempfile.gettempdir()).resolve()
    for parent in directory.resolve().parents:
        if parent == temporary or temporary not in parent.parents:
            return
        parent.chmod(parent.stat().st_mode | 0o011)


# ---- The source


def test_a_wrong_s3_secret(courier, sshd, inbox, mail, teams, key):
    courier.save_connection("wrong-secret", "0" * 40)
    delivery = courier.deliver(sshd.url(inbox) + "/", key=key, connection="wrong-secret")
    assert_failed(courier, mail, teams, delivery, inbox, "WRONG_KEY", "key|signature|secret")
    assert delivery.problem.provider == "s3" and delivery.problem.provider_code, delivery.problem


def test_a_missing_object(courier, sshd, inbox, mail, teams):
    delivery = courier.deliver(sshd.url(inbox) + "/", key="no/such/object.csv")
    assert_failed(courier, mail, teams, delivery, inbox, "OBJECT_MISSING", "no/such/object.csv")


def test_an_empty_prefix(courier, sshd, inbox, mail, teams):
    delivery = courier.deliver(sshd.url(inbox) + "/", prefix="nothing/under/this/")
    assert_failed(courier, mail, teams, delivery, inbox, "NOTHING_SELECTED", "nothing/under/this/")


def test_a_missing_bucket(courier, sshd, inbox, mail, teams, key):
    delivery = courier.deliver(sshd.url(inbox) + "/", key=key, bucket="no-such-bucket")
    assert_failed(courier, mail, teams, delivery, inbox, "BUCKET_MISSING", "no-such-bucket")


def test_an_unknown_connection(courier, sshd, inbox, mail, teams, key):
    delivery = courier.deliver(sshd.url(inbox) + "/", key=key, connection="nobody-made-this")
    assert_failed(courier, mail, teams, delivery, inbox, "CONNECTION_UNKNOWN", "nobody-made-this")


def test_an_object_that_changes_while_it_is_read(courier, sshd, weed, inbox, mail, teams):
    bucket = f"changing-{uuid.uuid4().hex[:8]}"
    client = weed.client()
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="report.csv", Body=samples.big(32 << 20, seed=1))
    proxy = SlowProxy(sshd.port, 4 << 20)
    try:
        started = courier.start(
            sshd.url(inbox, proxy.port) + "/", key="report.csv", bucket=bucket, chunk_size=1 << 20)
        assert len(courier.await_written(started.id, 1)) < 32
        client.put_object(Bucket=bucket, Key="report.csv", Body=samples.big(32 << 20, seed=2))
        proxy.open_up()
        delivery = courier.wait(started.id)
    finally:
        proxy.stop()
    assert_failed(courier, mail, teams, delivery, inbox, "SOURCE_CHANGED", "report.csv", "chang")


# ---- The destination


def test_a_wrong_sftp_password(courier, sshd, inbox, mail, teams, key, local_user):
    user, password = local_user
    inbox.chmod(0o777)
    let_in(inbox)
    url = sshd.url(inbox, user=user) + "/"
    delivery = courier.deliver(url, key=key, credentials=api.DestinationCredentials(password="wrong " + password))
    assert_failed(courier, mail, teams, delivery, inbox, "LOGIN_REFUSED", user)
    right = courier.deliver(url, key=key, credentials=api.DestinationCredentials(password=password))
    assert right.status == api.DELIVERY_STATUS_SUCCEEDED, right.problem


def test_a_key_that_the_server_does_not_know(courier, sshd, inbox, mail, teams, key):
    stranger = sshd.make_key(f"stranger-{uuid.uuid4().hex[:8]}").read_text()
    delivery = courier.deliver(sshd.url(inbox) + "/", key=key, credentials=api.DestinationCredentials(private_key=stranger))
    assert_failed(courier, mail, teams, delivery, inbox, "LOGIN_REFUSED", sshd.user)


def test_a_changed_host_key(courier, tmp_path, inbox, mail, teams, key):
    server = servers.OpenSSH(tmp_path / "sshd")
    try:
        server.start()
        login = api.DestinationCredentials(private_key=server.identity.read_text())
        url = server.url(inbox) + "/"
        first = courier.deliver(url, key=key, credentials=login, accept_new=True)
        assert first.status == api.DELIVERY_STATUS_SUCCEEDED, first.problem
        for file in inbox.iterdir():
            file.unlink()
        known, port = server.fingerprint, server.port
        server.stop()
        server.host_key = server.make_key("another_host")
        assert server.fingerprint != known
        server.port = port
        server.start()
        for accept_new in (False, True):  # accepting new hosts never accepts a changed one
            delivery = courier.deliver(url, key=key, credentials=login, accept_new=accept_new, fingerprints=[])
            assert_failed(
                courier, mail, teams, delivery, inbox, "HOST_KEY_CHANGED", re.escape(server.fingerprint),
                re.escape(known))
    finally:
        server.stop()


def test_an_unknown_host_key(courier, tmp_path, inbox, mail, teams, key):
    server = servers.OpenSSH(tmp_path / "sshd")
    try:
        server.start()
        login = api.DestinationCredentials(private_key=server.identity.read_text())
        delivery = courier.deliver(server.url(inbox) + "/", key=key, credentials=login, fingerprints=[])
        assert_failed(courier, mail, teams, delivery, inbox, "HOST_KEY_UNKNOWN", re.escape(server.fingerprint))
    finally:
        server.stop()


def test_a_pinned_host_key_that_is_another(courier, sshd, inbox, mail, teams, key):
    pinned = "SHA256:" + "A" * 43
    delivery = courier.deliver(sshd.url(inbox) + "/", key=key, fingerprints=[pinned])
    assert_failed(courier, mail, teams, delivery, inbox, "HOST_KEY_CHANGED", re.escape(sshd.fingerprint))


def test_an_unreachable_host(courier, sshd, inbox, mail, teams, key):
    port = servers.free_ports(1)[0]
    delivery = courier.deliver(sshd.url(inbox, port) + "/", key=key)
    assert_failed(courier, mail, teams, delivery, inbox, "DESTINATION_UNREACHABLE", str(port))
    assert delivery.retries > 0, "a closed port may open: it is tried again within the budget"


def test_a_folder_without_permission(courier, sshd, inbox, mail, teams, key, request):
    locked = inbox.with_name("locked")
    locked.mkdir(mode=0o555)
    user, login = sshd.user, courier.key_login()
    if os.geteuid() == 0:  # root may write anywhere
        user, password = request.getfixturevalue("local_user")
        login = api.DestinationCredentials(password=password)
        let_in(locked)
    delivery = courier.deliver(sshd.url(locked, user=user) + "/", key=key, credentials=login)
    assert_failed(courier, mail, teams, delivery, locked, "PERMISSION_DENIED", "locked")


def test_a_full_disk(courier, sshd, inbox, mail, teams):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(inbox)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system can't be mounted: {mounted.stderr.strip()}")
    try:
        delivery = courier.deliver(sshd.url(inbox) + "/", key=samples.BIG_KEY, chunk_size=1 << 20)
        assert_failed(courier, mail, teams, delivery, inbox, "NO_SPACE", "space|full")
    finally:
        subprocess.run(["umount", str(inbox)], check=True)


# ---- What passes


def test_a_server_that_comes_back_in_time_costs_nothing_but_time(system, weed, tmp_path, inbox):
    """With the usual budget: the server goes away in the middle, and the delivery goes on when it is back."""
    server = servers.OpenSSH(tmp_path / "sshd")
    proxy = None
    try:
        server.start()
        patient = Courier(system, weed, server)
        proxy = SlowProxy(server.port, 8 << 20)
        started = patient.start(server.url(inbox, proxy.port) + "/", key=samples.BIG_KEY, chunk_size=1 << 20)
        assert len(patient.await_written(started.id, 4)) < 64, "all was written before the server went away"
        server.stop()
        server.start()
        proxy.open_up()
        delivery = patient.wait(started.id)
        assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery.problem
        assert (inbox / "data.bin").read_bytes() == samples.big() and unfinished(inbox) == []
        assert delivery.runs == 1
    finally:
        if proxy:
            proxy.stop()
        server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("silent_ones", [1, 4])
def test_a_server_that_falls_silent_is_left_for_another_connection(system, weed, sshd, inbox, silent_ones):
    """It takes a connection and says nothing: only a time limit tells. One silent one, beside three good ones, ends when
    the others have long done the rest."""
    patient = Courier(system, weed, sshd)
    proxy = SlowProxy(sshd.port, 8 << 20)
    try:
        started = patient.start(sshd.url(inbox, proxy.port) + "/", key=samples.BIG_KEY, chunk_size=1 << 20)
        assert len(patient.await_written(started.id, 4)) < 64
        proxy.drop(silent_ones)
        proxy.open_up()
        delivery = patient.wait(started.id)
        assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery.problem
        assert (inbox / "data.bin").read_bytes() == samples.big() and unfinished(inbox) == []
    finally:
        proxy.stop()
