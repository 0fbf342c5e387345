"""The gateway behind TLS with a certificate of the user's own: for browsers, for gRPC clients of other people, for the command
line; renewed while it runs; and told what is wrong with the files."""
import os
import re
import socket
import ssl
import subprocess
import time

import grpc
import pytest
import requests
from cryptography import x509

import servers
from certificates import Authority
from contract import wait_until
from ferry_system import ADMIN_PASSWORD
from test_command_line import Pipe


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("gateway-tls"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.server("gateway")


@pytest.fixture(scope="module")
def behind_tls(start_system, certificate):
    return start_system("tls", tls_certificate_file=certificate.certificate, tls_key_file=certificate.key)


@pytest.fixture
def web(behind_tls, authority):
    session = requests.Session()
    session.verify, session.trust_env = str(authority.certificate), False
    session.base = f"https://127.0.0.1:{behind_tls.http_port}"
    return session


def test_the_page_and_the_api_come_over_tls_and_cookies_are_secure(behind_tls, web):
    assert "FileFerry" in web.get(web.base + "/").text
    answer = web.post(web.base + "/api/v1/sessions", json={"userName": "admin", "password": ADMIN_PASSWORD},
                      headers={"X-FileFerry": "1", "Origin": web.base})
    assert answer.status_code == 200, answer.text
    cookies = answer.headers["Set-Cookie"].split(", fileferry")
    assert len(cookies) == 2 and all("; Secure" in cookie for cookie in cookies)
    assert web.get(web.base + "/api/v1/me").json()["userName"] == "admin"
    # Events stay open.
    with web.get(web.base + "/api/v1/notifications/events", stream=True, timeout=10) as events:
        assert events.status_code == 200 and events.headers["Content-Type"].startswith("text/event-stream")
        assert next(events.iter_content(1))
    with pytest.raises(requests.ConnectionError):
        requests.get(web.base.replace("https", "http") + "/")
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(web.base + "/")  # nobody this machine trusts


def test_other_peoples_grpc_clients_come_over_tls(behind_tls, authority):
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    with grpc.secure_channel(behind_tls.address(), credentials) as channel:
        call = channel.unary_unary("/fileferry.v1.Transfer/GetReceiptKey")
        assert b"Ed25519" in call(b"", timeout=10)
    with grpc.insecure_channel(behind_tls.address()) as channel:
        with pytest.raises(grpc.RpcError):
            channel.unary_unary("/fileferry.v1.Transfer/GetReceiptKey")(b"", timeout=5)


def test_the_command_line_comes_over_tls(behind_tls, authority, tmp_path):
    ferry = Pipe(behind_tls, tmp_path / "home")
    address = f"https://{behind_tls.address()}"
    ferry.environment["FERRY_SERVER"] = address
    login = ["login", "--user", "admin", "--password-file", "-"]
    assert "not trusted" in ferry(*login, typed=ADMIN_PASSWORD, code=4).text
    ferry(*login, "--server-ca-file", authority.certificate, typed=ADMIN_PASSWORD)
    del ferry.environment["FERRY_SERVER"]
    # Kept with the session: where it is, and whom to trust.
    assert "admin" in ferry("whoami").text
    assert "answers at https://" in ferry("doctor", code=1).text
    assert ferry("whoami", "--server", behind_tls.address(), code=4).text.count("Next:") == 1
    assert "write the address as https://" in ferry(
        "whoami", "--server", behind_tls.address(), "--server-ca-file", authority.certificate, code=64).text


def shown_serial(port: int, alpn: str) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    with socket.create_connection(("127.0.0.1", port), 5) as raw, context.wrap_socket(raw) as connection:
        assert connection.selected_alpn_protocol() == alpn and connection.version() in ("TLSv1.2", "TLSv1.3")
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True)).serial_number


def test_a_renewed_certificate_is_taken_up_without_a_restart(behind_tls, authority, certificate, web):
    ports = [(behind_tls.http_port, "http/1.1"), (behind_tls.base_port, "h2")]
    assert [shown_serial(*port) for port in ports] == [certificate.serial] * 2
    renewed = authority.server("renewed")
    serial = renewed.serial
    certificate.replace(renewed)
    wait_until("the new certificate", lambda: [shown_serial(*port) for port in ports] == [serial] * 2, 20, interval=0.5)
    # Files that can't be used change nothing.
    certificate.certificate.write_text("no certificate")
    time.sleep(2)
    assert [shown_serial(*port) for port in ports] == [serial] * 2
    assert "FileFerry" in web.get(web.base + "/").text
    assert "the changed certificate is not used" in behind_tls.report(lines=200)
    certificate.replace(renewed)


@pytest.mark.slow
def test_files_that_can_not_be_used_are_told(binaries, authority, tmp_path):
    one, other = authority.server("one"), authority.server("other")
    base, *_, http = servers.free_ports(8, consecutive=True)
    command = [binaries / "ferry", "up", "--data", tmp_path / "data", "--base-port", str(base), "--http-port", str(http),
               "--tls-certificate-file", one.certificate]
    missing = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert missing.returncode == 64 and "TLS needs both files" in missing.stderr
    process = subprocess.Popen(
        [*command, "--tls-key-file", other.key], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=dict(os.environ, HOME=str(tmp_path)))
    try:
        said = ""
        while "Next:" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        assert re.search(r"Not ready after .*: gateway\.", said)
        assert re.search(r"gateway: .*TLS cannot be set up from .*one.*the key belongs to the certificate", said), said
    finally:
        process.terminate()
        process.wait(40)
