//! The throw-away cluster, with one database per test, copied from a template that has the schema.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use data_encoding::HEXLOWER;
use raccord::{
    db,
    domain::random::digest,
    embedded_postgres::{Durability, EmbeddedPostgres},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

/// One for all tests of the process. Its lock keeps the server running.
static CLUSTER: OnceCell<EmbeddedPostgres> = OnceCell::const_new();
static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static REAPER: LazyLock<mpsc::Sender<String>> = LazyLock::new(start_reaper);
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Held while the template is made, by one process and one test at a time.
const TEMPLATE_LOCK: i64 = 0x7261_6363_6f72_6401;
/// How the names of filled databases begin.
const FILLED: &str = "raccord_filled_";

/// A database for one test, dropped on drop.
pub struct Database {
    name: String,
    url: String,
    /// The portal's clock as an interval from the database's.
    clock: Mutex<String>,
}

impl Database {
    pub async fn create() -> Self {
        Self::copy_of(TEMPLATE.get_or_init(make_template).await).await
    }

    /// A copy of a database that [`keep`] has.
    async fn copy_of(kept: &str) -> Self {
        let name = format!("test_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        run(&mut maintenance().await, format!("CREATE DATABASE {name} TEMPLATE {kept}")).await;
        Self { url: cluster().await.url(&name).expect("the owner's URL"), name, clock: Mutex::default() }
    }

    /// A copy of the schema with what `fill` adds, which `source` and `size` stand for. It is
    /// filled once, and kept until the schema or the source changes: large ones take long.
    pub async fn filled(source: &str, size: i64, fill: impl AsyncFnOnce(&PgPool)) -> Self {
        let schema = TEMPLATE.get_or_init(make_template).await;
        let made_from = format!("{FILLED}{}", mark([schema, source].concat()));
        let of_earlier_sources = |name: &str| name.starts_with(FILLED) && !name.starts_with(&made_from);
        drop_all(&mut maintenance().await, of_earlier_sources).await;
        let name = format!("{made_from}_{size}");
        keep(&name, schema, fill).await;
        Self::copy_of(&name).await
    }

    /// A database that is made and dropped elsewhere.
    pub fn at(url: &str) -> Self {
        Self { name: String::new(), url: url.into(), clock: Mutex::default() }
    }

    pub fn options(&self) -> PgConnectOptions {
        let options: PgConnectOptions = self.url.parse().expect("the cluster gives a sound URL");
        options.options([("raccord.clock_offset", self.clock.lock().expect("no panic under the lock").as_str())])
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sets the portal's clock for connections made from now on.
    pub fn set_clock(&self, offset: &str) {
        // libpq's options end an argument at a space.
        *self.clock.lock().expect("no panic under the lock") = offset.replace(' ', "\\ ");
    }

    /// Makes the database read-only, or not. Open connections are ended, so that it applies to
    /// all.
    pub async fn set_read_only(&self, read_only: bool) {
        self.alter(&format!("SET default_transaction_read_only = {read_only}")).await;
    }

    /// Alters the database as its operator may, and ends every connection to it.
    pub async fn alter(&self, change: &str) {
        let mut conn = maintenance().await;
        run(&mut conn, format!("ALTER DATABASE {} {change}", self.name)).await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
        run(&mut conn, format!("{end} '{}'", self.name)).await;
    }

    /// Allows connections, or refuses new ones and ends those that are open.
    pub async fn set_reachable(&self, reachable: bool) {
        let mut conn = maintenance().await;
        let limit = if reachable { -1 } else { 0 };
        run(&mut conn, format!("ALTER DATABASE {} CONNECTION LIMIT {limit}", self.name)).await;
        if !reachable {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
            run(&mut conn, format!("{end} '{}'", self.name)).await;
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = REAPER.send(self.name.clone());
        }
    }
}

async fn cluster() -> &'static EmbeddedPostgres {
    CLUSTER
        .get_or_init(|| async {
            let cluster = EmbeddedPostgres::start(&directory(), None, Durability::Throwaway).await;
            cluster.expect("PostgreSQL is installed")
        })
        .await
}

fn directory() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("test-postgres")
}

async fn maintenance() -> PgConnection {
    PgConnection::connect(&cluster().await.url("raccord").expect("the owner's URL")).await.expect("the cluster answers")
}

async fn run(conn: &mut PgConnection, statement: String) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(conn).await.expect("the statement works");
}

/// Migrates a template once for each content of the migrations, and clears what killed test runs
/// left behind.
async fn make_template() -> String {
    let checksums: Vec<u8> = sqlx::migrate!().iter().flat_map(|migration| migration.checksum.to_vec()).collect();
    let name = format!("raccord_test_template_{}", mark(checksums));
    let mut conn = maintenance().await;
    run(&mut conn, format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await;
    keep(&name, "template1", async |pool| db::migrate(pool).await.expect("the migrations run")).await;
    drop_all(&mut conn, is_left_behind).await;
    name
}

/// Fills a copy of another database once, and keeps it in the cluster under this name.
async fn keep(name: &str, from: &str, fill: impl AsyncFnOnce(&PgPool)) {
    let mut conn = maintenance().await;
    if names(&mut conn).await.iter().any(|known| known == name) {
        return;
    }
    let unfinished = format!("{name}_unfinished");
    run(&mut conn, format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
    run(&mut conn, format!("CREATE DATABASE {unfinished} TEMPLATE {from}")).await;
    let url = cluster().await.url(&unfinished).expect("the owner's URL");
    let pool = db::pool(url.parse().expect("the cluster gives a sound URL"), 2);
    fill(&pool).await;
    pool.close().await;
    run(&mut conn, format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
}

/// Twelve characters that stand for a content.
fn mark(content: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(&digest(content))[..12].to_owned()
}

/// The names of the cluster's databases.
async fn names(conn: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("SELECT datname::text FROM pg_database").fetch_all(conn).await.expect("a catalogue")
}

async fn drop_all(conn: &mut PgConnection, unwanted: impl Fn(&str) -> bool) {
    for name in names(conn).await.iter().filter(|name| unwanted(name)) {
        // A background worker of the server may use it, which cannot be ended; the next run clears
        // it.
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let _ = sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *conn).await;
    }
}

/// Whether a database belongs to a test process that has ended, or to an earlier one with our
/// number.
fn is_left_behind(name: &str) -> bool {
    let Some(pid) = name.strip_prefix("test_").and_then(|rest| rest.split('_').next()) else { return false };
    pid == process::id().to_string() || !Path::new("/proc").join(pid).exists()
}

/// Drops databases in the background. The next run drops those that are left when the process
/// ends.
fn start_reaper() -> mpsc::Sender<String> {
    let (sender, names) = mpsc::channel::<String>();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut conn = maintenance().await;
            while let Ok(name) = names.recv() {
                run(&mut conn, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            }
        });
    });
    sender
}

/// The output of `pg_dump` for a database.
pub fn pg_dump(url: &str) -> Vec<u8> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin/pg_dump")).collect())
        .unwrap_or_default();
    versions.sort();
    let program = versions.pop().unwrap_or_else(|| "pg_dump".into());
    let output = Command::new(program).arg("--dbname").arg(url).output().expect("pg_dump is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether a text stands anywhere in the cluster's files: tables, write-ahead log and server log.
pub fn pgdata_holds(text: &str) -> bool {
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--dereference-recursive", "--fixed-strings", "--quiet", "--binary-files=text", text]);
    let status = grep.arg(directory().join("cluster/")).status().expect("grep is installed");
    // 2: a file went away while it was being searched.
    status.code() == Some(0)
}
