//! The page of a batch: how far it is, then « Récapitulatif groupé » with the files of its
//! passwords, which are never on the screen.

mod files;
pub mod handover;
mod pages;

use axum::{
    extract::{FromRequestParts, Path, Query, State},
    http::{StatusCode, request::Parts},
    response::{Redirect, Response},
};

use crate::{
    db::technical_users::{
        batches::{
            export::{self, Export, ExportForm, Exporter},
            progress::{self, Batch, Outcome},
        },
        handovers,
    },
    domain::age::Recipient,
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::{AppState, Downloader},
        },
        identity::{
            fresh_form::{FreshForm, Nothing},
            visitor::Visitor,
        },
        paths,
        portal::export::File,
        shell::{layout::Tab, notice::NoticeQuery},
    },
    work_queue::QueueKey,
};
use pages::{BatchPage, KeyForm, MOST_LINKED};

/// Rows of each outcome that the page lists.
const LISTED: i64 = 100;

/// A batch in the URL, and the visitor who asked for it. Others get 404.
pub struct OwnBatch {
    pub visitor: Visitor,
    pub batch: Batch,
}

impl FromRequestParts<AppState> for OwnBatch {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        let Path(id) = Path::<i64>::from_request_parts(parts, state).await.map_err(|_| AppError::NotFound)?;
        let found = progress::find(&state.pool, visitor.person.user_id, &visitor.session, id).await?;
        Ok(Self { visitor, batch: found.ok_or(AppError::NotFound)? })
    }
}

impl OwnBatch {
    fn exporter(&self) -> Exporter<'_> {
        let Self { visitor, batch } = self;
        let (actor, manager_id) = (&visitor.actor, visitor.person.user_id);
        Exporter { actor, manager_id, session: &visitor.session, batch_id: batch.id }
    }
}

/// Shows the batch.
///
/// Several calls of `db`: the rows of each outcome, and what became of the passwords.
pub async fn page(
    State(state): State<AppState>,
    own: OwnBatch,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    render(&batch_page(&state, &own, notice, KeyForm::default()).await?)
}

async fn batch_page(
    state: &AppState,
    own: &OwnBatch,
    notice: NoticeQuery,
    key: KeyForm,
) -> Result<BatchPage, AppError> {
    let OwnBatch { visitor, batch } = own;
    let layout = state.layout(&visitor.person, Tab::Activities, notice.notice());
    let (pool, manager_id) = (&state.pool, visitor.person.user_id);
    let (done, refused) = if batch.finished_at.is_some() {
        let done = progress::rows(pool, batch, Outcome::Done, LISTED).await?;
        (done, progress::rows(pool, batch, Outcome::Refused, LISTED).await?)
    } else {
        (Vec::new(), Vec::new())
    };
    let page = BatchPage::new(layout, batch, [done, refused], key);
    if batch.finished_at.is_none() || !batch.act.issues_passwords() {
        return Ok(page);
    }
    let made = handovers::of_batch(pool, manager_id, batch.id).await?;
    let unchanged = progress::unchanged(pool, manager_id, batch.id, MOST_LINKED + 1).await?;
    Ok(page.with_handovers(made, &unchanged))
}

/// « Exporter les fiches (PDF) ».
pub async fn sheets(
    State(state): State<AppState>,
    own: OwnBatch,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    file(&state, &own, ExportForm::Sheets, files::sheets).await
}

/// « Exporter pour un logiciel (CSV) ».
pub async fn csv(
    State(state): State<AppState>,
    own: OwnBatch,
    FreshForm(Nothing {}): FreshForm<Nothing>,
) -> Result<Response, AppError> {
    file(&state, &own, ExportForm::File, files::csv).await
}

/// « Exporter le fichier chiffré »: for the public key of an integrator. A key that is none shows
/// the page again and opens nothing.
pub async fn encrypted_csv(
    State(state): State<AppState>,
    own: OwnBatch,
    FreshForm(form): FreshForm<KeyForm>,
) -> Result<Response, AppError> {
    let Some(recipient) = Recipient::parse(&form.key) else {
        let key = form.refused();
        let page = batch_page(&state, &own, NoticeQuery::default(), key).await?;
        return page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let encrypt = move |url: &str, id, opened: &Export| files::encrypted_csv(url, id, opened, recipient);
    file(&state, &own, ExportForm::EncryptedFile(recipient), encrypt).await
}

/// Opens the passwords and has a file made of them, for one of the person's few downloads at a
/// time. The page says so where nothing can be opened.
async fn file(
    state: &AppState,
    own: &OwnBatch,
    form: ExportForm,
    make: impl FnOnce(&str, i64, &Export) -> Result<File, AppError> + Send + 'static,
) -> Result<Response, AppError> {
    let share = state.exports.take(Downloader::Person(own.visitor.person.user_id), 1)?;
    let opened = export::open(&state.pool, own.exporter(), form).await?;
    let Some(opened) = opened else { return gone(state, own).await };
    let (url, id) = (state.settings.public_url.clone(), own.batch.id);
    let (key, queue) = (QueueKey::Person(own.visitor.person.user_id), state.drawing_queue(opened.accounts.len()));
    let file = queue.run(key, move || make(&url, id, &opened)).await??;
    Ok(file.held_with(share))
}

/// The page, which says why nothing can be exported.
async fn gone(state: &AppState, own: &OwnBatch) -> Result<Response, AppError> {
    page_with_status(StatusCode::CONFLICT, &batch_page(state, own, NoticeQuery::default(), KeyForm::default()).await?)
}

/// « Terminer »: destroys the envelopes of the batch.
pub async fn close(State(state): State<AppState>, own: OwnBatch) -> Result<Redirect, AppError> {
    export::destroy(&state.pool, own.exporter()).await?;
    Ok(Redirect::to(paths::OVERVIEW))
}
