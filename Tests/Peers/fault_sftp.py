"""OpenSSH's own sftp-server with a disk that lies or refuses: sshd starts this file as its SFTP subsystem, and it passes the
packets on, which are in the clear here, changing what a plan says.

A plan is PLANS/RUN.json, where RUN is a folder that the client's paths name: [{"kind": ..., "at": byte of the file, "times":
0 for always}]. Kinds: "read" and "write" change the byte as it is read or written; "refuse" answers a write of that byte
with SSH_FX_FAILURE. Standard library only, and little of it: it starts for each connection.

    fault_sftp.py PLANS SFTP-SERVER...
"""
import json
import os
import struct
import subprocess
import sys
import threading

OPEN, READ, WRITE, STATUS, HANDLE, DATA = 3, 5, 6, 101, 102, 103
SSH_FX_FAILURE = 4
MAX_PACKET = 1 << 20


def packets(stream):
    while len(head := stream.read(4)) == 4:
        size = struct.unpack(">I", head)[0]
        if not 0 < size <= MAX_PACKET:
            raise ValueError(f"a packet of {size} bytes")
        body = stream.read(size)
        if len(body) < size:
            return
        yield bytearray(body)


def string(body, start):
    size = struct.unpack_from(">I", body, start)[0]
    return bytes(body[start + 4:start + 4 + size]), start + 4 + size


class Liar:
    def __init__(self, plans):
        self.plans = plans
        self.run, self.faults = "", []
        self.reads = {}  # request id -> offset
        self.lock = threading.Lock()

    def learn(self, path):
        """The plan is that of the first path that names one."""
        for part in path.decode(errors="replace").split("/"):
            plan = os.path.join(self.plans, part + ".json")
            if not self.run and part and os.path.exists(plan):
                self.run = part
                with open(plan) as file:
                    self.faults = json.load(file)

    def hit(self, kind, start, size):
        """Which byte of so many at that offset is hit, or None. All connections of a run share one count."""
        for number, fault in enumerate(self.faults):
            if fault["kind"] != kind or not start <= fault["at"] < start + size:
                continue
            for time in range(fault["times"] or 1):
                mark = os.path.join(self.plans, f"{self.run}.{number}.{time}.came")
                try:
                    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    if fault["times"]:
                        continue
                return fault["at"] - start
        return None

    def to_server(self, body):
        """The packet to pass on, and an answer to give at once: one of them is None."""
        kind, number = body[0], struct.unpack_from(">I", body, 1)[0]
        if kind == OPEN:
            self.learn(string(body, 5)[0])
        elif kind == READ:
            _, end = string(body, 5)
            with self.lock:
                self.reads[number] = struct.unpack_from(">Q", body, end)[0]
        elif kind == WRITE:
            _, end = string(body, 5)
            offset, size = struct.unpack_from(">QI", body, end)
            if self.hit("refuse", offset, size) is not None:
                text = b"Failure"
                return None, struct.pack(">BIII", STATUS, number, SSH_FX_FAILURE, len(text)) + text + bytes(4)
            if (position := self.hit("write", offset, size)) is not None:
                body[end + 12 + position] ^= 1
        return body, None

    def to_client(self, body):
        if body[0] in (DATA, STATUS):
            with self.lock:
                offset = self.reads.pop(struct.unpack_from(">I", body, 1)[0], None)
            if body[0] == DATA and offset is not None:
                size = struct.unpack_from(">I", body, 5)[0]
                if (position := self.hit("read", offset, size)) is not None:
                    body[9 + position] ^= 1
        return body


def main():
    liar = Liar(sys.argv[1])
    server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client_in, client_out = sys.stdin.buffer, sys.stdout.buffer
    writing = threading.Lock()

    def answer(body):
        with writing:
            client_out.write(struct.pack(">I", len(body)) + body)
            client_out.flush()

    def back():
        try:
            for body in packets(server.stdout):
                answer(liar.to_client(body))
        except OSError:
            pass  # the client is gone
        os._exit(0)  # wakes the other thread, which reads

    threading.Thread(target=back, daemon=True).start()
    try:
        for body in packets(client_in):
            passed, instead = liar.to_server(body)
            if instead is not None:
                answer(instead)
            else:
                server.stdin.write(struct.pack(">I", len(passed)) + passed)
                server.stdin.flush()
    except OSError:
        pass  # one side is gone: so is the other
    server.stdin.close()
    server.wait(10)


if __name__ == "__main__":
    main()
