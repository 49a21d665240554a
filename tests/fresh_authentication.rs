//! Acts that give access or authority away ask a person who signed in a while ago to authenticate
//! again. The acts come from the router's own list.

use axum::http::Method;
use raccord::{domain::role::Role, web};

use crate::common::{Answer, Browser, PASSWORD, Page, Person, Structure, TestPortal, acceptance};

const CONFIRM: &str = "/confirmation-identite";

/// The acts that do not ask, and why.
const DO_NOT_ASK: [(&str, &str); 29] = [
    ("/connexion", "is itself an authentication"),
    ("/connexion/code", "is itself an authentication"),
    ("/confirmation-identite", "is itself an authentication"),
    ("/connexion/fournisseur", "leads to an authentication"),
    ("/confirmation-identite/fournisseur", "leads to an authentication"),
    ("/invitation/{token}/fournisseur", "needs no session: the link is the proof"),
    ("/mon-compte/mot-de-passe", "asks for the present password in its own form"),
    ("/mot-de-passe-oublie", "needs no session: the link goes to the person's mailbox"),
    ("/invitation/{token}", "needs no session: the link is the proof"),
    ("/confirmation-adresse/{token}", "needs no session: the link is the proof"),
    ("/mon-compte/adresse-de-contact/confirmation", "mails the same address its link again, a few times a day"),
    ("/remise/{token}", "needs no session: the link is the proof"),
    ("/remise/export/pdf", "needs the nonce of the page that a link opened"),
    ("/remise/export/csv", "needs the nonce of the page that a link opened"),
    ("/deconnexion", "ends the session's access"),
    ("/session/prolongation", "counts as a request; the session ends after twelve hours all the same"),
    ("/mon-compte/demandes-de-rattachement", "asks for something that another person decides"),
    ("/mon-compte/demandes-de-rattachement/{id}/annulation", "takes an own request back"),
    ("/structures/{id}/gestionnaire-principal/annulation", "takes an own offer back"),
    ("/mon-compte/propositions/{id}/refus", "gives nothing; the manager may offer again"),
    ("/demandes-de-rattachement/{id}/refus", "gives nothing; the person may ask again"),
    ("/utilisateurs-techniques/{id}/restrictions", "shows what would change; the confirmation asks"),
    ("/rattachements/{id}/retraits", "shows what would be removed; the confirmation asks"),
    ("/activites/echeances/revocation", "takes away what a link gives"),
    ("/utilisateurs-techniques/{id}/remise/revocation", "takes away what a link gives"),
    ("/utilisateurs-techniques/{id}/libelle", "changes a name that no right depends on"),
    ("/utilisateurs-techniques/{id}/recapitulatif/fermeture", "destroys what was displayed"),
    ("/lots/{id}/fermeture", "destroys what could be exported"),
    (
        "/utilisateurs-techniques/{id}/informations-de-connexion",
        "needs the nonce of the page that displays the password",
    ),
];

/// A public key of age.
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// Whether the answer is the page « Confirmez votre identité », with the form that was sent.
fn asks(answer: &Answer) -> bool {
    answer.status == 403 && answer.page().has_form(CONFIRM)
}

/// Gives the password, and follows the 307 as a browser does: the same form goes to the act.
async fn confirm(browser: &Browser, asked: &Page) -> Answer {
    let mut fields = asked.form(CONFIRM);
    fields.retain(|(name, _)| name != "confirmation-mot-de-passe");
    fields.push(("confirmation-mot-de-passe".into(), PASSWORD.into()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let confirmed = browser.post(CONFIRM, &fields).await;
    assert_eq!(confirmed.status, 307, "{}", confirmed.body_text());
    browser.post(confirmed.header("location").expect("the act"), &fields).await
}

/// A manager with everything to act on.
struct Scene {
    browser: Browser,
    structure: Structure,
    successor: Person,
    account: i64,
    membership: i64,
    own_membership: i64,
    /// A structure that the manager is offered.
    offered: i64,
    /// What the manager has seen of that offer.
    seen: String,
    request: i64,
    /// One that was carried out, with a password to export.
    batch: String,
}

impl Scene {
    async fn set(portal: &TestPortal, number: usize) -> Self {
        let (manager, mut structures) = portal.manager_with_structures(&format!("Camille{number}"), 1).await;
        let structure = structures.remove(0);
        let successor = portal.person(&format!("Noor{number}")).await;
        portal.attach(&successor, &structure, Role::User).await;
        let offered = portal.structure("Une autre").await;
        portal.attach(&portal.person(&format!("Alix{number}")).await, &offered, Role::PrincipalManager).await;
        portal.attach(&manager, &offered, Role::User).await;
        portal.offer(&offered, &manager).await;
        let asker = portal.person(&format!("Sacha{number}")).await;
        let browser = portal.signed_in(&manager).await;
        let offer = browser.open(&format!("/mon-compte/propositions/{}", offered.id)).await;
        let seen = offer.form(&acceptance(&offered)).into_iter().find(|(name, _)| name == "vu");
        let account = portal.create_account(&browser, structure.id, "ERP").await;
        let check = browser.open(&format!("/activites/choix?structure-{}=oui", structure.id)).await;
        let batch = browser.submit(&check, "/lots", &[]).await.location();
        portal.carry_out_batches().await;
        Self {
            batch: batch.rsplit('/').next().expect("a number").to_owned(),
            browser,
            seen: seen.expect("what was seen").1,
            account,
            membership: portal.membership_of(&successor).await,
            own_membership: portal.find_membership(&manager).await.expect("a membership"),
            offered: offered.id,
            request: portal.membership_request(&asker, &structure).await,
            structure,
            successor,
        }
    }

    fn path(&self, route: &str) -> String {
        if route.starts_with("/lots") {
            return route.replace("{id}", &self.batch);
        }
        let id = match route.split('/').nth(1) {
            Some("utilisateurs-techniques") => self.account,
            Some("rattachements") => self.membership,
            Some("mon-compte") if route.starts_with("/mon-compte/propositions/") => self.offered,
            Some("mon-compte") => self.own_membership,
            Some("demandes-de-rattachement") => self.request,
            _ => self.structure.id,
        };
        route.replace("{id}", &id.to_string()).replace("{token}", "aucune")
    }

    /// What a person sends with the act.
    fn fields(&self, route: &str) -> Vec<(&'static str, String)> {
        let typed =
            |fields: &[(&'static str, &str)]| fields.iter().map(|(name, value)| (*name, (*value).into())).collect();
        match route.rsplit('/').next().expect("a segment") {
            "gestionnaire-principal" => vec![("membre", self.successor.id.to_string())],
            "invitation" => typed(&[
                ("adresse", &format!("lou-{}@exemple.fr", self.structure.id)),
                ("prenom", "Lou"),
                ("nom", "Petit"),
                ("role", "GESTIONNAIRE_SECONDAIRE"),
            ]),
            "confirmation" if route.ends_with("/restrictions/confirmation") => {
                typed(&[("reseaux", "LISTE"), ("liste", "192.0.2.7"), ("structures", "TOUTES"), ("version", "0")])
            }
            "confirmation" if route.ends_with("/retraits/confirmation") => {
                vec![("choisis", self.membership.to_string())]
            }
            "acceptation" => vec![("vu", self.seen.clone())],
            "role" | "validation" => typed(&[("role", "GESTIONNAIRE_SECONDAIRE")]),
            "utilisateurs-techniques" => typed(&[("jeton", "un-jeton-de-forme-correcte"), ("libelle", "Paie")]),
            "lots" => {
                let chosen = format!("{}.1", self.account);
                typed(&[("jeton", "un-jeton-de-forme-correcte"), ("acte", "SUSPEND"), ("choisis", &chosen)])
            }
            "mot-de-passe" => typed(&[("jeton", "un-jeton-de-forme-correcte"), ("version", "1"), ("ancien", "24")]),
            "remise" => {
                typed(&[("jeton", "un-jeton-de-forme-correcte"), ("destinataire", "Zoé Petit"), ("duree", "1")])
            }
            "logiciel-chiffre" => typed(&[("cle", RECIPIENT)]),
            "adresse-de-contact" => {
                typed(&[("adresse-de-contact", &format!("neuve-{}@exemple.fr", self.structure.id))])
            }
            "{id}" => typed(&card(&self.structure.designation, "INACTIVE")),
            _ => Vec::new(),
        }
    }

    /// The page carries what was sent, and the act follows its confirmation.
    async fn goes_on(&self, route: &str, asked: &Page) {
        let carried = asked.form(CONFIRM);
        for (name, value) in self.fields(route) {
            assert!(carried.contains(&(name.to_owned(), value)), "{route} loses {name}");
        }
        let done = confirm(&self.browser, asked).await.status.as_u16();
        // This portal has no identity provider.
        let is_of_provider = route.contains("/fournisseur");
        assert!([200, 303].contains(&done) || is_of_provider && done == 404, "{route} goes on: {done}");
    }

    async fn post(&self, route: &str) -> Answer {
        let fields = self.fields(route);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.browser.post(&self.path(route), &fields).await
    }
}

fn card<'a>(designation: &'a str, status: &'a str) -> [(&'static str, &'a str); 10] {
    [
        ("designation", designation),
        ("adresse", ""),
        ("complement", ""),
        ("code-postal", ""),
        ("ville", ""),
        ("pays", "FRANCE"),
        ("courriel", ""),
        ("telephone", ""),
        ("statut", status),
        ("confirmation", "oui"),
    ]
}

/// What acts write.
async fn state(portal: &TestPortal) -> Vec<String> {
    let tables = [
        "users",
        "structures",
        "memberships",
        "membership_requests",
        "succession_offers",
        "technical_users",
        "technical_user_structures",
        "former_passwords",
        "envelopes",
        "handovers",
        "second_factors",
        "recovery_codes",
        "mails",
        "audit_events",
    ];
    portal.contents(&tables).await
}

#[tokio::test]
async fn every_act_wants_a_fresh_authentication_or_stands_in_a_list_with_its_reason() {
    let portal = TestPortal::start().await;
    let acts = web::routes().into_iter().filter(|route| route.method == Method::POST);
    let mut unused: Vec<&str> = DO_NOT_ASK.iter().map(|(path, _)| *path).collect();
    let mut wrong = Vec::new();
    for (number, route) in acts.enumerate() {
        let scene = Scene::set(&portal, number).await;
        portal.age_authentications("16 minutes").await;
        let before = state(&portal).await;
        let answer = scene.post(route.path).await;
        let is_listed = unused.contains(&route.path);
        unused.retain(|path| *path != route.path);
        if asks(&answer) == is_listed {
            wrong.push(route.path);
        } else if !is_listed {
            assert!(state(&portal).await == before, "{} acts before it is confirmed", route.path);
            scene.goes_on(route.path, &answer.page()).await;
        }
    }
    assert!(wrong.is_empty(), "these neither ask nor are listed, or do both: {wrong:?}");
    assert!(unused.is_empty(), "no such acts: {unused:?}");
}

/// Whoever ends their sessions ends the acts under way in them. Each act is sent while another
/// transaction holds its structure and its person, and goes on once that one has ended the session.
#[tokio::test(flavor = "multi_thread")]
async fn no_act_that_gives_authority_away_outlives_its_session() {
    let portal = TestPortal::start().await;
    let listed = |path: &str| DO_NOT_ASK.iter().any(|(listed, _)| *listed == path);
    let acts = web::routes().into_iter().filter(|route| route.method == Method::POST && !listed(route.path));
    let mut outlived = Vec::new();
    for (number, route) in acts.enumerate() {
        let scene = Scene::set(&portal, number).await;
        let before = state(&portal).await;
        let held = portal.hold_acts().await;
        let (browser, path) = (scene.browser.clone(), scene.path(route.path));
        let fields = scene.fields(route.path);
        let act = tokio::spawn(async move {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            browser.post(&path, &fields).await
        });
        portal.until_locked_or(1, || act.is_finished()).await;
        portal.end_sessions(held).await;
        let answer = act.await.expect("an answer");
        if state(&portal).await != before {
            outlived.push((route.path, answer.status));
        }
    }
    assert!(outlived.is_empty(), "{outlived:?}");
}

#[tokio::test]
async fn a_card_is_edited_without_being_asked_unless_its_status_changes() {
    let portal = TestPortal::start().await;
    let scene = Scene::set(&portal, 1).await;
    let url = format!("/structures/{}", scene.structure.id);
    portal.age_authentications("16 minutes").await;
    scene.browser.post(&url, &card("Mairie de Rennes", "ACTIVE")).await.location();
    assert_eq!(portal.designations().await, ["Mairie de Rennes", "Une autre"]);
    scene.browser.post(&url, &card("", "INACTIVE")).await.refusal(422);
    // A status is asked for before its consequences are: with the question's answer and without.
    let fields = card("Mairie de Rennes", "INACTIVE");
    assert!(asks(&scene.browser.post(&url, &fields[..9]).await));
    let stopping = scene.browser.post(&url, &fields).await;
    assert!(asks(&stopping));
    assert!(portal.structure_row(scene.structure.id).await.active);
    confirm(&scene.browser, &stopping.page()).await.location();
    assert!(!portal.structure_row(scene.structure.id).await.active);
    portal.age_authentications("16 minutes").await;
    assert!(asks(&scene.browser.post(&url, &card("Mairie de Rennes", "ACTIVE")).await));
    assert!(!portal.structure_row(scene.structure.id).await.active);
}
