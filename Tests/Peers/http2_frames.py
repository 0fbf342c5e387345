"""HTTP/2 by hand: frames as bytes, right or wrong as a test wants them, and a connection that reads what a server says.

Frames that go out are put together here, for the libraries would refuse to make wrong ones; frames that come in are
read by hyperframe and hpack. What a test may expect is in the tests.
"""
import dataclasses
import enum
import socket
import struct
import time

import hpack
from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hyperframe import frame as frames

DEADLINE_SECONDS = 5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_FRAME_SIZE = 1 << 14
DEFAULT_WINDOW = (1 << 16) - 1
MAX_WINDOW = (1 << 31) - 1
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
EMPTY_MESSAGE = bytes(5)  # gRPC: not compressed, no bytes


class Type(enum.IntEnum):
    DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)


class Setting(enum.IntEnum):
    HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
    INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6


class Code(enum.IntEnum):
    """RFC 9113 section 7."""
    NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
    FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)


def name_of(code: int) -> str:
    return Code(code).name if code in Code._value2member_map_ else hex(code)


# --- Frames that go out

def frame(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """`length`: what the header says, where it is not the truth."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def data(stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return frame(Type.DATA, flags, stream, payload)


def headers(stream: int, block: bytes, flags: int = END_HEADERS) -> bytes:
    return frame(Type.HEADERS, flags, stream, block)


def continuation(stream: int, block: bytes, flags: int = 0) -> bytes:
    return frame(Type.CONTINUATION, flags, stream, block)


def priority(stream: int, depends_on: int = 0, weight: int = 15, exclusive: bool = False) -> bytes:
    return frame(Type.PRIORITY, 0, stream, priority_fields(depends_on, weight, exclusive))


def priority_fields(depends_on: int = 0, weight: int = 15, exclusive: bool = False) -> bytes:
    return struct.pack(">IB", depends_on | exclusive << 31, weight)


def rst_stream(stream: int, code: int = Code.CANCEL) -> bytes:
    return frame(Type.RST_STREAM, 0, stream, struct.pack(">I", code))


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(Type.SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def settings_ack() -> bytes:
    return frame(Type.SETTINGS, ACK, 0)


def ping(opaque: bytes = b"question", flags: int = 0) -> bytes:
    return frame(Type.PING, flags, 0, opaque)


def goaway(last_stream: int = 0, code: int = Code.NO_ERROR, stream: int = 0) -> bytes:
    return frame(Type.GOAWAY, 0, stream, struct.pack(">II", last_stream, code))


def window_update(stream: int, increment: int) -> bytes:
    return frame(Type.WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


# --- HPACK by hand (RFC 7541)

def string(value: bytes, huffman: bool = False) -> bytes:
    if huffman:
        value = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(value)
    return raw_string(value, huffman)


def raw_string(value: bytes, huffman: bool) -> bytes:
    """With the bytes as they are."""
    length = encode_integer(len(value), 7)
    length[0] |= 0x80 if huffman else 0
    return bytes(length) + value


def indexed(index: int) -> bytes:
    field = encode_integer(index, 7)
    field[0] |= 0x80
    return bytes(field)


class Literal(enum.Enum):
    """The first bits of a literal field, and how many are left for the name's index."""
    INDEXING, PLAIN, NEVER_INDEXED = (0x40, 6), (0x00, 4), (0x10, 4)


def literal(kind: Literal, name: bytes | int, value: bytes, huffman: bool = False) -> bytes:
    """`name`: its bytes, or its index in the table."""
    bits, room = kind.value
    field = encode_integer(name if isinstance(name, int) else 0, room)
    field[0] |= bits
    spelled = b"" if isinstance(name, int) else string(name, huffman)
    return bytes(field) + spelled + string(value, huffman)


def table_size(size: int) -> bytes:
    update = encode_integer(size, 5)
    update[0] |= 0x20
    return bytes(update)


# --- gRPC's part

def message(payload: bytes) -> bytes:
    return struct.pack(">BI", 0, len(payload)) + payload


def request_fields(path: str, *extra: tuple[str, str]) -> list[tuple[str, str]]:
    return [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"), ("te", "trailers"),
            ("content-type", "application/grpc"), *extra]


# --- What comes back

@dataclasses.dataclass
class Stream:
    """What a server has said on a stream so far."""
    headers: dict[str, str] | None = None
    trailers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    data_lengths: list[int] = dataclasses.field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def grpc_status(self) -> str | None:
        return {**(self.headers or {}), **self.trailers}.get("grpc-status")


class NoWord(AssertionError):
    """The server neither did what was waited for nor closed the connection in time."""


class Peer:
    """A client that does what it is told and no more: it acknowledges SETTINGS, unless it is to say hello by hand, and
    never gives window by itself."""

    def __init__(self, port: int, *first_settings: tuple[int, int], handshake: bool = True):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.streams: dict[int, Stream] = {}
        self.settings: dict[int, int] = {}
        self.settings_acks = 0
        self.pongs: list[bytes] = []
        self._given: dict[int, int] = {}  # window by WINDOW_UPDATE, by stream; 0 is the connection
        self._used: dict[int, int] = {}
        self.goaway: frames.GoAwayFrame | None = None
        self.closed = False
        self._buffer = bytearray()
        self._acknowledges = handshake
        self._header_stream, self._header_block = 0, b""
        if handshake:
            self.send(PREFACE, settings(*first_settings))
            self.wait(lambda: self.settings_acks > 0 and self.settings, "its SETTINGS and an answer to ours")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # Sending

    def send(self, *parts: bytes) -> None:
        """A server that has had enough may close while we still send: what it said before is what counts."""
        try:
            self.socket.sendall(b"".join(parts))
        except OSError:
            pass

    def encode(self, fields) -> bytes:
        return self.encoder.encode(fields)

    def request(self, stream: int, path: str, body: bytes | None = EMPTY_MESSAGE, *extra: tuple[str, str],
                end: bool = True) -> bytes:
        """The frames of a gRPC request; not sent. `end`: whether END_STREAM is set on the last."""
        end_flag = END_STREAM if end else 0
        block = self.encode(request_fields(path, *extra))
        if body is None:
            return headers(stream, block, END_HEADERS | end_flag)
        return headers(stream, block) + data(stream, body, end_flag)

    def room(self, stream: int) -> int:
        """Bytes of DATA that the server's windows leave for a stream. What `send_data` sends counts, `send` not."""
        initial = self.settings.get(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        own = initial + self._given.get(stream, 0) - self._used.get(stream, 0)
        return min(own, DEFAULT_WINDOW + self._given.get(0, 0) - self._used.get(0, 0))

    def send_data(self, stream: int, payload: bytes, flags: int = 0) -> None:
        for window in (0, stream):
            self._used[window] = self._used.get(window, 0) + len(payload)
        self.send(data(stream, payload, flags))

    # Receiving

    def stream(self, stream_id: int) -> Stream:
        return self.streams.setdefault(stream_id, Stream())

    def wait(self, condition, what: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Reads frames until the condition holds or the connection is closed."""
        deadline = time.monotonic() + seconds
        while not condition() and not self.closed:
            if not self._take_frame():
                self._read(deadline, what)

    def _read(self, deadline: float, what: str) -> None:
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            received = self.socket.recv(1 << 16)
        except TimeoutError:
            raise NoWord(f"the server was to give {what} and has not; it said {self.summary()}") from None
        except ConnectionError:
            received = b""
        self._buffer += received
        self.closed = not received

    def _take_frame(self) -> bool:
        if len(self._buffer) < 9:
            return False
        received, length = frames.Frame.parse_frame_header(memoryview(bytes(self._buffer[:9])))
        if len(self._buffer) < 9 + length:
            return False
        assert length <= DEFAULT_FRAME_SIZE, f"a frame of {length} bytes is more than we take"
        received.parse_body(memoryview(bytes(self._buffer[9:9 + length])))
        del self._buffer[:9 + length]
        self._received(received)
        return True

    def _received(self, received: frames.Frame) -> None:
        match received:
            case frames.SettingsFrame() if "ACK" in received.flags:
                self.settings_acks += 1
            case frames.SettingsFrame():
                self.settings |= received.settings
                if self._acknowledges:
                    self.send(settings_ack())
            case frames.PingFrame() if "ACK" in received.flags:
                self.pongs.append(received.opaque_data)
            case frames.GoAwayFrame():
                self.goaway = received
            case frames.WindowUpdateFrame():
                self._given[received.stream_id] = self._given.get(received.stream_id, 0) + received.window_increment
            case frames.RstStreamFrame():
                self.stream(received.stream_id).reset = received.error_code
            case frames.DataFrame():
                stream = self.stream(received.stream_id)
                stream.body += received.data
                stream.data_lengths.append(received.flow_controlled_length)
                stream.ended |= "END_STREAM" in received.flags
            case frames.HeadersFrame() | frames.ContinuationFrame():
                self._received_headers(received)

    def _received_headers(self, received) -> None:
        if isinstance(received, frames.HeadersFrame):
            self._header_stream, self._header_block = received.stream_id, b""
            self.stream(received.stream_id).ended |= "END_STREAM" in received.flags
        assert received.stream_id == self._header_stream, "CONTINUATION follows HEADERS of another stream"
        self._header_block += received.data
        if "END_HEADERS" not in received.flags:
            return
        fields = {name: value for name, value in self.decoder.decode(self._header_block)}
        stream = self.stream(received.stream_id)
        if stream.headers is None:
            stream.headers = fields
        else:
            stream.trailers = fields

    # Asking

    def answer(self, stream_id: int) -> Stream:
        """What the server answers on a stream, once it is whole."""
        stream = self.stream(stream_id)
        self.wait(lambda: stream.ended or stream.reset is not None, f"an answer on stream {stream_id}")
        assert stream.ended, f"no whole answer on stream {stream_id}: {self.summary()}"
        return stream

    def catch_up(self) -> None:
        """Returns when the server has taken note of all that was sent. The answer to a PING may overtake frames that
        were ready before it, but not those from before another PING was sent."""
        for opaque in (b"catch up", b"for sure"):
            before = self.pongs.count(opaque)
            self.send(ping(opaque))
            self.wait(lambda: self.pongs.count(opaque) > before, "an answer to PING")

    def reaction(self) -> tuple[str, str]:
        """How the server takes what it was sent: ("connection", code), ("connection", "closed") if it gives none,
        ("stream", code) or ("none", "")."""
        self.catch_up()
        if self.goaway is not None and self.goaway.error_code != Code.NO_ERROR:
            code = self.goaway.error_code
            self.wait(lambda: False, f"the end of the connection after GOAWAY with {name_of(code)}")
            return "connection", name_of(code)
        if self.closed:
            return "connection", "closed"
        resets = [stream.reset for stream in self.streams.values() if stream.reset not in (None, Code.NO_ERROR)]
        return ("stream", name_of(resets[0])) if resets else ("none", "")

    def summary(self) -> str:
        said = [f"stream {number}: {stream}" for number, stream in self.streams.items()]
        ending = f"GOAWAY {name_of(self.goaway.error_code)}" if self.goaway else "no GOAWAY"
        return f"{ending}, {'closed' if self.closed else 'open'}, {'; '.join(said) or 'nothing on streams'}"
