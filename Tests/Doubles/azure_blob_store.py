"""What the double keeps: containers, blobs, their versions and uncommitted blocks. Bytes lie in files, the rest in memory.

One lock guards it all; bytes are written and read outside of it, in files that nobody changes once they are named here.
"""
import dataclasses
import datetime
import email.utils
import itertools
import os
import pathlib
import threading
import time

from azure_blob_errors import StorageError

UTC = datetime.timezone.utc
MAX_BLOCKS = 50_000


class Clock:
    """Times that never repeat, so that each write has its own ETag and version id (ticks of 100 ns)."""

    def __init__(self):
        self._last = 0
        self._lock = threading.Lock()

    def tick(self) -> int:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() // 100)
            return self._last


def http_time(ticks: int) -> str:
    return email.utils.formatdate(ticks // 10_000_000, usegmt=True)


def iso_time(ticks: int) -> str:
    whole = datetime.datetime.fromtimestamp(ticks // 10_000_000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ticks % 10_000_000:07d}Z"


def etag(ticks: int) -> str:
    """Without quotes, as lists give it."""
    return f"0x{ticks:X}"


@dataclasses.dataclass
class Version:
    ticks: int
    created: int
    path: pathlib.Path
    size: int
    # Cache-Control and the like, under the names they are given back by.
    headers: dict[str, str]
    metadata: dict[str, str]
    tier: str = "Hot"
    tier_inferred: bool = True
    rehydrate_to: str = ""
    rehydrated_at: float = 0
    blocks: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)  # id, offset, size

    @property
    def id(self) -> str:
        return iso_time(self.ticks)

    @property
    def etag(self) -> str:
        return etag(self.ticks)

    def settle(self) -> None:
        """What time has done to it."""
        if self.rehydrate_to and time.monotonic() >= self.rehydrated_at:
            self.tier, self.rehydrate_to = self.rehydrate_to, ""


@dataclasses.dataclass
class Blob:
    current: Version | None = None
    previous: list[Version] = dataclasses.field(default_factory=list)
    uncommitted: dict[str, tuple[pathlib.Path, int]] = dataclasses.field(default_factory=dict)

    def all(self) -> list[Version]:
        return self.previous + ([self.current] if self.current else [])


@dataclasses.dataclass
class Container:
    ticks: int
    metadata: dict[str, str]
    blobs: dict[str, Blob] = dataclasses.field(default_factory=dict)


class Store:
    def __init__(self, directory: pathlib.Path, keeps_versions: bool):
        self.directory = directory
        self.keeps_versions = keeps_versions
        self.lock = threading.RLock()
        self.clock = Clock()
        self.containers: dict[str, Container] = {}
        self._numbers = itertools.count(1)

    def new_path(self) -> pathlib.Path:
        return self.directory / f"{os.getpid()}-{next(self._numbers)}.bytes"

    def container(self, name: str) -> Container:
        try:
            return self.containers[name]
        except KeyError:
            raise StorageError("ContainerNotFound") from None

    def create_container(self, name: str, metadata: dict[str, str]) -> Container:
        with self.lock:
            if name in self.containers:
                raise StorageError("ContainerAlreadyExists")
            self.containers[name] = Container(self.clock.tick(), metadata)
            return self.containers[name]

    def delete_container(self, name: str) -> None:
        with self.lock:
            container = self.container(name)
            for blob in container.blobs.values():
                for version in blob.all():
                    version.path.unlink(missing_ok=True)
                self._drop_blocks(blob)
            del self.containers[name]

    def find(self, container: str, name: str, version_id: str = "") -> Version:
        with self.lock:
            blob = self.container(container).blobs.get(name, Blob())
            found = blob.current
            if version_id:
                found = next((version for version in blob.all() if version.id == version_id), None)
            if found is None:
                raise StorageError("BlobNotFound")
            found.settle()
            return found

    def is_current(self, container: str, name: str, version: Version) -> bool:
        with self.lock:
            return self.container(container).blobs.get(name, Blob()).current is version

    def put(self, container: str, name: str, path: pathlib.Path, size: int, headers: dict[str, str],
            metadata: dict[str, str], tier: str, check=lambda current: None, blocks=()) -> Version:
        """The bytes at `path` become the blob, unless `check` raises for what is there now."""
        with self.lock:
            blob = self.container(container).blobs.setdefault(name, Blob())
            check(blob.current)
            ticks = self.clock.tick()
            created = blob.current.created if blob.current and not self.keeps_versions else ticks
            version = Version(ticks, created, path, size, headers, metadata, tier or "Hot", not tier, blocks=list(blocks))
            if blob.current:
                self._retire(blob)
            blob.current = version
            self._drop_blocks(blob)
            return version

    def delete(self, container: str, name: str, version_id: str, check) -> None:
        with self.lock:
            blob = self.container(container).blobs.get(name, Blob())
            version = self.find(container, name, version_id)
            check(version)
            if version_id and version is blob.current:
                raise StorageError("OperationNotAllowedOnRootBlob")
            if version_id:
                blob.previous.remove(version)
                version.path.unlink(missing_ok=True)
            else:
                self._retire(blob)
                blob.current = None
                self._drop_blocks(blob)

    def _retire(self, blob: Blob) -> None:
        if self.keeps_versions:
            blob.previous.append(blob.current)
        else:
            blob.current.path.unlink(missing_ok=True)

    @staticmethod
    def _drop_blocks(blob: Blob) -> None:
        for path, _ in blob.uncommitted.values():
            path.unlink(missing_ok=True)
        blob.uncommitted.clear()

    # Blocks

    def put_block(self, container: str, name: str, block_id: str, path: pathlib.Path, size: int) -> None:
        with self.lock:
            blob = self.container(container).blobs.setdefault(name, Blob())
            if any(len(known) != len(block_id) for known in blob.uncommitted) or len(blob.uncommitted) >= 2 * MAX_BLOCKS:
                raise StorageError("InvalidBlobOrBlock")
            replaced = blob.uncommitted.get(block_id)
            blob.uncommitted[block_id] = (path, size)
            if replaced:
                replaced[0].unlink(missing_ok=True)

    def assemble(self, container: str, name: str, wanted: list[tuple[str, str]]):
        """Joins the blocks of a list of (kind, id) in a new file. Gives its path, its size and its blocks."""
        with self.lock:
            blob = self.container(container).blobs.get(name, Blob())
            committed = {} if blob.current is None else {
                block_id: (blob.current.path, offset, size) for block_id, offset, size in blob.current.blocks}
            uncommitted = {block_id: (path, 0, size) for block_id, (path, size) in blob.uncommitted.items()}
            sources = []
            for kind, block_id in wanted:
                places = {"Latest": (uncommitted, committed), "Uncommitted": (uncommitted,),
                          "Committed": (committed,)}[kind]
                found = next((place[block_id] for place in places if block_id in place), None)
                if found is None:
                    raise StorageError("InvalidBlockList")
                sources.append((block_id, *found))
            path, blocks, offset = self.new_path(), [], 0
            with open(path, "wb") as out:
                for block_id, source, start, size in sources:
                    with open(source, "rb") as file:
                        _copy(file.fileno(), start, size, out.fileno())
                    blocks.append((block_id, offset, size))
                    offset += size
            return path, offset, blocks


def _copy(source: int, start: int, size: int, out: int) -> None:
    while size > 0:
        sent = os.sendfile(out, source, start, size)
        if sent == 0:
            raise OSError("a block's file is shorter than the block")
        start, size = start + sent, size - sent
