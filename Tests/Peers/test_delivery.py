"""A delivery arrives byte for byte, with its two tickets, a receipt that anybody can check, and one notification; also when
the transfer service, or everything, is killed in the middle of it."""
import hashlib
import json
import threading
import time

import grpc
import pytest
from cryptography.exceptions import InvalidSignature

import samples
from contract import api, wait_until
from deliveries import CHUNKS_IN_FLIGHT, STATES, assert_equal_trees, unfinished
from ferry_system import SERVICES
from receipts import verify

CHUNK = 1 << 20


def seconds(timestamp) -> float:
    return timestamp.seconds + timestamp.nanos / 1e9


def assert_told_once(courier, mail, teams, delivery) -> None:
    notification = courier.await_told(delivery)
    assert notification.delivery_id == delivery.id
    assert {c.channel: c.status for c in notification.channels} == {
        "in-app": api.CHANNEL_STATUS_SENT, "email": api.CHANNEL_STATUS_SENT, "teams": api.CHANNEL_STATUS_SENT,
    }, notification
    mails, cards = mail.about(delivery.id), teams.about(delivery.id)
    assert [recipients for recipients, _ in mails] == [[courier.email]], f"{len(mails)} mails: {mails}"
    assert len(cards) == 1, f"{len(cards)} cards: {cards}"
    attachments = cards[0]["attachments"]
    assert [a["contentType"] for a in attachments] == ["application/vnd.microsoft.card.adaptive"]
    assert attachments[0]["content"]["type"] == "AdaptiveCard"


def assert_tickets_tell_the_story(courier, delivery, outcome=api.OUTCOME_SUCCEEDED) -> None:
    pair = courier.tickets(delivery)
    assert (pair.user.number, pair.audit.number) == (delivery.user_ticket, delivery.audit_ticket)
    for ticket in (pair.user, pair.audit):
        assert seconds(ticket.opened_at) <= seconds(delivery.started_at), "something moved before the tickets were open"
        assert ticket.status == api.TICKET_STATUS_CLOSED and ticket.outcome == outcome, ticket
        assert ticket.closing_note
        keys = [note.key for note in ticket.work_notes]
        assert len(keys) == len(set(keys)), f"a note was written twice: {keys}"
        if outcome == api.OUTCOME_SUCCEEDED:
            noted = {key.replace("-", "_").upper() for key in keys}
            assert {state.removeprefix("DELIVERY_STATE_") for state in STATES} <= noted, keys


def assert_all_states_done(delivery) -> None:
    assert [api.DeliveryState.Name(s.state) for s in delivery.states] == STATES
    for state in delivery.states:
        skippable = state.state == api.DELIVERY_STATE_COMPRESS
        good = (api.STATE_STATUS_DONE, api.STATE_STATUS_SKIPPED) if skippable else (api.STATE_STATUS_DONE,)
        assert state.status in good, state


# ---- Undisturbed


def test_a_large_object_arrives_with_receipt_tickets_and_one_notification(courier, sshd, inbox, mail, teams):
    delivery = courier.deliver(sshd.url(inbox) + "/", key=samples.BIG_KEY)
    assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery.problem
    assert (inbox / "data.bin").read_bytes() == samples.big()
    assert unfinished(inbox) == []
    assert_all_states_done(delivery)
    assert (delivery.files_total, delivery.files_done, delivery.files_failed) == (1, 1, 0)
    assert delivery.bytes_total == delivery.bytes_done == samples.BIG_SIZE and delivery.runs == 1

    signed = courier.client.Transfer.GetReceipt(delivery_id=delivery.id)
    key = courier.system.anonymous().Transfer.GetReceiptKey().jwk_json
    receipt = verify(signed.jws_json, key)
    assert receipt["deliveryId"] == delivery.id and receipt["hostKey"] == sshd.fingerprint
    assert (receipt["userTicket"], receipt["auditTicket"]) == (delivery.user_ticket, delivery.audit_ticket)
    assert [(f["path"], f["size"], f["sha256"]) for f in receipt["files"]] == [
        (f"{inbox}/data.bin", str(samples.BIG_SIZE), hashlib.sha256(samples.big()).hexdigest())]
    proof = json.loads(signed.jws_json)
    for part in ("protected", "payload", "signature"):
        text = proof[part]
        for position in range(0, len(text) - 1, max(1, len(text) // 20)):  # the last digit may hold bits that do not count
            changed = proof | {part: text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1:]}
            with pytest.raises((InvalidSignature, ValueError, AssertionError, KeyError)):
                verify(json.dumps(changed), key)

    assert_tickets_tell_the_story(courier, delivery)
    assert_told_once(courier, mail, teams, delivery)


def test_two_hundred_odd_names_arrive_as_they_are(courier, sshd, weed, inbox, mail, teams):
    delivery = courier.deliver(sshd.url(inbox) + "/", prefix=samples.SMALL_PREFIX)
    assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery.problem
    assert delivery.files_done == samples.SMALL_COUNT
    assert_equal_trees(weed.source / "small", inbox)
    assert unfinished(inbox) == []
    receipt = verify(
        courier.client.Transfer.GetReceipt(delivery_id=delivery.id).jws_json,
        courier.client.Transfer.GetReceiptKey().jwk_json)
    proven = {f["key"]: (int(f.get("size", 0)), f["sha256"]) for f in receipt["files"]}
    assert proven == {samples.SMALL_PREFIX + name: (len(body), hashlib.sha256(body).hexdigest())
                      for name, body in samples.small().items()}
    assert len(courier.files(delivery.id)) == samples.SMALL_COUNT
    assert_tickets_tell_the_story(courier, delivery)
    assert_told_once(courier, mail, teams, delivery)


def test_the_same_idempotency_key_gives_the_same_delivery(courier, sshd, inbox):
    wanted = dict(
        request=courier.request(sshd.url(inbox) + "/", prefix=samples.SMALL_PREFIX), credentials=courier.key_login(),
        idempotency_key=f"once {inbox}")
    first = courier.client.Transfer.StartDelivery(**wanted)
    assert courier.client.Transfer.StartDelivery(**wanted).id == first.id
    assert courier.wait(first.id).status == api.DELIVERY_STATUS_SUCCEEDED


def test_watching_shows_the_states_in_order_and_ends_with_the_delivery(courier, sshd, inbox):
    started = courier.start(sshd.url(inbox) + "/", key=samples.BIG_KEY, chunk_size=CHUNK)
    events = list(courier.client.Transfer.WatchDelivery(id=started.id, timeout_seconds=120))
    assert events[-1].kind == api.DELIVERY_EVENT_KIND_ENDED
    assert events[-1].delivery.status == api.DELIVERY_STATUS_SUCCEEDED
    journalled = [event.sequence for event in events if event.kind != api.DELIVERY_EVENT_KIND_PROGRESS]
    assert journalled == sorted(set(journalled)), "an event came twice or out of order"
    later = list(courier.client.Transfer.WatchDelivery(id=started.id, after_sequence=journalled[2]))
    assert [event.sequence for event in later] == journalled[3:]


def test_overwrite_replaces_in_one_step_and_fail_leaves_what_is_there(courier, sshd, inbox):
    target = inbox / "data.bin"
    target.write_bytes(b"the customer's own")
    refused = courier.deliver(sshd.url(inbox) + "/", key=samples.BIG_KEY, on_conflict=api.ON_CONFLICT_FAIL)
    assert refused.status == api.DELIVERY_STATUS_FAILED and refused.problem.code == "TARGET_EXISTS", refused.problem
    assert target.read_bytes() == b"the customer's own" and unfinished(inbox) == []
    done = courier.deliver(sshd.url(inbox) + "/", key=samples.BIG_KEY, on_conflict=api.ON_CONFLICT_OVERWRITE)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    assert target.read_bytes() == samples.big() and unfinished(inbox) == []


def test_cancelling_cleans_up_and_a_retry_goes_on(courier, sshd, slow_way, inbox, mail, teams):
    slow_way.bytes_per_second = 4 << 20
    started = courier.start(sshd.url(inbox, slow_way.port) + "/", key=samples.BIG_KEY, chunk_size=CHUNK)
    courier.await_written(started.id, 2)
    courier.client.Transfer.CancelDelivery(id=started.id, reason="not today")
    slow_way.open_up()
    cancelled = courier.wait(started.id)
    assert cancelled.status == api.DELIVERY_STATUS_CANCELLED
    assert list(inbox.iterdir()) == [], "cancelling left something behind"
    assert_tickets_tell_the_story(courier, cancelled, api.OUTCOME_CANCELLED)
    assert_told_once(courier, mail, teams, cancelled)
    courier.client.Transfer.RetryDelivery(id=started.id)
    done = courier.wait(started.id)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    assert (inbox / "data.bin").read_bytes() == samples.big()


@pytest.mark.parametrize("asked", ["cancel", "pause"])
def test_nobody_waits_for_a_server_that_fell_silent(courier, sshd, slow_way, inbox, asked):
    """What is on its way to it would be given up after a minute."""
    slow_way.bytes_per_second = 4 << 20
    started = courier.start(sshd.url(inbox, slow_way.port) + "/", key=samples.BIG_KEY, chunk_size=CHUNK)
    courier.await_written(started.id, 2)
    slow_way.stall()
    slow_way.open_up()
    begin = time.monotonic()
    if asked == "cancel":
        courier.client.Transfer.CancelDelivery(id=started.id)
        assert courier.wait(started.id).status == api.DELIVERY_STATUS_CANCELLED
        assert list(inbox.iterdir()) == []
    else:
        courier.client.Transfer.PauseDelivery(id=started.id)
        courier.client.Transfer.ResumeDelivery(id=started.id)
        assert courier.wait(started.id).status == api.DELIVERY_STATUS_SUCCEEDED
        assert (inbox / "data.bin").read_bytes() == samples.big() and unfinished(inbox) == []
    assert time.monotonic() - begin < 20


# ---- Killed


def assert_arrived_once(courier, sshd, mail, teams, inbox, delivery, kills: int, written_before: dict[int, int]) -> None:
    """The same result as undisturbed, and no more sent twice than was under way at the kills."""
    assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, f"{delivery.problem}\n{courier.system.report()}"
    assert (inbox / "data.bin").read_bytes() == samples.big()
    assert unfinished(inbox) == []
    assert_all_states_done(delivery)
    chunks = courier.chunks(delivery.id)
    assert len(chunks) == samples.BIG_SIZE // CHUNK and all(chunk.written for chunk in chunks)
    sends = {chunk.index: chunk.sends for chunk in chunks}
    again = {index: count for index, count in sends.items() if count > 1}
    print(f"{delivery.runs} runs; sent more than once: {again}")
    assert all(sends[index] == count for index, count in written_before.items()), (
        f"chunks that were written were sent again: {again}, written before: {written_before}")
    assert sum(count - 1 for count in again.values()) <= kills * CHUNKS_IN_FLIGHT, again
    assert delivery.runs == kills + 1
    assert_tickets_tell_the_story(courier, delivery)
    assert_told_once(courier, mail, teams, delivery)
    verify(courier.client.Transfer.GetReceipt(delivery_id=delivery.id).jws_json,
           courier.client.Transfer.GetReceiptKey().jwk_json)


@pytest.mark.slow
def test_a_killed_transfer_service_goes_on_where_it_was(courier, sshd, slow_way, inbox, mail, teams):
    system = courier.system
    started = courier.start(sshd.url(inbox, slow_way.port) + "/", key=samples.BIG_KEY, chunk_size=CHUNK)
    written = courier.await_written(started.id, 10)
    assert len(written) < samples.BIG_SIZE // CHUNK, "all was written before the kill: the way is not slow enough"
    system.kill("transfer")
    assert not (inbox / "data.bin").exists(), "the file had its final name before it was whole"
    system.await_up("transfer")
    slow_way.open_up()
    delivery = courier.wait(started.id)
    assert_arrived_once(courier, sshd, mail, teams, inbox, delivery, 1, written)


@pytest.mark.slow
def test_five_kills_at_random_moments_change_nothing(courier, sshd, slow_way, inbox, mail, teams, rng):
    system = courier.system
    started = courier.start(sshd.url(inbox, slow_way.port) + "/", key=samples.BIG_KEY, chunk_size=CHUNK)
    written, count = {}, 0
    for _ in range(5):
        count += rng.randint(1, 9)
        written = courier.await_written(started.id, max(count, len(written) + 1))
        count = len(written)
        assert count < samples.BIG_SIZE // CHUNK
        wait_until_spent(rng.uniform(0, 0.2))
        system.kill("transfer")
        system.await_up("transfer")
    slow_way.open_up()
    delivery = courier.wait(started.id)
    assert_arrived_once(courier, sshd, mail, teams, inbox, delivery, 5, written)


@pytest.mark.slow
def test_a_kill_of_all_services_changes_nothing(courier, sshd, slow_way, inbox, mail, teams):
    system = courier.system
    started = courier.start(sshd.url(inbox, slow_way.port) + "/", key=samples.BIG_KEY, chunk_size=CHUNK)
    written = courier.await_written(started.id, 10)
    assert len(written) < samples.BIG_SIZE // CHUNK
    system.kill(*SERVICES)
    system.await_up(*SERVICES)
    slow_way.open_up()
    delivery = courier.wait(started.id)
    assert_arrived_once(courier, sshd, mail, teams, inbox, delivery, 1, written)


@pytest.mark.slow
def test_kills_while_many_small_files_move_lose_and_double_none(courier, sshd, weed, slow_way, inbox, mail, teams, rng):
    system = courier.system
    slow_way.bytes_per_second = 500_000
    started = courier.start(sshd.url(inbox, slow_way.port) + "/", prefix=samples.SMALL_PREFIX)

    def done() -> int:
        try:
            return courier.get(started.id).files_done
        except grpc.RpcError:
            return 0

    for share in (0.2, 0.6):
        least = int(samples.SMALL_COUNT * share * rng.uniform(0.5, 1))
        wait_until(f"{least} delivered files", lambda: done() >= least, 90, seen=done)
        assert done() < samples.SMALL_COUNT
        system.kill("transfer")
        system.await_up("transfer")
    slow_way.open_up()
    delivery = courier.wait(started.id)
    assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery.problem
    assert delivery.files_done == samples.SMALL_COUNT and delivery.runs == 3
    assert_equal_trees(weed.source / "small", inbox)
    assert unfinished(inbox) == []
    assert_tickets_tell_the_story(courier, delivery)
    assert_told_once(courier, mail, teams, delivery)


def wait_until_spent(duration: float) -> None:
    """A random moment is the event here: nothing tells of it."""
    threading.Event().wait(duration)


# ---- The command line


def test_ferry_delivers_watches_and_verifies(courier, sshd, inbox, tmp_path):
    from ferry_system import ADMIN_PASSWORD

    system, home = courier.system, tmp_path / "home"
    password = tmp_path / "password"
    password.write_text(ADMIN_PASSWORD)
    ferry = lambda *arguments: system.ferry(*arguments, home=home)  # noqa: E731
    assert ferry("login", "--user", "admin", "--password-file", password).returncode == 0
    done = ferry(
        "deliver", "s3://samples/small/", sshd.url(inbox) + "/", "--identity", sshd.identity, "--host-key",
        sshd.fingerprint, "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    delivery = done.stdout.split()[1]
    assert delivery.startswith("dlv_")
    receipt, key = tmp_path / "receipt.json", tmp_path / "key.jwk"
    assert ferry("receipt", delivery, "--output", receipt).returncode == 0
    key.write_text(ferry("receipt-key").stdout)
    assert ferry("verify", receipt, "--key", key).returncode == 0
    verify(receipt.read_text(), key.read_text())
    receipt.write_text(receipt.read_text().replace('"payload":"ey', '"payload":"fy'))
    assert ferry("verify", receipt, "--key", key).returncode == 1
    failed = ferry("deliver", "s3://samples/nothing-here", sshd.url(inbox) + "/", "--identity", sshd.identity, "--host-key",
                   sshd.fingerprint, "--watch")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    nobody = system.ferry("status", home=tmp_path / "nobody")
    assert nobody.returncode == 3, nobody.stdout + nobody.stderr
