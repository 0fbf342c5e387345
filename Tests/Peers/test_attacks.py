"""What a peer that means harm can do to our server: nothing that its other callers notice.

Each attack has a server of its own. While it runs, and after it, a caller that behaves (grpcio, on a connection of its
own) must be served in time; the server's memory and processor time stay within the bounds below, and it comes to rest
when the attack is over. It may end the attacker's connection or bear with it, except where a test says otherwise.
"""
import contextlib
import functools
import itertools
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

import pytest

from attack_watch import EMPTY_CALL, MIB, REST_WITHIN_SECONDS, SAMPLE_SECONDS, messages, under_attack
from http2_frames import (
    DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, EMPTY_MESSAGE, END_HEADERS, END_STREAM, MAX_WINDOW, PADDED, PREFACE, Literal,
    NoWord, Peer, Setting, Type, continuation, data, frame, headers, indexed, literal, message, ping, priority,
    request_fields, rst_stream, settings, window_update)

# Each attack starts a server of its own and watches it for a while.
pytestmark = pytest.mark.slow

MAX_MESSAGE_BYTES = 4 * MIB  # the server's limit

RESETS = 100_000
PACED_RESETS, RESETS_AT_ONCE = 10_000, 50
FLOOD_FRAMES = 300_000
PIECE_BYTES = 64 << 10
WAITING_HANDLERS = 4
BOMB_STREAMS = 20
BOMB_BYTES = 1024 * MIB  # what one message inflates to
MAX_STREAMS = 1000  # that an attacker opens, if the server lets it
UNFINISHED_STREAMS = 100
MAX_UNFINISHED_GROWTH_BYTES = 64 * MIB
MAX_UNSENT_GROWTH_BYTES = 96 * MIB  # the server lets 64 MiB wait for one connection
IDLE_CONNECTIONS = 500
HEADER_TIMEOUT_SECONDS = 0.5
HEADER_TIMEOUT = ("--header-timeout-ms", str(int(HEADER_TIMEOUT_SECONDS * 1000)))
TIMEOUT_SLACK_SECONDS = 1.5
ATTACK_SECONDS = 6  # an attacker gives up then

SERVICE = "/grpc.testing.TestService/"
UNARY_CALL, DUPLEX_CALL = SERVICE + "UnaryCall", SERVICE + "FullDuplexCall"
INPUT_CALL, OUTPUT_CALL = SERVICE + "StreamingInputCall", SERVICE + "StreamingOutputCall"
RESOURCE_EXHAUSTED = "8"


@pytest.fixture
def start(binaries):
    """Starts a server with options, and holds it to the bounds while the attack runs and after it."""
    return functools.partial(under_attack, binaries)


class Listener(threading.Thread):
    """Reads what a server answers to an attack and throws it away; a PING of ours shows how far the server has come."""
    LAST = b"the last"

    def __init__(self, connection: socket.socket):
        super().__init__(daemon=True)
        self._socket = connection
        self.heard_last, self.heard_end, self.done = False, False, threading.Event()
        self.start()

    def run(self) -> None:
        tail = b""
        try:
            while not self.heard_last:
                received = self._socket.recv(1 << 16)
                if not received:
                    self.heard_end = True
                    break
                tail = tail[-len(self.LAST):] + received
                self.heard_last = self.LAST in tail
        except TimeoutError:
            pass
        except OSError:  # reset by the server, or closed here because sending failed
            self.heard_end = True
        self.done.set()


def bombard(peer: Peer, pieces: Iterable[bytes], listens: bool = True) -> str:
    """Sends until the server has taken it all ("borne"), closes ("closed") or takes no more ("stalled"). One that
    does not listen reads no answers: they pile up at the server."""
    deadline = time.monotonic() + ATTACK_SECONDS
    peer.socket.settimeout(ATTACK_SECONDS)
    listener = Listener(peer.socket) if listens else None
    try:
        for piece in pieces:
            peer.socket.sendall(piece)
            if time.monotonic() > deadline:
                return "stalled"
        peer.socket.sendall(ping(Listener.LAST))
    except TimeoutError:
        return "stalled"
    except ConnectionError:
        return "closed"
    listener = listener or Listener(peer.socket)  # now all may be heard
    listener.done.wait(max(deadline - time.monotonic(), 0))
    return "closed" if listener.heard_end else "borne" if listener.heard_last else "stalled"


def flood(frame: bytes, count: int = FLOOD_FRAMES) -> Iterable[bytes]:
    """The same frame over and over, in large pieces."""
    at_once = max(PIECE_BYTES // len(frame), 1)
    return itertools.repeat(frame * at_once, -(-count // at_once))


def short_request(peer: Peer, path: str) -> bytes:
    """A header block of a few bytes: its fields are in the server's table already. Opens stream 1 to put them there."""
    peer.send(headers(1, peer.encode(request_fields(path)), END_HEADERS), rst_stream(1))
    return peer.encode(request_fields(path))


def protobuf_of(message_: object) -> bytes:
    return message(message_.SerializeToString())


# --- Streams that come and go

def streams_of(make: Callable[[int], bytes]) -> Iterable[bytes]:
    """`make` of many new streams, in large pieces."""
    numbers = range(3, 3 + 2 * RESETS, 2)
    return (b"".join(make(number) for number in numbers[at:at + 1000]) for at in range(0, RESETS, 1000))


@pytest.mark.parametrize("path", [EMPTY_CALL, DUPLEX_CALL, SERVICE + "NoSuchCall"])
def test_rapid_reset_ends_the_connection(start, path):
    with start() as victim, Peer(victim.port) as peer:
        block = short_request(peer, path)
        assert bombard(peer, streams_of(lambda number: headers(number, block) + rst_stream(number))) == "closed"


WRONG_ENDS = {
    "a window that overflows": lambda number, block: headers(number, block) + window_update(number, MAX_WINDOW),
    "trailers with a pseudo-header field": lambda number, block: headers(number, block) + headers(
        number, literal(Literal.PLAIN, b":path", b"/"), END_HEADERS | END_STREAM),
    "a malformed request": lambda number, block: headers(
        number, block + literal(Literal.PLAIN, b"X", b"y"), END_HEADERS | END_STREAM),
    "no fields": lambda number, block: headers(number, b"", END_HEADERS | END_STREAM),
}


@pytest.mark.parametrize("wrong", WRONG_ENDS)
def test_streams_that_the_server_is_made_to_reset_end_the_connection(start, wrong):
    """The same with frames that are wrong for each stream in the place of RST_STREAM ("made you reset"); a few at a
    time, so that the server's answers do not pile up, which has a limit of its own."""
    with start() as victim, Peer(victim.port) as peer:
        block = short_request(peer, DUPLEX_CALL)
        for first in range(3, 3 + 2 * PACED_RESETS, 2 * RESETS_AT_ONCE):
            peer.send(*(WRONG_ENDS[wrong](number, block) for number in range(first, first + 2 * RESETS_AT_ONCE, 2)))
            peer.catch_up()
            if peer.closed:
                break
        assert peer.closed, f"{PACED_RESETS} streams were reset and the connection is still open"


# --- Floods of frames

@pytest.mark.parametrize("size", [0, 1000])
def test_a_header_block_without_end_ends_the_connection(start, size):
    field = literal(Literal.PLAIN, b"x-more", b"~" * size) if size else b""
    with start() as victim, Peer(victim.port) as peer:
        beginning = [headers(1, peer.encode(request_fields(EMPTY_CALL)), 0)]
        rest = flood(continuation(1, field), FLOOD_FRAMES // 3)
        assert bombard(peer, itertools.chain(beginning, rest)) == "closed"


FLOODS = {
    "PING": ping(),
    "SETTINGS": settings((Setting.INITIAL_WINDOW_SIZE, 1000)),
    "empty SETTINGS": settings(),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_borne_or_ended(start, name):
    with start() as victim, Peer(victim.port) as peer:
        assert bombard(peer, flood(FLOODS[name])) in ("borne", "closed")


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_whose_answers_nobody_reads_ends_the_connection(start, name):
    with start() as victim, Peer(victim.port) as peer:
        assert bombard(peer, flood(FLOODS[name], 3 * FLOOD_FRAMES), listens=False) in ("closed", "stalled")


EMPTY_FRAMES = {
    "DATA": lambda: flood(data(1)),
    "padded DATA": lambda: flood(data(1, b"\0", PADDED)),
    "PRIORITY": lambda: (b"".join(map(priority, range(at, at + 2000, 2))) for at in range(3, 2 * FLOOD_FRAMES, 2000)),
    "WINDOW_UPDATE": lambda: flood(window_update(1, 1)),
    "frames of unknown type": lambda: flood(frame(0x16, 0, 0)),
}


@pytest.mark.parametrize("name", EMPTY_FRAMES)
def test_a_flood_of_frames_that_carry_nothing_is_borne_or_ended(start, name):
    with start() as victim, Peer(victim.port) as peer:
        beginning = [peer.request(1, INPUT_CALL, None, end=False)]
        assert bombard(peer, itertools.chain(beginning, EMPTY_FRAMES[name]())) in ("borne", "closed")


def test_a_flood_of_empty_messages_to_handlers_that_wait_is_held_back(start):
    """The handlers wait for room for their answers: what arrives meanwhile takes what the windows give, not many times
    of it."""
    wants = messages.StreamingOutputCallRequest(response_parameters=[messages.ResponseParameters(size=MIB)] * 2)
    with start() as victim, Peer(victim.port, (Setting.INITIAL_WINDOW_SIZE, 0)) as peer:
        for number in range(1, 1 + 2 * WAITING_HANDLERS, 2):
            peer.send(peer.request(number, DUPLEX_CALL, None, end=False))
            peer.send_data(number, protobuf_of(wants))
            while (room := peer.room(number) // len(EMPTY_MESSAGE)) > 0:
                peer.send_data(number, EMPTY_MESSAGE * min(room, 3000))
        assert peer.reaction() in (("none", ""), ("connection", "ENHANCE_YOUR_CALM"), ("connection", "closed"))


# --- Header fields

def test_a_header_bomb_is_refused(start):
    """One large field in HPACK's table, named again in one byte, thousands of times."""
    with start() as victim, Peer(victim.port) as peer:
        base = b"".join(
            literal(Literal.PLAIN, name.encode(), value.encode()) for name, value in request_fields(EMPTY_CALL))
        peer.send(headers(1, base + literal(Literal.INDEXING, b"x-bomb", b"~" * 4000), END_HEADERS | END_STREAM))
        bomb = base + indexed(62) * 15_000  # 60 MB of fields in one frame
        peer.send(*(headers(number, bomb, END_HEADERS | END_STREAM) for number in range(3, 3 + 2 * BOMB_STREAMS, 2)))
        kind, code = peer.reaction()
        assert kind == "connection" or code in ("ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "REFUSED_STREAM")
        assert peer.stream(3).grpc_status != "0"


# --- Windows and messages

def test_answers_that_nobody_makes_room_for_are_held_back(start):
    """As many streams as the server allows, each asking for megabytes, and no window for any of it."""
    wants = messages.StreamingOutputCallRequest(response_parameters=[messages.ResponseParameters(size=64 << 10)] * 100)
    with start(growth=MAX_UNSENT_GROWTH_BYTES) as victim, Peer(victim.port, (Setting.INITIAL_WINDOW_SIZE, 0)) as peer:
        count = min(peer.settings.get(Setting.MAX_CONCURRENT_STREAMS, MAX_STREAMS), MAX_STREAMS) - 1
        numbers = range(1, 2 * count, 2)
        peer.send(*(peer.request(number, OUTPUT_CALL, protobuf_of(wants)) for number in numbers))
        peer.wait(lambda: all(peer.stream(number).headers for number in numbers), "its headers of all answers")
        other = 2 * count + 1
        peer.send(peer.request(other, EMPTY_CALL), window_update(other, len(EMPTY_MESSAGE)))
        assert peer.answer(other).grpc_status == "0", "another stream of the same connection is not served"


def test_answers_are_held_back_by_the_window_of_the_connection(start):
    """The same with room on every stream, but none left for the connection."""
    wants = messages.StreamingOutputCallRequest(response_parameters=[messages.ResponseParameters(size=64 << 10)] * 100)
    open_windows = (Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW)
    with start(growth=MAX_UNSENT_GROWTH_BYTES) as victim, Peer(victim.port, open_windows) as peer:
        count = min(peer.settings.get(Setting.MAX_CONCURRENT_STREAMS, MAX_STREAMS), MAX_STREAMS)
        peer.send(*(peer.request(number, OUTPUT_CALL, protobuf_of(wants)) for number in range(1, 2 * count, 2)))
        peer.wait(lambda: sum(len(answer.body) for answer in peer.streams.values()) == DEFAULT_WINDOW,
                  "all that the window takes")
        assert peer.reaction() == ("none", "")


def inflated_without_end(size: int) -> Iterator[bytes]:
    """A gzip stream of zeros that does not end, made from one piece (after a full flush a piece stands alone)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    yield packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    yield from itertools.repeat(piece, size // MIB)


@pytest.mark.parametrize("path", [UNARY_CALL, INPUT_CALL])
def test_a_compressed_message_that_inflates_without_end_is_refused(start, path):
    packed = b"".join(inflated_without_end(BOMB_BYTES))
    assert len(packed) < MAX_MESSAGE_BYTES, "the bomb itself is too large"
    bomb = struct.pack(">BI", 1, len(packed)) + packed
    with start() as victim, Peer(victim.port, (Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW)) as peer:
        numbers = range(1, 1 + 2 * BOMB_STREAMS, 2)
        for number in numbers:
            peer.send(peer.request(number, path, None, ("grpc-encoding", "gzip"), end=False))
            send_in_window(peer, number, bomb, end=True)
        for number in numbers:
            assert peer.answer(number).grpc_status == RESOURCE_EXHAUSTED, peer.stream(number)


def send_in_window(peer: Peer, number: int, body: bytes, end: bool) -> None:
    """Until all is sent or the answer has come, within the server's windows. `end`: the last frame ends the stream."""
    answer = peer.stream(number)

    def is_over() -> bool:
        return answer.ended or answer.reset is not None or peer.closed

    at = 0
    while at < len(body) and not is_over():
        peer.wait(lambda: peer.room(number) > 0 or is_over(), f"window on stream {number}")
        size = min(len(body) - at, DEFAULT_FRAME_SIZE, peer.room(number))
        if size > 0:
            peer.send_data(number, body[at:at + size], END_STREAM if end and at + size == len(body) else 0)
            at += size


def test_a_length_prefix_of_4_gib_is_refused(start):
    with start() as victim, Peer(victim.port) as peer:
        numbers = range(1, 1 + 2 * BOMB_STREAMS, 2)
        prefix = struct.pack(">BI", 0, 0xFFFF_FFFF)
        peer.send(*(peer.request(number, path, prefix + bytes(1000), end=False)
                    for number, path in zip(numbers, itertools.cycle([UNARY_CALL, INPUT_CALL]))))
        for number in numbers:
            assert peer.answer(number).grpc_status == RESOURCE_EXHAUSTED, peer.stream(number)


def test_a_length_prefix_alone_takes_no_memory(start):
    """Messages as large as the limit are announced on all streams, and never come."""
    with start() as victim, Peer(victim.port) as peer:
        count = min(peer.settings.get(Setting.MAX_CONCURRENT_STREAMS, MAX_STREAMS), MAX_STREAMS)
        prefix = struct.pack(">BI", 0, MAX_MESSAGE_BYTES)
        peer.send(*(peer.request(number, UNARY_CALL, prefix + bytes(100), end=False)
                    for number in range(1, 2 * count, 2)))
        assert peer.reaction() == ("none", "")


def test_messages_that_are_never_finished_take_bounded_memory(start):
    """All streams send a message of the largest size but for its last byte."""
    with start(growth=MAX_UNFINISHED_GROWTH_BYTES) as victim, Peer(victim.port) as peer:
        count = min(peer.settings.get(Setting.MAX_CONCURRENT_STREAMS, MAX_STREAMS), UNFINISHED_STREAMS)
        body = struct.pack(">BI", 0, MAX_MESSAGE_BYTES) + bytes(MAX_MESSAGE_BYTES - 1)
        for number in range(1, 2 * count, 2):
            peer.send(peer.request(number, UNARY_CALL, None, end=False))
            try:
                send_in_window(peer, number, body, end=False)
            except NoWord:
                break  # no more window: that is a defence


# --- Connections that do nothing

HALF_A_FRAME = frame(Type.HEADERS, END_HEADERS, 1, literal(Literal.PLAIN, b"x-long", b"~" * 1000)[:10], length=1000)
SILENT = {
    "nothing at all": b"",
    "half a preface": PREFACE[:10],
    "a preface without SETTINGS": PREFACE,
    "half a HEADERS frame": PREFACE + settings() + HALF_A_FRAME,
    "half a header block": PREFACE + settings() + headers(1, literal(Literal.PLAIN, b":method", b"POST"), 0),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_connection_that_stops_in_the_middle_is_closed(start, name):
    with start(*HEADER_TIMEOUT) as victim, Peer(victim.port, handshake=False) as peer:
        began = time.monotonic()
        peer.send(SILENT[name])
        peer.wait(lambda: False, "an end of the connection", HEADER_TIMEOUT_SECONDS + TIMEOUT_SLACK_SECONDS)
        assert time.monotonic() - began >= HEADER_TIMEOUT_SECONDS / 2, "it was closed before its time"


DRIPPING = {
    "a preface": (b"", PREFACE),
    "a HEADERS frame": (PREFACE + settings() + HALF_A_FRAME, b"~" * 900),
}


@pytest.mark.parametrize("name", DRIPPING)
def test_bytes_that_drip_do_not_put_the_end_off(start, name):
    first, rest = DRIPPING[name]
    with start(*HEADER_TIMEOUT) as victim, Peer(victim.port, handshake=False) as peer:
        began = time.monotonic()
        peer.send(first)
        for byte in rest:
            peer.send(bytes([byte]))
            with contextlib.suppress(NoWord):
                peer.wait(lambda: False, "an end of the connection", HEADER_TIMEOUT_SECONDS / 5)
            if peer.closed:
                break
            assert time.monotonic() - began < HEADER_TIMEOUT_SECONDS + TIMEOUT_SLACK_SECONDS, "still open"
        assert peer.closed


def test_a_connection_that_has_said_hello_may_be_idle(start):
    with start(*HEADER_TIMEOUT) as victim, Peer(victim.port) as peer:
        with pytest.raises(NoWord):
            peer.wait(lambda: False, "an end of the connection", 2 * HEADER_TIMEOUT_SECONDS)
        peer.send(peer.request(1, EMPTY_CALL))
        assert peer.answer(1).grpc_status == "0"


def test_many_connections_that_do_nothing(start):
    with start() as victim, contextlib.ExitStack() as stack:
        before = victim.open_files()
        for number in range(IDLE_CONNECTIONS):
            stack.enter_context(Peer(victim.port, handshake=number % 2 == 0))
        assert victim.open_files() >= before + IDLE_CONNECTIONS * 0.9
        stack.close()
        deadline = time.monotonic() + REST_WITHIN_SECONDS
        while victim.open_files() > before and time.monotonic() < deadline:
            time.sleep(SAMPLE_SECONDS)
        assert victim.open_files() <= before, "connections that are gone still take files"
