"""What the gateway adds to the calls that it puts together, and what an open event stream costs.

Standard library only. Eight clients ask for the dashboard and, as often, for each of its parts by itself, in turn; then event
streams are opened and held. The bars: the dashboard's median at most 1.5 times that of its slowest part, and 5,000 event streams
for less than 200 MB in all services together.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))
import servers  # noqa: E402

CLIENTS = 8
SECONDS = 15
RATIO_BAR = 1.5
STREAMS = 5000
STREAMS_BAR_BYTES = 200_000_000
DELIVERIES = 40
DASHBOARD = "/api/v1/dashboard"
# What a dashboard is made of, each by itself.
PARTS = ["/api/v1/me", "/api/v1/deliveries?status=DELIVERY_STATUS_RUNNING&pageSize=20", "/api/v1/deliveries?pageSize=10", "/api/v1/connections",
         "/api/v1/destinations", "/api/v1/notifications?unreadOnly=true"]
SERVICES = ["gateway", "auth", "ticketing", "storage-broker", "transfer", "notification", "assist"]
PASSWORD = "correct horse battery staple 42"
TIMEOUT_SECONDS = 60
RESULT = ROOT / ".build/bench/gateway.json"


class System:
    """A FileFerry that has delivered something, and who is signed in to it."""

    def __init__(self, binaries: pathlib.Path, directory: pathlib.Path):
        self.ferry, self.directory = binaries / "ferry", directory
        self.deliveries: list[str] = []
        self.streams: list[socket.socket] = []
        base, *_, self.http = servers.free_ports(8, consecutive=True)
        self.environment = dict(os.environ, FERRY_SERVER=f"127.0.0.1:{base}", FERRY_HOME=str(directory / "home"))
        password = directory / "password"
        password.touch(0o600)
        password.write_text(PASSWORD)
        self.up = subprocess.Popen(
            [self.ferry, "up", "--data", directory / "data", "--base-port", str(base), "--http-port", str(self.http),
             "--first-admin-password-file", password], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.up.stdout:
            if line.startswith("FileFerry is ready"):
                break
        else:
            raise SystemExit("ferry up ended before it was ready")
        self.command("login", "--user", "admin", "--password-file", password)
        self.token = json.loads((directory / "home/session.json").read_text())["accessToken"]

    def command(self, *arguments) -> str:
        ended = subprocess.run(
            [self.ferry, *map(str, arguments)], env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        if ended.returncode != 0:
            raise SystemExit(f"ferry {' '.join(map(str, arguments[:2]))}: {(ended.stdout + ended.stderr).strip()[-400:]}")
        return ended.stdout

    def fill(self) -> None:
        """Connections, destinations, and deliveries to a server that is away, which are paused: there is always more to come of
        them."""
        root = self.directory / "buckets"
        (root / "exports").mkdir(parents=True)
        (root / "exports" / "report.csv").write_text("a,b\n")
        self.command("connection", "add", "default", "--provider", "folder", "--root", root)
        port = servers.free_ports(1)[0]
        for number in range(5):
            self.command("destination", "add", f"partner-{number}", f"sftp://user@127.0.0.1:{port}/in", "--accept-new-host-key",
                         "--password-file", self.directory / "password")
        for number in range(DELIVERIES):
            said = self.command("deliver", "s3://exports/report.csv", f"partner-{number % 5}", "--title", f"Report {number}")
            self.deliveries.append(re.search(r"dlv_\w+", said)[0])
            self.command("pause", self.deliveries[-1])

    def resident_bytes(self) -> dict[str, int]:
        found = {}
        for name in SERVICES:
            pid = int((self.directory / "data/run" / f"{name}.pid").read_text())
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            found[name] = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
        return found

    def stop(self) -> None:
        self.up.terminate()
        self.up.wait(timeout=TIMEOUT_SECONDS)


def client(port: int, token: str, seed: int, results) -> None:
    """Asks for all paths in turn over one connection, beginning at another one than its neighbours."""
    paths = [DASHBOARD, *PARTS]
    paths = paths[seed % len(paths):] + paths[:seed % len(paths)]
    headers = {"Authorization": f"Bearer {token}"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    took = {path: [] for path in paths}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for path in paths:
            began = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            took[path].append(time.perf_counter() - began)
            if answer.status != 200:
                results.put((path, answer.status, body[:300]))
                return
    results.put(took)


def measure_dashboard(system: System) -> dict[str, float]:
    """Median seconds of each path."""
    results = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=client, args=(system.http, system.token, number, results))
                 for number in range(CLIENTS)]
    for process in processes:
        process.start()
    took: dict[str, list[float]] = {}
    for _ in processes:
        one = results.get(timeout=SECONDS + TIMEOUT_SECONDS)
        if not isinstance(one, dict):
            raise SystemExit(f"{one[0]} was answered with {one[1]}: {one[2]!r}")
        for path, seconds in one.items():
            took.setdefault(path, []).extend(seconds)
    for process in processes:
        process.join()
    return {path: statistics.median(took[path]) for path in [DASHBOARD, *PARTS]}


def open_streams(system: System) -> tuple[int, str]:
    """Opens event streams of all deliveries until there are enough or one is refused: how many are open, and the refusal."""
    for number in range(STREAMS):
        delivery = system.deliveries[number % DELIVERIES]
        request = (f"GET /api/v1/deliveries/{delivery}/events HTTP/1.1\r\nHost: 127.0.0.1:{system.http}\r\n"
                   f"Authorization: Bearer {system.token}\r\nAccept: text/event-stream\r\n\r\n").encode()
        stream = socket.create_connection(("127.0.0.1", system.http), timeout=TIMEOUT_SECONDS)
        stream.sendall(request)
        head = stream.recv(4096)
        if not head.startswith(b"HTTP/1.1 200"):
            return number, head.split(b"\r\n")[0].decode(errors="replace")
        system.streams.append(stream)
    return STREAMS, ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench gateway", description=__doc__.splitlines()[0])
    parser.parse_args()
    binaries = pathlib.Path(os.environ.get("FERRY_BIN_DIR", ROOT / ".build/release")).resolve()
    if not (binaries / "ferry").exists():
        print(f"No programs in {binaries}. Build them first: swift build -c release --static-swift-stdlib", file=sys.stderr)
        return 1
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda caught, _: sys.exit(128 + caught))
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fileferry-bench-"))
    system = System(binaries, directory)
    try:
        system.fill()
        medians = measure_dashboard(system)
        before = system.resident_bytes()
        opened, refusal = open_streams(system)
        time.sleep(2)
        after = system.resident_bytes()
    finally:
        system.stop()
        shutil.rmtree(directory)
    slowest = max(PARTS, key=lambda path: medians[path])
    ratio = medians[DASHBOARD] / medians[slowest]
    cost = sum(after.values()) - sum(before.values())
    print(f"{'call':<64}{'median ms':>10}")
    for path, seconds in medians.items():
        print(f"{path:<64}{seconds * 1000:>10.2f}")
    print(f"dashboard as part of its slowest call: {ratio:.2f}   bar: {RATIO_BAR}")
    print(f"{opened} event streams cost {cost / 1e6:.1f} MB"
          + (f", then one was refused: {refusal}" if refusal else "")
          + f"   bar: {STREAMS} for less than {STREAMS_BAR_BYTES / 1e6:.0f}")
    passed = ratio <= RATIO_BAR and opened == STREAMS and cost < STREAMS_BAR_BYTES
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({
        "bench": "gateway", "passed": passed, "median_seconds": medians, "dashboard_ratio": ratio,
        "dashboard_ratio_bar": RATIO_BAR, "streams": opened, "streams_wanted": STREAMS, "streams_cost_bytes": cost,
        "streams_bar_bytes": STREAMS_BAR_BYTES, "refusal": refusal}, indent=2) + "\n")
    print(f"{'PASSED' if passed else 'MISSED'}: {RESULT.relative_to(ROOT)}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
