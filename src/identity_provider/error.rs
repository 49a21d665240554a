//! Why the provider vouched for no person.

use thiserror::Error;

/// Why the provider could not be asked, or its answer not be taken. The texts are for the log.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// It does not answer, or says that it cannot serve.
    #[error("the identity provider does not answer: {0}")]
    Away(String),
    /// It answers that the code is no good, or that the portal is not who it says.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// It said something that must not be believed.
    #[error("the identity provider's answer cannot be believed: {0}")]
    Unsound(String),
}

/// An error with its causes, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
