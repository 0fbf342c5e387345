"""Fixtures of the interoperability tests: the test service on our server and on grpcio, each plaintext and with TLS."""
import subprocess

import pytest

import interop_service
from certificates import Authority, Identity
from interop_peers import OurServer, Peer
from wire_witness import Witness

CLIENT_TIMEOUT_SECONDS = 60
PEERS = [f"{server} {transport}" for server in ("ours", "grpcio") for transport in ("plaintext", "tls")]


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def identity(authority) -> Identity:
    """A server's certificate for localhost and 127.0.0.1."""
    return authority.server("server")


@pytest.fixture(scope="session", params=PEERS)
def peer(request, binaries, authority, identity):
    server, transport = request.param.split()
    with_tls = transport == "tls"
    if server == "grpcio":
        with interop_service.Service(*((identity, authority) if with_tls else ())) as service:
            yield Peer(request.param, service.port, service.witness, authority if with_tls else None)
        return
    tls = ("--tls", "--certificate", identity.certificate, "--key", identity.key) if with_tls else ()
    contexts = (interop_service.server_context(identity), interop_service.client_context(authority)) if with_tls else ()
    with OurServer(binaries, *tls) as ours, Witness(ours.port, *contexts) as witness:
        yield Peer(request.param, ours.port, witness, authority if with_tls else None)


@pytest.fixture(scope="session")
def run_client(binaries):
    """Runs a case of rpc-interop-client; gives the finished process."""

    def run(case: str, port: int, *options) -> subprocess.CompletedProcess:
        command = [binaries / "rpc-interop-client", "--port", port, "--case", case, *options]
        return subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=CLIENT_TIMEOUT_SECONDS)

    return run
