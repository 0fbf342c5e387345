"""An HTTP proxy before an S3 server that answers as a failing S3 does: 500, 503 SlowDown, a body that ends early, an expired
token, a byte of an object changed. Which requests are hit is a list of `S3Fault`s, drawn from a seed by `draw`.

Requests pass as they are, Host included, so that their signatures stay good.
"""
import dataclasses
import http.client
import http.server
import random
import socket
import threading

PIECE = 256 << 10
TIMEOUT_SECONDS = 60
KINDS = ("500", "503", "truncated", "expired")
SLOW_DOWN_SECONDS = 1


@dataclasses.dataclass(frozen=True)
class S3Fault:
    """500, 503, expired: that answer, in place of the server's. truncated: the connection ends before the body does. flip: a
    byte of the body is changed."""

    kind: str
    first: int  # the first request that is hit: 0, 1, ... among all, or among reads of an object's bytes
    count: int  # how many are hit; 0: all that follow
    reads: bool  # only reads of an object's bytes are counted and hit
    at: float = 0  # where in the body, from 0 up to 1

    def hits(self, number: int) -> bool:
        return number >= self.first and (self.count == 0 or number < self.first + self.count)

    def __str__(self) -> str:
        which = "reads" if self.reads else "requests"
        return f"{self.kind} to {which} from {self.first}, {self.count or 'all'} of them, at {self.at:.3f} of the body"


def draw(rng: random.Random, kinds: list[str], reads: int) -> list[S3Fault]:
    """One fault of each kind, when so many reads are expected."""
    faults = []
    for kind in kinds:
        only_reads = kind in ("truncated", "flip") or rng.random() < 0.7
        # Planning asks a few times before the first read.
        first = rng.randrange(max(reads, 1)) if only_reads else rng.randrange(reads + 4)
        # A token that has expired stays expired, unless a new grant brings another.
        count = rng.choice([0, 0, 1, 2]) if kind == "expired" else rng.randint(1, 3)
        faults.append(S3Fault(kind, first, count, only_reads, rng.random()))
    return faults


ERRORS = {
    "500": (500, "InternalError", "We encountered an internal error. Please try again."),
    "503": (503, "SlowDown", "Please reduce your request rate."),
    "expired": (403, "ExpiredToken", "The provided token has expired."),
}


class FaultyS3:
    """Stands before the S3 server at a port of loopback."""

    def __init__(self, target_port: int, faults: list[S3Fault] = ()):
        self.target_port = target_port
        self.planned = list(faults)
        self.fired: set[S3Fault] = set()
        self._lock = threading.Lock()
        self._requests = self._reads = 0
        self._open: set[socket.socket] = set()
        front = self

        class Handler(_Handler):
            faulty = front

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def next_fault(self, is_read: bool) -> S3Fault | None:
        with self._lock:
            request, read = self._requests, self._reads
            self._requests += 1
            self._reads += is_read
            for fault in self.planned:
                if (is_read or not fault.reads) and fault.hits(read if fault.reads else request):
                    self.fired.add(fault)
                    return fault
        return None

    @property
    def report(self) -> str:
        lines = [f"  {'came' if fault in self.fired else 'never came'}: {fault}" for fault in self.planned]
        return "\n".join([f"S3 at port {self.port}, {self._requests} requests, {self._reads} of them reads"] + lines)

    def keep(self, connection: socket.socket, is_open: bool) -> None:
        with self._lock:
            (self._open.add if is_open else self._open.discard)(connection)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for its next request
            except OSError:
                pass  # it is closed already


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that went away in the middle is what these tests are about


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    faulty: FaultyS3

    def setup(self):
        super().setup()
        self.faulty.keep(self.connection, True)
        self._upstream = http.client.HTTPConnection("127.0.0.1", self.faulty.target_port, timeout=TIMEOUT_SECONDS)

    def finish(self):
        self._upstream.close()
        self.faulty.keep(self.connection, False)
        super().finish()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        is_read = self.command == "GET" and "if-match" in self.headers
        fault = self.faulty.next_fault(is_read)
        if fault and fault.kind in ERRORS:
            return self._refuse(*ERRORS[fault.kind])
        try:
            answer = self._ask(body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # the server is away: so are we
            return
        self._answer(answer, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() != "expect":
                self._upstream.putheader(name, value)
        self._upstream.endheaders(body or None)
        return self._upstream.getresponse()

    def _answer(self, answer: http.client.HTTPResponse, fault: S3Fault | None) -> None:
        body = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.headers["content-length"] if self.command == "HEAD" else len(body)
        if length is not None:
            self.send_header("content-length", length)
        self.end_headers()
        position = int(len(body) * fault.at) if fault else 0
        if fault and fault.kind == "flip" and answer.status < 300 and body:
            body = body[:position] + bytes([body[position] ^ 1]) + body[position + 1:]
        if fault and fault.kind == "truncated":
            body = body[:position]
            self.close_connection = True
        for start in range(0, len(body), PIECE):
            self.wfile.write(body[start:start + PIECE])

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
                f"<RequestId>FAULT</RequestId></Error>").encode()
        self.send_response_only(status)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(body)))
        if status == 503:
            self.send_header("retry-after", str(SLOW_DOWN_SECONDS))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass  # what was hit is in the report
