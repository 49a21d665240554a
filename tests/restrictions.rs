//! Restrictions of a technical user's account: from which networks it may call, and on which of its
//! manager's structures. Each rule holds at each entry.

use std::collections::BTreeSet;

use axum::{body::Body, http::Request};
use raccord::{
    db::technical_users::{
        ManagedTechnicalUser,
        restrictions::{self, Change},
    },
    domain::{
        audit::Actor,
        restrictions::{ChosenIds, Network, NetworkRule, Networks, StructureChoice},
    },
};
use serde_json::{Value, json};

use crate::common::{
    ANNE, Account, Answer, BRUNO, Browser, HEALTH, MEMBERSHIPS, Page, Person, Program, SEARCH, Structure, Takes,
    TestPortal, TestService, together,
};

/// Inside [`INSIDE`] and outside it.
const INSIDE: &str = "192.0.2.0/24";
const CONSULT: &str = "/cpro/structures/v1/consulter";
const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "203.0.113.7";

async fn managed_by(portal: &TestPortal, manager: i64, account: i64) -> ManagedTechnicalUser {
    let found = raccord::db::technical_users::find_managed(&portal.pool, manager, account).await;
    found.expect("a query").expect("the manager's account")
}

fn listed(networks: &str) -> NetworkRule {
    NetworkRule::Listed(Networks::parse(networks).expect("networks"))
}

fn chosen(ids: &[i64]) -> StructureChoice {
    StructureChoice::Chosen(ChosenIds::try_from(ids.to_vec()).expect("structures"))
}

/// Anne restricts the account, as the screens do.
async fn restrict(portal: &TestPortal, account: &Account, networks: &NetworkRule, structures: &StructureChoice) {
    let managed = managed_by(portal, ANNE, account.id).await;
    let version = restrictions::read(&portal.pool, &managed).await.expect("a query").version;
    let actor = Actor { user_id: Some(ANNE), name: "anne@mairie.fr".into(), address: "198.51.100.7".into() };
    let change = Change { networks, structures, version };
    restrictions::change(&portal.pool, &actor, &managed, &change).await.expect("it is changed");
}

async fn restrict_networks(portal: &TestPortal, account: &Account, networks: &NetworkRule) {
    restrict(portal, account, networks, &StructureChoice::All).await;
}

/// A portal with an account of the first structure and a service.
async fn scene() -> (TestPortal, Account, TestService) {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    let service = portal.service("factures", Takes::EveryToken).await;
    (portal, account, service)
}

async fn get(program: &Program, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    program.send(request.body(Body::empty()).expect("a request")).await
}

async fn by_password(program: &Program, account: &Account) -> u16 {
    program.health_check(&account.login, account.password.expose()).await
}

async fn by_token(program: &Program, token: &str) -> u16 {
    program.call(HEALTH, &[("authorization", &format!("Bearer {token}"))], "").await.status.as_u16()
}

/// The answer about a credential that came from `address`, where it says it.
async fn told(program: &Program, service: &TestService, token: &str, address: Option<&str>) -> Value {
    let mut fields = vec![("token", token)];
    fields.extend(address.map(|address| ("address", address)));
    program.introspect(service, &fields).await.json()
}

/// The statuses of every entry, for a program at one address: token, call with password, with
/// Bearer, with both, gateway by password, by Basic, by Bearer, and `/api/moi`.
async fn at_every_entry(program: &Program, account: &Account, token: &str) -> Vec<u16> {
    let (cpro, bearer) = (account.cpro_account(), format!("Bearer {token}"));
    let basic = format!("Basic {cpro}");
    let (password, token) = (("cpro-account", cpro.as_str()), ("authorization", bearer.as_str()));
    let basic = ("authorization", basic.as_str());
    let obtained = program.ask_token(account, &[]).await.status.as_u16();
    let mut statuses = vec![obtained];
    for headers in [&[password][..], &[token], &[password, token]] {
        statuses.push(program.call(HEALTH, headers, "").await.status.as_u16());
        statuses.push(program.call(MEMBERSHIPS, headers, "{}").await.status.as_u16());
        statuses.push(get(program, "/api/moi", headers).await.status.as_u16());
    }
    for headers in [&[password][..], &[basic], &[token]] {
        statuses.push(get(program, "/api/verification", headers).await.status.as_u16());
        statuses.push(get(program, "/api/services/factures/verification", headers).await.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn listed_networks_hold_at_every_entry() {
    let (portal, account, _) = scene().await;
    restrict_networks(&portal, &account, &listed(&format!("{INSIDE}\n2001:db8::/48"))).await;
    let token = portal.program().token(&account).await;
    for inside in [HERE, "192.0.2.255", "::ffff:192.0.2.9", "2001:db8:0:7::1"] {
        let statuses = at_every_entry(&portal.program().with_address(inside), &account, &token).await;
        assert!(statuses.iter().all(|status| *status == 200), "{inside}: {statuses:?}");
    }
    for outside in [ELSEWHERE, "192.0.3.0", "2001:db8:1::1", "::192.0.2.1"] {
        let statuses = at_every_entry(&portal.program().with_address(outside), &account, &token).await;
        assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{outside}: {statuses:?}");
        assert_eq!(statuses[0], 401, "{outside}");
    }
}

#[tokio::test]
async fn a_service_says_the_address_or_is_told_inactive_of_a_password() {
    let (portal, account, service) = scene().await;
    let program = portal.program();
    restrict_networks(&portal, &account, &listed(INSIDE)).await;
    let (token, cpro) = (program.token(&account).await, account.cpro_account());
    let inactive = json!({ "active": false });
    // A token counts where the service does not say the address: it was obtained inside.
    for (shown, untold) in [(&token, true), (&cpro, false)] {
        assert_eq!(told(&program, &service, shown, Some("192.0.2.77")).await["active"], true);
        assert_eq!(told(&program, &service, shown, Some("::ffff:192.0.2.77")).await["active"], true);
        assert_eq!(told(&program, &service, shown, Some(ELSEWHERE)).await, inactive);
        assert_eq!(told(&program, &service, shown, None).await["active"], untold);
    }
    let unreadable = program.introspect(&service, &[("token", &cpro), ("address", "chez moi")]).await;
    assert_eq!((unreadable.status.as_u16(), unreadable.json()["error"].clone()), (400, json!("invalid_request")));
    // An account without a rule needs no address.
    restrict_networks(&portal, &account, &NetworkRule::Any).await;
    assert_eq!(told(&program, &service, &cpro, None).await["active"], true);
}

#[tokio::test]
async fn a_refusal_outside_is_that_of_a_wrong_password() {
    let (portal, account, _) = scene().await;
    restrict_networks(&portal, &account, &listed(INSIDE)).await;
    let wrong = crate::common::cpro_account(&account.login, "faux");
    let answers = [(account.cpro_account(), "203.0.113.7"), (wrong, "203.0.112.7")].map(|(cpro, from)| {
        let program = portal.program().with_address(from);
        async move {
            let answer = program.call(MEMBERSHIPS, &[("cpro-account", &cpro)], "{}").await;
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            let headers: BTreeSet<String> = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            (answer.status, headers, answer.body_text())
        }
    });
    let [outside, wrong] = answers;
    assert_eq!(outside.await, wrong.await);
}

#[tokio::test]
async fn a_change_ends_tokens_and_another_instance_sees_it_at_the_next_call() {
    let (portal, account, _) = scene().await;
    let other = Program::new(portal.second_instance());
    let token = other.token(&account).await;
    assert_eq!((by_token(&other, &token).await, by_password(&other, &account).await), (200, 200));
    restrict(&portal, &account, &NetworkRule::Any, &chosen(&[2])).await;
    assert_eq!(by_token(&other, &token).await, 200, "structures are judged at each call");
    restrict(&portal, &account, &listed("198.51.100.0/24"), &chosen(&[2])).await;
    assert_eq!((by_token(&other, &token).await, by_password(&other, &account).await), (401, 401));
    restrict_networks(&portal, &account, &listed(INSIDE)).await;
    assert_eq!(by_password(&other, &account).await, 200);
    assert_eq!(by_token(&other, &token).await, 401, "a token from before ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_first_calls_takes_the_lock() {
    let (portal, account, _) = scene().await;
    restrict_networks(&portal, &account, &NetworkRule::LockOnFirstCall).await;
    let program = portal.program();
    let statuses = together(50, |number| {
        let (program, account) = (program.with_address(&format!("10.{number}.0.1")), account.clone());
        async move { by_password(&program, &account).await }
    })
    .await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 49, "{statuses:?}");
    let served = statuses.iter().position(|status| *status == 200).expect("one");
    let networks = "SELECT network_rule || ' ' || networks::text FROM technical_users WHERE id = $1";
    assert_eq!(portal.text(networks, &[account.id]).await, format!("LIST {{10.{served}.0.1/32}}"));
    let events = "SELECT count(*) FROM audit_events WHERE action = 'NETWORK_LOCKED' AND technical_user_id = $1";
    assert_eq!(portal.number(events, &[account.id]).await, 1);
}

#[tokio::test]
async fn the_lock_is_taken_by_a_right_credential_from_a_known_address_alone() {
    let (portal, account, service) = scene().await;
    let (other, cpro) = (portal.account(2).await, account.cpro_account());
    let program = portal.program();
    let foreign = format!("Bearer {}", program.token(&other).await);
    restrict_networks(&portal, &account, &NetworkRule::LockOnFirstCall).await;
    let rule = "SELECT network_rule FROM technical_users WHERE id = $1";
    // A wrong password, a token of another account or none beside the right password, and a service
    // that does not say the address.
    program.health_check(&account.login, "faux").await;
    for token in [foreign.as_str(), "Bearer unknown"] {
        program.call(HEALTH, &[("cpro-account", &cpro), ("authorization", token)], "").await;
    }
    assert_eq!(told(&program, &service, &cpro, None).await, json!({ "active": false }));
    assert_eq!(portal.text(rule, &[account.id]).await, "LOCK");
    // A service that says it.
    assert_eq!(told(&program, &service, &cpro, Some(ELSEWHERE)).await["active"], true);
    assert_eq!(portal.text(rule, &[account.id]).await, "LIST");
    assert_eq!(by_password(&program, &account).await, 401);
    assert_eq!(by_password(&program.with_address(ELSEWHERE), &account).await, 200);
}

#[tokio::test]
async fn every_entry_takes_the_lock() {
    for entry in ["token", "call", "moi", "gateway"] {
        let (portal, account, _) = scene().await;
        restrict_networks(&portal, &account, &NetworkRule::LockOnFirstCall).await;
        let (program, cpro) = (portal.program(), account.cpro_account());
        let headers = [("cpro-account", cpro.as_str())];
        let status = match entry {
            "token" => program.ask_token(&account, &[]).await.status,
            "call" => program.call(SEARCH, &headers, "{}").await.status,
            "moi" => get(&program, "/api/moi", &headers).await.status,
            _ => get(&program, "/api/verification", &headers).await.status,
        };
        assert_eq!(status, 200, "{entry}");
        let networks = get(&program, "/api/moi", &headers).await.json()["reseaux"].clone();
        assert_eq!(networks, json!(["192.0.2.1/32"]), "{entry}");
        assert_eq!(by_password(&program.with_address(ELSEWHERE), &account).await, 401, "{entry}");
    }
}

#[tokio::test]
async fn a_gateway_s_client_counts_and_not_the_gateway() {
    let portal = TestPortal::with(&[("RACCORD_TRUSTED_PROXIES", HERE)]).await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    restrict_networks(&portal, &account, &listed("198.51.100.0/24")).await;
    let cpro = account.cpro_account();
    for (forwarded, status) in [
        ("198.51.100.9", 200),
        ("203.0.113.7", 401),
        ("198.51.100.9, 203.0.113.8", 401),
        ("203.0.113.9, 198.51.100.9", 200),
    ] {
        let headers = [("cpro-account", cpro.as_str()), ("x-forwarded-for", forwarded)];
        let answer = get(&portal.program(), "/api/verification", &headers).await;
        assert_eq!(answer.status, status, "{forwarded}");
    }
    // Who is no gateway cannot say where from.
    let headers = [("cpro-account", cpro.as_str()), ("x-forwarded-for", "198.51.100.9")];
    assert_eq!(get(&portal.program().with_address(ELSEWHERE), "/api/verification", &headers).await.status, 401);
}

/// The answers about the account’s structures, among those numbered 1 to 3: memberships,
/// search, introspection, gateway; and the scope.
async fn open_structures(program: &Program, account: &Account, service: &TestService) -> (Vec<BTreeSet<i64>>, String) {
    const IDENTIFIERS: [&str; 3] = ["21690123100011", "21750001600019", "35600000000048"];
    let cpro = account.cpro_account();
    let headers = [("cpro-account", cpro.as_str())];
    let memberships = program.call(MEMBERSHIPS, &headers, "{}").await.json();
    let listed = ids_of(&memberships["listeStructureRattachement"]);
    assert_eq!(memberships["parametresRetour"]["total"], listed.len(), "{memberships}");
    // More than one page is counted by another statement.
    let paged =
        program.call(MEMBERSHIPS, &headers, json!({ "parametresRecherche": { "nbResultatsParPage": 1 } }).to_string());
    assert_eq!(paged.await.json()["parametresRetour"]["total"], listed.len());
    let (mut told, mut checked) = (BTreeSet::new(), BTreeSet::new());
    for (place, identifier) in IDENTIFIERS.into_iter().enumerate() {
        let id = i64::try_from(place).expect("few") + 1;
        let asked = format!("SIRET:{identifier}");
        let fields = [("token", cpro.as_str()), ("structure", &asked), ("address", HERE)];
        let answer = program.introspect(service, &fields).await.json();
        if answer["structure_authorized"] == true {
            told.insert(id);
        }
        let path = format!("/api/verification?structure={asked}");
        if get(program, &path, &headers).await.status == 200 {
            checked.insert(id);
        }
    }
    let mine = json!({ "restreindreStructuresPrivees": true }).to_string();
    let searched: BTreeSet<i64> = ids_of(&program.call(SEARCH, &headers, mine).await.json()["listeStructures"]);
    // The first one's electronic address shows to those within whose rights it is.
    let first = json!({ "codeLangue": "fr", "idStructureCPP": 1 });
    let consulted = program.call(CONSULT, &headers, first.to_string()).await;
    assert_eq!(consulted.body_text().contains("mairie@lyon.fr"), listed.contains(&1), "{}", consulted.body_text());
    let scope =
        get(program, "/api/verification", &headers).await.header("x-raccord-scope").expect("a scope").to_owned();
    let introspected = program.introspect(service, &[("token", &cpro), ("address", HERE)]).await.json();
    assert_eq!(introspected["scope"], scope);
    let own = get(program, "/api/moi", &headers).await.json();
    assert_eq!(own["scope"], scope);
    assert_eq!(own["structuresChoisies"], scope != "openid");
    (vec![listed, searched, told, checked], scope)
}

fn ids_of(list: &Value) -> BTreeSet<i64> {
    let ids = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["idStructure"].as_i64().or(row["idStructureCPP"].as_i64()));
    ids.map(|id| id.expect("a number")).collect()
}

fn all_are(found: &[BTreeSet<i64>], expected: &[i64]) -> bool {
    found.iter().all(|ids| *ids == expected.iter().copied().collect::<BTreeSet<_>>())
}

#[tokio::test]
async fn chosen_structures_narrow_every_answer_alike() {
    let (portal, account, service) = scene().await;
    let program = portal.program();
    let (found, scope) = open_structures(&program, &account, &service).await;
    assert!(all_are(&found, &[1, 2, 3]) && scope == "openid", "{found:?} {scope}");
    restrict(&portal, &account, &NetworkRule::Any, &chosen(&[2, 3])).await;
    let (found, scope) = open_structures(&program, &account, &service).await;
    assert!(all_are(&found, &[2, 3]), "{found:?}");
    assert_eq!(scope, "openid structures-choisies structure:SIRET:21750001600019 structure:SIRET:35600000000048");
    // The token says so, too.
    assert_eq!(program.ask_token(&account, &[]).await.json()["scope"], scope);
    restrict(&portal, &account, &NetworkRule::Any, &StructureChoice::All).await;
    assert!(all_are(&open_structures(&program, &account, &service).await.0, &[1, 2, 3]));
}

#[tokio::test]
async fn a_signed_token_says_the_chosen_structures() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    let service = portal.service("factures", Takes::Jwts).await;
    restrict(&portal, &account, &NetworkRule::Any, &chosen(&[2])).await;
    let answer = portal.program().ask_token(&account, &[&service.audience]).await.json();
    let jwt = answer["access_token"].as_str().expect("a token").to_owned();
    let claims =
        data_encoding::BASE64URL_NOPAD.decode(jwt.split('.').nth(1).expect("claims").as_bytes()).expect("base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(claims["scope"], "openid structures-choisies structure:SIRET:21750001600019");
    assert_eq!(answer["scope"], claims["scope"]);
}

#[tokio::test]
async fn a_list_never_widens_whoever_manages() {
    let (portal, account, service) = scene().await;
    let program = portal.program();
    restrict(&portal, &account, &NetworkRule::Any, &chosen(&[1, 2])).await;
    // Anne loses the second structure: the third one stays closed.
    portal
        .execute(
            "UPDATE structures SET principal_manager_id = NULL, managed = false WHERE id = 2;
                    DELETE FROM memberships WHERE structure_id = 2",
        )
        .await;
    assert!(all_are(&open_structures(&program, &account, &service).await.0, &[1]));
    // Bruno, a member of the first one alone, succeeds, and joins the third.
    portal
        .execute(
            "BEGIN; SET CONSTRAINTS ALL DEFERRED;
                    UPDATE memberships SET role = 'USER' WHERE user_id = 1 AND structure_id = 1;
                    UPDATE memberships SET role = 'PRINCIPAL_MANAGER' WHERE user_id = 2 AND structure_id = 1;
                    UPDATE structures SET principal_manager_id = 2 WHERE id = 1;
                    INSERT INTO memberships (user_id, structure_id, role) VALUES (2, 3, 'USER'); COMMIT",
        )
        .await;
    assert!(all_are(&open_structures(&program, &account, &service).await.0, &[1]));
    // Bruno chooses another one: what a manager cannot see stays chosen.
    let managed = managed_by(&portal, BRUNO, account.id).await;
    let present = restrictions::read(&portal.pool, &managed).await.expect("a query");
    let structures = present.structures.expect("chosen");
    assert_eq!((structures.within.len(), structures.beyond), (1, 1));
    let actor = Actor { user_id: Some(BRUNO), name: "bruno@mairie.fr".into(), address: "198.51.100.7".into() };
    let only_third = chosen(&[3]);
    let change = Change { networks: &NetworkRule::Any, structures: &only_third, version: present.version };
    restrictions::change(&portal.pool, &actor, &managed, &change).await.expect("it is changed");
    let kept = "SELECT string_agg(structure_id::text, ' ' ORDER BY structure_id) FROM technical_user_structures";
    assert_eq!(portal.text(kept, &[]).await, "2 3");
    // Bruno loses it: nothing is left, and nothing is open.
    portal.execute("DELETE FROM memberships WHERE user_id = 2 AND structure_id = 3").await;
    let (found, scope) = open_structures(&program, &account, &service).await;
    assert!(all_are(&found, &[]), "{found:?}");
    assert_eq!((scope.as_str(), by_password(&program, &account).await), ("openid structures-choisies", 200));
    // A structure that is not the manager's cannot be chosen.
    let present = restrictions::read(&portal.pool, &managed).await.expect("a query");
    let foreign = chosen(&[4]);
    let change = Change { networks: &NetworkRule::Any, structures: &foreign, version: present.version };
    assert!(restrictions::change(&portal.pool, &actor, &managed, &change).await.is_err());
}

async fn flush(portal: &TestPortal) {
    portal.api().call_log.flush_all(&portal.pool).await.expect("it is written");
}

#[tokio::test]
async fn the_reason_stands_in_the_history_and_a_mail_goes_out_once_an_hour() {
    let (mut portal, account, service) = scene().await;
    restrict_networks(&portal, &account, &listed(INSIDE)).await;
    let (token, cpro) = (portal.program().token(&account).await, account.cpro_account());
    let reasons = "SELECT address || ' ' || detail FROM audit_events WHERE action = 'CALLS_REFUSED' ORDER BY id";
    let mails = "SELECT recipient || ' ' || notice::text FROM mails WHERE notice->>'kind' = 'calls_outside_networks' ORDER BY id";
    by_password(&portal.program().with_address(ELSEWHERE), &account).await;
    by_token(&portal.program().with_address("203.0.113.8"), &token).await;
    told(&portal.program(), &service, &cpro, Some("203.0.113.9")).await;
    told(&portal.program(), &service, &token, Some("203.0.113.10")).await;
    told(&portal.program(), &service, &cpro, None).await;
    flush(&portal).await;
    let mut written = portal.texts(reasons, &[]).await;
    written.sort();
    assert_eq!(
        written,
        [
            "192.0.2.1 1 appel\u{a0}: adresse de l’appelant non transmise par le service, par le logiciel «\u{202f}service factures\u{202f}»",
            "203.0.113.10 1 appel\u{a0}: adresse hors des réseaux autorisés, par le logiciel «\u{202f}service factures\u{202f}»",
            "203.0.113.7 1 appel\u{a0}: adresse hors des réseaux autorisés",
            "203.0.113.8 1 appel\u{a0}: adresse hors des réseaux autorisés",
            "203.0.113.9 1 appel\u{a0}: adresse hors des réseaux autorisés, par le logiciel «\u{202f}service factures\u{202f}»",
        ]
    );
    let first = portal.texts(mails, &[]).await;
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].starts_with("anne@mairie.fr ") && first[0].contains("203.0.113.7"), "{first:?}");
    by_password(&portal.program().with_address("203.0.114.7"), &account).await;
    flush(&portal).await;
    assert_eq!(portal.texts(mails, &[]).await.len(), 1, "one in an hour");
    portal.move_clock("61 minutes").await;
    by_password(&portal.program().with_address("203.0.115.7"), &account).await;
    flush(&portal).await;
    assert_eq!(portal.texts(mails, &[]).await.len(), 2);
    // A wrong password is no such reason, wherever it comes from.
    let wrong = crate::common::cpro_account(&account.login, "faux");
    portal.program().with_address("203.0.116.7").call(HEALTH, &[("cpro-account", &wrong)], "").await;
    flush(&portal).await;
    assert!(portal.texts(reasons, &[]).await.last().expect("a reason").ends_with("mot de passe incorrect"));
}

#[tokio::test]
async fn callers_are_kept_for_thirty_days_without_services_that_did_not_say_whose_call_it_was() {
    let (mut portal, account, service) = scene().await;
    let cpro = account.cpro_account();
    let callers = "SELECT host(address) FROM technical_user_callers ORDER BY address";
    for from in [HERE, "::ffff:192.0.2.1", "2001:db8::7"] {
        by_password(&portal.program().with_address(from), &account).await;
    }
    told(&portal.program().with_address("198.51.100.1"), &service, &cpro, None).await;
    told(&portal.program().with_address("198.51.100.1"), &service, &cpro, Some("198.51.100.2")).await;
    by_password(&portal.program().with_address(ELSEWHERE), &account).await;
    flush(&portal).await;
    let seen = [HERE, "198.51.100.2", ELSEWHERE, "2001:db8::7"];
    assert_eq!(portal.texts(callers, &[]).await, seen);
    portal.move_clock("20 days").await;
    by_password(&portal.program(), &account).await;
    flush(&portal).await;
    portal.move_clock("31 days").await;
    raccord::db::upkeep::sweep(&portal.pool).await.expect("the upkeep works");
    assert_eq!(portal.texts(callers, &[]).await, [HERE]);
}

#[tokio::test]
async fn the_rule_that_foretells_calls_is_the_database_s() {
    let portal = TestPortal::start().await;
    let networks = ["0.0.0.0/0", "::/0", "192.0.2.0/24", "192.0.2.7", "2001:db8::/33", "10.0.0.0/7", "128.0.0.0/1"];
    let addresses = [
        "192.0.2.7",
        "192.0.2.8",
        "::1",
        "2001:db8:7fff::",
        "2001:db8:8000::",
        "11.9.9.9",
        "200.0.0.1",
        "::ffff:192.0.2.7",
    ];
    for network in networks {
        let read: Network = network.parse().expect("a network");
        for address in addresses {
            let address: std::net::IpAddr = address.parse().expect("an address");
            let admits = sqlx::query_scalar("SELECT network_admits('LIST', ARRAY[$1::text::cidr], $2::text::inet)");
            let admits = admits.bind(read.cidr()).bind(address.to_canonical().to_string());
            let admits: bool = admits.fetch_one(&portal.pool).await.expect("a query");
            assert_eq!(read.contains(address), admits, "{network} {address}");
        }
    }
}

#[tokio::test]
async fn an_instance_of_the_version_before_opens_nothing_more() {
    let (portal, account, _) = scene().await;
    let token = portal.program().token(&account).await;
    let rows = async |portal: &TestPortal| {
        let hash = raccord::domain::random::digest(&token);
        let count = "SELECT (SELECT count(*) FROM token_caller($1)) + (SELECT count(*) FROM api_caller($1, NULL::bytea[]))
                          + (SELECT count(*) FROM token_authority($1)) + (SELECT count(*) FROM credential_authority($1, NULL))
                          + (SELECT count(*) FROM api_caller($1, NULL::bigint, NULL::integer))";
        sqlx::query_scalar::<_, i64>(count).bind(hash).fetch_one(&portal.pool).await.expect("a query")
    };
    let structures =
        "SELECT string_agg(structure_id::text, ' ' ORDER BY structure_id) FROM structures_within_rights($1, 1)";
    assert_eq!((rows(&portal).await, portal.text(structures, &[account.id]).await.as_str()), (5, "1 2 3"));
    restrict(&portal, &account, &NetworkRule::Any, &chosen(&[2])).await;
    assert_eq!((rows(&portal).await, portal.text(structures, &[account.id]).await.as_str()), (5, "2"));
    portal.execute("UPDATE technical_users SET network_rule = 'LIST', networks = '{192.0.2.0/24}'").await;
    assert_eq!(rows(&portal).await, 0);
}

// The screens.

struct Screens {
    portal: TestPortal,
    browser: Browser,
    account: i64,
    structures: Vec<Structure>,
    manager: Person,
}

impl Screens {
    async fn with_structures(count: usize) -> Self {
        let portal = TestPortal::start().await;
        let (manager, structures) = portal.manager_with_structures("Camille", count).await;
        let browser = portal.signed_in(&manager).await;
        let account = portal.technical_user(&structures[0], &manager).await;
        Self { portal, browser, account, structures, manager }
    }

    fn url(&self) -> String {
        format!("/utilisateurs-techniques/{}/restrictions", self.account)
    }

    async fn step(&self, page: &Page, typed: &[(&str, &str)]) -> Answer {
        self.browser.submit(page, &self.url(), typed).await
    }

    async fn confirm(&self, page: &Page) -> Answer {
        self.browser.submit(page, &format!("{}/confirmation", self.url()), &[]).await
    }

    async fn present(&self) -> restrictions::Restrictions {
        let managed = managed_by(&self.portal, self.manager.id, self.account).await;
        restrictions::read(&self.portal.pool, &managed).await.expect("a query")
    }
}

const NONE: &str = "Aucune\u{a0}: tous les droits du gestionnaire principal, depuis toute adresse.";

#[tokio::test]
async fn a_manager_adopts_an_address_and_is_told_what_is_cut_before_confirming() {
    let screens = Screens::with_structures(1).await;
    let (portal, browser) = (&screens.portal, &screens.browser);
    let page = format!("/utilisateurs-techniques/{}", screens.account);
    browser.open(&page).await.assert_says(NONE);
    sqlx::query(
        "INSERT INTO technical_user_callers SELECT $1, address, portal_now() - interval '1 day'
           FROM unnest('{192.0.2.7,203.0.113.7}'::inet[]) address",
    )
    .bind(screens.account)
    .execute(&portal.pool)
    .await
    .expect("callers");
    let form = browser.open(&screens.url()).await;
    form.assert_says("Adresses qui ont appelé ces 30 derniers jours");
    let adopted = screens.step(&form, &[("etape", "ajouter-192.0.2.7")]).await.page();
    assert!(adopted.form(&screens.url()).contains(&("liste".into(), "192.0.2.7".into())));
    let check = screens.step(&adopted, &[("etape", "verifier")]).await.page();
    check.assert_says("Cette adresse a appelé ces 30 derniers jours et sera refusée.");
    check.assert_says("203.0.113.7");
    assert_eq!(check.rows()[0], ["Réseaux autorisés", "Toute adresse", "192.0.2.7"]);
    assert_eq!(screens.present().await.networks, NetworkRule::Any, "nothing is changed yet");
    assert_eq!(screens.confirm(&check).await.location(), format!("{page}?avis=restrictions-saved"));
    let shown = browser.open(&page).await;
    assert_eq!(shown.fact("Réseaux autorisés"), "192.0.2.7");
    let detail = "SELECT detail FROM audit_events WHERE action = 'RESTRICTIONS_CHANGED'";
    assert_eq!(portal.texts(detail, &[]).await, ["Réseaux autorisés\u{a0}: toute adresse → 192.0.2.7"]);
    let mails = "SELECT recipient FROM mails WHERE notice->>'kind' = 'restrictions_changed'";
    assert_eq!(portal.texts(mails, &[]).await, [screens.manager.contact_address.as_str()]);
    // The same form again was made for other restrictions.
    assert_eq!(screens.confirm(&check).await.status, 409);
}

#[tokio::test]
async fn a_choice_among_many_structures_is_searched_and_paged_and_loses_nothing() {
    let screens = Screens::with_structures(45).await;
    let tick = |place: usize| format!("structure-{}", screens.structures[place].id);
    let form = screens.browser.open(&screens.url()).await;
    let (first, last) = (tick(0), tick(44));
    let second = screens.step(&form, &[(&first, "oui"), ("structures", "CHOISIES"), ("etape", "page-2")]).await.page();
    second.assert_says("1 structure choisie");
    second.assert_says("page 2 sur 3");
    let found =
        screens.step(&second, &[(&tick(25), "oui"), ("recherche", "numéro 045"), ("etape", "rechercher")]).await.page();
    found.assert_says("2 structures choisies");
    let check = screens.step(&found, &[(&last, "oui"), ("etape", "verifier")]).await.page();
    check.assert_says("Commune numéro 045");
    assert_eq!(screens.confirm(&check).await.status, 303);
    let within = screens.present().await.structures.expect("chosen").within;
    let ids: Vec<i64> = within.iter().map(|structure| structure.id).collect();
    assert_eq!(ids, [0, 25, 44].map(|place| screens.structures[place].id));
    // One is unticked on its page; the others stay.
    let form = screens.browser.open(&screens.url()).await;
    let fields: Vec<_> = form.form(&screens.url()).into_iter().filter(|(name, _)| *name != first).collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let check = screens.browser.post(&screens.url(), &[&fields[..], &[("etape", "verifier")]].concat()).await.page();
    assert_eq!(screens.confirm(&check).await.status, 303);
    assert_eq!(screens.present().await.structures.expect("chosen").within.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_is_refused_beside_its_field() {
    let screens = Screens::with_structures(1).await;
    let form = screens.browser.open(&screens.url()).await;
    for (typed, says) in [
        (vec![("reseaux", "LISTE"), ("liste", "192.0.2.7/24")], "Saisissez 192.0.2.0/24 pour le réseau entier"),
        (vec![("reseaux", "LISTE"), ("liste", "")], "Saisissez au moins un réseau"),
        (vec![("structures", "CHOISIES")], "Choisissez au moins une structure"),
        (vec![], "Vous n’avez rien modifié."),
    ] {
        let answer = screens.step(&form, &[&typed[..], &[("etape", "verifier")]].concat()).await;
        assert_eq!(answer.status, 422, "{says}");
        answer.page().assert_says(says);
    }
    let foreign = screens.portal.structure("Étrangère").await;
    let url = format!("{}/confirmation", screens.url());
    let id = foreign.id.to_string();
    let fields = [("reseaux", "TOUTES"), ("structures", "CHOISIES"), ("choisies", id.as_str()), ("version", "0")];
    assert_eq!(screens.browser.post(&url, &fields).await.status, 422);
}

#[tokio::test]
async fn the_recapitulatif_says_restrictions_where_they_are() {
    let screens = Screens::with_structures(2).await;
    let structure = &screens.structures[0];
    let (id, shown, _) = screens.portal.create_and_show(&screens.browser, structure.id, "ERP").await;
    assert!(!shown.text().contains("Réseaux autorisés"));
    let managed = managed_by(&screens.portal, screens.manager.id, id).await;
    let actor = Actor { user_id: Some(screens.manager.id), name: screens.manager.login.clone(), address: HERE.into() };
    let (networks, structures) = (listed(INSIDE), chosen(&[structure.id]));
    let change = Change { networks: &networks, structures: &structures, version: 0 };
    restrictions::change(&screens.portal.pool, &actor, &managed, &change).await.expect("it is changed");
    let summary = screens.browser.open(&format!("/utilisateurs-techniques/{id}/recapitulatif")).await;
    assert_eq!(summary.fact("Réseaux autorisés"), INSIDE);
    assert!(summary.fact("Structures ouvertes").starts_with(&structure.designation));
    let export = format!("/utilisateurs-techniques/{id}/informations-de-connexion");
    let pdf = screens.browser.post(&export, &[("nonce", &shown.field("nonce"))]).await;
    assert_eq!(pdf.status, 200);
    if let Some(text) = crate::common::text_of_pdf(&pdf.body) {
        assert!(text.contains(INSIDE) && text.contains("1 structure choisie"), "{text}");
    }
}
