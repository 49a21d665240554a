"""Starts a cluster on loopback and shows who leads, until SIGINT or SIGTERM. `bin/cluster` runs it.

With --chaos or --rounds it causes faults under load and prints a table (chaos.py).
"""

import argparse
import os
import pathlib
import signal
import sys
import time

import chaos
from cluster import NODES, TARGET, Cluster

POLL_SECONDS = 1


def arguments():
    parser = argparse.ArgumentParser(prog="bin/cluster")
    parser.add_argument("--chaos", metavar="MINUTES", type=float, default=0)
    parser.add_argument("--rounds", metavar="NUMBER", type=int, default=0)
    parser.add_argument("faults", metavar="FAULT", nargs="*")
    return parser.parse_args()


def binaries(rehearses):
    """The one to start with, and the one to upgrade to; None where there are no two."""
    binary = pathlib.Path(os.environ.get("RACCORD_BINARY", TARGET / "debug/raccord")).resolve()
    before = os.environ.get("RACCORD_BINARY_BEFORE")
    return (pathlib.Path(before), binary) if before and rehearses else (binary, None)


def addresses(cluster):
    """What a person needs to look at it."""
    port = cluster.ports
    yield "Raccord", f"{cluster.url} (HAProxy, before all instances)"
    for node in NODES:
        yield f"  instance {node}", "https://%s:%d" % cluster.instance_addresses[node]
    yield "Database", f"127.0.0.1:{port[5000]} (HAProxy, to the primary)"
    yield "DATABASE_URL", cluster.instances[NODES[0]].environment["DATABASE_URL"]
    for node, address in cluster.addresses.items():
        yield f"  PostgreSQL {node}", f"{address}:{port[5432]}, Patroni {port[8008]}, etcd {port[2379]}"
    yield "Sign-in data", cluster.directory / "n1/raccord/demo-credentials.json"
    yield "Files and logs", f"{cluster.directory}/n1, n2, n3"
    yield "patronictl", f"{pathlib.Path(sys.executable).parent}/patronictl -c {cluster.directory}/n1/patroni.yml list"


def show(cluster):
    for name, value in addresses(cluster):
        print(f"  {name + ':':<17} {value}")
    print("\n  Ctrl-C ends it.\n", flush=True)


def described(members):
    """One line: each machine's role and state."""
    return "; ".join(f"{name} {member['role'].replace('_', ' ')}, {member['state']}" for name, member in sorted(members.items()))


def watch(cluster):
    """Prints who leads each time that it changes."""
    shown = None
    while True:
        now = described(cluster.members())
        if now != shown:
            print(f"{time.strftime('%H:%M:%S')}  {now or 'no Patroni answers'}", flush=True)
            shown = now
        time.sleep(POLL_SECONDS)


def stop(*_):
    """The first signal ends the program in order; later ones must not interrupt that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A function: Python complains of a signal that comes in between, where it is to be ignored.
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


def main():
    asked = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    started, rehearses = time.monotonic(), asked.chaos or asked.rounds
    binary, upgraded_to = binaries(rehearses)
    settings = {"RACCORD_MAX_TECHNICAL_USERS": "1000"} if rehearses else {}
    try:
        with Cluster(binary, settings) as cluster:
            print(f"Up in {time.monotonic() - started:.0f} s.\n")
            if asked.rounds:
                return chaos.run(cluster, asked.faults, most=asked.rounds, upgraded_to=upgraded_to)
            if asked.chaos:
                return chaos.run(cluster, asked.faults, seconds=asked.chaos * 60, upgraded_to=upgraded_to)
            show(cluster)
            watch(cluster)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
