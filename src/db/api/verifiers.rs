//! The verifiers of technical users' passwords ([`crate::domain::verifier`]).

use sqlx::{PgConnection, PgPool};

use crate::domain::{password::PasswordHash, verifier::Verifier};

/// Writes the verifier of a new password, in the transaction that writes its hash, and deletes
/// those of the account's passwords that no longer work.
///
/// # Errors
/// Database errors; the caller must then roll back.
pub async fn put(
    conn: &mut PgConnection,
    technical_user_id: i64,
    credential_version: i32,
    verifier: &Verifier,
) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM password_verifiers v WHERE v.technical_user_id = $1
            AND NOT EXISTS (SELECT FROM former_passwords f
                             WHERE f.technical_user_id = $1 AND f.credential_version = v.credential_version)",
        technical_user_id,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO password_verifiers (technical_user_id, credential_version, key_id, verifier) VALUES ($1, $2, $3, $4)",
        technical_user_id,
        credential_version,
        verifier.key_id,
        verifier.digest,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A password without a verifier under a key of the key file.
#[derive(Clone, Debug)]
pub struct UnverifiedPassword {
    pub technical_user_id: i64,
    /// The version of the account's password.
    pub credential_version: i32,
    pub hash: PasswordHash,
}

/// The passwords of a login that work, may be the presented one by its checksum, and have no
/// verifier under these keys. Mostly none: then the presented password is wrong.
///
/// # Errors
/// Database errors.
pub async fn find_missing(
    pool: &PgPool,
    login: &str,
    checksum: &str,
    key_ids: &[String],
) -> sqlx::Result<Vec<UnverifiedPassword>> {
    let rows = sqlx::query!(
        r#"SELECT t.id, p.credential_version AS "credential_version!", p.password_hash AS "hash!"
             FROM technical_users t CROSS JOIN LATERAL (
                  SELECT t.credential_version, t.password_hash, t.password_checksum, t.expires_at AS ends_at
                   UNION ALL
                  SELECT f.credential_version, f.password_hash, f.password_checksum, f.ends_at
                    FROM former_passwords f WHERE f.technical_user_id = t.id) p
            WHERE t.login = $1 AND t.status = 'ACTIVE' AND p.ends_at > portal_now()
              AND (p.password_checksum = $2 OR p.password_checksum IS NULL)
              AND NOT EXISTS (SELECT FROM password_verifiers v
                   WHERE v.technical_user_id = t.id AND v.credential_version = p.credential_version AND v.key_id = ANY ($3))
            ORDER BY p.credential_version DESC"#,
        login,
        checksum,
        key_ids,
    )
    .fetch_all(pool)
    .await?;
    let unverified = rows.into_iter().map(|row| UnverifiedPassword {
        technical_user_id: row.id,
        credential_version: row.credential_version,
        hash: PasswordHash::from_stored(row.hash),
    });
    Ok(unverified.collect())
}

/// Writes the verifier of a password that was verified by its hash.
///
/// # Errors
/// Database errors.
pub async fn put_missing(pool: &PgPool, password: &UnverifiedPassword, verifier: &Verifier) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO password_verifiers (technical_user_id, credential_version, key_id, verifier) VALUES ($1, $2, $3, $4)
         ON CONFLICT (technical_user_id, credential_version) DO UPDATE SET key_id = $3, verifier = $4",
        password.technical_user_id,
        password.credential_version,
        verifier.key_id,
        verifier.digest,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Replaces verifiers that were made under later keys of the key file by those under its first key.
/// Each of `presented` is what one call presented: its verifiers under all keys, the first key's
/// first.
///
/// # Errors
/// Database errors.
pub async fn renew(pool: &PgPool, presented: &[Vec<Verifier>]) -> sqlx::Result<()> {
    let pairs = presented.iter().filter_map(|verifiers| verifiers.split_first());
    let pairs: Vec<_> = pairs.flat_map(|(first, later)| later.iter().map(move |old| (old, first))).collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let old: Vec<_> = pairs.iter().map(|(old, _)| old.digest.clone()).collect();
    let new: Vec<_> = pairs.iter().map(|(_, new)| new.digest.clone()).collect();
    let key_ids: Vec<_> = pairs.iter().map(|(_, new)| new.key_id.clone()).collect();
    sqlx::query!(
        "UPDATE password_verifiers v SET key_id = r.key_id, verifier = r.new
           FROM unnest($1::bytea[], $2::bytea[], $3::text[]) r (old, new, key_id) WHERE v.verifier = r.old",
        &old,
        &new,
        &key_ids,
    )
    .execute(pool)
    .await?;
    Ok(())
}
