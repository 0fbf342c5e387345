"""RPC clients: ours to our server against C++ gRPC to its own, by the CPU time of both ends.

Each pair has CPU 0 for the server and CPU 1 for the client; pairs take turns in each round, and figures are medians
over the rounds. Both clients keep a number of echo calls outstanding and compare each answer with what they sent; both
send a token, a deadline and a trace context with each call. The C++ pair is the async API at both ends, on one
completion queue.

The bar: calls per CPU second of both ends together, 3 times C++'s at 100 bytes on 8 connections with 32 streams each.
"""
import argparse
import dataclasses
import json
import resource
import statistics
import subprocess
import sys

from peers import build, echo

RESULT = build.ROOT / ".build/bench/client.json"
ROUNDS, RUN_SECONDS = 3, 3.0
QUICK_ROUNDS, QUICK_RUN_SECONDS = 1, 0.7
TIMES_CPP_BAR = 3
EXIT_TIMEOUT_SECONDS = 30  # after the run, for the calls that are still out
PAIRS = {"ours": "FileFerry", "cpp-async": "C++ async"}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    size: int
    connections: int
    streams: int


CASES = [Case("100 B (8, 32)", 100, 8, 32), Case("100 B (1, 1)", 100, 1, 1), Case("10 KB (8, 32)", 10_000, 8, 32)]
JUDGED = CASES[0].name


@dataclasses.dataclass(frozen=True)
class Run:
    calls: int
    calls_per_second: float
    calls_per_cpu_second: float  # of both ends together
    client_cpu_us_per_call: float
    server_cpu_us_per_call: float
    mean_us: float
    p50_us: float
    p99_us: float


def run_pair(fleet: echo.Fleet, client, key: str, case: Case, seconds: float) -> Run:
    with fleet.running(key, echo.Call.say(case.size)) as server:
        command = [client, "--host", "127.0.0.1", "--port", server.port, "--connections", case.connections, "--streams",
                   case.streams, "--size", case.size, "--seconds", seconds, "--token", fleet.token]
        before, server_cpu = resource.getrusage(resource.RUSAGE_CHILDREN), server.cpu_seconds()
        ended = subprocess.run(
            echo.pinned(echo.LOAD_CPU, command), capture_output=True, text=True, timeout=seconds + EXIT_TIMEOUT_SECONDS)
        # The kernel's count of the client, not its own: the same for both.
        after, server_cpu = resource.getrusage(resource.RUSAGE_CHILDREN), server.cpu_seconds() - server_cpu
    if ended.returncode != 0:
        raise echo.BenchFailed(f"the client of {PAIRS[key]} failed at {case.name}: {ended.stderr.strip()}")
    try:
        told = json.loads(ended.stdout)
        calls, took = told["calls"], told["seconds"]
        latencies = [float(told[name]) for name in ("mean_us", "p50_us", "p99_us")]
    except (ValueError, KeyError, TypeError) as error:
        raise echo.BenchFailed(
            f"the client of {PAIRS[key]} should print one line of JSON: {ended.stdout[:200]}") from error
    if calls < case.connections * case.streams or took < seconds:
        raise echo.BenchFailed(f"the client of {PAIRS[key]} made only {calls} calls in {took} s at {case.name}")
    client_cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(
        calls, calls / took, calls / (client_cpu + server_cpu), client_cpu * 1e6 / calls, server_cpu * 1e6 / calls,
        *latencies)


def median_of(runs: list[Run]) -> Run:
    return Run(*(statistics.median(values) for values in zip(*map(dataclasses.astuple, runs))))


def print_table(figures: dict[tuple[str, str], Run], keys: list[str], cases: list[Case]) -> None:
    for case in cases:
        print(f"\n{case.name}")
        print(f"  {'pair':<14}{'calls/CPU s':>12}{'calls/s':>10}{'client us':>11}{'server us':>11}{'mean us':>10}"
              f"{'p50 us':>10}{'p99 us':>10}{'ours/it':>9}")
        ours = figures.get((case.name, "ours"))
        for key in keys:
            run = figures[case.name, key]
            ratio = f"{ours.calls_per_cpu_second / run.calls_per_cpu_second:.2f}" if ours else "-"
            print(f"  {PAIRS[key]:<14}{run.calls_per_cpu_second:>12,.0f}{run.calls_per_second:>10,.0f}"
                  f"{run.client_cpu_us_per_call:>11.2f}{run.server_cpu_us_per_call:>11.2f}{run.mean_us:>10,.0f}"
                  f"{run.p50_us:>10,.0f}{run.p99_us:>10,.0f}{ratio:>9}")


def measure(keys: list[str], rounds: int, seconds: float) -> dict[tuple[str, str], list[Run]]:
    """All runs, by case and pair."""
    clients = {}
    if "cpp-async" in keys:
        clients["cpp-async"] = build.build(["cpp-client"])["cpp-client"]
    if "ours" in keys:
        clients["ours"] = build.ours("rpc-bench-client")["rpc-bench-client"]
    fleet = echo.Fleet(keys)
    runs: dict[tuple[str, str], list[Run]] = {}
    for case in CASES:
        for _ in range(rounds):
            for key in keys:
                runs.setdefault((case.name, key), []).append(run_pair(fleet, clients[key], key, case, seconds))
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench client", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help=f"how often each case is run (default {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    # For who works on one pair. Then no bar is judged and no result written.
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    keys = options.only.split(",") if options.only else list(PAIRS)
    if unknown := set(keys) - set(PAIRS):
        parser.error(f"no pair is named {', '.join(unknown)}: {', '.join(PAIRS)}")
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    echo.end_on_signal()
    try:
        echo.need_two_cpus()
        runs = measure(keys, rounds, QUICK_RUN_SECONDS if options.quick else RUN_SECONDS)
    except (build.BuildFailed, echo.BenchFailed, echo.servers.ServerFailed, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    figures = {key: median_of(values) for key, values in runs.items()}
    print_table(figures, keys, CASES)
    if options.only:
        return 0
    ratio = figures[JUDGED, "ours"].calls_per_cpu_second / figures[JUDGED, "cpp-async"].calls_per_cpu_second
    passed = ratio >= TIMES_CPP_BAR
    print(f"\n{JUDGED}, calls per CPU second, times C++: {ratio:.2f}, at least {TIMES_CPP_BAR}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({
        "bench": "client", "passed": passed, "rounds": rounds, "times_cpp": round(ratio, 3),
        "times_cpp_bar": TIMES_CPP_BAR,
        "figures": [
            {"case": case, "pair": key} | dataclasses.asdict(median)
            | {"runs": [dataclasses.asdict(run) for run in runs[case, key]]}
            for (case, key), median in figures.items()]}, indent=2) + "\n")
    print(f"{'PASSED' if passed else 'MISSED'}: {RESULT.relative_to(build.ROOT)}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
