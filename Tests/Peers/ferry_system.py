"""A running FileFerry: `ferry up` in a folder of its own on free ports, the people in it, and killing its services."""
import os
import pathlib
import signal
import subprocess
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import servers
from contract import SERVED_BY, TOKEN_RENEWAL_SECONDS, Client, api, wait_until

SERVICES = list(SERVED_BY.values())
ADMIN_PASSWORD = "correct horse battery staple 42"
READY_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 40


class FerrySystem:
    def __init__(self, binaries: pathlib.Path, directory: pathlib.Path, **options: str):
        """`options`: further ones of `ferry up`: smtp_url="..." is --smtp-url."""
        self.binaries = binaries
        self.directory = directory
        self.data = directory / "data"
        self.base_port, *_, self.http_port = servers.free_ports(8, consecutive=True)
        self.options = options
        self.process: subprocess.Popen | None = None
        self.output = directory / "up.log"
        self._clients: list[Client] = []

    # Starting and stopping

    def start(self) -> "FerrySystem":
        self.directory.mkdir(parents=True, exist_ok=True)
        password = self.directory / "admin.password"
        password.touch(0o600)
        password.write_text(ADMIN_PASSWORD)
        command = [self.binaries / "ferry", "up", "--data", self.data, "--base-port", str(self.base_port), "--http-port",
                   str(self.http_port), "--first-admin-password-file", password]
        for name, value in self.options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

        def is_ready():
            assert self.process.poll() is None, f"ferry up ended with {self.process.returncode}:\n{self.report()}"
            return "FileFerry is ready" in self.output.read_text()

        wait_until("'FileFerry is ready'", is_ready, READY_TIMEOUT_SECONDS, seen=self.report)
        return self

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        if self.process is None:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_SECONDS)
        finally:
            self.process.kill()
            left = [name for name, pid in pids.items() if is_alive(pid)]
            for name in left:
                servers.kill(pids[name], signal.SIGKILL)
        assert not left, f"still running after ferry up ended: {left}\n{self.report()}"
        self.process = None

    def report(self, lines: int = 12) -> str:
        """The ends of all logs, for a failed test."""
        logs = [self.output] + sorted((self.data / "logs").glob("*.log"))
        parts = [f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
                 for log in logs if log.exists()]
        return "\n".join(parts)

    # Processes

    def pid(self, service: str) -> int | None:
        try:
            return int((self.data / "run" / f"{service}.pid").read_text())
        except (OSError, ValueError):
            return None

    def pids(self) -> dict[str, int]:
        return {service: pid for service in SERVICES if (pid := self.pid(service))}

    def kill(self, *services: str) -> None:
        """kill -9; returns when they are gone. `await_up` waits for their successors."""
        pids = {service: self.pid(service) for service in services}
        assert all(pids.values()), f"not running: {pids}\n{self.report()}"
        for pid in pids.values():
            servers.kill(pid, signal.SIGKILL)
        wait_until(f"the end of {pids}", lambda: not any(is_alive(pid) for pid in pids.values()), 10)

    def await_up(self, *services: str, timeout: float = 60) -> None:
        for service in services:
            wait_until(f"{service} serving again", lambda: self.health(service) == "SERVING", timeout, seen=self.report)

    def health(self, service: str, name: str = "") -> str:
        with grpc.insecure_channel(self.address(service), options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                request = health_pb2.HealthCheckRequest(service=name)
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
                return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            except grpc.RpcError as error:
                return error.code().name

    def address(self, service: str = "gateway") -> str:
        # The ports after the gateway's, in the order that `ferry up` documents.
        order = ["gateway", "auth", "ticketing", "storage-broker", "transfer", "notification", "assist"]
        return f"127.0.0.1:{self.base_port + order.index(service)}"

    # People

    def client(self, user: str = "admin", password: str = ADMIN_PASSWORD, service: str = "gateway") -> Client:
        """As a signed-in person. Signs in again before the token gets old."""
        token, signed_in_at = "", -TOKEN_RENEWAL_SECONDS
        anonymous = self.anonymous()

        def current() -> str:
            nonlocal token, signed_in_at
            if time.monotonic() - signed_in_at > TOKEN_RENEWAL_SECONDS or not token:
                token = anonymous.Auth.SignIn(user_name=user, password=password).access_token
                signed_in_at = time.monotonic()
            return token

        return self._keep(Client(self.address(service), current))

    def anonymous(self, service: str = "gateway") -> Client:
        return self._keep(Client(self.address(service)))

    def with_token(self, token, service: str = "gateway") -> Client:
        return self._keep(Client(self.address(service), token))

    def service_client(self, service: str, on_behalf_of: str = "", to: str = "gateway") -> Client:
        """As a service, with the secret that `ferry up` made for it."""
        secret = (self.data / "secrets" / f"{service}.secret").read_text()
        answer = self.anonymous().Auth.IssueServiceToken(service=service, secret=secret, on_behalf_of=on_behalf_of)
        return self.with_token(answer.access_token, to)

    def make_user(self, name: str, *roles: str, email: str = "") -> Client:
        """Makes a person, if there is none of that name, and signs them in. Roles as in "requester"."""
        admin = self.client()
        password = f"the password of {name}"
        known = {user.user_name for user in admin.Auth.ListUsers(page_size=200).users}
        if name not in known:
            admin.Auth.CreateUser(
                user_name=name, name=name.title(), email=email, password=password,
                roles=[getattr(api, "ROLE_" + role.upper()) for role in roles])
        return self.client(name, password)

    def _keep(self, client: Client) -> Client:
        self._clients.append(client)
        return client

    # The command line

    def ferry(self, *arguments: str, home: pathlib.Path | None = None, timeout: float = 120) -> subprocess.CompletedProcess:
        environment = dict(os.environ, FERRY_SERVER=self.address(), FERRY_HOME=str(home or self.directory / "home"))
        return subprocess.run(
            [self.binaries / "ferry", *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=timeout)


def is_alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
