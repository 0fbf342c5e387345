"""The outside world on loopback: an S3 server (SeaweedFS) and a customer's SFTP server (OpenSSH), with sample data.

scripts/run starts this file as a program; the tests import its classes. Every server has ports, keys and a folder of its
own, and is gone with all its children when it is stopped.
"""
import argparse
import base64
import hashlib
import json
import os
import pathlib
import random
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import samples  # noqa: E402

READY_TIMEOUT_SECONDS = 60
SSHD = "/usr/sbin/sshd"
# Below the ports that the kernel gives to outgoing connections, which could take one between check and use.
PORTS = range(20_000, 32_000)


class ServerFailed(Exception):
    """A server could not be started; the text says why and holds the end of its log."""


def free_ports(count: int, consecutive: bool = False) -> list[int]:
    """Ports of loopback that nobody listens on."""

    def is_free(port: int) -> bool:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
            return True

    chooser = random.SystemRandom()
    for _ in range(1000):
        first = chooser.randrange(PORTS.start, PORTS.stop - count)
        ports = list(range(first, first + count)) if consecutive else chooser.sample(PORTS, count)
        if all(is_free(port) for port in ports):
            return ports
    raise ServerFailed("no free ports were found on loopback")


def descendants(pid: int) -> list[int]:
    """All processes below one, nearest first, from /proc: sshd gives each connection a session of its own."""
    children: dict[int, list[int]] = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue  # it ended meanwhile
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    for process in (queue := [pid]):
        queue.extend(children.get(process, []))
        found.extend(children.get(process, []))
    return found


def kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended meanwhile


class Program:
    """One process of ours: its log, its start, and its end together with all its children."""

    stop_timeout_seconds = 10

    def __init__(self, name: str, directory: pathlib.Path):
        self.name = name
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = self.directory / f"{name}.log"
        self.process: subprocess.Popen | None = None

    def launch(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, env=environment,
                start_new_session=True)

    def await_ready(self, is_ready) -> None:
        end = time.monotonic() + READY_TIMEOUT_SECONDS
        while not is_ready():
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with {self.process.returncode}:\n{self.log_end()}")
            if time.monotonic() > end:
                raise ServerFailed(f"{self.name} was not ready after {READY_TIMEOUT_SECONDS} s:\n{self.log_end()}")
            time.sleep(0.05)

    def log_end(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        if self.process is None:
            return
        below = descendants(self.process.pid)
        self.process.terminate()
        for pid in below:
            kill(pid, signal.SIGTERM)
        try:
            self.process.wait(self.stop_timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in below:
            kill(pid, signal.SIGKILL)
        self.process = None


class SeaweedFS(Program):
    """An S3 server that checks signatures."""

    region = "us-east-1"
    access_key = "FERRYSAMPLEKEY"
    stop_timeout_seconds = 1  # it takes its time, and nothing of it is kept

    def __init__(self, directory: pathlib.Path):
        super().__init__("seaweedfs", directory)
        self.secret_key = secrets.token_hex(20)
        self.ports = free_ports(8)
        self.endpoint = f"http://127.0.0.1:{self.ports[0]}"
        self.filer_port = self.ports[6]

    @staticmethod
    def program() -> str | None:
        """Where `weed` is: beside this Python, else on PATH, else nowhere."""
        beside = pathlib.Path(sys.executable).with_name("weed")
        return str(beside) if beside.exists() else shutil.which("weed")

    def start(self) -> "SeaweedFS":
        weed = self.program()
        if weed is None:
            raise ServerFailed("the program 'weed' is not installed")
        keys = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        identity = {"name": "samples", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        config = self.directory / "s3.json"
        config.touch(0o600)
        config.write_text(json.dumps({"identities": [identity]}))
        data = self.directory / "objects"
        data.mkdir(exist_ok=True)
        names = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                 "filer.port", "filer.port.grpc"]
        # A bucket is a collection, and takes several volumes of its own at its first object.
        self.launch([
            weed, "-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", "-volume.max=400",
            "-master.volumeSizeLimitMB=256", "-master.telemetry=false", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-s3.config={config}", f"-s3.localSocket={self.directory}/s3.sock",
            f"-filer.localSocket={self.directory}/filer.sock",
            *(f"-{name}={port}" for name, port in zip(names, self.ports))])
        self.await_ready(self._answers)
        return self

    def _answers(self) -> bool:
        # The gateway answers before there is a volume to write to: only a written object is proof.
        try:
            client = self.client(retries=0)
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="probe", Body=b"1")
            client.delete_object(Bucket="ready", Key="probe")
            client.delete_bucket(Bucket="ready")
            return True
        except Exception as reason:  # any refusal means not yet; the last one is in the log for whoever looks
            with open(self.log, "a") as log:
                log.write(f"not ready: {reason}\n")
            return False

    def client(self, retries: int = 5):
        """A boto3 client for this server."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name=self.region, aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                retries={"max_attempts": retries, "mode": "standard"}, s3={"addressing_style": "path"},
                connect_timeout=5, read_timeout=30))

    def stop(self) -> None:
        super().stop()
        for port in self.ports:
            for left in pathlib.Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)


def greets(port: int, words: bytes) -> bool:
    """Whether somebody there begins to speak, with these words."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            return connection.recv(len(words)) == words
    except OSError:
        return False


class OpenSSH(Program):
    """A customer's SFTP server, run by the present user, with a key login made for it."""

    def __init__(self, directory: pathlib.Path, port: int | None = None):
        super().__init__("sshd", directory)
        self.port = port or free_ports(1)[0]
        self.user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        self.identity = self.make_key("client")
        self.host_key = self.make_key("host")
        self.authorized = self.directory / "authorized_keys"
        shutil.copy(self.identity.with_suffix(".pub"), self.authorized)
        self.authorized.chmod(0o644)
        self.directory.chmod(0o755)

    def make_key(self, name: str) -> pathlib.Path:
        file = self.directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)], check=True)
        return file

    @property
    def fingerprint(self) -> str:
        """Of the host key, as OpenSSH prints it."""
        blob = base64.b64decode(self.host_key.with_suffix(".pub").read_text().split()[1])
        return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")

    def url(self, path: pathlib.Path | str, port: int | None = None, user: str | None = None) -> str:
        return f"sftp://{user or self.user}@127.0.0.1:{port or self.port}{path}"

    def start(self) -> "OpenSSH":
        if not os.path.exists(SSHD):
            raise ServerFailed("OpenSSH's server is not installed (Debian: openssh-server)")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        config = self.directory / "sshd_config"
        config.write_text("\n".join([
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.host_key}", "PidFile none",
            f"AuthorizedKeysFile {self.authorized}", "StrictModes no", "UsePAM no", "PermitRootLogin yes",
            "PasswordAuthentication yes", "Subsystem sftp internal-sftp", "MaxStartups 100", "LogLevel INFO", ""]))
        self.launch([SSHD, "-D", "-e", "-f", str(config)])
        self.await_ready(self._greets)
        return self

    def _greets(self) -> bool:
        return greets(self.port, b"SSH-")


def write_source(directory: pathlib.Path) -> None:
    """The samples as files: what a delivery has to equal."""
    for key, body in [(samples.BIG_KEY, samples.big())] + [
            (samples.SMALL_PREFIX + name, body) for name, body in samples.small().items()]:
        file = directory / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)


def upload(weed: SeaweedFS, directory: pathlib.Path, bucket: str) -> None:
    client = weed.client()
    client.create_bucket(Bucket=bucket)
    for file in sorted(directory.rglob("*")):
        if file.is_file():
            client.put_object(Bucket=bucket, Key=str(file.relative_to(directory)), Body=file.read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the sample servers until SIGTERM; writes FILE when they are ready.")
    parser.add_argument("--directory", type=pathlib.Path, required=True)
    parser.add_argument("--ready-file", type=pathlib.Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    bucket, store = "samples", options.directory / "store"
    source = store / bucket  # also serves as a bucket of the folder store, where there is no S3 server
    write_source(source)
    started: list[Program] = []
    try:
        ssh = OpenSSH(options.directory / "sshd").start()
        started.append(ssh)
        facts = {
            "SOURCE": source, "STORE": store, "SSH_USER": ssh.user, "SSH_PORT": ssh.port, "SSH_IDENTITY": ssh.identity,
            "SSH_FINGERPRINT": ssh.fingerprint, "S3_ENDPOINT": "",
        }
        if SeaweedFS.program():
            weed = SeaweedFS(options.directory / "seaweedfs")
            started.append(weed)
            weed.start()
            upload(weed, source, bucket)
            secret = options.directory / "s3.secret"
            secret.touch(0o600)
            secret.write_text(weed.secret_key)
            facts |= {"S3_ENDPOINT": weed.endpoint, "S3_REGION": weed.region, "S3_ACCESS_KEY": weed.access_key,
                      "S3_SECRET_FILE": secret}
        facts["GRPC_PORT"], *_, facts["HTTP_PORT"] = free_ports(8, consecutive=True)
        lines = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in facts.items())
        unfinished = options.ready_file.with_suffix(".new")
        unfinished.write_text(lines)
        unfinished.rename(options.ready_file)
        while True:
            signal.pause()
    except ServerFailed as reason:
        print(reason, file=sys.stderr)
        return 1
    finally:
        for program in reversed(started):
            program.stop()


if __name__ == "__main__":
    sys.exit(main())
