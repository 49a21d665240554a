"""The API against its own description, by generated requests."""

import base64
import json
import pathlib
import re
import subprocess
import sys
import unittest
import urllib.request

from portal import Manager, Portal

SCHEMATHESIS = pathlib.Path(sys.executable).with_name("schemathesis")
# No 5xx, no status and no answer that is not described. Accepting more than the description says is wanted.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"


# Raccord has no services, and a SIRET that is made up is no structure's: their answer is 404.
NEVER_FOUND = {"/cpro/structures/v1/consulter/service", "/cpro/transverses/v1/consulter/information/siret"}


class Description(unittest.TestCase):
    def check(self, portal, *headers, only=None):
        # One worker: in Python 3.11, threads that parse Python at once disturb one another (cpython#106905).
        command = [SCHEMATHESIS, "run", f"{portal.url}/api/openapi.json", "--checks", CHECKS, "--seed", "1", "--workers", "1",
                   "--phases", "examples,coverage,fuzzing", "--max-examples", "60", "--no-color", "--continue-on-failure",
                   "--suppress-health-check", "all", "--warnings", "off"]
        if only:
            command += ["--include-path-regex", only]
        for header in headers:
            command += ["--header", header]
        run = subprocess.run(command, capture_output=True, text=True, timeout=90, cwd=portal.directory)
        print(*run.stdout.splitlines()[-12:], sep="\n")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        # The portal's log says which calls were let in: if all were refused, no answer would be checked.
        description = json.load(urllib.request.urlopen(f"{portal.url}/api/openapi.json"))
        calls = {path for path in description["paths"] if re.search(only or "^/cpro/|^/api/moi$", path)}
        answered = set(re.findall(r'path="(/\S+)" status=200', re.sub(r"\x1b\[[0-9;]*m", "", portal.logged())))
        self.assertEqual(answered & calls, calls - NEVER_FOUND if headers else set())

    def test_callers_who_are_let_in_get_what_is_described(self):
        with Portal() as portal:
            manager = Manager(portal)
            _, login, password = manager.create(manager.structure()[0], "schemathesis")
            # Both credentials, because the tool makes up a missing one and is refused.
            account = base64.b64encode(f"{login}:{password}".encode()).decode()
            self.check(portal, f"cpro-account: {account}", f"Authorization: Bearer {portal.token(login, password)}")

    def test_clients_and_services_get_what_is_described(self):
        with Portal() as portal:
            manager = Manager(portal)
            _, login, password = manager.create(manager.structure()[0], "schemathesis")
            _, id, secret = portal.service("factures")
            for only, (name, secret) in (
                ("^/api/oauth/(token|revoke)$", (login, password)),
                ("^/api/oauth/introspect$", (id, secret)),
                ("^/api/verification$", (login, password)),
            ):
                basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
                self.check(portal, f"Authorization: Basic {basic}", only=only)

    def test_strangers_get_what_is_described(self):
        with Portal() as portal:
            self.check(portal)


if __name__ == "__main__":
    unittest.main(verbosity=2)
