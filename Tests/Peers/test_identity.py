"""Who may call what: for every method of the contract, a caller without a good token or without the role is refused, and
nothing happens. The matrix is written down here on its own, so that the product's table is held against it."""
import base64
import hashlib
import hmac
import json
import time

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import samples
from contract import METHODS, SERVED_BY, api, request_class

UNAUTHENTICATED, PERMISSION_DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
ROLES = ["requester", "approver", "operator", "auditor", "admin"]
PUBLIC, SIGNED_IN, NOBODY = "public", set(ROLES), set()
STEERING = {"requester", "operator", "admin"}

# Roles that may call a method; NOBODY: only services may.
MAY = {
    "Auth.SignIn": PUBLIC, "Auth.Refresh": PUBLIC, "Auth.GetKeys": PUBLIC, "Auth.IssueServiceToken": PUBLIC,
    "Auth.ListIdentityProviders": PUBLIC, "Auth.BeginSingleSignOn": PUBLIC, "Auth.CompleteSingleSignOn": PUBLIC,
    "Auth.SignOut": SIGNED_IN, "Auth.WhoAmI": SIGNED_IN, "Auth.ChangePassword": SIGNED_IN,
    "Auth.CreateUser": {"admin"}, "Auth.UpdateUser": {"admin"}, "Auth.ListUsers": {"admin"},
    "Ticketing.OpenTickets": NOBODY, "Ticketing.AddWorkNote": NOBODY, "Ticketing.CloseTickets": NOBODY,
    "Ticketing.GetTicket": SIGNED_IN, "Ticketing.GetTicketPair": SIGNED_IN, "Ticketing.ListTickets": SIGNED_IN,
    "StorageBroker.ListProviders": STEERING | {"auditor"}, "StorageBroker.ListConnections": STEERING | {"auditor"},
    "StorageBroker.ListBuckets": STEERING, "StorageBroker.ListObjects": STEERING, "StorageBroker.StatObject": STEERING,
    "StorageBroker.SaveConnection": {"admin"}, "StorageBroker.DeleteConnection": {"admin"},
    "StorageBroker.GrantRead": NOBODY,
    "Transfer.PlanDelivery": STEERING, "Transfer.StartDelivery": STEERING, "Transfer.StartDeliveries": STEERING,
    "Transfer.GetDelivery": SIGNED_IN, "Transfer.ListDeliveries": SIGNED_IN, "Transfer.ListDeliveryFiles": SIGNED_IN,
    "Transfer.ListChunks": SIGNED_IN, "Transfer.WatchDelivery": SIGNED_IN, "Transfer.GetReceipt": SIGNED_IN,
    "Transfer.GetReceiptPart": SIGNED_IN,
    "Transfer.PauseDelivery": STEERING, "Transfer.ResumeDelivery": STEERING,
    "Transfer.CancelDelivery": STEERING, "Transfer.RetryDelivery": STEERING, "Transfer.GetReceiptKey": PUBLIC,
    "Transfer.SaveDestination": {"admin", "operator"}, "Transfer.DeleteDestination": {"admin", "operator"},
    "Transfer.ListDestinations": SIGNED_IN, "Transfer.TestDestination": STEERING,
    "Transfer.ListSchedules": SIGNED_IN, "Transfer.SaveSchedule": STEERING, "Transfer.DeleteSchedule": STEERING,
    "Transfer.RunSchedule": STEERING,
    "Notifications.Notify": NOBODY, "Notifications.ListNotifications": SIGNED_IN, "Notifications.MarkRead": SIGNED_IN,
    "Notifications.WatchNotifications": SIGNED_IN, "Notifications.ListChannels": SIGNED_IN,
    "Assist.DescribeTicket": STEERING, "Assist.AnalyseFiles": STEERING, "Assist.Recommend": STEERING,
    "Assist.ComposeCompletion": STEERING, "Assist.Chat": SIGNED_IN,
    "Gateway.GetJourney": SIGNED_IN, "Gateway.GetDashboard": SIGNED_IN, "Gateway.GetSystemStatus": SIGNED_IN,
}
GUARDED = sorted(name for name, who in MAY.items() if who != PUBLIC)


def test_the_matrix_names_every_method_of_the_contract():
    assert set(MAY) == set(METHODS)


# ---- What must stay as it is


def state(system) -> dict[str, list]:
    """Everything that a refused call could have changed, as an administrator sees it."""
    admin = system.client()
    users = admin.Auth.ListUsers(page_size=200).users
    return {
        "users": [(u.person.id, u.user_name, u.person.name, list(u.roles), u.disabled) for u in users],
        "connections": [c.SerializeToString() for c in admin.StorageBroker.ListConnections().connections],
        "destinations": [d.SerializeToString() for d in admin.Transfer.ListDestinations().destinations],
        "schedules": [s.SerializeToString() for s in admin.Transfer.ListSchedules().schedules],
        "deliveries": [(d.id, d.status) for d in admin.Transfer.ListDeliveries(page_size=200).deliveries],
        "tickets": [(t.number, t.status) for t in admin.Ticketing.ListTickets(page_size=200).tickets],
        "notifications": [n.id for n in admin.Notifications.ListNotifications(page_size=200).notifications],
    }


@pytest.fixture(scope="module")
def own_system(start_system):
    """Of its own, so that nothing else changes what is compared."""
    return start_system("identity")


@pytest.fixture(scope="module")
def people(own_system):
    """A person of each role, and nothing but it."""
    return {role: own_system.make_user(f"only-{role}", role) for role in ROLES}


@pytest.fixture
def nothing_happens(own_system, people):
    before = state(own_system)
    yield
    assert state(own_system) == before


def would_do_harm(name: str):
    """A request that changes something if it gets through; an empty one where that is as good."""
    person = api.Person(id="usr_evil", name="Mallory")
    fields = {
        "Auth.CreateUser": dict(
            user_name="mallory", name="Mallory", password="long enough password", roles=[api.ROLE_ADMIN]),
        "StorageBroker.SaveConnection": dict(
            connection=api.Connection(name="evil", provider="folder", folder=api.FolderSettings(root="/"))),
        "Transfer.SaveDestination": dict(destination=api.Destination(name="evil", url="sftp://x@127.0.0.1:9/")),
        "Transfer.SaveSchedule": dict(schedule=api.Schedule(name="evil", cron="* * * * *", request=api.DeliveryRequest(
            source=api.Source(bucket="b", selections=[api.Selection(value="k")]),
            destination=api.Destination(name="evil")))),
        "Transfer.StartDelivery": dict(request=api.DeliveryRequest(
            source=api.Source(bucket="b", selections=[api.Selection(value="k")]),
            destination=api.Destination(url="sftp://x@127.0.0.1:9/"))),
        "Ticketing.OpenTickets": dict(
            idempotency_key="evil", delivery_id="dlv_evil", title="Evil", requester=person),
        "Notifications.Notify": dict(key="evil", recipient=person, title="Evil", body="Evil"),
    }
    return request_class(METHODS[name])(**fields.get(name, {}))


# ---- Tokens


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign_with_secret(header: dict, claims: dict, secret: bytes) -> str:
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


@pytest.fixture(scope="module")
def forge(own_system, people):
    """What a forger can know: a real token's claims, the public key; and, to make expired ones, the real key too."""
    token = people["requester"].token()
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    key = serialization.load_pem_private_key((own_system.data / "auth/signing.key").read_bytes(), None)
    return header, claims, key, token


def bad_tokens(forge) -> dict[str, str]:
    header, claims, key, token = forge
    kid = header["kid"]
    now = int(time.time())
    public = key.public_key()
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    jwk = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid, "x": b64(raw)}

    def signed(key=key, headers=None, **changes):
        return jwt.encode(claims | {"roles": ROLES, "exp": now + 600, "iat": now, "jti": "forged"} | changes, key,
                          algorithm="EdDSA", headers={"kid": kid} | (headers or {}))

    admin_claims = claims | {"roles": ["admin"], "exp": now + 600}
    hs256 = {"alg": "HS256", "typ": "JWT", "kid": kid}
    head, body, signature = token.split(".")
    flipped = bytearray(base64.urlsafe_b64decode(signature + "=="))
    flipped[0] ^= 1
    without_signature = f"{b64(json.dumps({'alg': 'none', 'typ': 'JWT', 'kid': kid}).encode())}.{b64(json.dumps(admin_claims).encode())}."
    return {
        "expired": signed(exp=now - 1, iat=now - 900),
        "alg none": without_signature,
        "alg none, old signature": without_signature + signature,
        "alg NONE": without_signature.replace(
            without_signature.split(".")[0], b64(json.dumps({"alg": "NONE", "kid": kid}).encode())),
        "HS256, raw key": sign_with_secret(hs256, admin_claims, raw),
        "HS256, base64url key": sign_with_secret(hs256, admin_claims, b64(raw).encode()),
        "HS256, PEM key": sign_with_secret(hs256, admin_claims, public.public_bytes(serialization.Encoding.PEM, spki)),
        "HS256, DER key": sign_with_secret(hs256, admin_claims, public.public_bytes(serialization.Encoding.DER, spki)),
        "HS256, JWK": sign_with_secret(hs256, admin_claims, json.dumps(jwk, separators=(",", ":")).encode()),
        "HS256, no secret": sign_with_secret(hs256, admin_claims, b""),
        "foreign key, our kid": signed(Ed25519PrivateKey.generate()),
        "foreign key, its own kid": signed(Ed25519PrivateKey.generate(), headers={"kid": "another"}),
        "foreign key in the header": signed(
            foreign := Ed25519PrivateKey.generate(), headers={"jwk": jwk | {"x": b64(foreign.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw))}}),
        "another issuer": signed(iss="https://example.com"),
        "another audience": signed(aud="someone-else"),
        "not valid yet": signed(nbf=now + 3600),
        "one bit of the signature": f"{head}.{body}.{b64(bytes(flipped))}",
        "another payload": f"{head}.{b64(json.dumps(admin_claims).encode())}.{signature}",
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "garbage": "garbage",
        "long garbage": "e" * 8000,
    }


def test_a_token_made_like_the_forged_ones_but_good_is_accepted(own_system, forge):
    """Else the refusals below would prove nothing: they must come from the one thing that is wrong with each."""
    _, claims, key, _ = forge
    now = int(time.time())
    token = jwt.encode(claims | {"exp": now + 600, "iat": now, "jti": "made"}, key, algorithm="EdDSA",
                       headers={"kid": forge[0]["kid"]})
    for service in SERVED_BY.values():
        client = own_system.with_token(token, service)
        name = {"auth": "Auth.WhoAmI", "ticketing": "Ticketing.ListTickets", "storage-broker": "StorageBroker.ListProviders",
                "transfer": "Transfer.ListDeliveries", "notification": "Notifications.ListChannels",
                "assist": "Assist.AnalyseFiles", "gateway": "Gateway.GetSystemStatus"}[service]
        assert client.outcome(name, request_class(METHODS[name])()) == grpc.StatusCode.OK


@pytest.mark.parametrize("route", ["direct", "gateway"])
@pytest.mark.parametrize("service", SERVED_BY)
def test_no_method_takes_a_bad_token(own_system, forge, nothing_happens, service, route):
    client = own_system.anonymous(SERVED_BY[service] if route == "direct" else "gateway")
    metadata = {name: [("authorization", "Bearer " + token)] for name, token in bad_tokens(forge).items()}
    metadata |= {
        "no token": [], "nothing after the scheme": [("authorization", "Bearer")], "no scheme": [("authorization", forge[3])], "another scheme": [("authorization", "Basic YTpi")],
        "in another header": [("x-access-token", forge[3])],
        "a claim to be a service": [("x-ferry-caller", "service:transfer"), ("x-ferry-roles", "admin")],
    }
    got_through = []
    for name in (name for name in GUARDED if name.startswith(service + ".")):
        for what, pairs in metadata.items():
            code = client.outcome(name, would_do_harm(name), metadata=pairs)
            if code != UNAUTHENTICATED:
                got_through.append((name, what, code.name))
    assert not got_through


@pytest.mark.parametrize("name", sorted(set(MAY) - set(GUARDED)))
def test_public_methods_need_no_token(own_system, name):
    code = own_system.anonymous(SERVED_BY[name.split(".")[0]]).outcome(name, request_class(METHODS[name])())
    # A sign-in without a name is refused as one, not for want of a token.
    own = {"Auth.BeginSingleSignOn": grpc.StatusCode.NOT_FOUND,  # no such provider
           "Auth.CompleteSingleSignOn": grpc.StatusCode.FAILED_PRECONDITION}  # nothing was begun
    assert code in ([own[name]] if name in own else (grpc.StatusCode.OK, UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT))
    if name in ("Auth.GetKeys", "Auth.ListIdentityProviders", "Transfer.GetReceiptKey"):
        assert code == grpc.StatusCode.OK


# ---- Roles


@pytest.mark.parametrize("route", ["direct", "gateway"])
@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_may_not_is_denied(own_system, people, nothing_happens, role, route):
    wrong = []
    for name in GUARDED:
        if role not in MAY[name]:
            executable = SERVED_BY[name.split(".")[0]] if route == "direct" else "gateway"
            client = own_system.with_token(people[role].token, executable)
            code = client.outcome(name, would_do_harm(name))
            if code != PERMISSION_DENIED:
                wrong.append((name, code.name))
    assert not wrong


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_may_gets_past_the_door(own_system, people, role):
    """With an empty request: whatever the method says of it, it is not for want of a right."""
    leave_out = {"Auth.SignOut"}  # would end the session that the test calls with
    refused = []
    for name in GUARDED:
        if role in MAY[name] and name not in leave_out:
            # A stream that is let in may have nothing to say: its silence is told from a refusal by the deadline.
            code = people[role].outcome(name, request_class(METHODS[name])(), timeout=2)
            if code in (UNAUTHENTICATED, PERMISSION_DENIED) and name != "Auth.ChangePassword":
                refused.append((name, code.name))
            assert code not in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), name
    assert not refused


def test_services_only_do_what_is_theirs(own_system, nothing_happens):
    """A service that is not transfer may neither open tickets nor read objects, and no service makes users."""
    for service in ("notification", "assist", "ticketing", "gateway"):
        client = own_system.service_client(service)
        for name in ("Ticketing.OpenTickets", "StorageBroker.GrantRead", "Auth.CreateUser", "StorageBroker.SaveConnection"):
            assert client.outcome(name, would_do_harm(name)) == PERMISSION_DENIED, (service, name)
    assert own_system.service_client("transfer").outcome("Auth.CreateUser", would_do_harm("Auth.CreateUser")) == PERMISSION_DENIED


def test_a_service_that_acts_for_a_person_has_no_more_rights_than_they(own_system, people, nothing_happens):
    auditor = people["auditor"].Auth.WhoAmI().person.id
    client = own_system.service_client("gateway", on_behalf_of=auditor)
    for name in ("StorageBroker.ListBuckets", "Transfer.StartDelivery", "Auth.CreateUser"):
        assert client.outcome(name, would_do_harm(name)) == PERMISSION_DENIED, name


def test_a_wrong_service_secret_gets_no_token(own_system):
    secret = (own_system.data / "secrets/transfer.secret").read_text()
    for service, given in [("transfer", ""), ("transfer", secret[:-1]), ("ticketing", secret), ("", secret), ("../x", secret)]:
        code = own_system.anonymous("auth").outcome(
            "Auth.IssueServiceToken", api.IssueServiceTokenRequest(service=service, secret=given))
        assert code in (UNAUTHENTICATED, PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT), (service, code)


def test_a_disabled_person_is_out(own_system):
    client = own_system.make_user("leaver", "requester")
    person = client.Auth.WhoAmI().person
    session = own_system.anonymous().Auth.SignIn(user_name="leaver", password="the password of leaver")
    own_system.client().Auth.UpdateUser(user_id=person.id, disabled=True)
    with pytest.raises(grpc.RpcError) as refusal:
        own_system.anonymous().Auth.SignIn(user_name="leaver", password="the password of leaver")
    assert refusal.value.code() in (UNAUTHENTICATED, PERMISSION_DENIED)
    with pytest.raises(grpc.RpcError) as refusal:
        own_system.anonymous().Auth.Refresh(refresh_token=session.refresh_token)
    assert refusal.value.code() in (UNAUTHENTICATED, PERMISSION_DENIED)


# ---- Other people's deliveries


def test_a_requester_sees_and_steers_only_their_own(courier, system, sshd, inbox):
    delivery = courier.deliver(sshd.url(inbox) + "/", prefix=samples.SMALL_PREFIX)
    other = system.make_user("ben", "requester")
    hidden = (grpc.StatusCode.NOT_FOUND, PERMISSION_DENIED)
    for name, request in {
        "Transfer.GetDelivery": api.GetDeliveryRequest(id=delivery.id),
        "Transfer.ListDeliveryFiles": api.ListDeliveryFilesRequest(delivery_id=delivery.id),
        "Transfer.ListChunks": api.ListChunksRequest(delivery_id=delivery.id),
        "Transfer.WatchDelivery": api.WatchDeliveryRequest(id=delivery.id),
        "Transfer.GetReceipt": api.GetReceiptRequest(delivery_id=delivery.id),
        "Transfer.GetReceiptPart": api.GetReceiptPartRequest(delivery_id=delivery.id),
        "Transfer.PauseDelivery": api.PauseDeliveryRequest(id=delivery.id),
        "Transfer.ResumeDelivery": api.ResumeDeliveryRequest(id=delivery.id),
        "Transfer.CancelDelivery": api.CancelDeliveryRequest(id=delivery.id),
        "Transfer.RetryDelivery": api.RetryDeliveryRequest(id=delivery.id),
        "Gateway.GetJourney": api.GetJourneyRequest(delivery_id=delivery.id),
        "Ticketing.GetTicket": api.GetTicketRequest(number=delivery.user_ticket),
        "Ticketing.GetTicketPair": api.GetTicketPairRequest(pair_id=delivery.ticket_pair_id),
    }.items():
        assert other.outcome(name, request) in hidden, name
    assert delivery.id not in [d.id for d in other.Transfer.ListDeliveries(page_size=200).deliveries]
    assert delivery.user_ticket not in [t.number for t in other.Ticketing.ListTickets(page_size=200).tickets]
    assert list(other.Notifications.ListNotifications(delivery_id=delivery.id).notifications) == []
    operator = system.make_user("olga", "operator")
    assert operator.Transfer.GetDelivery(id=delivery.id).id == delivery.id


def test_a_requester_reads_no_audit_ticket(courier, system, sshd, inbox):
    delivery = courier.deliver(sshd.url(inbox) + "/", prefix=samples.SMALL_PREFIX)
    request = api.GetTicketRequest(number=delivery.audit_ticket)
    assert courier.client.outcome("Ticketing.GetTicket", request) in (grpc.StatusCode.NOT_FOUND, PERMISSION_DENIED)
    shown = courier.client.Ticketing.GetTicketPair(pair_id=delivery.ticket_pair_id).audit
    assert shown.number == delivery.audit_ticket and not shown.description and not shown.work_notes
    auditor = system.make_user("auguste", "auditor")
    assert auditor.Ticketing.GetTicket(number=delivery.audit_ticket).description
