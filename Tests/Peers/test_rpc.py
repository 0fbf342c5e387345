"""gRPC's own interoperability cases: grpcio as the client, our server. Names are those of "Interop Test Case Descriptions"."""
import pathlib
import subprocess
import threading

import grpc
import pytest

from contract import compile_protos

messages, stubs = compile_protos(pathlib.Path(__file__).parent / "interop", ["test.proto"])
TIMEOUT_SECONDS = 20
RESPONSE_SIZES = [31415, 9, 2653, 58979]
REQUEST_SIZES = [27182, 8, 1828, 45904]


@pytest.fixture(scope="module")
def channel(binaries):
    server = subprocess.Popen([binaries / "rpc-interop-server"], stdout=subprocess.PIPE, text=True)
    with grpc.insecure_channel("127.0.0.1:" + server.stdout.readline().strip()) as channel:
        yield channel
    server.kill()
    server.wait()


@pytest.fixture
def stub(channel):
    return stubs.TestServiceStub(channel)


def payload(size: int):
    return messages.Payload(body=bytes(size))


def output_request(size: int, interval_us: int = 0, body: int = 0):
    parameters = messages.ResponseParameters(size=size, interval_us=interval_us)
    return messages.StreamingOutputCallRequest(response_parameters=[parameters], payload=payload(body))


def test_empty_unary(stub):
    assert stub.EmptyCall(messages.Empty(), timeout=TIMEOUT_SECONDS) == messages.Empty()


def test_large_unary(stub):
    request = messages.SimpleRequest(response_size=314159, payload=payload(271828))
    assert stub.UnaryCall(request, timeout=TIMEOUT_SECONDS).payload.body == bytes(314159)


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


METADATA = (("x-grpc-test-echo-initial", "test_initial_metadata_value"), ("x-grpc-test-echo-trailing-bin", b"\x0a\x0b\x0a\x0b"))


def test_custom_metadata_of_a_unary_call(stub):
    request = messages.SimpleRequest(response_size=314159, payload=payload(271828))
    _, call = stub.UnaryCall.with_call(request, timeout=TIMEOUT_SECONDS, metadata=METADATA)
    assert METADATA[0] in [tuple(pair) for pair in call.initial_metadata()]
    assert METADATA[1] in [tuple(pair) for pair in call.trailing_metadata()]


def test_custom_metadata_of_a_stream(stub):
    call = stub.FullDuplexCall(iter([output_request(314159, body=271828)]), timeout=TIMEOUT_SECONDS, metadata=METADATA)
    assert [len(answer.payload.body) for answer in call] == [314159]
    assert METADATA[0] in [tuple(pair) for pair in call.initial_metadata()]
    assert METADATA[1] in [tuple(pair) for pair in call.trailing_metadata()]


def assert_fails(call, code: grpc.StatusCode, details: str | None = None):
    with pytest.raises(grpc.RpcError) as failure:
        call()
    assert failure.value.code() == code, failure.value
    if details is not None:
        assert failure.value.details() == details


def test_status_code_and_message_of_a_unary_call(stub):
    request = messages.SimpleRequest(response_status=messages.EchoStatus(code=2, message="test status message"))
    assert_fails(lambda: stub.UnaryCall(request, timeout=TIMEOUT_SECONDS), grpc.StatusCode.UNKNOWN, "test status message")


def test_status_code_and_message_of_a_stream(stub):
    request = messages.StreamingOutputCallRequest(
        response_status=messages.EchoStatus(code=2, message="test status message"))
    assert_fails(
        lambda: list(stub.FullDuplexCall(iter([request]), timeout=TIMEOUT_SECONDS)), grpc.StatusCode.UNKNOWN,
        "test status message")


def test_special_status_message(stub):
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    request = messages.SimpleRequest(response_status=messages.EchoStatus(code=2, message=message))
    assert_fails(lambda: stub.UnaryCall(request, timeout=TIMEOUT_SECONDS), grpc.StatusCode.UNKNOWN, message)


def test_unimplemented_method(stub):
    assert_fails(
        lambda: stub.UnimplementedCall(messages.Empty(), timeout=TIMEOUT_SECONDS), grpc.StatusCode.UNIMPLEMENTED)


def test_unimplemented_service(channel):
    stub = stubs.UnimplementedServiceStub(channel)
    assert_fails(
        lambda: stub.UnimplementedCall(messages.Empty(), timeout=TIMEOUT_SECONDS), grpc.StatusCode.UNIMPLEMENTED)


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
    call = stub.FullDuplexCall(iter([output_request(31415, body=27182), output_request(1, interval_us=60_000_000)]))
    assert len(next(call).payload.body) == 31415
    call.cancel()
    assert_fails(lambda: next(call), grpc.StatusCode.CANCELLED)


def test_timeout_on_sleeping_server(stub):
    call = stub.FullDuplexCall(iter([output_request(1, interval_us=10_000_000, body=27182)]), timeout=0.1)
    assert_fails(lambda: list(call), grpc.StatusCode.DEADLINE_EXCEEDED)


def test_a_slow_reader_gets_every_message_of_a_long_stream(stub):
    """More than the flow-control windows hold: the server has to wait, and to go on."""
    request = messages.StreamingOutputCallRequest(
        response_parameters=[messages.ResponseParameters(size=100_000)] * 300)
    answers = stub.StreamingOutputCall(request, timeout=60)
    assert sum(len(answer.payload.body) for answer in answers) == 30_000_000


def test_a_message_beyond_the_limit_is_refused(stub):
    request = messages.SimpleRequest(payload=payload(64 << 20))
    assert_fails(lambda: stub.UnaryCall(request, timeout=TIMEOUT_SECONDS), grpc.StatusCode.RESOURCE_EXHAUSTED)
