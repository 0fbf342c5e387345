"""Schedules: a delivery that starts by itself at its minute, once, also over a crash of the service and a time when it was
away; whose it is and who may change it; and what becomes of a run that can't start."""
import contextlib
import datetime
import time
import uuid

import grpc
import pytest

import samples
from contract import api, problem, wait_until

MINUTE = 60
SMALL_KEY = samples.SMALL_PREFIX + next(iter(samples.small()))


@contextlib.contextmanager
def denied(code: grpc.StatusCode, why: str):
    with pytest.raises(grpc.RpcError) as refusal:
        yield
    assert refusal.value.code() == code, refusal.value
    assert problem(refusal.value).code == why and problem(refusal.value).next_step


@pytest.fixture
def schedule(courier, target):
    """Of the small file, at times that do not come while a test runs."""
    made = []

    def save(client=None, cron="0 0 29 2 *", key=SMALL_KEY, path="", paused=False, name="", **more):
        one = api.Schedule(
            name=name or f"daily-{uuid.uuid4().hex[:6]}", cron=cron, paused=paused,
            request=courier.request("", key=key, destination=target), **more)
        one.request.path = path
        saved = (client or courier.client).Transfer.SaveSchedule(schedule=one)
        made.append(saved.name)
        return saved

    yield save
    for name in set(made):
        try:
            courier.admin.Transfer.DeleteSchedule(name=name)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND


def stored(courier, name: str):
    return next(one for one in courier.admin.Transfer.ListSchedules().schedules if one.name == name)


def of(courier, name: str):
    return courier.admin.Transfer.ListDeliveries(schedule=name).deliveries


def next_minute() -> float:
    return (time.time() // MINUTE + 1) * MINUTE


@pytest.mark.slow
def test_it_runs_at_its_minute_and_makes_up_once_for_a_time_when_the_service_was_away(courier, schedule, inbox):
    # Not so late that the minute passes meanwhile.
    if next_minute() - time.time() < 3:
        time.sleep(3)
    saved = schedule(cron="* * * * *", path="{date}/")
    due = saved.next_run_at.seconds
    assert due == next_minute()
    first = wait_until("the first run", lambda: of(courier, saved.name), MINUTE + 10, interval=0.2)[0]
    assert 0 <= first.created_at.seconds - due <= 2
    assert (first.schedule, first.requester.name) == (saved.name, "Ada")
    ended = courier.wait(first.id)
    assert ended.status == api.DELIVERY_STATUS_SUCCEEDED and ended.user_ticket and ended.audit_ticket
    day = datetime.datetime.fromtimestamp(due, datetime.timezone.utc).strftime("%Y-%m-%d")
    assert [file.relative_to(inbox).parts[0] for file in inbox.rglob("*") if file.is_file()] == [day]
    now = stored(courier, saved.name)
    assert now.last_delivery_id == first.id and now.next_run_at.seconds == due + MINUTE and not now.HasField("last_problem")

    # Away while the next one is due: killed, started again by `ferry up`; the run is made up for, and there is one of it.
    while time.time() < due + MINUTE - 0.5:
        time.sleep(0.1)
    courier.system.kill("transfer")
    time.sleep(1)
    courier.system.await_up("transfer")
    wait_until("the second run", lambda: len(of(courier, saved.name)) == 2, 30, seen=lambda: str(of(courier, saved.name)))
    courier.client.Transfer.SaveSchedule(schedule=api.Schedule(
        name=saved.name, cron=saved.cron, request=saved.request, paused=True))
    assert len(of(courier, saved.name)) == 2
    assert not stored(courier, saved.name).HasField("next_run_at")
    for delivery in of(courier, saved.name):
        assert courier.wait(delivery.id).status == api.DELIVERY_STATUS_SUCCEEDED


def test_a_run_now_is_the_owners_and_none_starts_before_the_one_before_is_over(courier, schedule, slow_way, sshd, inbox, target):
    saved = schedule()
    delivery = courier.client.Transfer.RunSchedule(name=saved.name)
    assert delivery.user_ticket and delivery.schedule == saved.name
    assert courier.wait(delivery.id).status == api.DELIVERY_STATUS_SUCCEEDED
    assert stored(courier, saved.name).next_run_at == saved.next_run_at, "its times stay"
    # An administrator may run it; it is still ada's delivery.
    other = courier.admin.Transfer.RunSchedule(name=saved.name)
    assert other.requester.name == "Ada" and courier.wait(other.id).status == api.DELIVERY_STATUS_SUCCEEDED

    slow_way.bytes_per_second = 1 << 20
    courier.save_destination(target, sshd.url(inbox, slow_way.port))
    slow = schedule(key=samples.BIG_KEY)
    first = courier.client.Transfer.RunSchedule(name=slow.name)
    with denied(grpc.StatusCode.FAILED_PRECONDITION, "PREVIOUS_RUN_NOT_OVER"):
        courier.client.Transfer.RunSchedule(name=slow.name)
    courier.client.Transfer.CancelDelivery(id=first.id)
    courier.wait(first.id)


def test_whose_it_is(courier, schedule, system):
    bob = system.make_user("bob", "requester")
    operator = system.make_user("olga", "operator")
    saved = schedule()
    assert saved.owner.name == "Ada"
    assert saved.name not in [one.name for one in bob.Transfer.ListSchedules().schedules]
    for call in (bob.Transfer.RunSchedule, bob.Transfer.DeleteSchedule):
        with denied(grpc.StatusCode.NOT_FOUND, "SCHEDULE_UNKNOWN"):
            call(name=saved.name)
    with denied(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"):
        bob.Transfer.SaveSchedule(schedule=saved)
    # To pause it makes an operator no owner; to say what it delivers does.
    saved.paused = True
    assert operator.Transfer.SaveSchedule(schedule=saved).owner.name == "Ada"
    saved.request.priority = api.PRIORITY_LOW
    assert operator.Transfer.SaveSchedule(schedule=saved).owner.name == "Olga"
    assert saved.name not in [one.name for one in courier.client.Transfer.ListSchedules().schedules]


def test_a_run_whose_owner_may_not_any_more_starts_nothing(courier, schedule, system):
    carl = system.make_user("carl", "requester")
    saved = schedule(client=carl)
    person = carl.Auth.WhoAmI().person
    courier.admin.Auth.UpdateUser(user_id=person.id, replace_roles=True, roles=[api.ROLE_AUDITOR])
    with denied(grpc.StatusCode.FAILED_PRECONDITION, "SCHEDULE_OWNER_LOST"):
        courier.admin.Transfer.RunSchedule(name=saved.name)
    courier.admin.Auth.UpdateUser(user_id=person.id, disabled=True)
    with denied(grpc.StatusCode.FAILED_PRECONDITION, "SCHEDULE_OWNER_LOST"):
        courier.admin.Transfer.RunSchedule(name=saved.name)
    assert of(courier, saved.name) == []


@pytest.mark.slow
def test_a_run_that_can_start_nothing_says_why_and_its_owner_is_told(courier, schedule, target, sshd, inbox):
    if next_minute() - time.time() < 3:
        time.sleep(3)
    saved = schedule(cron="* * * * *")
    courier.admin.Transfer.DeleteDestination(name=target)
    try:
        failed = wait_until(
            "the run's problem", lambda: (one := stored(courier, saved.name)).HasField("last_problem") and one, MINUTE + 10)
        assert failed.last_problem.code == "DESTINATION_UNKNOWN" and failed.last_problem.next_step
        assert failed.next_run_at.seconds == saved.next_run_at.seconds + MINUTE, "the next run comes all the same"
        told = wait_until("the notification", lambda: [
            one for one in courier.client.Notifications.ListNotifications(page_size=50).notifications
            if saved.name in one.title], 20)
        assert len(told) == 1 and target in told[0].body
        assert of(courier, saved.name) == []
    finally:
        courier.admin.Transfer.DeleteSchedule(name=saved.name)
        courier.save_destination(target, sshd.url(inbox))


BAD = [
    (dict(cron="61 * * * *"), "SCHEDULE_INVALID"), (dict(cron=""), "SCHEDULE_INVALID"),
    (dict(cron="0 0 30 2 *"), "SCHEDULE_INVALID"), (dict(time_zone="Europe/Atlantis"), "SCHEDULE_INVALID"),
    (dict(name="no/slash"), "INVALID_ARGUMENT"), (dict(path="../up/"), "NAME_UNSAFE"),
]


@pytest.mark.parametrize("wrong, problem_code", BAD, ids=[str(index) for index in range(len(BAD))])
def test_what_can_never_run_is_refused_and_nothing_is_kept(courier, schedule, wrong, problem_code):
    name = wrong.get("name", f"bad-{uuid.uuid4().hex[:6]}")
    with denied(grpc.StatusCode.INVALID_ARGUMENT, problem_code):
        schedule(**{"name": name, **wrong})
    assert name not in [one.name for one in courier.admin.Transfer.ListSchedules().schedules]


def test_it_delivers_to_a_saved_destination_alone(courier, sshd, inbox):
    request = courier.request(sshd.url(inbox), key=SMALL_KEY)
    with denied(grpc.StatusCode.INVALID_ARGUMENT, "SCHEDULE_INVALID"):
        courier.client.Transfer.SaveSchedule(schedule=api.Schedule(name="spelled-out", cron="@daily", request=request))


def test_the_history_is_searched_by_words_and_days(courier, sshd, inbox):
    mark = uuid.uuid4().hex[:8]
    request = courier.request(sshd.url(inbox), key=SMALL_KEY)
    request.title = f"Quarterly {mark} for ACME"
    made = courier.client.Transfer.StartDelivery(request=request, credentials=courier.key_login())
    courier.wait(made.id)

    def found(**filters):
        return [one.id for one in courier.client.Transfer.ListDeliveries(page_size=100, **filters).deliveries]

    assert found(search=f"acme {mark.upper()}") == [made.id]
    assert found(search=f"{mark} nowhere") == []
    assert made.id in found(search=made.user_ticket.lower())
    day, second = 86_400, made.created_at.seconds
    stamp = lambda seconds: dict(seconds=seconds)  # noqa: E731
    assert found(search=mark, created_from=stamp(second - day), created_before=stamp(second + day)) == [made.id]
    assert found(search=mark, created_from=stamp(second + day)) == []
    assert found(search=mark, created_before=stamp(second)) == []
