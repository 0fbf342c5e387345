"""What our server does with frames that RFC 9113 (HTTP/2) and RFC 7541 (HPACK) allow, and with frames that they forbid.

Each case has the section that rules it in its name. A forbidden case says which ends are right: the connection's with
GOAWAY and a code or by closing it, the stream's with a code, or, where the RFC leaves it open, none. Every connection
is asked PING afterwards, so that a server that let a wrong frame pass is caught at once and not by a timeout.
"""
import itertools
import subprocess

import pytest
from hpack.hpack import encode_integer

from http2_cases import (
    CASES, COMPRESSION, DUPLEX_CALL, FLOW, GOOD, HALVES, MALFORMED, NONE, PLAIN, PROTOCOL, SERVICE, SIZE, STREAM_CLOSED,
    THIRDS, UNARY_CALL, asking_for, assert_answered, assert_body, assert_serves, block, carrying, case, connection,
    opened, padded, pieces_of, protobuf, refused, request, served, stream, taken, whole)
from http2_frames import (
    ACK, DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, EMPTY_MESSAGE, END_HEADERS, END_STREAM, MAX_WINDOW, PADDED, PREFACE,
    PRIORITY_FLAG, Code, Literal, Peer, Setting, Type, continuation, data, frame, goaway, headers, indexed, literal,
    message, ping, priority, priority_fields, raw_string, rst_stream, settings, settings_ack, string, table_size,
    window_update)

NO_SUCH_CALL = SERVICE + "NoSuchCall"
ECHOED = "x-grpc-test-echo-initial"  # the server sends this field back
UNKNOWN_TYPE, UNKNOWN_SETTING, UNKNOWN_CODE = 0x16, 0x99, 0xFFFF_FFFF
WAITING = (Setting.INITIAL_WINDOW_SIZE, 0)  # an answer's body has to wait, so its stream stays open
FIRST_DYNAMIC = 62  # the index of the newest entry of HPACK's dynamic table
TABLE_SIZE = 4096


@pytest.fixture(scope="module")
def server(binaries):
    process = subprocess.Popen([binaries / "rpc-interop-server"], stdout=subprocess.PIPE, text=True)
    try:
        process.port = int(process.stdout.readline())
        yield process
    finally:
        process.kill()
        process.wait()


# --- 3.4 Connection preface

@case("3.4", "a client preface and SETTINGS are answered with SETTINGS and an acknowledgement", handshake=False)
def _(peer):
    peer.send(PREFACE, settings())
    peer.wait(lambda: peer.settings and peer.settings_acks, "its SETTINGS and an answer to ours")
    assert_serves(peer)


WRONG_START = {"handshake": False}
refused("3.4", "a wrong preface", PROTOCOL, lambda peer: b"INVALID CONNECTION PREFACE\r\n\r\n", **WRONG_START)
refused("3.4", "HTTP/1.1", PROTOCOL, lambda peer: b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", **WRONG_START)
refused("3.4", "a first frame that is not SETTINGS", PROTOCOL, lambda peer: PREFACE + ping(), **WRONG_START)

# --- 4 Frames

taken("4.1", "a frame of unknown type", lambda peer: frame(UNKNOWN_TYPE, 0, 0, bytes(8)))
taken("4.1", "an unknown flag", lambda peer: frame(Type.PING, 0x16, 0, b"question"))
taken("4.1", "the reserved bit of the stream identifier", lambda peer: frame(Type.PING, 0, 1 << 31, b"question"))


@case("4.2", "a DATA frame of 2^14 bytes is taken")
def _(peer):
    body = carrying(DEFAULT_FRAME_SIZE - len(carrying(DEFAULT_FRAME_SIZE // 2)) + DEFAULT_FRAME_SIZE // 2)
    assert len(body) == DEFAULT_FRAME_SIZE
    peer.send(peer.request(1, UNARY_CALL, body))
    assert peer.answer(1).grpc_status == "0"


refused("4.2", "a DATA frame beyond SETTINGS_MAX_FRAME_SIZE", stream(Code.FRAME_SIZE_ERROR),
        lambda peer: opened(peer) + data(1, bytes(peer.settings.get(Setting.MAX_FRAME_SIZE, DEFAULT_FRAME_SIZE) + 1)))
refused("4.2", "a HEADERS frame beyond SETTINGS_MAX_FRAME_SIZE", SIZE,
        lambda peer: headers(
            1, block(peer, ("x-long", "~" * 2 * peer.settings.get(Setting.MAX_FRAME_SIZE, DEFAULT_FRAME_SIZE)))))

refused("4.3", "a header block that cannot be decoded", COMPRESSION,
        lambda peer: headers(1, literal(Literal.PLAIN, b"x", b"y")[:-1]))
for name, between in {
        "PRIORITY": lambda peer: priority(1),
        "HEADERS of another stream": lambda peer: opened(peer, 3),
        "DATA": lambda peer: data(1, EMPTY_MESSAGE),
        "PING": lambda peer: ping()}.items():
    refused("4.3", name + " inside a header block", PROTOCOL, lambda peer, between=between: (
        headers(1, HALVES[0], 0) + between(peer) + continuation(1, HALVES[1], END_HEADERS)))

# --- 5.1 Stream states

refused("5.1", "idle: DATA", PROTOCOL, lambda peer: data(1, EMPTY_MESSAGE, END_STREAM))
refused("5.1", "idle: RST_STREAM", PROTOCOL, lambda peer: rst_stream(1))
refused("5.1", "idle: WINDOW_UPDATE", PROTOCOL, lambda peer: window_update(1, 100))
refused("5.1", "idle: CONTINUATION", PROTOCOL, lambda peer: continuation(1, block(peer), END_HEADERS))
taken("5.1", "idle: PRIORITY", lambda peer: priority(1))

refused("5.1", "half-closed (remote): DATA", STREAM_CLOSED,
        lambda peer: request(peer) + data(1, EMPTY_MESSAGE, END_STREAM), WAITING)
refused("5.1", "half-closed (remote): HEADERS", STREAM_CLOSED,
        lambda peer: request(peer) + headers(1, block(peer), END_HEADERS | END_STREAM), WAITING)
refused("5.1", "half-closed (remote): CONTINUATION", connection(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED),
        lambda peer: request(peer) + continuation(1, block(peer), END_HEADERS), WAITING)
served("5.1", "half-closed (remote): WINDOW_UPDATE",
        lambda peer: request(peer) + window_update(1, len(EMPTY_MESSAGE)), WAITING)
served("5.1", "half-closed (remote): PRIORITY",
       lambda peer: request(peer) + priority(1) + window_update(1, len(EMPTY_MESSAGE)), WAITING)
taken("5.1", "half-closed (remote): RST_STREAM", lambda peer: request(peer) + rst_stream(1), WAITING)

ON_CLOSED = {
    "DATA": (STREAM_CLOSED, lambda peer: data(1, EMPTY_MESSAGE, END_STREAM)),
    "HEADERS": (connection(Code.STREAM_CLOSED), lambda peer: headers(1, block(peer), END_HEADERS | END_STREAM)),
    "CONTINUATION": (connection(Code.PROTOCOL_ERROR, Code.STREAM_CLOSED),
                     lambda peer: continuation(1, block(peer), END_HEADERS)),
    "PRIORITY": (NONE, lambda peer: priority(1)),
    "WINDOW_UPDATE": (NONE, lambda peer: window_update(1, 1)),
    "RST_STREAM": (NONE | STREAM_CLOSED, lambda peer: rst_stream(1)),
}
for name, (allowed, frames) in ON_CLOSED.items():
    @case("5.1", f"closed by both ends: {name}", allowed)
    def _(peer, frames=frames):
        peer.send(request(peer))
        assert_answered(peer)
        peer.send(frames(peer))

    if name != "WINDOW_UPDATE":  # the RFC does not say what follows one after the same client's RST_STREAM
        refused("5.1", f"closed by the client's RST_STREAM: {name}", allowed,
                lambda peer, frames=frames: opened(peer) + rst_stream(1) + frames(peer))

# A client that has not yet seen RST_STREAM goes on with its request.
for name, frames in {
        "DATA": lambda peer: data(1, EMPTY_MESSAGE, END_STREAM),
        "trailers": lambda peer: headers(1, peer.encode([("x-end", "1")]), END_HEADERS | END_STREAM)}.items():
    @case("5.1", f"closed by the server's RST_STREAM: {name} that were under way")
    def _(peer, frames=frames):
        peer.send(peer.request(1, NO_SUCH_CALL, None, end=False))
        assert peer.answer(1).grpc_status == "12"
        peer.send(frames(peer))
        assert_serves(peer)

refused("5.1.1", "an even stream identifier", PROTOCOL, lambda peer: request(peer, 2))
refused("5.1.1", "a stream identifier below one that was used", PROTOCOL,
        lambda peer: request(peer, 5) + request(peer, 3))
refused("5.1.1", "the same below one that is still open", PROTOCOL, lambda peer: opened(peer, 5) + opened(peer, 3))


@case("5.1.2", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS", stream(Code.REFUSED_STREAM, Code.PROTOCOL_ERROR))
def _(peer):
    limit = peer.settings[Setting.MAX_CONCURRENT_STREAMS]
    peer.send(*(peer.request(1 + 2 * count, DUPLEX_CALL, None, end=False) for count in range(limit + 1)))


@case("5.1.2", "as many streams as SETTINGS_MAX_CONCURRENT_STREAMS are served")
def _(peer):
    numbers = [1 + 2 * count for count in range(peer.settings[Setting.MAX_CONCURRENT_STREAMS])]
    peer.send(*(opened(peer, number) for number in numbers))
    peer.send(*(data(number, EMPTY_MESSAGE, END_STREAM) for number in numbers))
    for number in numbers:
        assert_answered(peer, number)


# RFC 7540 wants an error, RFC 9113 no longer says.
refused("5.3.1", "HEADERS that depend on their own stream", NONE | MALFORMED, lambda peer: frame(
    Type.HEADERS, END_HEADERS | END_STREAM | PRIORITY_FLAG, 1, priority_fields(depends_on=1) + block(peer)))
refused("5.3.1", "PRIORITY that depends on its own stream", NONE | MALFORMED,
        lambda peer: opened(peer) + priority(1, depends_on=1))


@case("5.4.1", "an error of the connection names its last stream and closes it", PROTOCOL - {("connection", "closed")})
def _(peer):
    peer.send(request(peer))
    assert_answered(peer)
    peer.send(window_update(0, 0))
    peer.wait(lambda: peer.goaway, "GOAWAY")
    assert peer.goaway.last_stream_id == 1


refused("5.5", "a frame of unknown type inside a header block", PROTOCOL, lambda peer: (
    headers(1, HALVES[0], 0) + frame(UNKNOWN_TYPE, 0, 1, bytes(8)) + continuation(1, HALVES[1], END_HEADERS)))

# --- 6 Frame definitions

served("6.1", "DATA", request)
served("6.1", "several DATA frames",
        lambda peer: opened(peer) + b"".join(data(1, bytes(1)) for _ in range(4)) + data(1, bytes(1), END_STREAM))
served("6.1", "an empty DATA frame with END_STREAM", lambda peer: request(peer, end=False) + data(1, b"", END_STREAM))
served("6.1", "DATA with padding", lambda peer: opened(peer) + padded(Type.DATA, EMPTY_MESSAGE, 17, END_STREAM))
served("6.1", "DATA with padding of no bytes",
        lambda peer: opened(peer) + padded(Type.DATA, EMPTY_MESSAGE, 0, END_STREAM))
refused("6.1", "DATA on stream 0", PROTOCOL, lambda peer: opened(peer) + data(0, EMPTY_MESSAGE, END_STREAM))
refused("6.1", "DATA with more padding than payload", PROTOCOL,
        lambda peer: opened(peer) + padded(Type.DATA, EMPTY_MESSAGE, 0, says=6))
refused("6.1", "DATA too short for its pad length", connection(Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR),
        lambda peer: opened(peer) + frame(Type.DATA, PADDED, 1))

served("6.2", "HEADERS with padding",
        lambda peer: padded(Type.HEADERS, block(peer), 17, END_HEADERS) + data(1, EMPTY_MESSAGE, END_STREAM))
served("6.2", "HEADERS with priority", lambda peer: (
    frame(Type.HEADERS, END_HEADERS | PRIORITY_FLAG, 1, priority_fields(weight=255) + block(peer))
    + data(1, EMPTY_MESSAGE, END_STREAM)))
refused("6.2", "HEADERS on stream 0", PROTOCOL, lambda peer: headers(0, block(peer), END_HEADERS | END_STREAM))
refused("6.2", "HEADERS with more padding than payload", PROTOCOL, lambda peer: (
    frame(Type.HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\xff" + block(peer))))
refused("6.2", "HEADERS too short for their priority", connection(Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR),
        lambda peer: frame(Type.HEADERS, END_HEADERS | END_STREAM | PRIORITY_FLAG, 1, bytes(4)))

for name, fields in {
        "the lowest weight": {"weight": 0}, "the highest weight": {"weight": 255}, "a dependency": {"depends_on": 3},
        "an exclusive dependency": {"depends_on": 3, "exclusive": True}}.items():
    served("6.3", "PRIORITY with " + name, lambda peer, fields=fields: priority(1, **fields) + request(peer))
served("6.3", "PRIORITY for an idle stream above the one that is opened next", lambda peer: priority(7) + request(peer))
refused("6.3", "PRIORITY on stream 0", PROTOCOL, lambda peer: priority(0))
for length in (4, 6):
    refused("6.3", f"PRIORITY of {length} bytes", stream(Code.FRAME_SIZE_ERROR),
            lambda peer, length=length: opened(peer) + frame(Type.PRIORITY, 0, 1, bytes(length)))

taken("6.4", "RST_STREAM", lambda peer: opened(peer) + rst_stream(1))
refused("6.4", "RST_STREAM on stream 0", PROTOCOL, lambda peer: rst_stream(0))
for length in (3, 5):
    refused("6.4", f"RST_STREAM of {length} bytes", SIZE,
            lambda peer, length=length: opened(peer) + frame(Type.RST_STREAM, 0, 1, bytes(length)))


@case("6.5", "each SETTINGS is acknowledged")
def _(peer):
    before = peer.settings_acks
    peer.send(settings(), settings((Setting.HEADER_TABLE_SIZE, 100)), settings((Setting.MAX_CONCURRENT_STREAMS, 1)))
    peer.wait(lambda: peer.settings_acks == before + 3, "three acknowledgements")
    assert_serves(peer)


refused("6.5", "an acknowledgement of nothing", NONE | PROTOCOL, lambda peer: settings_ack())
refused("6.5", "SETTINGS with ACK and a payload", SIZE, lambda peer: frame(Type.SETTINGS, ACK, 0, bytes(6)))
refused("6.5", "SETTINGS on a stream", PROTOCOL, lambda peer: frame(Type.SETTINGS, 0, 1, bytes(6)))
refused("6.5", "SETTINGS of 5 bytes", SIZE, lambda peer: frame(Type.SETTINGS, 0, 0, bytes(5)))
taken("6.5.2", "an unknown setting", lambda peer: settings((UNKNOWN_SETTING, 1)))
refused("6.5.2", "ENABLE_PUSH of 2", PROTOCOL, lambda peer: settings((Setting.ENABLE_PUSH, 2)))
refused("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", FLOW, lambda peer: settings((Setting.INITIAL_WINDOW_SIZE, 1 << 31)))
refused("6.5.2", "MAX_FRAME_SIZE of 2^14 - 1", PROTOCOL, lambda peer: settings((Setting.MAX_FRAME_SIZE, (1 << 14) - 1)))
refused("6.5.2", "MAX_FRAME_SIZE of 2^24", PROTOCOL, lambda peer: settings((Setting.MAX_FRAME_SIZE, 1 << 24)))


@case("6.5.3", "of a setting that comes twice the last value counts")
def _(peer):
    peer.send(settings((Setting.INITIAL_WINDOW_SIZE, 100), (Setting.INITIAL_WINDOW_SIZE, 1)), request(peer))
    assert_body(peer, 1)


refused("6.6", "PUSH_PROMISE from a client", PROTOCOL, lambda peer: (
    opened(peer) + frame(Type.PUSH_PROMISE, END_HEADERS, 1, (2).to_bytes(4, "big") + block(peer))))


@case("6.7", "PING is answered with its own bytes")
def _(peer):
    peer.send(ping(b"12345678"))
    peer.wait(lambda: peer.pongs, "an answer to PING")
    assert peer.pongs == [b"12345678"]


@case("6.7", "an answer to PING is not answered")
def _(peer):
    peer.send(ping(b"12345678", ACK))
    peer.catch_up()
    assert b"12345678" not in peer.pongs


refused("6.7", "PING on a stream", PROTOCOL, lambda peer: frame(Type.PING, 0, 1, b"question"))
for length in (7, 9):
    refused("6.7", f"PING of {length} bytes", SIZE, lambda peer, length=length: frame(Type.PING, 0, 0, bytes(length)))


@case("6.8", "a client that is going away still gets the answer that it waits for",
      NONE | connection(Code.NO_ERROR), WAITING)
def _(peer):
    peer.send(request(peer), goaway(), window_update(1, len(EMPTY_MESSAGE)))
    assert_answered(peer)


refused("6.8", "GOAWAY on a stream", PROTOCOL, lambda peer: goaway(stream=1))
refused("6.8", "GOAWAY of 7 bytes", SIZE, lambda peer: frame(Type.GOAWAY, 0, 0, bytes(7)))

taken("6.9", "WINDOW_UPDATE of the connection", lambda peer: window_update(0, 1))
served("6.9", "WINDOW_UPDATE of a stream",
        lambda peer: opened(peer) + window_update(1, 1) + data(1, EMPTY_MESSAGE, END_STREAM))
refused("6.9", "WINDOW_UPDATE of 0", PROTOCOL, lambda peer: window_update(0, 0))
refused("6.9", "WINDOW_UPDATE of 0 on a stream", MALFORMED, lambda peer: opened(peer) + window_update(1, 0))
for length in (3, 5):
    refused("6.9", f"WINDOW_UPDATE of {length} bytes", SIZE,
            lambda peer, length=length: frame(Type.WINDOW_UPDATE, 0, 0, bytes(length)))
refused("6.9.1", "a connection's window above 2^31 - 1", FLOW, lambda peer: window_update(0, MAX_WINDOW) * 2)
refused("6.9.1", "a stream's window above 2^31 - 1", stream(Code.FLOW_CONTROL_ERROR),
        lambda peer: opened(peer) + window_update(1, MAX_WINDOW) * 2)


@case("6.9.1", "the server keeps within a stream's window", NONE, (Setting.INITIAL_WINDOW_SIZE, 1))
def _(peer):
    peer.send(request(peer))
    assert_body(peer, 1)
    peer.send(window_update(1, 2))
    assert_body(peer, 3)


@case("6.9.1", "the server keeps within the connection's window", NONE, (Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW))
def _(peer):
    peer.send(peer.request(1, UNARY_CALL, asking_for(100_000)))
    assert_body(peer, DEFAULT_WINDOW)
    peer.send(window_update(0, 100_000))
    assert peer.answer(1).grpc_status == "0" and len(peer.stream(1).body) > 100_000


@case("6.9.1", "more DATA than the server's window has room for", stream(Code.FLOW_CONTROL_ERROR), WAITING)
def _(peer):
    # The handler waits for room for its first answer, so nothing more is read and no window given.
    window = peer.settings.get(Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
    first = message(protobuf(2, protobuf(1, 1 << 20)) * 2)
    piece = carrying(DEFAULT_FRAME_SIZE // 2)
    rest = itertools.repeat(data(1, piece), 3 * window // len(piece))
    peer.send(peer.request(1, DUPLEX_CALL, first, end=False), *rest)


@case("6.9.2", "a new initial window holds for streams that are open", NONE, WAITING)
def _(peer):
    peer.send(request(peer))
    assert_body(peer, 0)
    peer.send(settings((Setting.INITIAL_WINDOW_SIZE, 1)))
    assert_body(peer, 1)


@case("6.9.2", "a window may become negative, and has to be positive before more is sent",
      NONE, (Setting.INITIAL_WINDOW_SIZE, 3))
def _(peer):
    peer.send(request(peer))
    assert_body(peer, 3)
    peer.send(settings((Setting.INITIAL_WINDOW_SIZE, 1)))  # 1 - 3 = -2
    peer.send(window_update(1, 2))
    assert_body(peer, 3)
    peer.send(window_update(1, 1))
    assert_body(peer, 4)


# The RFC wants the connection ended; nghttp2 ends the stream whose window it is, which stops the sender just as well.
refused("6.9.2", "an initial window that takes a stream's above 2^31 - 1", stream(Code.FLOW_CONTROL_ERROR),
        lambda peer: (
    opened(peer) + window_update(1, MAX_WINDOW - DEFAULT_WINDOW)
    + settings((Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW + 1))))

for pieces in (2, 5):
    @case("6.10", f"a header block in {pieces} pieces")
    def _(peer, pieces=pieces):
        first, *middle, last = pieces_of(PLAIN, pieces)
        peer.send(headers(1, first, 0), *(continuation(1, piece) for piece in middle),
                  continuation(1, last, END_HEADERS), data(1, EMPTY_MESSAGE, END_STREAM))
        assert_answered(peer)

refused("6.10", "CONTINUATION and then DATA while the block is not over", PROTOCOL, lambda peer: (
    headers(1, THIRDS[0], 0) + continuation(1, THIRDS[1]) + data(1, EMPTY_MESSAGE)
    + continuation(1, THIRDS[2], END_HEADERS)))
refused("6.10", "CONTINUATION on stream 0", PROTOCOL, lambda peer: (
    headers(1, HALVES[0], 0) + continuation(0, HALVES[1], END_HEADERS)))
refused("6.10", "CONTINUATION of another stream", PROTOCOL, lambda peer: (
    headers(1, HALVES[0], 0) + continuation(3, HALVES[1], END_HEADERS)))
refused("6.10", "CONTINUATION after HEADERS with END_HEADERS", PROTOCOL,
        lambda peer: opened(peer) + continuation(1, b"", END_HEADERS))
refused("6.10", "CONTINUATION after CONTINUATION with END_HEADERS", PROTOCOL, lambda peer: (
    headers(1, HALVES[0], 0) + continuation(1, HALVES[1], END_HEADERS) + continuation(1, b"", END_HEADERS)))
refused("6.10", "CONTINUATION after DATA", PROTOCOL, lambda peer: (
    opened(peer) + data(1, EMPTY_MESSAGE) + continuation(1, b"", END_HEADERS)))

refused("7", "GOAWAY with an unknown code", NONE | connection(Code.NO_ERROR), lambda peer: goaway(code=UNKNOWN_CODE))
taken("7", "RST_STREAM with an unknown code", lambda peer: opened(peer) + rst_stream(1, UNKNOWN_CODE))

# --- 8 HTTP

for method in ("GET", "HEAD", "POST"):
    @case("8.1", f"{method} that is not gRPC is answered")
    def _(peer, method=method):
        peer.send(whole(peer, [(":method", method), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]))
        answer = peer.answer(1)
        assert answer.headers[":status"] == ("415" if method == "POST" else "405"), answer
        assert method != "HEAD" or not answer.body, "an answer to HEAD has a body"

served("8.1", "a request with trailers", lambda peer: (
    request(peer, end=False) + headers(1, peer.encode([("x-end", "1")]), END_HEADERS | END_STREAM)))
refused("8.1", "a second header block without END_STREAM", MALFORMED, lambda peer: (
    request(peer, end=False) + headers(1, peer.encode([("x-end", "1")]))))

served("8.1.1", "content-length that is the body's", lambda peer: (
    headers(1, block(peer, ("content-length", "5"))) + data(1, EMPTY_MESSAGE, END_STREAM)))
for length, bodies in {"4": [EMPTY_MESSAGE], "6": [EMPTY_MESSAGE], "9": [EMPTY_MESSAGE] * 2, "many": [EMPTY_MESSAGE],
                       "1": [b""]}.items():
    refused("8.1.1", f"content-length {length} of {sum(map(len, bodies))} bytes in {len(bodies)} frames", MALFORMED,
            lambda peer, length=length, bodies=bodies: headers(1, block(peer, ("content-length", length))) + b"".join(
                data(1, body, END_STREAM if number == len(bodies) else 0) for number, body in enumerate(bodies, 1)))

for what, field in {
        "upper-case letters": ("X-Test", "ok"), "a space": ("x test", "ok"), "a control character": ("x\x01test", "ok"),
        "a colon": ("x:test", "ok"), "no characters": ("", "ok")}.items():
    refused("8.2.1", f"a field's name with {what}", MALFORMED, lambda peer, field=field: whole(peer, [*GOOD, field]))
for what, value in {"NUL": "a\0b", "LF": "a\nb", "CR": "a\rb"}.items():
    refused("8.2.1", f"a field's value with {what}", MALFORMED,
            lambda peer, value=value: whole(peer, [*GOOD, ("x-test", value)]))
# gRPC lets metadata come with spaces around it, so both are right.
refused("8.2.1", "a field's value with spaces around it", MALFORMED | NONE,
        lambda peer: whole(peer, [*GOOD, ("x-test", " a ")]))
for field in (("connection", "keep-alive"), ("proxy-connection", "keep-alive"), ("keep-alive", "timeout=5"),
              ("upgrade", "h2c"), ("transfer-encoding", "chunked")):
    refused("8.2.2", f"the field {field[0]}", MALFORMED, lambda peer, field=field: whole(peer, [*GOOD, field]))
refused("8.2.2", "te other than trailers", MALFORMED,
        lambda peer: whole(peer, [*(f for f in GOOD if f[0] != "te"), ("te", "trailers, deflate")]))

refused("8.3", "an unknown pseudo-header field", MALFORMED, lambda peer: whole(peer, [(":test", "ok"), *GOOD]))
refused("8.3", "a response's pseudo-header field", MALFORMED, lambda peer: whole(peer, [(":status", "200"), *GOOD]))
refused("8.3", "a pseudo-header field after others", MALFORMED,
        lambda peer: whole(peer, [*GOOD[:2], *GOOD[3:], GOOD[2]]))
refused("8.3", "a pseudo-header field in trailers", MALFORMED, lambda peer: (
    request(peer, end=False) + headers(1, peer.encode([(":method", "POST")]), END_HEADERS | END_STREAM)))
for index, (name, value) in enumerate(GOOD[:3]):
    refused("8.3.1", f"{name} is missing", MALFORMED,
            lambda peer, index=index: whole(peer, GOOD[:index] + GOOD[index + 1:]))
    refused("8.3.1", f"{name} comes twice", MALFORMED, lambda peer, index=index: whole(peer, [GOOD[index], *GOOD]))
refused("8.3.1", ":path is empty", MALFORMED, lambda peer: whole(peer, [*GOOD[:2], (":path", ""), *GOOD[3:]]))
refused("8.3.1", ":path does not start with a slash", MALFORMED,
        lambda peer: whole(peer, [*GOOD[:2], (":path", "x"), *GOOD[3:]]))
refused("8.5", "CONNECT with :scheme and :path", MALFORMED,
        lambda peer: whole(peer, [(":method", "CONNECT"), *GOOD[1:]]))

# --- RFC 7541, HPACK

def with_block(number: int, fields: bytes) -> bytes:
    return headers(number, fields) + data(number, EMPTY_MESSAGE, END_STREAM)


def assert_echoes(peer: Peer, number: int, fields: bytes, value: str) -> None:
    peer.send(with_block(number, fields))
    assert_answered(peer, number)
    assert peer.stream(number).headers[ECHOED] == value


for kind, huffman in itertools.product(Literal, (False, True)):
    spelled = "in Huffman code" if huffman else "as it is"

    @case("hpack 6.2", f"a literal {kind.name}, its name and value {spelled}")
    def _(peer, kind=kind, huffman=huffman):
        assert_echoes(peer, 1, PLAIN + literal(kind, ECHOED.encode(), b"value", huffman), "value")

    @case("hpack 6.2", f"a literal {kind.name}, its name indexed, its value {spelled}")
    def _(peer, kind=kind, huffman=huffman):
        assert_echoes(peer, 1, PLAIN + literal(Literal.INDEXING, ECHOED.encode(), b"before"), "before")
        assert_echoes(peer, 3, PLAIN + literal(kind, FIRST_DYNAMIC, b"value", huffman), "value")


@case("hpack 6.1", "an indexed field")
def _(peer):
    assert_echoes(peer, 1, PLAIN + literal(Literal.INDEXING, ECHOED.encode(), b"before"), "before")
    assert_echoes(peer, 3, PLAIN + indexed(FIRST_DYNAMIC), "before")


@case("hpack 6.3", "table size updates, one and several")
def _(peer):
    assert_echoes(peer, 1, table_size(128) + PLAIN + literal(Literal.INDEXING, ECHOED.encode(), b"before"), "before")
    assert_echoes(peer, 3, table_size(100) + table_size(TABLE_SIZE) + PLAIN + indexed(FIRST_DYNAMIC), "before")


@case("hpack 4.3", "a table size update drops entries", COMPRESSION)
def _(peer):
    assert_echoes(peer, 1, PLAIN + literal(Literal.INDEXING, ECHOED.encode(), b"before"), "before")
    peer.send(with_block(3, table_size(0) + table_size(TABLE_SIZE) + PLAIN + indexed(FIRST_DYNAMIC)))


def with_value(raw: bytes) -> bytes:
    return PLAIN + b"\0" + string(b"x-test") + raw


for section, name, fields in (
        ("2.3.3", "an index beyond the table", PLAIN + indexed(FIRST_DYNAMIC + 8)),
        ("2.3.3", "a literal with an index beyond the table",
         PLAIN + literal(Literal.INDEXING, FIRST_DYNAMIC + 8, b"value")),
        ("4.2", "a table size update after a field", PLAIN + table_size(128)),
        ("5.1", "an integer without end", PLAIN + b"\xff" * 16),
        ("5.2", "a string longer than the block", with_value(bytes(encode_integer(100, 7)) + b"short")),
        ("5.2", "Huffman code padded with 8 bits", with_value(raw_string(string(b"value", True)[1:] + b"\xff", True))),
        ("5.2", "Huffman code padded with zeros", with_value(raw_string(b"\x18", True))),  # 00011 is "a"
        ("5.2", "Huffman code with its end of string", with_value(raw_string(b"\xff" * 4, True))),
        ("6.1", "index 0", PLAIN + indexed(0)),
        ("6.3", "a table larger than SETTINGS_HEADER_TABLE_SIZE", table_size(TABLE_SIZE + 1) + PLAIN)):
    refused("hpack " + section, name, COMPRESSION, lambda peer, fields=fields: with_block(1, fields))


@case("10.5.1", "more header fields than SETTINGS_MAX_HEADER_LIST_SIZE leave the connection and its table in order",
      stream(Code.ENHANCE_YOUR_CALM, Code.PROTOCOL_ERROR, Code.REFUSED_STREAM))
def _(peer):
    many = [("x-fill", "~" * 1000)] * (peer.settings[Setting.MAX_HEADER_LIST_SIZE] // 1000 + 1)
    peer.send(headers(1, peer.encode([*GOOD, *many]), END_HEADERS | END_STREAM), request(peer, 3))
    assert_answered(peer, 3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section}: {case.name}")
def test_rfc(server, case):
    with Peer(server.port, *case.first_settings, handshake=case.handshake) as peer:
        case.steps(peer)
        reaction, allowed = peer.reaction(), sorted(case.allowed)
        assert reaction in allowed, peer.summary()
    assert server.poll() is None, "the server has ended"
