"""gRPC-Web on the gateway's HTTP port: another project's client (sonora) calls unary and streaming methods; a browser's script
does the same by fetch; base64 and binary; and every way in which a request can be no call."""
import base64
import struct

import grpc
import pytest
import requests
import sonora.client
from playwright.sync_api import sync_playwright

import samples
from contract import api
from ferry_system import ADMIN_PASSWORD
from test_pages import CHROMIUM

TRANSFER = "/fileferry.v1.Transfer/"
WHO_AM_I = "/fileferry.v1.Auth/WhoAmI"


@pytest.fixture(scope="module")
def url(courier) -> str:
    return f"http://127.0.0.1:{courier.system.http_port}"


@pytest.fixture(scope="module")
def web(url):
    with sonora.client.insecure_web_channel(url) as channel:
        yield channel


@pytest.fixture(scope="module")
def bearer(web) -> list:
    session = unary(web, "/fileferry.v1.Auth/SignIn", api.SignInRequest(user_name="admin", password=ADMIN_PASSWORD), api.Session)
    return [("authorization", f"Bearer {session.access_token}")]


def unary(web, path: str, request, answer, **options):
    return web.unary_unary(path, type(request).SerializeToString, answer.FromString)(request, **options)


def test_another_projects_client_calls_every_service(web, bearer):
    assert unary(web, WHO_AM_I, api.WhoAmIRequest(), api.User, metadata=bearer).user_name == "admin"
    destinations = unary(web, TRANSFER + "ListDestinations", api.ListDestinationsRequest(), api.ListDestinationsResponse,
                         metadata=bearer)
    assert isinstance(destinations, api.ListDestinationsResponse)
    # The gateway's own service, which passes nothing on.
    status = unary(web, "/fileferry.v1.Gateway/GetSystemStatus", api.GetSystemStatusRequest(), api.SystemStatus, metadata=bearer)
    assert len(status.services) == 6 or len(status.services) == 7
    dashboard = unary(web, "/fileferry.v1.Gateway/GetDashboard", api.GetDashboardRequest(), api.Dashboard, metadata=bearer)
    assert not dashboard.missing


def test_a_delivery_is_followed_as_a_stream(web, bearer, courier, sshd, inbox):
    delivery = courier.start(sshd.url(inbox), key=samples.BIG_KEY)
    watch = web.unary_stream(TRANSFER + "WatchDelivery", api.WatchDeliveryRequest.SerializeToString, api.DeliveryEvent.FromString)
    kinds = [event.kind for event in watch(api.WatchDeliveryRequest(id=delivery.id), metadata=bearer, timeout=60)]
    assert kinds[-1] == api.DELIVERY_EVENT_KIND_ENDED and api.DELIVERY_EVENT_KIND_STATE in kinds


@pytest.mark.parametrize("path, metadata, code", [
    (WHO_AM_I, False, grpc.StatusCode.UNAUTHENTICATED),
    (TRANSFER + "GetDelivery", True, grpc.StatusCode.NOT_FOUND),
    (TRANSFER + "NoSuchMethod", True, grpc.StatusCode.UNIMPLEMENTED),
    ("/fileferry.v1.Nobody/Call", True, grpc.StatusCode.UNIMPLEMENTED),
    ("/fileferry.v1.Gateway/NoSuchMethod", True, grpc.StatusCode.UNIMPLEMENTED),
    ("/fileferry.v1.Gateway/GetSystemStatus", False, grpc.StatusCode.UNAUTHENTICATED),
])
def test_a_failed_call_has_its_status_and_its_words(web, bearer, path, metadata, code):
    with pytest.raises(grpc.RpcError) as failure:
        unary(web, path, api.GetDeliveryRequest(), api.Delivery, metadata=bearer if metadata else None)
    assert failure.value.code() == code and failure.value.details()


# ---- By hand


def post(url: str, path: str, body: bytes, kind: str = "application/grpc-web+proto", **headers) -> requests.Response:
    return requests.post(url + path, data=body, headers={"Content-Type": kind, **headers}, timeout=20)


def frame(message: bytes, flags: int = 0) -> bytes:
    return struct.pack(">BI", flags, len(message)) + message


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        flags, length = struct.unpack(">BI", body[:5])
        found.append((flags, body[5:5 + length]))
        body = body[5 + length:]
    return found


def status(answer: requests.Response) -> str:
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/grpc-web+proto"
    flags, trailers = frames(answer.content)[-1]
    assert flags == 0x80
    return trailers.decode()


def test_base64_in_pieces_comes_back_as_base64(url):
    message = frame(b"")
    body = base64.b64encode(message[:2]) + base64.b64encode(message[2:])
    answer = post(url, TRANSFER + "GetReceiptKey", body, "application/grpc-web-text")
    assert answer.headers["Content-Type"] == "application/grpc-web-text+proto"
    # Each piece is padded for itself.
    decoded = b"".join(base64.b64decode(piece + b"=" * (-len(piece) % 4)) for piece in split_base64(answer.content))
    (_, key), (flags, trailers) = frames(decoded)
    assert b"Ed25519" in api.ReceiptKey.FromString(key).jwk_json.encode() and flags == 0x80 and trailers == b"grpc-status: 0\r\n"


def split_base64(text: bytes) -> list[bytes]:
    pieces, piece = [], b""
    for start in range(0, len(text), 4):
        piece += text[start:start + 4]
        if piece.endswith(b"="):
            pieces.append(piece)
            piece = b""
    return pieces + ([piece] if piece else [])


@pytest.mark.parametrize("body, said", [
    (b"\x00\x00\x00", "grpc-status: 3"), (frame(b"abc")[:-1], "grpc-status: 3"), (frame(b"", 1), "grpc-status: 12"),
    (frame(b"", 0x80), "grpc-status: 12"), (frame(b"") * 17, "grpc-status: 8"), (b"\x00\xff\xff\xff\xff", "grpc-status: 3"),
    (frame(bytes(5 << 20)), "grpc-status: 8"),
])
def test_a_body_that_is_no_message_is_refused(url, body, said):
    text = status(post(url, TRANSFER + "GetReceiptKey", body))
    assert said in text and "grpc-message: " in text


def test_a_deadline_is_kept_and_one_that_is_none_is_refused(url, bearer, courier):
    told = status(post(url, TRANSFER + "GetReceiptKey", frame(b""), **{"grpc-timeout": "soon"}))
    assert "grpc-status: 3" in told
    request = api.WatchNotificationsRequest().SerializeToString()
    answer = post(url, "/fileferry.v1.Notifications/WatchNotifications", frame(request),
                  **{"grpc-timeout": "300m", "Authorization": bearer[0][1]})
    assert "grpc-status: 4" in status(answer)


def test_what_is_none_of_grpc_web_is_answered_as_before(url):
    assert requests.post(url + TRANSFER + "GetReceiptKey", data=b"", timeout=5).status_code == 404
    assert requests.post(url + TRANSFER + "GetReceiptKey", data=b"", headers={"Content-Type": "application/grpc"},
                         timeout=5).status_code == 404
    assert requests.get(url + TRANSFER + "GetReceiptKey", headers={"Content-Type": "application/grpc-web"},
                        timeout=5).status_code == 404
    # No other site's page may call: nothing answers its preflight.
    preflight = requests.options(url + TRANSFER + "GetReceiptKey", headers={
        "Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}, timeout=5)
    assert preflight.status_code >= 400 and "Access-Control-Allow-Origin" not in preflight.headers


@pytest.mark.slow
def test_a_script_in_a_browser_calls_by_fetch(url, bearer):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        name = page.evaluate("""async (bearer) => {
            const answer = await fetch("/fileferry.v1.Auth/WhoAmI", { method: "POST", body: new Uint8Array(5),
                headers: { "Content-Type": "application/grpc-web", Authorization: bearer } });
            return Array.from(new Uint8Array(await answer.arrayBuffer()));
        }""", bearer[0][1])
        browser.close()
    (_, message), (_, trailers) = frames(bytes(name))
    assert api.User.FromString(message).user_name == "admin" and trailers == b"grpc-status: 0\r\n"
