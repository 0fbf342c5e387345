"""gRPC's own interoperability cases with rpc-interop-client: against grpcio's server and ours, plaintext and TLS."""
import pytest

import interop_service

# A program for each case, peer and security.
pytestmark = pytest.mark.slow

pytest_plugins = ("interop_fixtures",)
ITERATIONS = {"rpc_soak": 100, "channel_soak": 20}
CASES = [
    "empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
    "client_compressed_unary", "client_compressed_streaming", "server_compressed_unary", "server_compressed_streaming",
    "custom_metadata", "status_code_and_message", "special_status_message", "unimplemented_method",
    "unimplemented_service", "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server",
    *ITERATIONS,
]
# What the witness must have seen: for each call in order, whether each request, and each response, was compressed.
ON_THE_WIRE = {
    "client_compressed_unary": ([[False], [True], [False]], [[], [False], [False]]),
    "client_compressed_streaming": ([[False], [True, False]], [[], [False]]),
    "server_compressed_unary": ([[False], [False]], [[True], [False]]),
    "server_compressed_streaming": ([[False]], [[True, False]]),
}
# These end before the server has said anything, so its answers cannot fail them.
WITHOUT_ANSWER = {"cancel_after_begin", "timeout_on_sleeping_server"}


def options(peer):
    return ["--tls", "--ca", peer.authority.certificate] if peer.authority else []


@pytest.mark.parametrize("case", CASES)
def test_case(peer, run_client, case):
    """grpcio sees through its witness alone which requests are compressed."""
    through_witness = peer.name.startswith("grpcio") and case.startswith("client_compressed")
    more = ["--iterations", ITERATIONS[case]] if case in ITERATIONS else []
    outcome = run_client(case, peer.witness.port if through_witness else peer.port, *options(peer), *more)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("case", ON_THE_WIRE)
def test_what_a_compression_case_shows_on_the_wire(peer, run_client, case):
    before = len(peer.witness.calls)
    outcome = run_client(case, peer.witness.port, *options(peer))
    assert outcome.returncode == 0, outcome.stderr
    calls = peer.witness.calls[before:]
    assert ([call.requests for call in calls], [call.responses for call in calls]) == ON_THE_WIRE[case]


@pytest.fixture(scope="module")
def wrong_service():
    with interop_service.Service(wrong=True) as service:
        yield service


@pytest.mark.parametrize("case", [case for case in CASES if case not in WITHOUT_ANSWER])
def test_a_server_that_answers_a_little_wrong_fails_the_case(wrong_service, run_client, case):
    outcome = run_client(case, wrong_service.port)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith(f"{case}: "), outcome.stderr


def test_a_server_that_is_not_there_fails_the_case(run_client):
    with interop_service.Service() as service:
        port = service.port
    outcome = run_client("empty_unary", port)
    assert outcome.returncode == 1
    assert "UNAVAILABLE" in outcome.stderr
