//! Connections at hand for calls.

use std::time::Duration;

use raccord::db::{self, api::connections::Connections};
use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use crate::common::TestPortal;

fn pool_of(portal: &TestPortal, connections: u32) -> PgPool {
    db::pool(portal.database_url().parse().unwrap(), connections)
}

async fn backend(database: &Connections) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(database).await
}

#[tokio::test]
async fn a_connection_at_hand_serves_the_next_call_and_is_given_back_once_it_rests() {
    let portal = TestPortal::start().await;
    let pool = pool_of(&portal, 2);
    let database = Connections::from(pool.clone());
    let first = backend(&database).await.unwrap();
    assert_eq!((pool.size(), pool.num_idle()), (1, 0), "at hand");
    assert_eq!(backend(&database).await.unwrap(), first);
    let rows: Vec<i32> = sqlx::query_scalar("SELECT generate_series(1, 3)").fetch_all(&database).await.unwrap();
    assert_eq!(rows, [1, 2, 3]);
    let is_back = async {
        while pool.num_idle() < 1 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(2), is_back).await.expect("it is given back");
    assert_eq!(backend(&database).await.unwrap(), first, "and taken again");
}

#[tokio::test]
async fn others_get_their_turn_while_calls_keep_coming() {
    let portal = TestPortal::start().await;
    let pool = pool_of(&portal, 1);
    let database = Connections::from(pool.clone());
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                loop {
                    backend(&database).await.unwrap();
                }
            })
        })
        .collect();
    sleep(Duration::from_millis(50)).await;
    for _ in 0..5 {
        timeout(Duration::from_secs(1), pool.acquire()).await.expect("within a second").unwrap();
    }
    for call in calls {
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled(), "no call failed");
    }
}

#[tokio::test]
async fn a_connection_that_ended_or_still_works_is_not_at_hand() {
    let portal = TestPortal::start().await;
    let database = Connections::from(pool_of(&portal, 2));
    let first = backend(&database).await.unwrap();
    assert!(sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())").fetch_one(&database).await.is_err());
    let second = backend(&database).await.unwrap();
    assert_ne!(first, second);
    // Its caller goes away; the statement works on.
    let slow = sqlx::query("SELECT pg_sleep(3)").fetch_one(&database);
    timeout(Duration::from_millis(50), slow).await.expect_err("it takes longer");
    let third = timeout(Duration::from_secs(1), backend(&database)).await.expect("another one is free").unwrap();
    assert_ne!(second, third);
}
