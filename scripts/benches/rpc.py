"""RPC servers side by side: ours, C++ gRPC, grpc-swift-2, and HTTP/2 alone (nghttpd).

Ours has the interceptors of a real service on: token check, metrics, deadline, trace context. The peers have none,
though they are sent the same headers.

Each server has CPU 0 to itself and h2load has CPU 1. Every case is run in rounds, all servers in each round, so that a
noisy minute falls on all alike; figures are medians over the rounds and only those of one run are compared.

The bars: 25 times grpc-swift-2's requests a second and 4 times C++'s at 100 bytes (8 connections, 32 streams), twice
C++'s at 10 KB, no slower than C++ one call at a time, under 64 MB resident at (50, 100). The goal beyond: level with
nghttpd.
"""
import argparse
import dataclasses
import json
import statistics
import subprocess
import sys

from peers import build, echo, load

RESULT = build.ROOT / ".build/bench/rpc.json"
ROUNDS, RUN_SECONDS = 5, 2.5
QUICK_ROUNDS, QUICK_RUN_SECONDS = 1, 0.5
FEED_MESSAGES, FEED_BYTES = 1000, 1024
MEMORY_BAR_MB = 64
CPP = ["cpp-async", "cpp-callback"]

SIZES = {"100 B": 100, "10 KB": 10_000}
CASES = [
    load.Case(f"echo {name} ({connections}, {streams})", echo.Call.say(size), connections, streams)
    for name, size in SIZES.items() for connections, streams in [(8, 32), (1, 1), (50, 100)]
] + [load.Case("stream 1 KiB (8, 4)", echo.Call.feed(FEED_MESSAGES, FEED_BYTES), 8, 4)]

Figures = dict[tuple[str, str], load.Run]  # by case and server


@dataclasses.dataclass(frozen=True)
class Bar:
    """One promise: a figure of ours and its limit."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def passed(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        return f"{'passed' if self.passed else 'MISSED'}  {self.name}: {self.value:.2f}, {word} {self.limit:g}"


def median_of(runs: list[load.Run]) -> load.Run:
    return load.Run(*(statistics.median(values) for values in zip(*map(dataclasses.astuple, runs))))


def progress(text: str) -> None:
    """What is being done, on one line that is written over; nothing where nobody looks on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def measure(fleet: echo.Fleet, keys: list[str], cases: list[load.Case], rounds: int, seconds: float) -> dict:
    """All runs, by case and server."""
    runs: dict[tuple[str, str], list[load.Run]] = {}
    for case in cases:
        for number in range(rounds):
            for key in keys:
                progress(f"{case.name}, round {number + 1} of {rounds}: {echo.NAMES[key]}")
                with fleet.running(key, case.call) as server:
                    runs.setdefault((case.name, key), []).append(load.measure(server, case, fleet.token, seconds))
    progress("")
    return runs


def print_table(figures: Figures, keys: list[str], cases: list[load.Case]) -> None:
    for case in cases:
        streams = case.call.messages > 1
        print(f"\n{case.name}")
        print(f"  {'server':<14}{'messages/s' if streams else 'requests/s':>12}{'CPU us/call':>13}{'busy %':>8}"
              f"{'mean us':>11}{'max us':>11}{'RSS MB':>8}{'most MB':>9}{'ours/it':>9}{'by CPU':>8}")
        ours = figures.get((case.name, "ours"))
        for key in keys:
            run = figures[case.name, key]
            ratio = f"{ours.requests_per_second / run.requests_per_second:.2f}" if ours else "-"
            by_cpu = f"{run.cpu_us_per_request / ours.cpu_us_per_request:.2f}" if ours else "-"
            print(f"  {echo.NAMES[key]:<14}{run.messages_per_second:>12,.0f}{run.cpu_us_per_request:>13.2f}"
                  f"{run.busy_percent:>8.0f}{run.mean_us:>11,.0f}{run.max_us:>11,.0f}{run.resident_bytes / 1e6:>8.1f}"
                  f"{run.resident_most_bytes / 1e6:>9.1f}{ratio:>9}{by_cpu:>8}")


def bars_of(figures: Figures) -> list[Bar]:
    def run(case: str, key: str) -> load.Run:
        return figures[case, key]

    def times(case: str, keys: list[str]) -> float:
        return run(case, "ours").requests_per_second / max(run(case, key).requests_per_second for key in keys)

    small, large = "echo 100 B (8, 32)", "echo 10 KB (8, 32)"
    bars = [
        Bar(f"{small}, times grpc-swift-2", times(small, ["grpc-swift"]), 25, True),
        Bar(f"{small}, times the better C++", times(small, CPP), 4, True),
        Bar(f"{large}, times the better C++", times(large, CPP), 2, True),
    ]
    for size in SIZES:
        one, many = f"echo {size} (1, 1)", f"echo {size} (50, 100)"
        latency = run(one, "ours").mean_us / min(run(one, key).mean_us for key in CPP)
        bars.append(Bar(f"{one}, mean latency as part of the better C++'s", latency, 1, False))
        memory = run(many, "ours").resident_most_bytes / 1e6
        bars.append(Bar(f"{many}, most resident MB", memory, MEMORY_BAR_MB, False))
    return bars


def write_result(figures: Figures, runs: dict, bars: list[Bar], rounds: int) -> None:
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({
        "bench": "rpc", "passed": all(bar.passed for bar in bars), "rounds": rounds,
        "bars": [dataclasses.asdict(bar) | {"passed": bar.passed} for bar in bars],
        "figures": [
            {"case": case, "server": key} | dataclasses.asdict(median)
            | {"runs": [dataclasses.asdict(run) for run in runs[case, key]]}
            for (case, key), median in figures.items()]}, indent=2) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench rpc", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help=f"how often each case is run (default {ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    # For who works on one server: some of them only, some cases only. Then no bar is judged and no result written.
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    keys = options.only.split(",") if options.only else list(echo.NAMES)
    if unknown := set(keys) - set(echo.NAMES):
        parser.error(f"no server is named {', '.join(unknown)}: {', '.join(echo.NAMES)}")
    cases = [case for case in CASES if (options.case or "") in case.name]
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    echo.end_on_signal()
    try:
        echo.need_two_cpus()
        fleet = echo.Fleet(keys)
        runs = measure(fleet, keys, cases, rounds, QUICK_RUN_SECONDS if options.quick else RUN_SECONDS)
    except (build.BuildFailed, echo.BenchFailed, echo.servers.ServerFailed, subprocess.SubprocessError) as error:
        print(f"\nFAILED: {error}", file=sys.stderr)
        return 1
    figures = {key: median_of(values) for key, values in runs.items()}
    print_table(figures, keys, cases)
    if options.only or options.case:
        return 0
    bars = bars_of(figures)
    print()
    for bar in bars:
        print(bar)
    small = "echo 100 B (8, 32)"
    goal = figures[small, "ours"].requests_per_second / figures[small, "nghttpd"].requests_per_second
    print(f"goal    {small}, times nghttpd: {goal:.2f}, level is 1")
    write_result(figures, runs, bars, rounds)
    passed = all(bar.passed for bar in bars)
    print(f"{'PASSED' if passed else 'MISSED'}: {RESULT.relative_to(build.ROOT)}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
