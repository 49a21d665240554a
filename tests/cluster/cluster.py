"""A whole cluster on loopback, from the files of deploy/cluster.

Three addresses 127.x.0.1 to 127.x.0.3 stand for the three machines. The files are used as they are: of
each, only what its head names is replaced, and the directories. A port that is taken is replaced by a
free one.
"""

import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import socket
import ssl
import stat
import sys
import sysconfig
import tempfile
import time

from processes import Process, children, command_line, give_away, owner, program, run, signal_pid, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
NODES = ("n1", "n2", "n3")
# Patroni renews its lease every two seconds (loop_wait).
RECENT_SECONDS = 5
# Below those that the kernel gives to clients.
LAST_PORT = 32767
# The ports that the files name: those of each machine, and those of HAProxy on 127.0.0.1.
OF_A_NODE, OF_HAPROXY = (2379, 2380, 5432, 8008, 8080), (5000, 8000)


def is_free(address, port):
    with socket.socket() as tried:
        # Connections of an earlier run that the kernel still remembers take no port.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
            return True
        except OSError:
            return False


def free_port(wanted, addresses):
    """The wanted port, or the next one that is free at all of these addresses."""
    return next(port for port in range(wanted, LAST_PORT) if all(is_free(address, port) for address in addresses))


def postgres_programs():
    """The directory of PostgreSQL's programs, the newest version first."""
    if "RACCORD_PG_BIN" in os.environ:
        return pathlib.Path(os.environ["RACCORD_PG_BIN"])
    versions = pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    return newest.parent if newest else pathlib.Path(program("postgres")).parent


def within_reach(path, directory):
    """The path, or a copy in the directory where the cluster's user could not enter it (below /root, say)."""
    if owner() is None or path.is_relative_to(directory) or all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents):
        return path
    copy = directory / "-".join(path.parts[1:])
    if not copy.exists():
        shutil.copytree(path, copy) if path.is_dir() else shutil.copy(path, copy)
    return copy


class Cluster:
    """`with Cluster(binary) as cluster:` starts all of it, and ends all of it."""

    def __init__(self, binary, settings=None):
        self.settings = settings or {}
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="raccord-cluster-"))
        give_away(self.directory)
        self.binary = within_reach(binary, self.directory)
        self.files = within_reach(ROOT / "deploy/cluster", self.directory)
        # Patroni is among the packages of the Python that runs this.
        self.packages = within_reach(pathlib.Path(sysconfig.get_path("purelib")), self.directory)
        network = next(n for n in random.sample(range(64, 127), 63) if is_free(f"127.{n}.0.1", OF_A_NODE[0]))
        self.addresses = {node: f"127.{network}.0.{number}" for number, node in enumerate(NODES, 1)}
        self.ports = {port: free_port(port, self.addresses.values()) for port in OF_A_NODE}
        self.ports |= {port: free_port(port, ["127.0.0.1"]) for port in OF_HAPROXY}
        self.passwords = {f"{role}-PASSWORD": secrets.token_urlsafe(18) for role in ("SUPERUSER", "REPLICATION", "OWNER", "SERVING")}
        self.web = ("127.0.0.1", self.ports[8000])
        self.url = f"http://127.0.0.1:{self.ports[8000]}"
        self.instance_addresses = {node: (self.addresses[node], self.ports[8080]) for node in NODES}
        self.bin = postgres_programs()

    # --- Start and end ---------------------------------------------------------------------------

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def start(self):
        """Everything in the order of docs/cluster.md."""
        self.make_certificates()
        self.etcd = {node: self.etcd_of(node) for node in NODES}
        self.patronis = {node: self.patroni_of(node) for node in NODES}
        self.database_proxy = self.haproxy("haproxy-database.cfg")
        self.instances = {node: self.instance_of(node) for node in NODES}
        self.web_proxy = self.haproxy("haproxy-web.cfg")
        for process in [*self.etcd.values(), *self.patronis.values(), self.database_proxy]:
            process.start()
        wait_until("one primary and two standbys", 120, self.is_replicated, *self.patronis.values(), *self.etcd.values())
        self.make_database()
        self.start_instances()
        self.web_proxy.start()
        wait_until("answered by HAProxy", 30, lambda: status(self.web, "/readyz") == 200, self.web_proxy)

    def __exit__(self, *_):
        """The proxy of visitors first, etcd last; standbys before the primary."""
        leader = self.leader() if hasattr(self, "patronis") else None
        standbys = [node for node in NODES if node != leader]
        for group in (
            [getattr(self, "web_proxy", None)],
            getattr(self, "instances", {}).values(),
            [getattr(self, "database_proxy", None)],
            [self.patronis[node] for node in standbys] if hasattr(self, "patronis") else [],
            [self.patronis[leader]] if leader else [],
            getattr(self, "etcd", {}).values(),
        ):
            group = [process for process in group if process and process.child]
            for process in group:
                process.ask_to_end()
            for process in group:
                process.end() or print(f"{process.name} did not end by itself", file=sys.stderr)
        self.end_orphans()
        if os.environ.get("RACCORD_CLUSTER_KEEP"):
            print(f"kept: {self.directory}", file=sys.stderr)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def end_orphans(self):
        """Databases whose Patroni was killed when the end came."""
        for node in NODES:
            pid = self.postmaster(node)
            if pid and str(self.directory) in command_line(pid):
                signal_pid(pid, signal.SIGCONT)
                signal_pid(pid, signal.SIGQUIT)

    # --- Files -----------------------------------------------------------------------------------

    def of_machine(self, text, node):
        """The file as machine `node` has it: n1 and 10.0.0.1 become its own, except in lines that name all."""
        number = NODES.index(node) + 1
        lines = (
            line if "10.0.0.2" in line else re.sub(r"\bn1\b", node, line.replace("10.0.0.1", f"10.0.0.{number}"))
            for line in text.splitlines(keepends=True)
        )
        return "".join(lines)

    def on_loopback(self, text, node):
        """The same on this machine: its addresses, free ports, passwords and directories."""
        # A connection from one address of loopback to another one has the source 127.0.0.1.
        text = text.replace("10.0.0.0/24", "127.0.0.0/8")
        text = re.sub(r"\b10\.0\.0\.([123])\b", lambda found: self.addresses[f"n{found[1]}"], text)
        text = re.sub(r"(?<=[: ])(\d{4})\b", lambda found: str(self.ports.get(int(found[1]), found[1])), text)
        replaced = self.passwords | {
            "/etc/raccord-cluster": str(self.directory / "certificates"),
            "/etc/haproxy/unavailable.http": str(self.files / "unavailable.http"),
            "/var/lib/etcd/raccord": str(self.directory / node / "etcd"),
            "/var/lib/postgresql/raccord": str(self.directory / node / "database"),
            "/usr/lib/postgresql/15/bin": str(self.bin),
            "/var/run/postgresql": str(self.directory / node),
            "/var/lib/raccord": str(self.directory / node / "raccord"),
            "https://raccord.example": self.url,
        }
        for old, new in replaced.items():
            text = text.replace(old, new)
        return text

    def file(self, name, node=NODES[0]):
        """Writes a file of deploy/cluster for a machine. Returns its path."""
        path = self.home(node) / name
        path.write_text(self.on_loopback(self.of_machine((self.files / name).read_text(), node), node))
        path.chmod(0o600)
        give_away(path)
        return path

    def settings_in(self, name, node):
        """The lines NAME=value of a file of deploy/cluster, as an environment."""
        lines = self.file(name, node).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    def home(self, node):
        """The directory that stands for a machine's disk."""
        path = self.directory / node
        if not path.exists():
            path.mkdir(mode=0o700)
            give_away(path)
        return path

    def make_certificates(self):
        machines = [f"{node}={address}" for node, address in self.addresses.items()]
        run([self.files / "certificates", self.directory / "certificates", *machines])
        self.trust = ssl.create_default_context(cafile=self.directory / "certificates/ca.crt")
        self.trust.load_cert_chain(self.directory / "certificates/n1.crt", self.directory / "certificates/n1.key")

    # --- Parts -----------------------------------------------------------------------------------

    def etcd_of(self, node):
        return Process(f"etcd of {node}", [program("etcd")], self.home(node) / "etcd.log", self.settings_in("etcd.env", node))

    def patroni_of(self, node):
        command = [os.path.realpath(sys.executable), "-m", "patroni", self.file("patroni.yml", node)]
        return Process(f"Patroni of {node}", command, self.home(node) / "patroni.log", {"PYTHONPATH": str(self.packages)})

    def haproxy(self, name):
        """In the master-worker mode, as under systemd: SIGUSR2 reloads."""
        return Process(name, [program("haproxy"), "-W", "-f", self.file(name)], self.directory / f"{NODES[0]}/{name}.log")

    def instance_of(self, node):
        data = self.home(node) / "raccord"
        if not data.exists():
            data.mkdir(mode=0o700)
            give_away(data)
        environment = self.settings_in("raccord.env", node) | {"RACCORD_DATA_DIR": str(data), "RACCORD_LOG": "warn"} | self.settings
        return Process(f"instance {node}", [self.binary, "serve"], self.home(node) / "raccord.log", environment)

    def use_binary(self, binary):
        """Instances that are started from now on are of this binary."""
        self.binary = within_reach(binary, self.directory)
        for instance in self.instances.values():
            instance.command[0] = self.binary

    def make_database(self):
        """The two roles, the schema and the demonstration, by way of HAProxy."""
        roles = {"OWNER_PASSWORD": self.passwords["OWNER-PASSWORD"], "SERVING_PASSWORD": self.passwords["SERVING-PASSWORD"]}
        self.psql(["--file", self.files / "roles.sql"], "postgres", roles)
        self.operate("migrate")
        self.operate("demo")
        credentials = self.directory / "n1/raccord/demo-credentials.json"
        self.people = json.loads(credentials.read_text())["accounts"]

    def key_file(self, node):
        return self.directory / node / "raccord/secret.key"

    def secret_keys(self):
        """The lines of the instances' key file, the first of which makes."""
        return self.key_file("n1").read_text().split()

    def set_secret_keys(self, keys):
        """Which instances read at their next start."""
        for node in NODES:
            self.key_file(node).write_text("\n".join(keys) + "\n")

    def start_instances(self):
        """The first one makes the key file, which the others get before they start."""
        self.instances["n1"].start()
        wait_until("ready", 60, lambda: self.is_ready("n1"), self.instances["n1"])
        for node in NODES[1:]:
            shutil.copy(self.key_file("n1"), self.key_file(node))
            give_away(self.key_file(node))
            self.instances[node].start()
        for node in NODES[1:]:
            wait_until("ready", 60, lambda node=node: self.is_ready(node), self.instances[node])

    # --- Asking ----------------------------------------------------------------------------------

    def operate(self, *command, node=NODES[0]):
        """A command of the operator, with the settings of an instance. Returns what it printed."""
        return run([self.binary, *command], self.instances[node].environment)

    def psql(self, arguments, database="raccord", environment=None):
        leader = self.leader()
        socket_of = self.directory / leader
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", socket_of, "-p", self.ports[5432], "-U", "postgres", "-d", database]
        password = {"PGPASSWORD": self.passwords["SUPERUSER-PASSWORD"]}
        return run([self.bin / "psql", *options, *arguments], password | (environment or {})).strip()

    def sql(self, statement):
        """What the primary answers to a statement of the superuser."""
        return self.psql(["-c", statement])

    def rest(self, node, path, method="GET", body=None, seconds=2):
        """Status and JSON of a Patroni; (0, None) where it does not answer."""
        connection = http.client.HTTPSConnection(self.addresses[node], self.ports[8008], timeout=seconds, context=self.trust)
        try:
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()

    def leader(self):
        """The machine whose Patroni holds the lease; None where there is none."""
        def holds_lease(node):
            return self.rest(node, "/primary")[0] == 200
        with concurrent.futures.ThreadPoolExecutor(len(NODES)) as pool:
            return next((node for node, leads in zip(NODES, pool.map(holds_lease, NODES)) if leads), None)

    def members(self):
        """What Patroni says of each machine: role, state, lag."""
        answers = (self.rest(node, "/cluster") for node in NODES)
        members = next((answer["members"] for code, answer in answers if code == 200 and isinstance(answer, dict)), [])
        return {member["name"]: member for member in members}

    def is_replicated(self):
        """Whether a primary serves and both standbys follow it."""
        members = self.members()
        states = sorted(member["state"] for member in members.values())
        timelines = {member.get("timeline") for member in members.values()}
        roles = [member["role"] for member in members.values()]
        follows = sum(role in ("quorum_standby", "sync_standby") for role in roles)
        return states == ["running", "streaming", "streaming"] and len(timelines) == 1 and "leader" in roles and follows == 2

    def is_ready(self, node):
        return status(self.instance_addresses[node], "/readyz", self.trust) == 200

    def has_etcd(self, node):
        """Whether a machine's etcd takes part, and its Patroni has heard of it since."""
        seen = self.rest(node, "/patroni")[1]
        is_recent = isinstance(seen, dict) and time.time() - seen.get("dcs_last_seen", 0) < RECENT_SECONDS
        return is_recent and status((self.addresses[node], self.ports[2379]), "/health", self.trust) == 200

    def is_whole(self):
        """Whether nothing is missing: as before a fault."""
        return (
            self.is_replicated()
            and all(self.is_ready(node) and self.has_etcd(node) for node in NODES)
            and status(self.web, "/readyz") == 200
        )

    # --- Databases -------------------------------------------------------------------------------

    def postmaster(self, node):
        """The pid of a machine's PostgreSQL; None where there is none."""
        try:
            return int((self.directory / node / "database/postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def database_pids(self, node):
        """PostgreSQL and all its processes."""
        pid = self.postmaster(node)
        return [pid, *children(pid)] if pid else []

    def freeze(self, node):
        """Patroni and PostgreSQL of a machine stop in their tracks. Returns what wakes them."""
        pids = [self.patronis[node].pid, *self.database_pids(node)]
        for pid in pids:
            signal_pid(pid, signal.SIGSTOP)
        return lambda: [signal_pid(pid, signal.SIGCONT) for pid in pids]

    def kill_machine(self, node):
        """Patroni and PostgreSQL of a machine end as by a power cut."""
        pids = self.database_pids(node)
        self.patronis[node].kill()
        for pid in pids:
            signal_pid(pid, signal.SIGKILL)


def status(address, path, context=None):
    """The status of a page at an address; 0 where there is none."""
    if context:
        connection = http.client.HTTPSConnection(*address, timeout=3, context=context)
    else:
        connection = http.client.HTTPConnection(*address, timeout=3)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
