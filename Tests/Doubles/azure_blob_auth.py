"""Who may do what: Shared Key, account SAS and service SAS, checked as Azure Storage does.

Sources: "Authorize with Shared Key", "Create an account SAS" and "Create a service SAS" (Azure Storage REST API). User
delegation SAS and stored access policies are not known here and are refused.
"""
import base64
import binascii
import dataclasses
import datetime
import email.utils
import hashlib
import hmac
import ipaddress
import re
import urllib.parse

from azure_blob_errors import StorageError

MAX_SKEW_SECONDS = 15 * 60
SIGNED_HEADERS = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
                  "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")
UTC = datetime.timezone.utc


@dataclasses.dataclass
class Request:
    """What signatures cover: the path as sent, headers with lower-case names, the query decoded."""
    method: str
    raw_path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    container: str
    blob: str
    client_ip: str

    def value(self, name: str) -> str:
        return self.query.get(name, [""])[0]


@dataclasses.dataclass(frozen=True)
class Need:
    """What an operation asks for: "s", "c" or "o", and permissions of which any one is enough."""
    level: str
    permissions: str
    # Container operations that no service SAS can be given.
    needs_account: bool = False


@dataclasses.dataclass(frozen=True)
class Leave:
    """What whoever was let in may do beyond the one operation."""
    may_overwrite: bool = True
    # Response headers that a SAS overrides.
    overrides: dict[str, str] = dataclasses.field(default_factory=dict)


def parse_query(text: str) -> dict[str, list[str]]:
    """Lower-case names; "+" is a plus, as in the service's own signature check."""
    query: dict[str, list[str]] = {}
    for part in filter(None, text.split("&")):
        name, _, value = part.partition("=")
        query.setdefault(urllib.parse.unquote(name).lower(), []).append(urllib.parse.unquote(value))
    return query


class Gate:
    def __init__(self, account: str, key: str, now=lambda: datetime.datetime.now(UTC)):
        self.account = account
        self.key = base64.b64decode(key, validate=True)
        self.now = now

    def sign(self, text: str) -> str:
        return base64.b64encode(hmac.new(self.key, text.encode(), hashlib.sha256).digest()).decode()

    def admit(self, request: Request, need: Need) -> Leave:
        """Raises StorageError for whoever may not."""
        if "authorization" in request.headers:
            self._shared_key(request)
            return Leave()
        if "sig" not in request.query:
            raise StorageError("NoAuthenticationInformation")
        overrides = {}
        if "ss" in request.query or "srt" in request.query:
            self._account_sas(request, need)
        else:
            overrides = self._service_sas(request, need)
        return Leave("w" in request.value("sp"), overrides)

    # Shared Key

    def _shared_key(self, request: Request) -> None:
        scheme, _, credentials = request.headers["authorization"].partition(" ")
        account, _, signature = credentials.partition(":")
        if scheme != "SharedKey" or account != self.account:
            raise StorageError("AuthenticationFailed", f"No account or scheme is known as in '{scheme} {account}'.")
        date = request.headers.get("x-ms-date") or request.headers.get("date")
        sent = email.utils.parsedate_to_datetime(date) if date else None
        if sent is None:
            raise StorageError("AuthenticationFailed", "Neither x-ms-date nor Date was sent.")
        if abs((self.now() - sent).total_seconds()) > MAX_SKEW_SECONDS:
            raise StorageError("AuthenticationFailed", f"Request date header too old: '{date}'")
        text = self.shared_key_text(request)
        if not hmac.compare_digest(self.sign(text), signature):
            raise StorageError(
                "AuthenticationFailed",
                f"The MAC signature found in the HTTP request '{signature}' is not the same as any computed signature."
                f" Server used following string to sign: '{text}'.")

    def shared_key_text(self, request: Request) -> str:
        headers = dict(request.headers)
        if headers.get("content-length") == "0":
            headers["content-length"] = ""
        if "x-ms-date" in headers:
            headers["date"] = ""
        lines = [request.method, *(headers.get(name, "") for name in SIGNED_HEADERS)]
        own = sorted((name for name in headers if name.startswith("x-ms-")), key=_header_order)
        lines += [f"{name}:{headers[name].strip()}" for name in own]
        lines.append(f"/{self.account}{request.raw_path}")
        lines += [f"{name}:{','.join(sorted(values))}" for name, values in sorted(request.query.items())]
        return "\n".join(lines)

    # Shared access signatures

    def _account_sas(self, request: Request, need: Need) -> None:
        value = request.value
        fields = [self.account, *map(value, ("sp", "ss", "srt", "st", "se", "sip", "spr", "sv"))]
        if value("sv") >= "2020-12-06":
            fields.append(value("ses"))
        self._check_signature(request, "\n".join(fields) + "\n")
        self._check_bounds(request)
        if "b" not in value("ss"):
            raise StorageError("AuthorizationServiceMismatch")
        if need.level not in value("srt"):
            raise StorageError("AuthorizationResourceTypeMismatch")
        _check_permission(value("sp"), need)

    def _service_sas(self, request: Request, need: Need) -> dict[str, str]:
        value = request.value
        if value("skoid") or value("si"):
            raise StorageError("AuthenticationFailed", "User delegation and stored policies are not known here.")
        kind, version = value("sr"), value("versionid")
        if kind not in ("c", "b", "bv") or value("sv") < "2018-11-09":
            raise StorageError("AuthenticationFailed", f"sr is mandatory. Cannot be '{kind}' for sv '{value('sv')}'.")
        name = request.container if kind == "c" else f"{request.container}/{request.blob}"
        fields = [*map(value, ("sp", "st", "se")), f"/blob/{self.account}/{name}",
                  *map(value, ("si", "sip", "spr", "sv", "sr")), version if kind == "bv" else ""]
        if value("sv") >= "2020-12-06":
            fields.append(value("ses"))
        fields += map(value, ("rscc", "rscd", "rsce", "rscl", "rsct"))
        self._check_signature(request, "\n".join(fields))
        self._check_bounds(request)
        if need.needs_account or (need.level == "s") or (kind == "b" and version):
            raise StorageError("AuthorizationFailure")
        if need.level == "c" and kind != "c":
            raise StorageError("AuthorizationResourceTypeMismatch")
        _check_permission(value("sp"), need)
        overrides = {"rscc": "Cache-Control", "rscd": "Content-Disposition", "rsce": "Content-Encoding",
                     "rscl": "Content-Language", "rsct": "Content-Type"}
        return {header: value(field) for field, header in overrides.items() if value(field)}

    def _check_signature(self, request: Request, text: str) -> None:
        if not hmac.compare_digest(self.sign(text).encode(), request.value("sig").encode()):
            raise StorageError("AuthenticationFailed", f"Signature did not match. String to sign used was {text}")

    def _check_bounds(self, request: Request) -> None:
        now, start, end = self.now(), _time(request.value("st")), _time(request.value("se"))
        if end is None or (request.value("st") and start is None):
            raise StorageError("AuthenticationFailed", "Signed start or expiry is no time.")
        if now >= end or (start and now < start):
            raise StorageError(
                "AuthenticationFailed",
                f"Signature not valid in the specified time frame: Start [{_http(start)}] - Expiry [{_http(end)}] -"
                f" Current [{_http(now)}]")
        if request.value("spr") == "https":
            raise StorageError("AuthorizationProtocolMismatch")
        addresses = request.value("sip")
        if addresses:
            first, _, last = addresses.partition("-")
            client = ipaddress.ip_address(request.client_ip)
            if not ipaddress.ip_address(first) <= client <= ipaddress.ip_address(last or first):
                raise StorageError("AuthorizationSourceIPMismatch")


def _check_permission(given: str, need: Need) -> None:
    if not set(given) & set(need.permissions):
        raise StorageError("AuthorizationPermissionMismatch")


def _header_order(name: str) -> tuple:
    """The service's own order: hyphens count only between names that are else the same; an underscore is before digits."""
    return [0 if letter == "_" else ord(letter) for letter in name if letter != "-"], name.replace("-", "~")


def _time(text: str) -> datetime.datetime | None:
    text = re.sub(r"\.(\d{1,7})Z$", "Z", text)
    for pattern in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"):
        try:
            return datetime.datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _http(time: datetime.datetime | None) -> str:
    return email.utils.format_datetime(time, usegmt=True) if time else ""


def decode_md5(text: str) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 16:
        raise StorageError("InvalidMd5")
    return digest
