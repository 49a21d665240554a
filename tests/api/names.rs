//! Searching the directory by name: how names are compared, and which are found.

use std::collections::BTreeSet;

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use raccord::domain::search_key::search_key;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::portal_with_account;
use crate::common::{Account, DIRECTORY, SEARCH, TestPortal};

async fn answer(portal: &TestPortal, account: &Account, body: &Value) -> Value {
    let answer = portal.program().call(SEARCH, &[("cpro-account", &account.cpro_account())], body.to_string()).await;
    assert_eq!(answer.status, 200, "{body}: {}", answer.body_text());
    answer.json()
}

async fn found(portal: &TestPortal, account: &Account, name: &str) -> Vec<String> {
    let answer = answer(portal, account, &json!({"structure": {"raisonSocialeStructure": name}})).await;
    let list = answer["listeStructures"].as_array().expect("a list");
    list.iter().map(|row| row["designationStructure"].as_str().expect("a name").to_owned()).collect()
}

async fn insert(portal: &TestPortal, names: &[&str]) {
    let insert = "INSERT INTO structures (identifier_type, identifier, designation)
                  SELECT 'AUTRE', 'N' || n || '-' || (SELECT count(*) FROM structures), name FROM unnest($1::text[]) WITH ORDINALITY t(name, n)";
    sqlx::query(insert).bind(names).execute(&portal.pool).await.expect("new structures");
}

#[tokio::test]
async fn a_name_is_found_however_its_marks_ligatures_and_apostrophes_are_written() {
    let (portal, account) = portal_with_account().await;
    let names = [
        "COMMUNE DE TAʻARAPŪ",
        "COLLE\u{300}GE DE BOURG",
        "SYNDICAT DE L’ISLE-D'ABEAU",
        "ILE D YEU",
        "HŒNHEIM & Cie",
        "STRASSE",
        "FAAʻA",
        "MAIRIE DE HITIA'A",
    ];
    insert(&portal, &names).await;
    for (place, searches) in [
        &["Taarapu", "Ta'arapu", "TAʻARAPŪ", "ta‘arapu", "TA’ARAPU", "Taʼarapu", "tāarapu", "TAARAPU\u{304}"][..],
        &["collège", "colle\u{300}ge", "COLLEGE", "bourg collège"],
        &["l'isle", "L ISLE", "isle d’abeau", "abeau", "l´isle", "l`isle"],
        &["Île d'Yeu", "l’ile d’yeu", "yeu"],
        &["hoenheim", "Hœnheim", "HOENHEIM cie", "\"Hœnheim\" (& CIE)"],
        &["Straße", "STRAẞE"],
        &["Faa'a", "faaa", "Faʻaʻa"],
        &["Hitiaa", "hitia’a", "HITIAʻA", "hiti"],
    ]
    .into_iter()
    .enumerate()
    {
        for search in searches {
            let found = found(&portal, &account, search).await;
            assert!(found.iter().any(|name| name == names[place]), "{search}: {found:?}");
        }
    }
    // « Mes structures » compares the same.
    let (manager, structure) = portal.manager().await;
    let rename = "UPDATE structures SET designation = 'COMMUNE DE TAʻARAPŪ' WHERE id = $1";
    sqlx::query(rename).bind(structure.id).execute(&portal.pool).await.expect("a new name");
    let browser = portal.signed_in(&manager).await;
    for search in ["Taarapu", "Ta'arapu", "TAʻARAPŪ"] {
        browser.open(&format!("/activites?recherche={search}")).await.assert_says("COMMUNE DE TAʻARAPŪ");
    }
}

#[tokio::test]
async fn words_may_stand_in_any_order_and_parts_of_words_are_found_where_words_find_little() {
    let (portal, account) = portal_with_account().await;
    insert(&portal, &["Commune de Bourges", "Commune de Strasbourg", "Lycée Jean Moulin de Bourges"]).await;
    assert_eq!(found(&portal, &account, "bourges commune").await, ["Commune de Bourges"]);
    assert_eq!(found(&portal, &account, "com bour").await, ["Commune de Bourges", "Commune de Strasbourg"]);
    assert_eq!(found(&portal, &account, "trasb").await, ["Commune de Strasbourg"]);
    assert_eq!(found(&portal, &account, "ommune trasb").await, ["Commune de Strasbourg"]);
    assert_eq!(found(&portal, &account, "moulin jean").await, ["Lycée Jean Moulin de Bourges"]);
    assert_eq!(found(&portal, &account, "moulin commune").await, [""; 0]);
    // A hundred names that begin with it are enough.
    let many: Vec<String> = (0..100).map(|number| format!("Bourgade {number}")).collect();
    portal.execute("DELETE FROM structures WHERE designation LIKE '%Bourges'").await;
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    insert(&portal, &many[..99]).await;
    assert_eq!(found(&portal, &account, "bourg").await.len(), 100, "Strasbourg is among them");
    portal
        .execute("INSERT INTO structures (identifier_type, identifier, designation) VALUES ('AUTRE', 'Z', 'Le bourg')")
        .await;
    assert!(found(&portal, &account, "bourg").await.iter().all(|name| name != "Commune de Strasbourg"));
    assert_eq!(found(&portal, &account, "***").await.len(), 100, "a text without letters and digits is no criterion");
}

#[tokio::test]
async fn the_words_of_a_structure_follow_its_name() {
    let (portal, account) = portal_with_account().await;
    insert(&portal, &["Mairie d’Avant", "Mairie de Partout"]).await;
    portal.execute("UPDATE structures SET designation = 'Mairie d’Après' WHERE designation = 'Mairie d’Avant'").await;
    portal.execute("UPDATE structures SET active = false WHERE designation = 'Mairie de Partout'").await;
    assert_eq!(found(&portal, &account, "avant").await, [""; 0]);
    assert_eq!(found(&portal, &account, "après").await, ["Mairie d’Après"]);
    assert_eq!(found(&portal, &account, "partout").await, ["Mairie de Partout"]);
    portal.execute("DELETE FROM structures WHERE designation = 'Mairie d’Après'").await;
    assert_eq!(portal.number("SELECT count(*) FROM structure_words WHERE word IN ('avant', 'apres')", &[]).await, 0);
}

/// The ids on all pages, as a client reads them: until the page is the last.
async fn all_pages(portal: &TestPortal, account: &Account, criteria: &Value, order: &Value) -> Vec<i64> {
    let mut ids = Vec::new();
    for number in 1.. {
        let mut pages = json!({"nbResultatsParPage": 5_000, "pageResultatDemandee": number});
        pages.as_object_mut().expect("an object").extend(order.as_object().expect("an object").clone());
        let page = answer(portal, account, &json!({"structure": criteria, "parametres": pages})).await;
        let list = page["listeStructures"].as_array().expect("a list");
        ids.extend(list.iter().map(|row| row["idStructureCPP"].as_i64().expect("a number")));
        let told = &page["parametresRetour"];
        assert!(told["total"].as_i64() >= Some(i64::try_from(ids.len()).expect("few").min(10_000)), "{told}");
        if told["pageCourante"].as_i64() >= told["pages"].as_i64() {
            break;
        }
    }
    ids
}

/// The structures with a name that matches.
async fn matching(portal: &TestPortal, matches: impl Fn(&BTreeSet<String>) -> bool) -> BTreeSet<i64> {
    let names: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, designation FROM structures").fetch_all(&portal.pool).await.expect("names");
    let words = |name: &str| search_key(name).split(' ').map(str::to_owned).collect();
    names.into_iter().filter(|(_, name)| matches(&words(name))).map(|(id, _)| id).collect()
}

/// With 26,000 structures « de » and « commune(s) » are frequent words, and all ways to find names
/// are taken.
#[tokio::test(flavor = "multi_thread")]
async fn all_pages_have_all_structures_once_whether_words_are_frequent_or_rare() {
    let (portal, account) = portal_with_account().await;
    sqlx::query(DIRECTORY).bind(1_i64).bind(26_000_i64).execute(&portal.pool).await.expect("a directory");
    portal.execute("ANALYZE").await;
    let begins = |words: &BTreeSet<String>, text: &str| words.iter().any(|word| word.starts_with(text));
    let all = matching(&portal, |_| true).await;
    let found = all_pages(&portal, &account, &json!({}), &json!({})).await;
    assert_eq!(found, all.iter().copied().collect::<Vec<_>>());
    for (search, least) in [
        ("commune", 10_001),
        ("de", 10_001),
        ("d", 10_001),
        ("syndicat", 1_000),
        ("saint commune", 1_000),
        ("commune de", 10_001),
        ("communes de", 1_000),
        ("de com", 10_001),
        ("xaramonava", 1),
        ("l abbé", 100),
        ("commune zeta", 0),
    ] {
        let key = search_key(search);
        let are_words = search == "commune de";
        let expected = matching(&portal, |words| {
            key.split(' ').all(|text| {
                if are_words {
                    words.contains(text) || text == "commune" && words.contains("communes")
                } else {
                    begins(words, text)
                }
            })
        })
        .await;
        assert!(expected.len() >= least, "{search}: {}", expected.len());
        for order in [
            json!({}),
            json!({"triSens": "Descendant"}),
            json!({"triColonne": "DesignationStructure"}),
            json!({"triColonne": "DesignationStructure", "triSens": "Descendant"}),
            json!({"triColonne": "IdentifiantStructure", "triSens": "Descendant"}),
            json!({"triColonne": "Statut"}),
        ] {
            let criteria = json!({"raisonSocialeStructure": search});
            let found = all_pages(&portal, &account, &criteria, &order).await;
            let distinct: BTreeSet<i64> = found.iter().copied().collect();
            assert_eq!((found.len(), &distinct), (expected.len(), &expected), "{search} {order}");
            if order == json!({}) {
                assert!(found.is_sorted(), "{search}");
            }
        }
        let active = json!({"raisonSocialeStructure": search, "statutStructure": "ACTIF", "typeStructure": "PUBLIQUE"});
        let found = all_pages(&portal, &account, &active, &json!({})).await;
        let by_name = all_pages(&portal, &account, &active, &json!({"triColonne": "DesignationStructure"})).await;
        let filter =
            "SELECT id FROM structures WHERE active AND identifier_type <> 'PARTICULIER' AND id = ANY ($1) ORDER BY id";
        let ids: Vec<i64> = expected.into_iter().collect();
        let expected: Vec<i64> = sqlx::query_scalar(filter).bind(&ids).fetch_all(&portal.pool).await.expect("ids");
        assert_eq!(found, expected, "{search}, active");
        let in_order: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM structures WHERE id = ANY ($1) ORDER BY search_text, id")
                .bind(&expected)
                .fetch_all(&portal.pool)
                .await
                .expect("ids");
        assert_eq!(by_name, in_order, "{search}, active, by name");
    }
}

/// Keys that the database computes.
async fn keys(pool: &PgPool, texts: &[String]) -> Vec<String> {
    let select = "SELECT search_key(text) FROM unnest($1::text[]) WITH ORDINALITY t(text, n) ORDER BY n";
    sqlx::query_scalar(select).bind(texts).fetch_all(pool).await.expect("keys")
}

/// Characters that Unicode 14, the version of PostgreSQL 15, did not have and that have a
/// decomposition since.
fn is_newer(c: char) -> bool {
    const NEWER: [(u32, u32); 14] = [
        (0x558, 0x558),
        (0x58b, 0x58c),
        (0x209d, 0x209f),
        (0xa7f1, 0xa7f1),
        (0x1_05c9, 0x1_05e4),
        (0x1_07bb, 0x1_07bf),
        (0x1_1383, 0x1_13c8),
        (0x1_6121, 0x1_6128),
        (0x1_6d68, 0x1_6d6a),
        (0x1_b123, 0x1_b126),
        (0x1_ccd6, 0x1_ccf9),
        (0x1_d6a6, 0x1_d6a6),
        (0x1_df95, 0x1_dfff),
        (0x1_e030, 0x1_e06d),
    ];
    NEWER.iter().any(|&(first, last)| (first..=last).contains(&u32::from(c)))
}

#[tokio::test]
async fn the_database_and_the_program_make_the_same_key_of_any_text() {
    let portal = TestPortal::start().await;
    let each: Vec<String> = ('\u{1}'..=char::MAX).filter(|c| !is_newer(*c)).map(|c| format!("a{c}B")).collect();
    let mut different = Vec::new();
    for texts in each.chunks(100_000) {
        for (text, key) in texts.iter().zip(keys(&portal.pool, texts).await) {
            if search_key(text) != key {
                different.push((text.clone(), search_key(text), key));
            }
        }
    }
    assert!(different.is_empty(), "{} {different:?}", different.len());
    let mut runner = TestRunner::deterministic();
    let of_any = proptest::string::string_regex("[^\\x00]{0,80}").expect("a pattern");
    let of_names = proptest::string::string_regex("[A-Za-zÀ-ſ\u{300}-\u{304} 'ʻ’`dlœŒ&.-]{0,600}").expect("a pattern");
    let text =
        proptest::prop_oneof![of_any, of_names].prop_map(|text| text.chars().filter(|c| !is_newer(*c)).collect());
    let texts: Vec<String> = (0..2_000).map(|_| text.new_tree(&mut runner).expect("a text").current()).collect();
    for (text, key) in texts.iter().zip(keys(&portal.pool, &texts).await) {
        assert_eq!(search_key(text), key, "{text:?}");
    }
}
