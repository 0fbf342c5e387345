"""Every command of ferry against a running system, once in a terminal (a pseudo-terminal) and once in a pipe: what it says, its
exit code, its JSON; bars that move on the one, plain lines in the other; passwords typed at a prompt that doesn't show them."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import samples
import servers
from contract import wait_until
from ferry_system import ADMIN_PASSWORD

pytestmark = pytest.mark.slow
TIMEOUT_SECONDS = 60
ESCAPE = "\x1b"
COLUMNS, ROWS = 160, 40


class Said:
    def __init__(self, code: int, text: str):
        self.code, self.text = code, text

    def json(self) -> dict:
        return json.loads(self.text)

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines()]


class Shell:
    """Runs ferry with a home of its own."""

    def __init__(self, system, home: pathlib.Path):
        self.program = system.binaries / "ferry"
        self.environment = dict(os.environ, FERRY_SERVER=system.address(), FERRY_HOME=str(home), TERM="xterm-256color")
        for name in ("FERRY_PASSWORD", "FERRY_NEW_PASSWORD", "FERRY_DESTINATION_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
            self.environment.pop(name, None)

    def __call__(self, *arguments, typed: str = "", code: int = 0) -> Said:
        said = self.run([str(self.program), *map(str, arguments)], typed)
        assert said.code == code, f"ferry {' '.join(map(str, arguments))} ended with {said.code}:\n{said.text}"
        return said


class Pipe(Shell):
    is_terminal = False

    def run(self, words: list[str], typed: str) -> Said:
        ended = subprocess.run(
            words, env=self.environment, input=typed + "\n" if typed else "", stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_SECONDS)
        assert ESCAPE not in ended.stdout and "\r" not in ended.stdout, f"not plain lines: {ended.stdout!r}"
        return Said(ended.returncode, ended.stdout)


class Terminal(Shell):
    is_terminal = True

    def run(self, words: list[str], typed: str) -> Said:
        process, screen = self.start(words)
        try:
            text, end, sent = "", time.monotonic() + TIMEOUT_SECONDS, not typed
            while time.monotonic() < end:
                ready, _, _ = select.select([screen], [], [], 0.2)
                if ready:
                    try:
                        some = os.read(screen, 65536)
                    except OSError:  # EIO: the program has closed its side
                        break
                    if not some:
                        break
                    text += some.decode()
                # Typed once the prompt is there, as people do.
                if not sent and ":" in text and not termios.tcgetattr(screen)[3] & termios.ECHO:
                    os.write(screen, f"{typed}\n".encode())
                    sent = True
            code = process.wait(timeout=max(0.1, end - time.monotonic()))
        finally:
            os.close(screen)
            if process.poll() is None:
                process.kill()
        assert not typed or typed not in text, "what was typed at the password's prompt shows on the screen"
        return Said(code, text.replace("\r\n", "\n"))

    def start(self, words: list[str]) -> tuple[subprocess.Popen, int]:
        screen, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        try:
            process = subprocess.Popen(
                words, env=self.environment, stdin=end, stdout=end, stderr=end, start_new_session=True)
        finally:
            os.close(end)
        return process, screen


@pytest.fixture(params=[Pipe, Terminal], ids=["pipe", "terminal"])
def new_ferry(request, system, tmp_path):
    """Nobody is signed in."""
    return request.param(system, tmp_path / "home")


@pytest.fixture
def ferry(new_ferry):
    """The administrator is signed in."""
    sign_in(new_ferry)
    return new_ferry


def sign_in(ferry: Shell) -> None:
    """At the prompt of a terminal; in a pipe, from standard input."""
    where = [] if ferry.is_terminal else ["--password-file", "-"]
    said = ferry("login", "--user", "admin", *where, typed=ADMIN_PASSWORD)
    assert "Signed in to " in said.text and said.text.rstrip().endswith("as admin.")


def identity(sshd) -> list:
    return ["--identity", sshd.identity, "--host-key", sshd.fingerprint]


def started(text: str) -> str:
    return re.search(r"dlv_\w+", text)[0]


# ---- Who


def test_signing_in_and_out(new_ferry):
    ferry = new_ferry
    assert "You are not signed in." in ferry("whoami", code=3).text
    wrong = [] if ferry.is_terminal else ["--password-file", "-"]
    assert "Next:" in ferry("login", "--user", "admin", *wrong, typed="not the password", code=3).text
    sign_in(ferry)
    assert re.search(r"admin \(.+\), roles: .*admin", ferry("whoami").text)
    assert ferry("whoami", "--json").json()["userName"] == "admin"
    session = pathlib.Path(ferry.environment["FERRY_HOME"]) / "session.json"
    assert session.stat().st_mode & 0o077 == 0
    assert ferry("logout").text == "Signed out.\n"
    assert not session.exists()
    assert "Next: sign in with 'ferry login" in ferry("status", code=3).text


def test_people(ferry):
    name = f"ada{os.urandom(3).hex()}"
    if ferry.is_terminal:
        ferry("user", "add", name, "--name", "Ada Lovelace", "--role", "requester", typed="a long enough password 1")
    else:
        ferry.environment["FERRY_NEW_PASSWORD"] = "a long enough password 1"
        ferry("user", "add", name, "--name", "Ada Lovelace", "--role", "requester")
    assert re.search(rf"{name}\s.*Ada Lovelace.*requester", ferry("user").text)
    assert name in [user["userName"] for user in ferry("user", "list", "--json").json()["users"]]
    assert "'sailor' is none of" in ferry("user", "add", "bob", "--name", "Bob", "--role", "sailor", code=64).text


# ---- Storage and destinations


def test_connections_and_listings(ferry, courier, tmp_path):
    root = tmp_path / "buckets"
    (root / "exports" / "2026").mkdir(parents=True)
    (root / "exports" / "a.txt").write_text("a")
    (root / "exports" / "2026" / "b.txt").write_text("bb")
    name = f"folder-{os.urandom(3).hex()}"
    ferry("connection", "add", name, "--provider", "folder", "--root", root)
    assert re.search(rf"{name}\s+folder", ferry("connection").text)
    assert name in [one["name"] for one in ferry("connection", "list", "--json").json()["connections"]]
    assert ferry("ls", "--connection", name).text == "exports\n"
    listed = ferry("ls", "s3://exports/", "--connection", name).text
    assert "2026/" in listed and "a.txt" in listed and "b.txt" not in listed
    assert "2026/b.txt" in ferry("ls", "s3://exports/", "--connection", name, "--recursive").text
    assert any("a.txt" in json.dumps(line) for line in ferry("ls", "s3://exports/", "--connection", name, "--json").lines())
    assert "samples" in ferry("ls").text
    ferry("connection", "remove", name)
    assert name not in ferry("connection").text
    assert "Next:" in ferry("ls", "--connection", name, code=1).text


def test_destinations(ferry, sshd, inbox):
    name, url = f"partner-{os.urandom(3).hex()}", sshd.url(inbox)
    ferry("destination", "add", name, url, *identity(sshd))
    assert re.search(rf"{name}\s.*{re.escape(url)}", ferry("destination").text)
    assert name in [one["name"] for one in ferry("destination", "list", "--json").json()["destinations"]]
    tested = ferry("destination", "test", name).text
    assert all(step in tested for step in ("connect", "login", "write", "rename", "delete")), tested
    assert ferry("destination", "test", name, "--json").json()["ok"]
    assert list(inbox.iterdir()) == []
    ferry("destination", "remove", name)
    assert name not in ferry("destination").text
    assert "Next:" in ferry("destination", "test", name, code=1).text


# ---- A delivery


def test_a_delivery_from_plan_to_proof(ferry, sshd, inbox, tmp_path):
    source, target = f"s3://samples/{samples.BIG_KEY}", [sshd.url(inbox), *identity(sshd)]
    planned = ferry("plan", source, *target).text
    assert "1 file" in planned and "64.0 MiB" in planned
    assert ferry("plan", source, *target, "--json").json()["files"] == "1"
    said = ferry("deliver", source, *target, "--watch").text
    assert (inbox / "data.bin").read_bytes() == samples.big()
    assert ("█" in said and f"\r{ESCAPE}[K" in said) == ferry.is_terminal, "a bar in a pipe, or none on the terminal"
    assert "REQ0" in said and "AUD0" in said
    delivery = started(said)

    assert delivery in ferry("status").text
    shown = ferry("status", delivery).text
    assert "succeeded" in shown and "ferry receipt" in shown
    assert ferry("status", delivery, "--json").json()["status"] == "DELIVERY_STATUS_SUCCEEDED"
    assert delivery in ferry("history", "--status", "succeeded").text
    assert [one["id"] for one in ferry("history", "--limit", "1", "--json").lines()] == [delivery]
    assert "'done' is none of" in ferry("history", "--status", "done", code=64).text
    followed = ferry("watch", delivery).text
    assert "receipt signed" in followed
    assert ferry("watch", delivery, "--json").lines()[-1]["kind"] == "DELIVERY_EVENT_KIND_ENDED"

    ticket = re.search(r"REQ\d+", said)[0]
    assert ticket in ferry("ticket").text
    assert "Verify done" in ferry("ticket", ticket).text
    assert ferry("ticket", ticket, "--json").json()["deliveryId"] == delivery
    assert "delivered" in ferry("notifications").text.lower()
    assert ferry("notifications", "--json").json()["notifications"]

    proof, key = tmp_path / "receipt.json", tmp_path / "key.jwk"
    assert "data.bin" in ferry("receipt", delivery).text
    ferry("receipt", delivery, "--output", proof)
    key.write_text(ferry("receipt-key").text)
    assert json.loads(key.read_text())["kty"] == "OKP"
    assert "data.bin" in ferry("verify", proof, "--key", key).text
    assert ferry("verify", proof, "--key", key, "--json").json()["deliveryId"] == delivery
    forged = json.loads(proof.read_text())
    forged["payload"] = forged["payload"][:-8] + "AAAAAAAA"
    proof.write_text(json.dumps(forged))
    ferry("verify", proof, "--key", key, code=1)


def test_steering_a_delivery(ferry, sshd, slow_way, inbox):
    slow_way.bytes_per_second = 4 << 20
    target = [sshd.url(inbox, slow_way.port), *identity(sshd)]
    delivery = started(ferry("deliver", f"s3://samples/{samples.BIG_KEY}", *target).text)
    assert "paused" in ferry("pause", delivery, "--reason", "until noon").text
    wait_until("the pause", lambda: "paused" in ferry("status", delivery).text, 60)
    assert "until noon" in ferry("status", delivery).text
    assert ferry("resume", delivery, "--json").json()["id"] == delivery
    assert "cancel" in ferry("cancel", delivery, "--reason", "not needed").text
    wait_until("the cancellation", lambda: "cancelled" in ferry("status", delivery).text, 60)
    assert list(inbox.iterdir()) == []
    slow_way.open_up()
    assert started(ferry("retry", delivery, *identity(sshd)[:2]).text) == delivery
    followed = ferry("watch", delivery).text
    assert "Cancelled: " in followed and "receipt signed" in followed, "the story ends where it was retried"
    assert (inbox / "data.bin").read_bytes() == samples.big()
    assert "Next:" in ferry("cancel", "dlv_NONE", code=1).text


def test_schedules(ferry, courier, sshd, inbox):
    name = f"nightly-{os.urandom(3).hex()}"
    ferry("destination", "add", name, sshd.url(inbox), *identity(sshd))
    source = f"s3://samples/{samples.BIG_KEY}"
    saving = ["schedule", "save", name, source, f"{name}:{{date}}/", "--time-zone", "Europe/Berlin", "--at"]
    assert "Next: " in ferry(*saving, "30 24 * * *", code=1).text
    assert "holds no secrets" in ferry(*saving, "@daily", *identity(sshd), code=64).text
    assert re.search(rf"Saved schedule {name}. Next run: \d{{4}}-", ferry(*saving, "30 6 * * MON-FRI").text)
    assert re.search(rf"{name}\s+30 6 \* \* MON-FRI Europe/Berlin\s", ferry("schedule").text)
    assert name in [one["name"] for one in ferry("schedule", "list", "--json").json()["schedules"]]
    assert ferry("schedule", "pause", name).text == f"Paused schedule {name}.\n"
    assert re.search(rf"{name}\s.*\spaused\s", ferry("schedule").text)
    assert "Next run: 2" in ferry("schedule", "resume", name).text
    said = ferry("schedule", "run", name, "--watch").text
    assert "REQ0" in said and "receipt signed" in said
    assert [file.read_bytes() for file in inbox.rglob("data.bin")] == [samples.big()]
    assert [one["id"] for one in ferry("history", "--schedule", name, "--json").lines()] == [started(said)]
    assert ferry("schedule", "remove", name).text == f"Removed schedule {name}.\n"
    assert "Next: " in ferry("schedule", "run", name, code=1).text
    assert "Next: " in ferry("schedule", "pause", name, code=1).text
    ferry("destination", "remove", name)


def test_questions_about_a_delivery(ferry, sshd, inbox):
    source = f"s3://samples/{samples.BIG_KEY}"
    delivery = started(ferry("deliver", source, sshd.url(inbox), *identity(sshd), "--watch").text)
    ticket = ferry("status", delivery, "--json").json()["userTicket"]
    assert f"Your ticket is {ticket}, the audit ticket AUD" in ferry("chat", delivery, "What are the ticket numbers?").text
    told = ferry("chat", delivery, "how is it proven", "--json").json()
    assert "signed receipt" in told["text"] and told["generator"] == "rules" and told["suggestions"]
    assert "Next:" in ferry("chat", "dlv_NONE", "why?", code=1).text
    if not ferry.is_terminal:
        said = ferry("chat", delivery, typed="how long did it take?\nwho asked for it?\n").text
        assert re.search(r"^It took .+\.$", said, re.M) and "asked for it, for" not in said and "Administrator asked for it." in said


def test_the_history_is_searched(ferry, sshd, inbox):
    title = f"Quarterly {os.urandom(4).hex()}"
    said = ferry("deliver", f"s3://samples/{samples.BIG_KEY}", sshd.url(inbox), *identity(sshd), "--title", title, "--watch").text
    today = time.strftime("%Y-%m-%d")
    shown = ferry("history", "--search", title.upper(), "--since", today, "--until", today).text
    assert started(said) in shown and len(shown.splitlines()) == 2
    assert ferry("history", "--search", title, "--until", "2026-01-01").text == "There are no such deliveries.\n"
    assert "is no day such as 2026-11-27" in ferry("history", "--since", "yesterday", code=64).text


# ---- The set-up


def examine(ferry: Shell, *arguments) -> str:
    """What the doctor says; its exit code is what it says."""
    said = ferry.run([str(ferry.program), "doctor", *arguments], "")
    assert said.code == (1 if "WRONG" in said.text else 0), said.text
    return said.text


def test_the_system_and_the_doctor(ferry, sshd, inbox):
    said = ferry("system").text
    assert said.count("ok  ") == 7 and "DOWN" not in said
    assert all(service["serving"] for service in ferry("system", "--json").json()["services"])
    name = f"doctor-{os.urandom(3).hex()}"
    ferry("destination", "add", name, sshd.url(inbox), *identity(sshd))
    # What other tests have left behind may be wrong; what is known here is not.
    said = examine(ferry)
    assert "ok     session: signed in as admin" in said and "ok     connection default" in said
    assert f"ok     destination {name}: every step works" in examine(ferry, "--destinations")
    ferry("connection", "add", name, "--provider", "s3", "--endpoint", "http://127.0.0.1:9", "--path-style", "--access-key", "k",
          "--secret-key-file", ferry.program.parent / "ferry.none", code=64)
    secret = inbox / "secret"
    secret.write_text("a secret key")
    ferry("connection", "add", name, "--provider", "s3", "--endpoint", "http://127.0.0.1:9", "--path-style", "--access-key", "k",
          "--secret-key-file", secret)
    try:
        said = ferry("doctor", code=1).text
        assert re.search(rf"WRONG  connection {name}: .+\n       Next: .+", said), said
        findings = {one["what"]: one for one in ferry("doctor", "--json", code=1).json()}
        assert findings["transfer"]["ok"] and findings["FileFerry"]["ok"]
        assert not findings[f"connection {name}"]["ok"] and findings[f"connection {name}"]["next"]
    finally:
        ferry("connection", "remove", name)
    gone = ferry("doctor", "--server", "127.0.0.1:9", code=1).text
    assert "WRONG  FileFerry" in gone and "Next: start it with 'ferry up'" in gone
    ferry("logout")
    assert "Next: sign in with 'ferry login" in ferry("doctor", code=1).text
    sign_in(ferry)
    ferry("destination", "remove", name)


def test_ferry_up_in_the_foreground(ferry, tmp_path):
    base, *_, http = servers.free_ports(8, consecutive=True)
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text(ADMIN_PASSWORD)
    words = [str(ferry.program), "up", "--data", str(tmp_path / "data"), "--base-port", str(base), "--http-port", str(http),
             "--first-admin-password-file", str(password)]
    log = tmp_path / "up.log"
    if ferry.is_terminal:
        process, screen = ferry.start(words)
    else:
        screen = None
        with open(log, "wb") as output:
            process = subprocess.Popen(words, env=ferry.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    said = ""
    try:
        def is_ready():
            nonlocal said
            if screen is None:
                said = log.read_text()
            elif select.select([screen], [], [], 0.1)[0]:
                said += os.read(screen, 65536).decode()
            assert process.poll() is None, said
            return "FileFerry is ready" in said

        wait_until("'FileFerry is ready'", is_ready, TIMEOUT_SECONDS)
        # As Ctrl-C in a terminal does.
        os.killpg(process.pid, signal.SIGINT) if ferry.is_terminal else process.send_signal(signal.SIGINT)
        assert process.wait(timeout=40) == 0
    finally:
        if process.poll() is None:
            process.kill()
        if screen is not None:
            os.close(screen)


# ---- Help, completion, wrong usage


def commands(ferry) -> list[list[str]]:
    """Every command there is, by ferry's own word."""

    def below(words: list[str]) -> list[list[str]]:
        text = ferry("help", *words).text if words else ferry("--help").text
        listed = text.split("SUBCOMMANDS:")[1].split("\n\n")[0] if "SUBCOMMANDS:" in text else ""
        names = re.findall(r"^  ([a-z][a-z-]*)", listed, re.MULTILINE)
        return [found for name in names for found in [[*words, name], *below([*words, name])]]

    return below([])


def test_every_command_has_help_with_an_example(new_ferry):
    found = commands(new_ferry)
    names = {words[0] for words in found}
    assert {"up", "login", "deliver", "plan", "status", "history", "watch", "pause", "resume", "cancel", "retry", "receipt",
            "receipt-key", "verify", "ls", "connection", "destination", "ticket", "user", "notifications", "system", "doctor",
            "whoami", "logout", "schedule", "chat"} == names
    for words in found:
        text = new_ferry("help", *words).text
        assert "SUBCOMMANDS:" in text or re.search(r"Examples?:", text), f"ferry {' '.join(words)} shows no example"


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_completion(new_ferry, kind, tmp_path):
    script = new_ferry("--generate-completion-script", kind).text
    assert all(word in script for word in ("deliver", "history", "doctor", "connection"))
    if kind == "bash":
        (tmp_path / "ferry.bash").write_text(script)
        ended = subprocess.run(["bash", "-n", tmp_path / "ferry.bash"], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr


def test_wrong_usage_and_an_absent_server(new_ferry):
    assert "Usage: ferry" in new_ferry("deliver", code=64).text
    assert "Unexpected argument 'histori'" in new_ferry("histori", code=64).text
    sign_in(new_ferry)
    said = new_ferry("whoami", "--server", "127.0.0.1:9", code=4).text
    assert "cannot be reached at 127.0.0.1:9" in said and "Next: start it with 'ferry up'" in said
