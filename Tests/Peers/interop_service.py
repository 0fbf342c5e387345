"""grpc.testing.TestService on grpcio: what gRPC's "Interoperability Test Case Descriptions" ask of a server.

`python interop_service.py --port 0` serves it alone; tests use `Service`, with the witness that tells it which messages
came compressed.
"""
import argparse
import concurrent.futures
import pathlib
import ssl
import threading
import time

import grpc

from certificates import Authority, Identity
from contract import compile_protos
from wire_witness import CALL_HEADER, Witness

messages, stubs = compile_protos(pathlib.Path(__file__).parent / "interop", ["test.proto"])
THREADS = 16
INITIAL_KEY = "x-grpc-test-echo-initial"
TRAILING_KEY = "x-grpc-test-echo-trailing-bin"
STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class TestService(stubs.TestServiceServicer):
    __test__ = False  # no test of pytest's

    def __init__(self):
        self.witness: Witness | None = None

    def EmptyCall(self, request, context):
        _echo_metadata(context)
        return messages.Empty()

    def UnaryCall(self, request, context):
        if request.HasField("expect_compressed"):
            self._expect(request.expect_compressed.value, 0, context)
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        _echo_metadata(context)
        _echo_status(request, context)
        return messages.SimpleResponse(payload=messages.Payload(body=bytes(request.response_size)))

    def StreamingOutputCall(self, request, context):
        if any(parameters.compressed.value for parameters in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        _echo_metadata(context)
        yield from _responses(request, context)

    def StreamingInputCall(self, request_iterator, context):
        total = 0
        for number, request in enumerate(request_iterator):
            if request.HasField("expect_compressed"):
                self._expect(request.expect_compressed.value, number, context)
            total += len(request.payload.body)
        return messages.StreamingInputCallResponse(aggregated_payload_size=total)

    def FullDuplexCall(self, request_iterator, context):
        _echo_metadata(context)
        for request in request_iterator:
            yield from _responses(request, context)

    def _expect(self, compressed: bool, number: int, context) -> None:
        """Fails the call when message `number` did not come as the client says."""
        call = dict(context.invocation_metadata()).get(CALL_HEADER)
        if self.witness is None or call is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "grpcio cannot tell without the witness: connect to it")
        if self.witness.calls[int(call)].requests[number] != compressed:
            wish = "a compressed" if compressed else "an uncompressed"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"message {number} is not {wish} one, as it says")


def _echo_metadata(context) -> None:
    given = dict(context.invocation_metadata())
    if INITIAL_KEY in given:
        context.send_initial_metadata([(INITIAL_KEY, given[INITIAL_KEY])])
    if TRAILING_KEY in given:
        context.set_trailing_metadata([(TRAILING_KEY, given[TRAILING_KEY])])


def _echo_status(request, context) -> None:
    if request.response_status.code != 0:
        context.abort(STATUS_CODES[request.response_status.code], request.response_status.message)


def _responses(request, context):
    _echo_status(request, context)
    for parameters in request.response_parameters:
        time.sleep(parameters.interval_us / 1_000_000)
        if not parameters.compressed.value:
            context.disable_next_message_compression()
        yield messages.StreamingOutputCallResponse(payload=messages.Payload(body=bytes(parameters.size)))


class WrongService(stubs.TestServiceServicer):
    """Does nearly what it should: whoever checks its answers has to notice each time."""

    def EmptyCall(self, request, context):
        context.abort(grpc.StatusCode.UNKNOWN, "no empty message today")

    def UnaryCall(self, request, context):
        _echo_status_wrongly(request, context)
        return messages.SimpleResponse(payload=messages.Payload(body=bytes(request.response_size + 1)))

    def StreamingOutputCall(self, request, context):
        for parameters in request.response_parameters[1:]:
            yield messages.StreamingOutputCallResponse(payload=messages.Payload(body=bytes(parameters.size)))

    def StreamingInputCall(self, request_iterator, context):
        total = sum(len(request.payload.body) for request in request_iterator)
        return messages.StreamingInputCallResponse(aggregated_payload_size=total + 1)

    def FullDuplexCall(self, request_iterator, context):
        for request in request_iterator:
            _echo_status_wrongly(request, context)
            for parameters in request.response_parameters:
                yield messages.StreamingOutputCallResponse(payload=messages.Payload(body=bytes(parameters.size + 1)))
        yield messages.StreamingOutputCallResponse()

    def UnimplementedCall(self, request, context):
        return messages.Empty()


def _echo_status_wrongly(request, context) -> None:
    if request.response_status.code != 0:
        context.abort(STATUS_CODES[request.response_status.code], request.response_status.message.strip() + ".")


class Service:
    """The service on a free port, and the witness before it on another."""

    def __init__(self, identity: Identity | None = None, authority: Authority | None = None,
                 requires_client_certificate: bool = False, port: int = 0, wrong: bool = False):
        """Serves TLS with an identity; the authority is the one that vouches for it and for clients."""
        handlers = WrongService() if wrong else TestService()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(THREADS))
        stubs.add_TestServiceServicer_to_server(handlers, self._server)
        if wrong:
            stubs.add_UnimplementedServiceServicer_to_server(handlers, self._server)
        address = f"127.0.0.1:{port}"
        if identity is None:
            self.port = self._server.add_insecure_port(address)
            self.witness = Witness(self.port)
        else:
            credentials = grpc.ssl_server_credentials(
                [(identity.key.read_bytes(), identity.certificate.read_bytes())],
                authority.certificate.read_bytes() if requires_client_certificate else None,
                requires_client_certificate)
            self.port = self._server.add_secure_port(address, credentials)
            self.witness = Witness(self.port, server_context(identity), client_context(authority))
        handlers.witness = self.witness

    def __enter__(self) -> "Service":
        self._server.start()
        self.witness.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self.witness.__exit__(*error)
        self._server.stop(grace=None).wait()


def server_context(identity: Identity, protocols: tuple[str, ...] = ("h2",)) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def client_context(authority: Authority, protocols: tuple[str, ...] = ("h2",)) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.certificate)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def main() -> None:
    parser = argparse.ArgumentParser(description="Serves grpc.testing.TestService on loopback until it is killed.")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose; the witness's port is printed")
    with Service(port=parser.parse_args().port) as service:
        print(service.witness.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
