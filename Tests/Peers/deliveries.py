"""Starting deliveries, waiting for their end, and reading what was left of them: chunks, tickets, notifications, files."""
import hashlib
import pathlib
import uuid

import grpc

import servers
from contract import Client, api, wait_until
from ferry_system import FerrySystem

TIMEOUT_SECONDS = 90
CHUNKS_IN_FLIGHT = 12  # what a crash may make a delivery send again
STATES = [name for name in api.DeliveryState.keys() if not name.endswith("UNSPECIFIED")]
ENDED = (api.DELIVERY_STATUS_SUCCEEDED, api.DELIVERY_STATUS_FAILED, api.DELIVERY_STATUS_CANCELLED)


class Courier:
    """Delivers from one S3 server to one SFTP server, as a person with the role requester."""

    def __init__(self, system: FerrySystem, weed: servers.SeaweedFS, sshd: servers.OpenSSH):
        self.system, self.weed, self.sshd = system, weed, sshd
        self.admin = system.client()
        self.email = "ada@example.com"
        self.client = system.make_user("ada", "requester", email=self.email)
        self.save_connection("default", weed.secret_key)

    def save_connection(self, name: str, secret: str) -> None:
        self.admin.StorageBroker.SaveConnection(
            connection=api.Connection(
                name=name, provider="s3", access_key_id=self.weed.access_key,
                s3=api.S3Settings(
                    endpoint=self.weed.endpoint, region=self.weed.region, addressing_style=api.ADDRESSING_STYLE_PATH)),
            secret_access_key=secret)

    def save_destination(self, name: str, url: str) -> None:
        """Of the SFTP server, with its key pinned."""
        self.admin.Transfer.SaveDestination(
            destination=api.Destination(
                name=name, url=url, host_keys=api.HostKeyPolicy(fingerprints=[self.sshd.fingerprint])),
            credentials=self.key_login())

    # Asking

    def request(self, url: str, key: str = "", prefix: str = "", bucket: str = "samples", connection: str = "default",
                chunk_size: int = 0, fingerprints: list[str] | None = None, accept_new: bool = False,
                on_conflict=0, destination: str = ""):
        kind = api.SELECTION_KIND_KEY if key else api.SELECTION_KIND_PREFIX
        if fingerprints is None and not accept_new and not destination:
            fingerprints = [self.sshd.fingerprint]
        return api.DeliveryRequest(
            assignment_group="Deliveries", environment=api.ENVIRONMENT_UAT, priority=api.PRIORITY_HIGH,
            source=api.Source(
                connection=connection, bucket=bucket, selections=[api.Selection(kind=kind, value=key or prefix)]),
            destination=api.Destination(
                name=destination, url=url,
                host_keys=api.HostKeyPolicy(fingerprints=fingerprints or [], accept_new=accept_new)),
            options=api.DeliveryOptions(chunk_size=chunk_size, on_conflict=on_conflict))

    def key_login(self):
        return api.DestinationCredentials(private_key=self.sshd.identity.read_text())

    def start(self, url: str, credentials=None, client: Client | None = None, **request):
        return (client or self.client).Transfer.StartDelivery(
            request=self.request(url, **request), credentials=credentials or self.key_login(),
            idempotency_key=uuid.uuid4().hex)

    def deliver(self, url: str, **options):
        """To its end, whatever that is."""
        return self.wait(self.start(url, **options).id)

    # Waiting

    def get(self, delivery_id: str):
        return self.client.Transfer.GetDelivery(id=delivery_id)

    def wait(self, delivery_id: str, timeout: float = TIMEOUT_SECONDS):
        """The delivery after its end. Goes on while services are down."""
        last = None

        def ended():
            nonlocal last
            try:
                last = self.get(delivery_id)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise
                return None
            return last if last.status in ENDED else None

        return wait_until(
            f"the end of {delivery_id}", ended, timeout, interval=0.1, seen=lambda: f"{last}\n{self.system.report()}")

    def chunks(self, delivery_id: str, file_index: int = 0):
        return self.client.Transfer.ListChunks(delivery_id=delivery_id, file_index=file_index).chunks

    def written(self, delivery_id: str) -> dict[int, int]:
        """Chunks that are written: index -> sends. Empty while the service is down or the plan is being made."""
        try:
            return {chunk.index: chunk.sends for chunk in self.chunks(delivery_id) if chunk.written}
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND):
                return {}
            raise

    def await_written(self, delivery_id: str, least: int) -> dict[int, int]:
        """Waits until so many chunks are written, and returns them."""

        def enough():
            found = self.written(delivery_id)
            return found if len(found) >= least else None

        return wait_until(
            f"{least} written chunks", enough, 90,
            seen=lambda: f"{sorted(self.written(delivery_id))}\n{self.system.report()}")

    # Reading

    def files(self, delivery_id: str):
        files, token = [], ""
        while True:
            page = self.client.Transfer.ListDeliveryFiles(delivery_id=delivery_id, page_size=200, page_token=token)
            files += page.files
            token = page.next_page_token
            if not token:
                return files

    def tickets(self, delivery):
        """Both tickets of a delivery, as an administrator sees them."""
        return self.admin.Ticketing.GetTicketPair(pair_id=delivery.ticket_pair_id)

    def notifications(self, delivery):
        return self.client.Notifications.ListNotifications(delivery_id=delivery.id, page_size=50).notifications

    def await_told(self, delivery):
        """The one notification of a delivery, after every channel has let go of it."""

        def told():
            found = self.notifications(delivery)
            settled = (api.CHANNEL_STATUS_SENT, api.CHANNEL_STATUS_FAILED)
            return found if found and all(c.status in settled for n in found for c in n.channels) else None

        found = wait_until(
            "the notification in every channel", told, 60,
            seen=lambda: f"{list(self.notifications(delivery))}\n{self.system.report()}")
        assert len(found) == 1, f"told {len(found)} times: {[n.key for n in found]}"
        return found[0]


def assert_equal_trees(source: pathlib.Path, delivered: pathlib.Path) -> None:
    """The same names with the same bytes, none more and none less."""
    def content(root: pathlib.Path) -> dict[bytes, str]:
        return {bytes(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
                for file in root.rglob("*") if file.is_file()}

    expected, found = content(source), content(delivered)
    assert found.keys() == expected.keys(), (
        f"missing {sorted(expected.keys() - found.keys())[:5]}, too many {sorted(found.keys() - expected.keys())[:5]}")
    different = [name for name in expected if expected[name] != found[name]]
    assert not different, f"other bytes in {different[:5]}"


def unfinished(directory: pathlib.Path) -> list[str]:
    return [str(file.relative_to(directory)) for file in directory.rglob("*") if ".part" in file.name]
