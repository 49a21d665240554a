//! Reads the enums of the domain from the text columns that hold their codes.

use sqlx::{
    Decode, Postgres, Type,
    error::BoxDynError,
    postgres::{PgTypeInfo, PgValueRef},
};

use crate::domain::{role::Role, structure_identifier::IdentifierType, technical_user::TechnicalUserStatus};

/// The tables' checks allow no other code; one of a newer version is an error.
macro_rules! read_from_code {
    ($($domain:ty),+) => {$(
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
                let code = <&str as Decode<Postgres>>::decode(value)?;
                Self::parse(code).ok_or_else(|| "a code that this version does not know".into())
            }
        }
    )+};
}

read_from_code!(IdentifierType, Role, TechnicalUserStatus);
