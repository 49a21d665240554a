//! The page of a batch: how far it is, then « Récapitulatif groupé » with the files of its
//! passwords, which are never on the screen.

mod files;
pub mod handover;
mod pages;

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Redirect, Response},
};

use super::sheet;
use crate::{
    db::technical_users::batches::{
        export::{self, Export, Exporter},
        progress::{self, Batch, Outcome},
    },
    web::{
        edge::{
            error::{AppError, page as render, page_with_status},
            state::AppState,
        },
        identity::visitor::Visitor,
        paths,
        shell::notice::NoticeQuery,
    },
    work_queue::QueueKey,
};
use pages::BatchPage;

/// Rows of each outcome that the page lists.
const LISTED: i64 = 100;

/// Shows the batch.
///
/// Three calls of `db`: its state decides which rows are read.
pub async fn page(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<i64>,
    Query(notice): Query<NoticeQuery>,
) -> Result<Response, AppError> {
    let batch = find(&state, &visitor, id).await?;
    render(&batch_page(&state, &visitor, batch, notice).await?)
}

async fn find(state: &AppState, visitor: &Visitor, id: i64) -> Result<Batch, AppError> {
    let found = progress::find(&state.pool, visitor.person.user_id, &visitor.session, id).await?;
    found.ok_or(AppError::NotFound)
}

async fn batch_page(
    state: &AppState,
    visitor: &Visitor,
    batch: Batch,
    notice: NoticeQuery,
) -> Result<BatchPage, AppError> {
    let layout = state.layout(&visitor.person, crate::web::shell::layout::Tab::Activities, notice.notice());
    let (done, refused) = if batch.finished_at.is_some() {
        let done = progress::rows(&state.pool, &batch, Outcome::Done, LISTED).await?;
        (done, progress::rows(&state.pool, &batch, Outcome::Refused, LISTED).await?)
    } else {
        (Vec::new(), Vec::new())
    };
    Ok(BatchPage::new(layout, &batch, done, refused))
}

/// « Exporter les fiches (PDF) ».
pub async fn sheets(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<i64>,
) -> Result<Response, AppError> {
    let Some(opened) = open(&state, &visitor, id).await? else { return gone(&state, &visitor, id).await };
    let (url, key) = (state.settings.public_url.clone(), QueueKey::Person(visitor.person.user_id));
    let pdf = state.work_queue.run(key, move || files::sheets(&url, id, &opened)).await??;
    sheet::download(&format!("lot-{id}"), &pdf)
}

/// « Exporter pour un logiciel (CSV) ».
pub async fn csv(State(state): State<AppState>, visitor: Visitor, Path(id): Path<i64>) -> Result<Response, AppError> {
    let Some(opened) = open(&state, &visitor, id).await? else { return gone(&state, &visitor, id).await };
    files::csv(&state.settings.public_url, id, opened)
}

async fn open(state: &AppState, visitor: &Visitor, batch_id: i64) -> Result<Option<Export>, AppError> {
    Ok(export::open(&state.pool, exporter(visitor, batch_id)).await?)
}

fn exporter(visitor: &Visitor, batch_id: i64) -> Exporter<'_> {
    Exporter { actor: &visitor.actor, manager_id: visitor.person.user_id, session: &visitor.session, batch_id }
}

/// The page again, which says why nothing can be exported.
async fn gone(state: &AppState, visitor: &Visitor, id: i64) -> Result<Response, AppError> {
    let batch = find(state, visitor, id).await?;
    page_with_status(StatusCode::CONFLICT, &batch_page(state, visitor, batch, NoticeQuery::default()).await?)
}

/// « Terminer »: destroys the envelopes of the batch.
///
/// Two calls of `db`: whose batch it is decides the answer.
pub async fn close(State(state): State<AppState>, visitor: Visitor, Path(id): Path<i64>) -> Result<Redirect, AppError> {
    find(&state, &visitor, id).await?;
    export::destroy(&state.pool, exporter(&visitor, id)).await?;
    Ok(Redirect::to(paths::OVERVIEW))
}
