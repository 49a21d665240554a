"""The portal under test: the real binary, a database of its own, and its screens driven as a browser drives them."""

import html
import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Portal:
    """`with Portal() as portal:` starts one and ends it."""

    def __init__(self, build="debug", **settings):
        self.build, self.settings = build, settings

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="raccord-clients-"))
        # Where root runs the tests, the database runs as another user, which must reach its files here.
        self.directory.chmod(0o711)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.listen = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{self.listen}"
        if "RACCORD_TLS_CERT" in self.settings:
            self.url = f"https://localhost:{self.listen.split(':')[1]}"
            self.settings["RACCORD_PUBLIC_URL"] = self.url
        self.log = open(self.directory / "log", "w+")
        settings = {"RACCORD_DATA_DIR": str(self.directory), "RACCORD_LISTEN": self.listen} | self.settings
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "RACCORD_PG_BIN") if name in os.environ}
        command = [TARGET / self.build / "raccord", "serve", "--demo"]
        self.environment = kept | settings
        self.process = subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url}/readyz", context=self.trust()).read()
                break
            except OSError:
                assert self.process.poll() is None, self.logged()
                time.sleep(0.1)
        self.accounts = json.loads((self.directory / "demo-credentials.json").read_text())["accounts"]
        self.manager = self.accounts[0]
        return self

    def trust(self):
        """The TLS context that trusts the portal's certificate, if it has one."""
        certificate = self.settings.get("RACCORD_TLS_CERT")
        return ssl.create_default_context(cafile=certificate) if certificate else None

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(60) == 0, self.logged()
        assert "panicked" not in self.logged()
        self.log.close()
        shutil.rmtree(self.directory)

    def service(self, name, *options):
        """A service that the operator adds, beside the portal that serves: its audience, id and secret."""
        audience = f"https://api.example/{name}"
        command = [TARGET / "debug/raccord", "service", "add", name, "--audience", audience, *options]
        told = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout
        said = dict(line.split(": ", 1) for line in told.splitlines())
        return audience, said["id"], said["secret"]

    def token(self, login, password, *resources):
        fields = [("grant_type", "client_credentials"), ("client_id", login), ("client_secret", password)]
        fields += [("resource", resource) for resource in resources]
        answer = urllib.request.urlopen(f"{self.url}/api/oauth/token", urllib.parse.urlencode(fields).encode())
        return json.load(answer)["access_token"]

    def logged(self):
        self.log.seek(0)
        return self.log.read()

    def sql(self, statement):
        """What time does in months, done at once, or what a statement answers. Only the operator's own user reaches the socket."""
        cluster = self.directory / "postgres/cluster"
        owner = cluster.owner()
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(cluster), "-U", "raccord", "-c", statement, "raccord"]
        as_owner = ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups"] if os.geteuid() == 0 else []
        password = (self.directory / "postgres/owner-password").read_text()
        environment = {**os.environ, "PGPASSWORD": password}
        return subprocess.run(as_owner + command, check=True, cwd="/", env=environment, stdout=subprocess.PIPE, text=True).stdout


class Manager:
    """A principal manager before the screens."""

    def __init__(self, portal, account=None):
        self.portal = portal
        account = account or portal.manager
        self.cookies = http.cookiejar.CookieJar()
        self.browser = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.cookies), urllib.request.HTTPSHandler(context=portal.trust())
        )
        self.post("/connexion", {"identifiant": account["login"], "mot-de-passe": account["password"]})

    def cookie(self):
        """The `Cookie` header of the browser."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)

    def open(self, path):
        headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        return self.browser.open(urllib.request.Request(self.portal.url + path, headers=headers)).read().decode()

    def post(self, path, fields):
        url, answer = self.fetch(path, fields)
        return url, answer.decode()

    def fetch(self, path, fields):
        headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        body = urllib.parse.urlencode(fields).encode()
        answer = self.browser.open(urllib.request.Request(self.portal.url + path, body, headers))
        return answer.url.removeprefix(self.portal.url), answer.read()

    def structure(self):
        """The first structure of « Mes structures »: its id and its SIRET."""
        id = re.search(r'href="/structures/(\d+)"', self.open("/activites"))[1]
        form = self.open(f"/structures/{id}/utilisateurs-techniques/nouveau")
        return id, re.search(r"TECH_\d+_(\d{14})(?:<wbr>)?@", form)[1]

    def create(self, structure, label):
        """A new account: its id, login and password, as the récapitulatif shows them this once."""
        form = self.open(f"/structures/{structure}/utilisateurs-techniques/nouveau")
        token = re.search(r'name="jeton" value="([^"]+)"', form)[1]
        url, page = self.post(f"/structures/{structure}/utilisateurs-techniques", {"jeton": token, "libelle": label})
        password = re.search(r'<output[^>]*id="mot-de-passe"[^>]*>(.*?)</output>', page, re.S)[1]
        account = re.search(r"/utilisateurs-techniques/(\d+)/recapitulatif", url)[1]
        self.nonce = re.search(r'name="nonce" value="([^"]+)"', page)[1]
        login = re.search(r"(TECH_\d+_\w+)(?:<wbr>)?@cpro\.fr", page)[1] + "@cpro.fr"
        return account, login, html.unescape(re.sub(r"<[^>]*>", "", password)).strip()

    def sheets_of_all(self, label):
        """The PDF of accounts that a batch makes in every structure, and how many they are."""
        check = self.open("/activites/choix?portee=tous")
        fields = {name: re.search(rf'name="{name}" value="([^"]+)"', check)[1] for name in ("jeton", "acte", "choisis")}
        batch = self.post("/lots", fields | {"libelle": label})[0]
        for _ in range(600):
            page = self.open(batch)
            if "Travail en cours" not in page:
                break
            time.sleep(0.1)
        made = int(re.search(r"(\d+) mots? de passe à exporter", page.replace("\u202f", ""))[1])
        return self.fetch(f"{batch}/fiches", {"": ""})[1], made

    def sheet(self, account):
        """The PDF of the récapitulatif that was shown last."""
        return self.fetch(f"/utilisateurs-techniques/{account}/informations-de-connexion", {"nonce": self.nonce})[1]

    def act(self, account, act):
        page = self.open(f"/utilisateurs-techniques/{account}")
        token = re.search(r'name="jeton" value="([^"]+)"', page)[1]
        self.post(f"/utilisateurs-techniques/{account}/{act}", {"jeton": token, "version": "1"})
