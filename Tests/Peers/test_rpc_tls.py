"""TLS of our server and our client as others see it: who is let in, who is refused, and certificates that change."""
import contextlib
import socket
import ssl
import threading

import grpc
import pytest
from cryptography import x509

import interop_service
from certificates import Authority
from contract import wait_until
from interop_peers import OurServer, connect
from interop_service import client_context, messages, server_context, stubs

# Servers and certificates of their own.
pytestmark = pytest.mark.slow

pytest_plugins = ("interop_fixtures",)
TIMEOUT_SECONDS = 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
SETTINGS = 4
CASE = "large_unary"


@pytest.fixture
def stranger(tmp_path) -> Authority:
    """An authority that nobody here trusts."""
    return Authority(tmp_path, "stranger")


@pytest.fixture
def start(binaries):
    """Starts our server with a certificate and more options."""
    with contextlib.ExitStack() as running:
        yield lambda identity, *options: running.enter_context(
            OurServer(binaries, "--tls", "--certificate", identity.certificate, "--key", identity.key, *options))


def greeting(port: int, context: ssl.SSLContext) -> tuple[bytes, int]:
    """What a server says to an HTTP/2 client's first bytes, b"" if it hangs up, and its certificate's serial number."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as raw:
        # In TLS 1.3 a client has ended its handshake before the server refuses it.
        try:
            with context.wrap_socket(raw, server_hostname="localhost") as connection:
                certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
                try:
                    connection.sendall(PREFACE)
                    return connection.recv(9), certificate.serial_number
                except OSError:
                    return b"", certificate.serial_number
        except ssl.SSLCertVerificationError:
            raise
        except (ssl.SSLError, ConnectionError):
            return b"", 0


def is_http2(answer: bytes) -> bool:
    return len(answer) == 9 and answer[3] == SETTINGS


def empty_call(port: int, authority: Authority, client=None) -> grpc.StatusCode:
    with connect(port, authority, client) as channel:
        try:
            stubs.TestServiceStub(channel).EmptyCall(messages.Empty(), timeout=TIMEOUT_SECONDS)
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()


# Mutual TLS.


def test_our_server_asks_for_a_certificate_of_its_client_authority(start, authority, identity, stranger):
    server = start(identity, "--client-ca", authority.certificate)
    assert empty_call(server.port, authority) == grpc.StatusCode.UNAVAILABLE
    assert empty_call(server.port, authority, stranger.client("intruder")) == grpc.StatusCode.UNAVAILABLE
    assert empty_call(server.port, authority, authority.client("late", expired=True)) == grpc.StatusCode.UNAVAILABLE
    assert empty_call(server.port, authority, authority.client("friend")) == grpc.StatusCode.OK


@pytest.mark.parametrize("server", ["ours", "grpcio"])
def test_our_client_shows_its_certificate(server, start, authority, identity, stranger, run_client):
    with contextlib.ExitStack() as running:
        if server == "ours":
            port = start(identity, "--client-ca", authority.certificate).port
        else:
            port = running.enter_context(
                interop_service.Service(identity, authority, requires_client_certificate=True)).port
        trust = ["--tls", "--ca", authority.certificate]
        friend, intruder = authority.client("friend"), stranger.client("intruder")
        without = run_client(CASE, port, *trust)
        assert (without.returncode, "UNAVAILABLE" in without.stderr) == (1, True), without.stderr
        wrong = run_client(CASE, port, *trust, "--certificate", intruder.certificate, "--key", intruder.key)
        assert (wrong.returncode, "UNAVAILABLE" in wrong.stderr) == (1, True), wrong.stderr
        right = run_client(CASE, port, *trust, "--certificate", friend.certificate, "--key", friend.key)
        assert right.returncode == 0, right.stderr


# Whom our client believes.


@pytest.mark.parametrize("flaw", ["name", "authority", "time"])
def test_our_client_refuses_a_server(flaw, authority, stranger, run_client):
    signer = stranger if flaw == "authority" else authority
    names = ("other.example",) if flaw == "name" else ("localhost", "127.0.0.1")
    identity = signer.server(f"wrong-{flaw}", names, expired=flaw == "time")
    with interop_service.Service(identity, signer) as service:
        outcome = run_client(CASE, service.port, "--tls", "--ca", authority.certificate)
        assert outcome.returncode == 1
        assert "UNAVAILABLE" in outcome.stderr
        # The flaw is the only reason: a client that does not look is served.
        unchecked = run_client(CASE, service.port, "--tls")
        assert unchecked.returncode == 0, unchecked.stderr


def test_our_client_takes_the_name_it_is_told_to_expect(authority, run_client):
    identity = authority.server("named", ("other.example",))
    with interop_service.Service(identity, authority) as service:
        trust = ["--tls", "--ca", authority.certificate, "--server-name"]
        assert run_client(CASE, service.port, *trust, "other.example").returncode == 0
        assert run_client(CASE, service.port, *trust, "another.example").returncode == 1


def test_our_client_says_when_it_checks_no_certificate(peer, run_client):
    if peer.authority:
        outcome = run_client(CASE, peer.port, "--tls")
        assert (outcome.returncode, "any certificate" in outcome.stderr) == (0, True), outcome.stderr
    else:
        outcome = run_client(CASE, peer.port, "--tls")
        assert outcome.returncode == 1, "a server without TLS passes for one with it"


def test_a_certificate_that_our_server_made_itself_is_good_for_loopback(binaries, tmp_path, run_client):
    with OurServer(binaries, "--tls") as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as raw:
            with context.wrap_socket(raw) as connection:
                certificate = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
        authority = Authority(tmp_path)
        authority.certificate.write_text(certificate)
        assert empty_call(server.port, authority) == grpc.StatusCode.OK
        for host in ("127.0.0.1", "localhost"):
            outcome = run_client(CASE, server.port, "--tls", "--ca", authority.certificate, "--host", host)
            assert outcome.returncode == 0, outcome.stderr


# ALPN.


def test_our_server_speaks_to_clients_that_chose_h2_alone(start, authority, identity):
    server = start(identity)
    assert greeting(server.port, client_context(authority, protocols=()))[0] == b""
    assert greeting(server.port, client_context(authority, protocols=("http/1.1",)))[0] == b""
    assert is_http2(greeting(server.port, client_context(authority, protocols=("http/1.1", "h2")))[0])
    assert is_http2(greeting(server.port, client_context(authority))[0])


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)], ids=["none", "http1"])
def test_our_client_speaks_to_servers_that_chose_h2_alone(protocols, authority, identity, run_client):
    """The server behind it is a good one: through the same socket with ALPN h2 the case passes."""
    with interop_service.Service() as service:
        for chosen, expected in ((protocols, 1), (("h2",), 0)):
            with tls_front(server_context(identity, chosen), service.port) as port:
                outcome = run_client(CASE, port, "--tls", "--ca", authority.certificate)
                assert outcome.returncode == expected, outcome.stderr


@contextlib.contextmanager
def tls_front(context: ssl.SSLContext, target_port: int):
    """Ends TLS on a port of its own, and passes bytes on to another."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(raw):
        with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as client:
            with socket.create_connection(("127.0.0.1", target_port)) as server:
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(TIMEOUT_SECONDS)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    # Wakes accept(), which closing alone does not.
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


# Certificates that change on disk.


def serial_served(port: int, authority: Authority) -> int:
    answer, serial = greeting(port, client_context(authority))
    assert is_http2(answer)
    return serial


def test_a_new_certificate_on_disk_is_used_for_new_connections(start, authority):
    identity, successor = authority.server("first"), authority.server("second")
    first, second = identity.serial, successor.serial
    server = start(identity)
    assert serial_served(server.port, authority) == first
    with connect(server.port, authority) as channel:
        stub = stubs.TestServiceStub(channel)
        requests = _Requests()
        answers = stub.FullDuplexCall(requests, timeout=60)
        requests.send(9)
        assert len(next(answers).payload.body) == 9
        identity.replace(successor)
        wait_until("the new certificate", lambda: serial_served(server.port, authority) == second, TIMEOUT_SECONDS)
        # The call on the old connection goes on.
        requests.send(10)
        assert len(next(answers).payload.body) == 10
        requests.end()
        assert list(answers) == []
    assert empty_call(server.port, authority) == grpc.StatusCode.OK


def test_a_client_authority_on_disk_is_exchanged_for_new_connections(start, authority, identity, stranger, tmp_path):
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(authority.certificate.read_bytes())
    server = start(identity, "--client-ca", trusted)
    newcomer = stranger.client("newcomer")
    assert empty_call(server.port, authority, newcomer) == grpc.StatusCode.UNAVAILABLE
    trusted.write_bytes(stranger.certificate.read_bytes())
    let_in = lambda: empty_call(server.port, authority, newcomer) == grpc.StatusCode.OK  # noqa: E731
    wait_until("the new authority", let_in, TIMEOUT_SECONDS)
    assert empty_call(server.port, authority, authority.client("former")) == grpc.StatusCode.UNAVAILABLE


def test_a_broken_certificate_on_disk_leaves_the_old_one_in_use(start, authority):
    """The server says so, and takes the next good one."""
    identity, successor = authority.server("first"), authority.server("second")
    first, second = identity.serial, successor.serial
    server = start(identity)
    identity.certificate.write_text("-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n")

    def told() -> bool:
        assert serial_served(server.port, authority) == first
        return "Certificates are as before" in server.errors()

    wait_until("the server's word on the broken file", told, TIMEOUT_SECONDS)
    identity.replace(successor)
    wait_until("the good certificate", lambda: serial_served(server.port, authority) == second, TIMEOUT_SECONDS)


def test_our_server_does_not_start_with_a_key_that_is_not_the_certificates(start, authority, identity):
    with pytest.raises(RuntimeError):
        start(type(identity)(identity.certificate, authority.server("other").key))


class _Requests:
    """Requests of a duplex call, sent when the test says so."""

    def __init__(self):
        self._sizes: list[int | None] = []
        self._changed = threading.Condition()

    def send(self, size: int) -> None:
        self._put(size)

    def end(self) -> None:
        self._put(None)

    def _put(self, item: int | None) -> None:
        with self._changed:
            self._sizes.append(item)
            self._changed.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self._changed:
            self._changed.wait_for(lambda: self._sizes, TIMEOUT_SECONDS)
            size = self._sizes.pop(0)
        if size is None:
            raise StopIteration
        return messages.StreamingOutputCallRequest(
            response_parameters=[messages.ResponseParameters(size=size)])
