"""A TCP proxy that makes the way to a server slow, so that a test can act while bytes are under way."""
import socket
import threading
import time

PIECE = 16 << 10  # bytes moved at once


class SlowProxy:
    def __init__(self, target_port: int, bytes_per_second: int):
        """Slows what goes to the server; answers come back at full speed."""
        self.target_port = target_port
        self.bytes_per_second = bytes_per_second
        self._silent_ones = 0
        self._stalled: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._next_at = 0.0
        self._sockets: set[socket.socket] = set()
        self._listener = socket.socket()
        # Small buffers: what the sender believes to be sent is nearly sent.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def open_up(self) -> None:
        """No limit from now on."""
        self.bytes_per_second = 0

    def stall(self) -> None:
        """Nothing more comes through the connections that there are, and none of them ends."""
        with self._lock:
            self._stalled = set(self._sockets)

    def drop(self, silent_ones: int = 0) -> None:
        """Ends all connections that there are. So many of those that follow are taken and never answered."""
        self._silent_ones = silent_ones
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for end in sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)  # close alone would not wake the thread that reads from it
            except OSError:
                pass  # it is closed already
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # stopped
            if self._silent_ones > 0:
                self._silent_ones -= 1
                with self._lock:
                    self._sockets.add(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), 10)
            except OSError:
                client.close()  # the server is away for now
                continue
            with self._lock:
                self._sockets |= {client, server}
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, is_slow: bool) -> None:
        try:
            while piece := source.recv(PIECE if is_slow else 1 << 18):
                if is_slow:
                    self._wait_turn(len(piece))
                while source in self._stalled:
                    time.sleep(0.01)
                target.sendall(piece)
        except OSError:
            pass  # one side closed: so does the other
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already

    def _wait_turn(self, count: int) -> None:
        """All connections share one rate."""
        while True:
            rate = self.bytes_per_second
            if rate == 0:
                return
            with self._lock:
                now = time.monotonic()
                if now >= self._next_at:
                    self._next_at = max(now, self._next_at) + count / rate
                    return
                pause = self._next_at - now
            time.sleep(min(pause, 0.01))

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._listener.close()
        self._stalled = set()
        self.drop()
