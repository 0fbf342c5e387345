"""The double of Azure Blob Storage answers Microsoft's own SDK as the service does: only so may FileFerry be tested on it.
"""
import base64
import datetime
import hashlib
import os
import pathlib
import re
import sys
import uuid

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError, ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceModifiedError,
    ResourceNotFoundError)
from azure.storage.blob import (
    AccountSasPermissions, BlobBlock, BlobSasPermissions, BlobServiceClient, ContainerSasPermissions, ContentSettings,
    ResourceTypes, StandardBlobTier, generate_account_sas, generate_blob_sas, generate_container_sas)
from azure.storage.extensions.checksums import crc64

import servers

DOUBLE = pathlib.Path(__file__).resolve().parent.parent / "Doubles/azure_blob.py"
ACCOUNT = "ferrytest"
KEY = base64.b64encode(hashlib.sha256(b"an account key of the tests").digest() * 2).decode()
WRONG_KEY = base64.b64encode(bytes(64)).decode()
ODD_NAMES = ["a b/c+d%41 &=?#.txt", "ü/日本/🚀", "e\u0301/'(!*)~", "tab\tline\r\n.txt", "not-in-xml-\x01-\ufffe", "<&>\"]]>",
             "x//y"]


class AzureBlobDouble(servers.Program):
    def __init__(self, directory: pathlib.Path, *options: str):
        super().__init__("azure-blob", directory)
        self.options = options
        self.endpoint = ""

    def start(self) -> "AzureBlobDouble":
        self.launch([sys.executable, str(DOUBLE), "--port", "0", "--account", ACCOUNT, "--key", KEY,
                     "--data", str(self.directory / "data"), *self.options])
        self.await_ready(lambda: "ready at" in self.log.read_text())
        self.endpoint = re.search(r"ready at (\S+)", self.log.read_text())[1]
        return self

    def client(self, credential=KEY, **options) -> BlobServiceClient:
        return BlobServiceClient(self.endpoint, credential=credential, retry_total=0, **options)


@pytest.fixture(scope="module")
def double(tmp_path_factory):
    program = AzureBlobDouble(tmp_path_factory.mktemp("azure"))
    try:
        yield program.start()
    finally:
        program.stop()


@pytest.fixture(scope="module")
def service(double):
    return double.client()


@pytest.fixture
def container(service):
    made = service.create_container(f"c-{uuid.uuid4().hex}")
    yield made
    made.delete_container()


@pytest.fixture
def rng_bytes(rng):
    return rng.randbytes


def soon(minutes: float = 10) -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)


def refused(status: int, code: str, kind=HttpResponseError):
    """The error that the block must end with: its status, its code, and the two ids of a support case."""

    class Refusal:
        def __enter__(self):
            return self

        def __exit__(self, _, error, __):
            assert isinstance(error, kind), f"{code} expected, not {error!r}"
            assert (error.status_code, error.response.headers["x-ms-error-code"]) == (status, code), error
            assert getattr(error, "error_code", code) == code  # as the SDK reads it, where it does
            assert uuid.UUID(error.response.headers["x-ms-request-id"])
            return True

    return Refusal()


# ---- Containers


def test_containers_are_made_listed_by_pages_and_prefix_described_and_deleted(service):
    prefix = f"p-{uuid.uuid4().hex[:12]}-"
    names = [f"{prefix}{index}" for index in range(5)]
    for name in names:
        service.create_container(name, metadata={"side": "left", "a-b": "1", "ab": "2"} if name.endswith("3") else None)
    pages = [[found.name for found in page]
             for page in service.list_containers(prefix, results_per_page=2).by_page()]
    assert pages == [names[:2], names[2:4], names[4:]]
    third = service.get_container_client(names[3]).get_container_properties()
    assert third.metadata["side"] == "left" and third.etag.startswith('"0x') and third.last_modified
    with refused(409, "ContainerAlreadyExists", ResourceExistsError):
        service.create_container(names[0])
    for name in names:
        service.delete_container(name)
    assert list(service.list_containers(prefix)) == []
    for call in (lambda c: c.get_container_properties(), lambda c: c.delete_container(), lambda c: list(c.list_blobs()),
                 lambda c: c.upload_blob("x", b"x")):
        with refused(404, "ContainerNotFound", ResourceNotFoundError):
            call(service.get_container_client(names[0]))


# ---- Lists


def test_blobs_are_listed_flat_and_folded_whatever_the_page_size(container):
    names = sorted(["a/1", "a/2", "a/b/3", "a-", "b", "c/d/e", "ca", "z/"] + ODD_NAMES, key=str.encode)
    for name in names:
        container.upload_blob(name, name.encode(), metadata={"n": "1"})
    assert [blob.name for blob in container.list_blobs()] == names
    for size in (1, 2, 3, 100):
        assert [blob.name for page in container.list_blobs(results_per_page=size).by_page() for blob in page] == names
        for prefix in ("", "a", "a/", "c/", "none"):
            expected = []
            for name in (name for name in names if name.startswith(prefix)):
                cut = name.find("/", len(prefix))
                shown = name if cut < 0 else name[:cut + 1]
                if shown not in expected:
                    expected.append(shown)
            walked = container.walk_blobs(name_starts_with=prefix, delimiter="/", results_per_page=size)
            # The SDK gives a page's prefixes after its blobs.
            assert sorted((item.name for item in walked), key=str.encode) == expected
    assert all(blob.metadata == {"n": "1"} for blob in container.list_blobs(include=["metadata"]))
    assert [container.download_blob(name).readall() for name in names] == [name.encode() for name in names]


def test_a_list_tells_size_etag_md5_type_and_tier(container):
    data = b"0123456789"
    settings = ContentSettings(content_type="text/plain", content_disposition="inline", cache_control="no-store")
    container.upload_blob("x", data, content_settings=settings, standard_blob_tier=StandardBlobTier.COOL)
    listed = next(container.list_blobs())
    told = container.get_blob_client("x").get_blob_properties()
    assert listed.size == told.size == 10 and listed.blob_tier == told.blob_tier == "Cool"
    assert f'"{listed.etag}"' == told.etag and listed.last_modified == told.last_modified
    for found in (listed.content_settings, told.content_settings):
        assert bytes(found.content_md5) == hashlib.md5(data).digest()
        assert (found.content_type, found.content_disposition, found.cache_control) == ("text/plain", "inline", "no-store")


def test_bad_page_sizes_and_markers_are_refused(container):
    with refused(400, "OutOfRangeInput"):
        list(container.list_blobs(results_per_page=-1))
    with refused(400, "InvalidQueryParameterValue"):
        list(container.list_blobs().by_page(continuation_token="nonsense"))


# ---- Writing and reading


def test_blocks_are_staged_and_committed_in_the_order_of_their_list(container, rng_bytes):
    blob = container.get_blob_client("blocks/one")
    parts = [rng_bytes(3 << 20), rng_bytes(1), rng_bytes(5 << 20)]
    for index, part in enumerate(parts):
        blob.stage_block(f"{index:04}", part, validate_content="crc64" if index else True)
    with refused(404, "BlobNotFound", ResourceNotFoundError):
        blob.get_blob_properties()
    blob.commit_block_list([BlobBlock("0002"), BlobBlock("0000"), BlobBlock("0001")])
    assert blob.download_blob().readall() == parts[2] + parts[0] + parts[1]
    assert blob.get_blob_properties().content_settings.content_md5 is None
    blob.stage_block("0003", b"more")
    md5 = hashlib.md5(parts[0] + b"more").digest()
    blob.commit_block_list([BlobBlock("0000"), BlobBlock("0003")], content_settings=ContentSettings(content_md5=md5))
    assert blob.download_blob().readall() == parts[0] + b"more"
    assert bytes(blob.get_blob_properties().content_settings.content_md5) == md5
    with refused(400, "InvalidBlockList"):
        blob.commit_block_list([BlobBlock("0001")])
    blob.stage_block("0004", b"x")
    with refused(400, "InvalidBlobOrBlock"):
        blob.stage_block("a longer id", b"x")


def test_a_large_upload_is_cut_in_blocks_by_the_sdk_and_comes_back_whole(double, container, rng_bytes):
    data = rng_bytes(24 << 20)
    blob = double.client(max_single_put_size=1 << 20).get_blob_client(container.container_name, "large")
    blob.upload_blob(data, max_concurrency=4)
    assert blob.download_blob(max_concurrency=4).readall() == data


def test_bytes_that_don_t_match_their_md5_are_refused_and_leave_nothing(container):
    blob = container.get_blob_client("x")
    wrong = base64.b64encode(bytes(16)).decode()
    for send in (lambda: blob.upload_blob(b"abc", headers={"Content-MD5": wrong}),
                 lambda: blob.stage_block("0", b"abc", headers={"Content-MD5": wrong})):
        with refused(400, "Md5Mismatch"):
            send()
    with refused(400, "Crc64Mismatch"):
        blob.stage_block("0", b"abc", headers={"x-ms-content-crc64": base64.b64encode(bytes(8)).decode()})
    with refused(404, "BlobNotFound", ResourceNotFoundError):
        blob.get_blob_properties()


def test_ranges_are_read_with_their_own_md5_and_crc64(container, rng_bytes):
    data = rng_bytes(5 << 20)
    blob = container.upload_blob("x", data)
    raw = blob._client.blob.download
    for first, last in ((0, 0), (1, 4 << 20), (100, 1000), ((5 << 20) - 7, (5 << 20) - 1)):
        part = data[first:last + 1]
        # validate_content makes the SDK check x-ms-range-get-content-md5's answer itself.
        assert blob.download_blob(first, len(part), validate_content=True).readall() == part
        seen = {}
        got = raw(range=f"bytes={first}-{last}", range_get_content_crc64=True,
                  cls=lambda response, body, headers: (seen.update(response.http_response.headers), body)[1])
        assert b"".join(got) == part
        crc = crc64.compute(part, 0).to_bytes(8, "little")
        assert seen["x-ms-content-crc64"] == base64.b64encode(crc).decode()
        assert seen["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
        assert seen["x-ms-blob-content-md5"] == base64.b64encode(hashlib.md5(data).digest()).decode()
    assert b"".join(raw(range=f"bytes={(5 << 20) - 2}-")) == data[-2:]
    assert b"".join(raw(range=f"bytes={(5 << 20) - 2}-99999999")) == data[-2:]
    with refused(416, "InvalidRange"):
        blob.download_blob(5 << 20, 1).readall()
    for option in ("range_get_content_md5", "range_get_content_crc64"):
        with refused(400, "InvalidHeaderValue"):
            raw(range=f"bytes=0-{4 << 20}", **{option: True})
        with refused(400, "InvalidHeaderValue"):
            raw(**{option: True})
    empty = container.upload_blob("empty", b"")
    assert empty.download_blob().readall() == b"" and empty.get_blob_properties().size == 0


def test_conditions_decide_over_reads_and_writes(container):
    blob = container.upload_blob("x", b"one")
    first = blob.get_blob_properties().etag
    assert blob.download_blob(etag=first, match_condition=MatchConditions.IfNotModified).readall() == b"one"
    with refused(304, "ConditionNotMet"):
        blob.get_blob_properties(etag=first, match_condition=MatchConditions.IfModified)
    blob.upload_blob(b"two", overwrite=True)
    second = blob.get_blob_properties().etag
    assert second != first
    for call in (blob.download_blob, blob.get_blob_properties, blob.delete_blob):
        with refused(412, "ConditionNotMet", ResourceModifiedError):
            call(etag=first, match_condition=MatchConditions.IfNotModified)
    with refused(412, "ConditionNotMet", ResourceModifiedError):
        blob.upload_blob(b"three", overwrite=True, etag=first, match_condition=MatchConditions.IfNotModified)
    with refused(409, "BlobAlreadyExists", ResourceExistsError):
        blob.upload_blob(b"three", overwrite=False)
    with refused(304, "ConditionNotMet"):
        blob.download_blob(if_modified_since=soon())
    with refused(412, "ConditionNotMet", ResourceModifiedError):
        blob.download_blob(if_unmodified_since=soon(-10))
    assert blob.download_blob().readall() == b"two"
    blob.delete_blob()
    for call in (blob.download_blob, blob.get_blob_properties, blob.delete_blob):
        with refused(404, "BlobNotFound", ResourceNotFoundError):
            call()


def test_overwritten_and_deleted_blobs_are_read_by_version(container):
    blob = container.get_blob_client("x")
    versions = [blob.upload_blob(data, overwrite=True)["version_id"] for data in (b"one", b"two", b"three")]
    assert len(set(versions)) == 3 and versions == sorted(versions)
    assert blob.get_blob_properties().version_id == versions[2]
    assert [blob.download_blob(version_id=version).readall() for version in versions] == [b"one", b"two", b"three"]
    old = blob.get_blob_properties(version_id=versions[0])
    assert not old.is_current_version and blob.get_blob_properties(version_id=versions[2]).is_current_version
    for size in (1, 2, 10):
        listed = list(container.list_blobs(include=["versions"], results_per_page=size))
        assert [(item.version_id, bool(item.is_current_version)) for item in listed] == [
            (version, version == versions[2]) for version in versions]
    unchanged = {"etag": old.etag, "match_condition": MatchConditions.IfNotModified}
    assert blob.download_blob(version_id=versions[0], **unchanged).readall() == b"one"
    with refused(412, "ConditionNotMet", ResourceModifiedError):
        blob.download_blob(version_id=versions[1], **unchanged)
    blob.delete_blob()
    assert list(container.list_blobs()) == [] and blob.download_blob(version_id=versions[2]).readall() == b"three"
    blob.delete_blob(version_id=versions[2])
    for missing in (versions[2], "2020-01-01T00:00:00.0000000Z"):
        with refused(404, "BlobNotFound", ResourceNotFoundError):
            blob.download_blob(version_id=missing)


def test_an_account_without_versions_gives_none(tmp_path):
    double = AzureBlobDouble(tmp_path, "--versions", "off")
    try:
        blob = double.start().client().create_container("plain").get_blob_client("x")
        assert blob.upload_blob(b"one").get("version_id") is None
        blob.upload_blob(b"two", overwrite=True)
        assert blob.get_blob_properties().version_id is None and blob.download_blob().readall() == b"two"
        assert len(list((tmp_path / "data").iterdir())) == 1, "overwritten bytes are kept"
    finally:
        double.stop()


def test_an_archived_blob_can_be_looked_at_but_not_read_until_it_is_back(container, tmp_path):
    blob = container.upload_blob("x", b"cold")
    etag = blob.get_blob_properties().etag
    assert blob.get_blob_properties().blob_tier_inferred
    blob.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    told = blob.get_blob_properties()
    assert told.blob_tier == "Archive" and told.etag == etag and next(container.list_blobs()).blob_tier == "Archive"
    with refused(409, "BlobArchived", ResourceExistsError):
        blob.download_blob()
    blob.set_standard_blob_tier(StandardBlobTier.HOT)
    assert blob.get_blob_properties().archive_status == "rehydrate-pending-to-hot"
    with refused(409, "BlobBeingRehydrated", ResourceExistsError):
        blob.download_blob()
    quick = AzureBlobDouble(tmp_path, "--rehydrate-seconds", "0")
    try:
        plain = quick.start().client().create_container("plain")
        blob = plain.upload_blob("x", b"cold", standard_blob_tier=StandardBlobTier.ARCHIVE)
        blob.set_standard_blob_tier(StandardBlobTier.COOL)
        assert blob.download_blob().readall() == b"cold" and blob.get_blob_properties().blob_tier == "Cool"
    finally:
        quick.stop()


# ---- Who may


def test_a_wrong_key_or_account_or_none_is_refused(double, container):
    container.upload_blob("x", b"x")
    for client in (double.client(WRONG_KEY), double.client({"account_name": "other", "account_key": KEY})):
        blob = client.get_blob_client(container.container_name, "x")
        for call in (blob.download_blob, blob.get_blob_properties, lambda: list(client.list_containers())):
            with refused(403, "AuthenticationFailed", ClientAuthenticationError):
                call()
    with refused(401, "NoAuthenticationInformation", ClientAuthenticationError):
        double.client(None).get_blob_client(container.container_name, "x").download_blob()


def test_a_request_signed_a_quarter_hour_ago_is_refused(service, monkeypatch):
    from azure.storage.blob._shared import policies

    monkeypatch.setattr(policies, "time", lambda: soon(-16).timestamp())
    with refused(403, "AuthenticationFailed", ClientAuthenticationError):
        list(service.list_containers())


def test_an_account_sas_opens_what_it_names_and_no_more(double, container):
    container.upload_blob("x", b"bytes")

    def with_sas(types="sco", permission="rl", expiry=None, start=None, **others):
        token = generate_account_sas(
            ACCOUNT, KEY, ResourceTypes.from_string(types), AccountSasPermissions.from_string(permission),
            expiry or soon(), start, **others)
        client = double.client(token)
        return client, client.get_container_client(container.container_name), client.get_blob_client(
            container.container_name, "x")

    client, folder, blob = with_sas()
    assert blob.download_blob().readall() == b"bytes" and [item.name for item in folder.list_blobs()] == ["x"]
    assert container.container_name in [found.name for found in client.list_containers()]
    with refused(403, "AuthorizationPermissionMismatch"):
        folder.upload_blob("y", b"y")
    with refused(403, "AuthorizationPermissionMismatch"):
        blob.delete_blob()
    with refused(403, "AuthorizationResourceTypeMismatch"):
        list(with_sas(types="o")[1].list_blobs())
    with refused(403, "AuthorizationPermissionMismatch"):
        with_sas(permission="l")[2].download_blob()
    with refused(403, "AuthenticationFailed", ClientAuthenticationError):
        with_sas(expiry=soon(-1))[2].download_blob()
    with refused(403, "AuthenticationFailed", ClientAuthenticationError):
        with_sas(start=soon(5))[2].download_blob()
    with refused(403, "AuthorizationProtocolMismatch"):
        with_sas(protocol="https")[2].download_blob()
    with refused(403, "AuthorizationSourceIPMismatch"):
        with_sas(ip="10.0.0.1-10.0.0.9")[2].download_blob()
    assert with_sas(ip="127.0.0.1", start=soon(-5))[2].download_blob().readall() == b"bytes"
    with_sas(permission="c")[1].upload_blob("y", b"y")
    with refused(403, "AuthorizationPermissionMismatch"):
        with_sas(permission="c")[1].upload_blob("y", b"z", overwrite=True)
    with_sas(permission="w")[1].upload_blob("y", b"z", overwrite=True)
    with_sas(permission="d")[1].delete_blob("y")


@pytest.mark.parametrize("name", ["x"] + ODD_NAMES)
def test_a_blob_sas_opens_its_blob_alone(double, container, name):
    container.upload_blob(name, b"bytes")
    container.upload_blob("other", b"other")

    def with_sas(blob=name, permission="r", expiry=None, key=KEY, **others):
        token = generate_blob_sas(ACCOUNT, container.container_name, blob, account_key=key,
                                  permission=BlobSasPermissions.from_string(permission), expiry=expiry or soon(), **others)
        return double.client(token).get_blob_client(container.container_name, name)

    assert with_sas().download_blob().readall() == b"bytes" and with_sas().get_blob_properties().size == 5
    for wrong in ({"blob": "other"}, {"expiry": soon(-1)}, {"key": WRONG_KEY}, {"start": soon(5)}):
        with refused(403, "AuthenticationFailed", ClientAuthenticationError):
            with_sas(**wrong).download_blob()
    with refused(403, "AuthorizationPermissionMismatch"):
        with_sas(permission="w").download_blob()
    with refused(403, "AuthorizationPermissionMismatch"):
        with_sas().delete_blob()
    told = with_sas(content_type="text/x-told", content_disposition="attachment").get_blob_properties().content_settings
    assert (told.content_type, told.content_disposition) == ("text/x-told", "attachment")


def test_a_container_sas_opens_its_blobs_and_list(double, container):
    container.upload_blob("x", b"bytes")
    token = generate_container_sas(ACCOUNT, container.container_name, KEY, expiry=soon(),
                                   permission=ContainerSasPermissions.from_string("rl"))
    client = double.client(token)
    folder = client.get_container_client(container.container_name)
    assert [blob.name for blob in folder.list_blobs()] == ["x"] and folder.download_blob("x").readall() == b"bytes"
    with refused(403, "AuthenticationFailed", ClientAuthenticationError):
        list(client.list_containers())
    with refused(403, "AuthorizationFailure"):
        folder.get_container_properties()
    with refused(403, "AuthenticationFailed", ClientAuthenticationError):
        client.get_blob_client("elsewhere", "x").download_blob()


def test_a_version_sas_opens_its_version_alone(double, container):
    blob = container.get_blob_client("x")
    versions = [blob.upload_blob(data, overwrite=True)["version_id"] for data in (b"one", b"two")]

    def with_sas(version):
        token = generate_blob_sas(ACCOUNT, container.container_name, "x", account_key=KEY, version_id=version,
                                  permission=BlobSasPermissions(read=True), expiry=soon())
        return double.client(token).get_blob_client(container.container_name, "x")

    assert with_sas(versions[0]).download_blob(version_id=versions[0]).readall() == b"one"
    for signed, asked in ((versions[0], versions[1]), (versions[0], None)):
        with refused(403, "AuthenticationFailed", ClientAuthenticationError):
            with_sas(signed).download_blob(version_id=asked)
    with refused(403, "AuthorizationFailure"):
        with_sas(None).download_blob(version_id=versions[0])


def test_a_client_that_goes_away_in_the_middle_harms_nobody_else(double, container):
    class Broken:
        def __iter__(self):
            yield b"x" * 1000
            raise OSError("gone")

    with pytest.raises((AzureError, OSError)):
        container.get_blob_client("cut").upload_blob(Broken(), length=1 << 20)
    assert list(container.list_blobs()) == []
    assert container.upload_blob("x", os.urandom(10)).get_blob_properties().size == 10
