//! Does the acts at the portal and in the model, and compares the two.

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use raccord::domain::{audit::Action, role::Role, technical_user::TechnicalUserStatus as Status};

use super::{
    acts::{AccountAct, Act, Creation, Reset, Shown, Which, Who},
    state::{Display, Entry, MOST_ACCOUNTS, Networks, Outcome, PEOPLE, Secret, State},
};
use crate::common::{
    Answer, Browser, Call, HEALTH, PASSWORD, Page, Person, Server, Structure, TOKEN, TestPortal, cpro_account,
};

const CONFIRM: &str = "/confirmation-identite";
const FLAG: &str = "Connu d’un ancien gestionnaire";
/// A password of our form that no account has.
const UNKNOWN: &str = "rcd_23456789ABCDEFGHJKLMNPQRSTUV3vBGHh";

/// A password that was shown.
struct Known {
    account: usize,
    version: i32,
    text: String,
}

/// A person, and which of the two instances they visit.
#[derive(Clone, Copy, Debug)]
struct Visit {
    who: usize,
    second: bool,
}

impl Visit {
    /// The same person at the other instance.
    fn elsewhere(self) -> Self {
        Self { second: !self.second, ..self }
    }
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
            let creation = Creation { who: Who::Manager, label, twice: false, display: true };
            life.live((Act::Create(creation), false)).await;
        }
        life
    }

    async fn membership(&self, who: usize) -> Option<i64> {
        self.portal.find_membership(&self.people[who]).await
    }

    pub async fn live(&mut self, (act, second): (Act, bool)) {
        let visit = |life: &Self, who: Who| Visit { who: life.person(who), second };
        match act {
            Act::SignIn { who } => self.sign_in(Visit { who, second }).await,
            Act::SignInWrong { who } => self.sign_in_wrong(who, second).await,
            Act::SignInAsAccount { shown } => self.sign_in_as_account(shown, second).await,
            Act::SignOut { who } => self.sign_out(visit(self, who)).await,
            Act::Create(creation) => self.create(visit(self, creation.who), creation).await,
            Act::OnAccount { who, account, act } => {
                let Some(account) = self.account(account) else { return };
                self.act_on(visit(self, who), account, act).await;
            }
            Act::Designate { who, whom } => self.designate(visit(self, who), whom).await,
            Act::Answer { whom, accepts } => self.answer(Visit { who: whom, second }, accepts).await,
            Act::Withdraw { who } => {
                let (visit, path) =
                    (visit(self, who), format!("/structures/{}/gestionnaire-principal/annulation", self.structure.id));
                self.post(visit, &path, vec![], |state| state.withdraw(visit.who)).await;
            }
            Act::Invite { who, whom, role } => self.invite(visit(self, who), whom, role).await,
            Act::ChangeRole { who, whom, role } => self.change_role(visit(self, who), whom, role).await,
            Act::Activate { who, active } => self.activate(visit(self, who), active).await,
            Act::ChangeAddress { who, address } => self.change_address(visit(self, who), address).await,
            Act::Call { shown } => self.call(shown, second).await,
            Act::AskToken { shown } => self.ask_token(shown, second).await,
            Act::UseToken { token } => self.use_token(token, second).await,
            Act::Wait { seconds } => self.wait(seconds).await,
        }
    }

    async fn act_on(&mut self, visit: Visit, account: usize, act: AccountAct) {
        let who = visit.who;
        match act {
            AccountAct::Relabel { label } => self.relabel(visit, account, label).await,
            AccountAct::Display => self.display(visit, account).await,
            AccountAct::Export => self.export(visit, account).await,
            AccountAct::Reset(reset) => self.reset(visit, account, reset).await,
            AccountAct::Close => {
                let path = self.path(account, "/recapitulatif/fermeture");
                self.post(visit, &path, vec![], |state| state.close(who, account)).await;
            }
            AccountAct::EndFormer => {
                let path = self.path(account, "/ancien-mot-de-passe");
                self.post(visit, &path, vec![], |state| state.end_former(who, account)).await;
            }
            AccountAct::ChangeStatus { status } => {
                let act = match status {
                    Status::Active => "/reactivation",
                    Status::Suspended => "/suspension",
                    Status::Deleted => "/suppression",
                };
                let path = self.path(account, act);
                self.post(visit, &path, vec![], |state| state.change_status(who, account, status)).await;
            }
            AccountAct::Restrict { networks } => self.restrict(visit, account, networks).await,
            AccountAct::Look => self.look(visit, account).await,
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

    fn at(&self, visit: Visit) -> Browser {
        let browser = &self.browsers[visit.who];
        if visit.second { browser.at(&self.second) } else { browser.clone() }
    }

    /// A new browser or program in a network of its own, so that no delay applies.
    fn visitor(&mut self, second: bool) -> Browser {
        self.visitors += 1;
        let address = format!("10.{}.{}.1", self.visitors / 256, self.visitors % 256);
        let visitor = self.portal.browser().with_address(&address);
        if second { visitor.at(&self.second) } else { visitor }
    }

    fn path(&self, account: usize, act: &str) -> String {
        format!("/utilisateurs-techniques/{}{act}", self.ids[account])
    }

    async fn sign_in(&mut self, visit: Visit) {
        let fields = [("identifiant", self.people[visit.who].login.as_str()), ("mot-de-passe", PASSWORD)];
        assert_eq!(self.at(visit).post("/connexion", &fields).await.location(), "/");
        self.state.sign_in(visit.who);
    }

    async fn sign_in_wrong(&mut self, who: usize, second: bool) {
        let visitor = self.visitor(second);
        let fields = [("identifiant", self.people[who].login.as_str()), ("mot-de-passe", "pas le bon du tout")];
        let page = visitor.post("/connexion", &fields).await.refusal(422);
        page.assert_says("Identifiant ou mot de passe incorrect.");
    }

    async fn sign_out(&mut self, visit: Visit) {
        self.at(visit).post("/deconnexion", &[]).await.location();
        self.state.sessions[visit.who] = None;
    }

    async fn sign_in_as_account(&mut self, shown: Shown, second: bool) {
        let (login, password, _) = self.credential(shown);
        let fields = [("identifiant", login.as_str()), ("mot-de-passe", password.as_str())];
        let page = self.visitor(second).post("/connexion", &fields).await.refusal(422);
        page.assert_says("Un compte technique ne permet pas de se connecter au portail.");
    }

    /// Signs the person in where there is no session, after checking that the page does not open.
    async fn be_signed_in(&mut self, visit: Visit, path: &str) {
        if !self.state.is_signed_in(visit.who) {
            let refused = self.at(visit).get(path).await.location();
            assert!(refused.starts_with("/connexion"), "{path} leads to {refused}");
            self.sign_in(visit).await;
        }
    }

    /// Posts a form, confirms the identity where that is asked, and compares each answer with the
    /// prediction. Returns the last answer and its prediction.
    async fn post(
        &mut self,
        visit: Visit,
        path: &str,
        fields: Vec<(String, String)>,
        predict: impl Fn(&mut State) -> Outcome,
    ) -> (Answer, Outcome) {
        self.be_signed_in(visit, "/mon-compte").await;
        let browser = self.at(visit);
        let (mut answer, mut outcome) = (post(&browser, path, &fields).await, predict(&mut self.state));
        compare(&answer, outcome, path);
        if outcome == Outcome::Confirm {
            let mut fields = answer.page().form(CONFIRM);
            fields.retain(|(name, _)| name != "confirmation-mot-de-passe");
            fields.push(("confirmation-mot-de-passe".into(), PASSWORD.into()));
            let confirmed = post(&browser, CONFIRM, &fields).await;
            assert_eq!((confirmed.status.as_u16(), confirmed.header("location")), (307, Some(path)));
            self.state.confirm(visit.who);
            (answer, outcome) = (post(&browser, path, &fields).await, predict(&mut self.state));
            compare(&answer, outcome, path);
        }
        (answer, outcome)
    }

    /// A form's idempotency token.
    fn form_token(&mut self) -> (String, String) {
        self.visitors += 1;
        ("jeton".into(), format!("jeton-numero-{:010}", self.visitors))
    }

    async fn create(&mut self, visit: Visit, Creation { label, twice, display, .. }: Creation) {
        let path = format!("/structures/{}/utilisateurs-techniques", self.structure.id);
        let fields = vec![self.form_token(), ("libelle".into(), label.to_owned())];
        let (answer, outcome) = self.post(visit, &path, fields.clone(), |state| state.create(visit.who, label)).await;
        if outcome != Outcome::Done {
            return;
        }
        let summary = answer.location();
        let id = summary.trim_start_matches("/utilisateurs-techniques/").trim_end_matches("/recapitulatif");
        self.ids.push(id.parse().expect("the account's number"));
        if twice {
            let again = post(&self.at(visit.elsewhere()), &path, &fields).await;
            assert_eq!(again.location(), summary, "the same account");
        }
        if display {
            self.display(visit.elsewhere(), self.ids.len() - 1).await;
        }
    }

    async fn relabel(&mut self, visit: Visit, account: usize, label: &str) {
        let seen = self.state.accounts[account].label.clone();
        let fields = vec![("libelle".into(), label.to_owned()), ("precedent".into(), seen)];
        let path = self.path(account, "/libelle");
        self.post(visit, &path, fields, |state| state.relabel(visit.who, account, label)).await;
    }

    async fn restrict(&mut self, visit: Visit, account: usize, networks: Networks) {
        let (choice, list) = match networks {
            Networks::Any => ("TOUTES", ""),
            Networks::Lock | Networks::Locked => ("VERROU", ""),
            Networks::Ours => ("LISTE", "10.0.0.0/8"),
            Networks::Others => ("LISTE", "203.0.113.0/24\n2001:db8::/32"),
        };
        let version = self.state.restrictions_version(account).to_string();
        let fields = [("reseaux", choice), ("liste", list), ("structures", "TOUTES"), ("version", &version)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let path = self.path(account, "/restrictions/confirmation");
        self.post(visit, &path, fields, |state| state.restrict(visit.who, account, networks)).await;
    }

    async fn display(&mut self, visit: Visit, account: usize) {
        let path = self.path(account, "/recapitulatif");
        self.be_signed_in(visit, &path).await;
        let answer = self.at(visit).get(&path).await;
        let display = match self.state.display(visit.who, account) {
            Err(outcome) => return compare(&answer, outcome, &path),
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

    async fn export(&mut self, visit: Visit, account: usize) {
        let path = self.path(account, "/informations-de-connexion");
        let page = self.pages.get(&account).cloned();
        let (version, nonce) = page.map_or((None, "aucun".into()), |(version, nonce)| (Some(version), nonce));
        let fields = vec![("nonce".into(), nonce)];
        self.be_signed_in(visit, "/mon-compte").await;
        let answer = post(&self.at(visit), &path, &fields).await;
        match self.state.export(visit.who, account, version) {
            Outcome::Done => assert_eq!(answer.header("content-type"), Some("application/pdf")),
            outcome => compare(&answer, outcome, &path),
        }
    }

    async fn reset(&mut self, visit: Visit, account: usize, reset: Reset) {
        let path = self.path(account, "/mot-de-passe");
        let version = self.state.version(account) - i32::from(reset.stale);
        let (version_field, grace_field) = (version.to_string(), reset.grace_hours.to_string());
        let fields = vec![self.form_token(), ("version".into(), version_field), ("ancien".into(), grace_field)];
        let predict = |state: &mut State| state.reset(visit.who, account, version, reset.grace_hours);
        let (answer, outcome) = self.post(visit, &path, fields.clone(), predict).await;
        if outcome != Outcome::Done {
            return;
        }
        if reset.twice {
            let again = post(&self.at(visit.elsewhere()), &path, &fields).await;
            assert_eq!(again.location(), answer.location(), "the same reset");
        }
        if reset.display {
            self.display(visit.elsewhere(), account).await;
        }
    }

    async fn designate(&mut self, visit: Visit, whom: usize) {
        let fields = vec![("membre".into(), self.people[whom].id.to_string())];
        let path = format!("/structures/{}/gestionnaire-principal", self.structure.id);
        self.post(visit, &path, fields, |state| state.designate(visit.who, whom)).await;
    }

    /// The answer to an offer, if there is one.
    async fn answer(&mut self, visit: Visit, accepts: bool) {
        let act = if accepts { "acceptation" } else { "refus" };
        let offer = format!("/mon-compte/propositions/{}", self.structure.id);
        let path = format!("{offer}/{act}");
        self.be_signed_in(visit, &offer).await;
        let fields = match self.at(visit).get(&offer).await {
            page if page.status == 200 => page.page().form(&format!("{offer}/acceptation")),
            _ => vec![],
        };
        self.post(visit, &path, fields, |state| state.answer(visit.who, accepts)).await;
    }

    async fn invite(&mut self, visit: Visit, whom: usize, role: Role) {
        let path = format!("/structures/{}/membres/invitation", self.structure.id);
        let fields = [
            ("adresse", self.people[whom].login.as_str()),
            ("prenom", "Lou"),
            ("nom", "Petit"),
            ("role", role.external_code()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        self.post(visit, &path, fields, |state| state.invite(visit.who, whom, role)).await;
        if let Some(id) = self.membership(whom).await {
            self.memberships[whom] = id;
        }
    }

    async fn change_role(&mut self, visit: Visit, whom: usize, role: Option<Role>) {
        let act = if role.is_some() { "role" } else { "retrait" };
        let path = format!("/rattachements/{}/{act}", self.memberships[whom]);
        let fields = role.map(|role| ("role".to_owned(), role.external_code().to_owned()));
        let fields = fields.into_iter().collect();
        self.post(visit, &path, fields, |state| state.change_role(visit.who, whom, role)).await;
    }

    async fn activate(&mut self, visit: Visit, active: bool) {
        let path = format!("/structures/{}", self.structure.id);
        self.be_signed_in(visit, &path).await;
        let mut fields = match self.at(visit).get(&format!("{path}/informations-generales")).await {
            page if page.status == 200 => page.page().form(&path),
            _ => vec![],
        };
        fields.retain(|(name, _)| name != "statut");
        fields.push(("statut".into(), if active { "ACTIVE" } else { "INACTIVE" }.into()));
        fields.push(("confirmation".into(), "oui".into()));
        self.post(visit, &path, fields, |state| state.activate(visit.who, active)).await;
    }

    async fn change_address(&mut self, visit: Visit, address: &str) {
        let address = format!("{}-{address}", visit.who);
        let fields = vec![("adresse-de-contact".into(), address.clone())];
        let predict = |state: &mut State| state.change_address(visit.who, address.clone());
        self.post(visit, "/mon-compte/adresse-de-contact", fields, predict).await;
    }

    /// The account's page and the structure's.
    async fn look(&mut self, visit: Visit, account: usize) {
        let path = self.path(account, "");
        self.be_signed_in(visit, &path).await;
        let answer = self.at(visit).get(&path).await;
        if self.state.look(visit.who, Some(account)) == Outcome::Done {
            self.compare_account(&answer.page(), visit.who, account);
        } else {
            answer.refusal(404);
        }
        let answer = self.at(visit).get(&format!("/structures/{}", self.structure.id)).await;
        if self.state.look(visit.who, None) == Outcome::NotFound {
            answer.refusal(404);
        } else {
            self.compare_structure(&answer.page());
        }
    }

    /// The table of technical users on the structure's page.
    fn compare_structure(&self, page: &Page) {
        let living: Vec<usize> =
            (0..self.ids.len()).filter(|account| self.state.accounts[*account].status != Status::Deleted).collect();
        let rows = page.rows();
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

    fn compare_account(&self, page: &Page, who: usize, account: usize) {
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

    /// Login, password, and the account and version of the password where the login is its own.
    fn credential(&self, shown: Shown) -> (String, String, Option<(usize, i32)>) {
        let known = self.known.iter().rev().cycle().nth(shown.password);
        let other = shown.login_of.and_then(|which| self.account(which));
        let account = other.or(known.map(|known| known.account));
        let login = account.map_or("TECH_9_X@cpro.fr", |account| &self.state.accounts[account].login);
        let own = known.filter(|known| Some(known.account) == account).map(|known| (known.account, known.version));
        (login.to_owned(), known.map_or(UNKNOWN, |known| &known.text).to_owned(), own)
    }

    async fn call(&mut self, shown: Shown, second: bool) {
        let (login, password, own) = self.credential(shown);
        let call = Call::get(HEALTH).with("cpro-account", &cpro_account(&login, &password));
        let status = self.visitor(second).send(call).await.status;
        let opens = own.is_some_and(|(account, version)| self.state.call(account, version));
        assert_eq!(status, if opens { 200 } else { 401 }, "{login}, {own:?}");
    }

    async fn ask_token(&mut self, shown: Shown, second: bool) {
        let (login, password, own) = self.credential(shown);
        let fields = [("grant_type", "client_credentials"), ("client_id", &login), ("client_secret", &password)];
        let answer = self.visitor(second).post(TOKEN, &fields).await;
        let given = own.and_then(|(account, version)| self.state.give_token(account, version));
        assert_eq!(answer.status, if given.is_some() { 200 } else { 401 }, "{login}, {own:?}");
        if given.is_some() {
            self.tokens.push(answer.json()["access_token"].as_str().expect("a token").to_owned());
        }
    }

    async fn use_token(&mut self, token: usize, second: bool) {
        // Counted from the newest; the model's numbers begin at 1.
        let number = self.tokens.len().saturating_sub(token);
        let text = number.checked_sub(1).map_or("personne", |at| &self.tokens[at]).to_owned();
        let call = Call::get(HEALTH).with("authorization", &format!("Bearer {text}"));
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

    /// Compares the exported history and the mails.
    pub async fn conclude(mut self) {
        let manager = self.state.manager;
        let visit = Visit { who: manager, second: false };
        self.be_signed_in(visit, "/activites").await;
        let csv = self.at(visit.elsewhere()).get(&format!("/structures/{}/historique.csv", self.structure.id)).await;
        let text = csv.body_text();
        let mut reader =
            csv::ReaderBuilder::new().delimiter(b';').from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let head = reader.headers().expect("a head").clone();
        let column =
            |name| head.iter().position(|known| known == name).unwrap_or_else(|| panic!("no {name} in {head:?}"));
        let columns = ["Opération", "Objet", "Auteur"].map(column);
        let rows = reader.records().map(|row| {
            let row = row.expect("a row");
            // A tab keeps spreadsheets from reading an identifier as a number.
            let [action, subject, actor] = columns.map(|column| row[column].trim_start_matches('\t').to_owned());
            Entry { action, subject, actor }
        });
        let mut exported: Vec<_> = rows.collect();
        exported.reverse();
        let (refused, done) = split_refusals(exported);
        let (attempted, expected) = split_refusals(self.state.history);
        assert_eq!(done, expected);
        // Refused acts of a kind are grouped, and beyond some kinds they lose their subject.
        let people = |entries: &[Entry]| entries.iter().map(|entry| entry.actor.clone()).collect::<BTreeSet<_>>();
        assert_eq!(people(&refused), people(&attempted));
        assert!(refused.len() <= attempted.len());
        assert!(refused.iter().all(|entry| entry.subject.is_empty() || attempted.contains(entry)));
        let kinds = [
            "technical_user_created",
            "password_reset",
            "manager_changed",
            "succession_offered",
            "succession_offer_made",
            "restrictions_changed",
        ];
        let mut mails = self.portal.mails().await;
        mails.retain(|mail| kinds.iter().any(|kind| mail.ends_with(kind)));
        assert_eq!(mails, self.state.mails);
    }
}

/// The refused acts of a history, and all others.
fn split_refusals(history: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    history.into_iter().partition(|entry| entry.action == Action::ActRefused.label())
}

async fn post(browser: &Browser, path: &str, fields: &[(String, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(path, &fields).await
}

/// Compares an answer with what was predicted.
#[track_caller]
fn compare(answer: &Answer, outcome: Outcome, path: &str) {
    let status = match outcome {
        Outcome::SignIn | Outcome::Done => 303,
        Outcome::Confirm => 403,
        Outcome::NotFound => 404,
        Outcome::Conflict => 409,
        Outcome::Refused => 422,
    };
    let location = answer.header("location").unwrap_or_default();
    assert!(
        answer.status == status && (outcome == Outcome::SignIn) == location.starts_with("/connexion"),
        "{path}: {outcome:?} was predicted, and the answer is {} {location}",
        answer.status
    );
    if outcome == Outcome::Confirm {
        assert_eq!(answer.page().heading(), "Confirmez votre identité");
    }
}
