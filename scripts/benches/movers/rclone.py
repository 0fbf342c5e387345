"""rclone under measurement: the same source and destination, given to it by its environment."""
import os
import pathlib
import resource
import subprocess
import time

from movers.ours import Timed
from movers.world import BenchFailed, Server

TIMEOUT_SECONDS = 3600


class Rclone:
    def __init__(self, program: str, source, server: Server, port: int | None = None):
        self.program = program
        self.server = server
        self.environment = dict(os.environ, RCLONE_CONFIG="/dev/null")
        self._remote(
            "SRC", TYPE="s3", PROVIDER=source.rclone_provider, ACCESS_KEY_ID=source.access_key,
            SECRET_ACCESS_KEY=source.secret_key, ENDPOINT=source.endpoint, REGION=source.region, FORCE_PATH_STYLE="true")
        self._remote("DST", **server.rclone_remote(self.obscure, port))

    def _remote(self, name: str, **options: str) -> None:
        for option, value in options.items():
            self.environment[f"RCLONE_CONFIG_{name}_{option}"] = str(value)

    def obscure(self, password: str) -> str:
        return subprocess.run([self.program, "obscure", password], check=True, capture_output=True, text=True).stdout.strip()

    def run(self, *arguments) -> Timed:
        words = [self.program, *map(str, arguments)]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        ended = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if ended.returncode != 0:
            raise BenchFailed(f"rclone {' '.join(words[1:4])} ended with {ended.returncode}: {ended.stderr.strip()[-500:]}")
        return Timed(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def copy_one(self, key: str, file: pathlib.Path, *options) -> Timed:
        return self.run("copyto", f"SRC:{key}", f"DST:{file}", *options)

    def copy_all(self, prefix: str, folder: pathlib.Path, *options) -> Timed:
        return self.run("copy", f"SRC:{prefix}", f"DST:{folder}", *options)

    def upload(self, folder: pathlib.Path, bucket: str) -> None:
        self.run("copy", folder, f"SRC:{bucket}", "--transfers", "8")

    def touch_all(self, bucket: str) -> None:
        """Has the source compute what it keeps of each object (rclone's server: the MD5 of its ETag), before any timing."""
        self.run("hashsum", "md5", f"SRC:{bucket}", "--timeout", "30m", "--fast-list")
