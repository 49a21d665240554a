//! Idempotency tokens: a form that is posted twice acts once.

use sqlx::{PgConnection, PgPool};

/// The account that an earlier post of the same form made or reset: looked at before anything
/// costly is done again.
///
/// # Errors
/// Database errors.
pub async fn find_done(pool: &PgPool, user_id: i64, token: &str) -> sqlx::Result<Option<DoneForm>> {
    let mut conn = pool.acquire().await?;
    done(&mut conn, user_id, token).await
}

/// What a form that has already done its work did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoneForm {
    pub technical_user_id: i64,
    pub login: String,
    /// What was asked for, to tell a repetition from another request.
    pub request: String,
}

pub(super) async fn done(conn: &mut PgConnection, user_id: i64, token: &str) -> sqlx::Result<Option<DoneForm>> {
    sqlx::query_as!(
        DoneForm,
        "SELECT i.technical_user_id, i.request, t.login
           FROM idempotency_tokens i JOIN technical_users t ON t.id = i.technical_user_id
          WHERE i.user_id = $1 AND i.token = $2",
        user_id,
        token,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn mark_done(
    conn: &mut PgConnection,
    user_id: i64,
    form: &Form<'_>,
    technical_user_id: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO idempotency_tokens (user_id, token, request, technical_user_id) VALUES ($1, $2, $3, $4)",
        user_id,
        form.token,
        form.request,
        technical_user_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The form behind an act: its idempotency token, and what it asks for.
#[derive(Clone, Debug)]
pub struct Form<'a> {
    pub token: &'a str,
    pub request: String,
}
