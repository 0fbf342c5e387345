"""Deliveries out of Azure Blob Storage: by account key and by SAS, trees of odd names, and refusals in Azure's words."""
import uuid

import grpc
import pytest
from azure.storage.blob import ContainerSasPermissions, StandardBlobTier, generate_container_sas

from contract import api, problem
from deliveries import unfinished
from test_azure_blob import ACCOUNT, KEY, WRONG_KEY, AzureBlobDouble, soon

NAMES = ["a b/c+d%41 &=?#.txt", "ü/日本/🚀", "e\u0301/'(!*)~", "<&>\"]]>", "large.bin"]


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    program = AzureBlobDouble(tmp_path_factory.mktemp("azure"))
    try:
        yield program.start()
    finally:
        program.stop()


@pytest.fixture
def container(azure):
    made = azure.client().create_container(f"c-{uuid.uuid4().hex}")
    yield made
    made.delete_container()


def connect(courier, azure, name="azure", **secret):
    courier.admin.StorageBroker.SaveConnection(
        connection=api.Connection(
            name=name, provider="azure", azure_blob=api.AzureBlobSettings(account=ACCOUNT, endpoint=azure.endpoint)),
        **secret)
    return name


@pytest.mark.parametrize("by", ["account key", "SAS"])
def test_a_container_arrives_byte_for_byte(courier, azure, container, inbox, rng, by):
    data = {name: rng.randbytes(20 << 20 if name == "large.bin" else 1000) for name in NAMES}
    for name, content in data.items():
        container.upload_blob(name, content)
    secret = {"account_key": KEY} if by == "account key" else {"shared_access_signature": generate_container_sas(
        ACCOUNT, container.container_name, KEY, permission=ContainerSasPermissions(read=True, list=True), expiry=soon())}
    connection = connect(courier, azure, f"azure-{uuid.uuid4().hex[:6]}", **secret)
    listed = courier.admin.StorageBroker.ListObjects(connection=connection, bucket=container.container_name)
    assert [item.key for item in listed.objects] == sorted(NAMES, key=str.encode)
    told = courier.admin.StorageBroker.StatObject(
        connection=connection, bucket=container.container_name, key="large.bin")
    assert told.size == 20 << 20 and told.storage_class == "Hot" and told.version_id
    assert [checksum.algorithm for checksum in told.checksums] == ["MD5"]
    delivery = courier.deliver(
        courier.sshd.url(inbox), connection=connection, bucket=container.container_name, chunk_size=1 << 20)
    assert delivery.status == api.DELIVERY_STATUS_SUCCEEDED, delivery
    assert {str(file.relative_to(inbox)): file.read_bytes() for file in inbox.rglob("*") if file.is_file()} == data


def test_an_archived_blob_is_not_delivered_and_the_next_step_says_why(courier, azure, container, inbox):
    container.upload_blob("cold", b"cold", standard_blob_tier=StandardBlobTier.ARCHIVE)
    connection = connect(courier, azure, account_key=KEY)
    delivery = courier.deliver(
        courier.sshd.url(inbox), connection=connection, bucket=container.container_name, key="cold")
    assert delivery.status == api.DELIVERY_STATUS_FAILED
    told = courier.files(delivery.id)[0].problem
    assert (told.code, told.provider, told.provider_code) == ("OBJECT_ARCHIVED", "azure", "BlobArchived"), told
    assert uuid.UUID(told.request_id) and "archive" in told.next_step
    assert not unfinished(inbox)


@pytest.mark.parametrize("secret", [
    {"account_key": WRONG_KEY}, {"shared_access_signature": "sv=2021-12-02&sr=c&sp=r&se=2020-01-01&sig=x"}])
def test_wrong_credentials_are_told_with_azures_code_and_request_id(courier, azure, container, secret):
    connection = connect(courier, azure, f"wrong-{uuid.uuid4().hex[:6]}", **secret)
    with pytest.raises(grpc.RpcError) as refusal:
        courier.admin.StorageBroker.ListObjects(connection=connection, bucket=container.container_name)
    told = problem(refusal.value)
    assert (told.code, told.provider, told.provider_code) == ("WRONG_KEY", "azure", "AuthenticationFailed")
    assert uuid.UUID(told.request_id)
    connect(courier, azure, connection, account_key=KEY)
    # The stored secret stays while account and endpoint do.
    connect(courier, azure, connection)
    assert not courier.admin.StorageBroker.ListObjects(connection=connection, bucket=container.container_name).objects
    with pytest.raises(grpc.RpcError) as refusal:
        courier.admin.StorageBroker.ListObjects(connection=connection, bucket="nowhere")
    assert problem(refusal.value).code == "BUCKET_MISSING"
    with pytest.raises(grpc.RpcError) as refusal:
        courier.admin.StorageBroker.SaveConnection(connection=api.Connection(
            name=connection, provider="azure", azure_blob=api.AzureBlobSettings(account="other")))
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_the_command_line_saves_a_connection_and_lists_through_it(system, azure, container, tmp_path):
    from ferry_system import ADMIN_PASSWORD

    container.upload_blob("a/ü.txt", b"12345")
    (tmp_path / "password").write_text(ADMIN_PASSWORD)
    (tmp_path / "key").write_text(KEY + "\n")
    name = f"azure-{uuid.uuid4().hex[:6]}"
    for arguments in (
        ("login", "--user", "admin", "--password-file", tmp_path / "password"),
        ("connection", "add", name, "--provider", "azure", "--account", ACCOUNT, "--endpoint", azure.endpoint,
         "--secret-key-file", tmp_path / "key"),
    ):
        done = system.ferry(*arguments, home=tmp_path)
        assert done.returncode == 0, done.stderr
    listed = system.ferry("ls", f"azure://{container.container_name}/a/", "--connection", name, home=tmp_path)
    assert listed.stdout.split()[-1] == "a/ü.txt", listed
    shown = system.ferry("connection", "list", home=tmp_path).stdout
    assert next(line.split() for line in shown.splitlines() if line.startswith(name)) == [
        name, "azure", azure.endpoint, ACCOUNT]
    assert KEY not in shown
