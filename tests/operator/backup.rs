//! A portal starts on a restored backup, and the guide's steps after a restore
//! (docs/operations.md) work.

use super::{
    binary::{Directory, Serving},
    faults::health_check,
    postgres::Postgres,
};
use crate::common::TestPortal;

/// The statements of the section « After a restore » of the operator's guide.
fn statements_of_the_guide() -> String {
    let guide = include_str!("../../docs/operations.md");
    let (_, section) = guide.split_once("## After a restore").expect("the guide has the section");
    let (_, block) = section.split_once("```sql\n").expect("with statements");
    block.split("```").next().expect("that end").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_serves_and_what_it_revives_is_ended_as_the_guide_says() {
    let postgres = Postgres::start(&[]);
    let portal = TestPortal::over(&postgres.url("raccord", "raccord")).await;
    let (manager, structure) = portal.manager().await;
    let directory = Directory::create();
    let before = Serving::start(&directory, &["serve"], &[("DATABASE_URL", portal.database_url())]);
    let browser = portal.sign_in(before.browser(), &manager).await;
    let (replaced, _, old) = portal.create_and_show(&browser, structure.id, "Remplacé").await;
    let (_, _, kept) = portal.create_and_show(&browser, structure.id, "Gardé").await;
    let login_of = |label: &str| {
        let sql = format!("SELECT login FROM technical_users WHERE label = '{label}'");
        postgres.sql("raccord", &sql)
    };
    let (replaced_login, kept_login) = (login_of("Remplacé"), login_of("Gardé"));

    let dump = postgres.data().with_file_name("raccord.dump");
    let dump = dump.to_str().expect("a path of text");
    let run = |name: &str, arguments: &[&str]| {
        let output = Postgres::program(name).args(arguments).output().expect("PostgreSQL's programs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run("pg_dump", &["--format=custom", "--file", dump, &postgres.url("raccord", "raccord")]);
    // After the backup, a password is replaced; the restored database has the old one.
    let account = format!("/utilisateurs-techniques/{replaced}");
    let page = browser.open(&account).await;
    let summary = browser.submit(&page, &format!("{account}/mot-de-passe"), &[]).await.location();
    let new = browser.open(&summary).await.password().expect("the new password");
    before.stop();

    postgres.sql("postgres", "CREATE DATABASE restored OWNER raccord");
    run(
        "pg_restore",
        &["--no-owner", "--no-privileges", "--exit-on-error", "--dbname", &postgres.url("raccord", "restored"), dump],
    );
    let restored = TestPortal::over(&postgres.url("raccord", "restored")).await;
    let settings = [("DATABASE_URL", restored.database_url())];
    let after = Serving::start(&directory, &["serve"], &settings);
    assert_eq!(health_check(&after, "", &kept_login, &kept), Some(200));
    assert_eq!(health_check(&after, "", &replaced_login, &new), Some(401), "it was made after the backup");
    assert_eq!(health_check(&after, "", &replaced_login, &old), Some(200), "a dead password lives again");
    let there = browser.at(&after.server());
    assert_eq!(there.get("/mon-compte").await.status, 200, "and so does a session");

    let statements = statements_of_the_guide().replace(":'login'", &format!("'{replaced_login}'"));
    postgres.try_sql("raccord", "restored", &statements).expect("the guide's statements work");
    assert_eq!(health_check(&after, "", &replaced_login, &old), Some(401), "the guide ends it");
    assert_eq!(health_check(&after, "", &kept_login, &kept), Some(200), "and nothing else");
    assert!(there.get("/mon-compte").await.location().starts_with("/connexion"), "the revived session is over");
    let again = restored.sign_in(after.browser(), &manager).await;
    let page = again.open(&account).await;
    let summary = again.submit(&page, &format!("{account}/mot-de-passe"), &[]).await.location();
    let newest = again.open(&summary).await.password().expect("a newer password");
    assert_eq!(health_check(&after, "", &replaced_login, &newest), Some(200));
    after.stop();
}
