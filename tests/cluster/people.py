"""People and programs before the cluster: what they ask for, what they were answered, and what they know
for certain at the end.

Each is one thread with one connection to HAProxy, and asks for one thing at a time. A form that was not
answered, or answered 503, is sent again as it was, as the portal's pages advise. A program and a person
show dead passwords and ended sessions to every instance directly: none may let them in.
"""

import base64
import collections
import dataclasses
import html
import http.client
import itertools
import json
import random
import re
import threading
import time
import urllib.parse

from cluster import NODES

OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PUBLIC_PAGES = ["/connexion", "/plan-du-site", "/accessibilite", "/mentions-legales", "/documentation-api"]
HEALTH_CHECK, OWN_ACCOUNT, TOKEN = "/cpro/transverses/v1/health-check", "/api/moi", "/api/oauth/token"
# Outcomes that are as asked for.
REPEATED = "repeated"
GOOD = ("ok", REPEATED)
# Longer than the portal may take for any answer.
TIMEOUT = 35
# Sensitive acts ask for the password again after 15 minutes.
FRESH_SECONDS = 12 * 60
# People pause between two things that they do, in seconds; after a 503, too.
PAUSE, PAUSE_AFTER_503 = 0.15, 0.2


@dataclasses.dataclass
class Answer:
    """`outcome` is one of `GOOD`, a status, or what became of the connection."""

    outcome: str
    status: int = 0
    location: str = ""
    text: str = ""
    cookies: tuple = ()
    seconds: float = 0

    def is_no_answer(self):
        """Whether the same thing is to be asked again."""
        return self.status == 0 or self.status >= 500 or self.status == 429

    def read(self, pattern):
        """What the pattern's group matches in the page."""
        found = re.search(pattern, self.text)
        words = re.sub(r"(\s|<[^>]*>)+", " ", self.text)
        assert found, f"{pattern} is not in {self.status} {self.location} {words[:2000]}"
        return found[1]


def outcome_of(status, headers):
    if status < 400:
        return "ok"
    if status != 503:
        return str(status)
    if "content-security-policy" not in headers:
        return "503 of HAProxy"
    return "503" if "retry-after" in headers else "503 without Retry-After"


class Connection:
    """A connection that is opened again when it was closed.

    A GET on a connection that had been kept, and was closed at that moment without an answer, is repeated
    once, as browsers do (RFC 9110 §9.2.2). Its outcome says so where it then succeeds.
    """

    def __init__(self, address, source=None, trust=None):
        self.address, self.source, self.trust, self.open = address, source, trust, None

    def connect(self):
        more = {"timeout": TIMEOUT, "source_address": (self.source, 0) if self.source else None}
        if self.trust:
            return http.client.HTTPSConnection(*self.address, context=self.trust, **more)
        return http.client.HTTPConnection(*self.address, **more)

    def ask(self, method, path, body=None, headers=None):
        start, was_kept = time.monotonic(), self.open is not None
        answer = self.ask_once(method, path, body, headers or {})
        if answer.outcome == "cut" and was_kept and method == "GET":
            answer = self.ask_once(method, path, body, headers or {})
            answer.outcome = REPEATED if answer.outcome == "ok" else answer.outcome
        answer.seconds = time.monotonic() - start
        return answer

    def ask_once(self, method, path, body, headers):
        try:
            self.open = self.open or self.connect()
            self.open.request(method, path, body, headers)
            got = self.open.getresponse()
            text = got.read().decode(errors="replace")
            found = {name.lower(): value for name, value in got.getheaders()}
            cookies = tuple(value.split(";", 1)[0] for name, value in got.getheaders() if name.lower() == "set-cookie")
            if found.get("connection") == "close":
                self.close()
            answer = Answer(outcome_of(got.status, found), got.status, found.get("location", ""), text, cookies)
        except ConnectionRefusedError:
            answer = Answer("refused")
            self.close()
        except TimeoutError:
            answer = Answer("no answer in time")
            self.close()
        except (OSError, http.client.HTTPException):
            answer = Answer("cut")
            self.close()
        return answer

    def close(self):
        if self.open:
            self.open.close()
        self.open = None


@dataclasses.dataclass
class Account:
    """A technical user as the person who created it knows it."""

    id: int
    login: str
    # Shown passwords, the latest last; None where the only display was lost with its answer.
    passwords: list
    acts: int = 1


class Load:
    """All people and programs, what they were answered and what they know."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.over, self.lock = threading.Event(), threading.Lock()
        self.answers = collections.defaultdict(list)
        self.found = collections.defaultdict(list)
        self.acts = collections.Counter()
        self.accounts, self.labels, self.sessions = [], [], []
        self.threads = []
        # Of each thread, its connections to the instances.
        self.direct = threading.local()

    # --- Records ---------------------------------------------------------------------------------

    def record(self, kind, answer):
        end = time.monotonic()
        with self.lock:
            self.answers[kind].append((end, answer.outcome, answer.seconds))

    def find(self, what, detail):
        """Notes what must never be."""
        with self.lock:
            self.found[what].append(f"{time.strftime('%H:%M:%S')} {detail}")

    def acted(self, act):
        with self.lock:
            self.acts[act] += 1

    # --- Instances, each asked directly ------------------------------------------------------------

    def ask_each(self, method, path, headers):
        """The answers of those instances that answer, each asked from a network of its own."""
        for node in NODES:
            network = ".".join(str(random.randrange(1, 250)) for _ in range(3))
            kept = self.direct.__dict__.setdefault(node, Connection(self.cluster.instance_addresses[node], trust=self.cluster.trust))
            yield node, kept.ask(method, path, None, headers | {"X-Forwarded-For": f"10.{network}"})

    def check_dead(self, account, password):
        """A password that was replaced must open nothing, anywhere, from now on."""
        for node, answer in self.ask_each("GET", HEALTH_CHECK, cpro_account(account.login, password)):
            if answer.status == 200:
                self.find("stale answers", f"{node} let in a dead password of {account.login}")

    def check_ended(self, session):
        for node, answer in self.ask_each("GET", "/mon-compte", OWN_PAGE | session):
            if answer.status == 200:
                self.find("stale answers", f"{node} opened a page to a session that was ended")

    def check_label(self, browser, path, label):
        for node, answer in self.ask_each("GET", path, OWN_PAGE | browser.cookie_header()):
            if answer.status == 200 and label not in answer.text:
                self.find("stale answers", f"{node} does not show {label}")

    # --- Start and end -----------------------------------------------------------------------------

    def start(self):
        manager, other = self.cluster.people[0], self.cluster.people[1]
        structures = Browser(self, manager, 1).structures()
        called = Browser(self, other, 2)
        account = called.create(called.structures()[0], "Chaos : appels")
        self.accounts.append(account)
        workers = [
            lambda: self.read_public_pages(3),
            lambda: self.read_pages(Browser(self, manager, 4), structures),
            lambda: self.call(5, account),
            lambda: self.change_labels(Browser(self, manager, 6), structures[0]),
            lambda: self.sign_in_and_out(other, 7),
            lambda: self.create_and_reset(Browser(self, manager, 8), structures[1::2]),
            lambda: self.create_and_reset(Browser(self, manager, 9), structures[2::2]),
            *[lambda node=node: self.ask_ready(node) for node in NODES],
        ]
        self.threads = [threading.Thread(target=self.guarded, args=(worker,), daemon=True) for worker in workers]
        for thread in self.threads:
            thread.start()

    def guarded(self, worker):
        try:
            worker()
        except Exception as error:  # noqa: BLE001: a worker that stops must be seen
            self.find("workers stopped", repr(error)[:3000])

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(90)

    def rest(self, seconds=PAUSE):
        self.over.wait(seconds)

    # --- Workers -----------------------------------------------------------------------------------

    def read_public_pages(self, number):
        """Pages without a session, on which the database has no part."""
        connection = Connection(self.cluster.web, source(number))
        for path in itertools.cycle(PUBLIC_PAGES):
            if self.over.is_set():
                return
            self.record("public", connection.ask("GET", path, headers=OWN_PAGE))
            self.rest()

    def read_pages(self, browser, structures):
        for structure in itertools.cycle(structures[:20]):
            if self.over.is_set():
                return
            browser.ask("page", "GET", f"/structures/{structure}")
            self.rest()

    def call(self, number, account):
        """A program that calls with a token, and with login and password."""
        connection = Connection(self.cluster.web, source(number))
        password, token, renewal = account.passwords[-1], None, 0
        while not self.over.is_set():
            if token is None or time.monotonic() > renewal:
                fields = {"grant_type": "client_credentials", "client_id": account.login, "client_secret": password}
                answer = connection.ask("POST", TOKEN, urllib.parse.urlencode(fields), FORM)
                granted = json.loads(answer.text) if answer.status == 200 else {}
                token = granted.get("access_token")
                renewal = time.monotonic() + granted.get("expires_in", 0) * 2 / 3
                self.record("call", answer)
            if token:
                self.record("call", connection.ask("GET", OWN_ACCOUNT, headers={"Authorization": f"Bearer {token}"}))
            self.record("call", connection.ask("GET", HEALTH_CHECK, headers=cpro_account(account.login, password)))
            self.rest()

    def change_labels(self, browser, structure):
        account = browser.create(structure, "Chaos : libellé 0.")
        self.accounts.append(account)
        path, shown = f"/utilisateurs-techniques/{account.id}", "Chaos : libellé 0."
        for number in itertools.count(1):
            if self.over.is_set():
                return
            label = f"Chaos : libellé {number}."
            answer = browser.insist("write", "POST", f"{path}/libelle", {"precedent": shown, "libelle": label})
            if answer.status != 303:
                self.find("acts refused", f"label {number}: {answer.status}")
                shown = browser.insist("page", "GET", path).read(r'name="precedent" value="([^"]*)"')
                continue
            self.acted("labels")
            self.labels.append(label)
            shown = label
            if number % 8 == 0:
                self.check_label(browser, path, label)
            self.rest()
            browser.stay_fresh()

    def sign_in_and_out(self, person, number):
        """Some sessions are kept to the end, the others are closed at once."""
        for number_of in itertools.count():
            if self.over.is_set():
                return
            browser = Browser(self, person, number)
            self.acted("sign-ins")
            session = browser.cookie_header()
            if number_of % 20 == 0:
                self.sessions.append(browser)
                self.sessions = self.sessions[-20:]
            elif browser.insist("write", "POST", "/deconnexion", {}).status == 303:
                self.acted("sign-outs")
                self.check_ended(session)
            self.rest(0.3)

    def create_and_reset(self, browser, structures):
        """In each structure in turn: one takes no more than RACCORD_MAX_TECHNICAL_USERS."""
        for number, structure in enumerate(itertools.cycle(structures), 1):
            if self.over.is_set():
                return
            account = browser.create(structure, f"Chaos : compte {number}")
            with self.lock:
                self.accounts.append(account)
            self.acted("creations")
            for _ in range(random.randrange(2, 7)):
                former = account.passwords[-1]
                if not browser.reset(account):
                    continue
                self.acted("resets")
                if former:
                    self.check_dead(account, former)
                if self.over.is_set():
                    return
            browser.stay_fresh()
            self.rest()

    def ask_ready(self, node):
        """A balancer, which wants an answer within a second."""
        while not self.over.is_set():
            connection = Connection(self.cluster.instance_addresses[node], trust=self.cluster.trust)
            self.record("ready", connection.ask("GET", "/readyz"))
            connection.close()
            self.rest(0.5)


class Browser:
    """A signed-in person. Whatever is not answered is asked again."""

    def __init__(self, load, person, number):
        self.load, self.person = load, person
        self.connection = Connection(load.cluster.web, source(number))
        self.sign_in()

    def cookie_header(self):
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def sign_in(self):
        self.cookies = {}
        fields = {"identifiant": self.person["login"], "mot-de-passe": self.person["password"]}
        answer = self.insist("write", "POST", "/connexion", fields)
        assert answer.status == 303, f"a right password was answered {answer.status}"
        self.since = time.monotonic()

    def stay_fresh(self):
        if time.monotonic() - self.since > FRESH_SECONDS:
            self.sign_in()

    def ask(self, kind, method, path, fields=None):
        """One request. A session that has not been closed must still be there."""
        body = None if fields is None else urllib.parse.urlencode(fields)
        headers = OWN_PAGE | self.cookie_header() | (FORM if body is not None else {})
        answer = self.connection.ask(method, path, body, headers)
        self.load.record(kind, answer)
        if answer.location.startswith("/connexion") and path not in ("/connexion", "/deconnexion"):
            self.load.find("sessions lost", f"{self.person['login']} at {path}")
            self.sign_in()
            return Answer("signed out")
        for cookie in answer.cookies:
            name, value = cookie.split("=", 1)
            self.cookies[name] = value
        return answer

    def insist(self, kind, method, path, fields=None):
        while True:
            answer = self.ask(kind, method, path, fields)
            # The identity is to be confirmed again; the same form still acts once.
            if answer.status == 403 and path != "/connexion":
                self.sign_in()
                continue
            if not answer.is_no_answer():
                return answer
            time.sleep(PAUSE_AFTER_503)

    def structures(self):
        page = self.insist("page", "GET", "/activites").text
        return list(dict.fromkeys(re.findall(r'href="/structures/(\d+)"', page)))

    def token_of(self, path):
        """The token of a page's form, and the page."""
        page = self.insist("page", "GET", path)
        return page.read(r'name="jeton" value="([^"]+)"'), page

    def create(self, structure, label):
        path = f"/structures/{structure}/utilisateurs-techniques"
        token, _ = self.token_of(f"{path}/nouveau")
        answer = self.insist("write", "POST", path, {"jeton": token, "libelle": label})
        assert answer.status == 303, f"a creation was answered {answer.status}"
        login, password = self.display(answer.location)
        return Account(int(answer.location.split("/")[2]), login, [password])

    def reset(self, account):
        """Whether it was acknowledged."""
        path = f"/utilisateurs-techniques/{account.id}"
        token, page = self.token_of(path)
        version = page.read(r'name="version" value="(\d+)"')
        answer = self.insist("write", "POST", f"{path}/mot-de-passe", {"jeton": token, "version": version, "ancien": "0"})
        if answer.status != 303:
            self.load.find("acts refused", f"reset of {account.login}: {answer.status}")
            return False
        account.acts += 1
        account.passwords.append(self.display(answer.location)[1])
        return True

    def display(self, path):
        """Login and password of a récapitulatif; no password where an earlier answer had it and was lost."""
        page = self.insist("page", "GET", path)
        login = page.read(r"(TECH_\d+_\w+)(?:<wbr>)?@cpro\.fr") + "@cpro.fr"
        shown = re.search(r'<output[^>]*id="mot-de-passe"[^>]*>(.*?)</output>', page.text, re.S)
        return login, html.unescape(re.sub(r"<[^>]*>", "", shown[1])).strip() if shown else None


def source(number):
    """An address of loopback for each person: a network of their own."""
    return f"127.50.{number}.1"


def cpro_account(login, password):
    return {"cpro-account": base64.b64encode(f"{login}:{password}".encode()).decode()}
