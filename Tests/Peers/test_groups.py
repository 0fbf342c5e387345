"""The same files to several servers: read once for all of them, and each delivery its own in everything else; and deliveries that
wait for a free place say so."""
import uuid

import grpc
import pytest

import samples
from contract import api, wait_until
from deliveries import Courier, unfinished
from fault_proxy import TO_CLIENT, FaultProxy

CHUNK = 1 << 20


@pytest.fixture(scope="module")
def bucket(weed):
    """A file of 24 chunks and thirty small ones."""
    name = f"group-{uuid.uuid4().hex[:8]}"
    client = weed.client()
    client.create_bucket(Bucket=name)
    bodies = {"in/large.bin": samples.big(24 * CHUNK, seed=8)}
    bodies |= {f"in/small/{index:02}.bin": samples.big(20_000 + index, seed=index) for index in range(30)}
    for key, body in bodies.items():
        client.put_object(Bucket=name, Key=key, Body=body)
    return name, bodies


@pytest.fixture
def counted(courier, weed):
    """A connection through a proxy that counts what the storage sends, and that proxy."""
    way = FaultProxy(int(weed.endpoint.rsplit(":", 1)[1]))
    name = f"counted-{uuid.uuid4().hex[:8]}"
    courier.admin.StorageBroker.SaveConnection(
        connection=api.Connection(
            name=name, provider="s3", access_key_id=weed.access_key,
            s3=api.S3Settings(endpoint=f"http://127.0.0.1:{way.port}", region=weed.region,
                              addressing_style=api.ADDRESSING_STYLE_PATH)),
        secret_access_key=weed.secret_key)
    yield name, way
    way.stop()


def start(courier, sshd, folders, bucket, connection="default", key="", **options):
    request = courier.request("", prefix="in/", bucket=bucket, connection=connection, chunk_size=CHUNK)
    request.ClearField("destination")
    request.options.MergeFrom(api.DeliveryOptions(**options))
    keys = api.HostKeyPolicy(fingerprints=[sshd.fingerprint])
    targets = [
        api.DeliveryTarget(
            destination=api.Destination(url=sshd.url(folder, port) + "/", host_keys=keys), credentials=courier.key_login())
        for folder, port in folders]
    return courier.client.Transfer.StartDeliveries(request=request, targets=targets, idempotency_key=key)


def folders(inbox, count):
    made = [inbox / f"partner-{number}" for number in range(count)]
    for folder in made:
        folder.mkdir()
    return made


def assert_all_there(courier, delivery, folder, bodies):
    assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery.problem
    there = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert there == {key.removeprefix("in/"): body for key, body in bodies.items()}
    receipt = courier.client.Transfer.GetReceipt(delivery_id=delivery.id).receipt
    assert len(receipt.files) == len(bodies) and all(file.path.startswith(str(folder)) for file in receipt.files)


@pytest.mark.parametrize("compression", [api.COMPRESSION_NONE, api.COMPRESSION_AUTOMATIC])
def test_three_servers_get_the_files_and_the_source_is_read_once(courier, sshd, inbox, bucket, counted, compression):
    """What looks at a sample of each file first reads no more than that sample besides."""
    (name, bodies), (connection, way) = bucket, counted
    places = folders(inbox, 3)
    started = start(courier, sshd, [(place, None) for place in places], name, connection, compression=compression)
    assert len({one.user_ticket for one in started.deliveries}) == 3, "each has tickets of its own"
    assert len({one.group_id for one in started.deliveries}) == 1 and started.deliveries[0].group_id
    done = [courier.wait(one.id) for one in started.deliveries]
    for delivery, place in zip(done, places):
        assert_all_there(courier, delivery, place, bodies)
    total, read = sum(map(len, bodies.values())), way.passed[TO_CLIENT]
    print(f"{read / total:.2f} times the files were read for three servers")
    assert read < 1.25 * total, f"{read} bytes were read for files of {total}"
    listed = courier.client.Transfer.ListDeliveries(group_id=done[0].group_id).deliveries
    assert {one.id for one in listed} == {one.id for one in done}
    assert unfinished(inbox) == []


def test_a_slow_server_holds_no_other_up_and_gets_its_files(courier, sshd, slow_way, inbox, bucket, counted):
    (name, bodies), (connection, way) = bucket, counted
    slow_way.bytes_per_second = 300_000
    quick, slow = folders(inbox, 2)
    started = start(courier, sshd, [(quick, None), (slow, slow_way.port)], name, connection)
    first = courier.wait(started.deliveries[0].id, 30)
    assert_all_there(courier, first, quick, bodies)
    assert courier.get(started.deliveries[1].id).status == api.DELIVERY_STATUS_RUNNING
    slow_way.open_up()
    assert_all_there(courier, courier.wait(started.deliveries[1].id), slow, bodies)


def test_one_that_fails_takes_no_other_with_it_and_is_retried_alone(courier, sshd, inbox, bucket):
    name, bodies = bucket
    good, bad = folders(inbox, 2)
    bad.chmod(0o755)
    (bad / "large.bin").mkdir()  # nothing can have this name
    started = start(courier, sshd, [(good, None), (bad, None)], name)
    first, second = [courier.wait(one.id) for one in started.deliveries]
    assert_all_there(courier, first, good, bodies)
    assert second.status == api.DELIVERY_STATUS_FAILED
    (bad / "large.bin").rmdir()
    courier.client.Transfer.RetryDelivery(id=second.id)
    assert_all_there(courier, courier.wait(second.id), bad, bodies)


def test_the_same_key_gives_the_same_deliveries(courier, sshd, inbox, bucket):
    name, _ = bucket
    places = [(place, None) for place in folders(inbox, 2)]
    key = uuid.uuid4().hex
    first, again = start(courier, sshd, places, name, key=key), start(courier, sshd, places, name, key=key)
    assert [one.id for one in first.deliveries] == [one.id for one in again.deliveries]
    with pytest.raises(grpc.RpcError, match="used for another request"):
        start(courier, sshd, places, name, key=key, proof=api.PROOF_SIZE)
    for one in first.deliveries:
        courier.wait(one.id)


def test_what_can_not_be_starts_nothing(courier, sshd, inbox, bucket):
    name, _ = bucket
    one, other = folders(inbox, 2)
    before = len(courier.client.Transfer.ListDeliveries(page_size=100).deliveries)

    def refused(places, says):
        with pytest.raises(grpc.RpcError) as error:
            start(courier, sshd, places, name)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and says in error.value.details()

    refused([(one, None)], "has 1 targets")
    refused([(one, None)] * 17, "has 17 targets")
    refused([(one, None), (one, None)], "Two of the targets are")
    request = courier.request(sshd.url(inbox) + "/", prefix="in/", bucket=name)
    target = api.DeliveryTarget(destination=api.Destination(url=sshd.url(other) + "/"), credentials=courier.key_login())
    with pytest.raises(grpc.RpcError, match="destination of its own"):
        courier.client.Transfer.StartDeliveries(request=request, targets=[target, target])
    assert len(courier.client.Transfer.ListDeliveries(page_size=100).deliveries) == before
    assert not any(file.is_file() for file in inbox.rglob("*"))


@pytest.fixture(scope="module")
def narrow(start_system, weed, sshd):
    """Of a FileFerry that has one delivery under way at once."""
    return Courier(start_system("narrow", max_deliveries="1"), weed, sshd)


def test_a_delivery_without_a_free_place_says_what_it_waits_for(narrow, sshd, slow_way, inbox, bucket):
    name, _ = bucket
    slow_way.bytes_per_second = 1 << 20
    places = folders(inbox, 4)
    first = narrow.start(sshd.url(places[0], slow_way.port) + "/", prefix="in/", bucket=name)
    wait_until("the first to run", lambda: narrow.get(first.id).status == api.DELIVERY_STATUS_RUNNING, 30)
    ids = []
    for priority, place in zip((api.PRIORITY_NORMAL, api.PRIORITY_NORMAL, api.PRIORITY_CRITICAL), places[1:]):
        request = narrow.request(sshd.url(place) + "/", prefix="in/small/", bucket=name)
        request.priority = priority
        ids.append(narrow.client.Transfer.StartDelivery(request=request, credentials=narrow.key_login()).id)
    waits = [narrow.get(one) for one in ids]
    assert all(one.status == api.DELIVERY_STATUS_PENDING for one in waits)
    assert [one.waiting_for for one in waits] == [
        "a free place, after 1 delivery that goes before it", "a free place, after 2 deliveries that go before it",
        "the next free place"], "the critical one goes first"
    assert narrow.get(first.id).waiting_for == ""
    slow_way.open_up()
    for one in ids:
        done = narrow.wait(one)
        assert done.status == api.DELIVERY_STATUS_SUCCEEDED and done.waiting_for == "", done.problem
    ended = [narrow.get(one).finished_at.ToNanoseconds() for one in ids]
    assert ended[2] < ended[0] < ended[1]
