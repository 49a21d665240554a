//! The e-mail address that the portal writes to.

use thiserror::Error;

/// Why a text is refused as a contact address.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ContactAddressError {
    #[error("Saisissez une adresse de contact.")]
    Empty,
    #[error("L’adresse de contact doit avoir la forme nom@domaine.fr.")]
    Form,
}

/// « Adresse de contact »: one plain mailbox, `name@domain`, at most 254 characters. Stricter than
/// RFC 5321 on purpose: no quotes, comments or spaces, so that it needs no escaping in a mail
/// header or in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactAddress(String);

impl ContactAddress {
    /// Reads an address as typed: trims it, lowercases its domain, and gives one with accents its
    /// ASCII form (RFC 5891), by which every mail server finds it. Accents before the `@` are
    /// refused: few servers take them.
    ///
    /// # Errors
    /// A [`ContactAddressError`].
    pub fn parse(text: &str) -> Result<Self, ContactAddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ContactAddressError::Empty);
        }
        let (name, domain) = text.rsplit_once('@').ok_or(ContactAddressError::Form)?;
        let domain = in_ascii(domain).ok_or(ContactAddressError::Form)?;
        let address = format!("{name}@{domain}");
        if address.len() <= 254 && is_name(name) && is_domain(&domain) {
            Ok(Self(address))
        } else {
            Err(ContactAddressError::Form)
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn in_ascii(domain: &str) -> Option<String> {
    if domain.is_ascii() { Some(domain.to_ascii_lowercase()) } else { idna::domain_to_ascii_strict(domain).ok() }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte))
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    domain.contains('.') && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_addresses_pass() {
        for text in ["compta@mairie-lyon.fr", " Jean.D+chorus@Exemple.GOUV.fr ", "o'neil@a.fr"] {
            assert!(ContactAddress::parse(text).is_ok(), "{text}");
        }
        assert_eq!(ContactAddress::parse("A.B@C.FR").unwrap().as_str(), "A.B@c.fr");
    }

    #[test]
    fn a_domain_with_accents_has_its_ascii_form() {
        let read = |text| ContactAddress::parse(text).map(|address| address.0);
        assert_eq!(read("a@Mairie-Évian.fr"), Ok("a@xn--mairie-vian-hbb.fr".into()));
        assert_eq!(read("a@mairie-e\u{301}vian.fr"), read("a@mairie-évian.fr"));
        for text in ["a@é", "a@é..fr", "a@-é.fr", "a@é b.fr", "a@é\r\nBcc:x.fr", "a@\u{200b}.fr"] {
            assert_eq!(read(text), Err(ContactAddressError::Form), "{text}");
        }
        assert_eq!(read(&format!("a@{}.fr", "é".repeat(63))), Err(ContactAddressError::Form));
    }

    #[test]
    fn others_read_the_reason() {
        assert_eq!(ContactAddress::parse("  "), Err(ContactAddressError::Empty));
        for text in [
            "a",
            "a@b",
            "@b.fr",
            "a@",
            "a b@c.fr",
            "a@b..fr",
            "a..b@c.fr",
            "a@-b.fr",
            "é@b.fr",
            "a@b.fr\r\nBcc: x@y.fr",
            "<a@b.fr>",
        ] {
            assert_eq!(ContactAddress::parse(text), Err(ContactAddressError::Form), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_plain_mailbox_passes(name in "[a-z0-9+_-]{1,20}([.][a-z0-9]{1,20}){0,2}", domain in "([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?[.]){1,3}[A-Z]{2,10}") {
            let address = ContactAddress::parse(&format!(" {name}@{domain}\t")).unwrap();
            prop_assert_eq!(address.as_str(), format!("{name}@{}", domain.to_lowercase()));
        }

        #[test]
        fn what_passes_is_a_single_safe_line(text in "\\PC{0,60}@\\PC{0,20}\\.fr") {
            if let Ok(address) = ContactAddress::parse(&text) {
                prop_assert!(address.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(address.as_str().matches('@').count(), 1);
                prop_assert_eq!(ContactAddress::parse(address.as_str()), Ok(address));
            }
        }
    }

    #[test]
    fn each_part_may_be_as_long_as_mail_allows_and_no_longer() {
        let passes = |text: String| ContactAddress::parse(&text).is_ok();
        let (name, label) = ("n".repeat(64), "d".repeat(63));
        assert!(passes(format!("{name}@b.fr")) && !passes(format!("n{name}@b.fr")));
        assert!(passes(format!("a@{label}.fr")) && !passes(format!("a@d{label}.fr")));
        let domain = |last: usize| format!("{label}.{label}.{}.fr", "e".repeat(last));
        assert_eq!(format!("{name}@{}", domain(58)).len(), 254);
        assert!(passes(format!("{name}@{}", domain(58))) && !passes(format!("{name}@{}", domain(59))));
        for text in [".a@b.fr", "a.@b.fr", "a@b-.fr", "a@b_c.fr", "a@.fr", "a@b."] {
            assert!(!passes(text.into()), "{text}");
        }
    }
}
