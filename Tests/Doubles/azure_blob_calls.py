"""Which call a request is, and what it takes to be let in."""
import azure_blob_reads as reads
import azure_blob_writes as writes
from azure_blob_auth import Need, Request
from azure_blob_errors import StorageError


def choose(request: Request):
    """The call's function and its Need."""
    method, comp, restype = request.method, request.value("comp"), request.value("restype")
    level = "blob" if request.blob else "container" if request.container else "service"
    if level == "container" and restype != "container":
        raise StorageError("InvalidQueryParameterValue" if restype else "InvalidUri")
    found = {
        ("service", "GET", "list"): (reads.list_containers, Need("s", "l", True)),
        ("container", "PUT", ""): (writes.create_container, Need("c", "cw", True)),
        ("container", "DELETE", ""): (writes.delete_container, Need("c", "d", True)),
        ("container", "GET", ""): (reads.get_container_properties, Need("c", "r", True)),
        ("container", "HEAD", ""): (reads.get_container_properties, Need("c", "r", True)),
        ("container", "GET", "list"): (reads.list_blobs, Need("c", "l")),
        ("blob", "PUT", ""): (writes.put_blob, Need("o", "cw")),
        ("blob", "PUT", "block"): (writes.put_block, Need("o", "cw")),
        ("blob", "PUT", "blocklist"): (writes.put_block_list, Need("o", "cw")),
        ("blob", "PUT", "tier"): (writes.set_blob_tier, Need("o", "w")),
        ("blob", "GET", ""): (reads.get_blob, Need("o", "r")),
        ("blob", "HEAD", ""): (reads.get_blob, Need("o", "r")),
        ("blob", "DELETE", ""): (writes.delete_blob, Need("o", "x" if request.value("versionid") else "d")),
    }.get((level, method, comp))
    if found is None:
        raise StorageError("InvalidQueryParameterValue" if comp else "UnsupportedHttpVerb")
    return found
