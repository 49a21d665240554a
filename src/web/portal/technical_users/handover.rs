//! « Remettre à un intégrateur »: makes a link by which another person gets a new password, and
//! revokes it.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    check_token,
    handover_pages::{HandoverFields, HandoverFormPage, HandoverMadePage, Letter},
    pages::Account,
    summary::{not_displayable, summary_page},
};
use crate::{
    db::technical_users::{
        envelopes,
        handovers::{
            creation::{self, HandoverError, NewHandover},
            ending,
        },
    },
    domain::{
        contact_address::ContactAddress,
        envelope::SessionSecret,
        handover::{Code, CodeSalt, HandoverKey, LinkSecret, Recipient, Term},
        random,
    },
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::{authority::ManagedAccount, fresh_form::FreshForm, visitor::Visitor},
        paths,
        shell::{
            form::{Errors, FieldError},
            notice::Notice,
            values::StructureName,
        },
    },
    work_queue::QueueKey,
};

/// The form, while the password waits to be displayed; else the account's page.
pub async fn form(State(state): State<AppState>, managed: ManagedAccount) -> Result<Response, AppError> {
    if !envelopes::is_waiting(&state.pool, &managed.account, &managed.visitor.session).await? {
        return Ok(Redirect::to(&paths::technical_user(managed.account.id())).into_response());
    }
    let token = random::token(&mut random::os_rng());
    render(&form_page(&state, &managed, token, HandoverFields::default(), Errors::none()))
}

fn form_page(
    state: &AppState,
    managed: &ManagedAccount,
    token: String,
    fields: HandoverFields,
    errors: Errors,
) -> HandoverFormPage {
    HandoverFormPage {
        layout: managed.layout(state, None),
        structure: StructureName::from(managed.account.structure()),
        account: Account::from(managed),
        fields,
        errors,
        idempotency_token: token,
    }
}

#[derive(Debug, Deserialize)]
pub struct HandoverForm {
    pub(super) jeton: String,
    #[serde(flatten)]
    pub(super) fields: HandoverFields,
}

/// What was typed, checked.
pub struct Checked {
    pub recipient: Recipient,
    pub address: Option<ContactAddress>,
    pub term: Term,
}

impl Checked {
    pub fn of(fields: &HandoverFields) -> Result<Self, Errors> {
        let mut errors = Vec::new();
        let mut refuse = |field, message: String| errors.push(FieldError { field, message });
        let recipient = Recipient::parse(fields.recipient()).map_err(|error| refuse("destinataire", error.to_string()));
        let address = match fields.adresse.trim() {
            "" => Ok(None),
            typed => ContactAddress::parse(typed).map(Some).map_err(|_| {
                refuse("adresse", "L’adresse électronique doit avoir la forme nom@domaine.fr.".into());
            }),
        };
        let term = Term::parse(&fields.duree)
            .ok_or_else(|| refuse("duree", "Choisissez la durée pendant laquelle le lien pourra être ouvert.".into()));
        match (recipient, address, term) {
            (Ok(recipient), Ok(address), Ok(term)) => Ok(Self { recipient, address, term }),
            _ => Err(Errors(errors)),
        }
    }

    /// The hand-over of these accounts by the visitor, with this link.
    pub fn handover<'a>(&'a self, visitor: &'a Visitor, accounts: &'a [i64], link: &'a MadeLink) -> NewHandover<'a> {
        NewHandover {
            actor: &visitor.actor,
            manager_id: visitor.person.user_id,
            session: &visitor.session,
            accounts,
            nonce_hash: None,
            recipient: &self.recipient,
            address: self.address.as_ref(),
            term: self.term,
            link: &link.secret,
            key: &link.key,
            code_salt: link.code_salt,
        }
    }
}

/// The secrets of a link, as the manager is shown them once.
pub struct MadeLink {
    pub secret: LinkSecret,
    pub key: HandoverKey,
    pub code: Option<Code>,
    pub code_salt: Option<CodeSalt>,
}

impl MadeLink {
    /// Those of the form with this token, in this session. With a code, its hash is computed.
    pub async fn of_form(
        state: &AppState,
        person: i64,
        session: &SessionSecret,
        token: &str,
        with_code: bool,
    ) -> Result<Self, AppError> {
        let secret = LinkSecret::of_form(session, token);
        if !with_code {
            return Ok(Self { key: secret.key(None), secret, code: None, code_salt: None });
        }
        let (code, salt) = (Code::of_form(session, token), random::bytes(&mut random::os_rng()));
        let hashed = code.clone();
        let hash =
            state.work_queue.compute(QueueKey::Person(person), move |argon2id| hashed.hash(argon2id, salt)).await?;
        Ok(Self { key: secret.key(Some(&hash)), secret, code: Some(code), code_salt: Some(salt) })
    }

    pub fn url(&self, public_url: &str) -> Zeroizing<String> {
        Zeroizing::new(format!("{public_url}{}", paths::handover_link(self.secret.expose())))
    }
}

/// « Créer le lien »: hands the password over and shows the link, once. The same form sent again
/// shows the same link, as long as it waits. With a nonce but no recipient, as from the
/// récapitulatif in a browser without scripts, it shows the form.
pub async fn create(
    State(state): State<AppState>,
    managed: ManagedAccount,
    FreshForm(form): FreshForm<HandoverForm>,
) -> Result<Response, AppError> {
    check_token(&form.jeton)?;
    if let (None, Some(nonce)) = (&form.fields.destinataire, &form.fields.nonce) {
        let fields = HandoverFields { nonce: Some(nonce.clone()), ..HandoverFields::default() };
        return render(&form_page(&state, &managed, form.jeton, fields, Errors::none()));
    }
    let checked = match Checked::of(&form.fields) {
        Ok(checked) => checked,
        Err(errors) => {
            let page = form_page(&state, &managed, form.jeton, form.fields, errors);
            return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let (account, visitor) = (&managed.account, &managed.visitor);
    let with_code = form.fields.code.is_some();
    let link = MadeLink::of_form(&state, visitor.person.user_id, &visitor.session, &form.jeton, with_code).await?;
    let nonce_hash = form.fields.nonce.as_ref().map(random::digest);
    let accounts = [account.id()];
    let new = NewHandover { nonce_hash: nonce_hash.as_deref(), ..checked.handover(visitor, &accounts, &link) };
    match creation::create(&state.pool, new, &mut random::os_rng()).await {
        Ok(expires_at) => render(&made_page(&state, &managed, &checked, link, expires_at)),
        Err(HandoverError::Lapsed) => {
            let page = summary_page(&state, &managed, not_displayable(&managed)).await?;
            page_with_status(StatusCode::CONFLICT, &page)
        }
        Err(HandoverError::FormUsed) => Ok(Redirect::to(&paths::technical_user(account.id())).into_response()),
        Err(HandoverError::TooMany) => Err(AppError::Unprocessable),
        Err(HandoverError::Database(error)) => Err(error.into()),
    }
}

fn made_page(
    state: &AppState,
    managed: &ManagedAccount,
    checked: &Checked,
    link: MadeLink,
    expires_at: time::OffsetDateTime,
) -> HandoverMadePage {
    let account = Account::from(managed);
    let label = account.label.as_ref().map_or_else(String::new, |label| format!(" de «\u{202f}{label}\u{202f}»"));
    let letter = Letter {
        address: checked.address.as_ref().map_or("", ContactAddress::as_str),
        subject: &account.structure,
        of: &format!("{label}, pour la structure {}", account.structure),
        sender: &account.manager_name,
        expires_at,
        has_code: link.code.is_some(),
    };
    HandoverMadePage {
        layout: managed.layout(state, None),
        structure: StructureName::from(managed.account.structure()),
        mailto: letter.mailto(),
        recipient: checked.recipient.as_str().to_owned(),
        url: link.url(&state.settings.public_url),
        code: link.code,
        expires_at,
        account,
    }
}

/// « Révoquer le lien », confirmed.
pub async fn revoke(State(state): State<AppState>, managed: ManagedAccount) -> Result<Redirect, AppError> {
    ending::revoke(&state.pool, &managed.visitor.actor, &managed.account).await?;
    Ok(Redirect::to(&Notice::HandoverRevoked.on(&paths::technical_user(managed.account.id()))))
}
