"""Caps on how fast bytes leave: of one delivery, and of all deliveries to a server together."""
import time

import grpc
import pytest

import samples
from contract import api, problem

RATE = 24 << 20


def start(courier, sshd, inbox, **options):
    request = courier.request(sshd.url(inbox) + "/", key=samples.BIG_KEY, chunk_size=1 << 20)
    request.options.MergeFrom(api.DeliveryOptions(**options))
    return courier.client.Transfer.StartDelivery(request=request, credentials=courier.key_login())


def seconds_to_end(courier, *started) -> float:
    began = time.monotonic()
    for delivery in started:
        done = courier.wait(delivery.id)
        assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    return time.monotonic() - began


def test_a_delivery_goes_no_faster_than_its_cap_and_the_plan_says_so(courier, sshd, inbox):
    cap = api.Bandwidth(bytes_per_second=RATE)
    least = samples.BIG_SIZE / RATE
    took = seconds_to_end(courier, start(courier, sshd, inbox, bandwidth=cap))
    assert least * 0.9 < took < least * 2 + 3
    assert (inbox / "data.bin").read_bytes() == samples.big()
    request = courier.request(sshd.url(inbox) + "/", key=samples.BIG_KEY)
    request.options.bandwidth.CopyFrom(api.Bandwidth(bytes_per_second=RATE // 8))
    plan = courier.client.Transfer.PlanDelivery(request=request, credentials=courier.key_login())
    assert plan.seconds_low >= int(8 * least) and "bandwidth" in plan.duration_basis


def test_two_deliveries_share_the_cap_of_their_destination(courier, sshd, inbox):
    admin = courier.admin
    admin.Transfer.SaveDestination(
        destination=api.Destination(
            name="narrow", url=sshd.url(inbox) + "/", host_keys=api.HostKeyPolicy(fingerprints=[sshd.fingerprint]),
            bandwidth=api.Bandwidth(bytes_per_second=4 * RATE)),
        credentials=courier.key_login())
    started = []
    for name in ("one", "two"):
        request = courier.request("", key=samples.BIG_KEY, chunk_size=1 << 20, destination="narrow")
        request.path = f"{name}/"
        started.append(courier.client.Transfer.StartDelivery(request=request))
    took = seconds_to_end(courier, *started)
    assert took > 2 * samples.BIG_SIZE / (4 * RATE) * 0.8
    admin.Transfer.DeleteDestination(name="narrow")


def test_a_cap_that_can_not_be_used_is_refused(courier, sshd, inbox):
    windows = [api.BandwidthWindow(**{"from": "8 o'clock", "until": "18:00"})]
    with pytest.raises(grpc.RpcError) as refused:
        start(courier, sshd, inbox, bandwidth=api.Bandwidth(windows=windows))
    assert problem(refused.value).code == "BANDWIDTH_INVALID"
