"""One call of the double, with what all of them need: the request's parts, its conditions, the stamps of an answer."""
import base64
import dataclasses
import email.utils

from azure_blob_auth import Leave, Request
from azure_blob_errors import StorageError
from azure_blob_store import Store, Version, etag, http_time


@dataclasses.dataclass
class Call:
    handler: object
    server: object
    request: Request
    leave: Leave

    @property
    def store(self) -> Store:
        return self.server.store

    @property
    def container(self) -> str:
        return self.request.container

    @property
    def blob(self) -> str:
        return self.request.blob

    def header(self, name: str) -> str:
        return self.request.headers.get(name, "")

    def metadata(self) -> dict[str, str]:
        return {name[10:]: value for name, value in self.request.headers.items() if name.startswith("x-ms-meta-")}


def check_conditions(call: Call, version: Version | None, purpose: str) -> None:
    """RFC 9110 section 13, as "Specifying conditional headers for Blob service operations" has it."""
    tag = f'"{version.etag}"' if version else ""
    match, none_match = call.header("if-match"), call.header("if-none-match")
    failed = bool(match) and (version is None or match not in ("*", tag, tag.strip('"')))
    unmodified, modified = call.header("if-unmodified-since"), call.header("if-modified-since")
    seconds = version.ticks // 10_000_000 if version else 0
    if version and unmodified and seconds > _seconds(unmodified):
        failed = True
    if failed:
        raise StorageError("ConditionNotMet")
    unchanged = bool(version) and (
        bool(none_match) and none_match in ("*", tag, tag.strip('"'))
        or bool(modified) and not none_match and seconds <= _seconds(modified))
    if unchanged:
        if purpose == "create" and none_match == "*":
            raise StorageError("BlobAlreadyExists")
        raise StorageError("ConditionNotMet", status=304 if purpose == "read" else 412)


def stamps(ticks: int) -> dict[str, str]:
    return {"ETag": f'"{etag(ticks)}"', "Last-Modified": http_time(ticks)}


def _seconds(date: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError as error:
        raise StorageError("InvalidHeaderValue") from error


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
