#!/usr/bin/env python3
"""The files of src that the request which creates a technical user runs through.

usage: tests/measure/creation.py BINARY
BINARY is a debug build of Raccord, of any age. It runs under valgrind's callgrind, which records from just
before the request until its answer; what the mailer and upkeep do in that moment is counted too.
A debug build keeps every function, so a file is named when any function of it ran, however small.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HEADERS = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def start(binary, directory):
    """The program under callgrind, which records nothing yet, and its URL."""
    recorder = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={directory}/recorded.%p"]
    return launch([*recorder, binary], directory)


def launch(command, directory):
    """The program with demonstration data, and its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {"RACCORD_DATA_DIR": str(directory / "data"), "RACCORD_LISTEN": listen, "RACCORD_LOG": "error"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "RACCORD_PG_BIN") if name in os.environ}
    program = subprocess.Popen([*command, "serve", "--demo"], env=kept | settings, stdout=subprocess.DEVNULL)
    while True:
        assert program.poll() is None, "the program ended"
        try:
            urllib.request.urlopen(f"http://{listen}/readyz").read()
            return program, f"http://{listen}"
        except OSError:
            time.sleep(1)


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the page behind it is another request."""

    def redirect_request(self, *_):
        return None


class Browser:
    """A person's, signed in."""

    def __init__(self, url, person):
        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), Stay())
        self.send("/connexion", {"identifiant": person["login"], "mot-de-passe": person["password"]})

    def send(self, path, fields=None):
        """The status and the text of the answer."""
        status, body = self.send_bytes(path, fields)
        return status, body.decode()

    def send_bytes(self, path, fields=None):
        body = fields and urllib.parse.urlencode(fields).encode()
        try:
            answer = self.opener.open(urllib.request.Request(self.url + path, body, HEADERS), timeout=300)
        except urllib.error.HTTPError as error:
            answer = error
        self.location = answer.headers["Location"]
        return answer.status, answer.read()


def record(program, browser):
    """Creates a technical user while callgrind records."""
    structure = re.search(r'href="/structures/(\d+)"', browser.send("/activites")[1])[1]
    path = f"/structures/{structure}/utilisateurs-techniques"
    token = re.search(r'name="jeton" value="([^"]+)"', browser.send(f"{path}/nouveau")[1])[1]
    switch(program, "on")
    status, _ = browser.send(path, {"jeton": token, "libelle": "Compte mesuré"})
    switch(program, "off")
    assert status == 303, status


def switch(program, state):
    subprocess.run(["callgrind_control", f"--instr={state}", str(program.pid)], check=True, stdout=subprocess.DEVNULL)


def files(directory):
    """Files of src named in what was recorded, but for tests."""
    text = "".join(path.read_text(errors="replace") for path in directory.glob("recorded.*"))
    found = re.findall(r"^(?:fl|fi|fe|cfi|cfl)=\(\d+\) (?:\S*/)?(src/\S+\.rs)$", text, re.M)
    # The same names stand for the files of libraries.
    root = pathlib.Path.cwd()
    return sorted({path for path in found if (root / path).exists() and not is_of_a_library(text, path)})


def is_of_a_library(text, path):
    return not re.search(rf"^(?:fl|fi|fe|cfi|cfl)=\(\d+\) (?!\S*(?:registry|rustc)/)(?:\S*/)?{re.escape(path)}$", text, re.M)


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="raccord-measure-"))
    # Where root measures, the database runs as another user, which must reach its files here.
    directory.chmod(0o711)
    program, url = start(os.path.abspath(sys.argv[1]), directory)
    try:
        people = json.loads((directory / "data/demo-credentials.json").read_text())["accounts"]
        record(program, Browser(url, people[0]))
    finally:
        program.terminate()
        program.wait(120)
    found = files(directory)
    print(f"{len(found)} files of src:", *found, sep="\n  ")
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
