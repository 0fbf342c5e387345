"""The scenarios of the delivery bench: what is moved, by whom, and the bars."""
import contextlib
import pathlib
import random
import shutil

from movers.figures import GIB, MIB, Bar, Result
from movers.ours import Ours, Timed
from movers.proof import Digests, assert_same
from movers.rclone import Rclone
from movers.world import BUCKET, MEMORY, BenchFailed, World
from fault_proxy import FaultProxy

RCLONE_CHECKED, RCLONE_UNCHECKED, RCLONE_SIXTEEN = "rclone", "rclone --ignore-checksum", "rclone --ignore-checksum, 16 at once"
ROUND_TRIP_SECONDS = 0.050
MEMORY_BAR_BYTES = 128 * MIB
AT_ONCE = 16
# A peak that does not grow with the file or with the number of files may still wander by this much.
CONSTANT = 1.25


class Bench:
    """What all scenarios share: the servers, a running FileFerry, the size of things."""

    def __init__(self, world: World, binaries: pathlib.Path, rounds: int, scale: float):
        self.world, self.binaries, self.rounds, self.scale = world, binaries, rounds, scale
        self.digests = Digests()
        self._count = 0

    @contextlib.contextmanager
    def ferry(self):
        """A FileFerry that has done nothing yet."""
        self._count += 1
        ours = Ours(self.binaries, self.world.disk / f"ferry-{self._count}", self.world.source)
        try:
            yield ours.start()
        finally:
            ours.stop()

    def scaled(self, number: int, least: int = 1) -> int:
        return max(least, int(number * self.scale))

    # Sources

    @contextlib.contextmanager
    def objects(self, name: str, sizes: dict[str, int], is_sparse: bool = False):
        """Files of chance bytes, or of zeros that take no room, as objects below `name`."""
        folder = self.world.files / name
        if not is_sparse and sum(sizes.values()) * 2.5 > shutil.disk_usage(MEMORY).free:
            raise BenchFailed(f"{MEMORY} has no room for {sum(sizes.values())} bytes at source and destination")
        folder.mkdir()
        rng = random.Random(name)
        try:
            for file, size in sizes.items():
                with open(folder / file, "wb") as opened:
                    if is_sparse:
                        opened.truncate(size)
                        continue
                    for start in range(0, size, 64 * MIB):
                        opened.write(rng.randbytes(min(64 * MIB, size - start)))
            self.world.show_files()
            rclone = Rclone(self.world.rclone, self.world.source, self.world.server("sftp"))
            if not self.world.holds_files:
                rclone.upload(folder, f"{BUCKET}/{name}")
            rclone.touch_all(f"{BUCKET}/{name}")
            yield folder
        finally:
            shutil.rmtree(folder)

    # One run each: timed, then looked at, then cleared away

    def ours(self, ours: Ours, source: pathlib.Path, scheme: str, port: int | None = None, *options: str) -> Timed:
        server, inbox = self.world.server(scheme), self.world.inbox()
        name = source.relative_to(self.world.files)
        delivered = inbox / source.name if source.is_file() else inbox
        key = f"{name}" if source.is_file() else f"{name}/"
        timed, delivery = ours.deliver(f"s3://{BUCKET}/{key}", server.url(inbox, port) + "/", [*server.login, *options])
        assert_same(source, delivered, "FileFerry")
        self.digests.assert_proven(source, delivered, ours.receipt(delivery))
        shutil.rmtree(inbox)
        return timed

    def theirs(self, source: pathlib.Path, scheme: str, *options, port: int | None = None) -> Timed:
        rclone = Rclone(self.world.rclone, self.world.source, self.world.server(scheme), port)
        inbox = self.world.inbox()
        name = f"{BUCKET}/{source.relative_to(self.world.files)}"
        if source.is_file():
            delivered = inbox / source.name
            timed = rclone.copy_one(name, delivered, *options)
        else:
            delivered = inbox
            timed = rclone.copy_all(name, inbox, *options)
        assert_same(source, delivered, "rclone")
        shutil.rmtree(inbox)
        return timed


# ---- One large file


def large(bench: Bench, scheme: str) -> Result:
    name, size = f"{scheme}-1g", bench.scaled(GIB, MIB)
    result = Result(name, f"one object of {size / MIB:.0f} MiB to {scheme}", size, 1)
    with bench.objects(name, {"large.bin": size}) as folder, bench.ferry() as ours:
        source = folder / "large.bin"
        for _ in range(bench.rounds):
            if scheme == "sftp":
                # Proven by the means that rclone's check has, a command on the server; and by reading back.
                result.add("ours", bench.ours(ours, source, scheme, None, "--allow-hash-command"))
                result.add("ours, read back", bench.ours(ours, source, scheme))
                result.add(RCLONE_CHECKED, bench.theirs(source, scheme))
            else:
                result.add("ours", bench.ours(ours, source, scheme))
            result.add(RCLONE_UNCHECKED, bench.theirs(source, scheme, "--ignore-checksum"))
    if scheme == "sftp":
        result.bars = [
            Bar("time as part of rclone's with its check", result.ratio(RCLONE_CHECKED), 0.75),
            Bar("time as part of rclone's without", result.ratio(RCLONE_UNCHECKED), 1.15)]
    else:
        result.bars = [Bar("time as part of rclone's, which can't check", result.ratio(RCLONE_UNCHECKED), 1.0)]
    return result


# ---- Many small files


def small(bench: Bench) -> Result:
    count, size = bench.scaled(2000, 20), 20_000
    result = Result("small", f"{count} objects of 20 KB to sftp; rclone with its check once", count * size, count)
    with bench.objects("small", {f"{number:05}.bin": size for number in range(count)}) as folder, bench.ferry() as ours:
        for number in range(bench.rounds):
            result.add("ours", bench.ours(ours, folder, "sftp"))
            result.add(RCLONE_SIXTEEN, bench.theirs(folder, "sftp", "--ignore-checksum", "--transfers", "16"))
            if number == 0:  # about two minutes: once is enough for a ratio of twenty
                result.add(RCLONE_CHECKED, bench.theirs(folder, "sftp"))
    result.bars = [
        Bar("times as fast as rclone with its check", 1 / result.ratio(RCLONE_CHECKED), 20, at_least=True),
        Bar("time as part of rclone's without, 16 at once", result.ratio(RCLONE_SIXTEEN), 1.0)]
    return result


# ---- A long way


def rtt(bench: Bench) -> Result:
    size = bench.scaled(256 * MIB, MIB)
    result = Result(
        "rtt", f"one object of {size / MIB:.0f} MiB to sftp with {ROUND_TRIP_SECONDS * 1000:.0f} ms of round trip", size, 1)

    @contextlib.contextmanager
    def long_way():
        proxy = FaultProxy(bench.world.server("sftp").server.port, delay_seconds=ROUND_TRIP_SECONDS / 2)
        try:
            yield proxy.port
        finally:
            proxy.stop()

    with bench.objects("rtt", {"far.bin": size}) as folder, bench.ferry() as ours:
        for _ in range(bench.rounds):
            with long_way() as port:
                result.add("ours", bench.ours(ours, folder / "far.bin", "sftp", port))
            with long_way() as port:
                result.add(RCLONE_CHECKED, bench.theirs(folder / "far.bin", "sftp", port=port))
    result.bars = [Bar("times as fast as rclone", 1 / result.ratio(RCLONE_CHECKED), 2, at_least=True)]
    return result


# ---- Memory


def memory(bench: Bench) -> Result:
    """Files of zeros, which take no room at the source; the destination is on the disk."""
    if not bench.world.holds_files:
        raise BenchFailed("memory is measured with rclone's S3 server: another would have to hold all the zeros")
    cases = [(1, 64 * MIB), (1, bench.scaled(16 * GIB, 64 * MIB)), (AT_ONCE, bench.scaled(GIB, MIB))]
    room = max(count * size for count, size in cases)
    if shutil.disk_usage(bench.world.disk).free < room * 1.1:
        raise BenchFailed(f"the disk of {bench.world.disk} has no room for {room} bytes")
    count, size = cases[-1]
    result = Result("memory", "peak resident memory of ferry-transfer; CPU time of 16 files at once", count * size, count)
    peaks = []
    for count, size in cases:
        name = f"memory-{count}-{size // MIB}"
        sizes = {f"{number:02}.bin": size for number in range(count)}
        with bench.objects(name, sizes, is_sparse=True) as folder:
            with bench.ferry() as ours:
                timed, most = _move_to_disk(bench, ours, folder, count)
            peaks.append(most)
            what = f"{count} file{'s' if count > 1 else ''} of {size / MIB:.0f} MiB"
            result.facts[f"peak of ferry-transfer, {what}, MiB"] = most / MIB
            result.facts[f"CPU seconds a GiB, ours, {what}"] = timed.cpu_seconds / (count * size / GIB)
            result.bars.append(Bar(f"peak of ferry-transfer, {what}, MiB", most / MIB, MEMORY_BAR_BYTES / MIB))
            if count > 1:
                result.add("ours", timed)
                result.add("rclone, 16 at once", _theirs_to_disk(bench, folder))
    result.bars.append(Bar("peak at a large file as part of that at 64 MiB", peaks[1] / peaks[0], CONSTANT))
    return result


def _move_to_disk(bench: Bench, ours: Ours, folder: pathlib.Path, connections: int) -> tuple[Timed, int]:
    inbox, server = bench.world.inbox(on_disk=True), bench.world.server("sftp")
    try:
        ours.save("wide", server, inbox, max(connections, 4))
        ours.forget_peaks()
        timed, delivery = ours.deliver(f"s3://{BUCKET}/{folder.name}/", "wide", [])
        most = ours.peaks()["transfer"]
        assert_same(folder, inbox, "FileFerry")
        bench.digests.assert_proven(folder, inbox, ours.receipt(delivery))
        return timed, most
    finally:
        shutil.rmtree(inbox)


def _theirs_to_disk(bench: Bench, folder: pathlib.Path) -> Timed:
    inbox = bench.world.inbox(on_disk=True)
    try:
        rclone = Rclone(bench.world.rclone, bench.world.source, bench.world.server("sftp"))
        timed = rclone.copy_all(f"{BUCKET}/{folder.name}", inbox, "--transfers", AT_ONCE)
        assert_same(folder, inbox, "rclone")
        return timed
    finally:
        shutil.rmtree(inbox)


# ---- A great many objects


def many(bench: Bench) -> Result:
    # rclone's server looks at the whole prefix for every page of its list.
    with bench.world.source_is("weed"):
        return _many(bench)


def _many(bench: Bench) -> Result:
    counts = [bench.scaled(10_000, 100), bench.scaled(100_000, 1000)]
    size = 100
    result = Result(
        "many", f"{counts[0]} and {counts[1]} objects of 100 bytes planned, moved and listed", counts[1] * size, counts[1])
    peaks = []
    for count in counts:
        sizes = {f"{number:06}.bin": size for number in range(count)}
        with bench.objects(f"many-{count}", sizes) as folder, bench.ferry() as ours:
            server, where = bench.world.server("sftp"), f"s3://{BUCKET}/{folder.name}/"
            ours.forget_peaks()
            ours.command("plan", where, server.url(bench.world.inbox()) + "/", *server.login)
            listed = ours.command("ls", where, "--recursive").count("\n")
            if listed != count:
                raise BenchFailed(f"ferry ls listed {listed} objects, and {count} were there")
            timed = bench.ours(ours, folder, "sftp")
            peaks.append(ours.peaks())
            result.facts[f"seconds to deliver {count} objects"] = timed.seconds
            for service, peak in peaks[-1].items():
                if service in ("transfer", "storage-broker", "gateway"):
                    result.facts[f"peak of ferry-{service} at {count} objects, MiB"] = peak / MIB
            if count == counts[1]:
                result.add("ours", timed)
    for service in ("transfer", "storage-broker", "gateway"):
        result.bars.append(Bar(
            f"peak of ferry-{service} at {counts[1]} as part of that at {counts[0]}",
            peaks[1][service] / peaks[0][service], CONSTANT))
    return result


SCENARIOS = {
    "sftp-1g": lambda bench: large(bench, "sftp"),
    "ftp-1g": lambda bench: large(bench, "ftp"),
    "ftpes-1g": lambda bench: large(bench, "ftpes"),
    "small": small,
    "rtt": rtt,
    "many": many,
    "memory": memory,
}
# Takes half an hour and 16 GiB of disk: only when it is asked for.
LONG = {"memory"}
