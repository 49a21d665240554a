//! The model: the rules of the portal again, in few lines and without a database, for one
//! structure, its people and its technical users.

use raccord::domain::{audit::Action, role::Role, technical_user::TechnicalUserStatus as Status};

pub const PEOPLE: usize = 3;
/// Technical users that the structure may have.
pub const MOST_ACCOUNTS: usize = 3;
pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 60 * MINUTE;
const LIFETIME: i64 = 424 * 24 * HOUR;

/// How the portal answers an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// « Connexion » first.
    SignIn,
    /// « Confirmez votre identité » first.
    Confirm,
    NotFound,
    /// The form again, with its errors.
    Refused,
    /// Another act came first, or the password cannot be exported any more.
    Conflict,
    Done,
}

/// What the récapitulatif shows in place of the password, or the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    Password,
    AlreadyShown,
    Lapsed,
}

/// The state of the password on the account's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    NeverShown,
    Ready,
    Shown,
}

#[derive(Clone, Debug)]
pub struct Session {
    number: u64,
    begun: i64,
    seen: i64,
    /// When the identity was confirmed last.
    confirmed: i64,
}

#[derive(Clone, Debug)]
struct Envelope {
    session: u64,
    manager: usize,
    until: i64,
    opened: bool,
}

/// One password of an account.
#[derive(Clone, Debug)]
struct Password {
    version: i32,
    until: i64,
    made_by: usize,
    shown: bool,
}

/// From where an account may call. Each call of a life comes from another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Networks {
    Any,
    /// The first address that calls.
    Lock,
    /// Those from which all calls come.
    Ours,
    /// Those from which none comes.
    Others,
    /// The one address that took the lock.
    Locked,
}

#[derive(Clone, Debug)]
pub struct Account {
    pub login: String,
    pub label: String,
    pub status: Status,
    current: Password,
    former: Option<Password>,
    envelope: Option<Envelope>,
    tokens: Vec<Token>,
    networks: Networks,
    /// Of the restrictions.
    restrictions: i32,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    number: usize,
    /// Of the password that obtained it.
    version: i32,
    until: i64,
}

/// An event of the structure's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub action: String,
    pub subject: String,
    pub actor: String,
}

/// Whether an act only reads; a member's refused attempt to change something is an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reading,
    Act,
    /// An act that needs an identity confirmed within 15 minutes.
    SensitiveAct,
}

#[derive(Clone, Debug)]
pub struct State {
    /// Seconds since the beginning.
    pub now: i64,
    pub logins: Vec<String>,
    pub addresses: Vec<String>,
    /// The addresses that were confirmed: none of the new ones is.
    confirmed: Vec<String>,
    pub identifier: String,
    pub active: bool,
    pub manager: usize,
    pub roles: [Option<Role>; PEOPLE],
    /// Who was invited and has not signed in since.
    invited: [bool; PEOPLE],
    pub sessions: [Option<Session>; PEOPLE],
    pub accounts: Vec<Account>,
    pub history: Vec<Entry>,
    /// Recipient and kind of the mails about passwords and managers.
    pub mails: Vec<String>,
    offer: Option<Offer>,
    sessions_begun: u64,
    tokens_given: usize,
}

/// Of the manager to a member.
#[derive(Clone, Copy, Debug)]
struct Offer {
    to: usize,
    until: i64,
}

impl State {
    pub fn new(logins: Vec<String>, addresses: Vec<String>, identifier: String) -> Self {
        Self {
            now: 0,
            logins,
            confirmed: addresses.clone(),
            addresses,
            identifier,
            active: true,
            manager: 0,
            roles: [Some(Role::PrincipalManager), Some(Role::SecondaryManager), Some(Role::User)],
            invited: [false; PEOPLE],
            sessions: [const { None }; PEOPLE],
            accounts: Vec::new(),
            history: Vec::new(),
            mails: Vec::new(),
            offer: None,
            sessions_begun: 0,
            tokens_given: 0,
        }
    }

    /// Lets time pass; a little more where it would stop close to an end, because the portal takes
    /// time too.
    pub fn wait(&mut self, seconds: i64) {
        self.now += seconds;
        while self.instants().any(|instant| (instant - self.now).abs() < 2 * MINUTE) {
            self.now += 4 * MINUTE;
        }
    }

    /// The ends of sessions, confirmations, passwords, envelopes and tokens.
    fn instants(&self) -> impl Iterator<Item = i64> {
        let sessions = self.sessions.iter().flatten();
        let sessions = sessions.flat_map(|session| {
            [session.begun + 12 * HOUR, session.seen + 30 * MINUTE, session.confirmed + 15 * MINUTE]
        });
        let accounts = self.accounts.iter().flat_map(|account| {
            let passwords = [Some(&account.current), account.former.as_ref()].into_iter().flatten();
            let passwords = passwords.map(|password| password.until);
            let tokens = account.tokens.iter().map(|token| token.until);
            passwords.chain(account.envelope.iter().map(|envelope| envelope.until)).chain(tokens)
        });
        sessions.chain(accounts).chain(self.offer.iter().map(|offer| offer.until))
    }

    // Sessions.

    pub fn sign_in(&mut self, who: usize) {
        self.sessions_begun += 1;
        self.invited[who] = false;
        let now = self.now;
        self.sessions[who] = Some(Session { number: self.sessions_begun, begun: now, seen: now, confirmed: now });
    }

    /// « Confirmez votre identité », answered: a new session for the rest of the old one's 12
    /// hours, which opens the same envelopes.
    pub fn confirm(&mut self, who: usize) {
        let (now, session) = (self.now, self.sessions[who].as_mut().expect("a session"));
        (session.seen, session.confirmed) = (now, now);
    }

    pub fn is_signed_in(&self, who: usize) -> bool {
        self.sessions[who]
            .as_ref()
            .is_some_and(|session| self.now < session.seen + 30 * MINUTE && self.now < session.begun + 12 * HOUR)
    }

    /// Whether the person must sign in or confirm the identity first.
    fn challenge(&mut self, who: usize, kind: Kind) -> Option<Outcome> {
        let is_signed_in = self.is_signed_in(who);
        let now = self.now;
        let Some(session) = self.sessions[who].as_mut().filter(|_| is_signed_in) else { return Some(Outcome::SignIn) };
        session.seen = now;
        (kind == Kind::SensitiveAct && now >= session.confirmed + 15 * MINUTE).then_some(Outcome::Confirm)
    }

    /// Whether `who` may act on the structure. A member's refused act is an event.
    fn on_structure(&mut self, who: usize, kind: Kind) -> Result<(), Outcome> {
        self.may(who, None, kind)
    }

    /// The same for an account. A deleted one does not exist.
    fn on_account(&mut self, who: usize, account: usize, kind: Kind) -> Result<(), Outcome> {
        self.may(who, Some(account), kind)
    }

    fn may(&mut self, who: usize, account: Option<usize>, kind: Kind) -> Result<(), Outcome> {
        if self.challenge(who, Kind::Reading).is_some() {
            return Err(Outcome::SignIn);
        }
        let exists = account.is_none_or(|account| self.accounts[account].status != Status::Deleted);
        if who != self.manager || !exists {
            if kind != Kind::Reading && self.roles[who].is_some() {
                let subject = account.map(|account| self.accounts[account].login.clone()).unwrap_or_default();
                self.remember(Action::ActRefused, subject, who);
            }
            return Err(Outcome::NotFound);
        }
        self.challenge(who, kind).map_or(Ok(()), Err)
    }

    fn remember(&mut self, action: Action, subject: String, who: usize) {
        self.history.push(Entry { action: action.label().into(), subject, actor: self.logins[who].clone() });
    }

    fn remember_of(&mut self, action: Action, account: usize) {
        let login = self.accounts[account].login.clone();
        self.remember(action, login, self.manager);
    }

    fn envelope(&self, who: usize) -> Option<Envelope> {
        let session = self.sessions[who].as_ref()?.number;
        Some(Envelope { session, manager: who, until: self.now + 10 * MINUTE, opened: false })
    }

    // Acts on accounts.

    pub fn create(&mut self, who: usize, label: &str) -> Outcome {
        if let Err(outcome) = self.on_structure(who, Kind::SensitiveAct) {
            return outcome;
        }
        let living: Vec<&Account> = self.accounts.iter().filter(|account| account.status != Status::Deleted).collect();
        let is_taken = !label.is_empty() && living.iter().any(|account| account.label.eq_ignore_ascii_case(label));
        if !self.active || living.len() >= MOST_ACCOUNTS || is_taken {
            return Outcome::Refused;
        }
        self.accounts.push(Account {
            login: format!("TECH_{}_{}@cpro.fr", self.accounts.len() + 1, self.identifier),
            label: label.into(),
            status: Status::Active,
            current: Password { version: 1, until: self.now + LIFETIME, made_by: who, shown: false },
            former: None,
            envelope: self.envelope(who),
            tokens: Vec::new(),
            networks: Networks::Any,
            restrictions: 0,
        });
        self.remember_of(Action::TechnicalUserCreated, self.accounts.len() - 1);
        self.mails.push(format!("{} technical_user_created", self.addresses[who]));
        Outcome::Done
    }

    pub fn relabel(&mut self, who: usize, account: usize, label: &str) -> Outcome {
        if let Err(outcome) = self.on_account(who, account, Kind::Act) {
            return outcome;
        }
        let others = self.accounts.iter().enumerate().filter(|(other, _)| *other != account);
        let mut living = others.filter(|(_, other)| other.status != Status::Deleted);
        if !label.is_empty() && living.any(|(_, other)| other.label.eq_ignore_ascii_case(label)) {
            return Outcome::Refused;
        }
        if self.accounts[account].label != label {
            self.accounts[account].label = label.into();
            self.remember_of(Action::LabelChanged, account);
        }
        Outcome::Done
    }

    pub fn reset(&mut self, who: usize, account: usize, seen_version: i32, grace_hours: i64) -> Outcome {
        if let Err(outcome) = self.on_account(who, account, Kind::SensitiveAct) {
            return outcome;
        }
        let (now, envelope) = (self.now, self.envelope(who));
        let reset = &mut self.accounts[account];
        if seen_version != reset.current.version {
            return Outcome::Conflict;
        }
        reset.end_former();
        let works = reset.status == Status::Active && reset.current.until > now;
        if grace_hours > 0 && works {
            let until = reset.current.until.min(now + grace_hours * HOUR);
            reset.former = Some(Password { until, ..reset.current.clone() });
        } else {
            reset.tokens.clear();
        }
        let version = reset.current.version + 1;
        reset.current = Password { version, until: now + LIFETIME, made_by: who, shown: false };
        reset.envelope = envelope;
        self.remember_of(Action::PasswordReset, account);
        self.mails.push(format!("{} password_reset", self.addresses[who]));
        Outcome::Done
    }

    /// The récapitulatif, opened.
    pub fn display(&mut self, who: usize, account: usize) -> Result<Display, Outcome> {
        self.on_account(who, account, Kind::Reading)?;
        let is_waiting = self.secret(who, account) == Secret::Ready;
        let displayed = &mut self.accounts[account];
        if !is_waiting {
            return Ok(if displayed.current.shown { Display::AlreadyShown } else { Display::Lapsed });
        }
        displayed.current.shown = true;
        displayed.envelope.as_mut().expect("it waits").opened = true;
        self.remember_of(Action::PasswordShown, account);
        Ok(Display::Password)
    }

    /// The PDF, asked for from the page that displayed the password of this version.
    pub fn export(&mut self, who: usize, account: usize, page_of: Option<i32>) -> Outcome {
        if let Err(outcome) = self.on_account(who, account, Kind::Act) {
            return outcome;
        }
        let exported = &self.accounts[account];
        let is_ours = self.own_envelope(who, account).is_some_and(|envelope| envelope.opened);
        if !is_ours || page_of != Some(exported.current.version) {
            return Outcome::Conflict;
        }
        self.remember_of(Action::PasswordExported, account);
        Outcome::Done
    }

    /// « Retour sur la fiche structure ».
    pub fn close(&mut self, who: usize, account: usize) -> Outcome {
        if let Err(outcome) = self.on_account(who, account, Kind::Act) {
            return outcome;
        }
        let session = self.sessions[who].as_ref().map(|session| session.number);
        self.accounts[account].envelope.take_if(|envelope| Some(envelope.session) == session);
        Outcome::Done
    }

    pub fn end_former(&mut self, who: usize, account: usize) -> Outcome {
        if let Err(outcome) = self.on_account(who, account, Kind::SensitiveAct) {
            return outcome;
        }
        let now = self.now;
        if self.accounts[account].end_former().is_some_and(|former| former.until > now) {
            self.remember_of(Action::FormerPasswordEnded, account);
        }
        Outcome::Done
    }

    pub fn change_status(&mut self, who: usize, account: usize, status: Status) -> Outcome {
        if let Err(outcome) = self.on_account(who, account, Kind::SensitiveAct) {
            return outcome;
        }
        let changed = &mut self.accounts[account];
        if changed.status == status {
            return Outcome::Done;
        }
        changed.status = status;
        if status != Status::Active {
            changed.end_former();
            changed.tokens.clear();
        }
        let action = match status {
            Status::Active => Action::TechnicalUserReactivated,
            Status::Suspended => Action::TechnicalUserSuspended,
            Status::Deleted => Action::TechnicalUserDeleted,
        };
        self.remember_of(action, account);
        Outcome::Done
    }

    pub fn restrict(&mut self, who: usize, account: usize, networks: Networks) -> Outcome {
        if let Err(outcome) = self.on_account(who, account, Kind::SensitiveAct) {
            return outcome;
        }
        let restricted = &mut self.accounts[account];
        if restricted.networks == networks {
            return Outcome::Done;
        }
        restricted.networks = networks;
        restricted.restrictions += 1;
        if networks != Networks::Any {
            restricted.tokens.clear();
        }
        self.remember_of(Action::RestrictionsChanged, account);
        self.mails.push(format!("{} restrictions_changed", self.addresses[who]));
        Outcome::Done
    }

    pub fn restrictions_version(&self, account: usize) -> i32 {
        self.accounts[account].restrictions
    }

    /// A call with this version of the password: whether it is served. The first one takes a lock.
    pub fn call(&mut self, account: usize, version: i32) -> bool {
        if !self.opens(account, version) {
            return false;
        }
        let called = &mut self.accounts[account];
        match called.networks {
            Networks::Any | Networks::Ours => true,
            Networks::Others | Networks::Locked => false,
            Networks::Lock => {
                called.networks = Networks::Locked;
                let login = called.login.clone();
                let action = Action::NetworkLocked.label().into();
                self.history.push(Entry { action, subject: login.clone(), actor: login });
                true
            }
        }
    }

    // The structure and its people.

    pub fn designate(&mut self, who: usize, whom: usize) -> Outcome {
        if let Err(outcome) = self.on_structure(who, Kind::SensitiveAct) {
            return outcome;
        }
        if whom == who || self.roles[whom].is_none() || self.invited[whom] {
            return Outcome::Refused;
        }
        if self.offered().is_some_and(|to| to == whom) {
            return Outcome::Done;
        }
        self.offer = Some(Offer { to: whom, until: self.now + 14 * 24 * HOUR });
        self.remember(Action::SuccessionOffered, self.logins[whom].clone(), who);
        self.mails.push(format!("{} succession_offered", self.addresses[whom]));
        self.mails.push(format!("{} succession_offer_made", self.confirmed[who]));
        Outcome::Done
    }

    /// To whom the structure is offered.
    fn offered(&self) -> Option<usize> {
        self.offer.filter(|offer| self.now < offer.until).map(|offer| offer.to)
    }

    pub fn withdraw(&mut self, who: usize) -> Outcome {
        if let Err(outcome) = self.on_structure(who, Kind::Act) {
            return outcome;
        }
        if let Some(to) = self.offered() {
            self.offer = None;
            self.remember(Action::SuccessionWithdrawn, self.logins[to].clone(), who);
        }
        Outcome::Done
    }

    pub fn answer(&mut self, whom: usize, accepts: bool) -> Outcome {
        if let Some(outcome) = self.challenge(whom, if accepts { Kind::SensitiveAct } else { Kind::Act }) {
            return outcome;
        }
        if accepts && whom == self.manager {
            return Outcome::Done;
        }
        if self.offered() != Some(whom) {
            return Outcome::NotFound;
        }
        self.offer = None;
        if accepts {
            self.succeed(whom);
        } else {
            self.remember(Action::SuccessionDeclined, self.logins[whom].clone(), whom);
        }
        Outcome::Done
    }

    fn succeed(&mut self, whom: usize) {
        let former = self.manager;
        self.roles[former] = Some(Role::SecondaryManager);
        self.roles[whom] = Some(Role::PrincipalManager);
        self.manager = whom;
        for account in &mut self.accounts {
            account.envelope = None;
        }
        self.remember(Action::ManagerChanged, self.logins[whom].clone(), whom);
        for told in [whom, former] {
            self.mails.push(format!("{} manager_changed", self.addresses[told]));
        }
    }

    pub fn invite(&mut self, who: usize, whom: usize, role: Role) -> Outcome {
        if let Err(outcome) = self.on_structure(who, Kind::SensitiveAct) {
            return outcome;
        }
        match self.roles[whom] {
            Some(current) if current == role => Outcome::Done,
            Some(_) => Outcome::Refused,
            None => {
                self.roles[whom] = Some(role);
                self.invited[whom] = true;
                self.remember(Action::MemberInvited, self.logins[whom].clone(), who);
                Outcome::Done
            }
        }
    }

    /// « Modifier le rôle », or « Retirer » where there is none.
    pub fn change_role(&mut self, who: usize, whom: usize, role: Option<Role>) -> Outcome {
        if self.challenge(who, Kind::Reading).is_some() {
            return Outcome::SignIn;
        }
        let Some(current) = self.roles[whom] else { return Outcome::NotFound };
        if who != self.manager || whom == self.manager {
            if self.roles[who].is_some() {
                self.remember(Action::ActRefused, String::new(), who);
            }
            return Outcome::NotFound;
        }
        if let Some(outcome) = self.challenge(who, Kind::SensitiveAct) {
            return outcome;
        }
        if role != Some(current) {
            self.roles[whom] = role;
            if role.is_none() {
                self.offer = self.offer.filter(|offer| offer.to != whom);
            }
            let action = if role.is_some() { Action::MembershipChanged } else { Action::MembershipRemoved };
            self.remember(action, self.logins[whom].clone(), who);
        }
        Outcome::Done
    }

    pub fn activate(&mut self, who: usize, active: bool) -> Outcome {
        let kind = if self.active == active { Kind::Act } else { Kind::SensitiveAct };
        if let Err(outcome) = self.on_structure(who, kind) {
            return outcome;
        }
        if self.active != active {
            self.active = active;
            self.remember(Action::StructureEdited, self.identifier.clone(), who);
        }
        Outcome::Done
    }

    pub fn change_address(&mut self, who: usize, address: String) -> Outcome {
        if let Some(outcome) = self.challenge(who, Kind::SensitiveAct) {
            return outcome;
        }
        if self.addresses[who] != address {
            self.addresses[who] = address;
            if who == self.manager {
                self.remember(Action::ContactAddressChanged, self.logins[who].clone(), who);
            }
        }
        Outcome::Done
    }

    // The API.

    /// Whether this version of the account's password lets a call in.
    pub fn opens(&self, account: usize, version: i32) -> bool {
        let account = &self.accounts[account];
        let password = [Some(&account.current), account.former.as_ref()].into_iter().flatten();
        self.active
            && account.status == Status::Active
            && password.into_iter().any(|password| password.version == version && password.until > self.now)
    }

    /// The number of the token that this version of the password obtains.
    pub fn give_token(&mut self, account: usize, version: i32) -> Option<usize> {
        self.call(account, version).then(|| {
            self.tokens_given += 1;
            let (number, until) = (self.tokens_given, self.now + 15 * MINUTE);
            self.accounts[account].tokens.push(Token { number, version, until });
            self.tokens_given
        })
    }

    pub fn token_opens(&self, number: usize) -> bool {
        (0..self.accounts.len()).any(|account| {
            let tokens = &self.accounts[account].tokens;
            matches!(self.accounts[account].networks, Networks::Any | Networks::Ours)
                && tokens
                    .iter()
                    .any(|token| token.number == number && token.until > self.now && self.opens(account, token.version))
        })
    }

    // Pages.

    /// Whether the account's page, or the structure's, opens.
    pub fn look(&mut self, who: usize, account: Option<usize>) -> Outcome {
        let looked = match account {
            Some(account) => self.on_account(who, account, Kind::Reading),
            None => self.on_structure(who, Kind::Reading),
        };
        looked.map_or_else(|outcome| outcome, |()| Outcome::Done)
    }

    pub fn secret(&self, who: usize, account: usize) -> Secret {
        let waits = self.own_envelope(who, account).is_some_and(|envelope| !envelope.opened);
        match self.accounts[account].current.shown {
            true => Secret::Shown,
            false if waits => Secret::Ready,
            false => Secret::NeverShown,
        }
    }

    fn own_envelope(&self, who: usize, account: usize) -> Option<&Envelope> {
        let session = self.sessions[who].as_ref().map(|session| session.number);
        let envelope = self.accounts[account].envelope.as_ref();
        envelope.filter(|envelope| {
            Some(envelope.session) == session && envelope.manager == self.manager && envelope.until > self.now
        })
    }

    pub fn version(&self, account: usize) -> i32 {
        self.accounts[account].current.version
    }

    /// « Connu d’un ancien gestionnaire ».
    pub fn is_known_to_another(&self, account: usize) -> bool {
        let known = |password: &Password| password.shown && password.made_by != self.manager;
        let account = &self.accounts[account];
        known(&account.current)
            || account.former.as_ref().is_some_and(|former| former.until > self.now && known(former))
    }

    pub fn has_former(&self, account: usize) -> bool {
        self.accounts[account].former.as_ref().is_some_and(|former| former.until > self.now)
    }

    pub fn status_label(&self, account: usize) -> &'static str {
        let account = &self.accounts[account];
        match account.status {
            Status::Active if account.current.until <= self.now => "Expiré",
            Status::Active if !self.active => "Structure inactive",
            Status::Active => "Actif",
            Status::Suspended => "Suspendu",
            Status::Deleted => "Supprimé",
        }
    }
}

impl Account {
    /// Ends and returns the former password, with the tokens that it obtained.
    fn end_former(&mut self) -> Option<Password> {
        let former = self.former.take()?;
        self.tokens.retain(|token| token.version != former.version);
        Some(former)
    }
}
