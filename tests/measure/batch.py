#!/usr/bin/env python3
"""How long batches take, and what others wait for meanwhile.

usage: tests/measure/batch.py BINARY
BINARY is a release build of Raccord. It runs with demonstration data, of which one manager has 300 structures:
accounts are created in all of them four times, then 1,000 passwords are reset, and the files of 300 and of
1,000 accounts are exported. Another manager opens pages all the while.
"""

import json
import os
import pathlib
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time

from creation import Browser, launch


def batch(browser, url, **fields):
    """Confirms what the page at `url` asks, waits until it is done: its path, and the seconds."""
    page = browser.send(url)[1]
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    wanted = {name: hidden[name] for name in ("jeton", "acte", "choisis")}
    begun = time.monotonic()
    status, text = browser.send("/lots", wanted | fields)
    assert status == 303, (status, text[:500])
    path = browser.location
    while "data-progress" in browser.send(path)[1]:
        time.sleep(0.2)
    return path, time.monotonic() - begun


def export(browser, path, name):
    begun = time.monotonic()
    status, body = browser.send_bytes(path, {"x": ""})
    assert status == 200, status
    print(f"{name}: {time.monotonic() - begun:.2f} s, {len(body):,} bytes")


def watch(browser, stop, waits):
    """Opens pages, one each 20 ms."""
    while not stop.is_set():
        begun = time.monotonic()
        assert browser.send("/activites")[0] == 200
        waits.append(time.monotonic() - begun)
        time.sleep(0.02)


def memory(pid):
    """The largest resident size so far, in MB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def measure(program, url, people):
    manager, other = Browser(url, people[0]), Browser(url, people[1])
    quiet, busy, stop = [], [], threading.Event()
    for waits, work in ((quiet, lambda: time.sleep(5)), (busy, lambda: batches(manager))):
        stop.clear()
        watcher = threading.Thread(target=watch, args=(other, stop, waits))
        watcher.start()
        work()
        stop.set()
        watcher.join()
    for name, waits in (("before", quiet), ("meanwhile", busy)):
        cuts = statistics.quantiles(waits, n=100)
        print(f"pages of another manager {name}: {len(waits)}, p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, "
              f"worst {max(waits) * 1000:.0f} ms")
    print(f"largest resident size: {memory(program.pid):.0f} MB")


def batches(manager):
    for number in range(4):
        path, seconds = batch(manager, "/activites/choix?portee=tous", libelle=f"Logiciel {number}")
        print(f"creations {number + 1}: {seconds:.1f} s")
        if number == 0:
            export(manager, f"{path}/fiches", "sheets of the first")
            export(manager, f"{path}/logiciel", "file of the first")
    path, seconds = batch(manager, "/activites/utilisateurs-techniques/choix?acte=RESET&portee=tous", ancien="24")
    print(f"1,000 resets: {seconds:.1f} s")
    export(manager, f"{path}/fiches", "their sheets")
    export(manager, f"{path}/logiciel", "their file")


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="raccord-measure-"))
    # Where root measures, the database runs as another user, which must reach its files here.
    directory.chmod(0o711)
    program, url = launch([os.path.abspath(sys.argv[1])], directory)
    try:
        measure(program, url, json.loads((directory / "data/demo-credentials.json").read_text())["accounts"])
    finally:
        program.terminate()
        program.wait(120)
    shutil.rmtree(directory)


if __name__ == "__main__":
    main()
