"""A real OpenID provider's program (PyPI's oidc-provider-mock) in this process, made as strict as the companies' own: the client
proves itself with its secret, a nonce is demanded, and the code is given only to whoever has the verifier (RFC 7636), which the
program itself does not look at."""
import base64
import hashlib
import threading
import urllib.parse

import flask
import oidc_provider_mock
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "fileferry", "the client's secret & more"


class OpenIDProvider:
    def __init__(self, people: dict[str, dict]):
        """`people`: claims by subject."""
        users = [oidc_provider_mock.User(sub=sub, claims=claims) for sub, claims in people.items()]
        self.app = oidc_provider_mock.app(require_nonce=True, user_claims=users)
        self.challenges: dict[str, str] = {}
        self.refusals: list[str] = []
        self.app.before_request(self._check_token_request)
        self.app.after_request(self._remember_challenge)
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _remember_challenge(self, response: flask.Response) -> flask.Response:
        if flask.request.path == "/oauth2/authorize" and response.status_code == 302:
            asked = flask.request.args
            answer = urllib.parse.parse_qs(urllib.parse.urlsplit(response.headers["Location"]).query)
            if "code" in answer and asked.get("code_challenge_method") == "S256":
                self.challenges[answer["code"][0]] = asked["code_challenge"]
        return response

    def _check_token_request(self):
        if flask.request.path != "/oauth2/token":
            return None
        form, client = flask.request.form, flask.request.authorization
        known = client and [urllib.parse.unquote(part) for part in (client.username, client.password)]
        if known != [CLIENT_ID, CLIENT_SECRET]:
            return self._refuse("invalid_client", 401)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        # A code is good for one use.
        if self.challenges.pop(form.get("code", ""), None) != challenge:
            return self._refuse("invalid_grant", 400)
        return None

    def _refuse(self, error: str, status: int):
        self.refusals.append(error)
        return flask.jsonify({"error": error}), status
