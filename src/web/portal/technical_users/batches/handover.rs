//! « Remettre à un intégrateur », for all passwords of a batch: one link.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{OwnBatch, gone};
use crate::{
    db::technical_users::{
        batches::export,
        handovers::creation::{self, HandoverError},
    },
    domain::{contact_address::ContactAddress, handover::Code, random},
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::{fresh_form::FreshForm, visitor::Visitor},
        paths,
        portal::technical_users::{
            check_token,
            handover::{Checked, HandoverForm, MadeLink},
            handover_pages::{HandoverFields, Letter},
        },
        shell::{
            filters,
            form::Errors,
            layout::{Layout, Tab},
            values::Id,
        },
    },
};

/// The form, while the batch has passwords to hand over; else its page.
pub async fn form(State(state): State<AppState>, own: OwnBatch) -> Result<Response, AppError> {
    let OwnBatch { visitor, batch } = own;
    if batch.exportable == 0 || batch.finished_at.is_none() {
        return Ok(Redirect::to(&paths::batch(batch.id)).into_response());
    }
    render(&FormPage {
        layout: state.layout(&visitor.person, Tab::Activities, None),
        id: batch.id,
        accounts: batch.exportable.unsigned_abs(),
        fields: HandoverFields::default(),
        errors: Errors::none(),
        idempotency_token: random::token(&mut random::os_rng()),
    })
}

/// « Créer le lien »: hands the passwords over and shows the link, once.
///
/// Two calls of `db`: what the session can hand over, and the hand-over, between which a code is
/// hashed. A refusal shows the form or the batch again.
pub async fn create(
    State(state): State<AppState>,
    own: OwnBatch,
    FreshForm(form): FreshForm<HandoverForm>,
) -> Result<Response, AppError> {
    check_token(&form.jeton)?;
    let accounts = export::to_hand_over(&state.pool, own.exporter()).await?;
    if accounts.is_empty() {
        return gone(&state, &own).await;
    }
    let (visitor, id) = (&own.visitor, own.batch.id);
    let checked = match Checked::of(&form.fields) {
        Ok(checked) => checked,
        Err(errors) => {
            let page = FormPage {
                layout: state.layout(&visitor.person, Tab::Activities, None),
                id,
                accounts: accounts.len() as u64,
                fields: form.fields,
                errors,
                idempotency_token: form.jeton,
            };
            return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let with_code = form.fields.code.is_some();
    let link = MadeLink::of_form(&state, visitor.person.user_id, &visitor.session, &form.jeton, with_code).await?;
    let new = checked.handover(visitor, &accounts, &link);
    match creation::create(&state.pool, new, &mut random::os_rng()).await {
        Ok(expires_at) => {
            let made = Made { id, accounts: accounts.len(), checked, link, expires_at };
            render(&made.page(&state, visitor))
        }
        Err(HandoverError::Lapsed | HandoverError::FormUsed) => gone(&state, &own).await,
        Err(HandoverError::TooMany) => Err(AppError::Unprocessable),
        Err(HandoverError::Database(error)) => Err(error.into()),
    }
}

/// A link that was made for a batch.
struct Made {
    id: i64,
    accounts: usize,
    checked: Checked,
    link: MadeLink,
    expires_at: OffsetDateTime,
}

impl Made {
    fn page(self, state: &AppState, visitor: &Visitor) -> MadePage {
        let of = format!("\u{a0}de {} utilisateurs techniques", self.accounts);
        let letter = Letter {
            address: self.checked.address.as_ref().map_or("", ContactAddress::as_str),
            subject: &format!("{} utilisateurs techniques", self.accounts),
            of: &of,
            sender: &format!("{} {}", visitor.person.first_name, visitor.person.last_name),
            expires_at: self.expires_at,
            has_code: self.link.code.is_some(),
        };
        MadePage {
            layout: state.layout(&visitor.person, Tab::Activities, None),
            id: self.id,
            mailto: letter.mailto(),
            recipient: self.checked.recipient.as_str().to_owned(),
            url: self.link.url(&state.settings.public_url),
            code: self.link.code,
            expires_at: self.expires_at,
        }
    }
}

#[derive(Template)]
#[template(path = "technical_users/batch_handover.html")]
struct FormPage {
    layout: Layout,
    id: Id,
    /// How many passwords are handed over.
    accounts: u64,
    fields: HandoverFields,
    errors: Errors,
    idempotency_token: String,
}

/// The link, shown once to the manager.
#[derive(Template)]
#[template(path = "technical_users/batch_handover_made.html")]
struct MadePage {
    layout: Layout,
    id: Id,
    recipient: String,
    url: Zeroizing<String>,
    code: Option<Code>,
    expires_at: OffsetDateTime,
    mailto: String,
}
