"""What test_http2.py says its cases with: reactions that may be right, requests in parts, and the register of cases."""
import dataclasses
from collections.abc import Callable

from http2_frames import (
    EMPTY_MESSAGE, END_HEADERS, END_STREAM, PADDED, Code, Literal, Peer, Type, frame, headers, literal, message,
    request_fields, window_update)

SERVICE = "/grpc.testing.TestService/"
EMPTY_CALL, UNARY_CALL, DUPLEX_CALL = SERVICE + "EmptyCall", SERVICE + "UnaryCall", SERVICE + "FullDuplexCall"

# --- What may follow

Reaction = tuple[str, str]
NONE: set[Reaction] = {("none", "")}


def connection(*codes: Code) -> set[Reaction]:
    """A connection error. A server may close without a word, or the word may be lost as it closes (section 5.4.1)."""
    return {("connection", code.name) for code in codes} | {("connection", "closed")}


def stream(*codes: Code) -> set[Reaction]:
    """A stream error; any may be taken for one of the connection (section 5.4.2)."""
    return {("stream", code.name) for code in codes} | connection(*codes)


PROTOCOL, SIZE = connection(Code.PROTOCOL_ERROR), connection(Code.FRAME_SIZE_ERROR)
FLOW, COMPRESSION = connection(Code.FLOW_CONTROL_ERROR), connection(Code.COMPRESSION_ERROR)
MALFORMED, STREAM_CLOSED = stream(Code.PROTOCOL_ERROR), stream(Code.STREAM_CLOSED)


@dataclasses.dataclass
class Case:
    section: str
    name: str
    allowed: set[Reaction]
    steps: Callable[[Peer], object]
    first_settings: tuple[tuple[int, int], ...] = ()
    handshake: bool = True


CASES: list[Case] = []


def refused(
        section: str, name: str, allowed: set[Reaction], frames: Callable[[Peer], bytes], *first_settings,
        **options) -> None:
    """A case that is one lot of frames."""
    CASES.append(Case(section, name, allowed, lambda peer: peer.send(frames(peer)), first_settings, **options))


def case(section: str, name: str, allowed: set[Reaction] = NONE, *first_settings, **options):
    """A case that takes several steps, and may check for itself on the way."""
    def add(steps):
        CASES.append(Case(section, name, allowed, steps, first_settings, **options))
        return steps
    return add


def served(section: str, name: str, frames: Callable[[Peer], bytes], *first_settings) -> None:
    """The frames bring about an answer to EmptyCall on stream 1."""
    case(section, name, NONE, *first_settings)(lambda peer: (peer.send(frames(peer)), assert_answered(peer)))


def taken(section: str, name: str, frames: Callable[[Peer], bytes], *first_settings) -> None:
    """The frames bring about nothing, and the connection is as good as before."""
    case(section, name, NONE, *first_settings)(lambda peer: (peer.send(frames(peer)), assert_serves(peer)))


# --- Requests

def block(peer: Peer, *extra: tuple[str, str], path: str = EMPTY_CALL) -> bytes:
    return peer.encode(request_fields(path, *extra))


GOOD = request_fields(EMPTY_CALL)
# Leaves HPACK's table as it is.
PLAIN = b"".join(literal(Literal.PLAIN, name.encode(), value.encode()) for name, value in GOOD)


def pieces_of(fields: bytes, count: int) -> list[bytes]:
    size = -(-len(fields) // count)
    return [fields[start:start + size] for start in range(0, len(fields), size)]


HALVES, THIRDS = pieces_of(PLAIN, 2), pieces_of(PLAIN, 3)


def request(peer: Peer, number: int = 1, **options) -> bytes:
    return peer.request(number, EMPTY_CALL, **options)


def opened(peer: Peer, number: int = 1) -> bytes:
    """A request whose body is still to come."""
    return headers(number, block(peer))


def whole(peer: Peer, fields: list[tuple[str, str]]) -> bytes:
    """A request of these fields and nothing else."""
    return headers(1, peer.encode(fields), END_HEADERS | END_STREAM)


def padded(kind: Type, payload: bytes, padding: int, flags: int = 0, says: int | None = None) -> bytes:
    """`says`: what the frame says of its padding's length, where that is not the truth."""
    return frame(kind, flags | PADDED, 1, bytes([padding if says is None else says]) + payload + bytes(padding))


def protobuf(number: int, value: int | bytes) -> bytes:
    """One field of a message: a varint or bytes."""
    def varint(rest: int) -> bytes:
        return bytes([rest]) if rest < 0x80 else bytes([rest & 0x7F | 0x80]) + varint(rest >> 7)

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def asking_for(size: int) -> bytes:
    """A request of UnaryCall whose answer holds a payload of `size` bytes, and so is longer than that."""
    return message(protobuf(2, size))


def carrying(size: int) -> bytes:
    """A request of UnaryCall or FullDuplexCall with a payload of so many bytes."""
    return message(protobuf(3, protobuf(2, bytes(size))))


def assert_answered(peer: Peer, number: int = 1) -> None:
    answer = peer.answer(number)
    assert (answer.headers[":status"], answer.grpc_status, answer.body) == ("200", "0", EMPTY_MESSAGE), answer


def assert_serves(peer: Peer, number: int = 101) -> None:
    assert peer.reaction() == ("none", ""), peer.summary()
    peer.send(request(peer, number), window_update(number, len(EMPTY_MESSAGE)))
    assert_answered(peer, number)


def assert_body(peer: Peer, length: int, number: int = 1) -> None:
    """So many bytes come of the answer's body, and not one more."""
    peer.wait(lambda: len(peer.stream(number).body) >= length, f"{length} bytes")
    peer.catch_up()
    assert len(peer.stream(number).body) == length, peer.summary()
