"""List Containers and List Blobs: pages as XML, in the order of the names' bytes.

Names with characters that XML can't hold are percent-encoded and say so (Encoded="true"), as from version 2021-02-12.
"""
import base64
import re
import urllib.parse
from xml.sax.saxutils import escape

from azure_blob_errors import StorageError
from azure_blob_store import Store, Version, http_time

MAX_RESULTS = 5000
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
INCLUDES = {"", "copy", "deleted", "deletedwithversions", "immutabilitypolicy", "legalhold", "metadata", "permissions",
            "snapshots", "tags", "uncommittedblobs", "versions", "system"}


def name_element(name: str) -> str:
    if NOT_IN_XML.search(name):
        return f'<Name Encoded="true">{urllib.parse.quote(name, safe="/")}</Name>'
    return f"<Name>{text(name)}</Name>"


def text(value: str) -> str:
    """A line break as itself would come back changed."""
    return escape(value, {"\r": "&#xD;"})


def page_size(given: str) -> int:
    if not given:
        return MAX_RESULTS
    if not given.lstrip("-").isdigit():
        raise StorageError("InvalidQueryParameterValue")
    if int(given) < 1:
        raise StorageError("OutOfRangeInput")
    return min(int(given), MAX_RESULTS)


def marker_of(after: tuple[str, str]) -> str:
    """Opaque: the name and version that the next page begins at."""
    return "2!" + base64.urlsafe_b64encode("\0".join(after).encode()).decode().rstrip("=")


def read_marker(marker: str) -> tuple[str, str]:
    if not marker:
        return "", ""
    try:
        assert marker.startswith("2!")
        name, _, version = base64.urlsafe_b64decode(marker[2:] + "==").decode().rpartition("\0")
    except (AssertionError, ValueError) as error:
        raise StorageError("InvalidQueryParameterValue") from error
    return name, version


def order(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def includes(given: str) -> set[str]:
    wanted = {part.strip() for part in given.split(",")}
    if wanted - INCLUDES:
        raise StorageError("InvalidQueryParameterValue")
    return wanted


def document(endpoint: str, attributes: str, given: dict[str, str], inner: str, marker: str) -> bytes:
    echoed = "".join(f"<{name}>{text(value)}</{name}>" for name, value in given.items() if value)
    return (f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="{endpoint}"{attributes}>{echoed}'
            f"{inner}<NextMarker>{marker}</NextMarker></EnumerationResults>").encode()


def metadata_element(metadata: dict[str, str]) -> str:
    return "<Metadata>" + "".join(f"<{name}>{text(value)}</{name}>" for name, value in metadata.items()) + "</Metadata>"


def containers(store: Store, endpoint: str, value) -> bytes:
    limit, start, wanted = page_size(value("maxresults")), read_marker(value("marker"))[0], includes(value("include"))
    with store.lock:
        names = sorted((name for name in store.containers if name.startswith(value("prefix")) and name >= start), key=order)
        inner, marker = "", ""
        for index, name in enumerate(names):
            if index == limit:
                marker = marker_of((name, ""))
                break
            container = store.containers[name]
            inner += (f"<Container><Name>{name}</Name><Properties><Last-Modified>{http_time(container.ticks)}"
                      f'</Last-Modified><Etag>"0x{container.ticks:X}"</Etag><LeaseStatus>unlocked</LeaseStatus><LeaseState>'
                      f"available</LeaseState><HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false"
                      f"</HasLegalHold></Properties>")
            inner += (metadata_element(container.metadata) if "metadata" in wanted else "") + "</Container>"
    given = {"Prefix": value("prefix"), "Marker": value("marker"), "MaxResults": value("maxresults")}
    return document(endpoint, "", given, f"<Containers>{inner}</Containers>", marker)


def blobs(store: Store, endpoint: str, container_name: str, value) -> bytes:
    limit, start, wanted = page_size(value("maxresults")), read_marker(value("marker")), includes(value("include"))
    prefix, delimiter = value("prefix"), value("delimiter")
    with store.lock:
        inner, marker, count, folded = "", "", 0, ""
        all_blobs = store.container(container_name).blobs
        for name in sorted((name for name in all_blobs if name.startswith(prefix)), key=order):
            if order(name) < order(start[0]) or (folded and name.startswith(folded)):
                continue
            blob = all_blobs[name]
            versions = blob.all() if "versions" in wanted else filter(None, [blob.current])
            for version in versions:
                if name == start[0] and version.id < start[1]:
                    continue
                if count == limit:
                    marker = marker_of((name, version.id))
                    break
                count += 1
                cut = name.find(delimiter, len(prefix)) if delimiter else -1
                if cut >= 0:
                    folded = name[:cut + len(delimiter)]
                    inner += f"<BlobPrefix>{name_element(folded)}</BlobPrefix>"
                    break
                inner += blob_element(store, name, version, version is blob.current, wanted)
            if marker:
                break
    given = {"Prefix": prefix, "Marker": value("marker"), "MaxResults": value("maxresults"), "Delimiter": delimiter}
    if any(NOT_IN_XML.search(part) for part in given.values()):
        given = {name: urllib.parse.quote(part) for name, part in given.items()}
    return document(endpoint, f' ContainerName="{container_name}"', given, f"<Blobs>{inner}</Blobs>", marker)


def blob_element(store: Store, name: str, version: Version, is_current: bool, wanted: set[str]) -> str:
    version.settle()
    properties = {
        "Creation-Time": http_time(version.created), "Last-Modified": http_time(version.ticks), "Etag": version.etag,
        "Content-Length": str(version.size),
        **{field: version.headers.get(field, "") for field in (
            "Content-Type", "Content-Encoding", "Content-Language", "Content-MD5", "Cache-Control", "Content-Disposition")},
        "BlobType": "BlockBlob", "AccessTier": version.tier,
    }
    if version.tier_inferred:
        properties["AccessTierInferred"] = "true"
    if version.rehydrate_to:
        properties["ArchiveStatus"] = f"rehydrate-pending-to-{version.rehydrate_to.lower()}"
    properties |= {"LeaseStatus": "unlocked", "LeaseState": "available", "ServerEncrypted": "true"}
    inner = "".join(f"<{field}>{text(content)}</{field}>" for field, content in properties.items())
    which = f"<VersionId>{version.id}</VersionId>" if store.keeps_versions and "versions" in wanted else ""
    if which and is_current:
        which += "<IsCurrentVersion>true</IsCurrentVersion>"
    kept = metadata_element(version.metadata) if "metadata" in wanted else ""
    return f"<Blob>{name_element(name)}{which}<Properties>{inner}</Properties>{kept}</Blob>"
