"""The OpenAPI document says what the gateway does: schemathesis sends what it allows, and odder things, and looks whether the
answers are among those that it names."""
import os
import subprocess
import sys

import openapi_spec_validator
import pytest
import requests

EXAMPLES = int(os.environ.get("FERRY_OPENAPI_EXAMPLES", 8))
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "unsupported_method", "ignored_auth"]


@pytest.fixture(scope="module")
def spoken_to(start_system):
    """A FileFerry whose data may become anything."""
    return start_system("openapi", retry_budget_seconds="0")


@pytest.fixture(scope="module")
def api_url(spoken_to) -> str:
    return f"http://127.0.0.1:{spoken_to.http_port}/api/v1"


@pytest.fixture(scope="module")
def document(api_url) -> dict:
    answer = requests.get(f"{api_url}/openapi.json", timeout=10)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
    return answer.json()


def test_the_document_is_valid_and_names_each_operation_once(document):
    openapi_spec_validator.OpenAPIV31SpecValidator(document).validate()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) and len(names) > 35
    assert all(operation["summary"].endswith(".") for operation in operations)
    opened = {operation["operationId"] for operation in operations if operation.get("security") == []}
    assert opened == {"signIn", "refreshSession", "listIdentityProviders", "beginSingleSignOn", "completeSingleSignOn",
                      "getReceiptKey", "getOpenAPI"}


def test_every_answer_is_one_that_the_document_names(spoken_to, api_url, tmp_path):
    from ferry_system import ADMIN_PASSWORD

    token = requests.post(
        f"{api_url}/sessions", json={"userName": "admin", "password": ADMIN_PASSWORD}, timeout=10).json()["accessToken"]
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{api_url}/openapi.json", "--url", api_url,
        "--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES),
        "--seed", "20261126", "--generation-database", "none", "--no-color", "--request-timeout", "30", "--phases",
        "examples,coverage,fuzzing", "--exclude-path-regex", "/events$"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60 * EXAMPLES + 600)
    print(ended.stdout[:40_000])
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:] + spoken_to.report()


def test_the_document_counts_in_every_schema_what_a_service_really_sends(courier, document):
    """Not by chance alone: the fullest answers that there are hold no member that the document lacks."""
    schemas = document["components"]["schemas"]
    for name in ("Delivery", "Journey", "DeliveryPlan", "Dashboard", "SignedReceipt"):
        if name in schemas:
            assert schemas[name]["additionalProperties"] is False and schemas[name]["properties"]
    url = f"http://127.0.0.1:{courier.system.http_port}/api/v1"
    listed = requests.get(f"{url}/openapi.json", timeout=10).json()
    assert listed == document, "two gateways describe themselves differently"
