"""The echo servers that the RPC benches measure, ours and the peers: their start on a core of their own, their CPU and
memory, and one real call before any load, so that a fast error cannot pass for speed.
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lib"))
import servers  # noqa: E402

from peers import build  # noqa: E402

SERVER_CPU = 0
LOAD_CPU = 1
CALL_TIMEOUT_SECONDS = 10
# What a caller of a real service sends with each call. All servers get the same, whether they look at it or not.
TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
GRPC_TIMEOUT = "10S"
# As long as a token of ours: for runs in which ours takes no part and so gives none.
TOKEN_OF_NOBODY = "eyJhbGciOiJFUzI1NiJ9." + "n" * 240 + "." + "n" * 86
UNAUTHENTICATED = 16

NAMES = {"ours": "FileFerry", "cpp-async": "C++ async", "cpp-callback": "C++ callback", "grpc-swift": "grpc-swift-2",
         "nghttpd": "nghttpd"}


class BenchFailed(Exception):
    """A figure could not be had; the text says why."""


def pinned(cpu: int, command: list) -> list[str]:
    return ["taskset", "-c", str(cpu), *(str(word) for word in command)]


def need_two_cpus() -> None:
    if not {SERVER_CPU, LOAD_CPU} <= os.sched_getaffinity(0):
        raise BenchFailed(f"CPUs {SERVER_CPU} and {LOAD_CPU} are needed, one for the server and one for the load")


def end_on_signal() -> None:
    """Makes a request to end run every `finally`, so that no server is left behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))


def varint(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def frame(message: bytes) -> bytes:
    """A message as gRPC sends it: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message


def payload_message(payload: bytes) -> bytes:
    return b"\x0a" + varint(len(payload)) + payload


@dataclasses.dataclass(frozen=True)
class Call:
    """A call to bench.Echo: what is sent, and how the answer must look."""

    method: str
    body: bytes
    answer: bytes  # of a stream, only the lengths in it are binding
    messages: int = 1

    @staticmethod
    def say(size: int) -> "Call":
        body = frame(payload_message(bytes(index & 0xFF for index in range(size))))
        return Call("Say", body, body)

    @staticmethod
    def feed(count: int, size: int) -> "Call":
        body = frame(b"\x08" + varint(count) + b"\x10" + varint(size))
        return Call("Feed", body, frame(payload_message(b"f" * size)) * count, count)

    @property
    def path(self) -> str:
        return f"bench.Echo/{self.method}"

    def accepts(self, answer: bytes) -> bool:
        if self.method == "Say":
            return answer == self.answer
        length = len(self.answer) // self.messages
        head = self.answer[:length - self.answer[:length].count(b"f")]
        return len(answer) == len(self.answer) and all(
            answer.startswith(head, start) for start in range(0, len(answer), length))


class EchoServer(servers.Program):
    """One server on its own core, for one call's worth of measuring."""

    def __init__(self, key: str, command: list, port: int | None, directory: pathlib.Path):
        super().__init__(key, directory)
        self.key = key
        self.command = command
        self.port = port
        self.token: str | None = None

    def start(self) -> "EchoServer":
        self.launch(pinned(SERVER_CPU, self.command))
        self.await_ready(self._listens)
        return self

    def _listens(self) -> bool:
        if self.port is None:
            line, newline, _ = self.log.read_text(errors="replace").partition("\n")
            if not newline:
                return False
            try:
                told = json.loads(line)
                self.port, self.token = told["port"], told.get("token")
            except (ValueError, KeyError, TypeError) as error:
                raise BenchFailed(f"{self.key} should print {{\"port\": N}} first; it printed: {line[:200]}") from error
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def cpu_seconds(self) -> float:
        """User and system time of all its threads."""
        fields = self._read("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_bytes(self) -> tuple[int, int]:
        """Resident now, and the most it ever was."""
        values = dict(line.split(":", 1) for line in self._read("status").splitlines())
        return tuple(int(values[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))

    def _read(self, name: str) -> str:
        if self.process.poll() is not None:
            raise BenchFailed(f"{NAMES[self.key]} ended with {self.process.returncode}: {self.log_end()}")
        return pathlib.Path(f"/proc/{self.process.pid}/{name}").read_text()

    def url(self, call: Call) -> str:
        return f"http://127.0.0.1:{self.port}/{call.path}"

    def check(self, call: Call, token: str) -> None:
        """One call by curl: the right answer with grpc-status 0. Ours must also refuse a token that is not its own."""
        status, answer = self._call(call, token)
        wanted = None if self.key == "nghttpd" else 0  # HTTP/2 alone knows no gRPC
        if status != wanted or not call.accepts(answer):
            raise BenchFailed(
                f"{NAMES[self.key]} does not answer {call.method} as it must: grpc-status {status} and {len(answer)} "
                f"bytes, where {len(call.answer)} were due")
        if self.key == "ours":
            status = self._refusal(call, TOKEN_OF_NOBODY)
            if status != UNAUTHENTICATED:
                raise BenchFailed(
                    f"{NAMES[self.key]} must refuse a token of nobody with grpc-status {UNAUTHENTICATED}, and it gave "
                    f"{status}")

    def _refusal(self, call: Call, token: str) -> int | None:
        """The grpc-status of a call that may be answered before all of it is sent, which curl takes for a fault."""
        body = self.directory / "refused"
        body.write_bytes(call.body)
        command = ["nghttp", "--verbose", "--null-out", "--timeout", CALL_TIMEOUT_SECONDS, "--data", body]
        for header in request_headers(token):
            command += ["--header", header]
        told = subprocess.run([*map(str, command), self.url(call)], capture_output=True).stdout
        status = re.search(rb"recv \(stream_id=\d+\) grpc-status: (\d+)", told)
        return int(status[1]) if status else None

    def _call(self, call: Call, token: str) -> tuple[int | None, bytes]:
        headers, answer = self.directory / "headers", self.directory / "answer"
        answer.unlink(missing_ok=True)
        command = ["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--noproxy", "*", "--max-time",
                   str(CALL_TIMEOUT_SECONDS), "--data-binary", "@-", "--dump-header", headers, "--output", answer]
        for header in request_headers(token):
            command += ["--header", header]
        ended = subprocess.run([*command, self.url(call)], input=call.body, capture_output=True)
        if ended.returncode != 0:
            raise BenchFailed(f"{NAMES[self.key]} cannot be called: {ended.stderr.decode().strip()}")
        status = None
        lines = headers.read_text(errors="replace").splitlines()
        if " 200" not in lines[0]:
            raise BenchFailed(f"{NAMES[self.key]} answered a call with {lines[0]}")
        for line in lines:
            if line.lower().startswith("grpc-status:"):
                status = int(line.split(":", 1)[1])
        return status, answer.read_bytes() if answer.exists() else b""


def request_headers(token: str) -> list[str]:
    return ["content-type: application/grpc", "te: trailers", f"authorization: Bearer {token}",
            f"traceparent: {TRACE_PARENT}", f"grpc-timeout: {GRPC_TIMEOUT}"]


class Fleet:
    """Starts any of the servers, each time anew; remembers the token that ours gave last, which all are sent."""

    def __init__(self, keys: list[str]):
        peers = []
        if "cpp-async" in keys or "cpp-callback" in keys:
            peers.append("cpp-server")
        if "grpc-swift" in keys:
            peers.append("grpc-swift")
        programs = build.build(peers)
        if "ours" in keys:
            programs |= build.ours("rpc-bench-server")
        self.programs = programs
        self.token = TOKEN_OF_NOBODY

    @contextlib.contextmanager
    def running(self, key: str, call: Call):
        """The server, ready and checked; it is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="fileferry-bench-") as place:
            directory = pathlib.Path(place)
            server = EchoServer(key, *self._command(key, call, directory), directory)
            try:
                server.start()
                self.token = server.token or self.token
                server.check(call, self.token)
                yield server
            finally:
                server.stop()

    def _command(self, key: str, call: Call, directory: pathlib.Path) -> tuple[list, int | None]:
        """The program with its arguments, and the port when it takes one that was chosen for it."""
        if key == "ours":
            return [self.programs["rpc-bench-server"], "--port", "0", "--threads", "1"], None
        if key.startswith("cpp-"):
            return [self.programs["cpp-server"], key.removeprefix("cpp-"), "0"], None
        if key == "grpc-swift":
            return [self.programs["grpc-swift"], "0"], None
        # A file of just the answer's size: what HTTP/2 costs with no gRPC, no message and no handler.
        page = directory / "pages" / call.path
        page.parent.mkdir(parents=True)
        page.write_bytes(call.answer)
        port = servers.free_ports(1)[0]
        options = ["--no-tls", "--workers=1", "--address=127.0.0.1", f"--htdocs={directory / 'pages'}"]
        return ["nghttpd", *options, port], port
