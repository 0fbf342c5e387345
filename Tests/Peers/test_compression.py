"""Files compressed on their way: other people's programs unpack what arrives, the record and the signed receipt tell both the
file there and the source, a crash costs what was under way and no more."""
import gzip
import hashlib
import io
import random
import re
import subprocess
import uuid

import grpc
import pytest

import samples
from contract import api
from deliveries import CHUNKS_IN_FLIGHT, unfinished
from ferry_system import ADMIN_PASSWORD
from receipts import verify

FORMATS = {api.COMPRESSION_GZIP: ".gz", api.COMPRESSION_ZSTD: ".zst"}
CHUNK = 1 << 20


def table(size: int, seed: int) -> bytes:
    """Lines as an export has them: they shrink to about a third."""
    rng = random.Random(seed)
    lines, length = [], 0
    while length < size:
        lines.append(f"2026-11-{rng.randint(1, 30):02};{rng.randint(1, 10**6)};{rng.choice(['EUR', 'USD'])};{rng.random():.4f}\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


@pytest.fixture(scope="module")
def bucket(weed):
    """Tables of no, one and several chunks, and what does not shrink."""
    name = f"packed-{uuid.uuid4().hex[:8]}"
    client = weed.client()
    client.create_bucket(Bucket=name)
    bodies = {"in/empty.csv": b"", "in/small.csv": table(30_000, 1), "in/2026/large.csv": table(5 * CHUNK + 12_345, 2),
              "in/noise.bin": samples.big(3 * CHUNK, seed=3)}
    for key, body in bodies.items():
        client.put_object(Bucket=name, Key=key, Body=body)
    return name, bodies


def start(courier, sshd, inbox, bucket: str, port=None, prefix="in/", path="/", **options):
    request = courier.request(sshd.url(inbox, *([port] if port else [])) + path, prefix=prefix, bucket=bucket, chunk_size=CHUNK)
    request.options.MergeFrom(api.DeliveryOptions(**options))
    return courier.client.Transfer.StartDelivery(request=request, credentials=courier.key_login())


def unpacked(data: bytes, suffix: str) -> bytes:
    """By GNU gzip or zstd's own program, each of which checks its checksums."""
    tool = {".gz": "gzip", ".zst": "zstd"}[suffix]
    return subprocess.run([tool, "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def state(delivery):
    return next(one for one in delivery.states if one.state == api.DELIVERY_STATE_COMPRESS)


def assert_told(courier, done, inbox, bodies: dict[str, bytes], compressed: dict[str, str]) -> None:
    """`compressed`: the suffix of each key that is."""
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    there = {str(file.relative_to(inbox)): file.read_bytes() for file in inbox.rglob("*") if file.is_file()}
    assert set(there) == {key.removeprefix("in/") + compressed.get(key, "") for key in bodies}
    answer = courier.client.Transfer.GetReceipt(delivery_id=done.id)
    verify(answer.jws_json, courier.client.Transfer.GetReceiptKey().jwk_json)
    receipt = {file.key: file for file in answer.receipt.files}
    files = {file.key: file for file in courier.files(done.id)}
    for key, body in bodies.items():
        suffix = compressed.get(key, "")
        data = there[key.removeprefix("in/") + suffix]
        assert (unpacked(data, suffix) if suffix else data) == body, key
        line, file = receipt[key], files[key]
        assert (line.size, line.sha256) == (len(data), hashlib.sha256(data).hexdigest()), key
        assert file.sha256 == line.sha256 and file.size == len(body)
        assert line.path == str(inbox / key.removeprefix("in/")) + suffix
        if suffix:
            assert (line.source_size, line.source_sha256) == (len(body), hashlib.sha256(body).hexdigest())
            assert FORMATS[line.compression] == suffix and file.delivered_size == len(data)
        else:
            assert line.compression == api.COMPRESSION_UNSPECIFIED and line.source_sha256 == ""
    assert answer.receipt.total_bytes == sum(map(len, there.values()))
    assert unfinished(inbox) == []


@pytest.mark.parametrize("compression", FORMATS)
def test_every_file_arrives_compressed_and_other_programs_unpack_it(courier, sshd, inbox, bucket, compression):
    name, bodies = bucket
    done = courier.wait(start(courier, sshd, inbox, name, compression=compression, checksum_sidecar=False).id)
    assert_told(courier, done, inbox, bodies, dict.fromkeys(bodies, FORMATS[compression]))
    step = state(done)
    assert step.status == api.STATE_STATUS_DONE and step.done == step.total == done.bytes_total
    assert "4 files to" in step.note and "unpacked again and compared" in step.note, step.note
    assert "unpacked and compared" in courier.client.Transfer.GetReceipt(delivery_id=done.id).receipt.proof


def test_readers_that_stop_at_the_first_member_read_all_of_a_gzip_file(courier, sshd, inbox, bucket):
    """Many do: PHP's gzdecode, .NET Framework's GZipStream, zlib's own uncompress with a gzip header."""
    import zlib

    name, bodies = bucket
    courier.wait(start(courier, sshd, inbox, name, prefix="in/2026/", compression=api.COMPRESSION_GZIP).id)
    data = (inbox / "large.csv.gz").read_bytes()
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(data) + reader.flush() == bodies["in/2026/large.csv"]
    assert reader.eof and reader.unused_data == b""
    assert gzip.GzipFile(fileobj=io.BytesIO(data)).read() == bodies["in/2026/large.csv"]


def test_automatic_compresses_what_shrinks_and_leaves_the_rest(courier, sshd, inbox, bucket):
    name, bodies = bucket
    done = courier.wait(start(courier, sshd, inbox, name, compression=api.COMPRESSION_AUTOMATIC).id)
    assert_told(courier, done, inbox, bodies, {"in/small.csv": ".gz", "in/2026/large.csv": ".gz"})
    assert "2 of 4 files to gzip" in state(done).note


def test_a_name_that_tells_the_format_gets_it_once(courier, sshd, inbox, bucket):
    name, bodies = bucket
    for path, expected in (("/report.csv.gz", "report.csv.gz"), ("/report.csv", "report.csv.gz")):
        request = courier.request(sshd.url(inbox) + path, key="in/small.csv", bucket=name)
        request.options.compression = api.COMPRESSION_GZIP
        started = courier.client.Transfer.StartDelivery(request=request, credentials=courier.key_login())
        assert courier.wait(started.id).status == api.DELIVERY_STATUS_SUCCEEDED
        assert [file.name for file in inbox.iterdir()] == [expected]
        assert gzip.decompress((inbox / expected).read_bytes()) == bodies["in/small.csv"]


def test_names_that_would_meet_by_their_ending_are_found_before_anything_moves(courier, sshd, weed, inbox):
    name = f"meet-{uuid.uuid4().hex[:8]}"
    client = weed.client()
    client.create_bucket(Bucket=name)
    for key in ("in/a.csv", "in/a.csv.gz"):
        client.put_object(Bucket=name, Key=key, Body=b"x" * 10_000)
    done = courier.wait(start(courier, sshd, inbox, name, compression=api.COMPRESSION_AUTOMATIC).id)
    assert done.status == api.DELIVERY_STATUS_FAILED and done.problem.code == "NAME_CLASH"
    assert list(inbox.iterdir()) == []
    done = courier.wait(start(courier, sshd, inbox, name, compression=api.COMPRESSION_GZIP).id)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, "a.csv.gz and a.csv.gz.gz don't meet"


def test_equal_compressed_files_are_left_alone_and_sums_are_of_what_lies_there(courier, sshd, inbox, bucket):
    name, bodies = bucket
    options = {"compression": api.COMPRESSION_GZIP, "on_conflict": api.ON_CONFLICT_SKIP_IF_EQUAL, "checksum_sidecar": True}
    courier.wait(start(courier, sshd, inbox, name, **options).id)
    before = {file: file.stat().st_ino for file in inbox.rglob("*.gz")}
    done = courier.wait(start(courier, sshd, inbox, name, **options).id)
    assert done.status == api.DELIVERY_STATUS_SUCCEEDED, done.problem
    assert {file: file.stat().st_ino for file in inbox.rglob("*.gz")} == before, "an equal file was replaced"
    for file in inbox.rglob("*.sha256"):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", file.name], cwd=file.parent, check=True)


@pytest.mark.parametrize("options, says", [
    ({"compression": api.COMPRESSION_GZIP, "compression_level": 12}, "no level 12 of gzip"),
    ({"compression": api.COMPRESSION_ZSTD, "compression_level": 20}, "no level 20 of zstd"),
    ({"compression_level": 3}, "and no compression"), ({"compression": 9}, "not known")])
def test_what_can_not_be_is_refused_at_once(courier, sshd, inbox, bucket, options, says):
    with pytest.raises(grpc.RpcError) as refused:
        start(courier, sshd, inbox, bucket[0], **options)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT and says in refused.value.details()


def test_the_command_line_compresses_and_checks_its_receipt(courier, sshd, inbox, bucket, tmp_path):
    name, bodies = bucket
    system = courier.system
    password = tmp_path / "password"
    password.write_text(ADMIN_PASSWORD)
    assert system.ferry("login", "--user", "admin", "--password-file", password, home=tmp_path).returncode == 0
    key = tmp_path / "key"
    key.write_text(sshd.identity.read_text())
    target = [f"s3://{name}/in/small.csv", sshd.url(inbox) + "/", "--identity", key, "--host-key", sshd.fingerprint]
    planned = system.ferry("plan", *target, "--compress", "zstd", home=tmp_path)
    assert planned.returncode == 0 and "small.csv.zst" in planned.stdout, planned.stdout + planned.stderr
    ran = system.ferry("deliver", *target, "--compress", "zstd", "--compression-level", "19", "--watch", home=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    data = (inbox / "small.csv.zst").read_bytes()
    assert unpacked(data, ".zst") == bodies["in/small.csv"]
    shown = system.ferry("receipt", re.search(r"dlv_\w+", ran.stdout).group(), home=tmp_path)
    assert hashlib.sha256(data).hexdigest() in shown.stdout, shown.stdout + shown.stderr
    refused = system.ferry("deliver", *target, "--compress", "lzma", home=tmp_path)
    assert refused.returncode != 0 and "gzip" in refused.stderr + refused.stdout, refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("compression", FORMATS)
def test_kills_in_the_middle_cost_what_was_under_way(courier, sshd, weed, slow_way, inbox, compression, rng):
    name, body = f"kills-{uuid.uuid4().hex[:8]}", table(48 * CHUNK, 7)
    client = weed.client()
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="in/big.csv", Body=body)
    slow_way.bytes_per_second = 4 << 20
    started = start(courier, sshd, inbox, name, port=slow_way.port, compression=compression)
    count = 0
    for _ in range(3):
        count += rng.randint(2, 8)
        count = len(courier.await_written(started.id, count))
        assert count < 48, "all was written before the kill: the way is not slow enough"
        courier.system.kill("transfer")
        courier.system.await_up("transfer")
    slow_way.open_up()
    done = courier.wait(started.id)
    assert_told(courier, done, inbox, {"in/big.csv": body}, {"in/big.csv": FORMATS[compression]})
    assert done.runs == 4
    again = [chunk.sends for chunk in courier.chunks(done.id) if chunk.sends > 1]
    assert sum(count - 1 for count in again) <= 3 * CHUNKS_IN_FLIGHT, again
