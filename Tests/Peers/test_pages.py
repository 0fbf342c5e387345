"""The whole journey in a real Chromium, out of both clouds, with the mouse and with the keyboard alone: sign in, the form, its
destination tested and its key pinned, the dry run, the confirmation in the cloud's colour, the tickets that stay for a minute,
the delivery with its eight states, paused and resumed, the receipt, and the session that ends by itself. A reload, the way back
and a lost connection lose nothing. Each page's picture is in .build/screenshots."""
import dataclasses
import gzip
import re
import uuid

import grpc
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect, sync_playwright

import samples
from contract import ROOT, api
from ferry_system import ADMIN_PASSWORD
from test_azure_blob import ACCOUNT, KEY
from test_azure_delivery import azure, connect, container  # noqa: F401  (fixtures)

SCREENSHOTS = ROOT / ".build/screenshots"
CHROMIUM = "/usr/bin/chromium"
MOST_TABS = 150
expect.set_options(timeout=20_000)


@dataclasses.dataclass(frozen=True)
class Way:
    """How the journey is made."""

    cloud: str
    width: int
    by_keyboard: bool

    def __str__(self) -> str:
        return f"{self.cloud}-{self.width}-{'keyboard' if self.by_keyboard else 'mouse'}"


WAYS = [Way("aws", 1280, False), Way("azure", 360, False), Way("azure", 1280, True)]


class Hand:
    """Presses, types and chooses, with the mouse or by nothing but keys."""

    def __init__(self, page: Page, by_keyboard: bool):
        self.page, self.by_keyboard = page, by_keyboard

    def reach(self, target: Locator) -> None:
        target.wait_for()
        for _ in range(MOST_TABS):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{MOST_TABS} times Tab did not reach {target}")

    def press(self, target: Locator) -> None:
        if not self.by_keyboard:
            return target.click()
        self.reach(target)
        self.page.keyboard.press("Enter")

    def type(self, target: Locator, text: str) -> None:
        if not self.by_keyboard:
            return target.fill(text)
        self.reach(target)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def select(self, target: Locator, value: str) -> None:
        if not self.by_keyboard:
            target.select_option(value)
            return
        self.reach(target)
        self.page.keyboard.type(value)
        expect(target).to_have_value(value)

    def pick(self, radio: Locator) -> None:
        """One of a group of radio buttons: Tab leads to the group, arrows lead within it."""
        if not self.by_keyboard:
            return radio.check(force=True)
        group = self.page.locator(f'input[name="{radio.get_attribute("name")}"]')
        self.reach(group.and_(self.page.locator(":checked")))
        for _ in range(group.count()):
            if radio.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        expect(radio).to_be_checked()


@pytest.fixture(scope="module")
def browser():
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=WAYS, ids=str)
def page(browser, request, courier):
    """A page of its own, with a clock that the test can hold, and what went wrong in it."""
    way = request.param
    context = browser.new_context(
        viewport={"width": way.width, "height": 900}, base_url=f"http://127.0.0.1:{courier.system.http_port}")
    page = context.new_page()
    page.clock.install()
    page.way, page.wrong, page.hosts = way, [], set()
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
    yield page
    context.close()
    assert page.wrong == []
    assert page.hosts == {f"127.0.0.1:{courier.system.http_port}"}, "something was loaded from elsewhere"


@pytest.fixture
def source(request, page, courier):
    """The journey's connection, bucket and object, in its cloud."""
    if page.way.cloud == "aws":
        return "default", "samples", samples.BIG_KEY
    azure, container = request.getfixturevalue("azure"), request.getfixturevalue("container")
    container.upload_blob("big/data.bin", samples.big())
    return connect(courier, azure, f"azure-{uuid.uuid4().hex[:6]}", account_key=KEY), container.container_name, "big/data.bin"


def look(page: Page, name: str) -> None:
    """A picture; nothing serious for people who can't see it; nothing that has to be scrolled sideways for."""
    page.screenshot(path=SCREENSHOTS / f"{name}-{page.way}.png", full_page=True)
    found = [violation for violation in Axe().run(page).response["violations"]
             if violation["impact"] in ("serious", "critical")]
    assert found == [], [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"{name} is {over} pixels wider than the window"


def hold_clock(page: Page, at: float) -> None:
    """Leads the page's clock to a moment (milliseconds since 1970) and lets it stand there."""
    page.clock.pause_at(at / 1000)


OFFLINE = "The FileFerry server does not answer."


def lose_connection_at(page: Page, hand: Hand, step: Locator) -> None:
    """Presses what needs the server while there is none: the page says so, and goes on once it is back."""
    page.context.set_offline(True)
    hand.press(step)
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    page.context.set_offline(False)


def sign_in(page: Page, hand: Hand) -> None:
    loaded = []

    def weigh(request):
        loaded.append(request)

    page.on("requestfinished", weigh)
    page.goto("/", wait_until="networkidle")
    page.remove_listener("requestfinished", weigh)
    weight = sum(len(request.response().body()) for request in loaded)
    assert 20_000 < weight < 100_000, f"the first page has {weight} bytes"
    hand.type(page.get_by_label("User name"), "admin")
    hand.type(page.get_by_label("Password"), ADMIN_PASSWORD)
    look(page, "1-sign-in")
    lose_connection_at(page, hand, page.get_by_role("button", name="Sign in"))
    hand.type(page.get_by_label("Password"), ADMIN_PASSWORD)
    hand.press(page.get_by_role("button", name="Sign in"))
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def type_secret(page: Page, hand: Hand, sshd) -> None:
    hand.type(page.get_by_role("textbox", name="Private key (OpenSSH or PEM)"), sshd.identity.read_text())


def fill_in(page: Page, hand: Hand, source, sshd, port: int, inbox) -> None:
    connection, bucket, key = source
    hand.press(page.get_by_role("navigation").get_by_role("link", name="New delivery"))
    expect(page.get_by_label("Storage connection")).to_have_value("default")
    hand.select(page.get_by_label("Storage connection"), connection)
    expect(page.get_by_label("Bucket").locator(f'option[value="{bucket}"]')).to_be_attached()
    hand.select(page.get_by_label("Bucket"), bucket)
    lose_connection_at(page, hand, page.get_by_role("button", name="big/", exact=True))
    hand.press(page.get_by_role("button", name="Try again"))
    expect(page.get_by_label("Select data.bin")).to_be_visible()
    hand.type(page.get_by_label("Or type a key"), key)
    hand.press(page.get_by_role("button", name="Add", exact=True))
    expect(page.get_by_text("1 chosen")).to_be_visible()
    hand.pick(page.get_by_role("radio", name="Another server"))
    for label, value in {"Host": "127.0.0.1", "Port": str(port), "User name": sshd.user, "Folder": str(inbox)}.items():
        hand.type(page.get_by_role("textbox", name=label, exact=True), value)
    hand.pick(page.get_by_role("radio", name="Private key", exact=True))
    type_secret(page, hand, sshd)
    lose_connection_at(page, hand, page.get_by_role("button", name="Test the destination"))
    hand.press(page.get_by_role("button", name="Test the destination"))
    expect(page.get_by_text(sshd.fingerprint, exact=True)).to_be_visible()
    look(page, "3-destination-tested")
    hand.press(page.get_by_role("button", name="It is the right key: pin it"))
    expect(page.get_by_text("Pinned. Only this key will be trusted.")).to_be_visible()
    hand.type(page.get_by_label("Assignment group"), "Deliveries")
    hand.pick(page.get_by_role("radio", name="Acceptance"))
    hand.type(page.get_by_label("Title (optional)"), "The whole journey")


def assert_filled_in(page: Page, source, sshd, port: int, inbox) -> None:
    connection, bucket, key = source
    expect(page.get_by_label("Storage connection")).to_have_value(connection)
    expect(page.get_by_label("Bucket")).to_have_value(bucket)
    expect(page.get_by_text(key, exact=True).first).to_be_visible()
    for label, value in {"Host": "127.0.0.1", "Port": str(port), "User name": sshd.user, "Folder": str(inbox),
                         "Fingerprint of the server's key": sshd.fingerprint}.items():
        expect(page.get_by_role("textbox", name=label, exact=True)).to_have_value(value)
    expect(page.get_by_label("Assignment group")).to_have_value("Deliveries")
    expect(page.get_by_role("radio", name="Acceptance")).to_be_checked()
    expect(page.get_by_label("Title (optional)")).to_have_value("The whole journey")


def confirm(page: Page, hand: Hand, source, sshd, port: int, inbox) -> None:
    """From the form to the tickets; the way back, a reload and a lost connection on it."""
    hand.press(page.get_by_role("button", name="Go on to confirm"))
    expect(page.get_by_role("heading", name="Check and confirm")).to_be_visible()
    expect(page.get_by_text(f"sftp://{sshd.user}@127.0.0.1:{port}{inbox}")).to_be_visible()
    expect(page.locator("body")).to_have_attribute("data-cloud", {"aws": "s3", "azure": "azure"}[page.way.cloud])
    look(page, "5-confirm")
    page.go_back()
    assert_filled_in(page, source, sshd, port, inbox)
    hand.press(page.get_by_role("button", name="Go on to confirm"))
    expect(page.get_by_role("heading", name="Check and confirm")).to_be_visible()
    # What is secret is not kept over a reload, and asked for again.
    page.reload()
    assert_filled_in(page, source, sshd, port, inbox)
    hand.press(page.get_by_role("button", name="Go on to confirm"))
    expect(page.get_by_text("Paste the private key.")).to_be_visible()
    type_secret(page, hand, sshd)
    hand.press(page.get_by_role("button", name="Go on to confirm"))
    lose_connection_at(page, hand, page.get_by_role("button", name="Confirm and open the tickets"))
    hand.press(page.get_by_role("button", name="Confirm and open the tickets"))


def read_tickets(page: Page, hand: Hand) -> None:
    """They stay for sixty seconds of the page's clock, over a reload too."""
    expect(page.get_by_role("heading", name="The tickets are open")).to_be_visible()
    expect(page.get_by_text("REQ0", exact=False).first).to_be_visible()
    expect(page.get_by_text("AUD0", exact=False).first).to_be_visible()
    look(page, "6-tickets")
    page.reload()
    expect(page.get_by_text("REQ0", exact=False).first).to_be_visible()
    if page.way.by_keyboard:
        hand.press(page.get_by_role("button", name="Go on to the delivery"))
    else:
        began = page.evaluate("JSON.parse(sessionStorage.getItem('fileferry.opened')).at")
        hold_clock(page, began + 59_500)
        expect(page.get_by_role("timer")).to_have_text("Goes on to the delivery in 1 second.")
        expect(page.get_by_role("button", name="Go on to the delivery")).to_be_visible()
        page.clock.run_for(1_000)
        page.clock.resume()
    expect(page.get_by_role("heading", name="Progress")).to_be_visible()


def pause_and_resume(page: Page, hand: Hand, slow_way) -> None:
    look(page, "7-delivery")
    lose_connection_at(page, hand, page.get_by_role("button", name="Pause"))
    hand.press(page.get_by_role("button", name="Try again"))
    # What is on its way is waited for, over a slow line.
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=30_000)
    look(page, "8-paused")
    page.reload()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    slow_way.open_up()
    hand.press(page.get_by_role("button", name="Resume"))
    expect(page.get_by_role("link", name="Download signed proof")).to_be_visible(timeout=30_000)


def leave(page: Page, hand: Hand) -> None:
    """Signed out by itself ten seconds after the end, or when the reader says so."""
    expect(page.get_by_role("heading", name="Delivered, and proven")).to_be_visible()
    look(page, "9-receipt")
    if page.way.by_keyboard:
        hand.press(page.get_by_role("button", name="Stay signed in"))
        page.clock.run_for(20_000)
        expect(page.get_by_role("link", name="Download signed proof")).to_be_visible()
        hand.press(page.get_by_role("button", name="Sign out"))
    else:
        hold_clock(page, page.evaluate("Date.now()") + 500)
        left = int(page.get_by_role("timer").inner_text().split()[5])
        assert 1 <= left <= 10
        page.clock.run_for((left - 1) * 1000)
        expect(page.get_by_role("timer")).to_have_text("You are signed out in 1 second.")
        page.clock.run_for(1_000)
        page.clock.resume()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("page", WAYS[:1], ids=str, indirect=True)
def test_who_signs_in_next_finds_nothing_of_the_one_before(page, sshd, inbox, source):
    hand = Hand(page, page.way.by_keyboard)
    sign_in(page, hand)
    fill_in(page, hand, source, sshd, sshd.port, inbox)
    hand.press(page.get_by_role("button", name="Go on to confirm"))
    expect(page.get_by_role("heading", name="Check and confirm")).to_be_visible()
    hand.press(page.get_by_role("button", name="Sign out"))
    # In the same tab, without loading the page anew.
    hand.type(page.get_by_label("User name"), "admin")
    hand.type(page.get_by_label("Password"), ADMIN_PASSWORD)
    hand.press(page.get_by_role("button", name="Sign in"))
    hand.press(page.get_by_role("navigation").get_by_role("link", name="New delivery"))
    expect(page.get_by_label("Title (optional)")).to_have_value("")
    expect(page.get_by_role("textbox", name="Private key (OpenSSH or PEM)", include_hidden=True)).to_have_value("")
    expect(page.get_by_role("textbox", name="Host", exact=True, include_hidden=True)).to_have_value("")


def card(page: Page, title: str) -> Locator:
    """The part of a page under this heading: two of them may say the same words."""
    return page.locator("section.card").filter(has=page.get_by_role("heading", name=title, exact=True))


@pytest.mark.slow
def test_connections_and_destinations_are_set_up_tried_and_removed(page, courier, request, weed, sshd, inbox):
    hand = Hand(page, page.way.by_keyboard)
    name = f"page-{uuid.uuid4().hex[:6]}"
    sign_in(page, hand)
    hand.press(page.get_by_role("navigation").get_by_role("link", name="Set-up"))
    hand.press(page.get_by_role("button", name="Add a connection"))
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_text("Letters, digits, - _ and ., and one at least.")).to_be_visible()
    hand.type(page.get_by_label("Name", exact=True), name)
    if page.way.cloud == "aws":
        hand.select(page.get_by_label("Storage", exact=True), "s3")
        secrets = {"Endpoint": weed.endpoint, "Access key ID": weed.access_key, "Secret access key": weed.secret_key}
    else:
        azure = request.getfixturevalue("azure")
        request.getfixturevalue("container")
        hand.select(page.get_by_label("Storage", exact=True), "azure")
        secrets = {"Storage account": ACCOUNT, "Endpoint": azure.endpoint, "Account key": KEY}
    for label, value in secrets.items():
        hand.type(page.get_by_role("textbox", name=label, exact=True), value)
    look(page, "10-new-connection")
    lose_connection_at(page, hand, page.get_by_role("button", name="Save", exact=True))
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(card(page, "Storage connections").get_by_text(f"{name} is saved.")).to_be_visible()
    hand.press(page.get_by_role("button", name=f"Try it: {name}"))
    expect(page.get_by_text(re.compile("The connection works: [1-9]"))).to_be_visible()

    hand.press(page.get_by_role("button", name="Add a destination"))
    hand.type(page.get_by_label("Name", exact=True), name)
    for label, value in {"Host": "127.0.0.1", "Port": str(sshd.port), "User name": sshd.user, "Folder": str(inbox)}.items():
        hand.type(page.get_by_role("textbox", name=label, exact=True), value)
    hand.pick(page.get_by_role("radio", name="Private key", exact=True))
    type_secret(page, hand, sshd)
    hand.press(page.get_by_role("button", name="Test the destination"))
    hand.press(page.get_by_role("button", name="It is the right key: pin it"))
    expect(page.get_by_text("Pinned. Only this key will be trusted.")).to_be_visible()
    look(page, "11-new-destination")
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(card(page, "Destinations").get_by_text(f"{name} is saved.")).to_be_visible()
    saved = next(one for one in courier.admin.Transfer.ListDestinations().destinations if one.name == name)
    assert saved.has_private_key and list(saved.host_keys.fingerprints) == [sshd.fingerprint]
    hand.press(page.get_by_role("button", name=f"Test it: {name}"))
    expect(page.get_by_text("The destination works.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name=f"Test it: {name}")).to_be_visible()
    look(page, "12-set-up")
    for _ in range(2):  # the connection and the destination
        hand.press(page.get_by_role("button", name=f"Remove: {name}").first)
        hand.press(page.get_by_role("button", name="Keep it"))
        hand.press(page.get_by_role("button", name=f"Remove: {name}").first)
        expect(page.get_by_text(f"Remove {name}?")).to_be_visible()
        hand.press(page.get_by_role("button", name="Remove it"))
        expect(page.get_by_text(f"Remove {name}?")).to_be_hidden()
    expect(page.locator("section.card").get_by_text(name)).to_have_count(0)
    assert name not in [one.name for one in courier.admin.StorageBroker.ListConnections().connections]
    assert name not in [one.name for one in courier.admin.Transfer.ListDestinations().destinations]


@pytest.mark.slow
@pytest.mark.parametrize("page", WAYS[1:], ids=str, indirect=True)
def test_people_are_added_changed_and_kept_out(page, courier):
    hand = Hand(page, page.way.by_keyboard)
    name, password = f"grace-{uuid.uuid4().hex[:6]}", "long enough to be safe"
    sign_in(page, hand)
    hand.press(page.get_by_role("navigation").get_by_role("link", name="Set-up"))
    hand.press(page.get_by_role("button", name="Add a person"))
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_text("Say the user name.")).to_be_visible()
    for label, value in {"User name": name, "Full name": "Grace Hopper", "First password": "short"}.items():
        hand.type(page.get_by_label(label, exact=True), value)
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_role("alert").filter(has_text="password")).to_be_visible()
    hand.type(page.get_by_label("First password", exact=True), password)
    look(page, "13-new-person")
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_text(f"{name} is saved.")).to_be_visible()
    # The other ways' people have the same roles and are kept out too: what is said must stand in this one's row.
    row = page.get_by_role("listitem").filter(has_text=name)
    hand.press(page.get_by_role("button", name=f"Change: {name}"))
    auditor = page.get_by_label("Auditor", exact=True)
    if page.way.by_keyboard:
        hand.reach(auditor)
        page.keyboard.press("Space")
    else:
        auditor.check()
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(row.get_by_text("Requester, Auditor")).to_be_visible()
    person = courier.system.client(name, password)
    assert list(person.Auth.WhoAmI().roles) == [api.ROLE_REQUESTER, api.ROLE_AUDITOR]
    hand.press(page.get_by_role("button", name=f"Change: {name}"))
    out = page.get_by_label("Keep this person out")
    if page.way.by_keyboard:
        hand.reach(out)
        page.keyboard.press("Space")
    else:
        out.check()
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(row.get_by_text("Kept out", exact=True)).to_be_visible()
    look(page, "14-people")
    with pytest.raises(grpc.RpcError, match="This user is disabled"):
        courier.system.anonymous().Auth.SignIn(user_name=name, password=password)
    # Nobody else's affair: who is no administrator is not shown the people, and refused by the service.
    other = courier.system.make_user(f"clerk-{uuid.uuid4().hex[:6]}", "operator")
    refused = page.request.get("/api/v1/users", headers={"Authorization": f"Bearer {other.token()}"})
    assert refused.status == 403


@pytest.mark.slow
@pytest.mark.parametrize("page", [WAYS[0], WAYS[2]], ids=str, indirect=True)
def test_the_forms_options_are_what_is_delivered(page, courier, sshd, inbox):
    """A pattern, what it leaves out, and how the files are named: kept over a reload, told before the start, and done."""
    hand = Hand(page, page.way.by_keyboard)
    sign_in(page, hand)
    fill_in(page, hand, ("default", "samples", f"{samples.SMALL_PREFIX}**/*.csv"), sshd, sshd.port, inbox)
    expect(page.get_by_text(f"pattern {samples.SMALL_PREFIX}**/*.csv")).to_be_visible()
    hand.press(page.locator("summary", has_text="More options"))
    hand.type(page.get_by_label("Leave out"), "*space*\n*star*")
    hand.type(page.get_by_label("Names there"), "{index}-{name}")
    hand.pick(page.get_by_role("radio", name="All files into one"))
    hand.pick(page.get_by_role("radio", name="Capital"))
    hand.pick(page.get_by_role("radio", name="All: .gz"))
    sidecar = page.get_by_label("Put a .sha256 file beside each")
    if page.way.by_keyboard:
        hand.reach(sidecar)
        page.keyboard.press("Space")
    else:
        sidecar.check()
    hand.type(page.get_by_label("Permissions"), "9")
    hand.press(page.get_by_role("button", name="Go on to confirm"))
    expect(page.get_by_text("Three digits from 0 to 7, such as 640.")).to_be_visible()
    hand.type(page.get_by_label("Permissions"), "640")
    look(page, "3-options")
    page.reload()
    expect(page.get_by_text(f"pattern {samples.SMALL_PREFIX}**/*.csv")).to_be_visible()
    expect(page.get_by_label("Leave out")).to_have_value("*space*\n*star*")
    expect(sidecar).to_be_checked()
    type_secret(page, hand, sshd)
    hand.press(page.get_by_role("button", name="Go on to confirm"))
    for told in ["*space*, *star*", "All files into one", "{index}-{name}", "Capital", "All: .gz", "0640", "Put a .sha256 file beside each"]:
        expect(page.get_by_text(told, exact=True)).to_be_visible()
    look(page, "5-confirm-options")
    hand.press(page.get_by_role("button", name="Confirm and open the tickets"))
    hand.press(page.get_by_role("button", name="Go on to the delivery"))
    expect(page.get_by_role("link", name="Download signed proof")).to_be_visible(timeout=60_000)
    chosen = {key: data for key, data in samples.small().items()
              if key.endswith(".csv") and "space" not in key.rsplit("/")[-1] and "star" not in key.rsplit("/")[-1]}
    came = {path.name: path.read_bytes() for path in inbox.iterdir()}
    files = {name: data for name, data in came.items() if not name.endswith(".sha256")}
    assert len(chosen) > 10 and len(came) == 2 * len(files)
    assert sorted(map(gzip.decompress, files.values())) == sorted(chosen.values())
    assert all(re.fullmatch(r"\d+-.+\.CSV\.gz", name) for name in files), sorted(files)
    look(page, "6-compressed")
    assert {path.stat().st_mode & 0o777 for path in inbox.iterdir() if path.name in files} == {0o640}
    # The day's bar on the overview.
    page.goto("/#/")
    expect(page.get_by_role("img", name=re.compile(r"[1-9]\d* delivered"))).to_be_visible()
    look(page, "2-week")


@pytest.mark.slow
@pytest.mark.parametrize("page", [WAYS[0], WAYS[2]], ids=str, indirect=True)
def test_the_same_files_go_to_several_servers(page, courier, sshd, inbox):
    """A saved destination is chosen beside the server that is spelled out: two pairs of tickets, and each delivery leads to the
    other."""
    hand = Hand(page, page.way.by_keyboard)
    first, second = inbox / "first", inbox / "second"
    first.mkdir()
    second.mkdir()
    partner = f"partner-{uuid.uuid4().hex[:6]}"
    courier.save_destination(partner, sshd.url(second) + "/")
    sign_in(page, hand)
    name = min(name for name in samples.small() if re.fullmatch(r"\w+\.csv|plain.*", name, re.ASCII))
    key = samples.SMALL_PREFIX + name
    fill_in(page, hand, ("default", "samples", key), sshd, sshd.port, first)
    hand.press(page.locator("summary", has_text="The same files also to"))
    box = page.get_by_label(re.compile(rf"^{partner} "))
    if page.way.by_keyboard:
        hand.reach(box)
        page.keyboard.press("Space")
    else:
        box.check()
    page.reload()
    expect(box).to_be_checked()
    type_secret(page, hand, sshd)
    hand.press(page.get_by_role("button", name="Go on to confirm"))
    expect(page.get_by_text(sshd.url(second) + "/")).to_be_visible()
    look(page, "5-confirm-several")
    hand.press(page.get_by_role("button", name="Confirm and open the tickets"))
    expect(page.get_by_text(re.compile("^REQ"))).to_have_count(2)
    look(page, "6-tickets-several")
    hand.press(page.get_by_role("button", name="Go on to the delivery"))
    expect(page.get_by_role("link", name="Download signed proof")).to_be_visible(timeout=60_000)
    look(page, "7-together")
    hand.press(page.get_by_role("link", name=sshd.url(second), exact=False).last)
    expect(page.get_by_role("link", name="Download signed proof")).to_be_visible(timeout=60_000)
    for folder in (first, second):
        assert [file.read_bytes() for file in folder.iterdir()] == [samples.small()[name]]


@pytest.mark.slow
def test_the_whole_journey(page, courier, sshd, slow_way, inbox, source):
    slow_way.bytes_per_second = 4 << 20
    hand = Hand(page, page.way.by_keyboard)
    before = len(courier.admin.Transfer.ListDeliveries(page_size=100).deliveries)
    sign_in(page, hand)
    look(page, "2-overview")
    fill_in(page, hand, source, sshd, slow_way.port, inbox)
    lose_connection_at(page, hand, page.get_by_role("button", name="Check first"))
    hand.press(page.get_by_role("button", name="Check first"))
    expect(page.get_by_text("Nothing stands in the way.")).to_be_visible()
    look(page, "4-dry-run")
    page.reload()
    assert_filled_in(page, source, sshd, slow_way.port, inbox)
    type_secret(page, hand, sshd)
    confirm(page, hand, source, sshd, slow_way.port, inbox)
    read_tickets(page, hand)
    pause_and_resume(page, hand, slow_way)
    leave(page, hand)
    assert (inbox / "data.bin").read_bytes() == samples.big()
    assert len(courier.admin.Transfer.ListDeliveries(page_size=100).deliveries) == before + 1, "confirmed once, started twice"
