"""Clients of the token endpoint that wait for a challenge, or send the credential their own way."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

import authlib.integrations.requests_client
import oauthlib.oauth2
import requests_oauthlib

from portal import Manager, Portal

HERE = pathlib.Path(__file__).parent
# Where Debian puts them.
GO_LIBRARIES = pathlib.Path("/usr/share/gocode")


def has_ruby_oauth2():
    return shutil.which("ruby") and subprocess.run(["ruby", "-e", "require 'oauth2'"], stderr=subprocess.DEVNULL).returncode == 0


class Tokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.portal = stack.enter_context(Portal())
        manager = Manager(cls.portal)
        _, cls.login, cls.password = manager.create(manager.structure()[0], "jetons")
        cls.url = f"{cls.portal.url}/api/oauth/token"
        # The portal under test speaks plain http, on loopback.
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

    def run_with_credential(self, *command):
        given = {"ISSUER": self.portal.url, "LOGIN": self.login, "PASSWORD": self.password}
        run = subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True, timeout=120)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def assert_token(self, answer):
        self.assertEqual((answer["token_type"], answer["expires_in"]), ("Bearer", 900))

    def test_curl_chooses_the_scheme_of_the_challenge(self):
        credential = f"{self.login}:{self.password}"
        for scheme in ("--anyauth", "--basic"):
            told = self.run_with_credential("curl", "--silent", "--fail-with-body", scheme, "--user", credential, "--data", "grant_type=client_credentials", self.url)
            self.assert_token(json.loads(told))

    def test_the_standard_library_of_python_answers_the_challenge(self):
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, self.portal.url, self.login, self.password)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
        with opener.open(self.url, data=b"grant_type=client_credentials\r\n") as answer:
            self.assert_token(json.load(answer))

    def test_a_refusal_in_the_body_has_a_challenge_too(self):
        form = {"grant_type": "client_credentials", "client_id": self.login, "client_secret": "faux"}
        with self.assertRaises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(self.url, data=urllib.parse.urlencode(form).encode())
        self.assertEqual(refusal.exception.code, 401)
        self.assertTrue(refusal.exception.headers["WWW-Authenticate"].startswith("Basic "))

    def test_authlib_obtains_a_token_in_each_way(self):
        for method in ("client_secret_basic", "client_secret_post"):
            client = authlib.integrations.requests_client.OAuth2Session(self.login, self.password, token_endpoint_auth_method=method)
            self.assert_token(client.fetch_token(self.url, grant_type="client_credentials"))

    def test_requests_oauthlib_obtains_a_token_in_each_way(self):
        client = oauthlib.oauth2.BackendApplicationClient(client_id=self.login)
        for ways in ({"auth": (self.login, self.password)}, {"client_secret": self.password, "include_client_id": True}):
            session = requests_oauthlib.OAuth2Session(client=client)
            self.assert_token(session.fetch_token(self.url, **ways))

    def test_simple_oauth2_obtains_a_token_in_each_way(self):
        self.run_with_credential("node", "--test", str(HERE / "node" / "token.test.mjs"))

    @unittest.skipUnless(shutil.which("javac"), "a JDK is not installed")
    def test_java_answers_the_challenge(self):
        told = self.run_with_credential("java", str(HERE / "java" / "Token.java"))
        status, body = told.split(" ", 1)
        self.assertEqual(status, "200", body)
        self.assert_token(json.loads(body))

    @unittest.skipUnless(GO_LIBRARIES.joinpath("src/golang.org/x/oauth2").exists(), "oauth2 of Go is not installed")
    def test_go_obtains_a_token_in_each_style(self):
        go = ("env", "GO111MODULE=off", f"GOPATH={GO_LIBRARIES}", "go", "run", str(HERE / "go" / "token.go"))
        self.assertEqual(self.run_with_credential(*go).split(), ["200"] * 3)

    @unittest.skipUnless(has_ruby_oauth2(), "oauth2 of Ruby is not installed")
    def test_ruby_obtains_a_token_in_each_way(self):
        self.assertEqual(self.run_with_credential("ruby", str(HERE / "ruby" / "token.rb")).split(), ["200"] * 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
