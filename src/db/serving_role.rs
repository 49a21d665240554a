//! The rights of the serving role, where it is not the schema's owner: it can read and write the
//! tables, but change neither the audit events nor the schema. It adds events, and structures;
//! triggers that act as the owner write the events' chain and the words of structures' names. The
//! database alone numbers rows and dates events.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

/// Tables whose rows are updated but never deleted.
const PERMANENT: [&str; 6] = ["expiry_reminders", "mails", "portal_facts", "structures", "technical_users", "users"];

/// The right that is given by column where the database numbers the rows.
const INSERT: &str = "INSERT";

/// Advisory lock: instances that start together would update the same rows of the catalogue.
const LOCK: i64 = 0x7261_6363_6f72_6402;

/// Grants `role` the rights to serve and revokes all others on the portal's tables. Run by the
/// owner at each start, after the migrations; changes only rights that differ.
///
/// # Errors
/// Database errors: the role does not exist, the tables are not the owner's.
pub async fn grant_serving_rights(owner: &PgPool, role: &str) -> sqlx::Result<()> {
    let role = quoted(role);
    let mut tx = owner.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", LOCK).execute(&mut *tx).await?;
    let relations = sqlx::query!(
        r#"SELECT relname::text AS "name!", relkind = 'v' AS "is_view!",
                  ARRAY(SELECT a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END
                          FROM aclexplode(c.relacl) a WHERE a.grantee = to_regrole($1)::oid ORDER BY 1) AS "rights!",
                  ARRAY(SELECT a.attname || ' ' || x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END
                          FROM pg_attribute a, aclexplode(a.attacl) x
                         WHERE a.attrelid = c.oid AND x.grantee = to_regrole($1)::oid ORDER BY a.attname, 1) AS "column_rights!",
                  EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attidentity = 'a') AS "is_numbered!",
                  ARRAY(SELECT attname::text FROM pg_attribute
                         WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attidentity <> 'a'
                           AND attgenerated = '' AND (relname, attname) <> ('audit_events', 'at') ORDER BY attname) AS "columns!"
             FROM pg_class c
            WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v') ORDER BY relname"#,
        role,
    );
    for relation in relations.fetch_all(&mut *tx).await? {
        let rights: &[&str] = if relation.is_view { &["SELECT"] } else { rights_on(&relation.name) };
        // A row that took the number of a later one would make the act fail that writes that one.
        let by_column: &[String] =
            if relation.is_numbered && rights.contains(&INSERT) { &relation.columns } else { &[] };
        let rights: Vec<_> = rights.iter().copied().filter(|right| by_column.is_empty() || *right != INSERT).collect();
        let column_rights: Vec<_> = by_column.iter().map(|column| format!("{column} {INSERT}")).collect();
        // Each change rewrites the catalogue and makes every session plan its statements again.
        if relation.rights == rights && relation.column_rights == column_rights {
            continue;
        }
        let (name, rights) = (quoted(&relation.name), rights.join(", "));
        run(&mut tx, format!("REVOKE ALL ON {name} FROM {role}")).await?;
        run(&mut tx, format!("GRANT {rights} ON {name} TO {role}")).await?;
        if !by_column.is_empty() {
            let columns: Vec<_> = by_column.iter().map(|column| quoted(column)).collect();
            run(&mut tx, format!("GRANT {INSERT} ({}) ON {name} TO {role}", columns.join(", "))).await?;
        }
    }
    forbid_temporary_tables(&mut tx, &role).await?;
    tx.commit().await
}

/// A temporary table could take the place of one of ours. Only the database's owner can take this
/// right away; where it stays, the pinned `search_path` keeps such a table out of reach.
async fn forbid_temporary_tables(conn: &mut PgConnection, role: &str) -> sqlx::Result<()> {
    let may = sqlx::query!(
        r#"SELECT quote_ident(current_database()) AS "database!",
                  has_database_privilege(to_regrole($1)::oid, current_database(), 'TEMP') AS "temporary!",
                  pg_has_role(datdba, 'USAGE') AS "is_ours!"
             FROM pg_database WHERE datname = current_database()"#,
        role,
    )
    .fetch_one(&mut *conn)
    .await?;
    if may.temporary && may.is_ours {
        run(conn, format!("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC, {role}", may.database)).await?;
    } else if may.temporary {
        tracing::warn!("the serving role may make temporary tables: REVOKE TEMPORARY ON DATABASE … FROM PUBLIC");
    }
    Ok(())
}

/// Whether the cluster has this role.
///
/// # Errors
/// Database errors.
pub async fn exists(pool: &PgPool, role: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS "exists!""#, role)
        .fetch_one(pool)
        .await
}

/// In alphabetical order, as they are read back.
fn rights_on(table: &str) -> &'static [&'static str] {
    match table {
        "_sqlx_migrations" | "audit_chain" | "directory_words" | "structure_words" => &["SELECT"],
        history if history.starts_with("audit_") => &["INSERT", "SELECT"],
        table if PERMANENT.contains(&table) => &["INSERT", "SELECT", "UPDATE"],
        _ => &["DELETE", "INSERT", "SELECT", "UPDATE"],
    }
}

/// Quoted as an identifier: GRANT and REVOKE take no parameters.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn run(conn: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(conn).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_only_added_to() {
        assert_eq!(rights_on("audit_events"), ["INSERT", "SELECT"]);
        assert_eq!(rights_on("audit_chain"), ["SELECT"]);
        assert_eq!(rights_on("technical_users"), ["INSERT", "SELECT", "UPDATE"]);
        assert!(rights_on("sessions").contains(&"DELETE"));
    }

    #[test]
    fn a_name_stays_a_name() {
        assert_eq!(quoted(r#"a"; DROP TABLE users; --"#), r#""a""; DROP TABLE users; --""#);
    }
}
