"""What a requester may choose about files: names by a mapping, numbered names, '.sha256' files, permissions, times, and the
size alone in place of a proof."""
import hashlib
import subprocess
import uuid

import pytest

import samples
from contract import api
from deliveries import unfinished


@pytest.fixture(scope="module")
def bucket(weed):
    """Three small files and one of four chunks."""
    name = f"names-{uuid.uuid4().hex[:8]}"
    client = weed.client()
    client.create_bucket(Bucket=name)
    bodies = {"in/Report.CSV": b"first\n", "in/2026/Sums.csv": b"second\n", "in/2026/empty.txt": b"",
              "in/large.bin": samples.big(4 << 20, seed=5)}
    for key, body in bodies.items():
        client.put_object(Bucket=name, Key=key, Body=body)
    return name, bodies


def deliver(courier, sshd, inbox, bucket: str, **options):
    request = courier.request(sshd.url(inbox) + "/", prefix="in/", bucket=bucket, chunk_size=1 << 20)
    request.options.MergeFrom(api.DeliveryOptions(**options))
    started = courier.client.Transfer.StartDelivery(request=request, credentials=courier.key_login())
    return courier.wait(started.id)


def tree(folder) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_names_are_mapped_and_the_ticket_is_one_of_the_words(courier, sshd, inbox, bucket):
    name, bodies = bucket
    mapping = api.NameMapping(
        replacements=[api.NameReplacement(find="2026/", replace="this-year/")], letter_case=api.LETTER_CASE_LOWER,
        template="{folder}/{ticket}_{stem}.{ext}")
    done = deliver(courier, sshd, inbox, name, names=mapping)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    ticket = done.user_ticket
    assert tree(inbox) == {
        f"{ticket}_report.csv": bodies["in/Report.CSV"], f"this-year/{ticket}_sums.csv": bodies["in/2026/Sums.csv"],
        f"this-year/{ticket}_empty.txt": b"", f"{ticket}_large.bin": bodies["in/large.bin"]}


def test_keeping_both_numbers_the_new_file_and_never_touches_the_old_one(courier, sshd, inbox, bucket):
    name, bodies = bucket
    (inbox / "Report.CSV").write_bytes(b"the customer's own")
    (inbox / "Report (1).CSV").write_bytes(b"and another")
    (inbox / "large.bin").write_bytes(b"theirs")
    before = tree(inbox)
    for round_ in (1, 2):
        done = deliver(courier, sshd, inbox, name, on_conflict=api.ON_CONFLICT_KEEP_BOTH)
        assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
        after = tree(inbox)
        assert {path: after[path] for path in before} == before, "a file that was there changed"
        assert after[f"Report ({round_ + 1}).CSV"] == bodies["in/Report.CSV"]
        assert after[f"large ({round_}).bin"] == bodies["in/large.bin"]
        paths = {file.path.removeprefix(f"{inbox}/") for file in courier.client.Transfer.GetReceipt(
            delivery_id=done.id).receipt.files}
        assert paths == set(after) - set(before), "the receipt names other files than those that were made"
        before = after
    assert unfinished(inbox) == []


def test_sha256_files_satisfy_sha256sum(courier, sshd, inbox, bucket):
    name, bodies = bucket
    done = deliver(courier, sshd, inbox, name, checksum_sidecar=True)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    assert set(tree(inbox)) == {path.removeprefix("in/") + end for path in bodies for end in ("", ".sha256")}
    for file in inbox.rglob("*.sha256"):
        checked = subprocess.run(["sha256sum", "--check", "--strict", file.name], cwd=file.parent, capture_output=True)
        assert checked.returncode == 0, checked.stderr
    assert all(file.has_sidecar for file in courier.files(done.id))


def test_the_size_alone_is_compared_where_that_was_chosen_and_all_say_so(courier, sshd, inbox, bucket):
    name, bodies = bucket
    done = deliver(courier, sshd, inbox, name, proof=api.PROOF_SIZE)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    assert tree(inbox) == {path.removeprefix("in/"): body for path, body in bodies.items()}
    receipt = courier.client.Transfer.GetReceipt(delivery_id=done.id).receipt
    assert receipt.proof.startswith("size alone, as the requester chose")
    assert {file.key: file.sha256 for file in receipt.files} == {
        path: hashlib.sha256(body).hexdigest() for path, body in bodies.items()}
    verify = next(state for state in done.states if state.state == api.DELIVERY_STATE_VERIFY)
    assert "size alone" in verify.note
    assert "size alone" in courier.tickets(done).user.closing_note


def test_names_that_would_meet_are_found_before_anything_moves(courier, sshd, inbox, bucket):
    done = deliver(courier, sshd, inbox, bucket[0], names=api.NameMapping(template="{environment}"))
    assert done.status == api.DELIVERY_STATUS_FAILED and done.problem.code == "NAME_CLASH"
    assert list(inbox.iterdir()) == [] and list(courier.files(done.id)) == []


def test_files_and_new_folders_get_the_permissions_and_times_that_were_asked_for(courier, sshd, weed, inbox, bucket):
    name, bodies = bucket
    inbox.chmod(0o755)
    done = deliver(courier, sshd, inbox, name, file_mode=0o604, folder_mode=0o751, keep_times=True, checksum_sidecar=True)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    client = weed.client()
    for key in bodies:
        file = inbox / key.removeprefix("in/")
        assert file.stat().st_mode & 0o7777 == 0o604, key
        assert file.with_name(file.name + ".sha256").stat().st_mode & 0o7777 == 0o604
        assert int(file.stat().st_mtime) == int(client.head_object(Bucket=name, Key=key)["LastModified"].timestamp())
    assert (inbox / "2026").stat().st_mode & 0o7777 == 0o751 and inbox.stat().st_mode & 0o7777 == 0o755
