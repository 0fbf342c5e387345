"""A proxy that looks at every gRPC message's compressed flag on its way between a client and a server.

grpcio does not tell its users whether a message came compressed, yet the interoperability cases turn on it. The witness
passes each byte on as it is, with one addition: it tells the server the number of the call, in a header field that no
HPACK table remembers ("Literal Header Field without Indexing", RFC 7541 section 6.2.2), so a handler can ask for its
own call. Where there is TLS it ends the client's and speaks TLS of its own to the server.
"""
import asyncio
import contextlib
import dataclasses
import ssl
import struct
import threading

CALL_HEADER = "x-witness-call"
PREFACE_LENGTH = 24
FRAME_HEADER_LENGTH = 9
MESSAGE_PREFIX_LENGTH = 5
DATA, HEADERS = 0, 1
END_HEADERS, PADDED = 0x4, 0x8


class _Messages:
    """Follows one direction of a call from message prefix to message prefix (Length-Prefixed-Message)."""

    def __init__(self, flags: list[bool]):
        self._flags = flags
        self._prefix = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        while data:
            skipped = min(self._left, len(data))
            self._left -= skipped
            data = data[skipped:]
            wanted = MESSAGE_PREFIX_LENGTH - len(self._prefix)
            self._prefix += data[:wanted] if self._left == 0 else b""
            data = data[wanted:] if self._left == 0 else data
            if len(self._prefix) == MESSAGE_PREFIX_LENGTH:
                flag, self._left = struct.unpack(">BI", self._prefix)
                self._prefix = b""
                self._flags.append(flag == 1)


@dataclasses.dataclass
class Call:
    """Whether each message of a call was compressed, in the order of sending."""
    requests: list[bool] = dataclasses.field(default_factory=list)
    responses: list[bool] = dataclasses.field(default_factory=list)


class Witness:
    def __init__(
            self, target_port: int, server_tls: ssl.SSLContext | None = None,
            client_tls: ssl.SSLContext | None = None):
        """`server_tls` is shown to the client, `client_tls` is used towards the server."""
        self.calls: list[Call] = []
        self._target_port = target_port
        self._server_tls = server_tls
        self._client_tls = client_tls
        # asyncio itself holds a connection's task only weakly.
        self._tasks: set[asyncio.Task] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="witness", daemon=True)

    def __enter__(self) -> "Witness":
        self._thread.start()
        starting = asyncio.start_server(self._accept, "127.0.0.1", 0, **_tls(self._server_tls))
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_) -> None:
        async def close():
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _accept(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            name = "localhost" if self._client_tls else None
            server = await asyncio.open_connection(
                "127.0.0.1", self._target_port, server_hostname=name, **_tls(self._client_tls))
        except OSError:
            # As a refused connection would look.
            writer.transport.abort()
            return
        streams: dict[int, tuple[Call, _Messages, _Messages]] = {}
        # A witness that stops cancels what runs, which asyncio would report as an error of this task.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._pump(reader, server[1], streams, from_client=True),
                self._pump(server[0], writer, streams, from_client=False))

    async def _pump(self, reader, writer, streams, from_client: bool) -> None:
        try:
            if from_client:
                writer.write(await reader.readexactly(PREFACE_LENGTH))
            while True:
                header = await reader.readexactly(FRAME_HEADER_LENGTH)
                length = int.from_bytes(header[:3], "big")
                kind, flags, stream = header[3], header[4], int.from_bytes(header[5:], "big")
                payload = await reader.readexactly(length)
                if kind == HEADERS and from_client and stream not in streams:
                    call = Call()
                    streams[stream] = (call, _Messages(call.requests), _Messages(call.responses))
                    payload = _with_field(payload, flags, CALL_HEADER, str(len(self.calls)))
                    header = len(payload).to_bytes(3, "big") + header[3:]
                    self.calls.append(call)
                elif kind == DATA and stream in streams:
                    data = payload[1:length - payload[0]] if flags & PADDED else payload
                    streams[stream][1 if from_client else 2].feed(data)
                writer.write(header + payload)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            # Either side has gone; the other is told by the end of its connection.
            pass
        finally:
            writer.close()


def _tls(context: ssl.SSLContext | None) -> dict:
    """A peer that does not answer the end of TLS is not waited for long."""
    return {"ssl": context, "ssl_shutdown_timeout": 1} if context else {}


def _with_field(payload: bytes, flags: int, name: str, value: str) -> bytes:
    """A HEADERS payload with one more field at the end of its block."""
    if not flags & END_HEADERS:
        raise ValueError("the witness knows no CONTINUATION frames")
    field = b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    end = len(payload) - payload[0] if flags & PADDED else len(payload)
    return payload[:end] + field + payload[end:]
