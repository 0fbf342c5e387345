"""The contract of proto/, as protoc's own Python classes see it, and a client that speaks it with grpcio.

`api` holds every message and enum value by its plain name; `METHODS` every method; `Client` calls them:
`client.Auth.SignIn(user_name="ada", password="...")`.
"""
import atexit
import importlib
import pathlib
import shutil
import sys
import tempfile
import time
import types

import grpc
import grpc_tools
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
PACKAGE = "fileferry.v1"
CALL_TIMEOUT_SECONDS = 30
TOKEN_RENEWAL_SECONDS = 300

# The executable that serves each service.
SERVED_BY = {
    "Auth": "auth", "Ticketing": "ticketing", "StorageBroker": "storage-broker", "Transfer": "transfer",
    "Notifications": "notification", "Assist": "assist", "Gateway": "gateway",
}


def compile_protos(root: pathlib.Path, files: list[str]) -> list[types.ModuleType]:
    """Compiles with protoc into a folder that goes with this process, and imports messages and stubs."""
    target = tempfile.mkdtemp(prefix="fileferry-protos-")
    atexit.register(shutil.rmtree, target, True)
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{root}", f"-I{well_known}", f"--python_out={target}", f"--grpc_python_out={target}"]
    if protoc.main(arguments + files) != 0:
        raise RuntimeError(f"protoc refused {files} in {root}")
    sys.path.insert(0, target)
    names = [file.removesuffix(".proto").replace("/", ".") + ending for file in files for ending in ("_pb2", "_pb2_grpc")]
    return [importlib.import_module(name) for name in names]


FILES = sorted(str(file.relative_to(PROTO)) for file in PROTO.glob("fileferry/v1/*.proto"))
MODULES = compile_protos(PROTO, FILES)
api = types.SimpleNamespace()
for _module in MODULES:
    for _name, _value in vars(_module).items():
        if not _name.startswith("_"):
            setattr(api, _name, _value)

DESCRIPTORS = [module.DESCRIPTOR for module in MODULES if hasattr(module, "DESCRIPTOR")]
SERVICES = {name: service for file in DESCRIPTORS for name, service in file.services_by_name.items()}
METHODS = {f"{name}.{method.name}": method for name, service in SERVICES.items() for method in service.methods}
if set(SERVICES) != set(SERVED_BY):
    raise RuntimeError(f"the contract has the services {sorted(SERVICES)}, the tests know {sorted(SERVED_BY)}")


def request_class(method):
    return getattr(api, method.input_type.name)


class Client:
    """Calls FileFerry at one address. `token` is a string, or a function that returns one that is still good."""

    def __init__(self, address: str, token=None):
        self.address = address
        self.token = token if callable(token) or token is None else lambda: token
        # A service that was killed is back soon: no long pause between two attempts to connect.
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 250)])
        for service in SERVICES:
            setattr(self, service, _Service(self, service))

    def call(self, name: str, request, timeout: float = CALL_TIMEOUT_SECONDS, metadata=None, **options):
        """`name` is "Auth.SignIn". Returns the answer, or the stream of them."""
        service, method = name.split(".")
        stub = getattr(api, service + "Stub")(self.channel)
        if metadata is None:
            metadata = [("authorization", "Bearer " + self.token())] if self.token else []
        return getattr(stub, method)(request, timeout=timeout, metadata=metadata, **options)

    def outcome(self, name: str, request, metadata=None, timeout: float = CALL_TIMEOUT_SECONDS) -> grpc.StatusCode:
        """The status of a call; of a stream that of its first message."""
        try:
            answer = self.call(name, request, metadata=metadata, timeout=timeout)
            if METHODS[name].server_streaming:
                next(answer, None)
                answer.cancel()
            return grpc.StatusCode.OK
        except grpc.RpcError as error:
            return error.code()

    def close(self) -> None:
        self.channel.close()


class _Service:
    def __init__(self, client: Client, service: str):
        self._client = client
        self._service = service

    def __getattr__(self, method: str):
        name = f"{self._service}.{method}"
        if name not in METHODS:
            raise AttributeError(f"the contract has no method {name}")

        def call(timeout_seconds: float = CALL_TIMEOUT_SECONDS, **fields):
            return self._client.call(name, request_class(METHODS[name])(**fields), timeout=timeout_seconds)

        return call


def problem(error: grpc.RpcError):
    """The Problem among a call's error details (google.rpc.Status in grpc-status-details-bin); None without one."""
    from google.rpc import status_pb2

    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                found = api.Problem()
                if detail.Unpack(found):
                    return found
    return None


def wait_until(what: str, condition, timeout: float = 60, interval: float = 0.02, seen=None):
    """The condition's first true value. Fails with what was seen last when it does not come in time."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {timeout} s; last seen: {seen() if seen else value!r}")
        time.sleep(interval)
