use time::OffsetDateTime;

use super::*;
use crate::domain::notification::{AccountNotification, ExpiryNotice, SecondFactorChange};

const PORTAL: &str = "https://raccord.example";

fn account() -> AccountNotification {
    AccountNotification {
        technical_user_id: 42,
        login: "TECH_1_21750001600019@cpro.fr".into(),
        label: Some("ERP <b>de la mairie</b>".into()),
        structure: "Ville de Paris".into(),
        identifier: "21750001600019".into(),
        actor: "claire.fontaine@raccord.example".into(),
        at: OffsetDateTime::from_unix_timestamp(1_795_500_000).unwrap(),
        expires_at: OffsetDateTime::from_unix_timestamp(1_832_133_600).unwrap(),
        former_until: None,
    }
}

fn expiring(days_left: i32) -> Notification {
    let AccountNotification { technical_user_id, login, label, structure, identifier, expires_at, .. } = account();
    Notification::PasswordExpiring(ExpiryNotice {
        technical_user_id,
        login,
        label,
        structure,
        identifier,
        expires_at,
        days_left,
    })
}

fn guest() -> Guest {
    Guest { name: "Claire Fontaine".into(), login: "claire".into(), token: "s3cret-token".into(), minutes: 60 }
}

fn notices() -> Vec<Notification> {
    let changed = |is_recipient| Notification::ManagerChanged {
        structure: "Ville de Paris".into(),
        identifier: "21750001600019".into(),
        new_manager: "Mathieu Lenoir".into(),
        is_recipient,
        known_accounts: if is_recipient { vec![account().login] } else { Vec::new() },
    };
    let membership = |role: Option<&str>| Notification::MembershipChanged {
        structure: "Ville de Paris".into(),
        identifier: "21750001600019".into(),
        role: role.map(ToOwned::to_owned),
        actor: "claire.fontaine@raccord.example".into(),
    };
    vec![
        Notification::TechnicalUserCreated(account()),
        Notification::PasswordReset(account()),
        Notification::PasswordReset(AccountNotification { former_until: Some(account().at), ..account() }),
        expiring(30),
        changed(true),
        changed(false),
        membership(Some("Utilisateur")),
        membership(None),
        Notification::MembershipRequested {
            structure: "Ville de Paris".into(),
            identifier: "21750001600019".into(),
            person: "Mathieu Lenoir".into(),
            login: "mathieu".into(),
        },
        Notification::MembershipRefused { structure: "Ville de Paris".into(), identifier: "21750001600019".into() },
        Notification::ContactAddressChanged { new_address: "claire@mairie.example".into() },
        Notification::ContactAddressToConfirm { user_id: 1, address: "claire@mairie.example".into() },
        Notification::Invitation { user_id: 1 },
        Notification::PasswordForgotten { user_id: 1 },
        Notification::PasswordChosen { login: "claire".into(), at: account().at },
        second_factor(SecondFactorChange::Enabled),
        second_factor(SecondFactorChange::Disabled),
        second_factor(SecondFactorChange::Reset),
        second_factor(SecondFactorChange::CodesRenewed),
        Notification::NewSignIn {
            login: "claire".into(),
            address: "192.0.2.7".into(),
            software: "Firefox".into(),
            at: account().at,
        },
    ]
}

fn second_factor(change: SecondFactorChange) -> Notification {
    Notification::SecondFactorChanged { login: "claire".into(), change, at: account().at }
}

fn letter(notice: &Notification) -> Letter {
    render(notice, Some(&guest()), PORTAL).unwrap()
}

#[test]
fn every_mail_has_a_subject_a_text_and_an_accessible_page() {
    for notice in notices() {
        let Letter { subject, text, html } = letter(&notice);
        assert!(subject.starts_with("Raccord\u{a0}: ") && !subject.contains('\n'), "{subject}");
        assert!(text.contains("\n\nCe message est envoyé"), "{text}");
        assert!(text.starts_with("Bonjour,\n\n") && text.contains(PORTAL) && !text.contains("\n\n\n"), "{text}");
        assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"fr\">"));
        assert!(html.contains(&format!("<title>{}</title>", subject.replace('\'', "&#39;"))), "{html}");
        assert!(!html.contains("<table") && !html.contains("<img"));
    }
}

#[test]
fn both_forms_say_the_same() {
    let words = |text: &str| {
        let mut words: Vec<String> = Vec::new();
        let mut plain = text.to_owned();
        while let (Some(open), Some(close)) = (plain.find('<'), plain.find('>')) {
            plain.replace_range(open..=close, " ");
        }
        words.extend(plain.split_whitespace().map(ToOwned::to_owned));
        words
    };
    for notice in notices() {
        let Letter { text, html, .. } = letter(&notice);
        let html = words(&html.split_once("<main>").unwrap().1.replace("&#60;", "‹").replace("&#62;", "›"));
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.contains("http") && !paragraph.contains('<'))
        {
            for word in paragraph.split_whitespace().filter(|word| *word != ":") {
                assert!(
                    html.iter().any(|other| other.trim_matches('.') == word.trim_matches('.')),
                    "{word}\n{paragraph}"
                );
            }
        }
    }
}

#[test]
fn facts_stand_in_the_mail_about_an_account() {
    let Letter { subject, text, html } = letter(&Notification::TechnicalUserCreated(account()));
    assert!(!subject.is_empty() && !subject.contains('\n'), "{subject}");
    assert!(text.contains("https://raccord.example/utilisateurs-techniques/42") && !text.contains("rcd_"), "{text}");
    assert!(html.contains("href=\"https://raccord.example/utilisateurs-techniques/42\""));
    assert!(html.contains("ERP &#60;b&#62;de la mairie"), "{html}");
}

#[test]
fn an_account_without_label_leaves_no_gap() {
    let notice = Notification::PasswordReset(AccountNotification { label: None, ..account() });
    let text = letter(&notice).text;
    assert!(text.contains("cpro.fr\nStructure"), "{text}");
}

#[test]
fn an_invitation_carries_its_link_once_in_each_form() {
    let Letter { text, html, .. } = letter(&Notification::Invitation { user_id: 1 });
    for form in [text, html] {
        assert_eq!(form.matches("https://raccord.example/invitation/s3cret-token").count(), 1, "{form}");
    }
}

#[test]
fn a_name_cannot_add_a_header() {
    let notice = Notification::ManagerChanged {
        structure: "Paris\r\nBcc: x@y.fr".into(),
        identifier: "1".into(),
        new_manager: "x".into(),
        is_recipient: true,
        known_accounts: Vec::new(),
    };
    assert!(!letter(&notice).subject.contains(char::is_control));
}

/// Managers word the name of their structure and attach whom they like; people word their own name.
#[test]
fn no_subject_has_words_of_a_person() {
    let words = "URSSAF : régularisez sur https://urssaf.evil.example/";
    let (structure, identifier) = (words.to_owned(), "21750001600019".to_owned());
    let changed = |is_recipient| Notification::ManagerChanged {
        structure: structure.clone(),
        identifier: identifier.clone(),
        new_manager: words.into(),
        is_recipient,
        known_accounts: Vec::new(),
    };
    let membership = |role: Option<&str>| Notification::MembershipChanged {
        structure: structure.clone(),
        identifier: identifier.clone(),
        role: role.map(ToOwned::to_owned),
        actor: "claire".into(),
    };
    let account = || AccountNotification { label: Some(words.into()), structure: structure.clone(), ..account() };
    for notice in [
        changed(true),
        changed(false),
        membership(Some("Utilisateur")),
        membership(None),
        Notification::MembershipRequested {
            structure: structure.clone(),
            identifier: identifier.clone(),
            person: words.into(),
            login: "mathieu".into(),
        },
        Notification::MembershipRefused { structure: structure.clone(), identifier: identifier.clone() },
        Notification::TechnicalUserCreated(account()),
        Notification::PasswordReset(account()),
    ] {
        let subject = letter(&notice).subject;
        assert!(!subject.contains("URSSAF") && subject.contains(&identifier), "{subject}");
    }
}

/// A person who signs in with a stolen password controls the `User-Agent` that their client sends.
#[test]
fn a_stranger_writes_nothing_into_the_mail_about_her_sign_in() {
    let mail_about = |software: &str| {
        let (login, address, at) = ("claire".into(), "192.0.2.7".into(), account().at);
        letter(&Notification::NewSignIn { login, address, software: software.into(), at })
    };
    let Letter { text, html, .. } = mail_about("Rien à faire : https://ailleurs.example Firefox/1");
    assert!(!text.contains("ailleurs") && !html.contains("ailleurs"), "{text}");
    assert!(text.contains(": inconnu\n") && html.contains(">inconnu<"), "{text}");
    let Letter { text, html, .. } = mail_about("Mozilla/5.0 (X11; Linux x86_64; ailleurs.example) Firefox/1");
    assert!(text.contains("Firefox sur Linux") && !text.contains("ailleurs") && !html.contains("ailleurs"), "{text}");
}

#[test]
fn a_reminder_counts_the_days_as_people_do() {
    for (days, words) in [(60, "expire dans 60 jours"), (1, "expire demain"), (0, "expire aujourd’hui")] {
        let Letter { subject, text, .. } = letter(&expiring(days));
        assert!(subject.contains(words) && text.contains(words), "{subject}\n{text}");
    }
}

#[test]
fn the_account_stands_between_blank_lines() {
    for notice in [Notification::TechnicalUserCreated(account()), Notification::PasswordReset(account()), expiring(7)] {
        let text = letter(&notice).text;
        let (before, rest) = text.split_once("Identifiant de connexion").expect("the account");
        let (_, after) = rest.split_once("Échéance du mot de passe").expect("its end");
        assert!(before.ends_with("\n\n") && after.lines().nth(1) == Some(""), "{text}");
    }
}
