//! Views of hand-overs: the manager's pages, and the public page of a link.

use askama::Template;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::pages::Account;
use crate::{
    db::technical_users::handovers::{LinkState, opening::LinkPage},
    domain::{
        handover::{Code, Term},
        password::Password,
    },
    french,
    web::shell::{
        filters,
        form::Errors,
        layout::Layout,
        values::{Id, StructureName},
    },
};

/// The fields of « Remettre à un intégrateur », as sent.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct HandoverFields {
    /// Not there where the récapitulatif asks for the form.
    pub destinataire: Option<String>,
    pub adresse: String,
    pub duree: String,
    /// There where a code is wanted.
    pub code: Option<String>,
    /// Of the récapitulatif that displayed the password.
    pub nonce: Option<String>,
}

impl HandoverFields {
    pub fn recipient(&self) -> &str {
        self.destinataire.as_deref().unwrap_or_default()
    }
}

impl Default for HandoverFields {
    fn default() -> Self {
        let duree = Term::default().days().to_string();
        Self { destinataire: None, adresse: String::new(), duree, code: None, nonce: None }
    }
}

/// « Remettre à un intégrateur ».
#[derive(Template)]
#[template(path = "technical_users/handover.html")]
pub struct HandoverFormPage {
    pub layout: Layout,
    pub structure: StructureName,
    pub account: Account,
    pub fields: HandoverFields,
    pub errors: Errors,
    pub idempotency_token: String,
}

/// The link, shown once to the manager.
#[derive(Template)]
#[template(path = "technical_users/handover_made.html")]
pub struct HandoverMadePage {
    pub layout: Layout,
    pub structure: StructureName,
    pub account: Account,
    pub recipient: String,
    pub url: Zeroizing<String>,
    pub code: Option<Code>,
    pub expires_at: OffsetDateTime,
    pub mailto: String,
}

/// The mail that the manager's own program proposes.
///
/// It does not hold the link: mail programs in the browser put what a `mailto:` URL says into the
/// query of their own URL, hence into histories and logs.
pub struct Letter<'a> {
    /// May be empty.
    pub address: &'a str,
    /// Whom the mail's subject names.
    pub subject: &'a str,
    /// What is handed over, after « les informations de connexion à l’API ».
    pub of: &'a str,
    pub sender: &'a str,
    pub expires_at: OffsetDateTime,
    pub has_code: bool,
}

/// All but what RFC 3986 never encodes: some programs show an address as the URL writes it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Letter<'_> {
    /// A `mailto:` URL (RFC 6068).
    pub fn mailto(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let code = if self.has_code {
            "Il vous demandera un code de quatre mots, que je vous donnerai par téléphone.\n\n"
        } else {
            ""
        };
        let body = format!(
            "Bonjour,\n\nCe lien vous donnera les informations de connexion à l’API{}\u{a0}:\n\n\
             (collez ici le lien)\n\n\
             Il ne s’ouvre qu’une seule fois, jusqu’au {}. Ne l’ouvrez qu’au moment de les enregistrer.\n\n{code}\
             S’il a déjà été ouvert quand vous le suivez, appelez-moi aussitôt.\n\n{}\n",
            self.of,
            french::moment(self.expires_at),
            self.sender,
        )
        .replace('\n', "\r\n");
        let subject = format!("Informations de connexion à l’API, {}", self.subject);
        let address = self.address.split('@').map(encoded).collect::<Vec<_>>().join("@");
        format!("mailto:{address}?subject={}&body={}", encoded(&subject), encoded(&body))
    }
}

/// The public page of a link that can be opened.
#[derive(Template)]
#[template(path = "technical_users/handover_link.html")]
pub struct HandoverLinkPage {
    pub layout: Layout,
    pub token: Zeroizing<String>,
    pub link: LinkPage,
    pub errors: Errors,
}

/// Accounts that the page of a link lists.
const LISTED: usize = 20;

impl HandoverLinkPage {
    /// Accounts that the page only counts.
    fn unlisted(&self) -> u64 {
        self.link.accounts.len().saturating_sub(LISTED) as u64
    }
}

/// The public page of a link that opens nothing, or nothing any more.
#[derive(Template)]
#[template(path = "technical_users/handover_over.html")]
pub struct HandoverOverPage {
    pub layout: Layout,
    pub token: Zeroizing<String>,
    /// `None`: there is no such link.
    pub link: Option<LinkPage>,
    /// Whether this request was a POST, about which the manager gets a mail.
    pub is_reported: bool,
}

/// The public page that shows what the link opened.
#[derive(Template)]
#[template(path = "technical_users/handover_opened.html")]
pub struct HandoverOpenedPage {
    pub layout: Layout,
    pub sender: String,
    pub accounts: Vec<ShownAccount>,
    pub api_url: String,
    /// Proves to the exports that they come from this page.
    pub nonce: String,
    /// Until when it can export.
    pub until: OffsetDateTime,
}

/// The most accounts that the page shows without folding each.
const UNFOLDED: usize = 5;

impl HandoverOpenedPage {
    fn count(&self) -> u64 {
        self.accounts.len() as u64
    }

    fn are_folded(&self) -> bool {
        self.accounts.len() > UNFOLDED
    }
}

/// An account with its password.
pub struct ShownAccount {
    pub id: Id,
    pub login: String,
    pub label: Option<String>,
    pub structure: StructureName,
    pub expires_at: OffsetDateTime,
    /// The hour of the expiry where the structure is, if it is another day there.
    pub there: Option<String>,
    /// Until when the password before this one works; `None`: it does not.
    pub former_until: Option<OffsetDateTime>,
    pub password: Password,
    /// base64(login:password), the value of the `cpro-account` header.
    pub cpro_account: String,
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    #[test]
    fn the_proposed_mail_is_one_url_without_the_link_whatever_it_names() {
        let letter = Letter {
            address: "o'neil+a&b%c?d@exemple.fr",
            subject: "Ville & Métropole = ?subject=x\r\nBcc: a@b.fr",
            of: " de «\u{202f}Paie #2\u{202f}»",
            sender: "Zoé Petit",
            expires_at: OffsetDateTime::UNIX_EPOCH,
            has_code: true,
        };
        let url = letter.mailto();
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic()) && url.matches(['?', '&']).count() == 2, "{url}");
        let (address, rest) = url.strip_prefix("mailto:").and_then(|rest| rest.split_once('?')).unwrap();
        assert_eq!(percent_decode_str(address).decode_utf8().unwrap(), letter.address);
        assert!(address.ends_with("@exemple.fr"), "{address}");
        let said = percent_decode_str(rest).decode_utf8().unwrap();
        assert!(
            said.contains("(collez ici le lien)") && said.contains("code de quatre mots") && !said.contains("http")
        );
    }
}
