"""gRPC's own interoperability cases with grpcio as the client: against our server, and against grpcio's own, which
shows that the cases are right. Names are those of "Interoperability Test Case Descriptions".
"""
import contextlib
import threading
import time

import grpc
import pytest
from grpc._cython import cygrpc

from interop_peers import OurServer, connect
from interop_service import messages, stubs

pytest_plugins = ("interop_fixtures",)
TIMEOUT_SECONDS = 20
RESPONSE_SIZES = [31415, 9, 2653, 58979]
REQUEST_SIZES = [27182, 8, 1828, 45904]
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
SOAK_ITERATION_SECONDS = 1
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


@pytest.fixture
def channel(peer):
    with peer.channel() as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return stubs.TestServiceStub(channel)


@pytest.fixture
def witnessed(peer):
    """A stub that goes through the witness, and the calls that the witness sees from now on."""
    with peer.channel(peer.witness.port) as channel:
        before = len(peer.witness.calls)
        yield stubs.TestServiceStub(channel), lambda: peer.witness.calls[before:]


def payload(size: int):
    return messages.Payload(body=bytes(size))


def truth(value: bool):
    return messages.BoolValue(value=value)


def large_request(**fields):
    return messages.SimpleRequest(response_size=LARGE_RESPONSE, payload=payload(LARGE_REQUEST), **fields)


def output_request(size: int, interval_us: int = 0, body: int = 0):
    parameters = messages.ResponseParameters(size=size, interval_us=interval_us)
    return messages.StreamingOutputCallRequest(response_parameters=[parameters], payload=payload(body))


def assert_fails(call, code: grpc.StatusCode, details: str | None = None):
    with pytest.raises(grpc.RpcError) as failure:
        call()
    assert failure.value.code() == code, failure.value
    if details is not None:
        assert failure.value.details() == details


def test_empty_unary(stub):
    assert stub.EmptyCall(messages.Empty(), timeout=TIMEOUT_SECONDS) == messages.Empty()


def test_large_unary(stub):
    assert stub.UnaryCall(large_request(), timeout=TIMEOUT_SECONDS).payload.body == bytes(LARGE_RESPONSE)


def test_client_streaming(stub):
    requests = (messages.StreamingInputCallRequest(payload=payload(size)) for size in REQUEST_SIZES)
    assert stub.StreamingInputCall(requests, timeout=TIMEOUT_SECONDS).aggregated_payload_size == sum(REQUEST_SIZES)


def test_server_streaming(stub):
    request = messages.StreamingOutputCallRequest(
        response_parameters=[messages.ResponseParameters(size=size) for size in RESPONSE_SIZES])
    answers = stub.StreamingOutputCall(request, timeout=TIMEOUT_SECONDS)
    assert [answer.payload.body for answer in answers] == [bytes(size) for size in RESPONSE_SIZES]


def test_ping_pong(stub):
    """Each request is only made after the answer to the one before."""
    sizes, answered = [], threading.Semaphore(0)

    def requests():
        for number, (size, body) in enumerate(zip(RESPONSE_SIZES, REQUEST_SIZES)):
            assert len(sizes) == number, f"request {number} goes out after {len(sizes)} answers"
            yield output_request(size, body=body)
            answered.acquire(timeout=TIMEOUT_SECONDS)

    for answer in stub.FullDuplexCall(requests(), timeout=TIMEOUT_SECONDS):
        sizes.append(len(answer.payload.body))
        answered.release()
    assert sizes == RESPONSE_SIZES


def test_empty_stream(stub):
    assert list(stub.FullDuplexCall(iter(()), timeout=TIMEOUT_SECONDS)) == []


# Compression. What was compressed is read off the wire by the witness: grpcio does not say.


def test_client_compressed_unary(witnessed):
    stub, calls = witnessed
    assert_fails(
        lambda: stub.UnaryCall(large_request(expect_compressed=truth(True)), timeout=TIMEOUT_SECONDS),
        grpc.StatusCode.INVALID_ARGUMENT)
    for compressed in (True, False):
        response = stub.UnaryCall(
            large_request(expect_compressed=truth(compressed)), timeout=TIMEOUT_SECONDS,
            compression=grpc.Compression.Gzip if compressed else None)
        assert response.payload.body == bytes(LARGE_RESPONSE)
    assert [call.requests for call in calls()] == [[False], [True], [False]]


class Uncompressed(bytes):
    """A serialized message that leaves as it is though the call announces an encoding."""


@pytest.fixture
def per_message_compression(monkeypatch):
    """grpcio's own interface has no compression per message; its core does (GRPC_WRITE_NO_COMPRESS)."""

    def operation(message, flags):
        plain = cygrpc.WriteFlag.no_compress if isinstance(message, Uncompressed) else 0
        return send(bytes(message), flags | plain)

    send = cygrpc.SendMessageOperation
    monkeypatch.setattr(cygrpc, "SendMessageOperation", operation)


def test_client_compressed_streaming(witnessed, peer, per_message_compression):
    def request(size: int, compressed: bool):
        return messages.StreamingInputCallRequest(payload=payload(size), expect_compressed=truth(compressed))

    def serialize(message):
        data = message.SerializeToString()
        return data if message.expect_compressed.value else Uncompressed(data)

    stub, calls = witnessed
    assert_fails(
        lambda: stub.StreamingInputCall(iter([request(27182, True)]), timeout=TIMEOUT_SECONDS),
        grpc.StatusCode.INVALID_ARGUMENT)
    with peer.channel(peer.witness.port) as channel:
        call = channel.stream_unary(
            "/grpc.testing.TestService/StreamingInputCall", serialize, messages.StreamingInputCallResponse.FromString)
        response = call(
            iter([request(27182, True), request(45904, False)]), timeout=TIMEOUT_SECONDS,
            compression=grpc.Compression.Gzip)
    assert response.aggregated_payload_size == 73086
    assert [call.requests for call in calls()] == [[False], [True, False]]


def test_server_compressed_unary(witnessed):
    stub, calls = witnessed
    for compressed in (True, False):
        response = stub.UnaryCall(large_request(response_compressed=truth(compressed)), timeout=TIMEOUT_SECONDS)
        assert response.payload.body == bytes(LARGE_RESPONSE)
    assert [call.responses for call in calls()] == [[True], [False]]


def test_server_compressed_streaming(witnessed):
    stub, calls = witnessed
    request = messages.StreamingOutputCallRequest(response_parameters=[
        messages.ResponseParameters(size=31415, compressed=truth(True)),
        messages.ResponseParameters(size=92653, compressed=truth(False))])
    answers = list(stub.StreamingOutputCall(request, timeout=TIMEOUT_SECONDS))
    assert [answer.payload.body for answer in answers] == [bytes(31415), bytes(92653)]
    assert [call.responses for call in calls()] == [[True, False]]


def test_every_message_of_a_compressed_stream_is_read(stub):
    """Many small ones, so that messages and HTTP/2 frames do not end together."""
    requests = (messages.StreamingInputCallRequest(payload=payload(size)) for size in range(2000))
    response = stub.StreamingInputCall(requests, timeout=TIMEOUT_SECONDS, compression=grpc.Compression.Gzip)
    assert response.aggregated_payload_size == sum(range(2000))


def test_our_server_refuses_an_encoding_that_it_does_not_know(binaries):
    """grpcio has deflate, ours has not: UNIMPLEMENTED (grpc/grpc doc/compression.md)."""
    with OurServer(binaries) as server, connect(server.port, None) as channel:
        stub = stubs.TestServiceStub(channel)
        assert_fails(
            lambda: stub.UnaryCall(large_request(), timeout=TIMEOUT_SECONDS, compression=grpc.Compression.Deflate),
            grpc.StatusCode.UNIMPLEMENTED)
        assert stub.EmptyCall(messages.Empty(), timeout=TIMEOUT_SECONDS) == messages.Empty()


def test_a_message_that_inflates_beyond_the_limit_is_refused(stub):
    request = messages.SimpleRequest(payload=payload(64 << 20))
    assert_fails(
        lambda: stub.UnaryCall(request, timeout=TIMEOUT_SECONDS, compression=grpc.Compression.Gzip),
        grpc.StatusCode.RESOURCE_EXHAUSTED)


# Metadata and statuses.

METADATA = (
    ("x-grpc-test-echo-initial", "test_initial_metadata_value"), ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))


def test_custom_metadata_of_a_unary_call(stub):
    _, call = stub.UnaryCall.with_call(large_request(), timeout=TIMEOUT_SECONDS, metadata=METADATA)
    assert METADATA[0] in [tuple(pair) for pair in call.initial_metadata()]
    assert METADATA[1] in [tuple(pair) for pair in call.trailing_metadata()]


def test_custom_metadata_of_a_stream(stub):
    request = output_request(LARGE_RESPONSE, body=LARGE_REQUEST)
    call = stub.FullDuplexCall(iter([request]), timeout=TIMEOUT_SECONDS, metadata=METADATA)
    assert [len(answer.payload.body) for answer in call] == [LARGE_RESPONSE]
    assert METADATA[0] in [tuple(pair) for pair in call.initial_metadata()]
    assert METADATA[1] in [tuple(pair) for pair in call.trailing_metadata()]


def test_status_code_and_message_of_a_unary_call(stub):
    request = messages.SimpleRequest(response_status=messages.EchoStatus(code=2, message="test status message"))
    assert_fails(
        lambda: stub.UnaryCall(request, timeout=TIMEOUT_SECONDS), grpc.StatusCode.UNKNOWN, "test status message")


def test_status_code_and_message_of_a_stream(stub):
    request = messages.StreamingOutputCallRequest(
        response_status=messages.EchoStatus(code=2, message="test status message"))
    assert_fails(
        lambda: list(stub.FullDuplexCall(iter([request]), timeout=TIMEOUT_SECONDS)), grpc.StatusCode.UNKNOWN,
        "test status message")


def test_special_status_message(stub):
    request = messages.SimpleRequest(response_status=messages.EchoStatus(code=2, message=SPECIAL_MESSAGE))
    assert_fails(lambda: stub.UnaryCall(request, timeout=TIMEOUT_SECONDS), grpc.StatusCode.UNKNOWN, SPECIAL_MESSAGE)


def test_unimplemented_method(stub):
    assert_fails(
        lambda: stub.UnimplementedCall(messages.Empty(), timeout=TIMEOUT_SECONDS), grpc.StatusCode.UNIMPLEMENTED)


def test_unimplemented_service(channel):
    stub = stubs.UnimplementedServiceStub(channel)
    assert_fails(
        lambda: stub.UnimplementedCall(messages.Empty(), timeout=TIMEOUT_SECONDS), grpc.StatusCode.UNIMPLEMENTED)


# Cancellation and deadlines.


def test_cancel_after_begin(stub):
    cancelled = threading.Event()

    def requests():
        cancelled.wait(TIMEOUT_SECONDS)
        yield from ()

    call = stub.StreamingInputCall.future(requests())
    call.cancel()
    cancelled.set()
    with pytest.raises(grpc.FutureCancelledError):
        call.result(timeout=TIMEOUT_SECONDS)
    assert call.code() == grpc.StatusCode.CANCELLED


def test_cancel_after_first_response(stub):
    finished = threading.Event()

    def requests():
        yield output_request(31415, body=27182)
        finished.wait(TIMEOUT_SECONDS)

    call = stub.FullDuplexCall(requests())
    assert len(next(call).payload.body) == 31415
    call.cancel()
    assert_fails(lambda: next(call), grpc.StatusCode.CANCELLED)
    finished.set()


def test_timeout_on_sleeping_server(stub):
    finished = threading.Event()

    def requests():
        yield messages.StreamingOutputCallRequest(payload=payload(27182))
        finished.wait(TIMEOUT_SECONDS)

    call = stub.FullDuplexCall(requests(), timeout=0.001)
    assert_fails(lambda: list(call), grpc.StatusCode.DEADLINE_EXCEEDED)
    finished.set()


# Long runs and limits.


def soak(make_stub, iterations: int):
    for number in range(iterations):
        with make_stub() as stub:
            began = time.monotonic()
            response = stub.UnaryCall(large_request(), timeout=TIMEOUT_SECONDS)
            took = time.monotonic() - began
        assert response.payload.body == bytes(LARGE_RESPONSE), f"iteration {number}"
        assert took <= SOAK_ITERATION_SECONDS, f"iteration {number} took {took:.3f} s"


def test_rpc_soak(peer):
    with peer.channel() as channel:
        stub = stubs.TestServiceStub(channel)
        soak(lambda: contextlib.nullcontext(stub), iterations=100)


def test_channel_soak(peer):
    @contextlib.contextmanager
    def fresh():
        with peer.channel() as channel:
            yield stubs.TestServiceStub(channel)

    soak(fresh, iterations=20)


def test_a_slow_reader_gets_every_message_of_a_long_stream(stub):
    """More than the flow-control windows hold: the server has to wait, and to go on."""
    request = messages.StreamingOutputCallRequest(
        response_parameters=[messages.ResponseParameters(size=100_000)] * 300)
    answers = stub.StreamingOutputCall(request, timeout=60)
    assert sum(len(answer.payload.body) for answer in answers) == 30_000_000


def test_a_message_beyond_the_limit_is_refused(stub):
    request = messages.SimpleRequest(payload=payload(64 << 20))
    assert_fails(lambda: stub.UnaryCall(request, timeout=TIMEOUT_SECONDS), grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_sigterm_ends_our_server_after_the_calls_that_run(binaries):
    """The stream under way loses no message; a call that comes later is not taken."""
    with OurServer(binaries) as server, connect(server.port, None) as channel:
        request = messages.StreamingOutputCallRequest(
            response_parameters=[messages.ResponseParameters(size=1000, interval_us=20_000)] * 50)
        answers = stubs.TestServiceStub(channel).StreamingOutputCall(request, timeout=TIMEOUT_SECONDS)
        sizes = [len(next(answers).payload.body)]
        server.terminate()
        sizes += [len(answer.payload.body) for answer in answers]
        assert sizes == [1000] * 50
        assert server.wait() == 0
        with connect(server.port, None) as late:
            assert_fails(
                lambda: stubs.TestServiceStub(late).EmptyCall(messages.Empty(), timeout=TIMEOUT_SECONDS),
                grpc.StatusCode.UNAVAILABLE)
