//! `raccord audit verify` on histories that the database's owner has tampered with.

use futures_util::future::join_all;
use sqlx::AssertSqlSafe;

use super::binary::{raccord, run};
use crate::common::TestPortal;

/// Exit code and output.
fn verify(portal: &TestPortal, head: Option<&str>) -> (i32, String) {
    let mut arguments = vec!["audit", "verify"];
    arguments.extend(head.into_iter().flat_map(|head| ["--head", head]));
    let (code, told, errors) = run(&mut raccord(&arguments, &[("DATABASE_URL", portal.database_url())]));
    (code, told + &errors)
}

/// The head of a chain that is whole.
#[track_caller]
pub fn head(portal: &TestPortal) -> String {
    let (code, told) = verify(portal, None);
    assert_eq!(code, 0, "{told}");
    told.lines().find_map(|line| line.strip_prefix("head: ")).expect("a head").to_owned()
}

/// A portal with nine events, whose numbers are their positions.
pub async fn with_history() -> TestPortal {
    let portal = TestPortal::start().await;
    let (manager, structure) = portal.manager().await;
    portal.technical_user(&structure, &manager).await;
    for _ in 0..3 {
        portal
            .execute(
                "INSERT INTO audit_events (actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
                 SELECT s.principal_manager_id, 'élodie@exemple.fr', '192.0.2.1', 'STRUCTURE_EDITED', s.id, NULL, '', 'né en 1970 🏛'
                   FROM structures s;
                 INSERT INTO audit_events (at, actor, address, action, technical_user_id, subject)
                 SELECT '1969-12-31 23:59:59.999999+00', 'b', '::1', 'CALLS_REFUSED', id, login FROM technical_users;
                 INSERT INTO audit_events (actor, address, action) VALUES ('', '', '')",
            )
            .await;
    }
    assert_eq!(portal.number("SELECT max(id) FROM audit_events", &[]).await, 9);
    portal
}

/// Runs statements as the database's owner may, with the triggers off.
pub async fn tamper(portal: &TestPortal, statements: &str) {
    let blind =
        |how: &str| format!("ALTER TABLE audit_events {how} TRIGGER USER; ALTER TABLE audit_chain {how} TRIGGER USER");
    let sql = format!("BEGIN; {}; {statements}; {}; COMMIT", blind("DISABLE"), blind("ENABLE"));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&portal.pool).await.expect("the statements work");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untouched_history_is_whole_and_keeps_its_heads() {
    let portal = with_history().await;
    let before = head(&portal);
    assert!(before.starts_with("9:"), "{before}");
    portal.execute("INSERT INTO audit_events (actor, address, action) VALUES ('a', 'b', 'SIGNED_OUT')").await;
    let (code, told) = verify(&portal, Some(&before));
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("events: 10\nhead: 10:"), "{told}");
    let (code, told) = verify(&portal, Some("9:abc"));
    assert!(code == 2 && told.contains("POSITION:HASH"), "{told}");
    let empty = TestPortal::start().await;
    assert!(head(&empty).starts_with("0:0000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_rewrite_a_history_is_found_where_it_begins() {
    let swap_events = "UPDATE audit_chain SET event_id = -event_id WHERE position IN (3, 7);
                       UPDATE audit_chain SET event_id = CASE position WHEN 3 THEN 7 ELSE 3 END WHERE position IN (3, 7)";
    let swap_links = "UPDATE audit_chain SET position = -position WHERE position IN (3, 4);
                      UPDATE audit_chain SET position = CASE position WHEN -3 THEN 4 ELSE 3 END WHERE position < 0";
    let swap_rows = "UPDATE audit_events e SET at = o.at, actor = o.actor, action = o.action, detail = o.detail
                       FROM audit_events o WHERE (e.id, o.id) IN ((3, 4), (4, 3))";
    let changed = |column: &str, value: &str| format!("UPDATE audit_events SET {column} = {value} WHERE id = 4");
    let cases = [
        (changed("actor_id", "NULL"), "position 4: event 4 was changed"),
        (changed("actor", "'e' || actor"), "position 4: event 4 was changed"),
        (changed("address", "'192.0.2.2'"), "position 4: event 4 was changed"),
        (changed("action", "'PASSWORD_SHOWN'"), "position 4: event 4 was changed"),
        (changed("structure_id", "NULL"), "position 4: event 4 was changed"),
        (changed("technical_user_id", "1"), "position 4: event 4 was changed"),
        (changed("subject", "detail, detail = ''"), "position 4: event 4 was changed"),
        (changed("at", "at + interval '1 microsecond'"), "position 4: event 4 was changed"),
        (changed("at", "'infinity'"), "position 4: event 4 was changed"),
        (
            "UPDATE audit_events SET detail = 'x' WHERE id = 9".into(),
            "position 9, the last: event 9 or its link was changed",
        ),
        ("DELETE FROM audit_events WHERE id = 5".into(), "position 5: event 5 is missing"),
        ("DELETE FROM audit_events WHERE id = 9".into(), "position 9: event 9 is missing"),
        (swap_events.into(), "position 3: the link was made for event 3 and now names event 7"),
        (swap_links.into(), "position 3: links were reordered"),
        (swap_rows.into(), "position 3: links were reordered, or this one and the next, or their events"),
        ("DELETE FROM audit_chain WHERE position = 6".into(), "position 6: the link is missing"),
        ("DELETE FROM audit_chain WHERE position = 1".into(), "position 1: the link is missing"),
        ("DELETE FROM audit_chain WHERE position = 9".into(), "event 9 is outside the chain"),
        (
            "UPDATE audit_chain SET hash = sha256(hash) WHERE position = 2".into(),
            "position 2: the link's hash was changed",
        ),
        (
            "INSERT INTO audit_events (actor, address, action) VALUES ('', '', '')".into(),
            "event 10 is outside the chain",
        ),
        (
            "INSERT INTO audit_events (actor, address, action) VALUES ('', '', '');
             INSERT INTO audit_chain VALUES (-1, 10, sha256(''))"
                .into(),
            "position 1: the link is missing or out of place; position -1 comes next",
        ),
    ];
    let portal = with_history().await;
    let noted = head(&portal);
    let keep =
        "CREATE TABLE kept_events AS SELECT * FROM audit_events; CREATE TABLE kept_links AS SELECT * FROM audit_chain";
    tamper(&portal, keep).await;
    for (statement, expected) in cases {
        tamper(&portal, &statement).await;
        let (code, told) = verify(&portal, None);
        assert!(code == 3 && told.starts_with(expected), "{statement}: {code} {told}");
        let restore = "DELETE FROM audit_events; DELETE FROM audit_chain;
                       INSERT INTO audit_events OVERRIDING SYSTEM VALUE SELECT * FROM kept_events;
                       INSERT INTO audit_chain SELECT * FROM kept_links;
                       SELECT setval('audit_events_id_seq', 9)";
        tamper(&portal, restore).await;
        assert_eq!(head(&portal), noted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_cut_off_and_a_chain_made_anew_are_found_by_a_noted_head() {
    let portal = with_history().await;
    let noted = head(&portal);
    tamper(&portal, "DELETE FROM audit_chain WHERE position > 7; DELETE FROM audit_events WHERE id > 7").await;
    assert!(head(&portal).starts_with("7:"), "without a noted head nothing tells");
    let (code, told) = verify(&portal, Some(&noted));
    assert!(code == 3 && told.starts_with("the chain ends at position 7, before the noted head 9"), "{told}");

    // The database's owner makes each link again, by the trigger itself.
    let noted = head(&portal);
    tamper(&portal, "CREATE TABLE kept AS SELECT * FROM audit_events ORDER BY id; DELETE FROM audit_chain; DELETE FROM audit_events")
        .await;
    portal.execute("INSERT INTO audit_events OVERRIDING SYSTEM VALUE SELECT * FROM kept WHERE id <> 2").await;
    portal.execute("INSERT INTO audit_events (actor, address, action) VALUES ('', '', '')").await;
    assert!(head(&portal).starts_with("7:"), "without a noted head nothing tells");
    let (code, told) = verify(&portal, Some(&noted));
    assert!(code == 3 && told.starts_with("position 7: the hash is not the noted one"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_that_happen_together_make_one_chain_without_a_hole() {
    let portal = TestPortal::start().await;
    let (manager, structures) = portal.manager_with_structures("Camille", 50).await;
    let browser = portal.signed_in(&manager).await;
    let edits = structures.iter().map(|structure| {
        let browser = &browser;
        async move {
            let path = format!("/structures/{}", structure.id);
            let page = browser.open(&format!("{path}/informations-generales")).await;
            browser.submit(&page, &path, &[("ville", "Évreux")]).await.location();
        }
    });
    // One act with 51 events among the 50 with one each.
    let contact = async {
        browser
            .post("/mon-compte/adresse-de-contact", &[("adresse-de-contact", "nouvelle@exemple.fr")])
            .await
            .location();
    };
    futures_util::future::join(join_all(edits), contact).await;
    assert_eq!(portal.events_of("STRUCTURE_EDITED").await, 50);
    assert_eq!(portal.events_of("CONTACT_ADDRESS_CHANGED").await, 51);
    let count = portal.count("audit_events").await;
    assert!(head(&portal).starts_with(&format!("{count}:")));
    let positions = "SELECT count(*) FROM audit_chain WHERE position BETWEEN 1 AND (SELECT count(*) FROM audit_events)";
    assert_eq!(portal.number(positions, &[]).await, count);
}

#[tokio::test]
async fn an_act_that_cannot_be_chained_does_not_happen() {
    let portal = with_history().await;
    portal.execute("CREATE TRIGGER refuse_all BEFORE INSERT ON audit_chain EXECUTE FUNCTION refuse_change()").await;
    let insert = "INSERT INTO audit_events (actor, address, action) VALUES ('', '', '')";
    assert!(sqlx::query(insert).execute(&portal.pool).await.is_err());
    assert_eq!(portal.count("audit_events").await, 9);
    for change in ["UPDATE audit_chain SET hash = hash", "DELETE FROM audit_chain", "TRUNCATE audit_chain"] {
        let error = sqlx::query(change).execute(&portal.pool).await.unwrap_err().to_string();
        assert!(error.contains("audit_chain is append-only"), "{error}");
    }
}

#[tokio::test]
async fn the_chain_covers_every_column_that_an_event_has() {
    let portal = TestPortal::start().await;
    let columns = "SELECT attname::text FROM pg_attribute
                    WHERE attrelid = 'audit_events'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    assert_eq!(
        portal.texts(columns, &[]).await,
        [
            "id",
            "at",
            "actor_id",
            "actor",
            "address",
            "action",
            "structure_id",
            "technical_user_id",
            "subject",
            "detail"
        ],
        "a new column belongs into audit_link_hash and StoredEvent::link_hash"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_before_the_chain_is_chained_when_the_schema_is_brought_up_to_date() {
    let portal = with_history().await;
    let noted = head(&portal);
    portal
        .execute(
            "DROP TRIGGER audit_events_chained ON audit_events;
             DROP FUNCTION chain_audit_event();
             DROP FUNCTION audit_link_hash(bytea, bigint, audit_events);
             DROP TABLE audit_chain;
             DELETE FROM _sqlx_migrations WHERE version = 40",
        )
        .await;
    assert_eq!(head(&portal), noted);
}
