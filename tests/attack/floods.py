"""Floods a portal and measures what other people notice: floods.py [PART OF A FLOOD'S NAME]...

Starts the release binary with the demonstration on loopback, runs one flood after the other, and
prints a line for each. A second process plays the others: a manager who reads a page, a balancer
that asks /readyz, a person who signs in, one who confirms their identity, and a program that calls
the API. Networks are played by X-Forwarded-For behind the trusted proxy 127.0.0.1; where the limits
of connections are meant, by the addresses 127.x.y.1, which are not trusted.

What the figures mean: the generator runs on the machine that it floods. Requests are prebuilt, and
the flooding process has the lowest priority, but it takes processor time from the portal, and more
so on two cores. So latencies are worse than with attackers elsewhere, and closed loops (« 512
connections ») send less than attackers elsewhere would. Columns:

  page      median, 99 of 100, and the slowest, in milliseconds, of a page read on a new connection
  ready     answers of /readyz other than 200
  sign-in, confirm
            those of others that succeeded, of those tried
  api       99 of 100 right calls, in milliseconds, and those that failed
  rss       the portal's memory in MB: the most, and 15 s after a flood that takes memory (5 s after others)
  rows      rows of the table of delays after failures, and events of history, that the flood added
  resent    segments of the page's connections that the kernel sent again: each costs 200 ms or more
  answers   what the flood was answered, by status; 0: the connection was closed
"""

import asyncio
import base64
import collections
import hashlib
import itertools
import multiprocessing
import os
import pathlib
import re
import resource
import socket
import struct
import sys
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
from portal import TARGET, Manager, Portal  # noqa: E402

SECONDS = 15
# Floods of connections and answers must give their memory back.
HOLDS_MEMORY = ("slow", "idle", "new passwords")
OWN = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
# Signs that may each stand for several letters cost most to judge. This password is refused, so that
# it can be sent again.
COSTLY = "4!@@" * 10
SEARCH = "/cpro/structures/v1/rechercher"


# --- Requests ------------------------------------------------------------------------------------


def request(method, path, body="", kind="application/x-www-form-urlencoded", network="198.51.100.7", more=""):
    body = body.encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: portal\r\n{OWN}X-Forwarded-For: {network}\r\n{more}"
    if method == "POST":
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def form(path, fields, **more):
    return request("POST", path, urllib.parse.urlencode(fields), **more)


def call(path, body, login, password, network="198.51.100.8"):
    account = base64.b64encode(f"{login}:{password}".encode()).decode()
    return request("POST", path, body, "application/json", network, f"cpro-account: {account}\r\n")


def length_of_answer(data):
    """The length of the first answer in these bytes, or None where its end has not come yet."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    start = head.find(b"content-length: ")
    if start >= 0:
        return end + 4 + int(head[start + 16 :].split(b"\r", 1)[0])
    if b"transfer-encoding: chunked" in head:
        last = data.find(b"\r\n0\r\n\r\n", end)
        return last + 7 if last >= 0 else None
    return end + 4


# --- The others ----------------------------------------------------------------------------------


class Visitor:
    """Somebody with one connection, or a new one for each request."""

    def __init__(self, port, keeps_connection):
        self.port, self.keeps_connection, self.socket, self.resent = port, keeps_connection, None, 0

    def ask(self, sent):
        """Status, head and seconds. Status 0: no answer."""
        start = time.monotonic()
        try:
            if self.socket is None:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(sent)
            data = b""
            while (length := length_of_answer(data)) is None or len(data) < length:
                more = self.socket.recv(65536)
                if not more:
                    raise ConnectionError("closed")
                data += more
            status, head = int(data[9:12]), data.split(b"\r\n\r\n")[0].decode("latin-1")
            closes = "connection: close" in head.lower()
            # Of `struct tcp_info`: `tcpi_total_retrans`.
            self.resent += struct.unpack_from("I", self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]
        except (OSError, ValueError):
            status, head, closes = 0, "", True
        if closes or not self.keeps_connection:
            self.socket and self.socket.close()
            self.socket = None
        return status, head, time.monotonic() - start


def session_of(head):
    found = re.search(r"raccord-session-sans-https=[^;]+", head)
    return found and found[0]


def sign_in(port, person, network):
    fields = {"identifiant": person["login"], "mot-de-passe": person["password"]}
    return Visitor(port, False).ask(form("/connexion", fields, network=network))


def others(port, people, stop, results):
    """Acts as five others until told to stop; then sends all statuses and seconds."""
    confirming, program = people["confirming"], people["program"]
    found = {name: [] for name in ("page", "ready", "sign-in", "confirm", "api")}

    def page():
        visitor = Visitor(port, False)
        found["resent"] = visitor
        sent = request("GET", "/activites", network="203.0.113.1", more=f"Cookie: {people['reading']}\r\n")
        return lambda: visitor.ask(sent)

    def ready():
        visitor = Visitor(port, False)
        return lambda: visitor.ask(request("GET", "/readyz"))

    def signing_in():
        # In turns: a person's hundred and first session ends the one that was not seen for longest.
        turns = itertools.cycle(people["signing in"])
        return lambda: sign_in(port, next(turns), "203.0.114.1")

    def confirm():
        visitor = Visitor(port, False)
        session = [session_of(sign_in(port, confirming, "203.0.115.1")[1])]
        fields = {"confirmation-suite": "/mon-compte", "confirmation-mot-de-passe": confirming["password"]}

        def act():
            sent = form("/confirmation-identite", fields, network="203.0.115.1", more=f"Cookie: {session[0]}\r\n")
            answer = visitor.ask(sent)
            session[0] = session_of(answer[1]) or session[0]
            return answer

        return act

    def api():
        visitor = Visitor(port, True)
        sent = call("/cpro/structures/v1/consulter", '{"idStructureCPP":1}', *program, network="203.0.116.1")
        return lambda: visitor.ask(sent)

    def repeat(name, act, pause):
        while not stop.is_set():
            status, _, seconds = act()
            found[name].append((status, seconds))
            stop.wait(pause)

    parts = [("page", page(), 0.04), ("ready", ready(), 0.5), ("sign-in", signing_in(), 0.4), ("confirm", confirm(), 0.4), ("api", api(), 0.04)]
    threads = [threading.Thread(target=repeat, args=part) for part in parts]
    results.send("ready")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.send(found | {"resent": found["resent"].resent})


# --- Floods --------------------------------------------------------------------------------------


class Asking(asyncio.Protocol):
    """A connection that asks again as soon as it is answered, and connects again when closed."""

    def __init__(self, flood, number):
        self.flood, self.number, self.data, self.waits = flood, number, b"", False

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def ask(self):
        self.waits = False
        sent = self.flood.next(self.number)
        if sent is None:
            self.flood.idle.append(self)
            return
        self.waits = True
        self.transport.write(sent)

    def data_received(self, data):
        self.data = self.data + data if self.data else data
        length = length_of_answer(self.data)
        if length is None or len(self.data) < length:
            return
        self.flood.statuses[int(self.data[9:12])] += 1
        closes = b"connection: close" in self.data[:2000].lower()
        self.data = b""
        if closes:
            self.waits = False
            self.transport.close()
        else:
            self.ask()

    def connection_lost(self, _):
        if self.waits:
            self.flood.statuses[0] += 1
        if not self.flood.over:
            asyncio.get_running_loop().call_later(0.01, self.flood.connect, self.number)


class Requests:
    """Requests on so many connections, each as soon as the one before is answered; with `rate`, so
    many a second in all, whatever becomes of them."""

    def __init__(self, connections, make, rate=None):
        self.connections, self.make, self.rate = connections, make, rate
        self.statuses, self.idle, self.over, self.due = collections.Counter(), collections.deque(), False, 0

    def next(self, number):
        if self.rate is None:
            return self.make(number)
        if self.due < 1:
            return None
        self.due -= 1
        return self.make(number)

    def connect(self, number):
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.create_connection(lambda: Asking(self, number), "127.0.0.1", self.port))
        task.add_done_callback(lambda task: task.exception())

    async def run(self, port, stop):
        self.port = port
        for number in range(self.connections):
            self.connect(number)
        last = time.monotonic()
        while not stop.is_set():
            await asyncio.sleep(0.01)
            if self.rate:
                now = time.monotonic()
                self.due, last = min(self.due + (now - last) * self.rate, self.rate), now
                while self.due >= 1 and self.idle:
                    connection = self.idle.popleft()
                    if not connection.transport.is_closing():
                        connection.ask()
        self.over = True

    def flood(self, port, stop):
        asyncio.run(self.run(port, stop))
        return self.statuses


class Holding:
    """So many connections that are kept open: `start` is sent at once, `drip` every two seconds.
    Answers are read by 64 bytes every two seconds, or not at all. What is closed is opened again."""

    def __init__(self, connections, start=lambda number: b"", drip=b"", sources=("127.0.0.1",), reads=64):
        self.connections, self.start, self.drip, self.sources, self.reads = connections, start, drip, sources, reads
        self.statuses, self.held, self.unsent = collections.Counter(), {}, {}

    def open(self, number, port):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # Ends with a reset: ten thousand ports must not wait for a minute.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.settimeout(2)
        try:
            client.bind((self.sources[number % len(self.sources)], 0))
            client.connect(("127.0.0.1", port))
            client.setblocking(False)
            self.held[number], self.unsent[number] = client, self.start(number)
        except OSError:
            client.close()
            self.statuses["not opened"] += 1

    def tend(self, number, client):
        try:
            if self.unsent[number]:
                self.unsent[number] = self.unsent[number][client.send(self.unsent[number]) :]
            elif self.drip:
                client.send(self.drip)
            if self.reads:
                data = client.recv(self.reads)
                if not data:
                    raise ConnectionError("closed")
                if data.startswith(b"HTTP/1.1 "):
                    self.statuses[int(data[9:12])] += 1
        except BlockingIOError:
            pass
        except OSError:
            client.close()
            del self.held[number]
            self.statuses[0] += 1

    def flood(self, port, stop):
        most, round_ends = 0, 0
        while not stop.is_set():
            for number in range(self.connections):
                if number not in self.held and not stop.is_set():
                    self.open(number, port)
            for number, client in list(self.held.items()):
                self.tend(number, client)
            most = max(most, len(self.held))
            stop.wait(max(0, round_ends - time.monotonic()))
            round_ends = time.monotonic() + 2
        self.statuses["held"] = most
        return self.statuses


def flooding(flood, port, stop, results):
    os.nice(19)
    results.send(flood.flood(port, stop))


# --- Measuring -----------------------------------------------------------------------------------


def memory(portal):
    text = open(f"/proc/{portal.process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def percentile(seconds, part):
    seconds = sorted(seconds)
    return seconds[min(len(seconds) - 1, int(len(seconds) * part))] * 1000 if seconds else float("inf")


def rows(portal):
    return [int(count) for count in portal.sql("SELECT (SELECT count(*) FROM throttles), (SELECT count(*) FROM audit_events)").split("|")]


def measure(portal, port, people, name, flood, seconds):
    """Runs one flood and prints its line. Returns what is not as it should be."""
    context, stop = multiprocessing.get_context("fork"), multiprocessing.get_context("fork").Event()
    before = rows(portal)
    here, there = context.Pipe()
    flood_here, flood_there = context.Pipe()
    visitors = context.Process(target=others, args=(port, people, stop, there))
    visitors.start()
    here.recv()
    flooder = context.Process(target=flooding, args=(flood, port, stop, flood_there))
    flooder.start()
    most, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        most = max(most, memory(portal))
        time.sleep(0.2)
    stop.set()
    found = here.recv()
    answers = flood_here.recv() if flood_here.poll(30) else {}
    visitors.join()
    flooder.join(5)
    flooder.kill()
    time.sleep(15 if any(word in name for word in HOLDS_MEMORY) else 5)
    after, added = memory(portal), [now - then for now, then in zip(rows(portal), before)]

    def of(name, good):
        answers = found[name]
        return [spent for _, spent in answers], sum(status in good for status, _ in answers), len(answers)

    pages, shown, asked = of("page", [200])
    _, ready, ready_asked = of("ready", [200])
    _, signed_in, tried = of("sign-in", [303])
    _, confirmed, confirmations = of("confirm", [307])
    calls, served, called = of("api", [200])
    median, p99, slowest = (percentile(pages, part) for part in (0.5, 0.99, 1))
    api = percentile(calls, 0.99)
    wrong = [
        (p99 >= 200 or shown < asked, f"page p99 {p99:.0f} ms, {asked - shown} of {asked} not shown"),
        (ready < ready_asked, f"/readyz {ready_asked - ready} of {ready_asked} not 200"),
        (signed_in < 0.99 * tried, f"sign-in {signed_in} of {tried}"),
        (confirmed < 0.99 * confirmations, f"confirmation {confirmed} of {confirmations}"),
        (most > 200, f"memory {most:.0f} MB"),
        ("wrong passwords" in name and (api >= 50 or served < called), f"right calls p99 {api:.0f} ms, {called - served} of {called} failed"),
        (added[0] > 50_000, f"{added[0]} rows of delays"),
    ]
    told = " ".join(f"{status}:{count}" for status, count in sorted(answers.items(), key=str))
    print(
        f"{name:<48} {median:4.0f} {p99:5.0f} {slowest:6.0f}  {ready_asked - ready:3}  {signed_in:3}/{tried:<3} {confirmed:3}/{confirmations:<3} "
        f"{api:6.0f} {called - served:4}  {most:4.0f} {after:4.0f}  {added[0]:6} {added[1]:6}  {found['resent']:6}  {told}",
        flush=True,
    )
    return [f"{name}: {what}" for is_wrong, what in wrong if is_wrong]


# --- What is flooded -----------------------------------------------------------------------------


def v4(number, neighbour):
    return f"10.{number // 256}.{number % 256}.{neighbour % 250 + 1}"


def v6(number, neighbour):
    """All in one /48."""
    return f"2001:db8:1:{number:x}::{neighbour + 1:x}"


def guesses(networks, each, address, login=None):
    """Wrong passwords for one login, or for ever new ones."""
    count = iter(range(10**9))

    def make(number):
        tried = next(count)
        fields = {"identifiant": login or f"personne-{tried}@exemple.fr", "mot-de-passe": f"une devinette, la {tried}e"}
        return form("/connexion", fields, network=address(number % networks, number))

    return Requests(networks * each, make)


def links(networks, each, address):
    count = iter(range(10**9))
    make = lambda number: form("/mot-de-passe-oublie", {"identifiant": f"p-{next(count)}@exemple.fr"}, network=address(number % networks, number))  # noqa: E731
    return Requests(networks * each, make)


def of_sessions(connections, sessions, password):
    fields = {"mot-de-passe-actuel": password, "nouveau-mot-de-passe": COSTLY}
    make = lambda number: form("/mon-compte/mot-de-passe", fields, more=f"Cookie: {sessions[number]}\r\n")  # noqa: E731
    return Requests(connections, make)


def by_link(connections, token):
    return Requests(connections, lambda number: form(f"/invitation/{token}", {"nouveau-mot-de-passe": COSTLY}))


def search(rows_of_page):
    names = "".join(f'"{member}":"{word}",' for member, word in [("raisonSocialeStructure", "an"), ("libelleStructure", "e"), ("nomStructure", "a"), ("prenomStructure", "n")])
    return f'{{"structure":{{{names[:-1]}}},"parametres":{{"nbResultatsParPage":{rows_of_page},"triColonne":"DesignationStructure"}}}}'


def searches(connections, accounts):
    sent = [call(SEARCH, search(10), *account) for account in accounts]
    return Requests(connections, lambda number: sent[number % len(sent)])


def slow_answers(connections, accounts):
    sent = [call(SEARCH, search(10_000), *account) for account in accounts]
    return Holding(connections, lambda number: sent[number % len(sent)])


def slow_exports(connections, path, sessions):
    sent = [request("GET", path, more=f"Cookie: {session}\r\n") for session in sessions]
    return Holding(connections, lambda number: sent[number % len(sent)])


def wrong_passwords(rate, account):
    """Of an account that exists, from ever other networks."""
    count, (login, password) = iter(range(10**9)), account
    bodies = '{"idStructureCPP":1}'

    def make(_):
        tried = next(count)
        wrong = password[:4] + f"{tried:06}"[-6:] + password[10:]
        return call("/cpro/structures/v1/consulter", bodies, login, wrong, network=v4(tried % 65536, tried // 65536))

    return Requests(400, make, rate)


def pages(connections, path, cookies):
    sent = [request("GET", path, more=f"Cookie: {cookie}\r\n") for cookie in cookies]
    return Requests(connections, lambda number: sent[number % len(sent)])


def strange_tokens(connections):
    """Calls with tokens that nobody was given."""
    count = iter(range(10**9))
    body = search(10_000)
    make = lambda number: request("POST", SEARCH, body, "application/json", v4(number % 64, number), f"Authorization: Bearer inconnu-{next(count)}\r\n")  # noqa: E731
    return Requests(connections, make)


def sources(networks):
    return [f"127.{number // 250 + 1}.{number % 250 + 1}.1" for number in range(networks)]


def floods(world):
    plain, accounts, token, structure = world["plain"], world["accounts"], world["token"], world["structure"]
    cookies = world["plain sessions"]
    chosen = "costly new passwords, a plain member"
    for connections in (8, 16, 32, 64):
        yield f"{chosen}, {connections}", of_sessions(connections, cookies, plain["password"])
    for connections in (32, 64):
        yield f"costly new passwords, by a link, {connections}", by_link(connections, token)
    for networks, each in [(16, 6), (32, 4), (32, 12), (64, 8)]:
        yield f"guesses, IPv4, {networks} networks × {each}", guesses(networks, each, v4)
    for networks, each in [(16, 6), (64, 8)]:
        yield f"guesses, IPv6 of one /48, {networks} × {each}", guesses(networks, each, v6)
    yield "guesses, IPv6 of one /48, one login, 64 × 8", guesses(64, 8, v6, world["confirming"]["login"])
    for networks, each, address in [(32, 4, v4), (64, 8, v4), (64, 8, v6)]:
        yield f"links, {'IPv6 of one /48' if address == v6 else 'IPv4'}, {networks} × {each}", links(networks, each, address)
    for connections in (40, 80, 160):
        yield f"searches of one account, {connections}", searches(connections, accounts[:1])
    yield "searches of four accounts, 160", searches(160, accounts)
    yield "calls with strange tokens, 64 networks, 512", strange_tokens(512)
    for connections in (1000, 3000):
        yield f"slow readers of 10,000 rows, one account, {connections}", slow_answers(connections, accounts[:1])
    yield "slow readers of 10,000 rows, four accounts, 3000", slow_answers(3000, accounts)
    history = f"/structures/{structure}/historique"
    for connections in (80, 160):
        yield f"searches of a manager in a history, {connections}", pages(connections, f"{history}?personne=zz&compte=zz", [world["session"]])
    strange = [f"raccord-session-sans-https={base64.urlsafe_b64encode(os.urandom(16)).decode()[:22]}" for _ in range(500)]
    yield "pages with strange sessions, 512", pages(512, "/activites", strange)
    yield "slow readers of a calendar, 300", slow_exports(300, "/activites/echeances.ics", [world["session"]])
    export = f"{history}.csv"
    for connections in (150, 300):
        yield f"slow exports of a manager, {connections}", slow_exports(connections, export, [world["session"]])
    yield "idle connections of one network, 3000", Holding(3000, sources=["127.9.9.9"])
    yield "idle connections of 40 networks, 10,000", Holding(10_000, sources=sources(40))
    head = b"POST /connexion HTTP/1.1\r\nHost: portal\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    yield "slow heads of 40 networks, 4,000", Holding(4000, lambda _: head + b"A: " + b"x" * 24_000, b"x", sources(40))
    whole = head + b"Content-Length: 65000\r\n\r\nidentifiant=" + b"x" * 64_000
    yield "slow bodies of 40 networks, 4,000", Holding(4000, lambda _: whole, b"x", sources(40))
    pieces = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 65_000
    yield "bodies of slow one-byte chunks, one network, 200", Holding(200, lambda _: pieces, b"1\r\nx\r\n", ["127.9.9.9"])
    yield "wrong passwords, API, 1,000 a second", wrong_passwords(1000, accounts[0])
    yield "wrong passwords, API, 2,000 a second", wrong_passwords(2000, accounts[0])


# --- The world -----------------------------------------------------------------------------------


def fill(portal, manager):
    """A directory of 30,000 structures, a structure with 20,000 events, a calendar of 1,200
    deadlines, a link of a person, four people who sign in, and four accounts that call. Returns what
    floods need."""
    port = int(portal.listen.split(":")[1])
    structure = manager.structure()[0]
    token = "f" * 43
    portal.sql(
        "INSERT INTO structures (identifier_type, identifier, designation, city) SELECT 'AUTRE', 'X' || n, "
        "'Syndicat intercommunal d''aménagement et d''entretien numéro ' || n, 'Nantes' FROM generate_series(1, 30000) n"
    )
    portal.sql(
        f"INSERT INTO audit_events (actor, address, action, structure_id, subject, detail) SELECT 'hugo', '192.0.2.1', 'ACCESS_DENIED', {structure}, "
        "'/structures/' || n, repeat('x', 300) FROM generate_series(1, 20000) n"
    )
    portal.sql(
        "INSERT INTO technical_users (structure_id, number, login, label, created_by, password_hash, password_set_by, expires_at) "
        "SELECT s.id, 100 + n, 'TECH_' || (100 + n) || '_' || s.identifier || '@cpro.fr', 'Logiciel de paie ' || n, s.principal_manager_id, 'none', "
        "s.principal_manager_id, portal_now() + interval '300 days' FROM structures s, generate_series(1, 4) n "
        f"WHERE s.id <> {structure} AND s.principal_manager_id = (SELECT principal_manager_id FROM structures WHERE id = {structure})"
    )
    hashed = hashlib.sha256(token.encode()).hexdigest()
    portal.sql(f"INSERT INTO invitations (token_hash, user_id, expires_at) VALUES ('\\x{hashed}', 4, portal_now() + interval '1 hour')")
    portal.sql("ANALYZE structures, audit_events")
    accounts = [manager.create(structure, f"Paie {number}")[1:] for number in range(5 - 1)]
    plain = portal.accounts[3]
    portal.sql(
        "INSERT INTO users (login, first_name, last_name, contact_address, password_hash) SELECT 'arrivee-' || n || '@exemple.fr', 'Arrivée', "
        f"'Numéro ' || n, 'arrivee-' || n || '@exemple.fr', password_hash FROM users, generate_series(1, 4) n WHERE login = '{plain['login']}'"
    )
    signing_in = [plain | {"login": f"arrivee-{number}@exemple.fr"} for number in range(1, 5)]
    other = Manager(portal, portal.accounts[1])
    program = other.create(other.structure()[0], "Comptabilité")[1:]
    cookies = [session_of(sign_in(port, plain, v4(9000 + number, 1))[1]) for number in range(64)]
    session = session_of(sign_in(port, portal.accounts[0], "203.0.113.1")[1])
    reading = session_of(sign_in(port, portal.accounts[1], "203.0.113.1")[1])
    people = {"signing in": signing_in, "confirming": portal.accounts[2], "program": program, "reading": reading, "session": session}
    return people | {"plain": plain, "plain sessions": cookies, "accounts": accounts, "token": token, "structure": structure}


def slow_metrics(portal, port, metrics):
    """Slow heads on the listener of the metrics: a monitor must still be served."""
    held = [socket.create_connection(("127.0.0.1", metrics)) for _ in range(200)]
    for client in held:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: m\r\n")
    served = []
    for _ in range(20):
        status, _, seconds = Visitor(metrics, False).ask(request("GET", "/metrics"))
        served.append((status, seconds))
        time.sleep(0.2)
    closed_after = time.monotonic()
    open_ones, end = held[:], time.monotonic() + 30
    while open_ones and time.monotonic() < end:
        for client in open_ones[:]:
            client.settimeout(0.01)
            try:
                if not client.recv(4096):
                    open_ones.remove(client)
            except TimeoutError:
                pass
            except OSError:
                open_ones.remove(client)
    good = sum(status == 200 for status, _ in served)
    print(f"slow heads on the metrics listener, 200: {good} of {len(served)} served, p99 {percentile([s for _, s in served], 0.99):.0f} ms, "
          f"{len(open_ones)} still open {time.monotonic() - closed_after:.0f} s later")
    return [] if good == len(served) and not open_ones else ["slow heads on the metrics listener"]


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        metrics = free.getsockname()[1]
    settings = {"RACCORD_TRUSTED_PROXIES": "127.0.0.1", "RACCORD_METRICS_LISTEN": f"127.0.0.1:{metrics}", "RACCORD_LOG": "warn"}
    with Portal("release", **settings) as portal:
        world = fill(portal, Manager(portal))
        port, found, start = int(portal.listen.split(":")[1]), [], time.monotonic()
        print(f"load before: {os.getloadavg()[0]:.1f}; memory {memory(portal):.0f} MB; {SECONDS} s each\n")
        print(f"{'flood':<48} page: 50   99    max ready sign-in confirm  api 99 fail   rss after  delays events  resent  answers")
        for name, flood in floods(world):
            if not sys.argv[1:] or any(part in name for part in sys.argv[1:]):
                # A session lives for 30 idle minutes; the page's is used all the time.
                found += measure(portal, port, world, name, flood, 30 if "wrong passwords" in name else SECONDS)
        if not sys.argv[1:] or "metrics" in sys.argv[1:]:
            found += slow_metrics(portal, port, metrics)
        found += [f"the log: {line}" for line in portal.logged().splitlines() if "panicked" in line][:5]
        print(f"\nload after: {os.getloadavg()[0]:.1f}; {time.monotonic() - start:.0f} s")
        print("".join(f"  FOUND {what}\n" for what in found), end="")
        print(f"{len(found)} findings")
        sys.exit(bool(found))


if __name__ == "__main__":
    main()
