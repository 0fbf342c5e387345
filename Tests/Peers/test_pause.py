"""A delivery that a person puts aside stays so, also when the services restart, and goes on from the proven chunks."""
import grpc
import pytest

import samples
from contract import api, problem, wait_until
from deliveries import CHUNKS_IN_FLIGHT, unfinished

CHUNK = 1 << 20


@pytest.fixture
def paused(courier, sshd, slow_way, inbox):
    """A delivery of 64 chunks that was paused after two of them."""
    slow_way.bytes_per_second = 4 << 20
    started = courier.start(sshd.url(inbox, slow_way.port) + "/", key=samples.BIG_KEY, chunk_size=CHUNK)
    courier.await_written(started.id, 2)
    answer = courier.client.Transfer.PauseDelivery(id=started.id, reason="their disk is full until noon")
    assert answer.status == api.DELIVERY_STATUS_PAUSED, answer
    return answer


def noted(courier, delivery) -> list[str]:
    return [note.key for note in courier.tickets(delivery).user.work_notes if note.key.split("-")[0] in ("paused", "resumed")]


def test_a_paused_delivery_outlives_a_restart_and_goes_on_from_its_proven_chunks(courier, slow_way, inbox, paused):
    assert paused.waiting_for.endswith("their disk is full until noon") and "paused by" in paused.waiting_for
    assert courier.client.Transfer.PauseDelivery(id=paused.id).sequence == paused.sequence, "a second pause told something"
    wait_until("the tickets to say so", lambda: noted(courier, paused) == ["paused-1"], 10)
    before = {chunk.index: chunk.sends for chunk in courier.chunks(paused.id) if chunk.written}
    assert 2 <= len(before) < samples.BIG_SIZE // CHUNK

    courier.system.kill("transfer")
    courier.system.await_up("transfer")
    still = courier.get(paused.id)
    assert (still.status, still.sequence, still.runs) == (api.DELIVERY_STATUS_PAUSED, paused.sequence, 1)
    assert {chunk.index: chunk.sends for chunk in courier.chunks(paused.id) if chunk.written} == before
    assert len(unfinished(inbox)) == 1 and not (inbox / "data.bin").exists()

    slow_way.open_up()
    assert courier.client.Transfer.ResumeDelivery(id=paused.id).waiting_for == ""
    done = courier.wait(paused.id)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    assert (inbox / "data.bin").read_bytes() == samples.big() and unfinished(inbox) == []
    sends = {chunk.index: chunk.sends for chunk in courier.chunks(paused.id)}
    assert {index: sends[index] for index in before} == before, "a proven chunk was sent again"
    assert sum(count - 1 for count in sends.values()) <= CHUNKS_IN_FLIGHT
    assert noted(courier, done) == ["paused-1", "resumed-2"]


def test_a_paused_delivery_is_cancelled_and_leaves_nothing(courier, slow_way, inbox, paused):
    slow_way.open_up()
    courier.client.Transfer.CancelDelivery(id=paused.id, reason="no longer wanted")
    cancelled = courier.wait(paused.id)
    assert cancelled.status == api.DELIVERY_STATUS_CANCELLED and cancelled.waiting_for == ""
    assert list(inbox.iterdir()) == [], "cancelling left something behind"
    pair = courier.tickets(cancelled)
    assert [ticket.outcome for ticket in (pair.user, pair.audit)] == [api.OUTCOME_CANCELLED] * 2
    with pytest.raises(grpc.RpcError) as refused:
        courier.client.Transfer.ResumeDelivery(id=paused.id)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION and "Retry it" in problem(refused.value).next_step


def test_a_watcher_sees_the_pause_and_what_follows_it(courier, slow_way, paused):
    events = courier.client.Transfer.WatchDelivery(id=paused.id, timeout_seconds=120)
    told = []
    for event in events:
        told.append(event)
        if event.delivery.status == api.DELIVERY_STATUS_PAUSED and event.sequence == paused.sequence:
            slow_way.open_up()
            if not any(one.message == "resumed" for one in told) and event.kind == api.DELIVERY_EVENT_KIND_NOTE:
                courier.client.Transfer.ResumeDelivery(id=paused.id)
    assert told[-1].kind == api.DELIVERY_EVENT_KIND_ENDED
    assert told[-1].delivery.status == api.DELIVERY_STATUS_SUCCEEDED, told[-1].delivery.problem
    words = [event.message for event in told if event.kind == api.DELIVERY_EVENT_KIND_NOTE]
    assert [word.split(" ")[0] for word in words if word.startswith(("paused", "resumed"))] == ["paused", "resumed"]


def test_what_can_not_be_paused_resumed_or_retried_says_why(courier, sshd, slow_way, inbox, paused):
    with pytest.raises(grpc.RpcError) as refused:
        courier.client.Transfer.RetryDelivery(id=paused.id)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION and "Resume it" in problem(refused.value).next_step
    slow_way.open_up()
    courier.client.Transfer.ResumeDelivery(id=paused.id)
    assert courier.client.Transfer.ResumeDelivery(id=paused.id).status != api.DELIVERY_STATUS_PAUSED
    assert courier.wait(paused.id).status == api.DELIVERY_STATUS_SUCCEEDED
    for call in (courier.client.Transfer.PauseDelivery, courier.client.Transfer.ResumeDelivery):
        with pytest.raises(grpc.RpcError) as refused:
            call(id=paused.id)
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION and "ended" in refused.value.details()
