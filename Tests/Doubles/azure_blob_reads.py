"""The double's calls that change nothing, each under its name in the REST API's reference."""
import hashlib
import re

import azure_blob_lists as lists
from azure_blob_call import Call, check_conditions, stamps, to_base64
from azure_blob_crc64 import crc64
from azure_blob_errors import StorageError
from azure_blob_store import Version, http_time

MAX_HASHED_RANGE_BYTES = 4 << 20


def list_containers(call: Call) -> None:
    body = lists.containers(call.store, call.server.endpoint, call.request.value)
    call.handler.answer(200, {"Content-Type": "application/xml"}, body)


def get_container_properties(call: Call) -> None:
    container = call.store.container(call.container)
    headers = stamps(container.ticks) | {f"x-ms-meta-{name}": value for name, value in container.metadata.items()}
    headers |= {"x-ms-lease-status": "unlocked", "x-ms-lease-state": "available"}
    call.handler.answer(200, headers, b"")


def list_blobs(call: Call) -> None:
    body = lists.blobs(call.store, call.server.endpoint, call.container, call.request.value)
    call.handler.answer(200, {"Content-Type": "application/xml"}, body)


def get_blob(call: Call) -> None:
    """Get Blob, and for HEAD Get Blob Properties."""
    is_head = call.request.method == "HEAD"
    while True:
        version = call.store.find(call.container, call.blob, call.request.value("versionid"))
        try:
            file = open(version.path, "rb")
            break
        except FileNotFoundError:
            continue  # it was overwritten in between
    with file:
        check_conditions(call, version, "read")
        if version.tier == "Archive" and not is_head:
            raise StorageError("BlobBeingRehydrated" if version.rehydrate_to else "BlobArchived")
        headers = _properties(call, version)
        part = None if is_head else _range(call, version.size)
        start, end = part or (0, version.size)
        hashed = [name for name in ("x-ms-range-get-content-md5", "x-ms-range-get-content-crc64")
                  if call.header(name).lower() == "true"]
        if hashed and (part is None or end - start > MAX_HASHED_RANGE_BYTES or len(hashed) > 1) and not is_head:
            raise StorageError("InvalidHeaderValue")
        if part:
            whole = headers.pop("Content-MD5", None)
            headers |= {"Content-Range": f"bytes {start}-{end - 1}/{version.size}"}
            headers |= {"x-ms-blob-content-md5": whole} if whole else {}
            if hashed:
                file.seek(start)
                content = file.read(end - start)
                headers |= ({"Content-MD5": to_base64(hashlib.md5(content).digest())} if hashed[0].endswith("md5")
                            else {"x-ms-content-crc64": to_base64(crc64(content))})
        headers |= {"Content-Length": str(end - start), "Accept-Ranges": "bytes"} | call.leave.overrides
        call.handler.answer(206 if part else 200, headers)
        call.handler.send_file(file, start, end - start)


def _range(call: Call, size: int) -> tuple[int, int] | None:
    """Half open; None for the whole blob. A range that is not of the service's two forms counts as none."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", call.header("x-ms-range") or call.header("range"))
    if not found:
        return None
    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    if end <= start and found[2]:
        return None
    if start >= size:
        raise StorageError("InvalidRange")
    return start, min(end, size)


def _properties(call: Call, version: Version) -> dict[str, str]:
    headers = stamps(version.ticks) | {"x-ms-creation-time": http_time(version.created), "x-ms-blob-type": "BlockBlob",
                                        "x-ms-access-tier": version.tier, "x-ms-lease-status": "unlocked",
                                        "x-ms-lease-state": "available", "x-ms-server-encrypted": "true"}
    if version.tier_inferred:
        headers["x-ms-access-tier-inferred"] = "true"
    if version.rehydrate_to:
        headers["x-ms-archive-status"] = f"rehydrate-pending-to-{version.rehydrate_to.lower()}"
    if call.store.keeps_versions:
        headers["x-ms-version-id"] = version.id
        if call.store.is_current(call.container, call.blob, version):
            headers["x-ms-is-current-version"] = "true"
    return headers | version.headers | {f"x-ms-meta-{name}": value for name, value in version.metadata.items()}
