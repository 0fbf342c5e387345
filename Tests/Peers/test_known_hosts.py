"""Host keys from known_hosts files as OpenSSH's own tools write them."""
import subprocess

import grpc
import pytest

from contract import api, problem


@pytest.fixture(scope="module")
def listed(sshd) -> str:
    """What ssh-keyscan prints of the server."""
    return subprocess.run(
        ["ssh-keyscan", "-p", str(sshd.port), "127.0.0.1"], capture_output=True, text=True, check=True).stdout


def attempt(courier, sshd, inbox, known_hosts: str):
    return courier.client.Transfer.TestDestination(
        destination=api.Destination(
            url=sshd.url(inbox) + "/", host_keys=api.HostKeyPolicy(known_hosts=known_hosts)),
        credentials=courier.key_login())


def test_a_scanned_key_is_trusted_plain_and_hashed(courier, sshd, inbox, listed, tmp_path):
    assert attempt(courier, sshd, inbox, listed).ok
    file = tmp_path / "known_hosts"
    file.write_text(listed)
    subprocess.run(["ssh-keygen", "-H", "-f", str(file)], check=True, capture_output=True)
    assert "|1|" in file.read_text() and "127.0.0.1" not in file.read_text()
    assert attempt(courier, sshd, inbox, file.read_text()).ok


def test_another_key_than_the_listed_one_is_refused(courier, sshd, inbox, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    key = (tmp_path / "other.pub").read_text()
    answer = attempt(courier, sshd, inbox, f"[127.0.0.1]:{sshd.port} {key}")
    assert not answer.ok
    assert [step.problem.code for step in answer.steps if not step.ok] == ["HOST_KEY_CHANGED"]


@pytest.mark.parametrize("text, reason", [
    ("elsewhere.example ssh-ed25519 {blob}", "has no key of"), ("@revoked * ssh-ed25519 {blob}\n{listed}", "has no key of"),
    ("# scanned\n{listed}\nnonsense", "of the known_hosts file has no names, type and key"),
])
def test_a_file_that_pins_nothing_is_refused_at_once(courier, sshd, inbox, listed, text, reason):
    lines = "\n".join(line for line in listed.splitlines() if not line.startswith("#"))
    blob = lines.split()[2]
    with pytest.raises(grpc.RpcError) as refused:
        attempt(courier, sshd, inbox, text.format(blob=blob, listed=lines))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT and reason in refused.value.details()
    assert "ssh-keyscan" in problem(refused.value).next_step
