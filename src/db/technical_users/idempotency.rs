//! Idempotency tokens: a form that is posted twice acts once.

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

/// The stage of a form that must act once.
#[derive(Clone, Copy, Debug)]
pub enum Once<Open> {
    /// An earlier post of the same form has acted, on the technical user with this id.
    Done(i64),
    /// The form has not acted yet. Only this stage can be completed.
    Open(Open),
}

impl<Open> Once<Open> {
    /// The same with another open stage.
    pub(super) fn map<Other>(self, open: impl FnOnce(Open) -> Other) -> Once<Other> {
        match self {
            Self::Done(id) => Once::Done(id),
            Self::Open(form) => Once::Open(open(form)),
        }
    }
}

/// The token was used before, by a form that asked for something else.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("this form has already been used for {login}")]
pub struct FormReused {
    /// The technical user that the earlier form created or reset.
    pub login: String,
}

/// A posted form.
#[derive(Clone, Debug)]
pub(super) struct Form<'a> {
    pub manager_id: i64,
    /// The idempotency token, unique for each manager.
    pub token: &'a str,
    /// What the form asks for. Two forms with one token are the same if this is equal.
    pub request: String,
}

impl Form<'_> {
    /// Looks for an earlier post of the same form, before anything costly is done.
    ///
    /// # Errors
    /// [`FormReused`], or database errors.
    pub(super) async fn find<E: From<FormReused> + From<sqlx::Error>>(self, pool: &PgPool) -> Result<Once<Self>, E> {
        let mut conn = pool.acquire().await?;
        Ok(match self.find_done(&mut conn).await? {
            Some(done) => Once::Done(done.repeated_by(&self)?),
            None => Once::Open(self),
        })
    }

    /// What an earlier form with this token did, if there was one.
    pub(super) async fn find_done(&self, conn: &mut PgConnection) -> sqlx::Result<Option<DoneForm>> {
        sqlx::query_as!(
            DoneForm,
            "SELECT i.technical_user_id, i.request, t.login
           FROM idempotency_tokens i JOIN technical_users t ON t.id = i.technical_user_id
          WHERE i.user_id = $1 AND i.token = $2",
            self.manager_id,
            self.token,
        )
        .fetch_optional(conn)
        .await
    }

    /// Records that the form has acted on a technical user.
    pub(super) async fn mark_done(&self, conn: &mut PgConnection, technical_user_id: i64) -> sqlx::Result<()> {
        sqlx::query!(
            "INSERT INTO idempotency_tokens (user_id, token, request, technical_user_id) VALUES ($1, $2, $3, $4)",
            self.manager_id,
            self.token,
            self.request,
            technical_user_id,
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// A form that has acted.
#[derive(Debug)]
pub(super) struct DoneForm {
    technical_user_id: i64,
    login: String,
    request: String,
}

impl DoneForm {
    /// The technical user that the form acted on, if `form` is the same form posted again.
    pub(super) fn repeated_by(self, form: &Form<'_>) -> Result<i64, FormReused> {
        if self.request == form.request { Ok(self.technical_user_id) } else { Err(FormReused { login: self.login }) }
    }
}

/// Deletes old tokens. A form posted again after that acts again.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM idempotency_tokens WHERE created_at <= portal_now() - interval '7 days'")
        .execute(pool)
        .await?;
    Ok(())
}
