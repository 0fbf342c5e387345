"""How soon all seven services answer after `ferry up`, and what memory they hold at rest.

Standard library only. The bars: ready within 2 s, less than 200 MB resident in all seven together.
"""
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))
import servers  # noqa: E402

RUNS = 5
READY_BAR_SECONDS = 2.0
MEMORY_BAR_BYTES = 200_000_000
REST_SECONDS = 2  # after readiness, so that what only the start needs is gone
TIMEOUT_SECONDS = 60
SERVICES = ["gateway", "auth", "ticketing", "storage-broker", "transfer", "notification", "assist"]
RESULT = ROOT / ".build/bench/startup.json"


def resident_bytes(pid: int) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/{pid}/status tells no VmRSS")


def start_once(binaries: pathlib.Path, directory: pathlib.Path) -> tuple[float, dict[str, int]]:
    """Seconds until ready, and each service's resident bytes at rest."""
    base, *_, http = servers.free_ports(8, consecutive=True)
    command = [binaries / "ferry", "up", "--data", directory / "data", "--base-port", str(base), "--http-port", str(http)]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as up:
        watchdog = signal.signal(signal.SIGALRM, lambda *_: up.kill())
        signal.alarm(TIMEOUT_SECONDS)
        try:
            for line in up.stdout:
                if line.startswith("FileFerry is ready"):
                    break
            else:
                raise SystemExit(f"ferry up ended before it was ready; its logs were in {directory}")
            took = time.monotonic() - began
            time.sleep(REST_SECONDS)
            pids = {name: int((directory / "data/run" / f"{name}.pid").read_text()) for name in SERVICES}
            memory = {name: resident_bytes(pid) for name, pid in pids.items()}
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, watchdog)
            up.terminate()
    return took, memory


def main() -> int:
    binaries = pathlib.Path(os.environ.get("FERRY_BIN_DIR", ROOT / ".build/release")).resolve()
    if not (binaries / "ferry").exists():
        print(f"No programs in {binaries}. Build them first: swift build -c release --static-swift-stdlib", file=sys.stderr)
        return 1
    times, memories = [], []
    for _ in range(RUNS):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="fileferry-bench-"))
        try:
            took, memory = start_once(binaries, directory)
        finally:
            shutil.rmtree(directory)
        times.append(took)
        memories.append(memory)
    median = statistics.median(times)
    # The largest sum seen, told service by service.
    memory = max(memories, key=lambda one: sum(one.values()))
    total = sum(memory.values())
    print(f"{'service':<16}{'resident MB':>12}")
    for name in SERVICES:
        print(f"{name:<16}{memory[name] / 1e6:>12.1f}")
    print(f"{'all seven':<16}{total / 1e6:>12.1f}   bar: less than {MEMORY_BAR_BYTES / 1e6:.0f}")
    print(f"ready after {', '.join(f'{took:.2f}' for took in times)} s; median {median:.2f} s   bar: {READY_BAR_SECONDS:.0f} s")
    passed = median <= READY_BAR_SECONDS and total < MEMORY_BAR_BYTES
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({
        "bench": "startup", "passed": passed, "ready_seconds": [round(took, 4) for took in times],
        "ready_median_seconds": round(median, 4), "ready_bar_seconds": READY_BAR_SECONDS, "resident_bytes": memory,
        "resident_total_bytes": total, "resident_bar_bytes": MEMORY_BAR_BYTES}, indent=2) + "\n")
    print(f"{'PASSED' if passed else 'MISSED'}: {RESULT.relative_to(ROOT)}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
