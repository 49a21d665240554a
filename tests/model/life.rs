//! The portal under the acts, and the model beside it.

use std::{collections::HashMap, time::Instant};

use data_encoding::BASE64;
use raccord::domain::{role::Role, technical_user::TechnicalUserStatus as Status};

use super::{
    acts::{Act, Shown, Which, Who},
    state::{Display, MOST_ACCOUNTS, PEOPLE, Said, Secret, State},
};
use crate::common::{Answer, Browser, Call, PASSWORD, Page, Person, Server, Structure, TestPortal};

const CONFIRM: &str = "/confirmation-identite";
const FLAG: &str = "Connu d’un ancien gestionnaire";
/// A password of our form that nobody was given.
const NOBODYS: &str = "rcd_23456789ABCDEFGHJKLMNPQRSTUV3vBGHh";

/// A password that was once on a screen.
struct Known {
    account: usize,
    version: i32,
    text: String,
}

pub struct Life {
    portal: TestPortal,
    second: Server,
    state: State,
    people: Vec<Person>,
    browsers: Vec<Browser>,
    structure: Structure,
    /// The last number that each person's membership had.
    memberships: Vec<i64>,
    ids: Vec<i64>,
    known: Vec<Known>,
    /// Version and nonce of the last récapitulatif that displayed an account's password.
    pages: HashMap<usize, (i32, String)>,
    tokens: Vec<String>,
    begun: Instant,
    visitors: u32,
}

impl Life {
    pub async fn begin() -> Self {
        let portal = TestPortal::with(&[("RACCORD_MAX_TECHNICAL_USERS", &MOST_ACCOUNTS.to_string())]).await;
        let (camille, structure) = portal.manager().await;
        let people = vec![camille, portal.person("Noor").await, portal.person("Sacha").await];
        portal.attach(&people[1], &structure, Role::SecondaryManager).await;
        portal.attach(&people[2], &structure, Role::User).await;
        let logins = people.iter().map(|person| person.login.clone()).collect();
        let addresses = people.iter().map(|person| person.contact_address.clone()).collect();
        let mut life = Self {
            second: portal.second_instance(),
            state: State::new(logins, addresses, structure.identifier.clone()),
            browsers: (0..PEOPLE).map(|_| portal.browser()).collect(),
            memberships: Vec::new(),
            ids: Vec::new(),
            known: Vec::new(),
            pages: HashMap::new(),
            tokens: Vec::new(),
            begun: Instant::now(),
            visitors: 0,
            portal,
            people,
            structure,
        };
        for who in 0..PEOPLE {
            let id = life.membership(who).await.expect("all three begin as members");
            life.memberships.push(id);
        }
        for label in ["", "ERP"] {
            life.live((Act::Create { who: Who::Manager, label, twice: false, display: true }, false)).await;
        }
        life
    }

    async fn membership(&self, who: usize) -> Option<i64> {
        let ids = "SELECT id::text FROM memberships WHERE user_id = $1 AND structure_id = $2";
        let found = self.portal.texts(ids, &[self.people[who].id, self.structure.id]).await;
        found.first().map(|id| id.parse().expect("a number"))
    }

    pub async fn live(&mut self, (act, second): (Act, bool)) {
        match act {
            Act::SignIn { who } => self.sign_in(who, second).await,
            Act::SignInWrong { who } => {
                let visitor = self.visitor(second);
                let fields = [("identifiant", self.people[who].login.as_str()), ("mot-de-passe", "pas le bon du tout")];
                let page = visitor.post("/connexion", &fields).await.refusal(422);
                page.assert_says("Identifiant ou mot de passe incorrect.");
            }
            Act::SignInAsAccount { shown } => self.sign_in_as_account(shown, second).await,
            Act::SignOut { who } => {
                let who = self.person(who);
                self.at(who, second).post("/deconnexion", &[]).await.location();
                self.state.sessions[who] = None;
            }
            Act::Create { who, label, twice, display } => {
                let who = self.person(who);
                if self.create(who, label, twice, second).await && display {
                    self.display(who, self.ids.len() - 1, !second).await;
                }
            }
            Act::Relabel { who, account, label } => {
                let (who, Some(account)) = (self.person(who), self.account(account)) else { return };
                let seen = self.state.accounts[account].label.clone();
                let fields = vec![("libelle".into(), label.to_owned()), ("precedent".into(), seen)];
                let path = self.path(account, "/libelle");
                self.post(who, second, &path, fields, |state| state.relabel(who, account, label)).await;
            }
            Act::Display { who, account } => {
                let Some(account) = self.account(account) else { return };
                self.display(self.person(who), account, second).await;
            }
            Act::Export { who, account } => {
                let Some(account) = self.account(account) else { return };
                self.export(self.person(who), account, second).await;
            }
            Act::Reset { who, account, grace, stale, twice, display } => {
                let (who, Some(account)) = (self.person(who), self.account(account)) else { return };
                if self.reset((who, account), grace, stale, twice, second).await && display {
                    self.display(who, account, !second).await;
                }
            }
            Act::Close { who, account } => {
                let close = |state: &mut State, who, account| state.close(who, account);
                self.act_on(who, account, second, "/recapitulatif/fermeture", close).await;
            }
            Act::EndFormer { who, account } => {
                let end = |state: &mut State, who, account| state.end_former(who, account);
                self.act_on(who, account, second, "/ancien-mot-de-passe", end).await;
            }
            Act::ChangeStatus { who, account, status } => {
                let path = match status {
                    Status::Active => "/reactivation",
                    Status::Suspended => "/suspension",
                    Status::Deleted => "/suppression",
                };
                let change = |state: &mut State, who, account| state.change_status(who, account, status);
                self.act_on(who, account, second, path, change).await;
            }
            Act::Designate { who, whom } => {
                let (who, fields) = (self.person(who), vec![("membre".into(), self.people[whom].id.to_string())]);
                let path = format!("/structures/{}/gestionnaire-principal", self.structure.id);
                self.post(who, second, &path, fields, |state| state.designate(who, whom)).await;
            }
            Act::Invite { who, whom, role } => self.invite(self.person(who), whom, role, second).await,
            Act::ChangeRole { who, whom, role } => {
                let who = self.person(who);
                let act = if role.is_some() { "role" } else { "retrait" };
                let path = format!("/rattachements/{}/{act}", self.memberships[whom]);
                let fields = role.map(|role| ("role".to_owned(), role.external_code().to_owned()));
                let fields = fields.into_iter().collect();
                self.post(who, second, &path, fields, |state| state.change_role(who, whom, role)).await;
            }
            Act::Activate { who, active } => self.activate(self.person(who), active, second).await,
            Act::ChangeAddress { who, address } => {
                let who = self.person(who);
                let address = format!("{who}-{address}");
                let fields = vec![("adresse-de-contact".into(), address.clone())];
                let predict = |state: &mut State| state.change_address(who, address.clone());
                self.post(who, second, "/mon-compte/adresse-de-contact", fields, predict).await;
            }
            Act::Look { who, account } => {
                let Some(account) = self.account(account) else { return };
                self.look(self.person(who), account, second).await;
            }
            Act::Call { shown } => self.call(shown, second).await,
            Act::AskToken { shown } => self.ask_token(shown, second).await,
            Act::UseToken { token } => self.use_token(token, second).await,
            Act::Wait { seconds } => self.wait(seconds).await,
        }
    }

    fn person(&self, who: Who) -> usize {
        match who {
            Who::Manager => self.state.manager,
            Who::Person(who) => who,
        }
    }

    /// `None` while there is none.
    fn account(&self, which: Which) -> Option<usize> {
        let is_there = |account: &usize| which.any || self.state.accounts[*account].status != Status::Deleted;
        let accounts: Vec<usize> = (0..self.ids.len()).filter(is_there).collect();
        (!accounts.is_empty()).then(|| accounts[which.number % accounts.len()])
    }

    /// A person's browser, at one of the two instances.
    fn at(&self, who: usize, second: bool) -> Browser {
        if second { self.browsers[who].at(&self.second) } else { self.browsers[who].clone() }
    }

    /// A browser or a program that nobody has seen before, from a network of its own: nobody is
    /// slowed.
    fn visitor(&mut self, second: bool) -> Browser {
        self.visitors += 1;
        let address = format!("10.{}.{}.1", self.visitors / 256, self.visitors % 256);
        let visitor = self.portal.browser().with_address(&address);
        if second { visitor.at(&self.second) } else { visitor }
    }

    fn path(&self, account: usize, act: &str) -> String {
        format!("/utilisateurs-techniques/{}{act}", self.ids[account])
    }

    async fn sign_in(&mut self, who: usize, second: bool) {
        let fields = [("identifiant", self.people[who].login.as_str()), ("mot-de-passe", PASSWORD)];
        assert_eq!(self.at(who, second).post("/connexion", &fields).await.location(), "/");
        self.state.sign_in(who);
    }

    async fn sign_in_as_account(&mut self, shown: Shown, second: bool) {
        let (login, password, _) = self.credential(shown);
        let fields = [("identifiant", login.as_str()), ("mot-de-passe", password.as_str())];
        let page = self.visitor(second).post("/connexion", &fields).await.refusal(422);
        page.assert_says("Un compte technique ne permet pas de se connecter au portail.");
    }

    /// Signs the person in who is not, after having seen that nothing opens for her.
    async fn be_signed_in(&mut self, who: usize, second: bool, path: &str) {
        if !self.state.is_signed_in(who) {
            let refused = self.at(who, second).get(path).await.location();
            assert!(refused.starts_with("/connexion"), "{path} leads to {refused}");
            self.sign_in(who, second).await;
        }
    }

    /// Posts a form and holds the answer to the prediction; who is asked to confirm her identity
    /// does. The answer, and what was predicted.
    async fn post(
        &mut self,
        who: usize,
        second: bool,
        path: &str,
        fields: Vec<(String, String)>,
        predict: impl Fn(&mut State) -> Said,
    ) -> (Answer, Said) {
        self.be_signed_in(who, second, "/mon-compte").await;
        let browser = self.at(who, second);
        let (mut answer, mut said) = (post(&browser, path, &fields).await, predict(&mut self.state));
        hold(&answer, said, path);
        if said == Said::Confirm {
            let mut fields = answer.page().form(CONFIRM);
            fields.retain(|(name, _)| name != "confirmation-mot-de-passe");
            fields.push(("confirmation-mot-de-passe".into(), PASSWORD.into()));
            let confirmed = post(&browser, CONFIRM, &fields).await;
            assert_eq!((confirmed.status.as_u16(), confirmed.header("location")), (307, Some(path)));
            self.state.confirm(who);
            (answer, said) = (post(&browser, path, &fields).await, predict(&mut self.state));
            hold(&answer, said, path);
        }
        (answer, said)
    }

    /// An act that needs nothing but its button.
    async fn act_on(
        &mut self,
        who: Who,
        account: Which,
        second: bool,
        act: &str,
        predict: impl Fn(&mut State, usize, usize) -> Said,
    ) {
        let (who, Some(account)) = (self.person(who), self.account(account)) else { return };
        let path = self.path(account, act);
        self.post(who, second, &path, vec![], |state| predict(state, who, account)).await;
    }

    /// Whether an account was created.
    async fn create(&mut self, who: usize, label: &'static str, twice: bool, second: bool) -> bool {
        let path = format!("/structures/{}/utilisateurs-techniques", self.structure.id);
        let token = format!("jeton-numero-{:010}", self.visitors);
        self.visitors += 1;
        let fields = vec![("jeton".into(), token), ("libelle".into(), label.to_owned())];
        let (answer, said) = self.post(who, second, &path, fields.clone(), |state| state.create(who, label)).await;
        if said != Said::Done {
            return false;
        }
        let summary = answer.location();
        let id = summary.trim_start_matches("/utilisateurs-techniques/").trim_end_matches("/recapitulatif");
        self.ids.push(id.parse().expect("the account's number"));
        if twice {
            assert_eq!(post(&self.at(who, !second), &path, &fields).await.location(), summary, "the same account");
        }
        true
    }

    async fn display(&mut self, who: usize, account: usize, second: bool) {
        let path = self.path(account, "/recapitulatif");
        self.be_signed_in(who, second, &path).await;
        let answer = self.at(who, second).get(&path).await;
        let display = match self.state.display(who, account) {
            Err(said) => return hold(&answer, said, &path),
            Ok(display) => display,
        };
        assert_eq!(answer.status, 200);
        let page = answer.page();
        let shown = page.password();
        assert_eq!(shown.is_some(), display == Display::Password, "{display:?}: {}", page.text());
        match display {
            Display::Password => self.keep(account, &page, shown.expect("it is there")),
            Display::AlreadyShown => page.assert_says("Le mot de passe a déjà été affiché."),
            Display::Lapsed => page.assert_says("Le mot de passe ne peut pas être affiché."),
        }
    }

    fn keep(&mut self, account: usize, page: &Page, text: String) {
        assert!(raccord::domain::password::is_well_formed(&text));
        assert!(self.known.iter().all(|known| known.text != text), "no password is given twice");
        let version = self.state.version(account);
        self.pages.insert(account, (version, page.field("nonce")));
        self.known.push(Known { account, version, text });
    }

    async fn export(&mut self, who: usize, account: usize, second: bool) {
        let path = self.path(account, "/informations-de-connexion");
        let page = self.pages.get(&account).cloned();
        let (version, nonce) = page.map_or((None, "aucun".into()), |(version, nonce)| (Some(version), nonce));
        let fields = vec![("nonce".into(), nonce)];
        self.be_signed_in(who, second, "/mon-compte").await;
        let answer = post(&self.at(who, second), &path, &fields).await;
        match self.state.export(who, account, version) {
            Said::Done => assert_eq!(answer.header("content-type"), Some("application/pdf")),
            said => hold(&answer, said, &path),
        }
    }

    /// Whether the password was reset.
    async fn reset(
        &mut self,
        (who, account): (usize, usize),
        grace: i64,
        stale: bool,
        twice: bool,
        second: bool,
    ) -> bool {
        let path = self.path(account, "/mot-de-passe");
        let version = self.state.version(account) - i32::from(stale);
        let token = format!("jeton-numero-{:010}", self.visitors);
        self.visitors += 1;
        let fields = [("jeton", token), ("version", version.to_string()), ("ancien", grace.to_string())];
        let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let predict = |state: &mut State| state.reset(who, account, version, grace);
        let (answer, said) = self.post(who, second, &path, fields.clone(), predict).await;
        if said == Said::Done && twice {
            let again = post(&self.at(who, !second), &path, &fields).await;
            assert_eq!(again.location(), answer.location(), "the same reset");
        }
        said == Said::Done
    }

    async fn invite(&mut self, who: usize, whom: usize, role: Role, second: bool) {
        let path = format!("/structures/{}/membres/invitation", self.structure.id);
        let fields = [
            ("adresse", self.people[whom].login.as_str()),
            ("prenom", "Lou"),
            ("nom", "Petit"),
            ("role", role.external_code()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        self.post(who, second, &path, fields, |state| state.invite(who, whom, role)).await;
        if let Some(id) = self.membership(whom).await {
            self.memberships[whom] = id;
        }
    }

    async fn activate(&mut self, who: usize, active: bool, second: bool) {
        let path = format!("/structures/{}", self.structure.id);
        self.be_signed_in(who, second, &path).await;
        let mut fields = match self.at(who, second).get(&path).await {
            page if page.status == 200 => page.page().form(&path),
            _ => vec![],
        };
        fields.retain(|(name, _)| name != "statut");
        fields.push(("statut".into(), if active { "ACTIVE" } else { "INACTIVE" }.into()));
        fields.push(("confirmation".into(), "oui".into()));
        self.post(who, second, &path, fields, |state| state.activate(who, active)).await;
    }

    /// The account's page and the structure's.
    async fn look(&mut self, who: usize, account: usize, second: bool) {
        let path = self.path(account, "");
        self.be_signed_in(who, second, &path).await;
        let answer = self.at(who, second).get(&path).await;
        if self.state.look(who, Some(account)) == Said::Done {
            self.hold_account(&answer.page(), who, account);
        } else {
            answer.refusal(404);
        }
        let answer = self.at(who, second).get(&format!("/structures/{}", self.structure.id)).await;
        if self.state.look(who, None) == Said::NotFound {
            answer.refusal(404);
            return;
        }
        let living: Vec<usize> =
            (0..self.ids.len()).filter(|account| self.state.accounts[*account].status != Status::Deleted).collect();
        let rows = answer.page().rows();
        let rows: Vec<_> = rows.iter().filter(|row| row.iter().any(|cell| cell.starts_with("TECH_"))).collect();
        for account in &living {
            let login = &self.state.accounts[*account].login;
            let row = rows.iter().find(|row| row.len() > 5 && row[1] == *login);
            let row = row.unwrap_or_else(|| panic!("{login} has no row in {rows:?}"));
            let is_flagged = row.iter().any(|cell| cell.contains(FLAG));
            assert_eq!(is_flagged, self.state.is_known_to_another(*account), "{row:?}");
            assert_eq!(row[3], self.state.addresses[self.state.manager], "rule 6");
            assert!(row[4].starts_with(self.state.status_label(*account)), "{row:?}");
        }
        let deleted = rows.iter().filter(|row| row.len() > 6).count();
        assert_eq!(deleted, living.len(), "{rows:?}");
    }

    fn hold_account(&self, page: &Page, who: usize, account: usize) {
        let state = &self.state;
        let text = page.text();
        assert_eq!(text.contains(FLAG), state.is_known_to_another(account), "{text}");
        assert_eq!(text.contains("Ancien mot de passe Fonctionne encore"), state.has_former(account), "{text}");
        assert!(page.fact("Adresse de contact").starts_with(&state.addresses[state.manager]), "{text}");
        let secret = match state.secret(who, account) {
            Secret::NeverShown => "Jamais affiché",
            Secret::Ready => "Prêt à être affiché",
            Secret::Shown => "Affiché le",
        };
        assert!(page.fact("État").starts_with(secret), "{secret}: {text}");
        let login = &state.accounts[account].login;
        let label = &state.accounts[account].label;
        assert_eq!(&page.fact("Libellé"), if label.is_empty() { "Aucun" } else { label });
        assert!(text.contains(&format!("{login} {}", state.status_label(account))), "{text}");
    }

    /// Login, password, and the account and version that it was made for where the login is that
    /// account's.
    fn credential(&self, shown: Shown) -> (String, String, Option<(usize, i32)>) {
        let known = self.known.iter().rev().cycle().nth(shown.password);
        let other = shown.login_of.and_then(|which| self.account(which));
        let account = other.or(known.map(|known| known.account));
        let login = account.map_or("TECH_9_X@cpro.fr", |account| &self.state.accounts[account].login);
        let own = known.filter(|known| Some(known.account) == account).map(|known| (known.account, known.version));
        (login.to_owned(), known.map_or(NOBODYS, |known| &known.text).to_owned(), own)
    }

    async fn call(&mut self, shown: Shown, second: bool) {
        let (login, password, own) = self.credential(shown);
        let value = BASE64.encode(format!("{login}:{password}").as_bytes());
        let call = Call::get("/cpro/transverses/v1/health-check").with("cpro-account", &value);
        let status = self.visitor(second).send(call).await.status;
        let opens = own.is_some_and(|(account, version)| self.state.opens(account, version));
        assert_eq!(status, if opens { 200 } else { 401 }, "{login}, {own:?}");
    }

    async fn ask_token(&mut self, shown: Shown, second: bool) {
        let (login, password, own) = self.credential(shown);
        let fields = [("grant_type", "client_credentials"), ("client_id", &login), ("client_secret", &password)];
        let answer = self.visitor(second).post("/api/oauth/token", &fields).await;
        let given = own.and_then(|(account, version)| self.state.give_token(account, version));
        assert_eq!(answer.status, if given.is_some() { 200 } else { 401 }, "{login}, {own:?}");
        if given.is_some() {
            let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
            self.tokens.push(json["access_token"].as_str().expect("a token").to_owned());
        }
    }

    async fn use_token(&mut self, token: usize, second: bool) {
        // The newest are the most interesting; the model counts from one.
        let number = self.tokens.len().saturating_sub(token);
        let text = number.checked_sub(1).map_or("personne", |at| &self.tokens[at]).to_owned();
        let call = Call::get("/cpro/transverses/v1/health-check").with("authorization", &format!("Bearer {text}"));
        let status = self.visitor(second).send(call).await.status;
        let opens = self.state.token_opens(number);
        assert_eq!(status, if opens { 200 } else { 401 }, "token {number}");
    }

    async fn wait(&mut self, seconds: i64) {
        self.state.wait(seconds);
        let elapsed = i64::try_from(self.begun.elapsed().as_secs()).expect("not for ever");
        self.portal.move_clock(&format!("{} seconds", self.state.now - elapsed)).await;
        self.second = self.portal.second_instance();
    }

    /// The history that the manager downloads, and the mails.
    pub async fn conclude(mut self) {
        let manager = self.state.manager;
        self.be_signed_in(manager, false, "/activites").await;
        let csv = self.at(manager, true).get(&format!("/structures/{}/historique.csv", self.structure.id)).await;
        let text = csv.body_text();
        let mut reader =
            csv::ReaderBuilder::new().delimiter(b';').from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let head = reader.headers().expect("a head").clone();
        let column =
            |name| head.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name} in {head:?}"));
        let columns = ["Opération", "Objet", "Auteur"].map(column);
        let rows = reader.records().map(|row| {
            let row = row.expect("a row");
            columns.map(|column| row[column].to_owned()).into()
        });
        let mut told: Vec<(String, String, String)> = rows.collect();
        told.reverse();
        let expected: Vec<_> = self.state.history.into_iter().map(|(what, on, by)| (what.to_owned(), on, by)).collect();
        assert_eq!(told, expected);
        let kinds = ["technical_user_created", "password_reset", "manager_changed"];
        let mut mails = self.portal.mails().await;
        mails.retain(|mail| kinds.iter().any(|kind| mail.ends_with(kind)));
        assert_eq!(mails, self.state.mails);
    }
}

async fn post(browser: &Browser, path: &str, fields: &[(String, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(path, &fields).await
}

/// Whether the answer says what was predicted.
#[track_caller]
fn hold(answer: &Answer, said: Said, path: &str) {
    let status = match said {
        Said::SignIn | Said::Done => 303,
        Said::Confirm => 403,
        Said::NotFound => 404,
        Said::Conflict => 409,
        Said::Refused => 422,
    };
    let told = answer.header("location").unwrap_or_default();
    assert!(
        answer.status == status && (said == Said::SignIn) == told.starts_with("/connexion"),
        "{path}: {said:?} was predicted, and told {} {told}",
        answer.status
    );
    if said == Said::Confirm {
        assert_eq!(answer.page().heading(), "Confirmez votre identité");
    }
}
