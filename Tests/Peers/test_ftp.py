"""To FTP servers, through the whole system: what a server computes of its files itself proves them without reading them back,
as far as the requester lets it, and the signed receipt names what it said."""
import hashlib
import os
import pathlib
import subprocess
import uuid
import zlib

import pytest

import samples
import servers
from contract import api
from deliveries import unfinished
from receipts import verify

CHUNK = 1 << 20
PASSWORD = "pass-word-42"
HOME = pathlib.Path(__file__).resolve().parents[2] / ".build/proftpd"  # unpacked by scripts/test


class ProFTPD(servers.Program):
    """A server that hashes files itself (mod_digest), by the algorithms that it is given."""

    def __init__(self, directory: pathlib.Path, algorithms: str):
        super().__init__("proftpd", directory)
        self.algorithms = algorithms
        self.port = servers.free_ports(1)[0]
        self.root = self.directory / "root"

    def start(self) -> "ProFTPD":
        self.root.mkdir()
        password = subprocess.run(["openssl", "passwd", "-5", PASSWORD], check=True, capture_output=True, text=True).stdout
        users = self.directory / "passwd"
        users.write_text(f"ferry:{password.strip()}:{os.getuid()}:{os.getgid()}::{self.root}:/bin/false\n")
        users.chmod(0o600)
        config = self.directory / "proftpd.conf"
        config.write_text("\n".join([
            "ServerType standalone", "DefaultAddress 127.0.0.1", "SocketBindTight on", f"Port {self.port}", "UseIPv6 off",
            "WtmpLog off", f"PidFile {self.directory}/pid", f"ScoreboardFile {self.directory}/scoreboard",
            f"SystemLog {self.directory}/system.log", f"ExtendedLog {self.directory}/commands.log ALL digests",
            'LogFormat digests "%r"', f"ModulePath {HOME}/usr/lib/proftpd",
            "LoadModule mod_digest.c", "User root", "Group root", f"AuthUserFile {users}",
            "AuthOrder mod_auth_file.c", "RootLogin on", "RequireValidShell off", "DefaultRoot ~", "AllowOverwrite on",
            "AllowStoreRestart on", "DigestEngine on", f"DigestAlgorithms {self.algorithms}"]) + "\n")
        self.launch([str(HOME / "usr/sbin/proftpd"), "-n", "-c", str(config)])
        self.await_ready(lambda: servers.greets(self.port, b"220 "))
        return self

    def commands(self) -> list[str]:
        """What was asked for so far, without what was given."""
        return [line.split(" ")[0] for line in (self.directory / "commands.log").read_text().splitlines()]


@pytest.fixture
def server(request, tmp_path):
    if os.getuid() != 0:
        pytest.skip("ProFTPD takes its users' ids, which only root may")
    program = ProFTPD(tmp_path / "proftpd", request.param).start()
    yield program
    program.stop()


@pytest.fixture(scope="module")
def bucket(weed):
    name = f"ftp-{uuid.uuid4().hex[:8]}"
    client = weed.client()
    client.create_bucket(Bucket=name)
    bodies = {"in/small one.csv": samples.big(5_000, seed=1), "in/large.bin": samples.big(4 * CHUNK + 77, seed=2),
              "in/empty.txt": b""}
    for key, body in bodies.items():
        client.put_object(Bucket=name, Key=key, Body=body)
    return name, bodies


def hashed(algorithm: str, body: bytes) -> str:
    return f"{zlib.crc32(body):08x}" if algorithm == "crc32" else hashlib.new(algorithm, body).hexdigest()


@pytest.mark.parametrize("server, proof, expected", [
    ("sha1 md5 crc32", api.PROOF_SHA256, "sha1"), ("md5 crc32", api.PROOF_SHA256, "md5"), ("crc32", api.PROOF_CHECKSUM, "crc32"),
    ("crc32", api.PROOF_SHA256, None), ("sha256 sha1", api.PROOF_CHECKSUM, "sha256"), ("sha1", api.PROOF_SIZE, None),
], indirect=["server"])
def test_what_the_server_hashes_itself_is_not_read_back(courier, server, bucket, proof, expected):
    name, bodies = bucket
    request = courier.request(f"ftp://ferry@127.0.0.1:{server.port}/out/", prefix="in/", bucket=name, chunk_size=CHUNK)
    request.options.proof = proof
    request.destination.ClearField("host_keys")  # plain FTP has none
    started = courier.client.Transfer.StartDelivery(
        request=request, credentials=api.DestinationCredentials(password=PASSWORD), idempotency_key=uuid.uuid4().hex)
    done = courier.wait(started.id)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    signed = courier.client.Transfer.GetReceipt(delivery_id=done.id)
    told = verify(signed.jws_json, courier.client.Transfer.GetReceiptKey().jwk_json)
    for key, body in bodies.items():
        path = "/out/" + key.removeprefix("in/")
        assert (server.root / path[1:]).read_bytes() == body
        line = next(one for one in told["files"] if one["path"] == path)
        assert line["sha256"] == hashlib.sha256(body).hexdigest()
        named = f"{expected}:{hashed(expected, body)}" if expected in ("sha1", "md5", "crc32") and body else ""
        assert line.get("serverChecksum", "") == named
    assert not unfinished(server.root)
    asked = server.commands()
    assert ("RETR" in asked) == (expected is None and proof == api.PROOF_SHA256)
    assert ("HASH" in asked) == (expected is not None)
    if expected in ("sha1", "md5", "crc32"):
        assert f"the server's own {expected} of 2 files" in told["proof"]
        assert f"the server's own {expected}" in courier.tickets(done).user.closing_note
    elif proof == api.PROOF_SIZE:
        assert told["proof"].startswith("size alone")
    else:
        assert told["proof"] == ("sha256, computed by the server or read back" if expected else "sha256, read back")
