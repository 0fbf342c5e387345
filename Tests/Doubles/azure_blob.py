"""A double of Azure Blob Storage on loopback, for tests: what FileFerry asks of it and what it takes to fill it.

    python azure_blob.py --port 10000 --account ferry --key BASE64 [--data DIR] [--versions off]

Blobs are at http://127.0.0.1:PORT/ACCOUNT/CONTAINER/BLOB. It prints one line when it is ready. Bytes go to files under DIR
(a temporary folder by default); the rest is kept in memory and is gone with the process. It is trusted because the vendor's
own SDK passes test_azure_blob.py against it.
"""
import argparse
import http.server
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import threading
import urllib.parse
import uuid

from azure_blob_auth import Gate, Request, parse_query
from azure_blob_call import Call
from azure_blob_calls import choose
from azure_blob_errors import StorageError
from azure_blob_store import Store, http_time, iso_time

MAX_DRAINED_BYTES = 64 << 20
CONTAINER_NAME = re.compile(r"\$root|\$web|\$logs|(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")


class BlobServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, account: str, key: str, directory: pathlib.Path, keeps_versions: bool = True,
                 rehydrate_seconds: float = 3600):
        self.account = account
        self.gate = Gate(account, key)
        self.store = Store(directory, keeps_versions)
        self.rehydrate_seconds = rehydrate_seconds
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{self.account}"

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 << 10
    timeout = 120
    server: BlobServer

    def handle_request(self) -> None:
        self.unread = int(self.headers.get("Content-Length") or 0)
        self.request_id = str(uuid.uuid4())
        self.request_headers = {
            name.lower(): value.encode("iso-8859-1").decode("utf-8", "replace") for name, value in self.headers.items()}
        try:
            if self.headers.get("Transfer-Encoding"):
                self.close_connection = True
                raise StorageError("MissingContentLengthHeader")
            request = self._parse()
            operation, need = choose(request)
            leave = self.server.gate.admit(request, need)
            operation(Call(self, self.server, request, leave))
        except StorageError as error:
            self._refuse(error)
        self._drain()

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = handle_request

    def _parse(self) -> Request:
        raw_path, _, raw_query = self.path.partition("?")
        parts = raw_path.split("/", 3)
        if len(parts) < 2 or urllib.parse.unquote(parts[1]) != self.server.account:
            raise StorageError("ResourceNotFound")
        container = urllib.parse.unquote(parts[2]) if len(parts) > 2 else ""
        try:
            blob = urllib.parse.unquote(parts[3], errors="strict") if len(parts) > 3 else ""
        except UnicodeDecodeError as error:
            raise StorageError("InvalidUri") from error
        if container and not CONTAINER_NAME.fullmatch(container):
            raise StorageError("InvalidResourceName")
        # The service would take dot segments for steps in the path.
        if len(blob) > 1024 or {".", ".."} & set(blob.split("/")):
            raise StorageError("InvalidResourceName")
        return Request(self.command, raw_path, parse_query(raw_query), self.request_headers, container, blob,
                       self.client_address[0])

    # Bodies

    def read_body(self, size: int) -> bytes:
        """At most `size` bytes of the request; empty at its end."""
        data = self.rfile.read(min(size, self.unread))
        if not data and self.unread:
            raise ConnectionResetError("the client went away in the middle of its request")
        self.unread -= len(data)
        return data

    def _drain(self) -> None:
        """A body that nobody read stands before the connection's next request."""
        if self.unread > MAX_DRAINED_BYTES:
            self.close_connection = True
        while self.unread and not self.close_connection:
            self.read_body(1 << 20)

    # Answers

    def answer(self, status: int, headers: dict[str, str], body: bytes | None = None) -> None:
        """Without a body, Content-Length is the caller's affair: `send_file` or a HEAD's."""
        self.send_response_only(status)
        common = {"Server": "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0", "x-ms-request-id": self.request_id,
                  "x-ms-version": self.request_headers.get("x-ms-version", "2009-09-19"),
                  "Date": http_time(self.server.store.clock.tick())}
        if "x-ms-client-request-id" in self.request_headers:
            common["x-ms-client-request-id"] = self.request_headers["x-ms-client-request-id"]
        if body is not None:
            headers = {**headers, "Content-Length": str(len(body))}
        for name, value in (common | headers).items():
            self.send_header(name, value.encode("utf-8").decode("iso-8859-1"))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def send_file(self, file, start: int, size: int) -> None:
        if size and self.command != "HEAD":
            self.connection.sendfile(file, start, size)

    def _refuse(self, error: StorageError) -> None:
        headers = {"x-ms-error-code": error.code, "Content-Type": "application/xml"}
        if error.status == 401:
            headers["WWW-Authenticate"] = (
                "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize")
        if error.status == 304 or self.command == "HEAD":
            return self.answer(error.status, {"x-ms-error-code": error.code, "Content-Length": "0"})
        self.answer(error.status, headers, error.body(self.request_id, iso_time(self.server.store.clock.tick())))

    def log_message(self, format, *arguments):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--account", required=True)
    parser.add_argument("--key", required=True, help="the account key, base64")
    parser.add_argument("--data", help="folder for the blobs' bytes; without it a temporary one, removed at the end")
    parser.add_argument("--versions", choices=["on", "off"], default="on", help="whether overwritten blobs are kept")
    parser.add_argument("--rehydrate-seconds", type=float, default=3600,
                        help="how long an archived blob takes to come back")
    options = parser.parse_args()
    directory = pathlib.Path(options.data or tempfile.mkdtemp(prefix="azure-blob-"))
    directory.mkdir(parents=True, exist_ok=True)
    server = BlobServer(options.port, options.account, options.key, directory, options.versions == "on",
                        options.rehydrate_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        # From another thread: shutdown waits for the loop that this one runs.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"Azure Blob Storage double ready at {server.endpoint}", flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
        if not options.data:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
