"""Any gRPC client can call any service: grpcio with protoc's classes, directly and through the gateway, and by reflection."""
import json
import urllib.request
import uuid

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import samples
from contract import DESCRIPTORS, PACKAGE, SERVED_BY, SERVICES, api
from deliveries import assert_equal_trees

ROUTES = ["direct", "gateway"]


@pytest.fixture(params=ROUTES)
def to(request, system):
    """Where to send a service's calls: straight to it, or to the gateway, which passes them on."""
    return (lambda service: service) if request.param == "direct" else (lambda service: "gateway")


def as_admin(system, service: str):
    return system.client(service=service)


# ---- Each service does its work


def test_auth_says_who_signed_in_and_publishes_the_key(system, to):
    client = as_admin(system, to("auth"))
    user = client.Auth.WhoAmI()
    assert user.user_name == "admin" and list(user.roles) == [api.ROLE_ADMIN] and user.person.id
    keys = json.loads(client.Auth.GetKeys().jwks_json)["keys"]
    assert [(key["kty"], key["crv"], "d" in key) for key in keys] == [("OKP", "Ed25519", False)]


def test_auth_makes_a_user_who_can_sign_in(system, to):
    name = f"user-{uuid.uuid4().hex[:8]}"
    client = as_admin(system, to("auth"))
    made = client.Auth.CreateUser(
        user_name=name, name="Grace Hopper", email="grace@example.com", roles=[api.ROLE_REQUESTER],
        password="a first password 1")
    assert made.person.name == "Grace Hopper" and made.user_name == name
    assert system.client(name, "a first password 1", to("auth")).Auth.WhoAmI().person == made.person
    assert made.person.id in [user.person.id for user in client.Auth.ListUsers(page_size=200).users]


def test_a_refresh_token_works_once_and_a_second_use_ends_the_session(system, to):
    anonymous = system.anonymous(to("auth"))
    from ferry_system import ADMIN_PASSWORD

    session = anonymous.Auth.SignIn(user_name="admin", password=ADMIN_PASSWORD)
    renewed = anonymous.Auth.Refresh(refresh_token=session.refresh_token)
    assert renewed.user.user_name == "admin" and renewed.refresh_token != session.refresh_token
    for token in (session.refresh_token, renewed.refresh_token):
        with pytest.raises(grpc.RpcError) as refusal:
            anonymous.Auth.Refresh(refresh_token=token)
        assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_ticketing_opens_a_pair_once_notes_once_and_closes_both(system, to):
    transfer = system.service_client("transfer", to=to("ticketing"))
    key = uuid.uuid4().hex
    wanted = dict(
        idempotency_key=key, delivery_id=f"dlv_{key}", title="A delivery", description="For Ada",
        audit_description="Who, what, where", requester=api.Person(id="usr_x", name="Ada"), environment=api.ENVIRONMENT_UAT,
        priority=api.PRIORITY_HIGH)
    pair = transfer.Ticketing.OpenTickets(**wanted)
    assert pair.user.number.startswith("REQ") and pair.audit.number.startswith("AUD")
    assert transfer.Ticketing.OpenTickets(**wanted).pair_id == pair.pair_id
    for _ in range(2):
        noted = transfer.Ticketing.AddWorkNote(pair_id=pair.pair_id, key="download", text="It is here.")
    for ticket in (noted.user, noted.audit):
        assert [note.text for note in ticket.work_notes if note.key == "download"] == ["It is here."]
    closed = transfer.Ticketing.CloseTickets(pair_id=pair.pair_id, outcome=api.OUTCOME_SUCCEEDED, closing_note="Done.")
    assert {closed.user.status, closed.audit.status} == {api.TICKET_STATUS_CLOSED}
    client = as_admin(system, to("ticketing"))
    assert client.Ticketing.GetTicket(number=pair.user.number).outcome == api.OUTCOME_SUCCEEDED
    assert pair.audit.number in [t.number for t in client.Ticketing.ListTickets(kind=api.TICKET_KIND_AUDIT).tickets]


def test_storage_broker_lists_and_stats_objects_with_odd_names(system, courier, to):
    client = as_admin(system, to("storage-broker"))
    assert {"s3", "folder"} <= {provider.id for provider in client.StorageBroker.ListProviders().providers}
    assert "samples" in [bucket.name for bucket in client.StorageBroker.ListBuckets(connection="default").buckets]
    expected = {samples.SMALL_PREFIX + name: len(body) for name, body in samples.small().items()}
    found, token = {}, ""
    while True:
        page = client.StorageBroker.ListObjects(
            connection="default", bucket="samples", prefix=samples.SMALL_PREFIX, page_size=70, page_token=token)
        assert len(page.objects) <= 70
        found |= {entry.key: entry.size for entry in page.objects}
        token = page.next_page_token
        if not token:
            break
    assert found == expected
    for key, size in list(expected.items())[::20]:
        assert client.StorageBroker.StatObject(connection="default", bucket="samples", key=key).size == size


def test_storage_broker_grants_the_reading_of_one_version(system, courier, to):
    user = courier.client.Auth.WhoAmI().person.id
    transfer = system.service_client("transfer", on_behalf_of=user, to=to("storage-broker"))
    key = samples.SMALL_PREFIX + next(iter(samples.small()))
    info = transfer.StorageBroker.StatObject(connection="default", bucket="samples", key=key)
    grant = transfer.StorageBroker.GrantRead(connection="default", bucket="samples", key=key, etag=info.etag)
    headers = {field.name: field.value for field in grant.headers}
    with urllib.request.urlopen(urllib.request.Request(grant.url, headers=headers), timeout=10) as answer:
        assert answer.read() == samples.small()[key.removeprefix(samples.SMALL_PREFIX)]
    assert courier.weed.secret_key not in str(grant)


def test_transfer_plans_without_writing(system, courier, sshd, inbox, to):
    client = as_admin(system, to("transfer"))
    plan = client.Transfer.PlanDelivery(
        request=courier.request(sshd.url(inbox), prefix=samples.SMALL_PREFIX), credentials=courier.key_login())
    assert not plan.problems and plan.files == samples.SMALL_COUNT
    assert plan.bytes == sum(map(len, samples.small().values()))
    assert 0 <= plan.seconds_low < plan.seconds_high and plan.duration_basis
    assert plan.largest_file == max(map(len, samples.small().values()))
    assert not plan.costs, "a server of one's own has no public price list"
    assert "NOT_ENCRYPTED" not in [warning.code for warning in plan.warnings]
    assert list(inbox.iterdir()) == []


def test_transfer_plans_by_what_earlier_deliveries_took(system, courier, sshd, inbox, to):
    client = as_admin(system, to("transfer"))
    started = client.Transfer.StartDelivery(
        request=courier.request(sshd.url(inbox), prefix=samples.SMALL_PREFIX), credentials=courier.key_login())
    for _ in client.Transfer.WatchDelivery(id=started.id):
        pass
    plan = client.Transfer.PlanDelivery(request=courier.request(sshd.url(inbox), prefix=samples.SMALL_PREFIX))
    assert "the last" in plan.duration_basis
    assert "LOGIN_NOT_TRIED" in [warning.code for warning in plan.warnings]


def test_transfer_delivers_by_glob_without_folders(system, courier, sshd, inbox, to):
    client = as_admin(system, to("transfer"))
    request = courier.request(sshd.url(inbox) + "/", prefix="")
    del request.source.selections[:]
    request.source.selections.add(kind=api.SELECTION_KIND_GLOB, value=samples.SMALL_PREFIX + "**/*1*")
    request.source.excludes.append("*2*")
    request.options.folders = api.FOLDERS_FLATTEN
    names = [name.rsplit("/", 1)[-1] for name in samples.small()]
    wanted = [name for name in names if "1" in name]
    left = sorted(name for name in wanted if "2" not in name)
    plan = client.Transfer.PlanDelivery(request=request, credentials=courier.key_login())
    assert not plan.problems, plan.problems
    assert (plan.files, plan.excluded) == (len(left), len(wanted) - len(left)) and plan.excluded > 0
    started = client.Transfer.StartDelivery(request=request, credentials=courier.key_login())
    for _ in client.Transfer.WatchDelivery(id=started.id):
        pass
    assert client.Transfer.GetDelivery(id=started.id).status == api.DELIVERY_STATUS_SUCCEEDED
    assert sorted(path.name for path in inbox.iterdir()) == left
    request.source.excludes.append("[a")
    with pytest.raises(grpc.RpcError, match="has no '\\]' to its"):
        client.Transfer.PlanDelivery(request=request, credentials=courier.key_login())


def test_transfer_tests_a_destination_step_by_step(system, courier, sshd, inbox, to):
    client = as_admin(system, to("transfer"))
    answer = client.Transfer.TestDestination(
        destination=courier.request(sshd.url(inbox)).destination, credentials=courier.key_login())
    assert answer.ok and answer.host_key == sshd.fingerprint
    names = [step.name for step in answer.steps]
    assert all(step.ok for step in answer.steps), answer
    assert {"connect", "host key", "login", "write", "rename", "delete"} <= set(names), names
    assert list(inbox.iterdir()) == []


def test_transfer_keeps_a_destination_without_showing_its_secret(system, sshd, inbox, to):
    client = as_admin(system, to("transfer"))
    name = f"d-{uuid.uuid4().hex[:8]}"
    client.Transfer.SaveDestination(
        destination=api.Destination(name=name, url=sshd.url(inbox)),
        credentials=api.DestinationCredentials(password="not shown 471"))
    saved = {d.name: d for d in client.Transfer.ListDestinations().destinations}[name]
    assert saved.has_password and not saved.has_private_key and "471" not in str(saved)
    client.Transfer.DeleteDestination(name=name)
    assert name not in [d.name for d in client.Transfer.ListDestinations().destinations]


def test_notification_tells_once_and_streams_to_who_watches(system, to):
    user = system.make_user("watcher", "requester")
    person = user.Auth.WhoAmI().person
    watcher = system.client("watcher", "the password of watcher", to("notification"))
    service = system.service_client("transfer", to=to("notification"))
    stream = watcher.Notifications.WatchNotifications(timeout_seconds=30)
    key = uuid.uuid4().hex
    sent = [service.Notifications.Notify(
        key=key, recipient=person, severity=api.SEVERITY_SUCCESS, title="It arrived ✓", body="All of it.",
        facts=[api.Fact(name="Files", value="200")]).notification.id for _ in range(2)]
    assert sent[0] == sent[1]
    streamed = next(notification for notification in stream if notification.key == key)
    stream.cancel()
    assert (streamed.title, streamed.facts[0].value) == ("It arrived ✓", "200")
    listed = [n for n in watcher.Notifications.ListNotifications(unread_only=True).notifications if n.key == key]
    assert [n.id for n in listed] == [sent[0]]
    watcher.Notifications.MarkRead(ids=[sent[0]])
    assert key not in [n.key for n in watcher.Notifications.ListNotifications(unread_only=True).notifications]


def test_assist_describes_a_ticket_from_the_request_and_groups_files(system, courier, to):
    client = as_admin(system, to("assist"))
    text = client.Assist.DescribeTicket(
        request=courier.request("sftp://acme@sftp.example.com/in", key="reports/march.csv", bucket="exports"),
        requester=api.Person(name="Ada Lovelace"))
    assert text.title and text.generator
    for fact in ("exports", "sftp.example.com", "march.csv"):
        assert fact in text.description + text.title, f"{fact} is missing in {text}"
    analysis = client.Assist.AnalyseFiles(
        files=[api.FileFacts(name="a.zip", size=10), api.FileFacts(name="b.csv", size=2000)])
    assert (analysis.files, analysis.bytes) == (2, 2010)
    assert analysis.groups[0].bytes == 2000


def test_gateway_shows_all_services_and_a_dashboard(system, courier):
    client = system.client()
    status = client.Gateway.GetSystemStatus()
    assert {service.service: service.serving for service in status.services if service.service != "gateway"} == {
        name: True for name in SERVED_BY.values() if name != "gateway"}
    dashboard = client.Gateway.GetDashboard()
    assert not dashboard.missing and dashboard.user.user_name == "admin"
    assert "default" in [connection.name for connection in dashboard.connections]


def test_a_journey_holds_delivery_tickets_notification_and_receipt(system, courier, sshd, inbox):
    delivery = courier.deliver(sshd.url(inbox) + "/", prefix=samples.SMALL_PREFIX)
    assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery
    courier.await_told(delivery)
    journey = courier.client.Gateway.GetJourney(delivery_id=delivery.id)
    assert not journey.missing, journey.missing
    assert journey.delivery.id == delivery.id and journey.tickets.user.number == delivery.user_ticket
    assert journey.receipt.receipt.delivery_id == delivery.id
    assert [n.delivery_id for n in journey.notifications] == [delivery.id]


def test_a_folder_is_a_store_like_any_other(system, courier, sshd, weed, inbox):
    courier.admin.StorageBroker.SaveConnection(
        connection=api.Connection(
            name="disk", provider="folder", folder=api.FolderSettings(root=str(weed.source))))
    delivery = courier.deliver(sshd.url(inbox) + "/", prefix="", bucket="small", connection="disk")
    assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery
    assert_equal_trees(weed.source / "small", inbox)


# ---- Health and reflection


@pytest.mark.parametrize("service", SERVED_BY.values())
def test_health_is_serving(system, service):
    names = {executable: name for name, executable in SERVED_BY.items()}
    assert system.health(service) == "SERVING"
    assert system.health(service, f"{PACKAGE}.{names[service]}") == "SERVING"
    assert system.health(service, "no.such.Service") == "NOT_FOUND"


def reflect(channel, **request):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    answers = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**request)]), timeout=10)
    return next(answers)


def plain(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """Without what protoc derives: JSON names, and the order of imports."""
    copy = descriptor_pb2.FileDescriptorProto()
    copy.CopyFrom(file)
    copy.ClearField("source_code_info")
    imports = sorted(copy.dependency)
    del copy.dependency[:]
    copy.dependency.extend(imports)

    def strip(messages):
        for message in messages:
            for field in message.field:
                field.ClearField("json_name")
            strip(message.nested_type)

    strip(copy.message_type)
    return copy


@pytest.mark.parametrize("executable", SERVED_BY.values())
def test_reflection_gives_the_descriptors_that_protoc_makes(system, executable):
    served = list(SERVICES) if executable == "gateway" else [name for name, by in SERVED_BY.items() if by == executable]
    with grpc.insecure_channel(system.address(executable)) as channel:
        listed = {s.name for s in reflect(channel, list_services="").list_services_response.service}
        assert {f"{PACKAGE}.{name}" for name in served} <= listed
        if executable != "gateway":
            assert {name for name in listed if name.startswith(PACKAGE)} == {f"{PACKAGE}.{name}" for name in served}
        expected = {file.name: file for file in DESCRIPTORS}
        for name in served:
            wanted = [f"{PACKAGE}.{name}"] + [f"{PACKAGE}.{name}.{method.name}" for method in SERVICES[name].methods]
            for symbol in wanted:
                answer = reflect(channel, file_containing_symbol=symbol)
                files = [descriptor_pb2.FileDescriptorProto.FromString(data)
                         for data in answer.file_descriptor_response.file_descriptor_proto]
                assert SERVICES[name].file.name in [file.name for file in files], f"{symbol}: {answer.error_response}"
            pending = [SERVICES[name].file.name]
            seen = set()
            while pending:
                file_name = pending.pop()
                if file_name in seen or not file_name.startswith("fileferry/"):
                    continue
                seen.add(file_name)
                answer = reflect(channel, file_by_filename=file_name)
                assert not answer.HasField("error_response"), f"{file_name}: {answer.error_response}"
                files = [descriptor_pb2.FileDescriptorProto.FromString(data)
                         for data in answer.file_descriptor_response.file_descriptor_proto]
                found = next(file for file in files if file.name == file_name)
                protoc = descriptor_pb2.FileDescriptorProto()
                expected[file_name].CopyToProto(protoc)
                assert plain(found) == plain(protoc)
                pending += found.dependency
