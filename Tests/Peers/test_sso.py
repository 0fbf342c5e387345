"""Signing in with a company's own account: once set up as AWS IAM Identity Center and once as Entra ID, at a real OpenID provider's
program, by a program over REST and by a person in Chromium."""
import json
import os
import re
import select
import subprocess
import urllib.parse

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from contract import wait_until
from oidc_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider
from test_command_line import Terminal
from test_pages import SCREENSHOTS, browser  # noqa: F401  (a fixture)

# The provider's program uses what its own libraries will drop one day.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ADA = {"name": "Ada Lovelace", "preferred_username": "ada@example.com", "email": "ada@example.com",
       "groups": ["g-operators", "g-everyone"]}
PEOPLE = {"ada": ADA, "grace": {"name": "Grace Hopper", "email": "grace@example.com", "roles": ["Ferry.Approver"]},
          "eve": {"name": "Eve", "email": "eve@example.com", "groups": ["g-everyone"]}}
ELSEWHERE = "http://127.0.0.1:9/back"


@pytest.fixture(scope="module")
def providers():
    found = {"aws": OpenIDProvider(PEOPLE), "microsoft": OpenIDProvider(PEOPLE)}
    yield found
    for provider in found.values():
        provider.stop()


@pytest.fixture(scope="module")
def system(start_system, providers, tmp_path_factory):
    directory = tmp_path_factory.mktemp("identity-providers")
    (directory / "client.secret").write_text(CLIENT_SECRET + "\n")
    roles = {"g-operators": ["operator", "requester"], "Ferry.Approver": ["approver"]}
    (directory / "providers.json").write_text(json.dumps({"providers": [
        {"id": name, "name": shown, "kind": name, "issuer": providers[name].issuer, "clientId": CLIENT_ID,
         "clientSecretFile": "client.secret", "roles": roles}
        for name, shown in {"aws": "AWS", "microsoft": "Microsoft"}.items()]}))
    return start_system("sso", identity_providers=str(directory / "providers.json"))


@pytest.fixture
def api(system) -> str:
    return f"http://127.0.0.1:{system.http_port}/api/v1"


def go(api: str, provider: str, subject: str) -> dict:
    """To the provider and back: what a program then shows to complete the sign-in."""
    begun = requests.post(f"{api}/sessions/sso/begin", json={"providerId": provider, "redirectUri": ELSEWHERE}).json()
    answer = requests.post(begun["authorizationUrl"], data={"sub": subject}, allow_redirects=False)
    assert answer.status_code == 302, answer.text[:500]
    assert answer.headers["Location"].startswith(ELSEWHERE)
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["Location"]).query))
    return {"flow": begun["flow"], "state": back["state"], "code": back["code"]}


def complete(api: str, shown: dict) -> requests.Response:
    return requests.post(f"{api}/sessions/sso", json=shown)


def test_the_providers_are_listed_for_everyone(api):
    assert requests.get(f"{api}/identity-providers").json() == {"providers": [
        {"id": "aws", "name": "AWS", "kind": "IDENTITY_PROVIDER_KIND_AWS"},
        {"id": "microsoft", "name": "Microsoft", "kind": "IDENTITY_PROVIDER_KIND_MICROSOFT"}]}


@pytest.mark.parametrize("provider", ["aws", "microsoft"])
@pytest.mark.parametrize("subject, roles", [("ada", ["ROLE_REQUESTER", "ROLE_OPERATOR"]), ("grace", ["ROLE_APPROVER"])])
def test_a_person_signs_in_with_the_roles_of_their_groups(api, system, provider, subject, roles):
    first = complete(api, go(api, provider, subject))
    assert first.status_code == 200, first.text
    session = first.json()
    assert session["user"]["roles"] == roles and session["user"]["person"]["name"] == PEOPLE[subject]["name"]
    me = requests.get(f"{api}/me", headers={"Authorization": f"Bearer {session['accessToken']}"})
    assert me.json()["person"] == session["user"]["person"]
    renewed = requests.post(f"{api}/sessions/refresh", json={"refreshToken": session["refreshToken"]})
    assert renewed.json()["user"]["person"] == session["user"]["person"]
    again = complete(api, go(api, provider, subject)).json()
    assert again["user"]["person"]["id"] == session["user"]["person"]["id"], "the same person became another user"


def test_the_same_subject_at_two_providers_is_two_people(api):
    ids = {complete(api, go(api, provider, "ada")).json()["user"]["person"]["id"] for provider in ["aws", "microsoft"]}
    assert len(ids) == 2


def test_whoever_has_no_role_is_told_what_to_do(api, system):
    refused = complete(api, go(api, "microsoft", "eve"))
    assert refused.status_code == 403 and refused.json()["code"] == "NO_ROLE" and "group" in refused.json()["nextStep"]
    assert "eve@example.com" not in [user.user_name for user in system.client().Auth.ListUsers(page_size=200).users]


def test_a_code_works_once_and_only_for_whoever_began(api, providers):
    stolen = go(api, "aws", "ada")
    mine = go(api, "aws", "grace")
    # Somebody else's code under one's own flow: the provider asks for the verifier that belongs to it.
    assert complete(api, mine | {"code": stolen["code"]}).status_code == 401
    assert providers["aws"].refusals[-1] == "invalid_grant"
    assert complete(api, mine | {"flow": stolen["flow"]}).json()["code"] == "SSO_MISMATCH"
    assert complete(api, mine).status_code == 200
    assert complete(api, mine).status_code == 401
    other = go(api, "microsoft", "ada")
    assert complete(api, other | {"flow": other["flow"][:-4] + "AAAA"}).json()["code"] == "SSO_EXPIRED"


def test_a_provider_that_is_away_is_told(api, system, providers, start_system, tmp_path):
    away = OpenIDProvider({})
    (tmp_path / "providers.json").write_text(json.dumps({"providers": [
        {"id": "away", "issuer": away.issuer, "clientId": "x", "defaultRoles": ["requester"]}]}))
    away.stop()
    other = start_system("sso-away", identity_providers=str(tmp_path / "providers.json"))
    answer = requests.post(f"http://127.0.0.1:{other.http_port}/api/v1/sessions/sso/begin",
                           json={"providerId": "away", "redirectUri": ELSEWHERE})
    assert answer.status_code == 503 and "away can't be asked" in answer.json()["detail"]
    other.stop()


# ---- On the command line


def open_address(system, home, *options: str) -> tuple[subprocess.Popen, str]:
    """`ferry login --sso`, and the address that it asks to be opened."""
    process = subprocess.Popen(
        [system.binaries / "ferry", "login", "--sso", "aws", *options], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, FERRY_SERVER=system.address(), FERRY_HOME=str(home)))
    assert process.stderr.readline().startswith("Open this address in a browser")
    return process, process.stderr.readline().strip()


def test_the_command_line_signs_in_through_a_browser(system, tmp_path):
    process, address = open_address(system, tmp_path, "--json")
    back = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["redirect_uri"][0]
    assert requests.get(back + "favicon.ico").status_code == 404
    answer = requests.post(address, data={"sub": "ada"})
    assert answer.status_code == 200 and "close this window" in answer.text
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and json.loads(said)["person"]["name"] == "Ada Lovelace"
    shown = system.ferry("whoami", home=tmp_path)
    assert "Ada Lovelace" in shown.stdout
    with pytest.raises(requests.ConnectionError):
        requests.get(back)


def test_the_command_line_signs_in_from_a_terminal(system, tmp_path):
    ferry = Terminal(system, tmp_path)
    process, screen = ferry.start([str(ferry.program), "login", "--sso", "aws"])
    said = ""

    def shown(text: str) -> bool:
        nonlocal said
        if select.select([screen], [], [], 0.1)[0]:
            try:
                said += os.read(screen, 65536).decode()
            except OSError:  # EIO: the program has closed its side
                pass
        return text in said

    try:
        wait_until("the address", lambda: shown("state=") and said.rstrip().count("\n") >= 1 and said.endswith("\n"), 20)
        address = re.search(r"https?://\S+", said)[0]
        assert requests.post(address, data={"sub": "ada"}).status_code == 200
        wait_until("the word that it worked", lambda: shown("Signed in to "), 20, seen=lambda: said)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        os.close(screen)
    assert "Ada Lovelace" in system.ferry("whoami", home=tmp_path).stdout


def test_a_refusal_at_the_provider_ends_the_command(system, tmp_path):
    process, address = open_address(system, tmp_path)
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
    requests.get(asked["redirect_uri"][0], params={"error": "access_denied", "state": asked["state"][0]})
    _, said = process.communicate(timeout=30)
    assert process.returncode == 3 and "AWS did not let you in: access_denied." in said and "Next:" in said
    unknown = system.ferry("login", "--sso", "nobody", home=tmp_path)
    assert unknown.returncode == 1 and "Next: Use one of aws, microsoft." in unknown.stderr
    both = system.ferry("login", "--sso", "aws", "--user", "ada", home=tmp_path)
    assert both.returncode != 0 and "--user NAME, or --sso PROVIDER" in both.stderr


# ---- In a browser


@pytest.fixture(params=[1280, 360])
def page(browser, system, request):
    context = browser.new_context(
        viewport={"width": request.param, "height": 900}, base_url=f"http://127.0.0.1:{system.http_port}")
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    context.close()
    assert wrong == []


def who(page) -> str:
    return page.evaluate("fetch('/api/v1/me').then(answer => answer.json())")["person"]["name"]


@pytest.mark.slow
@pytest.mark.parametrize("provider, button", [("aws", "Sign in with AWS"), ("microsoft", "Sign in with Microsoft")])
def test_a_person_signs_in_with_their_companys_account(page, providers, provider, button):
    page.goto("/#/tickets")
    expect(page.get_by_role("button", name=button)).to_be_visible()
    page.screenshot(path=SCREENSHOTS / f"1-sign-in-providers-{page.viewport_size['width']}.png", full_page=True)
    found = [one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert found == []
    page.context.set_offline(True)
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("The FileFerry server does not answer.")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name=button).click()
    page.wait_for_url(providers[provider].issuer + "/**")
    # Back, and off again: nothing is lost by thinking twice.
    page.go_back()
    page.get_by_role("button", name=button).click()
    page.wait_for_url(providers[provider].issuer + "/**")
    page.locator('button[name="sub"][value="ada"], input[name="sub"][value="ada"]').first.click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert "code=" not in page.url and "state=" not in page.url
    assert who(page) == "Ada Lovelace"
    # Where they wanted to go when they were asked to sign in.
    expect(page.get_by_role("navigation").get_by_role("link", name="Tickets")).to_have_attribute("aria-current", "page")
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert set(cookies) == {"fileferry_access", "fileferry_refresh"}
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Strict" for cookie in cookies.values())
    page.reload()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert who(page) == "Ada Lovelace"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name=button)).to_be_visible()


@pytest.mark.slow
def test_a_refusal_and_a_forged_answer_are_told_on_the_sign_in_page(page, providers):
    page.goto("/")
    page.get_by_role("button", name="Sign in with Microsoft").click()
    page.wait_for_url(providers["microsoft"].issuer + "/**")
    state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.url).query))["state"]
    page.goto("/?" + urllib.parse.urlencode({"error": "access_denied", "error_description": "Not today", "state": state}))
    expect(page.get_by_text("Microsoft did not let you in: access_denied: Not today.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with Microsoft")).to_be_visible()
    page.goto("/?code=theirs&state=theirs")
    expect(page.get_by_text("This is not the sign-in that was begun in this browser.")).to_be_visible()
    assert "theirs" not in page.url
