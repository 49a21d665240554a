//! Reads the enums of the domain from the text columns that hold their codes.

use sqlx::{
    Decode, Postgres, Type,
    error::BoxDynError,
    postgres::{PgTypeInfo, PgValueRef},
};

use crate::domain::{role::Role, structure_identifier::IdentifierType, technical_user::TechnicalUserStatus};

/// A code that only a later version of the portal knows reads as the given value, which grants
/// least: two versions run side by side during an upgrade.
macro_rules! read_from_code {
    ($($domain:ty, else $unknown:expr;)+) => {$(
        impl Type<Postgres> for $domain {
            fn type_info() -> PgTypeInfo {
                <str as Type<Postgres>>::type_info()
            }

            fn compatible(info: &PgTypeInfo) -> bool {
                <str as Type<Postgres>>::compatible(info)
            }
        }

        impl<'r> Decode<'r, Postgres> for $domain {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                Ok(Self::parse(<&str as Decode<Postgres>>::decode(value)?).unwrap_or($unknown))
            }
        }
    )+};
}

read_from_code! {
    IdentifierType, else Self::Autre;
    Role, else Self::User;
    TechnicalUserStatus, else Self::Suspended;
}
