"""A TCP proxy that does to connections what networks and failing servers do: delays, limits, cuts, stalls, half-closes,
changes a byte, or is away for a while.

What happens is a list of `Fault`s, drawn from a seed by `draw`, each at a byte of its direction, counted over all
connections of the proxy; `report` tells what was planned and what came true. All proxies share one event loop in one
thread, which never reads a socket while it closes it: only so does a reset leave as a reset.
"""
import asyncio
import collections
import dataclasses
import random
import socket
import struct
import threading
from collections.abc import Callable

import servers

TO_SERVER, TO_CLIENT = "to the server", "to the client"
# Bytes under way in one direction of one connection. With a delay of 25 ms this allows 640 MB/s.
WINDOW = 16 << 20
CONNECT_TIMEOUT_SECONDS = 10
ACTION_TIMEOUT_SECONDS = 60
KINDS = ("reset", "stall", "half-close", "away")


@dataclasses.dataclass(frozen=True)
class Fault:
    """reset: the connection ends with RST. stall: nothing moves on it for some seconds. half-close: this direction ends
    and the other goes on. flip: the byte arrives changed. away: all connections end with RST and new ones are refused
    for some seconds. call: the proxy's action is called, on a thread of its own."""

    kind: str
    direction: str
    at: int  # which byte: the first is 0
    seconds: float = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.direction} at byte {self.at}" + (f" for {self.seconds:.2f} s" if self.seconds else "")


def draw(rng: random.Random, kinds: list[str], to_server: int, to_client: int, longest_seconds: float = 1) -> list[Fault]:
    """One fault of each kind, somewhere in the bytes that are expected in either direction."""
    faults = []
    for kind in kinds:
        direction, size = rng.choice([(TO_SERVER, to_server), (TO_CLIENT, to_client)])
        seconds = rng.uniform(0.1, longest_seconds) if kind in ("stall", "away") else 0
        faults.append(Fault(kind, direction, rng.randrange(max(size, 1)), round(seconds, 2)))
    return faults


class _Loop:
    """The one event loop, on a thread that ends with the program."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="fault proxies", daemon=True).start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)


_shared: _Loop | None = None
_shared_lock = threading.Lock()


def _loop() -> _Loop:
    global _shared
    with _shared_lock:
        _shared = _shared or _Loop()
        return _shared


class FaultProxy:
    def __init__(self, target_port: int, faults: list[Fault] = (), delay_seconds: float = 0, bytes_per_second: int = 0,
                 action: Callable[[], None] | None = None):
        """`delay_seconds` is one way: a round trip takes twice that longer. `bytes_per_second` is for each direction, over
        all connections; 0 is no limit."""
        self.target_port = target_port
        self.delay_seconds = delay_seconds
        self.bytes_per_second = bytes_per_second
        self.action = action
        self.planned = list(faults)
        self.fired: list[Fault] = []
        self.passed = {TO_SERVER: 0, TO_CLIENT: 0}
        self._due = sorted(faults, key=lambda fault: fault.at)
        self._free_at = {TO_SERVER: 0.0, TO_CLIENT: 0.0}
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._is_stopped = False
        self._actions: list[threading.Thread] = []
        self.port = servers.free_ports(1)[0]
        _loop().run(self._listen())

    @property
    def report(self) -> str:
        lines = [f"  {'came' if fault in self.fired else 'never came'}: {fault}" for fault in self.planned]
        return "\n".join([f"port {self.port}, bytes {self.passed}"] + lines)

    def stop(self) -> None:
        """Returns when the action, if it was called, has ended too."""
        _loop().run(self._end())
        for action in self._actions:
            action.join(ACTION_TIMEOUT_SECONDS)

    def calm_down(self) -> None:
        """No fault, limit or delay from now on."""
        self._due, self.bytes_per_second, self.delay_seconds = [], 0, 0

    # On the loop

    async def _listen(self) -> None:
        if not self._is_stopped:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _End(_Link(self), TO_SERVER), "127.0.0.1", self.port, reuse_address=True, backlog=256)

    async def _end(self) -> None:
        self._is_stopped = True
        if self._server:
            self._server.close()
        for link in list(self._links):
            link.reset()

    async def _be_away(self, seconds: float) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for link in list(self._links):
            link.reset()
        await asyncio.sleep(seconds)
        await self._listen()

    def cut(self, direction: str, data: bytes):
        """The bytes in pieces, each with the fault that comes right after it, or None."""
        start = self.passed[direction]
        self.passed[direction] = end = start + len(data)
        position = start
        for fault in [fault for fault in self._due if fault.direction == direction and fault.at < end]:
            self._due.remove(fault)
            self.fired.append(fault)
            at = max(fault.at, position)
            if fault.kind == "flip":
                data = bytearray(data)
                data[at - start] ^= 0x20
                continue
            yield bytes(data[position - start:at - start]), fault
            position = at
        yield (data if position == start else bytes(data[position - start:])), None

    def fire(self, fault: Fault, link: "_Link", way: "_Way") -> None:
        loop = asyncio.get_running_loop()
        match fault.kind:
            case "reset":
                link.reset()
            case "stall":
                for each in link.ways.values():
                    each.hold(loop.time() + fault.seconds)
            case "half-close":
                way.put(None)
            case "away":
                loop.create_task(self._be_away(fault.seconds))
            case "call":
                self._actions.append(threading.Thread(target=self.action, daemon=True))
                self._actions[-1].start()
            case _:
                raise ValueError(f"there is no fault of the kind {fault.kind}")

    def turn(self, direction: str, count: int, now: float) -> float:
        """When so many more bytes may go on."""
        if not self.bytes_per_second:
            return now
        self._free_at[direction] = max(now, self._free_at[direction]) + count / self.bytes_per_second
        return self._free_at[direction]


class _Link:
    """One connection: two ends, and a way between them in each direction."""

    def __init__(self, proxy: FaultProxy):
        self.proxy = proxy
        self.ways = {TO_SERVER: _Way(self, TO_SERVER), TO_CLIENT: _Way(self, TO_CLIENT)}
        proxy._links.add(self)

    def connected(self, end: "_End") -> None:
        """An end's own bytes leave by the way it feeds, and the other way leads to it."""
        self.ways[end.feeds].source = end.transport
        self.ways[TO_CLIENT if end.feeds == TO_SERVER else TO_SERVER].target = end.transport
        if end.feeds == TO_SERVER:
            asyncio.get_running_loop().create_task(self._connect())
        else:
            self.ways[TO_SERVER].flush()

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await asyncio.get_running_loop().create_connection(
                    lambda: _End(self, TO_CLIENT), "127.0.0.1", self.proxy.target_port)
        except (OSError, TimeoutError):
            self.reset()  # the server is away

    def lost(self, end: "_End", error: Exception | None) -> None:
        for way in self.ways.values():
            if way.target is end.transport:
                way.target = None
        if error is not None:
            return self.reset()
        self.ways[end.feeds].put(None)
        self.ways[TO_CLIENT if end.feeds == TO_SERVER else TO_SERVER].drop()
        self.end_if_over()

    def end_if_over(self) -> None:
        if all(way.is_over for way in self.ways.values()):
            self.proxy._links.discard(self)
            for way in self.ways.values():
                if way.target:
                    way.target.close()

    def reset(self) -> None:
        self.proxy._links.discard(self)
        for way in self.ways.values():
            way.drop()
            if way.target and (raw := way.target.get_extra_info("socket")) and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                way.target.abort()


class _Way:
    """One direction of one connection: bytes with the time at which they may go on, and the end of them as None."""

    def __init__(self, link: _Link, direction: str):
        self.link, self.direction = link, direction
        self.source: asyncio.Transport | None = None
        self.target: asyncio.Transport | None = None
        self.is_over = False
        self._queue: collections.deque[tuple[float, bytes | None]] = collections.deque()
        self._held, self._is_ended, self._is_full = 0, False, False
        self._timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0

    def take(self, data: bytes) -> None:
        for piece, fault in self.link.proxy.cut(self.direction, data):
            if piece:
                self.put(piece)
            if fault:
                self.link.proxy.fire(fault, self.link, self)

    def put(self, piece: bytes | None) -> None:
        if self._is_ended:
            return
        self._is_ended = piece is None
        now = asyncio.get_running_loop().time()
        due = max(self.link.proxy.turn(self.direction, len(piece or b""), now) + self.link.proxy.delay_seconds, self._not_before)
        self._queue.append((due, piece))
        self._held += len(piece or b"")
        self.flush()

    def hold(self, until: float) -> None:
        self._not_before = max(self._not_before, until)
        self._queue = collections.deque((max(due, until), piece) for due, piece in self._queue)

    def drop(self) -> None:
        self._queue.clear()
        self._held, self._is_ended, self.is_over = 0, True, True
        if self._timer:
            self._timer.cancel()

    def flush(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = asyncio.get_running_loop().time()
        while self._queue and self.target and not self._is_full and self._queue[0][0] <= now:
            piece = self._queue.popleft()[1]
            if piece is None:
                self.is_over = True
                if self.target.can_write_eof() and not self.target.is_closing():
                    self.target.write_eof()
                self.link.end_if_over()
                return
            self._held -= len(piece)
            self.target.write(piece)
        if self._queue and self.target and not self._is_full:
            self._timer = asyncio.get_running_loop().call_at(self._queue[0][0], self.flush)
        self._mind_window()

    def _mind_window(self) -> None:
        if self.source is None or self.source.is_closing():
            return
        if self._held >= WINDOW and self.source.is_reading():
            self.source.pause_reading()
        elif self._held < WINDOW and not self.source.is_reading():
            self.source.resume_reading()

    def full(self, is_full: bool) -> None:
        self._is_full = is_full
        self.flush()


class _End(asyncio.Protocol):
    """What the event loop tells of one socket."""

    def __init__(self, link: _Link, feeds: str):
        self.link, self.feeds = link, feeds
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=1 << 20)
        if self.link not in self.link.proxy._links:
            transport.abort()  # the other end is gone meanwhile
            return
        self.link.connected(self)

    def data_received(self, data: bytes) -> None:
        self.link.ways[self.feeds].take(data)

    def eof_received(self) -> bool:
        self.link.ways[self.feeds].put(None)
        return True  # what comes the other way may still be sent

    def connection_lost(self, error: Exception | None) -> None:
        self.link.lost(self, error)

    def pause_writing(self) -> None:
        self.link.ways[TO_CLIENT if self.feeds == TO_SERVER else TO_SERVER].full(True)

    def resume_writing(self) -> None:
        self.link.ways[TO_CLIENT if self.feeds == TO_SERVER else TO_SERVER].full(False)
