"""A machine dies with a delivery under way, and another one goes on with it from the same data folder."""
import shutil
import signal

import pytest

import samples
import servers
from contract import api, wait_until
from deliveries import CHUNKS_IN_FLIGHT, Courier, unfinished
from ferry_system import FerrySystem, is_alive
from receipts import verify

CHUNK = 1 << 20


@pytest.fixture
def second(binaries, tmp_path):
    """The other machine: other ports, another place for the data; not started yet."""
    system = FerrySystem(binaries, tmp_path / "second")
    yield system
    system.stop()


def die(system: FerrySystem) -> None:
    """`ferry up` and all its services at once, as when the power goes."""
    pids = [system.process.pid, *system.pids().values()]
    for pid in pids:
        servers.kill(pid, signal.SIGKILL)
    system.process.wait()
    wait_until("the machine to be dead", lambda: not any(map(is_alive, pids)), 10)


def test_another_machine_goes_on_from_the_proven_chunks(start_system, second, weed, sshd, slow_way, inbox):
    first = start_system("first")
    courier = Courier(first, weed, sshd)
    slow_way.bytes_per_second = 4 << 20
    started = courier.start(sshd.url(inbox, slow_way.port) + "/", key=samples.BIG_KEY, chunk_size=CHUNK)
    before = courier.await_written(started.id, 3)
    assert len(before) < samples.BIG_SIZE // CHUNK
    die(first)
    assert len(unfinished(inbox)) == 1 and not (inbox / "data.bin").exists()

    shutil.copytree(first.data, second.data)
    shutil.rmtree(first.data)
    slow_way.open_up()
    second.options = first.options
    second.start()
    courier = Courier(second, weed, sshd)
    done = courier.wait(started.id)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, f"{done.problem}\n{second.report()}"
    assert (inbox / "data.bin").read_bytes() == samples.big() and unfinished(inbox) == []
    sends = {chunk.index: chunk.sends for chunk in courier.chunks(started.id)}
    assert {index: sends[index] for index in before} == before, "a proven chunk was sent again"
    assert sum(count - 1 for count in sends.values()) <= CHUNKS_IN_FLIGHT
    pair = courier.tickets(done)
    assert [ticket.outcome for ticket in (pair.user, pair.audit)] == [api.OUTCOME_SUCCEEDED] * 2
    receipt = courier.client.Transfer.GetReceipt(delivery_id=done.id)
    assert verify(receipt.jws_json, second.anonymous().Transfer.GetReceiptKey().jwk_json)["deliveryId"] == done.id
