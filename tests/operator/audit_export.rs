//! `raccord audit export`: the history as JSON lines, for syslog or a SIEM.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use data_encoding::HEXLOWER;
use raccord::domain::audit_chain::{LinkHash, StoredEvent};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    audit::{head, tamper, with_history},
    binary::{Directory, raccord, run},
};
use crate::common::TestPortal;

/// Exit code, lines and errors.
fn export(portal: &TestPortal, arguments: &[&str]) -> (i32, Vec<Value>, String) {
    let arguments = [&["audit", "export"], arguments].concat();
    let (code, lines, errors) = run(&mut raccord(&arguments, &[("DATABASE_URL", portal.database_url())]));
    (code, lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), errors)
}

fn positions(lines: &[Value]) -> Vec<i64> {
    lines.iter().map(|line| line["position"].as_i64().expect("a position")).collect()
}

/// The hash of an exported line after the one before, made of nothing but the line.
fn hash_of(line: &Value, previous: LinkHash) -> LinkHash {
    let text = |name: &str| line[name].as_str().expect("a text").to_owned();
    let at = OffsetDateTime::parse(&text("at"), &Rfc3339).expect("an instant");
    let event = StoredEvent {
        id: line["event"].as_i64().expect("an id"),
        at: i64::try_from(at.unix_timestamp_nanos() / 1000).expect("microseconds"),
        actor_id: line["actor_id"].as_i64(),
        actor: text("actor"),
        address: text("address"),
        action: text("action"),
        structure_id: line["structure_id"].as_i64(),
        technical_user_id: line["technical_user_id"].as_i64(),
        subject: text("subject"),
        detail: text("detail"),
    };
    event.link_hash(previous, line["position"].as_i64().expect("a position"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_one_line_from_which_its_hash_can_be_made_again() {
    let portal = with_history().await;
    let head = head(&portal);
    let (code, lines, errors) = export(&portal, &[]);
    assert_eq!((code, positions(&lines)), (0, (1..=9).collect()), "{errors}");
    let mut previous = LinkHash::NONE;
    for line in &lines {
        previous = hash_of(line, previous);
        assert_eq!(line["hash"], HEXLOWER.encode(&previous.0));
    }
    assert_eq!(head, format!("9:{}", HEXLOWER.encode(&previous.0)));
    assert_eq!((&lines[3]["detail"], &lines[4]["at"]), (&"né en 1970 🏛".into(), &"1969-12-31T23:59:59.999999Z".into()));

    assert_eq!(positions(&export(&portal, &["--since", "7"]).1), [8, 9]);
    assert_eq!(export(&portal, &["--since", &head]), (0, vec![], String::new()));
    for (since, problem) in [
        ("12", "the chain ends at position 9, before the noted head 12"),
        (&format!("9:{}", "0".repeat(64)), "position 9: the hash is not the noted one"),
    ] {
        let (code, lines, errors) = export(&portal, &["--since", since]);
        assert!(code == 3 && lines.is_empty() && errors.starts_with(problem), "{code} {errors}");
    }
    let (code, _, errors) = export(&portal, &["--since", "one"]);
    assert!(code == 2 && errors.contains("POSITION"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_was_changed_is_exported_up_to_the_change() {
    let portal = with_history().await;
    tamper(&portal, "UPDATE audit_events SET detail = 'x' WHERE id = 4").await;
    let (code, lines, errors) = export(&portal, &[]);
    assert_eq!((code, positions(&lines)), (3, vec![1, 2, 3]));
    assert!(errors.starts_with("position 4: event 4 was changed"), "{errors}");
    // What came later is exported where the operator says so.
    assert_eq!(positions(&export(&portal, &["--since", "4"]).1), [5, 6, 7, 8, 9]);
}

/// A process that follows the history.
struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

fn follow(portal: &TestPortal, arguments: &[&str]) -> Child {
    let arguments = [&["audit", "export", "--follow"], arguments].concat();
    let mut command = raccord(&arguments, &[("DATABASE_URL", portal.database_url())]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

impl Following {
    fn start(portal: &TestPortal, arguments: &[&str]) -> Self {
        let mut child = follow(portal, arguments);
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, lines }
    }

    /// The positions of the next lines.
    fn next(&mut self, count: usize) -> Vec<i64> {
        let lines: Vec<Value> =
            self.lines.by_ref().lines().take(count).map(|line| parsed(&line.expect("a line"))).collect();
        positions(&lines)
    }

    fn end(mut self) -> (Option<i32>, String) {
        signal(&self.child);
        self.wait()
    }

    /// Waits for its end: exit code and errors.
    fn wait(&mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            assert!(start.elapsed() < Duration::from_secs(20), "it does not end");
            thread::sleep(Duration::from_millis(20));
        }
        let errors = std::io::read_to_string(self.child.stderr.take().expect("a pipe")).expect("its errors");
        (self.child.wait().expect("it ended").code(), errors)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON")
}

fn signal(child: &Child) {
    assert!(Command::new("kill").arg(child.id().to_string()).status().expect("kill is there").success());
}

async fn add_event(portal: &TestPortal) {
    portal.execute("INSERT INTO audit_events (actor, address, action) VALUES ('', '', 'SIGNED_OUT')").await;
}

/// Ends the database's connections to this test's database other than these.
async fn end_connections_but(portal: &TestPortal, kept: &[i32]) {
    let end =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL ($1)";
    let ended = sqlx::query(end).bind(kept).fetch_all(&portal.pool).await.expect("the statement works");
    assert!(!ended.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_after_an_outage_and_after_a_restart_with_what_it_has_not_printed() {
    let portal = with_history().await;
    let directory = Directory::create();
    let state = directory.path().join("state");
    let state_argument = ["--since", "6", "--state", state.to_str().expect("a path")];
    let ours: Vec<i32> = sqlx::query_scalar("SELECT pid FROM pg_stat_activity").fetch_all(&portal.pool).await.unwrap();
    let mut stream = Following::start(&portal, &state_argument);
    assert_eq!(stream.next(3), [7, 8, 9]);
    add_event(&portal).await;
    assert_eq!(stream.next(1), [10]);
    end_connections_but(&portal, &ours).await;
    add_event(&portal).await;
    assert_eq!(stream.next(1), [11]);
    // The file follows the line.
    until("the position is noted", || fs::read_to_string(&state).is_ok_and(|text| text.starts_with("11:")));
    let (code, errors) = stream.end();
    assert_eq!(code, Some(0), "{errors}");

    add_event(&portal).await;
    let mut stream = Following::start(&portal, &state_argument);
    assert_eq!(stream.next(1), [12]);
    assert_eq!(stream.end().0, Some(0));
    fs::write(&state, "no position").expect("the file");
    let (code, _, errors) = export(&portal, &state_argument);
    assert!(code == 1 && errors.starts_with("--state: ") && errors.contains("POSITION"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_where_history_went_back() {
    let portal = with_history().await;
    let mut stream = Following::start(&portal, &[]);
    assert_eq!(stream.next(9).len(), 9);
    tamper(&portal, "DELETE FROM audit_chain WHERE position > 7; DELETE FROM audit_events WHERE id > 7").await;
    let (code, errors) = stream.wait();
    assert_eq!(code, Some(3));
    assert!(errors.contains("the chain ends at position 7, before the noted head 9"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_read_still_ends_when_it_is_asked_to() {
    let portal = TestPortal::start().await;
    portal
        .execute(
            "INSERT INTO audit_events (actor, address, action) SELECT repeat('a', 100), '', '' FROM generate_series(1, 2000)",
        )
        .await;
    let mut stream = Following::start(&portal, &[]);
    assert_eq!(stream.next(1), [1]);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(stream.end().0, Some(0));
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// `rsyslogd` with deploy/audit/rsyslog.conf as it stands, but for the file that it writes.
struct Rsyslog {
    child: Child,
    directory: Directory,
}

impl Rsyslog {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        let program = Path::new("/usr/sbin/rsyslogd");
        if !program.is_file() {
            eprintln!("skipped: rsyslogd is not installed (bin/test installs it)");
            return None;
        }
        let directory = Directory::create();
        let own = directory.path().to_str().expect("a path").to_owned();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/audit/rsyslog.conf");
        let rules = fs::read_to_string(file).expect("the example").replace("/var/log/", &format!("{own}/"));
        let input = format!(
            "global(maxMessageSize=\"64k\" workDirectory=\"{own}\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n\
             input(type=\"imuxsock\" Socket=\"{own}/log\")\n{rules}"
        );
        let file = directory.file("rsyslog.conf", input.as_bytes());
        let mut command = Command::new(program);
        command.arg("-n").arg("-f").arg(file).args(["-i", &format!("{own}/pid")]);
        let child = command.stdin(Stdio::null()).spawn().expect("rsyslogd starts");
        let rsyslog = Self { child, directory };
        until("rsyslogd listens", || rsyslog.socket().exists());
        Some(rsyslog)
    }

    fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("log")
    }

    fn written(&self) -> Vec<String> {
        let file = self.directory.path().join("raccord-audit.jsonl");
        fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        signal(&self.child);
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_takes_the_stream_as_it_is_written() {
    let Some(rsyslog) = Rsyslog::start() else { return };
    let portal = with_history().await;
    portal
        .execute("INSERT INTO audit_events (actor, address, action, detail) VALUES (E'\\t\"%<\\\\', '', '', repeat('é', 3000))")
        .await;
    let mut stream = follow(&portal, &[]);
    let mut logger = Command::new("logger");
    logger.args(["--tag", "raccord-audit", "--size", "64KiB", "--socket"]).arg(rsyslog.socket());
    let mut logger = logger.stdin(stream.stdout.take().expect("a pipe")).spawn().expect("logger is there");
    until("the events arrive", || rsyslog.written().len() >= 10);
    add_event(&portal).await;
    until("the next event arrives", || rsyslog.written().len() >= 11);
    signal(&stream);
    assert!(stream.wait().expect("it ends").success());
    assert!(logger.wait().expect("it ends").success());
    let arrived: Vec<Value> = rsyslog.written().iter().map(|line| parsed(line)).collect();
    assert_eq!(arrived, export(&portal, &[]).1);
}
