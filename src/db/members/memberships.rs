//! The table `memberships`: which person belongs to which structure, in which role. No other file
//! writes it, demonstration data apart.

use sqlx::{PgConnection, PgExecutor};

use crate::{
    db::structures::ManagedStructure,
    domain::{audit::Actor, role::Role},
};

/// A member of a structure.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, as the list shows it")]
#[derive(Clone, Debug)]
pub struct Member {
    pub membership_id: i64,
    pub user_id: i64,
    pub last_name: String,
    pub first_name: String,
    pub login: String,
    pub contact_address: String,
    pub is_address_confirmed: bool,
    pub role: Role,
    /// Whether the person has chosen a password yet.
    pub active: bool,
    /// What the manager typed who attached this person: all that the manager sees of them until
    /// they sign in the next time.
    pub invited_as: Option<String>,
    /// Whether the person has signed in since they were registered, and since a manager attached
    /// them here.
    pub has_signed_in: bool,
    /// Whether the operator ended the person's access, once they have signed in here.
    pub is_disabled: bool,
}

impl Member {
    /// First name, then last name.
    pub fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    /// Whether the person was invited and has not signed in since: an invitation may be sent again.
    pub fn is_invited(&self) -> bool {
        !self.is_disabled && (self.invited_as.is_some() || !self.active)
    }

    /// Whether the person could accept to be principal manager.
    pub fn can_accept(&self) -> bool {
        self.has_signed_in && !self.is_disabled
    }

    /// The name that the structure's manager sees.
    pub fn shown_name(&self) -> String {
        self.invited_as.clone().unwrap_or_else(|| self.full_name())
    }

    /// The login that the structure's manager sees, or what they typed instead.
    pub fn shown_login(&self) -> &str {
        self.invited_as.as_deref().unwrap_or(&self.login)
    }
}

/// The structure's members, the principal manager first, by the name that the manager sees: the
/// order, too, tells nothing of a person who has not signed in since.
///
/// # Errors
/// Database errors.
pub async fn of_structure(executor: impl PgExecutor<'_>, structure: &ManagedStructure) -> sqlx::Result<Vec<Member>> {
    sqlx::query_as!(
        Member,
        r#"SELECT m.id AS membership_id, u.id AS user_id, u.last_name, u.first_name, u.login, u.contact_address, m.role AS "role: Role",
                  way_in(u.id, u.password_hash) IS NOT NULL AS "active!", u.contact_address_confirmed_at IS NOT NULL AS "is_address_confirmed!", m.invited_as,
                  way_in(u.id, u.password_hash) IS NOT NULL AND NOT u.invited AND m.invited_as IS NULL AS "has_signed_in!",
                  u.disabled_at IS NOT NULL AND m.invited_as IS NULL AS "is_disabled!"
             FROM memberships m JOIN users u ON u.id = m.user_id
            WHERE m.structure_id = $1
            ORDER BY m.role <> 'PRINCIPAL_MANAGER', m.role <> 'SECONDARY_MANAGER', coalesce(m.invited_as, u.last_name),
                  CASE WHEN m.invited_as IS NULL THEN u.first_name END, m.id"#,
        structure.id(),
    )
    .fetch_all(executor)
    .await
}

/// The person's role in the structure; `None` if they are not a member.
///
/// # Errors
/// Database errors.
pub(super) async fn role_of(conn: &mut PgConnection, structure_id: i64, user_id: i64) -> sqlx::Result<Option<Role>> {
    sqlx::query_scalar!(
        r#"SELECT role AS "role: Role" FROM memberships WHERE structure_id = $1 AND user_id = $2"#,
        structure_id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

/// Makes the person a member with this role, whatever their role was. A new member sees who
/// attached them: `actor`.
///
/// # Errors
/// Database errors.
pub(super) async fn set_role(
    conn: &mut PgConnection,
    actor: &Actor,
    structure_id: i64,
    user_id: i64,
    role: Role,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO memberships (user_id, structure_id, role, attached_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT ON CONSTRAINT memberships_user_structure_key DO UPDATE SET role = excluded.role",
        user_id,
        structure_id,
        role.code(),
        actor.name,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Hides a new member behind what the manager typed, until
/// [`accept_all`].
///
/// # Errors
/// Database errors.
pub(super) async fn hide(
    conn: &mut PgConnection,
    structure_id: i64,
    user_id: i64,
    invited_as: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE memberships SET invited_as = $3 WHERE structure_id = $1 AND user_id = $2",
        structure_id,
        user_id,
        invited_as
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Shows a person who signs in to the managers who attached them.
///
/// # Errors
/// Database errors.
pub(in crate::db) async fn accept_all(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<()> {
    sqlx::query!("UPDATE memberships SET invited_as = NULL WHERE user_id = $1 AND invited_as IS NOT NULL", user_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Changes the role of an existing member. Returns the role before; `None` if there is nothing to
/// change: the member has this role, is the principal manager, or has just been removed.
///
/// # Errors
/// Database errors.
pub(super) async fn change_role(conn: &mut PgConnection, membership_id: i64, role: Role) -> sqlx::Result<Option<Role>> {
    sqlx::query_scalar!(
        r#"UPDATE memberships m SET role = $2 FROM (SELECT id, role FROM memberships WHERE id = $1 FOR UPDATE) before
            WHERE m.id = before.id AND m.role <> $2 AND m.role <> 'PRINCIPAL_MANAGER'
           RETURNING before.role AS "role: Role""#,
        membership_id,
        role.code(),
    )
    .fetch_optional(conn)
    .await
}

/// Makes the structure's principal manager, if it has one, a secondary manager.
///
/// # Errors
/// Database errors.
pub(super) async fn demote_principal_manager(conn: &mut PgConnection, structure_id: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE memberships SET role = 'SECONDARY_MANAGER' WHERE structure_id = $1 AND role = 'PRINCIPAL_MANAGER'",
        structure_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A membership that was ended.
pub(super) struct Removed {
    pub structure_id: i64,
    pub role: Role,
}

/// Removes a person from several structures, but for those that they are principal manager of, and
/// those of which the manager sees something else of them. Returns what was ended, by structure.
///
/// # Errors
/// Database errors.
pub(super) async fn remove_from(
    conn: &mut PgConnection,
    user_id: i64,
    invited_as: Option<&str>,
    structures: &[i64],
) -> sqlx::Result<Vec<Removed>> {
    let mut removed = sqlx::query_as!(
        Removed,
        r#"DELETE FROM memberships
            WHERE user_id = $1 AND structure_id = ANY ($2) AND role <> 'PRINCIPAL_MANAGER' AND invited_as IS NOT DISTINCT FROM $3
           RETURNING structure_id, role AS "role: Role""#,
        user_id,
        structures,
        invited_as,
    )
    .fetch_all(conn)
    .await?;
    removed.sort_unstable_by_key(|removed| removed.structure_id);
    Ok(removed)
}

/// Removes a member. False if they are the principal manager or already gone.
///
/// # Errors
/// Database errors.
pub(super) async fn remove(conn: &mut PgConnection, membership_id: i64) -> sqlx::Result<bool> {
    let removed = sqlx::query!("DELETE FROM memberships WHERE id = $1 AND role <> 'PRINCIPAL_MANAGER'", membership_id)
        .execute(conn)
        .await?;
    Ok(removed.rows_affected() > 0)
}
