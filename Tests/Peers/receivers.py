"""Where notifications arrive: a mail server (aiosmtpd) and a Teams webhook, both on loopback, both keeping what they got."""
import email
import email.policy
import http.server
import json
import threading

from aiosmtpd.controller import Controller

import servers


class MailReceiver:
    def __init__(self):
        self._messages: list[tuple[list[str], email.message.EmailMessage]] = []
        self.port = servers.free_ports(1)[0]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, server, session, envelope) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self._messages.append((envelope.rcpt_tos, message))
        return "250 Message accepted for delivery"

    def about(self, word: str) -> list[tuple[list[str], str]]:
        """(recipients, text) of every mail that holds the word."""
        found = []
        for recipients, message in self._messages:
            parts = [str(part.get_content()) for part in message.walk() if part.get_content_maintype() == "text"]
            text = "\n".join([str(message["subject"])] + parts)
            if word in text:
                found.append((recipients, text))
        return found

    def start(self) -> "MailReceiver":
        self._controller.start()
        return self

    def stop(self) -> None:
        self._controller.stop()


class TeamsReceiver:
    """Answers like a Teams workflow webhook: 202 for what was taken."""

    path = "/workflows/incoming"

    def __init__(self):
        self.cards: list[dict] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                is_ours = self.path.split("?")[0] == receiver.path
                if is_ours:
                    receiver.cards.append(json.loads(body))
                self.send_response(202 if is_ours else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass  # what arrived is kept, not printed

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{self.path}?sig=secret"

    def about(self, word: str) -> list[dict]:
        return [card for card in self.cards if word in json.dumps(card, ensure_ascii=False)]

    def start(self) -> "TeamsReceiver":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
