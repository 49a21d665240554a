"""APIs of the operator, as other projects write them: what they let in, and what not."""

import contextlib
import os
import pathlib
import subprocess
import time
import unittest
import unittest.mock

import django
import requests
from authlib.oauth2 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet

from portal import Manager, Portal

NODE = pathlib.Path(__file__).parent / "node"


class Request:
    def __init__(self, token):
        self.headers = {"Authorization": f"Bearer {token}"}


class Services(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.portal = stack.enter_context(Portal())
        cls.manager = Manager(cls.portal)
        structure, _ = cls.manager.structure()
        cls.account, cls.login, cls.password = cls.manager.create(structure, "services")
        cls.opaque = cls.portal.service("factures")
        cls.signed = cls.portal.service("annuaire", "--jwt")
        cls.metadata = requests.get(f"{cls.portal.url}/.well-known/oauth-authorization-server", timeout=10).json()

    def token(self, *services):
        return self.portal.token(self.login, self.password, *(audience for audience, _, _ in services))

    def end_tokens(self):
        self.portal.sql("UPDATE access_tokens SET expires_at = portal_now()")

    def test_authlib_asks_about_tokens(self):
        metadata, (audience, id, secret) = self.metadata, self.opaque

        class Validator(IntrospectTokenValidator):
            def introspect_token(self, token):
                answer = requests.post(metadata["introspection_endpoint"], data={"token": token}, auth=(id, secret), timeout=10)
                answer.raise_for_status()
                return answer.json()

        protector = ResourceProtector()
        protector.register_token_validator(Validator())
        accept = lambda token: protector.validate_request(["openid"], Request(token))
        for token in (self.token(), self.token(self.opaque)):
            told = accept(token)
            self.assertEqual((told["sub"], told["aud"]), (self.login, audience))
        for token in (self.token(self.signed), "inconnu"):
            with self.assertRaises(OAuth2Error):
                accept(token)
        token = self.token()
        self.end_tokens()
        with self.assertRaises(OAuth2Error):
            accept(token)

    def test_authlib_verifies_signed_tokens_by_itself(self):
        metadata, audience = self.metadata, self.signed[0]

        class Validator(JWTBearerTokenValidator):
            def get_jwks(self):
                return KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())

        def accept(token, audience=audience, issuer=metadata["issuer"]):
            protector = ResourceProtector()
            protector.register_token_validator(Validator(issuer=issuer, resource_server=audience))
            return protector.validate_request(["openid"], Request(token))

        token = self.token(self.signed)
        claims = accept(token)
        self.assertEqual((claims["client_id"], claims["aud"]), (self.login, audience))
        head, body, signature = token.split(".")
        forged = f"{head}.{body}.{signature[:-4]}AAAA"
        for refused in (
            lambda: accept(token, audience="https://api.example/factures"),
            lambda: accept(token, issuer="https://autre.example"),
            lambda: accept(forged),
            lambda: accept(self.token()),
        ):
            with self.assertRaises(OAuth2Error):
                refused()
        later = time.time() + 301
        with unittest.mock.patch("time.time", return_value=later), self.assertRaises(OAuth2Error):
            accept(token)

    def test_django_oauth_toolkit_protects_a_view(self):
        audience, id, secret = self.opaque
        from django.conf import settings

        settings.configure(
            ALLOWED_HOSTS=["*"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
            OAUTH2_PROVIDER={
                "RESOURCE_SERVER_INTROSPECTION_URL": self.metadata["introspection_endpoint"],
                "RESOURCE_SERVER_INTROSPECTION_CREDENTIALS": (id, secret),
                # Its default keeps an answer until the token's end; 0 would refuse every token.
                "RESOURCE_SERVER_TOKEN_CACHING_SECONDS": 1,
                "SCOPES": {"openid": "tous les appels"},
            },
            USE_TZ=True,
        )
        django.setup()
        from django.core.management import call_command
        from django.http import HttpResponse
        from django.test import RequestFactory
        from oauth2_provider.decorators import protected_resource

        call_command("migrate", verbosity=0)
        view = protected_resource(scopes=["openid"])(lambda request: HttpResponse(request.resource_owner.username))

        def status(token, place=audience):
            headers = {"HTTP_AUTHORIZATION": f"Bearer {token}", "SERVER_NAME": "api.example", "SERVER_PORT": "443"}
            path = place.removeprefix("https://api.example")
            return view(RequestFactory().get(path, secure=True, **headers)).status_code

        token = self.token(self.opaque)
        self.assertEqual((status(self.token()), status(token)), (200, 200))
        self.assertEqual(status(token, "https://api.example/autre"), 403, "its aud is another")
        self.assertEqual(status(self.token(self.signed)), 403)
        self.end_tokens()
        time.sleep(1.1)
        self.assertEqual(status(token), 403)

    def test_oauth4webapi_and_openid_client(self):
        names = ("AUDIENCE", "SERVICE", "SECRET")
        environment = dict(os.environ, ISSUER=self.portal.url, LOGIN=self.login, PASSWORD=self.password)
        for kind, service in (("OPAQUE", self.opaque), ("SIGNED", self.signed)):
            environment |= {f"{kind}_{name}": value for name, value in zip(names, service)}
        run = subprocess.run(["node", "--test", NODE / "services.test.mjs"], env=environment, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("# pass 4", run.stdout.replace("ℹ", "#"))


if __name__ == "__main__":
    unittest.main()
