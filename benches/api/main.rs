//! What things cost: calls beside a bare axum and sqlx handler, and with `--size` pages, calls and
//! acts among directories of different sizes. `cargo bench --bench api` starts everything and
//! prints tables; `bin/bench` says more.
//!
//! The load is generated in this process, so only ratios are meaningful. Rounds of the variants are
//! interleaved, and the tables show medians: requests per second, and the CPU time of a request in
//! this process (load generator included) and in the database.

#![allow(dead_code, reason = "the tests' helpers do more than is needed here")]

#[path = "../../tests/common/mod.rs"]
mod common;

mod accounts;
mod acts;
mod bare;
mod chain;
mod directory;
mod load;
mod nginx;
mod peers;
mod program;
mod refusals;

use std::{env, net::SocketAddr, sync::Arc, time::Duration};

use accounts::{Accounts, MEMBERSHIPS};
use common::{Takes, TestPortal, TestService};
use directory::Portal;
use load::{CONNECTIONS, Measure, Variant, milliseconds, percentile};
use nginx::Nginx;
use peers::Peers;
use raccord::{
    db::{self, api::connections::Connections},
    settings::Settings,
    web::{self, api::state::ApiState, edge::state::AppState, paths},
};
use sqlx::{PgPool, postgres::PgPoolOptions};

/// What the API has by default.
const DATABASE_CONNECTIONS: u32 = 12;
const ROUNDS: usize = 7;
/// The bare handlers, and nginx without a check: what the others are compared with.
const READ: &str = "bare, read";
const WRITE: &str = "bare, write";
const LOOK_UP: &str = "bare, look-up";
const NGINX: &str = "nginx, no check";
/// Accounts that call in turn, beside the one that calls alone.
const MANY: usize = 100_000;
/// Requests of each page and call in each directory, in this many turns.
const REQUESTS: usize = 100;
const TURNS: usize = 4;

/// What the arguments ask for. `cargo bench` adds `--bench`.
struct Wanted {
    /// One variant of the first table alone, for a profiler.
    variant: Option<String>,
    /// Accounts of the second half of the first table.
    accounts: usize,
    /// Whether the first table has systems of other projects too.
    peers: bool,
    /// Directories to compare.
    sizes: Vec<i64>,
}

impl Wanted {
    fn read() -> Self {
        let mut wanted = Self { variant: None, accounts: 0, peers: false, sizes: Vec::new() };
        let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--many" => wanted.accounts = MANY,
                "--peers" => wanted.peers = true,
                "--size" => {
                    let size = arguments.next().and_then(|size| size.parse().ok());
                    wanted.sizes.push(size.expect("--size needs a number of structures"));
                }
                name => wanted.variant = Some(name.to_owned()),
            }
        }
        wanted
    }
}

#[tokio::main]
async fn main() {
    let wanted = Wanted::read();
    measure_calls(&wanted).await;
    if !wanted.sizes.is_empty() {
        measure_directories(&wanted.sizes).await;
        print_program(&program::measure().await);
    }
}

/// The first table: credentials.
async fn measure_calls(wanted: &Wanted) {
    let portal = TestPortal::start().await;
    let pool = db::pool(portal.database_url().parse().expect("a sound URL"), DATABASE_CONNECTIONS);
    portal.execute("CREATE TABLE bare_tokens (token_hash bytea PRIMARY KEY, expires_at timestamptz NOT NULL)").await;
    // Among fewer rows of others, PostgreSQL reads whole tables instead of their indexes.
    let many = Accounts::create(&portal, "VOISIN", wanted.accounts.max(50_000)).await;
    let one = Accounts::create(&portal, "SEUL", 1).await;
    let service = portal.service("factures", Takes::EveryToken).await;
    let plain_pool = plain_pool(&pool);
    let (raccord, plain) = start_servers(&pool, &plain_pool).await;
    let many = (wanted.accounts > 0).then_some(&many);
    let mut variants = variants(raccord, plain, &one, many, &service);
    let same = bare::serve(bare::reading(Arc::new(Connections::from(pool.clone()))).with_state(())).await;
    let same = Variant::new("bare, read, same connections", same, many.unwrap_or(&one).bare_requests());
    variants.insert(1, same.beside(READ));
    let nginx = Nginx::start(raccord).await;
    if let Some(nginx) = &nginx {
        let calls =
            |name: &str, to, accounts: &Accounts| Variant::new(name, to, accounts.calls_of_an_api()).beside(NGINX);
        variants.push(calls(NGINX, nginx.plain, many.unwrap_or(&one)));
        variants.push(calls("nginx, check", nginx.checking, &one));
        variants.extend(many.map(|many| calls("nginx, check, many", nginx.checking, many)));
    }
    let peers = if wanted.peers { Some(Peers::start().await) } else { None };
    if let Some(peers) = &peers {
        variants.extend(peers.variants().await);
    }
    if let Some(name) = &wanted.variant {
        variants.retain(|variant| variant.name == *name);
    }
    let backends = backends([&pool, &plain_pool]).await;
    let rounds = measure_rounds(&variants, &backends).await;
    print_calls(&variants, &rounds);
    if peers.is_some() {
        peers::print_legend();
    }
    if wanted.variant.is_none() {
        refusals::print(&refusals::measure(&portal, raccord).await);
    }
}

/// Starts the portal and the bare handlers, each on its pool.
async fn start_servers(pool: &PgPool, plain: &PgPool) -> (SocketAddr, SocketAddr) {
    // Refused credentials come from many networks.
    let trusted_proxies = [[127, 0, 0, 1].into()].into_iter().collect();
    let defaults = Settings::read(|_| None).expect("the defaults");
    let settings = Settings { secret_key_file: key_file(), trusted_proxies, ..defaults };
    let state = AppState::new(pool.clone(), settings).expect("no theme");
    let raccord = bare::serve(web::router(state.clone(), ApiState::new(state))).await;
    (raccord, bare::serve(bare::router(plain.clone())).await)
}

/// As many connections to the same database, used as sqlx does by default.
fn plain_pool(pool: &PgPool) -> PgPool {
    let options = pool.connect_options().as_ref().clone();
    PgPoolOptions::new().max_connections(DATABASE_CONNECTIONS).connect_lazy_with(options)
}

/// The variants to measure, the bare handlers first.
fn variants(
    raccord: SocketAddr,
    plain: SocketAddr,
    one: &Accounts,
    many: Option<&Accounts>,
    service: &TestService,
) -> Vec<Variant> {
    let writes = vec![load::request(bare::WRITE, "", "{}")];
    let mut variants = vec![
        Variant::new(READ, plain, many.unwrap_or(one).bare_requests()),
        Variant::new(WRITE, plain, writes),
        Variant::new(LOOK_UP, plain, many.unwrap_or(one).questions(bare::LOOK_UP, service)),
    ];
    for (accounts, which) in [(Some(one), ""), (many, ", many")] {
        let Some(accounts) = accounts else { continue };
        let questions = accounts.questions(paths::API_INTROSPECTION, service);
        let of_passwords = accounts.questions_about_passwords(service);
        let calls = [
            ("token", READ, accounts.token_requests()),
            ("cpro-account", READ, accounts.password_requests()),
            ("Bearer", READ, accounts.bearer_requests()),
            ("both", READ, accounts.requests_with_both()),
            ("introspection", LOOK_UP, questions),
            ("of passwords", LOOK_UP, of_passwords),
            ("gateway", LOOK_UP, accounts.checks(service)),
        ];
        variants.extend(
            calls.map(|(name, bare, calls)| Variant::new(&format!("{name}{which}"), raccord, calls).beside(bare)),
        );
    }
    variants
}

/// The key file of the tests' portals, whose verifiers the accounts have.
fn key_file() -> std::path::PathBuf {
    concat!(env!("CARGO_TARGET_TMPDIR"), "/secret.key").into()
}

/// The process numbers of the pools' database backends, once all connections are open.
async fn backends(pools: [&PgPool; 2]) -> Vec<String> {
    let mut held = Vec::new();
    for pool in pools {
        for _ in 0..DATABASE_CONNECTIONS {
            held.push(pool.acquire().await.expect("a connection"));
        }
    }
    let backends =
        "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'";
    sqlx::query_scalar(backends).fetch_all(&mut *held[0]).await.expect("the query works")
}

async fn measure_rounds(variants: &[Variant], backends: &[String]) -> Vec<Vec<Measure>> {
    let mut rounds: Vec<Vec<Measure>> = variants.iter().map(|_| Vec::new()).collect();
    for number in 0..=ROUNDS {
        for (measures, variant) in rounds.iter_mut().zip(variants) {
            let measure = load::round(variant, backends).await;
            // The first round is a warm-up.
            if number > 0 {
                measures.push(measure);
            }
        }
    }
    rounds
}

fn print_calls(variants: &[Variant], rounds: &[Vec<Measure>]) {
    println!("{MEMBERSHIPS} memberships, {CONNECTIONS} connections, {ROUNDS} rounds of 2 s each");
    println!("{:27} {:>12} {:>10} {:>16} {:>16}", "", "requests/s", "of bare", "µs here", "µs in database");
    let median = |measures: &[Measure], figure: fn(&Measure) -> u64| {
        percentile(&measures.iter().map(figure).collect::<Vec<_>>(), 50)
    };
    let rate = |name: &str| {
        let number = variants.iter().position(|variant| variant.name == name)?;
        Some(median(&rounds[number], |measure| measure.requests_per_second))
    };
    for (variant, measures) in variants.iter().zip(rounds) {
        let [own, bare] = [&variant.name, variant.bare].map(rate);
        let own = own.expect("it is in the table");
        let share = bare.map_or_else(String::new, |bare| format!("{}%", own * 100 / bare));
        let (own_cpu, database_cpu) = (median(measures, |m| m.own_cpu), median(measures, |m| m.database_cpu));
        println!("{:27} {own:>12} {share:>10} {own_cpu:>16} {database_cpu:>16}", variant.name);
    }
}

/// The second to fourth table: pages, calls and acts by size.
async fn measure_directories(sizes: &[i64]) {
    let mut portals = Vec::new();
    for size in sizes {
        let portal = Portal::create(*size).await;
        println!("{} structures: filled in {:.0?}, {} MB", portal.size, portal.filled_in, portal.bytes / 1_000_000);
        // Each once, so that what cannot be measured is found before a larger directory is filled.
        for variant in portal.pages().iter().chain(&portal.calls()) {
            load::times(variant, 1).await;
        }
        portals.push(portal);
    }
    for portal in &mut portals {
        portal.sign_in_again().await;
    }
    print_times("Pages", &portals, Portal::pages).await;
    print_times("Calls", &portals, Portal::calls).await;
    let mut acts = Vec::new();
    for portal in &portals {
        acts.push(acts::measure(portal).await);
    }
    print_head("Acts", &portals);
    for number in 0..acts[0].rows().len() {
        let times: Vec<_> = acts.iter().map(|acts| acts.rows()[number].1.to_vec()).collect();
        print_row(acts[0].rows()[number].0, &times);
    }
}

/// One row per page or call, whose requests go to each directory in turn.
async fn print_times(title: &str, portals: &[Portal], variants: fn(&Portal) -> Vec<Variant>) {
    print_head(title, portals);
    let of_portals: Vec<Vec<Variant>> = portals.iter().map(variants).collect();
    for number in 0..of_portals[0].len() {
        let mut times = vec![Vec::new(); portals.len()];
        for turn in 0..=TURNS {
            for (times, variants) in times.iter_mut().zip(&of_portals) {
                let measured = load::times(&variants[number], REQUESTS / TURNS).await;
                // The first turn is a warm-up.
                if turn > 0 {
                    times.extend(measured);
                }
            }
        }
        print_row(&of_portals[0][number].name, &times);
    }
}

fn print_head(title: &str, portals: &[Portal]) {
    let sizes: Vec<_> = portals.iter().map(|portal| format!("{:>16}", portal.size)).collect();
    println!("\n{title:32}{}   ms at p50 / p95", sizes.join(""));
}

/// The times in each directory, and the last one's beside the first one's.
fn print_row(name: &str, times: &[Vec<Duration>]) {
    let cell = |times: &Vec<Duration>| {
        format!("{:>16}", format!("{} / {}", milliseconds(percentile(times, 50)), milliseconds(percentile(times, 95))))
    };
    let cells: Vec<_> = times.iter().map(cell).collect();
    let of = |times: &Vec<Duration>| percentile(times, 50).as_secs_f64();
    let growth = of(&times[times.len() - 1]) / of(&times[0]);
    println!("{name:32}{}   {growth:.2} ×", cells.join(""));
}

fn print_program(figures: &program::Figures) {
    let megabytes = |kilobytes: u64| kilobytes / 1024;
    println!("\nThe program on its embedded database");
    println!(
        "ready after        {:.0?} with an empty directory, {:.0?} later",
        figures.first_start, figures.later_start
    );
    println!(
        "memory             {} MB at start, {} MB at most under load, {} MB a minute later",
        megabytes(figures.memory_at_start),
        megabytes(figures.memory_under_load),
        megabytes(figures.memory_after_rest),
    );
    println!(
        "acts a second      {} of 50 at once; {} if none waited for the disk",
        figures.acts_with_flush, figures.acts_without_flush,
    );
}
