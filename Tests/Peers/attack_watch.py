"""Watches over a server that is attacked: its memory, its processor time, and a caller that behaves and must be served
all the time."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
import threading
import time

import grpc

from contract import compile_protos
from http2_frames import Peer

messages, stubs = compile_protos(pathlib.Path(__file__).parent / "interop", ["test.proto"])

MIB = 1 << 20
MAX_GROWTH_BYTES = 32 * MIB  # of the server's resident memory at its highest, against what it was before the attack
MAX_CPU_SECONDS = 5  # of one attack; the server may be a debug build
SERVED_WITHIN_SECONDS = 2  # a call of the caller that behaves
CALLS_BEFORE, CALLS_AFTERWARDS = 20, 20
REST_WITHIN_SECONDS = 3
REST_SHARE = 0.25  # of one processor
SAMPLE_SECONDS = 0.1

EMPTY_CALL = "/grpc.testing.TestService/EmptyCall"


class Victim:
    """A server, as the system sees it."""

    def __init__(self, binaries: pathlib.Path, *options: str):
        self._errors = tempfile.TemporaryFile("w+")  # no pipe: a server that complains a lot must not wait for us
        self.process = subprocess.Popen(
            [binaries / "rpc-interop-server", *options], stdout=subprocess.PIPE, stderr=self._errors, text=True)
        port = self.process.stdout.readline().strip()
        if not port:
            self.stop()
            raise AssertionError(f"the server did not start: {self.complaints()}")
        self.port = int(port)

    def complaints(self) -> str:
        self._errors.seek(0)
        return self._errors.read(2000)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def memory(self, line: str) -> int:
        """VmRSS: resident now; VmHWM: at the highest."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(line + ":")[1].split()[0]) << 10

    def forget_highest(self) -> None:
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu_seconds(self) -> float:
        # The fields after the command's name, which may hold spaces: proc_pid_stat(5), 14 and 15.
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self) -> int:
        return len(list(pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def comes_to_rest(self) -> bool:
        deadline = time.monotonic() + REST_WITHIN_SECONDS
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(SAMPLE_SECONDS)
            if self.cpu_seconds() - before <= REST_SHARE * SAMPLE_SECONDS:
                return True
        return False


class Customer:
    """A caller that behaves, one call after another."""

    def __init__(self, port: int):
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub = stubs.TestServiceStub(self._channel)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.served, self.slowest, self.failure = 0, 0.0, None

    def call(self) -> None:
        started = time.monotonic()
        answer = self._stub.UnaryCall(messages.SimpleRequest(response_size=1000), timeout=SERVED_WITHIN_SECONDS)
        assert len(answer.payload.body) == 1000
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.served += 1

    def start(self) -> None:
        self.served, self.slowest = 0, 0.0
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.005) and self.failure is None:
            try:
                self.call()
            except (grpc.RpcError, AssertionError) as error:
                self.failure = f"{error!r} after {self.served} calls"

    def await_more(self, calls: int) -> None:
        """Until it was served so many times again, or a call failed, which has a deadline."""
        enough = self.served + calls
        while self.served < enough and self.failure is None:
            time.sleep(0.005)

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._channel.close()


@contextlib.contextmanager
def under_attack(binaries: pathlib.Path, *options: str, growth: int = MAX_GROWTH_BYTES):
    """Starts a server with options, and holds it to the bounds while the attack runs and after it."""
    victim = Victim(binaries, *options)
    customer = Customer(victim.port)
    try:
        for _ in range(CALLS_BEFORE):
            customer.call()  # what a first call loads is no growth
        with Peer(victim.port) as peer:
            peer.send(peer.request(1, EMPTY_CALL))
            peer.answer(1)
        victim.forget_highest()
        before, cpu = victim.memory("VmRSS"), victim.cpu_seconds()
        customer.start()
        yield victim
        customer.await_more(CALLS_AFTERWARDS)
        customer.stop()
        rests = victim.comes_to_rest()
        grown, cpu = victim.memory("VmHWM") - before, victim.cpu_seconds() - cpu
        print(f"memory grew by {grown / MIB:.1f} MiB, {cpu:.2f} s of CPU, "
              f"{customer.served} calls served, the slowest in {customer.slowest * 1000:.0f} ms")
        assert customer.failure is None, f"the caller that behaves: {customer.failure}"
        assert rests, "the attack is over and the server still works"
        assert grown <= growth, f"memory grew by {grown / MIB:.1f} MiB"
        assert cpu <= MAX_CPU_SECONDS, f"{cpu:.1f} s of CPU"
        assert victim.process.poll() is None, f"the server has ended: {victim.complaints()}"
    finally:
        customer.stop()
        victim.stop()
