"""One load of calls on a server by h2load, from a core of its own: every call must have been answered in full."""
import dataclasses
import re
import subprocess
import time

from peers import echo

RUN_TIMEOUT_SECONDS = 120
WARM_UP_PART = 0.15  # of a run's time
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    call: echo.Call
    connections: int
    streams: int


@dataclasses.dataclass(frozen=True)
class Run:
    """What one load told, of the server and of its callers."""

    requests: int
    requests_per_second: float
    messages_per_second: float
    cpu_us_per_request: float
    busy_percent: float  # of the server's core; far below 100 the load was the limit
    mean_us: float
    max_us: float
    resident_bytes: int
    resident_most_bytes: int


def microseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def measure(server: echo.EchoServer, case: Case, token: str, seconds: float) -> Run:
    """Finds out how many calls the server does in the time, and then measures as many."""
    requests = case.connections * case.streams
    trial = _run(server, case, token, requests)
    warm_up = _run(server, case, token, max(requests, int(trial.requests_per_second * seconds * WARM_UP_PART)))
    return _run(server, case, token, max(requests, int(warm_up.requests_per_second * seconds)))


def _run(server: echo.EchoServer, case: Case, token: str, requests: int) -> Run:
    body = server.directory / "body"
    body.write_bytes(case.call.body)
    command = ["h2load", "--requests", requests, "--clients", case.connections, "--max-concurrent-streams",
               case.streams, "--data", body]
    for header in echo.request_headers(token):
        command += ["--header", header]
    who = f"{echo.NAMES[server.key]}, {case.name}"
    cpu, began = server.cpu_seconds(), time.monotonic()
    try:
        ended = subprocess.run(
            echo.pinned(echo.LOAD_CPU, [*command, server.url(case.call)]), capture_output=True, text=True,
            timeout=RUN_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise echo.BenchFailed(f"{who}: {requests} calls took over {RUN_TIMEOUT_SECONDS} s") from error
    took, cpu = time.monotonic() - began, server.cpu_seconds() - cpu
    told = ended.stdout
    succeeded = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", told)
    codes = re.search(r"status codes: (\d+) 2xx", told)
    data = re.search(r"\((\d+)\) data", told)
    rate = re.search(r"finished in [^,]+, ([\d.]+) req/s", told)
    latency = re.search(r"time for request: +(\S+) +(\S+) +(\S+)", told)
    if ended.returncode != 0 or not (succeeded and codes and data and rate and latency):
        raise echo.BenchFailed(f"{who}: h2load failed:\n{told}{ended.stderr}")
    if [int(number) for number in succeeded.groups()] != [requests, 0, 0, 0] or int(codes[1]) != requests:
        raise echo.BenchFailed(f"{who}: not all of {requests} calls succeeded:\n{told}")
    due = requests * len(case.call.answer)
    if int(data[1]) != due:
        raise echo.BenchFailed(f"{who}: {data[1]} bytes of answers came where {due} were due")
    resident, most = server.memory_bytes()
    return Run(
        requests, float(rate[1]), float(rate[1]) * case.call.messages, cpu * 1e6 / requests, 100 * cpu / took,
        microseconds(latency[3]), microseconds(latency[2]), resident, most)
