"""The API against its own description, by requests that nobody here thought of."""

import base64
import subprocess
import sys
import pathlib
import unittest

from portal import Manager, Portal

SCHEMATHESIS = pathlib.Path(sys.executable).with_name("schemathesis")
# No 5xx, no status and no answer that is not described. What else is tolerated than the description says is wanted.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"


class Description(unittest.TestCase):
    def check(self, portal, *headers):
        command = [SCHEMATHESIS, "run", f"{portal.url}/api/openapi.json", "--checks", CHECKS, "--seed", "1", "--workers", "2",
                   "--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--no-color", "--continue-on-failure",
                   "--suppress-health-check", "all", "--warnings", "off"]
        for header in headers:
            command += ["--header", header]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=portal.directory)
        print(*run.stdout.splitlines()[-12:], sep="\n")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_callers_who_are_let_in_get_what_is_described(self):
        with Portal() as portal:
            manager = Manager(portal)
            _, login, password = manager.create(manager.structure()[0], "schemathesis")
            self.check(portal, "cpro-account: " + base64.b64encode(f"{login}:{password}".encode()).decode())

    def test_strangers_get_what_is_described(self):
        with Portal() as portal:
            self.check(portal)


if __name__ == "__main__":
    unittest.main(verbosity=2)
