//! Acts that a member tried and may not do: mostly a form that was opened before the manager was
//! replaced. The first of a kind is an event at once, its repetitions within the hour are another.

use sqlx::{PgConnection, PgPool};

use crate::{
    db::transaction,
    domain::audit::{Action, Actor, OTHER_ACTS},
};

/// The kinds of refused acts that a person may put into the history in an hour. Further ones are
/// one kind for each structure.
const MOST_KINDS: i64 = 8;

/// What a refused act was about.
#[derive(Clone, Copy, Debug)]
pub enum RefusedTarget {
    Structure(i64),
    TechnicalUser(i64),
    Membership(i64),
    MembershipRequest(i64),
}

/// Records that a person tried `act`, a route. Nothing is written for people who are not members
/// of the structure.
///
/// # Errors
/// Database errors.
pub async fn record_refusal(pool: &PgPool, actor: &Actor, target: RefusedTarget, act: &str) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    end_hours(&mut tx, actor.user_id).await?;
    count(&mut tx, actor, target, act).await?;
    tx.commit().await
}

/// Counts a refused act, and writes the event where it is the first of its kind.
async fn count(conn: &mut PgConnection, actor: &Actor, target: RefusedTarget, act: &str) -> sqlx::Result<()> {
    let (mut structure_id, mut technical_user_id, mut membership_id, mut request_id) = (None, None, None, None);
    match target {
        RefusedTarget::Structure(id) => structure_id = Some(id),
        RefusedTarget::TechnicalUser(id) => technical_user_id = Some(id),
        RefusedTarget::Membership(id) => membership_id = Some(id),
        RefusedTarget::MembershipRequest(id) => request_id = Some(id),
    }
    sqlx::query!(
        "WITH refused AS (
             SELECT m.user_id, m.structure_id, t.id AS technical_user_id FROM memberships m LEFT JOIN technical_users t ON t.id = $2
              WHERE m.user_id = $1 AND m.structure_id = coalesce($3, t.structure_id,
                        (SELECT structure_id FROM memberships WHERE id = $4),
                        (SELECT s.id FROM membership_requests r JOIN structures s USING (identifier_type, identifier) WHERE r.id = $5))),
         kind AS (
             SELECT r.user_id, r.structure_id, CASE WHEN k.is_another THEN NULL ELSE r.technical_user_id END AS technical_user_id,
                    CASE WHEN k.is_another THEN $8 ELSE $6 END AS act
               FROM refused r CROSS JOIN LATERAL (
                    SELECT count(*) >= $9 AND NOT coalesce(bool_or((a.structure_id, a.act) = (r.structure_id, $6)
                               AND a.technical_user_id IS NOT DISTINCT FROM r.technical_user_id), false) AS is_another
                      FROM refused_acts a WHERE a.user_id = r.user_id) k),
         counted AS (
             INSERT INTO refused_acts AS a (user_id, structure_id, technical_user_id, act, address)
             SELECT user_id, structure_id, technical_user_id, act, $7 FROM kind
                 ON CONFLICT ON CONSTRAINT refused_acts_key DO UPDATE SET repeats = a.repeats + 1, address = excluded.address
             RETURNING a.user_id, a.structure_id, a.technical_user_id, a.act, a.repeats)
         INSERT INTO audit_events (actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT c.user_id, $10, $7, $11, c.structure_id, c.technical_user_id, coalesce(t.login, ''), c.act
           FROM counted c LEFT JOIN technical_users t ON t.id = c.technical_user_id WHERE c.repeats = 0",
        actor.user_id,
        technical_user_id,
        structure_id,
        membership_id,
        request_id,
        act,
        actor.address,
        OTHER_ACTS,
        MOST_KINDS,
        actor.name,
        Action::ActRefused.code(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the hours that are over: of one person, or of all. Repetitions become one event for each
/// kind.
async fn end_hours(conn: &mut PgConnection, user_id: Option<i64>) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH ended AS (
             DELETE FROM refused_acts WHERE first_at <= portal_now() - interval '1 hour' AND user_id = coalesce($1, user_id)
             RETURNING user_id, structure_id, technical_user_id, act, address, repeats, first_at)
         INSERT INTO audit_events (actor_id, actor, address, action, structure_id, technical_user_id, subject, detail)
         SELECT e.user_id, u.login, e.address, $2, e.structure_id, e.technical_user_id, coalesce(t.login, ''),
                CASE e.repeats WHEN 1 THEN $3 ELSE replace($4, '{}', e.repeats::text) END || e.act
           FROM ended e JOIN users u ON u.id = e.user_id LEFT JOIN technical_users t ON t.id = e.technical_user_id
          WHERE e.repeats > 0 ORDER BY e.first_at",
        user_id,
        Action::ActRefused.code(),
        "1 autre tentative\u{a0}: ",
        "{} autres tentatives\u{a0}: ",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the hours that are over.
pub(in crate::db) async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = transaction::begin(pool).await?;
    end_hours(&mut tx, None).await?;
    tx.commit().await
}
