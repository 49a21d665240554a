//! `raccord user list`.

use sqlx::PgPool;

use super::arguments::ListPeople;
use crate::{
    cli::{
        error::{CliError, Outcome},
        output::{Cell, Listed, Rows},
    },
    db::identity::people::{self, PeopleFilter, PersonRow},
};

/// Prints the people.
///
/// # Errors
/// Where the database or standard output cannot be used.
pub async fn run(pool: &PgPool, arguments: &ListPeople) -> Result<Outcome, CliError> {
    let filter =
        PeopleFilter { login: None, search: arguments.search.as_deref(), state: arguments.state.map(Into::into) };
    Rows::of(&people::list(pool, filter).await?).print(arguments.form)?;
    Ok(Outcome::Done)
}

impl Listed<10> for PersonRow {
    const NAMES: [&'static str; 10] = [
        "login",
        "last_name",
        "first_name",
        "state",
        "contact_address",
        "second_factor",
        "manages",
        "memberships",
        "open_sessions",
        "signed_in_at",
    ];

    fn values(&self) -> [Cell; 10] {
        [
            (&self.login).into(),
            (&self.last_name).into(),
            (&self.first_name).into(),
            (&self.state).into(),
            (&self.contact_address).into(),
            self.has_second_factor.into(),
            self.managed.into(),
            self.memberships.into(),
            self.open_sessions.into(),
            self.signed_in_at.into(),
        ]
    }
}
