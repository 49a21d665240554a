"""Faults under load, and what was noticed of them.

Faults come in random order, one at a time; the next one waits until the cluster is whole again. At the
end, everything that was acknowledged is compared with what is there.
"""

import base64
import collections
import dataclasses
import os
import random
import secrets
import signal
import statistics
import time

from cluster import NODES
from people import GOOD, HEALTH_CHECK, REPEATED, Load, cpro_account
from processes import children, command_line, signal_pid, wait_until

# Patroni's lease (ttl in deploy/cluster/patroni.yml), and what may come on top of it.
LEASE, GRACE = 20, 3
# How long a killed process stays away, a frozen one frozen.
AWAY, FROZEN, FROZEN_STANDBY = 2, 4, 15
WHOLE_WITHIN = 120
# Between two faults: the load as it is without one.
QUIET = 4
# What is asked of HAProxy, and has gaps.
KINDS = ("public", "page", "call", "write")
# Shorter gaps are what every request takes.
NOTICED = 1.0
# One person changes labels all the time, and may change a hundred in an hour: not counted here.
UNBOUNDED_LABELS = """
    CREATE OR REPLACE FUNCTION not_counted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE OR REPLACE TRIGGER labels_are_not_counted BEFORE INSERT ON throttles
        FOR EACH ROW WHEN (NEW.scope = 'LABEL_CHANGE') EXECUTE FUNCTION not_counted()
"""


# --- Faults ----------------------------------------------------------------------------------------


def no_fault(cluster):
    time.sleep(8)


def primary_killed(cluster):
    """`kill -9` of PostgreSQL and Patroni, which stay away until another one leads."""
    leader = cluster.leader()
    cluster.kill_machine(leader)
    wait_until_another_leads(cluster, leader)
    time.sleep(AWAY)
    cluster.patronis[leader].start()


def switchover(cluster):
    leader = cluster.leader()
    candidate = random.choice([node for node in NODES if node != leader])
    code, told = cluster.rest(leader, "/switchover", "POST", {"leader": leader, "candidate": candidate}, seconds=60)
    assert code == 200, f"switchover: {code} {told}"


def primary_frozen(cluster):
    """PostgreSQL and Patroni stop in their tracks, and wake after another one has taken over."""
    leader = cluster.leader()
    wake = cluster.freeze(leader)
    try:
        wait_until_another_leads(cluster, leader)
        time.sleep(random.uniform(1, FROZEN))
    finally:
        wake()


def standby_frozen(cluster):
    wake = cluster.freeze(a_standby(cluster))
    time.sleep(FROZEN_STANDBY)
    wake()


def both_standbys_killed(cluster):
    """Nothing confirms an act any more, until Patroni lets the primary go on alone."""
    leader = cluster.leader()
    gone = [node for node in NODES if node != leader]
    for node in gone:
        cluster.kill_machine(node)
    time.sleep(LEASE + 5)
    for node in gone:
        cluster.patronis[node].start()


def stream_cut(cluster):
    """A standby's receiver no longer reads; all else of it goes on."""
    standby = cluster.postmaster(a_standby(cluster))
    receivers = [pid for pid in children(standby) if "walreceiver" in command_line(pid)]
    for pid in receivers:
        signal_pid(pid, signal.SIGSTOP)
    time.sleep(FROZEN_STANDBY)
    for pid in receivers:
        signal_pid(pid, signal.SIGCONT)


def one_etcd_gone(cluster):
    etcd_gone(cluster, 1)


def two_etcd_gone(cluster):
    etcd_gone(cluster, 2)


def etcd_gone(cluster, count):
    gone = random.sample(NODES, count)
    for node in gone:
        cluster.etcd[node].kill()
    time.sleep(LEASE + 5)
    for node in gone:
        cluster.etcd[node].start()


def instance_killed(cluster):
    node = random.choice(NODES)
    cluster.instances[node].kill()
    time.sleep(AWAY)
    cluster.instances[node].start()
    wait_until("ready", WHOLE_WITHIN, lambda: cluster.is_ready(node), cluster.instances[node])


def rolling_restart(cluster):
    for node, instance in cluster.instances.items():
        assert instance.end(), f"instance {node} did not end by itself"
        instance.start()
        wait_until("ready", WHOLE_WITHIN, lambda node=node: cluster.is_ready(node), instance)
        # As long as HAProxy needs to see it.
        time.sleep(AWAY)


def rolling_upgrade(cluster):
    """To the other version and, at the next round, back again."""
    cluster.binaries.reverse()
    cluster.use_binary(cluster.binaries[0])
    cluster.operate("migrate")
    rolling_restart(cluster)


def key_replaced(cluster):
    """By another one, in the three steps of docs/operations.md."""
    old = cluster.secret_keys()
    new = [f"k{time.time_ns()}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip('=')}"]
    for keys in (old + new, new + old, new):
        cluster.set_secret_keys(keys)
        rolling_restart(cluster)


def database_haproxy_restarted(cluster):
    cluster.database_proxy.end(5)
    cluster.database_proxy.start()


def web_haproxy_restarted(cluster):
    cluster.web_proxy.end(5)
    cluster.web_proxy.start()


def both_haproxy_reloaded(cluster):
    cluster.database_proxy.signal(signal.SIGUSR2)
    cluster.web_proxy.signal(signal.SIGUSR2)
    # Until the old processes have gone (hard-stop-after).
    time.sleep(35)


FAULTS = {
    "no fault": no_fault,
    "primary killed": primary_killed,
    "switchover": switchover,
    "primary frozen, then woken": primary_frozen,
    "standby frozen": standby_frozen,
    "stream of a standby cut": stream_cut,
    "both standbys killed": both_standbys_killed,
    "one etcd gone": one_etcd_gone,
    "two etcd gone": two_etcd_gone,
    "instance killed": instance_killed,
    "rolling restart": rolling_restart,
    "rolling upgrade": rolling_upgrade,
    "key replaced": key_replaced,
    "database HAProxy restarted": database_haproxy_restarted,
    "web HAProxy restarted": web_haproxy_restarted,
    "both HAProxy reloaded": both_haproxy_reloaded,
}
# Where the proxy of visitors itself is away, connections to it are refused.
REFUSES = "web HAProxy restarted"
# How long writes may be away, in seconds.
WRITES_BACK_WITHIN = {
    "primary killed": LEASE + GRACE,
    "primary frozen, then woken": LEASE + GRACE,
    "switchover": 5,
}
# What must cost no request at all.
FREE = ("rolling restart", "rolling upgrade", "key replaced")


def a_standby(cluster):
    leader = cluster.leader()
    return random.choice([node for node in NODES if node != leader])


def wait_until_another_leads(cluster, former):
    wait_until("another primary", WHOLE_WITHIN, lambda: cluster.leader() not in (None, former))


# --- Gaps ------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Round:
    fault: str
    start: float
    end: float


def gap(answers, one):
    """The longest time between two answers that were as asked for, around a round."""
    good = [end for end, outcome, _ in answers if outcome in GOOD]
    before = max((end for end in good if end < one.start), default=one.start)
    after = min((end for end in good if end > one.end), default=one.end)
    ends = [before, *(end for end in good if one.start <= end <= one.end), after]
    return max(later - earlier for earlier, later in zip(ends, ends[1:]))


def outcomes(load, one, kinds=KINDS):
    """How often what else than the page or the act was answered during a round."""
    counted = collections.Counter()
    for kind in kinds:
        # Answers that came at the very end belong to the round, too.
        counted.update(outcome for end, outcome, _ in load.answers[kind] if one.start <= end <= one.end + 1 and outcome != "ok")
    return counted


def failures(load, one, kinds=KINDS):
    """The same without those that succeeded when they were repeated."""
    return {outcome: count for outcome, count in outcomes(load, one, kinds).items() if outcome != REPEATED}


def shown(gaps):
    """Median and worst, in seconds; a dash where nothing was noticed."""
    if max(gaps) < NOTICED:
        return "–"
    return f"{statistics.median(gaps):.1f} / {max(gaps):.1f}"


def table(load, rounds):
    """A line for each fault: Markdown."""
    print("\n| fault | rounds | public pages | pages | calls | writes | answers other than asked for |")
    print("|---|---|---|---|---|---|---|")
    for fault in FAULTS:
        own = [one for one in rounds if one.fault == fault]
        if not own:
            continue
        cells = [shown([gap(load.answers[kind], one) for one in own]) for kind in KINDS]
        counted = sum((outcomes(load, one) for one in own), collections.Counter())
        text = ", ".join(f"{count} × {outcome}" for outcome, count in counted.most_common()) or "none"
        print(f"| {fault} | {len(own)} | {' | '.join(cells)} | {text} |")
    print("\nGaps without a right answer, in seconds: median / worst; –: shorter than one second.")


# --- Reconciliation --------------------------------------------------------------------------------


def reconcile(cluster, load):
    """Compares what was acknowledged with what is there. Finds what must not be."""
    rows = cluster.sql("SELECT id, credential_version FROM technical_users WHERE label LIKE 'Chaos : %'").splitlines()
    versions = {int(id): int(version) for id, version in (row.split("|") for row in rows)}
    known = {account.id: account for account in load.accounts}
    for account in load.accounts:
        version = versions.get(account.id, 0)
        if version < account.acts:
            load.find("acts lost", f"{account.login}: {account.acts} acknowledged, {version} there")
        elif version > account.acts:
            load.find("acts done twice", f"{account.login}: {account.acts} acknowledged, {version} there")
        if account.passwords[-1] is not None:
            check_truth(load, account)
    for id in versions.keys() - known.keys():
        load.find("acts done twice", f"account {id} was acknowledged to no person")
    details = cluster.sql("SELECT string_agg(detail, ' ') FROM audit_events WHERE action = 'TECHNICAL_USER_LABEL_CHANGED'")
    for label in load.labels:
        if label not in details:
            load.find("acts lost", label)
    for browser in load.sessions:
        if browser.insist("page", "GET", "/mon-compte").status != 200:
            load.find("sessions lost", "a session that was kept to the end")


def check_truth(load, account):
    """Of an account's passwords, the latest opens every instance and no other opens any."""
    for password in [shown for shown in account.passwords[-3:] if shown]:
        is_latest = password == account.passwords[-1]
        for node, answer in load.ask_each("GET", HEALTH_CHECK, cpro_account(account.login, password)):
            if (answer.status == 200) != is_latest:
                which = "the latest" if is_latest else "a dead"
                load.find("accounts without exactly one truth", f"{account.login}: {which} password: {answer.status} at {node}")


# --- Run -------------------------------------------------------------------------------------------

# What must be nothing.
NEVER = [
    "acts lost", "acts done twice", "acts refused", "accounts without exactly one truth", "stale answers", "sessions lost",
    "answers 500", "answers of another kind", "public pages that failed", "requests failed by a rolling restart", "workers stopped",
    "clusters that did not recover",
]
# What a machine that is busy with other work may miss: no failure of the run.
IN_TIME = ["writes back too late", "/readyz after a second"]


def judge_answers(load, rounds):
    """Finds what no fault may cause."""
    allowed = {REPEATED, "503"}
    for one in rounds:
        own = outcomes(load, one)
        for outcome, count in own.items():
            if outcome == "500":
                load.find("answers 500", f"{one.fault}: {count}")
            elif outcome not in allowed and not is_inherent(one.fault, outcome):
                load.find("answers of another kind", f"{one.fault}: {count} × {outcome}")
        failed = failures(load, one, ["public"])
        if failed and one.fault != REFUSES:
            load.find("public pages that failed", f"{one.fault}: {failed}")
        failed = failures(load, one)
        if failed and one.fault in FREE:
            load.find("requests failed by a rolling restart", f"{one.fault}: {failed}")
        late = gap(load.answers["write"], one)
        if late > WRITES_BACK_WITHIN.get(one.fault, float("inf")):
            load.find("writes back too late", f"{one.fault}: {late:.1f} s")
    for _, outcome, seconds in load.answers["ready"]:
        if seconds > 1.0 and outcome not in ("refused", "cut"):
            load.find("/readyz after a second", f"{outcome} after {seconds:.1f} s")


def is_inherent(fault, outcome):
    """What a client sees where the process at the other end of its connection goes: no answer can come."""
    if fault == REFUSES:
        return outcome in ("refused", "cut")
    # A form that was being handled: HAProxy does not know what became of it. A kept connection that
    # is closed at the moment of its next request.
    return (fault, outcome) in {("instance killed", "503 of HAProxy"), ("instance killed", "cut"), ("both HAProxy reloaded", "cut")}


def print_findings(load):
    for what in NEVER + IN_TIME:
        found = load.found[what]
        print(f"  {what + ':':<38} {len(found)}")
        for detail in found[:5]:
            print(f"      {detail}")


def chosen(names):
    """The faults whose names begin like these; all without any."""
    faults = {name: act for name, act in FAULTS.items() if not names or any(name.startswith(beginning) for beginning in names)}
    assert faults, f"no such fault; there are: {', '.join(FAULTS)}"
    return faults


def rounds_of(faults, seconds, most):
    """Yields faults at random, each as often as the others, until the time or the rounds are over."""
    end = time.monotonic() + seconds
    for _ in range(most):
        names = list(faults)
        random.shuffle(names)
        for name in names:
            if time.monotonic() > end:
                return
            yield name


def cause(cluster, name):
    """One round: the fault, what mends it, and the wait until the cluster is whole."""
    start = time.monotonic()
    FAULTS[name](cluster)
    wait_until(f"whole after « {name} »", WHOLE_WITHIN, cluster.is_whole, *cluster.instances.values())
    one = Round(name, start, time.monotonic())
    print(f"{time.strftime('%H:%M:%S')}  {name}: whole after {one.end - start:.1f} s", flush=True)
    time.sleep(QUIET)
    return one


def cause_all(cluster, load, names):
    """All rounds; it ends where the cluster is not whole again in time."""
    rounds = []
    for name in names:
        try:
            rounds.append(cause(cluster, name))
        except AssertionError as error:
            print(error)
            load.find("clusters that did not recover", f"{name}: {str(error)[:200]}")
            break
    return rounds


def print_counts(load):
    """How much was asked and done."""
    counts = {kind: len(answers) for kind, answers in load.answers.items()}
    slowest = max((spent for _, outcome, spent in load.answers["ready"] if outcome != "refused"), default=0)
    print(f"asked: {', '.join(f'{count} {kind}' for kind, count in counts.items())}; slowest /readyz {slowest:.2f} s")
    print(f"acknowledged: {', '.join(f'{count} {act}' for act, count in load.acts.items())}; {len(load.accounts)} accounts checked")


def run(cluster, names, seconds=float("inf"), most=1_000_000, upgraded_to=None):
    """Faults for so long, or so many rounds of each. Returns the exit code: 1 where something is not as it must be."""
    faults = chosen(names)
    cluster.binaries = [cluster.binary, upgraded_to]
    if upgraded_to is None and faults.pop("rolling upgrade", None):
        print("No upgrades: RACCORD_BINARY_BEFORE names no other version.")
    cluster.sql(UNBOUNDED_LABELS)
    load, started, busy = Load(cluster), time.monotonic(), os.getloadavg()[0]
    load.start()
    time.sleep(QUIET)
    rounds = cause_all(cluster, load, rounds_of(faults, seconds, most))
    load.stop()
    table(load, rounds)
    judge_answers(load, rounds)
    reconcile(cluster, load)
    minutes = (time.monotonic() - started) / 60
    print(f"\n{minutes:.0f} minutes, {len(rounds)} rounds; load of the machine {busy:.1f} before, {os.getloadavg()[0]:.1f} at the end")
    print_counts(load)
    print(f"audit verify: {cluster.operate('audit', 'verify').strip()}\n")
    print_findings(load)
    return int(any(load.found[what] for what in NEVER))
