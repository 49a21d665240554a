//! The identity provider, where people sign in with one.

use super::finding::Finding;
use crate::{settings::Settings, web::edge::state::open_provider};

const ABOUT: &str = "identity provider";

pub(super) async fn examine(settings: &Settings) -> Option<Finding> {
    let provider = match open_provider(settings) {
        Ok(provider) => provider?,
        Err(error) => {
            let mend = "correct the file; `raccord serve` does not start with it";
            return Some(Finding::wrong(ABOUT, error.to_string(), mend));
        }
    };
    Some(match provider.try_server().await {
        Ok(()) => Finding::good(ABOUT, format!("it answers as {}", provider.settings.issuer)),
        Err(error) => {
            let mend = "compare RACCORD_OIDC_ISSUER with the « issuer » of its /.well-known/openid-configuration, and \
                        let this machine reach it, by RACCORD_OIDC_PROXY where connections leave by a proxy";
            Finding::wrong(ABOUT, error.to_string(), mend)
        }
    })
}
