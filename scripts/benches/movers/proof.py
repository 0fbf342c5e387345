"""Whether what a mover left at the destination is what it was given, looked at after the clock has stopped."""
import hashlib
import pathlib
import subprocess

from movers.world import BenchFailed


def sha256(file: pathlib.Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def names(folder: pathlib.Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def assert_same(source: pathlib.Path, delivered: pathlib.Path, mover: str) -> None:
    """Every byte, and no file more or less."""
    if source.is_dir() and (due := names(source)) != (found := names(delivered)):
        raise BenchFailed(f"{mover} left {len(found)} files where {len(due)} were due, such as {sorted(due ^ found)[:3]}")
    command = ["cmp", "-s"] if source.is_file() else ["diff", "-rq"]
    if subprocess.run([*command, source, delivered], stdout=subprocess.DEVNULL).returncode != 0:
        raise BenchFailed(f"what {mover} delivered differs from the source, {source}")


class Digests:
    """SHA-256 of sources, each computed once."""

    def __init__(self):
        self._known: dict[pathlib.Path, str] = {}

    def of(self, file: pathlib.Path) -> str:
        if file not in self._known:
            self._known[file] = sha256(file)
        return self._known[file]

    def assert_proven(self, source: pathlib.Path, delivered: pathlib.Path, receipt: dict[str, tuple[int, str]]) -> None:
        """The receipt tells of each file, its size and its SHA-256, and of no other."""
        files = {str(delivered): source} if source.is_file() else {
            str(delivered / name): source / name for name in names(source)}
        if set(receipt) != set(files):
            raise BenchFailed(f"the receipt tells of {len(receipt)} files, and {len(files)} were due")
        for path, file in files.items():
            if receipt[path] != (file.stat().st_size, self.of(file)):
                raise BenchFailed(f"the receipt says {receipt[path]} of {path}, which is not what the source has")
