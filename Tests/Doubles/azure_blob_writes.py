"""The double's calls that change something, each under its name in the REST API's reference."""
import base64
import binascii
import hashlib
import hmac
import time
import xml.etree.ElementTree as ElementTree

from azure_blob_auth import decode_md5
from azure_blob_call import Call, check_conditions, stamps, to_base64
from azure_blob_crc64 import crc64
from azure_blob_errors import StorageError
from azure_blob_store import MAX_BLOCKS, Version

MAX_BLOCK_BYTES = 4000 << 20
MAX_PUT_BYTES = 5000 << 20
MAX_LIST_BYTES = 8 << 20
PIECE_BYTES = 1 << 20
TIERS = ("Hot", "Cool", "Cold", "Archive")
BLOB_HEADERS = ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type")


def create_container(call: Call) -> None:
    container = call.store.create_container(call.container, call.metadata())
    call.handler.answer(201, stamps(container.ticks), b"")


def delete_container(call: Call) -> None:
    call.store.delete_container(call.container)
    call.handler.answer(202, {}, b"")


def put_blob(call: Call) -> None:
    if call.header("x-ms-blob-type") != "BlockBlob":
        raise StorageError("InvalidHeaderValue" if call.header("x-ms-blob-type") else "MissingRequiredHeader")
    call.store.container(call.container)
    tier, check = _tier(call), _write_check(call)
    path, size, digest, checksum = _receive(call, MAX_PUT_BYTES)
    try:
        stated = call.header("x-ms-blob-content-md5")
        if stated and decode_md5(stated) != digest:
            raise StorageError("Md5Mismatch")
        headers = _blob_headers(call) | {"Content-MD5": to_base64(digest)}
        version = call.store.put(call.container, call.blob, path, size, headers, call.metadata(), tier, check)
    except StorageError:
        path.unlink()
        raise
    call.handler.answer(201, _written(call, version) | {"Content-MD5": to_base64(digest)} | checksum, b"")


def put_block(call: Call) -> None:
    block_id = call.request.value("blockid")
    try:
        valid = 0 < len(base64.b64decode(block_id, validate=True)) <= 64
    except binascii.Error:
        valid = False
    if not valid:
        raise StorageError("InvalidQueryParameterValue")
    call.store.container(call.container)
    path, size, digest, checksum = _receive(call, MAX_BLOCK_BYTES)
    try:
        call.store.put_block(call.container, call.blob, block_id, path, size)
    except StorageError:
        path.unlink()
        raise
    call.handler.answer(201, {"Content-MD5": to_base64(digest)} | checksum, b"")


def put_block_list(call: Call) -> None:
    tier, check = _tier(call), _write_check(call)
    if call.handler.unread > MAX_LIST_BYTES:
        raise StorageError("RequestBodyTooLarge")
    body = call.handler.read_body(MAX_LIST_BYTES)
    try:
        entries = [(entry.tag, entry.text or "") for entry in ElementTree.fromstring(body)]
    except ElementTree.ParseError as error:
        raise StorageError("InvalidXmlDocument") from error
    if any(tag not in ("Latest", "Committed", "Uncommitted") for tag, _ in entries) or len(entries) > MAX_BLOCKS:
        raise StorageError("InvalidXmlDocument")
    with call.store.lock:
        path, size, blocks = call.store.assemble(call.container, call.blob, entries)
        headers = _blob_headers(call)
        # As it was told: the service doesn't check it against the blocks.
        if call.header("x-ms-blob-content-md5"):
            headers["Content-MD5"] = to_base64(decode_md5(call.header("x-ms-blob-content-md5")))
        try:
            version = call.store.put(call.container, call.blob, path, size, headers, call.metadata(), tier, check, blocks)
        except StorageError:
            path.unlink()
            raise
    call.handler.answer(201, _written(call, version), b"")


def set_blob_tier(call: Call) -> None:
    tier = _tier(call)
    if not tier:
        raise StorageError("MissingRequiredHeader")
    with call.store.lock:
        version = call.store.find(call.container, call.blob, call.request.value("versionid"))
        if version.rehydrate_to:
            raise StorageError("BlobBeingRehydrated")
        version.tier_inferred = False
        takes_time = version.tier == "Archive" and tier != "Archive"
        if takes_time:
            version.rehydrate_to, version.rehydrated_at = tier, time.monotonic() + call.server.rehydrate_seconds
        else:
            version.tier = tier
    call.handler.answer(202 if takes_time else 200, {}, b"")


def delete_blob(call: Call) -> None:
    call.store.delete(call.container, call.blob, call.request.value("versionid"),
                      lambda current: check_conditions(call, current, "write"))
    call.handler.answer(202, {"x-ms-delete-type-permanent": "false" if call.store.keeps_versions else "true"}, b"")


# What they share

def _write_check(call: Call):
    def check(current: Version | None) -> None:
        if current and not call.leave.may_overwrite:
            raise StorageError("AuthorizationPermissionMismatch")
        check_conditions(call, current, "create")
        if current:
            current.settle()
            if current.tier == "Archive" and not call.store.keeps_versions:
                raise StorageError("BlobArchived")
    return check


def _receive(call: Call, limit: int):
    """The body as a new file: its path, size, MD5, and the CRC-64 header if one was sent."""
    if "content-length" not in call.request.headers:
        raise StorageError("MissingContentLengthHeader")
    if call.handler.unread > limit:
        raise StorageError("RequestBodyTooLarge")
    if call.header("x-ms-structured-body"):
        raise StorageError("UnsupportedHeader")
    path, digest, size, content = call.store.new_path(), hashlib.md5(), 0, bytearray()
    wanted_crc = call.header("x-ms-content-crc64")
    try:
        with open(path, "wb") as file:
            while piece := call.handler.read_body(PIECE_BYTES):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
                if wanted_crc:
                    content += piece
        stated = call.header("content-md5")
        if stated and not hmac.compare_digest(decode_md5(stated), digest.digest()):
            raise StorageError("Md5Mismatch")
        if wanted_crc and to_base64(crc64(bytes(content))) != wanted_crc:
            raise StorageError("Crc64Mismatch")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path, size, digest.digest(), {"x-ms-content-crc64": wanted_crc} if wanted_crc else {}


def _blob_headers(call: Call) -> dict[str, str]:
    """Put Blob takes the plain header where there is no x-ms-blob- one; a list of blocks has headers of its own."""
    is_list = call.request.value("comp") == "blocklist"
    kept = {}
    for name in BLOB_HEADERS:
        value = call.header(f"x-ms-blob-{name.lower()}") or ("" if is_list else call.header(name.lower()))
        if value:
            kept[name] = value
    kept.setdefault("Content-Type", "application/octet-stream")
    return kept


def _tier(call: Call) -> str:
    tier = call.header("x-ms-access-tier")
    if tier and tier not in TIERS:
        raise StorageError("InvalidHeaderValue")
    return tier


def _written(call: Call, version: Version) -> dict[str, str]:
    which = {"x-ms-version-id": version.id} if call.store.keeps_versions else {}
    return stamps(version.ticks) | which | {"x-ms-request-server-encrypted": "true"}
