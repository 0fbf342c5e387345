"""FileFerry under measurement: `ferry up` in a folder of its own, deliveries by the command line, CPU and memory by service."""
import base64
import dataclasses
import json
import os
import pathlib
import re
import resource
import subprocess
import time

from movers.world import ROOT, BenchFailed, Server, servers

SERVICES = ["gateway", "auth", "ticketing", "storage-broker", "transfer", "notification", "assist"]
PASSWORD = "correct horse battery staple 42"
COMMAND_TIMEOUT_SECONDS = 3600
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Timed:
    """One run of a mover: wall time, and CPU time of all its processes."""

    seconds: float
    cpu_seconds: float


def programs() -> pathlib.Path:
    """Those of FERRY_BIN_DIR, else the release build, built when it is not up to date."""
    chosen = os.environ.get("FERRY_BIN_DIR")
    if chosen:
        directory = pathlib.Path(chosen).resolve()
    else:
        print("- building the release programs", flush=True)
        build = ". scripts/lib/common.sh && build_release --quiet >&2 && build_release --show-bin-path"
        ended = subprocess.run(["bash", "-c", build], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if ended.returncode != 0:
            raise BenchFailed("the release build did not pass")
        directory = pathlib.Path(ended.stdout.strip().splitlines()[-1])
    if not (directory / "ferry").exists():
        raise BenchFailed(f"there is no 'ferry' in {directory}")
    return directory


class Ours(servers.Program):
    """All services, ready, with one connection to the S3 server. Its journals are on the disk, as they would be."""

    stop_timeout_seconds = 40

    def __init__(self, binaries: pathlib.Path, directory: pathlib.Path, source):
        super().__init__("ferry-up", directory)
        self.ferry = binaries / "ferry"
        self.source = source
        self.data = directory / "data"
        base, *_, http = servers.free_ports(8, consecutive=True)
        self.ports = ["--base-port", str(base), "--http-port", str(http)]
        self.environment = dict(os.environ, FERRY_SERVER=f"127.0.0.1:{base}", FERRY_HOME=str(directory / "home"))
        for name in ("FERRY_DATA", "FERRY_DESTINATION_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
            self.environment.pop(name, None)

    def start(self) -> "Ours":
        password, secret = self.directory / "password", self.directory / "secret"
        for file, text in ((password, PASSWORD), (secret, self.source.secret_key)):
            file.touch(0o600)
            file.write_text(text)
        self.launch([self.ferry, "up", "--data", self.data, *self.ports, "--first-admin-password-file", password])
        self.await_ready(lambda: "FileFerry is ready" in self.log.read_text())
        self.command("login", "--user", "admin", "--password-file", password)
        self.command(
            "connection", "add", "default", "--provider", "s3", "--endpoint", self.source.endpoint, "--region",
            self.source.region, "--path-style", "--access-key", self.source.access_key, "--secret-key-file", secret)
        return self

    def command(self, *arguments) -> str:
        ended = subprocess.run(
            [self.ferry, *map(str, arguments)], env=self.environment, capture_output=True, text=True,
            timeout=COMMAND_TIMEOUT_SECONDS)
        if ended.returncode != 0:
            said = (ended.stdout + ended.stderr).strip().splitlines()
            raise BenchFailed(f"ferry {' '.join(map(str, arguments[:3]))} ended with {ended.returncode}: "
                              + " / ".join(said[-3:]))
        return ended.stdout

    def save(self, name: str, server: Server, path: pathlib.Path, connections: int) -> None:
        """A destination with another number of connections than the usual one."""
        self.command("destination", "add", name, server.url(path), *server.login, "--max-connections", connections)

    def deliver(self, source: str, destination: str, login: list[str]) -> tuple[Timed, str]:
        """From the command until it returns, which is after the receipt is there. Also gives the delivery's id."""
        before = self.cpu_seconds() + _children()
        began = time.monotonic()
        said = self.command("deliver", source, destination, *login, "--watch")
        seconds = time.monotonic() - began
        cpu = self.cpu_seconds() + _children() - before
        found = re.search(r"dlv_\w+", said)
        if not found:
            raise BenchFailed(f"ferry deliver named no delivery: {said[:200]}")
        return Timed(seconds, cpu), found[0]

    def receipt(self, delivery: str) -> dict[str, tuple[int, str]]:
        """Size and SHA-256 of each path, from a receipt whose signature was checked, and the list beside it if it is long."""
        proof, key = self.directory / f"{delivery}.json", self.directory / "key.jwk"
        self.command("receipt", delivery, "--output", proof)
        key.write_text(self.command("receipt-key"))
        self.command("verify", proof, "--key", key)
        payload = json.loads(proof.read_text())["payload"]
        receipt = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        files = receipt.get("files", [])
        if receipt.get("parts"):
            files = map(json.loads, proof.with_suffix(".files.jsonl").read_text().splitlines())
        return {file["path"]: (int(file.get("size", 0)), file["sha256"]) for file in files}

    # Figures

    def pids(self) -> dict[str, int]:
        return {name: int((self.data / "run" / f"{name}.pid").read_text()) for name in SERVICES}

    def cpu_seconds(self) -> float:
        total = 0
        for pid in self.pids().values():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def forget_peaks(self) -> None:
        """From here on the peaks are those of what follows (proc(5), clear_refs)."""
        for pid in self.pids().values():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peaks(self) -> dict[str, int]:
        """The most resident bytes of each service since `forget_peaks`."""
        found = {}
        for name, pid in self.pids().items():
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            found[name] = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        return found


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
