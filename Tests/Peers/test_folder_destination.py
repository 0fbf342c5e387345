"""Deliveries to a folder of this machine, such as a mounted share: only below the roots that an administrator allows."""
import grpc
import pytest

import samples
from contract import api, problem
from deliveries import Courier, assert_equal_trees, unfinished


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    top = tmp_path_factory.mktemp("shares")
    (top / "partner").mkdir()
    (top / "other").mkdir()
    (top / "partner" / "escape").symlink_to(top / "other")
    return top


@pytest.fixture(scope="module")
def local(start_system, weed, sshd, roots) -> Courier:
    return Courier(start_system("folders", folder_root=str(roots / "partner")), weed, sshd)


def request(courier, path, **options):
    wanted = courier.request(f"file://{path}/", **options)
    wanted.destination.ClearField("host_keys")
    return wanted


def deliver(courier, path, **options):
    started = courier.client.Transfer.StartDelivery(request=request(courier, path, **options))
    return courier.wait(started.id)


def test_a_folder_gets_every_byte_and_the_receipt_says_where(local, roots, weed):
    inbox = roots / "partner" / "new" / "inbox"
    done = deliver(local, inbox, prefix=samples.SMALL_PREFIX)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    assert_equal_trees(weed.source / "small", inbox)
    large = deliver(local, inbox, key=samples.BIG_KEY)
    assert large.status == api.DELIVERY_STATUS_SUCCEEDED, large.problem
    assert (inbox / "data.bin").read_bytes() == samples.big() and unfinished(inbox) == []
    receipt = local.client.Transfer.GetReceipt(delivery_id=large.id).receipt
    assert receipt.destination == "file://" and [file.path for file in receipt.files] == [f"{inbox}/data.bin"]


def test_the_plan_and_the_test_of_a_folder_need_no_login(local, roots):
    inbox = roots / "partner"
    plan = local.client.Transfer.PlanDelivery(request=request(local, inbox, key=samples.BIG_KEY))
    assert (plan.files, list(plan.problems)) == (1, []) and plan.destination == f"file://{inbox}"
    tested = local.client.Transfer.TestDestination(destination=api.Destination(url=f"file://{inbox}/"))
    assert tested.ok and [step.name for step in tested.steps if not step.ok] == []


@pytest.mark.parametrize("below", ["other", "partner-2", "partner/../other", ""])
def test_what_is_in_no_root_is_refused_at_once(local, roots, below):
    with pytest.raises(grpc.RpcError) as refused:
        local.client.Transfer.StartDelivery(request=request(local, roots / below, key=samples.BIG_KEY))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert problem(refused.value).next_step


def test_a_link_leads_nowhere(local, roots):
    done = deliver(local, roots / "partner" / "escape", key=samples.BIG_KEY)
    assert done.status == api.DELIVERY_STATUS_FAILED and done.problem.next_step
    assert list((roots / "other").iterdir()) == []


def test_without_a_root_no_folder_is_a_destination(courier, tmp_path):
    with pytest.raises(grpc.RpcError) as refused:
        courier.client.Transfer.StartDelivery(request=request(courier, tmp_path, key=samples.BIG_KEY))
    assert "--folder-root" in problem(refused.value).next_step
