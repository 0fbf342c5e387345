"""Two hundred deliveries, each with faults drawn from its own seed: every file arrives right or not at all, and none is told
delivered that is not right.

A failed run prints its number and what was planned; FERRY_FAULT_RUNS="17 112" repeats these runs alone, one by one.
"""
import collections
import concurrent.futures
import hashlib
import os
import socket
import threading
import time
import traceback

import pytest

from conftest import SEED
from fault_plans import SCENARIOS, Run
from fault_proxy import TO_CLIENT, TO_SERVER, Fault, FaultProxy
from fault_runs import OLD, Outcome, World, check_file

RUNS, AT_ONCE = 200, 8
BATCH = len(SCENARIOS)
assert RUNS % BATCH == 0


# ---- The tools themselves


class Echo:
    """A server that says what it hears."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # stopped
            threading.Thread(target=self._say, args=(connection,), daemon=True).start()

    @staticmethod
    def _say(connection: socket.socket) -> None:
        with connection:
            try:
                while piece := connection.recv(1 << 16):
                    connection.sendall(piece)
            except OSError:
                pass  # cut, as the tests do

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def heard(port: int, said: bytes) -> tuple[bytes, bool]:
    """What came back, and whether the connection ended with RST."""
    got = bytearray()
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        try:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 16):
                got += piece
        except OSError:  # ECONNRESET, or ENOTCONN where the reset was there before the shutdown
            return bytes(got), True
    return bytes(got), False


@pytest.fixture
def through():
    """Starts a proxy before an echo, with these faults."""
    echo, proxies = Echo(), []

    def start(*faults: Fault, **options) -> FaultProxy:
        proxies.append(FaultProxy(echo.port, list(faults), **options))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.stop()
    echo.stop()


SAID = bytes(range(256)) * 256


@pytest.mark.parametrize("direction", [TO_SERVER, TO_CLIENT])
def test_the_proxy_does_what_its_faults_say(through, direction):
    assert heard(through().port, SAID) == (SAID, False)
    got, was_reset = heard(through(Fault("reset", direction, 1000)).port, SAID)
    assert was_reset and SAID.startswith(got) and len(got) < len(SAID)
    got, was_reset = heard(through(Fault("half-close", direction, 1000)).port, SAID)
    assert (got, was_reset) == (SAID[:1000], False)
    changed = SAID[:1000] + bytes([SAID[1000] ^ 0x20]) + SAID[1001:]
    assert heard(through(Fault("flip", direction, 1000)).port, SAID) == (changed, False)


def test_the_proxy_is_away_and_comes_back(through):
    came_back = threading.Event()
    proxy = through(Fault("away", TO_SERVER, 1000, 0.3), Fault("call", TO_SERVER, len(SAID) + 10), action=came_back.set)
    assert heard(proxy.port, SAID)[1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))
    while not came_back.is_set():
        try:
            assert heard(proxy.port, SAID) == (SAID, False)
        except ConnectionRefusedError:
            continue
    assert len(proxy.fired) == 2


def test_the_proxy_delays_stalls_and_limits(through):
    for least, proxy in [(0.1, through(delay_seconds=0.05)), (0.2, through(Fault("stall", TO_CLIENT, 1000, 0.2))),
                         (0.2, through(bytes_per_second=len(SAID) * 5))]:
        began = time.monotonic()
        assert heard(proxy.port, SAID) == (SAID, False)
        assert time.monotonic() - began >= least


@pytest.mark.parametrize("found, told, expected", [
    (b"right", True, 0), (b"wrong", True, 1), (None, True, 1), (b"righ", True, 1), (None, False, 0), (OLD, False, 0),
    (b"right", False, 0), (b"righ", False, 1), (b"", False, 1)])
def test_the_check_finds_what_is_not_right(tmp_path, found, told, expected):
    run = Run(0, "none", 0, 5, 0, True, False)
    file = tmp_path / "file"
    if found is not None:
        file.write_bytes(found)
    sha256 = hashlib.sha256(b"right").hexdigest()
    assert len(check_file(file, b"right", told, sha256, None, False, Outcome(run, None, []))) == expected
    if told:
        assert check_file(file, b"right", told, "0" * 64, None, False, Outcome(run, None, []))
        assert check_file(file, b"right", told, sha256, None, True, Outcome(run, None, [])), "no receipt, and it succeeded"


# ---- The runs


@pytest.fixture(scope="module")
def world(start_system, weed, sshd, tmp_path_factory):
    made = World(start_system, weed, sshd, tmp_path_factory.mktemp("faults"))
    yield made
    made.stop()


def attempt(world: World, number: int) -> Outcome | str:
    run = Run.draw(number, world.sets)
    try:
        return world.perform(run)
    except Exception:  # told with what was planned; the other runs go on
        return f"run {number} of seed {SEED}, {run}:\n{traceback.format_exc()}"


def assert_all_right(results: list) -> None:
    broken = [str(result) for result in results if isinstance(result, str) or result.wrong]
    assert not broken, f"{len(broken)} of {len(results)} runs broke the promise:\n\n" + "\n\n".join(broken)


def some_at_once(world, first: int) -> None:
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda number: attempt(world, number), range(first, first + BATCH)))
    outcomes = [result for result in results if not isinstance(result, str)]
    ends = collections.Counter(f"{outcome.status} {outcome.delivery.problem.code}".strip() for outcome in outcomes)
    came, planned = sum(outcome.came for outcome in outcomes), sum(outcome.run.planned for outcome in outcomes)
    untold = [(outcome.run.number, outcome.untold) for outcome in outcomes if outcome.untold]
    print(f"runs {first} to {first + BATCH - 1}: {dict(ends)}; {came} of {planned} faults came; right but untold: {untold}")
    assert_all_right(results)
    # Runs in which nothing happens would prove nothing.
    assert came >= planned / 2 and ends["succeeded"] >= BATCH / 4, "\n\n".join(map(str, outcomes))


def one_again(world, number: int) -> None:
    result = attempt(world, number)
    print(result)
    assert_all_right([result])


AGAIN = [int(number) for number in os.environ.get("FERRY_FAULT_RUNS", "").split()]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", AGAIN or range(0, RUNS, BATCH))
def test_every_file_is_right_or_absent_and_none_is_told_that_is_not_right(world, first):
    (one_again if AGAIN else some_at_once)(world, first)
