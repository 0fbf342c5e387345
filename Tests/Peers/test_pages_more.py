"""In a real Chromium: a delivery put on a schedule from the form, run, paused and removed; the history along its line of time,
searched and filtered; the assistant's answers; and a receipt whose signature the browser checks itself, genuine and forged."""
import concurrent.futures
import datetime
import http.client
import re
import time
import uuid

import pytest
from playwright.sync_api import expect

import samples
from contract import api
from test_pages import OFFLINE, Hand, browser, look, lose_connection_at, page, sign_in  # noqa: F401  (fixtures)

GREAT = 100_000
FILLERS = 4
SMALL_KEY = samples.SMALL_PREFIX + next(iter(samples.small()))


def schedules(courier) -> dict:
    return {one.name: one for one in courier.admin.Transfer.ListSchedules().schedules}


@pytest.mark.slow
def test_a_delivery_is_put_on_a_schedule_run_paused_and_removed(page, courier, target, inbox):
    hand = Hand(page, page.way.by_keyboard)
    name = f"nightly-{uuid.uuid4().hex[:6]}"
    sign_in(page, hand)
    hand.press(page.get_by_role("navigation").get_by_role("link", name="Schedules"))
    hand.press(page.get_by_role("link", name="New schedule"))
    expect(page.get_by_label("Bucket").locator('option[value="samples"]')).to_be_attached()
    hand.select(page.get_by_label("Bucket"), "samples")
    hand.type(page.get_by_label("Or type a key"), SMALL_KEY)
    hand.press(page.get_by_role("button", name="Add", exact=True))
    hand.select(page.get_by_role("combobox", name="Destination"), target)
    hand.type(page.get_by_label("Assignment group"), "Deliveries")
    hand.press(page.get_by_role("button", name="Put on a schedule…"))
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_text("Letters, digits, - _ and ., and one at least.")).to_be_visible()
    hand.type(page.get_by_label("Name", exact=True), name)
    often = page.get_by_label("How often")
    if page.way.by_keyboard:
        hand.reach(often)
        page.keyboard.type("As in")
        expect(often).to_have_value("CRON")
    else:
        often.select_option("CRON")
    hand.type(page.get_by_label("Minute, hour, day, month, weekday"), "30 25 * * *")
    hand.type(page.get_by_label("Time zone"), "Europe/Berlin")
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_role("alert").filter(has_text="hour")).to_be_visible()
    hand.type(page.get_by_label("Minute, hour, day, month, weekday"), "30 6 * * MON-FRI")
    look(page, "15-on-a-schedule")
    lose_connection_at(page, hand, page.get_by_role("button", name="Save", exact=True))
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_text("Monday to Friday at 06:30, Europe/Berlin")).to_be_visible()
    saved = schedules(courier)[name]
    assert (saved.cron, saved.time_zone, saved.request.destination.name) == ("30 6 * * MON-FRI", "Europe/Berlin", target)

    hand.press(page.get_by_role("button", name=f"Pause: {name}"))
    expect(page.get_by_text("Paused", exact=False).first).to_be_visible()
    assert schedules(courier)[name].paused
    hand.press(page.get_by_role("button", name=f"Resume: {name}"))
    expect(page.get_by_role("button", name=f"Pause: {name}")).to_be_visible()
    hand.press(page.get_by_role("button", name=f"Run now: {name}"))
    expect(page.get_by_role("link", name="Download signed proof")).to_be_visible(timeout=60_000)
    assert [file.read_bytes() for file in inbox.rglob("*") if file.is_file()] == [samples.small()[SMALL_KEY.split("/", 1)[1]]]

    hand.press(page.get_by_role("button", name="Stay signed in"))
    hand.press(page.get_by_role("navigation").get_by_role("link", name="Schedules"))
    expect(page.get_by_role("link", name="last delivery").first).to_be_visible()
    look(page, "16-schedules")
    row = page.get_by_role("listitem").filter(has_text=name)
    hand.press(row.get_by_role("link", name="all deliveries"))
    expect(page.get_by_text(f"Those that the schedule {name} started.")).to_be_visible()
    expect(page.locator(".timeline .entry")).to_have_count(1)
    page.go_back()
    hand.press(page.get_by_role("button", name=f"Remove: {name}"))
    hand.press(page.get_by_role("button", name="Remove it"))
    expect(page.get_by_text(name, exact=True)).to_have_count(0)
    assert name not in schedules(courier)


@pytest.fixture(scope="module")
def great_folder(weed):
    """A bucket with a hundred thousand objects under one prefix, the last of them the largest. They come in by SeaweedFS's own
    door, which checks no signatures."""
    client = weed.client()
    client.create_bucket(Bucket="great")

    def fill(first: int) -> None:
        door = http.client.HTTPConnection("127.0.0.1", weed.filer_port)
        for index in range(first, GREAT, FILLERS):
            door.request("PUT", f"/buckets/great/day/part-{index:06}.csv", body=b"x" * (5000 if index == GREAT - 1 else 0))
            answer = door.getresponse()
            answer.read()
            assert answer.status == 201, answer.status
        door.close()

    with concurrent.futures.ThreadPoolExecutor(FILLERS) as pool:
        list(pool.map(fill, range(FILLERS)))
    client.put_object(Bucket="great", Key="day/sub/inner.txt", Body=b"inner")
    return "great"


@pytest.mark.slow
def test_a_folder_of_a_hundred_thousand_is_browsed_searched_and_sorted(page, great_folder):
    hand = Hand(page, page.way.by_keyboard)
    sign_in(page, hand)
    page.goto(f"/#/new?connection=default&bucket={great_folder}")
    hand.press(page.get_by_role("button", name="day/", exact=True))
    began = time.monotonic()
    expect(page.get_by_label("Select part-000000.csv")).to_be_visible()
    assert time.monotonic() - began < 5, "the first page was waited for"
    expect(page.get_by_text("and there are more.")).to_be_visible()
    rows = page.get_by_role("list", name="Folders and files").get_by_role("listitem")
    assert rows.count() < 40, "rows that nobody sees are elements"
    if page.way.by_keyboard:
        # Tab comes to one row; arrow keys go from row to row, and the next Tab leaves the list.
        hand.reach(page.get_by_label("Select part-000000.csv"))
        page.keyboard.press("End")
        expect(page.get_by_label("Select part-000999.csv")).to_be_focused()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Space")
        expect(page.get_by_text("1 chosen")).to_be_visible()
        expect(page.get_by_label("Select part-000998.csv")).to_be_checked()
        page.keyboard.press("Space")
        page.keyboard.press("Home")
        expect(page.get_by_label("Select part-000000.csv")).to_be_focused()
    # Down to what is not listed yet: it comes as it is looked at.
    for listed in ("2,000", "3,000"):
        page.locator(".entries-box").evaluate("box => { box.scrollTop = box.scrollHeight }")
        expect(page.get_by_text(f"{listed} listed, and there are more.")).to_be_visible()
    order = page.get_by_label("Order")
    if page.way.by_keyboard:
        hand.reach(order)
        page.keyboard.type("The largest")
        expect(order).to_have_value("LARGEST")
    else:
        order.select_option("LARGEST")
    expect(page.get_by_text("100,001 listed.")).to_be_visible(timeout=60_000)
    expect(rows.first).to_contain_text("part-099999.csv")
    expect(rows.first).to_contain_text("4.9 KiB")
    expect(rows.first).to_contain_text(str(datetime.date.today().year))
    look(page, "20-great-folder")
    hand.type(page.get_by_label("Search in this folder"), "PART-0999")
    expect(page.get_by_text("100 of 100,001 listed.")).to_be_visible()
    hand.press(page.get_by_role("button", name="Choose all 100"))
    expect(page.get_by_text("100 chosen")).to_be_visible()
    hand.type(page.get_by_label("Search in this folder"), "part-0")
    expect(page.get_by_text("100,000 of 100,001 listed.")).to_be_visible()
    hand.press(page.get_by_role("button", name="Choose all 100,000"))
    expect(page.locator(".browser").get_by_text("A delivery takes 1000 choices")).to_be_visible()
    expect(page.get_by_text("100 chosen")).to_be_visible()
    page.reload()
    expect(page.get_by_text("100 chosen")).to_be_visible()
    expect(page.get_by_text("and there are more.")).to_be_visible()
    # It stays at hand: a scroll through all of it, and each answer within a blink.
    slowest = page.evaluate("""async () => {
        const box = document.querySelector(".entries-box");
        let slowest = 0;
        for (let at = 0; at <= 20; at += 1) {
            const began = performance.now();
            box.scrollTop = box.scrollHeight * at / 20;
            box.dispatchEvent(new Event("scroll"));
            slowest = Math.max(slowest, performance.now() - began);
        }
        return slowest;
    }""")
    assert slowest < 100, f"a scroll took {slowest:.0f} ms"


@pytest.mark.slow
def test_the_history_is_a_line_of_time_that_is_searched(page, courier, sshd, inbox):
    hand = Hand(page, page.way.by_keyboard)
    mark = uuid.uuid4().hex[:8]
    made = []
    for word in ("Alpha", "Beta"):
        request = courier.request(sshd.url(inbox), key=SMALL_KEY)
        request.title = f"{word} {mark}"
        made.append(courier.client.Transfer.StartDelivery(request=request, credentials=courier.key_login()))
    for delivery in made:
        courier.wait(delivery.id)
    sign_in(page, hand)
    hand.press(page.get_by_role("navigation").get_by_role("link", name="Deliveries"))
    expect(page.locator(".timeline .day").first).to_be_visible()
    for link in page.get_by_role("navigation").get_by_role("link").all():
        box = link.bounding_box()
        assert box["x"] + box["width"] <= page.way.width, f"{link.inner_text()} is out of sight"
    hand.type(page.get_by_role("searchbox", name="Search"), mark)
    hand.press(page.get_by_role("button", name="Search"))
    entries = page.locator(".timeline .entry")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text(f"Beta {mark}")  # the newest first
    expect(page.locator(".timeline .day")).to_have_count(1)
    look(page, "17-history")
    hand.pick(page.get_by_role("radio", name="Failed"))
    expect(page.get_by_text("No deliveries of this kind.")).to_be_visible()
    hand.pick(page.get_by_role("radio", name="All"))
    expect(entries).to_have_count(2)
    # Days are the reader's own: a search that ends before today has none of today's.
    page.reload()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value(mark)
    page.get_by_label("From").fill("2026-01-02")
    page.get_by_label("Until").fill("2026-01-01")
    hand.press(page.get_by_role("button", name="Search"))
    expect(page.get_by_text("A day that is not before the first.")).to_be_visible()
    page.get_by_label("Until").fill("2026-01-03")
    hand.press(page.get_by_role("button", name="Search"))
    expect(page.get_by_text("No deliveries of this kind.")).to_be_visible()
    hand.press(page.get_by_role("button", name="Show all"))
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("")
    expect(entries.nth(1)).to_be_visible()



@pytest.mark.slow
def test_the_assistant_answers_beside_the_delivery(page, courier, sshd, inbox):
    hand = Hand(page, page.way.by_keyboard)
    delivery = courier.deliver(sshd.url(inbox), key="not/there.csv")
    assert delivery.status == api.DELIVERY_STATUS_FAILED
    sign_in(page, hand)
    page.goto(f"/#/deliveries/{delivery.id}")
    expect(page.get_by_role("button", name="How is it going?")).to_be_visible()
    card = page.locator("section", has=page.get_by_role("heading", name="Ask about this delivery"))
    page.context.set_offline(True)
    hand.press(page.get_by_role("button", name="How is it going?"))
    expect(card.get_by_text(OFFLINE)).to_be_visible()
    page.context.set_offline(False)
    hand.press(card.get_by_role("button", name="Try again"))
    talk = page.get_by_role("log", name="Ask about this delivery")
    expect(talk.locator("p").nth(1)).to_contain_text("It failed.")
    hand.press(page.get_by_role("button", name="Why did it fail?"))
    expect(talk.locator("p").nth(3)).to_contain_text("not/there.csv")
    hand.type(page.get_by_label("Your question"), "And the tickets?")
    page.keyboard.press("Enter")
    expect(talk.locator("p").nth(5)).to_contain_text(delivery.user_ticket)
    look(page, "19-chat")
    page.reload()
    expect(talk.locator("p")).to_have_count(6)


@pytest.mark.slow
def test_the_browser_checks_a_receipt_and_finds_a_forged_one(page, courier, sshd, inbox):
    hand = Hand(page, page.way.by_keyboard)
    delivery = courier.deliver(sshd.url(inbox), key=SMALL_KEY)
    sign_in(page, hand)
    # Its events come after the check: that it has ended is no reason to take away what the check found.
    held = []
    page.route(re.compile(rf"/{delivery.id}/events"), lambda route: held.append(route))
    page.goto(f"/#/deliveries/{delivery.id}")
    hand.press(page.get_by_role("button", name="Verify"))
    expect(page.get_by_text("The receipt is genuine")).to_be_visible()
    with page.expect_response(re.compile(rf"/deliveries/{delivery.id}$")):
        held[0].continue_()
    expect(page.get_by_text("the requester was notified, the tickets are closed").nth(1)).to_be_visible()
    expect(page.get_by_text("The receipt is genuine")).to_be_visible()
    page.unroute_all()
    look(page, "18-verified")

    def forge(route):
        proof = route.fetch().json()
        letter = proof["payload"][40]
        proof["payload"] = proof["payload"][:40] + ("A" if letter != "A" else "B") + proof["payload"][41:]
        route.fulfill(json=proof)

    page.route(re.compile(r"/receipt$"), forge)
    hand.press(page.get_by_role("button", name="Verify"))
    expect(page.get_by_text("The receipt is not genuine")).to_be_visible()
    expect(page.get_by_text("Its signature does not fit")).to_be_visible()
    page.unroute_all()
    # Signed, but with a key that is not this system's.
    page.route(re.compile(r"/receipt-key$"), lambda route: route.fulfill(
        json={"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
    hand.press(page.get_by_role("button", name="Verify"))
    expect(page.get_by_text("It is signed with another key than this FileFerry's.")).to_be_visible()
