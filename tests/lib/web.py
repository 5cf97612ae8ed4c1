"""A client of the REST API and the pages: a browser with a session, a script with a token, or a stranger."""

import http.client
import json
import ssl
from urllib.parse import quote, urlencode


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.getheaders()
        self.body = response.read()

    def header(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of an error; None of a success."""
        try:
            return self.json["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Web:
    """One browser or script. Cookies are kept as a browser keeps them, as far as it matters here."""

    def __init__(self, server, token=None, tls=False, headers=None):
        self.port = server.https_port if tls else server.http_port
        self.tls = tls
        self.token = token
        self.cookies = {}
        self.csrf = None
        self.headers = dict(headers or {})
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def _connect(self):
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def raw(self, method, target, headers=None, body=None):
        """One request with what this client always sends; header values None leave a header out."""
        fields = dict(self.headers)
        if self.token:
            fields["Authorization"] = "Bearer " + self.token
        if self.cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method not in ("GET", "HEAD") and self.csrf:
            fields["X-CSRF-Token"] = self.csrf
        fields.update(headers or {})
        fields = {name: value for name, value in fields.items() if value is not None}
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = self._connect()
            try:
                self.connection.request(method, target, body=body, headers=fields)
                answer = Answer(self.connection.getresponse())
                break
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                if attempt == 2:
                    raise
        for cookie in answer.all("Set-Cookie"):
            name, _, rest = cookie.partition("=")
            value = rest.split(";")[0]
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer

    def api(self, method, path, body=None, query=None, headers=None):
        target = "/api/v1" + path + ("?" + urlencode(query) if query else "")
        fields = dict(headers or {})
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.raw(method, target, fields, body)

    def get(self, path, **query):
        return self.api("GET", path, query=query)

    def post(self, path, **body):
        return self.api("POST", path, body)

    def put(self, path, **body):
        return self.api("PUT", path, body)

    def delete(self, path, **query):
        return self.api("DELETE", path, query=query)

    def sign_in(self, user, password=None):
        answer = self.api("POST", "/session", {"address": user.address, "password": password or user.password})
        if answer.status == 200:
            self.csrf = answer.json["csrf"]
        return answer


def at(*parts):
    """A path whose parts are escaped: at("users", "anna@example.org")."""
    return "/" + "/".join(quote(str(part), safe="") for part in parts)
