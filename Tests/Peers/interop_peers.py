"""Our programs of the interoperability tests as processes, and the peers that a client can be let loose on."""
import dataclasses
import pathlib
import signal
import subprocess
import tempfile

import grpc

from certificates import Authority, Identity
from wire_witness import Witness

STOP_SECONDS = 15


class OurServer:
    """rpc-interop-server on a free port, with `options` on its command line."""

    def __init__(self, binaries: pathlib.Path, *options):
        self._command = [str(part) for part in (binaries / "rpc-interop-server", "--port", 0, *options)]

    def __enter__(self) -> "OurServer":
        self._errors = tempfile.TemporaryFile("a+")
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        line = self._process.stdout.readline().strip()
        if not line.isdecimal():
            self.__exit__()
            raise RuntimeError(f"{' '.join(self._command)} did not start")
        self.port = int(line)
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        # Into what pytest shows of a test that failed.
        print(self.errors(), end="")
        self._errors.close()

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(STOP_SECONDS)


@dataclasses.dataclass
class Peer:
    """A server with the test service, and the witness before it. Without an authority it speaks plaintext."""
    name: str
    port: int
    witness: Witness
    authority: Authority | None

    def channel(self, port: int | None = None, **options) -> grpc.Channel:
        return connect(port or self.port, self.authority, **options)


def connect(port: int, authority: Authority | None, client: Identity | None = None, **options) -> grpc.Channel:
    # Connections are not shared between channels, so that each test starts with one of its own.
    settings = [("grpc.use_local_subchannel_pool", 1), *((f"grpc.{key}", value) for key, value in options.items())]
    address = f"127.0.0.1:{port}"
    if authority is None:
        return grpc.insecure_channel(address, options=settings)
    key, certificate = (client.key.read_bytes(), client.certificate.read_bytes()) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes(), key, certificate)
    return grpc.secure_channel(address, credentials, options=settings)
