"""Django OAuth Toolkit under gunicorn: one of the peers of bin/bench --peers.

PEER_PORT is a port of the loopback, PEER_DATABASE the URL of a database, PEER_CLIENTS a number of
clients, PEER_SECRET the secret of each. It ends when its standard input does.
"""

import os
import signal
import sys
import threading

import django
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from gunicorn.app.base import BaseApplication
from psycopg.conninfo import conninfo_to_dict


class Hasher(Argon2PasswordHasher):
    """Argon2id with the cost that Raccord uses for people."""

    memory_cost = 19456
    time_cost = 2
    parallelism = 1


def database():
    parts = conninfo_to_dict(os.environ["PEER_DATABASE"])
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "PASSWORD": parts.get("password", ""),
        "HOST": parts["host"],
        "PORT": parts["port"],
        "OPTIONS": {"sslmode": parts["sslmode"]},
        # Each thread keeps its connection.
        "CONN_MAX_AGE": None,
    }


settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": database()},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
        "SCOPES": {"openid": "Calls", "introspection": "Introspection of tokens"},
    },
    PASSWORD_HASHERS=[f"{__name__}.Hasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ["PEER_SECRET"],
    USE_TZ=True,
)
django.setup()
urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]


def create_clients():
    """Writes the tables and the clients. One secret, hashed once, serves them all."""
    from django.db import connections
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    secret = make_password(os.environ["PEER_SECRET"])
    Application.objects.bulk_create(
        Application(
            client_id=f"client-{number}",
            client_secret=secret,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        )
        for number in range(int(os.environ["PEER_CLIENTS"]))
    )
    # Workers do not share the connections of the process that starts them.
    connections.close_all()


class Server(BaseApplication):
    def load_config(self):
        options = {
            "bind": f"127.0.0.1:{os.environ['PEER_PORT']}",
            # Workers of this kind keep connections, and Argon2 runs beside other threads.
            "worker_class": "gthread",
            "workers": 2,
            "threads": 4,
            "keepalive": 75,
            "graceful_timeout": 1,
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self):
        return get_wsgi_application()


def end_with_standard_input():
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    create_clients()
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    Server().run()
