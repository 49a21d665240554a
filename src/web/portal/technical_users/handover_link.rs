//! The public page of a link by which passwords are handed over. It needs no session: the link, and
//! its code where it has one, are the proof.

use std::collections::HashMap;

use axum::{
    Extension, Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Deserialize;

use super::{
    handover_pages::{HandoverLinkPage, HandoverOpenedPage, HandoverOverPage, ShownAccount},
    program_file::{ProgramLine, program_file},
    sheet::{self as documents, SheetIssue},
    summary::cpro_account,
};
use crate::{
    db::technical_users::{
        handovers::{
            LinkState,
            export::{self, Exported},
            opening::{self, LinkPage, OpenedPassword, Opener, Opening},
        },
        sheet_facts::{self, SheetFacts},
    },
    domain::{
        audit::Actor,
        handover::{Code, CodeError, HandoverKey, LinkSecret},
        random,
    },
    french,
    pdf::GroupName,
    web::{
        edge::{
            context::{RequestContext, software},
            error::{AppError, page as render, page_with_status},
            origin::is_own_submission,
            state::{AppState, Downloader},
        },
        identity::session::Browser,
        portal::export::{CSV, File},
        shell::{form::Errors, values::StructureName},
    },
    work_queue::QueueKey,
};

/// Says who hands what over, and changes nothing: programs that check mails open links, too.
pub async fn page(
    State(state): State<AppState>,
    browser: Browser,
    Path(token): Path<String>,
) -> Result<Response, AppError> {
    let _turn = browser.turn(&state).await?;
    let link = LinkSecret::from_path(token);
    let found = opening::find(&state.strangers_pool, &link).await?;
    show(&state, &link, found, Errors::none(), false)
}

/// The page of a link as it is now. `is_reported`: the request was a POST.
fn show(
    state: &AppState,
    link: &LinkSecret,
    found: Option<LinkPage>,
    errors: Errors,
    is_reported: bool,
) -> Result<Response, AppError> {
    let (layout, token) = (state.anonymous_layout(None), zeroize::Zeroizing::new(link.expose().to_owned()));
    match found {
        Some(found) if found.state == LinkState::Waiting => {
            let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            page_with_status(status, &HandoverLinkPage { layout, token, link: found, errors })
        }
        found => {
            let status = if found.is_some() { StatusCode::GONE } else { StatusCode::NOT_FOUND };
            page_with_status(status, &HandoverOverPage { layout, token, link: found, is_reported })
        }
    }
}

#[derive(Deserialize)]
pub struct OpenForm {
    #[serde(default)]
    code: Option<zeroize::Zeroizing<String>>,
}

/// « Afficher les informations de connexion »: opens the link, once. Only a form of the page itself
/// does; anything else gets the page again.
///
/// Several calls of `db`: what the link needs, and the code's costly hash, come before the opening.
pub async fn open(
    State(state): State<AppState>,
    browser: Browser,
    headers: HeaderMap,
    Path(token): Path<String>,
    Form(form): Form<OpenForm>,
) -> Result<Response, AppError> {
    let _turn = browser.turn(&state).await?;
    let link = LinkSecret::from_path(token);
    let Some(found) = opening::find(&state.strangers_pool, &link).await? else {
        return show(&state, &link, None, Errors::none(), false);
    };
    if !is_own_submission(&headers, &state.settings.public_url) {
        return show(&state, &link, Some(found), Errors::none(), false);
    }
    let (actor, software) = (Actor::link_holder(browser.address.to_string()), software(&headers));
    let opener = Opener { actor: &actor, software: &software, page_nonce: &random::token(&mut random::os_rng()) };
    let key = if found.needs_code {
        match Code::parse(form.code.as_ref().map_or("", |typed| typed.as_str())) {
            Ok(code) => key_of_code(&state, QueueKey::portal(browser.address), &link, code).await?,
            Err(error) => return without_code(&state, opener, &link, found, &error).await,
        }
    } else {
        Some(link.key(None))
    };
    present(&state, opener, &link, key, found.sender).await
}

/// Four words that can be no code cost no try. A link that is over is presented all the same.
async fn without_code(
    state: &AppState,
    opener: Opener<'_>,
    link: &LinkSecret,
    found: LinkPage,
    error: &CodeError,
) -> Result<Response, AppError> {
    if found.state != LinkState::Waiting {
        return present(state, opener, link, None, found.sender).await;
    }
    let message = format!("{error} Cet essai n’a pas été compté.");
    show(state, link, Some(found), Errors::one("code", message), false)
}

/// The key with this code; `None` where no code may be tried any more. The try is counted before.
async fn key_of_code(
    state: &AppState,
    key: QueueKey,
    link: &LinkSecret,
    code: Code,
) -> Result<Option<HandoverKey>, AppError> {
    let Some(salt) = opening::count_try(&state.strangers_pool, link).await? else { return Ok(None) };
    match state.work_queue.compute(key, move |argon2id| code.hash(argon2id, salt)).await {
        Ok(hash) => Ok(Some(link.key(Some(&hash)))),
        Err(busy) => {
            // Otherwise whoever keeps the queue busy would close the link.
            opening::give_try_back(&state.strangers_pool, link).await?;
            Err(busy.into())
        }
    }
}

async fn present(
    state: &AppState,
    opener: Opener<'_>,
    link: &LinkSecret,
    key: Option<HandoverKey>,
    sender: String,
) -> Result<Response, AppError> {
    let pool = &state.strangers_pool;
    match opening::open(pool, opener, link, key.as_ref(), &mut random::os_rng()).await? {
        Opening::Opened { passwords, until } => render(&HandoverOpenedPage {
            layout: state.anonymous_layout(None),
            sender,
            accounts: passwords.into_iter().map(ShownAccount::from).collect(),
            api_url: state.settings.public_url.clone(),
            nonce: opener.page_nonce.to_owned(),
            until,
        }),
        Opening::WrongCode => {
            let found = opening::find(pool, link).await?;
            let left = found.as_ref().map_or(0, |found| found.tries_left);
            let left = if left == 1 { "un essai".to_owned() } else { format!("{left} essais") };
            let message = format!(
                "Ce code n’est pas le bon. Il vous reste {left}\u{a0}: après le dernier, le lien ne s’ouvrira plus."
            );
            show(state, link, found, Errors::one("code", message), false)
        }
        Opening::Over => show(state, link, opening::find(pool, link).await?, Errors::none(), true),
    }
}

impl From<OpenedPassword> for ShownAccount {
    fn from(opened: OpenedPassword) -> Self {
        Self {
            cpro_account: cpro_account(&opened.login, &opened.password),
            id: opened.technical_user_id,
            login: opened.login,
            label: opened.label,
            structure: StructureName {
                id: 0,
                designation: opened.structure,
                kind: opened.identifier_type,
                identifier: opened.identifier,
                active: true,
            },
            expires_at: opened.expires_at,
            there: french::other_day(opened.expires_at, opened.territory),
            former_until: opened.former_until,
            password: opened.password,
        }
    }
}

#[derive(Deserialize)]
pub struct ExportForm {
    nonce: zeroize::Zeroizing<String>,
}

async fn exported(state: &AppState, context: &RequestContext, form: &ExportForm) -> Result<Option<Exported>, AppError> {
    let actor = Actor::link_holder(context.address.to_string());
    Ok(export::open(&state.strangers_pool, &actor, &form.nonce).await?)
}

fn too_late(state: &AppState) -> Result<Response, AppError> {
    let (layout, token) = (state.anonymous_layout(None), zeroize::Zeroizing::default());
    page_with_status(StatusCode::CONFLICT, &HandoverOverPage { layout, token, link: None, is_reported: true })
}

/// « Exporter en PDF », for the page that an opened link shows.
///
/// Several calls of `db`: the passwords, and what else stands in the document.
pub async fn sheet(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    browser: Browser,
    Form(form): Form<ExportForm>,
) -> Result<Response, AppError> {
    let turn = browser.turn(&state).await?;
    let Some(exported) = exported(&state, &context, &form).await? else { return too_late(&state) };
    let share = state.exports.take(Downloader::Handover(exported.handover_id), 1)?;
    let ids: Vec<i64> = exported.passwords.iter().map(|opened| opened.technical_user_id).collect();
    let facts = sheet_facts::find(&state.strangers_pool, exported.manager_id, &ids).await?;
    // The drawing has a queue of its own.
    drop(turn);
    let (key, url) = (QueueKey::portal(context.address), state.settings.public_url.clone());
    let file = state.drawing_queue(ids.len()).run(key, move || draw(&url, &exported, &facts)).await??;
    Ok(file.held_with(share))
}

/// The document of what a link opened.
fn draw(api_url: &str, exported: &Exported, facts: &HashMap<i64, SheetFacts>) -> Result<File, AppError> {
    let accounts: Vec<_> = exported
        .passwords
        .iter()
        .filter_map(|opened| Some((facts.get(&opened.technical_user_id)?, &opened.password)))
        .collect();
    let issue = SheetIssue::new(api_url, exported.at).handed_over();
    match &accounts[..] {
        [] => Err(AppError::NotFound),
        [(facts, password)] => {
            let sheet = documents::single_sheet(&issue, facts, password)?;
            Ok(documents::file(&facts.login, &sheet))
        }
        several => {
            let of_link = several.iter().copied();
            let sheets = documents::group_of_sheets(&issue, GroupName::Handover, of_link)?;
            Ok(documents::file("remise", &sheets))
        }
    }
}

/// « Exporter en CSV », for the same page.
pub async fn csv(
    State(state): State<AppState>,
    Extension(context): Extension<RequestContext>,
    browser: Browser,
    Form(form): Form<ExportForm>,
) -> Result<Response, AppError> {
    let _turn = browser.turn(&state).await?;
    let Some(exported) = exported(&state, &context, &form).await? else { return too_late(&state) };
    let share = state.exports.take(Downloader::Handover(exported.handover_id), 1)?;
    let accounts = exported.passwords.iter().map(|opened| ProgramLine {
        identifier_type: &opened.identifier_type,
        identifier: &opened.identifier,
        structure: &opened.structure,
        label: opened.label.as_deref(),
        login: &opened.login,
        password: &opened.password,
        expires_at: opened.expires_at,
    });
    let csv = program_file(&state.settings.public_url, accounts)?;
    let file = File { name: "informations-de-connexion.csv".into(), media_type: CSV, content: csv };
    Ok(file.held_with(share))
}
