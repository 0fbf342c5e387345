"""The whole journey in a real Chromium: sign in, the form, its destination tested and its key pinned, the dry run, the delivery
with its eight states, paused and resumed, the receipt, signing out. Each page's picture is in .build/screenshots."""
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

import samples
from contract import ROOT
from ferry_system import ADMIN_PASSWORD

SCREENSHOTS = ROOT / ".build/screenshots"
CHROMIUM = "/usr/bin/chromium"
WIDTHS = {"wide": 1280, "narrow": 360}
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser():
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=WIDTHS)
def page(browser, request, courier):
    """A page of its own, and what went wrong in it."""
    context = browser.new_context(
        viewport={"width": WIDTHS[request.param], "height": 900}, base_url=f"http://127.0.0.1:{courier.system.http_port}")
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.kind = request.param
    yield page
    context.close()
    assert page.wrong == []


def look(page: Page, name: str) -> None:
    """A picture; nothing serious for people who can't see it; nothing that has to be scrolled sideways for."""
    page.screenshot(path=SCREENSHOTS / f"{name}-{page.kind}.png", full_page=True)
    found = [violation for violation in Axe().run(page).response["violations"]
             if violation["impact"] in ("serious", "critical")]
    assert found == [], [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"{name} is {over} pixels wider than the window"


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    look(page, "1-sign-in")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.mark.slow
def test_the_whole_journey(page, courier, sshd, slow_way, inbox):
    slow_way.bytes_per_second = 8 << 20
    sign_in(page)
    look(page, "2-overview")

    page.goto("/#/new?connection=default&bucket=samples&prefix=big%2F&file=big%2Fdata.bin")
    page.get_by_text("Another server").click()
    page.get_by_role("textbox", name="Host", exact=True).fill("127.0.0.1")
    page.get_by_role("textbox", name="Port", exact=True).fill(str(slow_way.port))
    page.get_by_role("textbox", name="User name", exact=True).fill(sshd.user)
    page.get_by_role("textbox", name="Folder", exact=True).fill(str(inbox))
    page.get_by_text("Private key", exact=True).click()
    page.get_by_role("textbox", name="Private key (OpenSSH or PEM)").fill(sshd.identity.read_text())
    page.get_by_role("button", name="Test the destination").click()
    expect(page.get_by_text(sshd.fingerprint, exact=True)).to_be_visible(timeout=20_000)
    look(page, "3-destination-tested")
    page.get_by_role("button", name="It is the right key: pin it").click()
    page.get_by_label("Assignment group").fill("Deliveries")
    page.get_by_role("button", name="Check first").click()
    expect(page.get_by_text("Nothing stands in the way.")).to_be_visible(timeout=20_000)
    look(page, "4-dry-run")

    page.get_by_role("button", name="Start delivery").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=20_000)
    look(page, "5-delivery")
    page.get_by_role("button", name="Pause").click()
    # What is on its way is waited for, over a slow line.
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=30_000)
    look(page, "6-paused")
    page.reload()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    slow_way.open_up()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("link", name="Download signed proof")).to_be_visible(timeout=30_000)
    look(page, "7-receipt")
    assert (inbox / "data.bin").read_bytes() == samples.big()

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
