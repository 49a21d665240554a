"""Processes of a cluster: each started by itself, in its own session, and ended by its pid."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import time

# PostgreSQL refuses root: where root runs the cluster, all of it belongs to this user.
USER_OF_ROOT = "postgres"


def owner():
    """User and group of the cluster's processes where root runs them; None elsewhere."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam(USER_OF_ROOT)
    return user.pw_uid, user.pw_gid


def prefixed(command):
    """The command as the cluster's user. It gets SIGTERM where this program is killed."""
    user = owner()
    as_user = [f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups"] if user else []
    return ["setpriv", "--pdeathsig=TERM", *as_user, "--", *map(str, command)]


def give_away(path):
    """Gives a file or a directory to the cluster's user."""
    if owner():
        os.chown(path, *owner())


def program(name):
    """The path of a program that Debian may keep off PATH."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed"
    return found


def run(command, environment=None, **more):
    """Runs a command to its end, as the cluster's user. Returns what it printed."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LC_ALL": "C.UTF-8"} | (environment or {})
    done = subprocess.run(prefixed(command), env=environment, cwd="/", capture_output=True, text=True, timeout=180, **more)
    assert done.returncode == 0, f"{command[0]} failed: {(done.stdout + done.stderr)[-2000:]}"
    return done.stdout


def signal_pid(pid, number):
    """Sends a signal to a process, which may have ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def children(pid):
    """The pids of a process's children."""
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def command_line(pid):
    """How a process calls itself; empty where it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class Process:
    """A program that serves. It may be started again after its end. Its output is appended to a log."""

    def __init__(self, name, command, log, environment=None):
        self.name, self.command, self.log = name, command, log
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(log.parent), "LC_ALL": "C.UTF-8"} | (environment or {})
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                prefixed(self.command), env=self.environment, cwd=self.log.parent, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
            )

    @property
    def pid(self):
        return self.child.pid

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        signal_pid(self.pid, number)

    def kill(self):
        """Ends it as a power cut does."""
        if self.is_running():
            self.signal(signal.SIGKILL)
            self.child.wait()

    def ask_to_end(self):
        if self.is_running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)

    def end(self, seconds=40):
        """SIGTERM, and after `seconds` SIGKILL. Returns whether the first one was enough."""
        self.ask_to_end()
        if self.child is None:
            return True
        try:
            self.child.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def last_lines(self):
        """The end of the log, for an error."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def wait_until(what, seconds, holds, *watched):
    """Waits until `holds()` is true. Fails after `seconds`, or when a watched process has ended."""
    end = time.monotonic() + seconds
    while not holds():
        for process in watched:
            assert process.is_running(), f"{process.name} ended:\n{process.last_lines()}"
        logs = "\n".join(f"{process.name}:\n{process.last_lines()}" for process in watched)
        assert time.monotonic() < end, f"after {seconds} s: not {what}\n{logs}"
        time.sleep(0.1)
