//! The page on which people ask for a link by mail.

/// Its name, by whether people may sign in with a password. The link leads to choosing one, or
/// else to linking an account of the identity provider.
#[must_use]
pub fn name(takes_passwords: bool) -> &'static str {
    if takes_passwords { "Mot de passe oublié" } else { "Demander un lien" }
}
