"""Deliveries with faults: the servers that each needs, its way to its end, and what must hold then.

For test_faults.py; what is drawn is in fault_plans.py, the faults themselves in fault_proxy.py, fault_s3.py and fault_servers.py.
"""
import contextlib
import dataclasses
import hashlib
import pathlib
import shutil
import subprocess
import threading
import time
import uuid

import servers
from conftest import SEED
from contract import api
from deliveries import Courier, unfinished
from fault_plans import Run, make_sets
from fault_proxy import FaultProxy
from fault_s3 import FaultyS3
from fault_servers import LyingSSH, RcloneS3, SmallDisks
from receipts import verify

BUCKET = "faults"
WAIT_SECONDS = 150
BUDGET_SECONDS = "8"
OLD = b"what the customer had there before"
COMPRESSIONS = {"": api.COMPRESSION_NONE, ".gz": api.COMPRESSION_GZIP, ".zst": api.COMPRESSION_ZSTD}
TOOLS = {".gz": "gzip", ".zst": "zstd"}


def one_at_a_time(call):
    """Several sign-ins of one user at once are held for an attack."""
    lock = threading.Lock()

    def locked():
        with lock:
            return call()

    return locked


class World:
    """One FileFerry and the servers around it, for all runs."""

    def __init__(self, start_system, weed: servers.SeaweedFS, sshd: servers.OpenSSH, directory: pathlib.Path):
        self.weed, self.sshd, self.directory = weed, sshd, directory
        self.courier = Courier(start_system("faults", retry_budget_seconds=BUDGET_SECONDS), weed, sshd)
        for client in (self.courier.client, self.courier.admin):
            client.token = one_at_a_time(client.token)
        self.stack = contextlib.ExitStack()
        self.disks = SmallDisks()
        self.stack.callback(self.disks.stop)
        self.liar = LyingSSH(directory / "liar", self.disks)
        self.stack.callback(self.liar.stop)
        self.liar.start()
        self.sets = make_sets()
        self._offer()
        self.key = self.courier.system.anonymous().Transfer.GetReceiptKey().jwk_json

    def _offer(self) -> None:
        """The objects are in a bucket of SeaweedFS with their SHA-256, and in a folder for rclone."""
        client = self.weed.client()
        client.create_bucket(Bucket=BUCKET)
        self.store = self.directory / "store"
        for number, bodies in enumerate(self.sets):
            for name, body in bodies.items():
                key = f"set-{number}/{name}"
                client.put_object(Bucket=BUCKET, Key=key, Body=body, ChecksumAlgorithm="SHA256")
                file = self.store / BUCKET / key
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(body)

    def stop(self) -> None:
        self.stack.close()

    # One run

    def perform(self, run: Run) -> "Outcome":
        with contextlib.ExitStack() as stack:
            outcome = self._perform(run, stack)
        if not outcome.wrong:  # else there is something to look at
            shutil.rmtree(self.directory / "inboxes" / run.name)
        return outcome

    def _perform(self, run: Run, stack: contextlib.ExitStack) -> "Outcome":
        inbox = self.directory / "inboxes" / run.name
        inbox.mkdir(parents=True)
        server = self._server(run, stack, inbox)
        seen = inbox
        if run.disk_size:
            stack.enter_context(self.disks.mounted(inbox, run.disk_size))
            seen = self.disks.seen_from_outside(inbox)
        elif run.has_old:
            (seen / f"file 0.bin{run.suffix}").write_bytes(OLD)

        started: list[str] = []
        is_started = threading.Event()

        def cancel() -> None:
            is_started.wait(30)
            self.courier.client.Transfer.CancelDelivery(id=started[0], reason="drawn")

        action = cancel if run.scenario == "cancel" else lambda: self._restart(server, run.away_seconds)
        way = FaultProxy(server.port, run.network, action=action)
        stack.callback(way.stop)
        connection, reports = self._source(run, stack)
        credentials = api.DestinationCredentials(private_key=server.identity.read_text())
        request = self.courier.request(
            server.url(inbox, way.port) + "/", prefix=f"set-{run.set}/", bucket=BUCKET, connection=connection,
            chunk_size=run.chunk_size, fingerprints=[server.fingerprint])
        request.options.compression = COMPRESSIONS[run.suffix]
        if run.by_key:
            request.source.ClearField("selections")
            for name in self.sets[run.set]:
                request.source.selections.add(kind=api.SELECTION_KIND_KEY, value=f"set-{run.set}/{name}")
        started.append(self.courier.client.Transfer.StartDelivery(
            request=request, credentials=credentials, idempotency_key=uuid.uuid4().hex).id)
        is_started.set()
        delivery = self.courier.wait(started[0], WAIT_SECONDS)
        outcome = Outcome(run, delivery, [way.report] + [report() for report in reports])
        outcome.came = len(way.fired) + sum(report().count("  came:") for report in reports)
        if run.disk:
            came = self.liar.came(run.name)
            outcome.reports.append(f"the lying disk: {run.disk}, came: {came}")
            outcome.came += len({mark.split(".")[1] for mark in came})
        if run.disk_size:
            full = delivery.problem.code == "NO_SPACE"
            outcome.reports.append(f"a disk of {run.disk_size} bytes for {run.size}")
            outcome.came += full
        self._check(outcome, seen)
        return outcome

    def _server(self, run: Run, stack: contextlib.ExitStack, inbox: pathlib.Path) -> servers.OpenSSH:
        if run.disk or run.disk_size:
            self.liar.plan(run.name, run.disk)
            return self.liar
        if run.scenario != "restart":
            return self.sshd
        own = servers.OpenSSH(self.directory / f"sshd-{run.name}")
        stack.callback(own.stop)
        return own.start()

    def _source(self, run: Run, stack: contextlib.ExitStack):
        """The connection's name, and what tells of the faults on the way to it."""
        s3, reports = self.weed, []
        if run.scenario == "source restart":
            s3 = RcloneS3(self.directory / f"s3-{run.name}", self.store)
            stack.callback(s3.stop)
            s3.start()
        port = int(s3.endpoint.rsplit(":", 1)[1])
        if run.source:
            front = FaultyS3(port, run.source)
            stack.callback(front.stop)
            port = front.port
            reports.append(lambda: front.report)
        if run.source_network:
            way = FaultProxy(port, run.source_network, action=lambda: self._restart(s3, run.away_seconds))
            stack.callback(way.stop)
            port = way.port
            reports.append(lambda: way.report)
        name = run.name
        self.courier.admin.StorageBroker.SaveConnection(
            connection=api.Connection(
                name=name, provider="s3", access_key_id=s3.access_key,
                s3=api.S3Settings(endpoint=f"http://127.0.0.1:{port}", region=s3.region,
                                  addressing_style=api.ADDRESSING_STYLE_PATH)),
            secret_access_key=s3.secret_key)
        return name, reports

    @staticmethod
    def _restart(server: servers.Program, away_seconds: float) -> None:
        """Killed at once with all that serves connections, and back after a while."""
        below = servers.descendants(server.process.pid)
        for pid in [server.process.pid, *below]:
            servers.kill(pid, 9)
        server.process.wait()
        time.sleep(away_seconds)  # the fault itself, not a wait for something
        server.start()

    # What must hold after any run

    def _check(self, outcome: "Outcome", inbox: pathlib.Path) -> None:
        run, delivery = outcome.run, outcome.delivery
        files = {pathlib.PurePosixPath(file.key).name: file for file in self.courier.files(delivery.id)}
        proven = {}
        if delivery.has_receipt:
            receipt = verify(self.courier.client.Transfer.GetReceipt(delivery_id=delivery.id).jws_json, self.key)
            proven = {pathlib.PurePosixPath(file["key"]).name: file for file in receipt["files"]}
        succeeded = delivery.status == api.DELIVERY_STATUS_SUCCEEDED
        wrong = outcome.wrong
        if run.disk_size and delivery.problem.code != "NO_SPACE":
            wrong.append("the disk was too small, and that is not what it says")
        if run.passes and not succeeded:
            wrong.append("all that happened passed soon, and the delivery did not succeed")
        if succeeded != delivery.has_receipt:
            wrong.append("a delivery has a receipt if it succeeded, and only then")
        if succeeded and set(proven) != set(self.sets[run.set]):
            wrong.append(f"the receipt tells of {sorted(proven)}")
        if delivery.status == api.DELIVERY_STATUS_FAILED and not (delivery.problem.code and delivery.problem.next_step):
            wrong.append("it does not say why it failed and what to do next")
        for name, source in self.sets[run.set].items():
            told = files[name].status == api.FILE_STATUS_DELIVERED if name in files else False
            sha256 = files[name].sha256 if name in files else ""
            wrong += check_file(inbox / (name + run.suffix), source, told, sha256, proven.get(name), succeeded, outcome)
            if run.suffix and told and files[name].source_sha256 != hashlib.sha256(source).hexdigest():
                wrong.append(f"{files[name].source_sha256} is told to be the SHA-256 of the source of {name}")
        if left := unfinished(inbox):
            wrong.append(f"unfinished files are left: {left}")
        extra = {file.name for file in inbox.iterdir()} - {name + run.suffix for name in self.sets[run.set]} - set(left)
        if extra:
            wrong.append(f"there are files that nobody asked for: {sorted(extra)}")


def content(found: bytes | None, suffix: str) -> bytes | None:
    """What a file holds, by other people's programs; None if it is not there or can't be unpacked."""
    if found is None or not suffix:
        return found
    unpacked = subprocess.run([TOOLS[suffix], "-dc"], input=found, capture_output=True)
    return unpacked.stdout if unpacked.returncode == 0 else None


def check_file(file: pathlib.Path, source: bytes, told: bool, sha256: str, proof: dict | None, succeeded: bool,
               outcome: "Outcome") -> list[str]:
    """What is wrong with one file."""
    found = file.read_bytes() if file.exists() else None
    is_right = content(found, outcome.run.suffix) == source
    due = found if is_right else source
    expected = hashlib.sha256(due).hexdigest()
    what = "nothing" if found is None else f"{len(found)} bytes, SHA-256 {hashlib.sha256(found).hexdigest()}"
    if told:
        problems = []
        if not is_right:
            problems.append(f"{file.name} is told delivered and is not right: there is {what}, due were {len(source)} bytes")
        if sha256 != expected:
            problems.append(f"{file.name} has the SHA-256 {expected}, and {sha256} is told")
        if succeeded and (not proof or proof["sha256"] != expected or int(proof.get("size", 0)) != len(due)):
            problems.append(f"the receipt says {proof} of {file.name}, which has the SHA-256 {expected}")
        return problems
    if succeeded:
        return [f"the delivery succeeded, and {file.name} is not told delivered"]
    if proof:
        return [f"the receipt tells of {file.name}, which is not told delivered"]
    if found is None or (found == OLD and outcome.run.has_old):
        return []
    if is_right:
        outcome.untold.append(file.name)  # right, and the answer to its rename was lost: nobody can know
        return []
    return [f"{file.name} is not told delivered, and there is {what}"]


@dataclasses.dataclass
class Outcome:
    run: Run
    delivery: object
    reports: list[str]
    wrong: list[str] = dataclasses.field(default_factory=list)
    untold: list[str] = dataclasses.field(default_factory=list)
    came: int = 0

    @property
    def status(self) -> str:
        return api.DeliveryStatus.Name(self.delivery.status).removeprefix("DELIVERY_STATUS_").lower()

    def __str__(self) -> str:
        """Everything that helps to see why."""
        run, problem = self.run, self.delivery.problem
        return "\n".join([
            f"run {run.number} of seed {SEED}, {run.scenario}, set {run.set} by {'keys' if run.by_key else 'prefix'}, "
            f"chunks of {run.chunk_size}, names with {run.suffix!r}: {self.status} {problem.code} {self.delivery.id}",
            *self.wrong, *self.reports, f"said: {problem.message}"])
