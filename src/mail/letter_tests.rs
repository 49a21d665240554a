use time::OffsetDateTime;

use super::*;
use crate::domain::{
    batch::BatchAct,
    notification::{
        AccountNotification, BatchNotice, DormancyNotice, ExpiriesNotice, ExpiryNotice, HandoverNotice, Joining,
        OperatorNotice, RefusedNetworkNotice, RestrictionsNotice, SecondFactorChange,
    },
    territory::Territory,
};

const PORTAL: &str = "https://raccord.example";

fn portal() -> Portal {
    Portal { url: PORTAL.into(), only_provider: None }
}

/// One whose people sign in with a provider only.
fn portal_without_passwords() -> Portal {
    Portal { only_provider: Some("Agents".into()), ..portal() }
}

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
        territory: None,
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
        territory: None,
    })
}

fn guest() -> Guest {
    Guest {
        name: "Claire Fontaine".into(),
        login: "claire".into(),
        token: "s3cret-token".into(),
        lifetime: Duration::from_hours(1),
    }
}

fn invitation() -> Notification {
    let joins = Joining {
        structure: "Ville de Paris".into(),
        identifier: "21750001600019".into(),
        role: "Utilisateur".into(),
        inviter: "Claire Fontaine".into(),
    };
    Notification::Invitation { user_id: 1, joins: Some(joins) }
}

fn notices() -> Vec<Notification> {
    [notices_about_accounts(), notices_about_people()].concat()
}

fn notices_about_accounts() -> Vec<Notification> {
    vec![
        Notification::TechnicalUserCreated(account()),
        Notification::PasswordReset(account()),
        Notification::PasswordReset(AccountNotification { former_until: Some(account().at), ..account() }),
        Notification::RestrictionsChanged(RestrictionsNotice {
            technical_user_id: 42,
            login: account().login,
            label: account().label,
            structure: account().structure,
            identifier: account().identifier,
            actor: account().actor,
            at: account().at,
            changes: vec!["Réseaux autorisés\u{a0}: toute adresse → 192.0.2.0/24".into()],
        }),
        Notification::CallsOutsideNetworks(RefusedNetworkNotice {
            technical_user_id: 42,
            login: account().login,
            label: account().label,
            structure: account().structure,
            identifier: account().identifier,
            calls: vec!["3 appels\u{a0}: adresse hors des réseaux autorisés, depuis 203.0.113.7".into()],
            at: account().at,
        }),
        by_operator(OperatorAct::Suspended, "Motif", "Ville de Paris"),
        by_operator(OperatorAct::Reactivated, "Motif", "Ville de Paris"),
        by_operator(OperatorAct::Expired, "Motif", "Ville de Paris"),
        Notification::AccountsDormant(dormant("ERP", 0)),
        Notification::AccountsDormant(dormant("ERP", 3)),
        Notification::DormantAccountsSuspended(dormant("ERP", 0)),
        Notification::DormantAccountsSuspended(dormant("ERP", 3)),
        handover(LinkEvent::Opened, 0),
        handover(LinkEvent::Opened, 3),
        handover(LinkEvent::Refused(Refusal::Again), 0),
        handover(LinkEvent::Refused(Refusal::Revoked), 1),
        handover(LinkEvent::Refused(Refusal::Expired), 0),
        handover(LinkEvent::Refused(Refusal::WrongCodes), 0),
    ]
}

fn notices_about_people() -> Vec<Notification> {
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
        former_role: role.map(|_| "Gestionnaire secondaire".into()),
        actor: "claire.fontaine@raccord.example".into(),
    };
    let ended = |others| Notification::MembershipsEnded {
        structures: vec!["Ville de Paris (21750001600019)".into(), "Ville de Lyon (21690123100011)".into()],
        others,
        actor: "claire.fontaine@raccord.example".into(),
    };
    vec![
        expiring(30),
        Notification::PasswordsExpiring(expiries(0)),
        Notification::PasswordsExpiring(expiries(11)),
        finished(BatchAct::Create, 0),
        finished(BatchAct::ResetPassword, 1),
        finished(BatchAct::Suspend, 2),
        finished(BatchAct::Reactivate, 0),
        changed(true),
        changed(false),
        membership(Some("Utilisateur")),
        membership(None),
        ended(0),
        ended(248),
        Notification::SuccessionOffered {
            structure: "Ville de Paris".into(),
            identifier: "21750001600019".into(),
            structure_id: 7,
            manager: "Mathieu Lenoir".into(),
        },
        Notification::SuccessionOfferMade {
            structure: "Ville de Paris".into(),
            identifier: "21750001600019".into(),
            structure_id: 7,
            successor: "Mathieu Lenoir".into(),
        },
        Notification::MembershipRequested {
            structure: "Ville de Paris".into(),
            identifier: "21750001600019".into(),
            person: "Mathieu Lenoir".into(),
            login: "mathieu".into(),
        },
        Notification::MembershipRefused { structure: "Ville de Paris".into(), identifier: "21750001600019".into() },
        Notification::ContactAddressChanged { new_address: "claire@mairie.example".into(), is_way_back: true },
        Notification::ContactAddressChanged { new_address: "claire@mairie.example".into(), is_way_back: false },
        Notification::MemberLeft {
            structure: "Ville de Paris".into(),
            identifier: "21750001600019".into(),
            member: "Mathieu Lenoir".into(),
        },
        Notification::ContactAddressToConfirm { user_id: 1, address: "claire@mairie.example".into(), epoch: 0 },
        Notification::Invitation { user_id: 1, joins: None },
        invitation(),
        Notification::PasswordForgotten { user_id: 1 },
        Notification::PasswordChosen { login: "claire".into(), at: account().at },
        second_factor(SecondFactorChange::Enabled),
        second_factor(SecondFactorChange::Disabled),
        second_factor(SecondFactorChange::Reset),
        second_factor(SecondFactorChange::CodesRenewed),
        Notification::CalendarLinkMade { login: "claire".into(), at: account().at },
        identity(true),
        identity(false),
        Notification::NewSignIn {
            login: "claire".into(),
            address: "192.0.2.7".into(),
            software: "Firefox".into(),
            at: account().at,
        },
        Notification::WrongCodes { login: "claire".into(), address: "192.0.2.7".into(), at: account().at },
        Notification::NoticesLeftOut,
    ]
}

fn dormant(label: &str, others: usize) -> DormancyNotice {
    let accounts = vec![format!("{} ({label})", account().login)];
    DormancyNotice { accounts, others, idle_days: 180, suspends_at: account().at }
}

fn expiries(others: usize) -> ExpiriesNotice {
    let accounts = vec![format!("{} (ERP)", account().login), "TECH_2_21750001600019@cpro.fr".into()];
    ExpiriesNotice { accounts, others, first_at: account().at, territory: None }
}

fn finished(act: BatchAct, refused: u64) -> Notification {
    let (done, actor) = (12, "claire.fontaine@raccord.example".into());
    let exportable_until = act.issues_passwords().then(|| account().expires_at);
    let (at, batch_id) = (account().at, Some(7));
    Notification::BatchFinished(BatchNotice { act, done, refused, actor, at, batch_id, exportable_until })
}

#[test]
fn the_mail_about_a_batch_leads_to_its_page_and_says_until_when_it_exports() {
    for act in [BatchAct::Create, BatchAct::ResetPassword] {
        let Letter { text, html, .. } = letter(&finished(act, 0));
        let until = french::moment(account().expires_at);
        let sentence =
            format!("Exportez les mots de passe depuis la session qui les a demandés, avant le {until}\u{a0}:");
        assert!(text.contains(&format!("{sentence}\nhttps://raccord.example/lots/7\n")), "{text}");
        assert!(html.contains(&sentence) && html.contains("href=\"https://raccord.example/lots/7\""), "{html}");
        assert!(text.contains("Demandé par claire.fontaine@raccord.example, terminé"), "{text}");
    }
    let suspended = letter(&finished(BatchAct::Suspend, 0)).text;
    assert!(suspended.contains("/lots/7\n") && !suspended.contains("Exportez"), "{suspended}");
    // As the version before wrote it.
    let old = r#"{"kind":"batch_finished","act":"create","done":2,"refused":0,"actor":"claire","at":1795512720}"#;
    let text = letter(&serde_json::from_str(old).unwrap()).text;
    assert!(text.contains("https://raccord.example/activites/utilisateurs-techniques\n"), "{text}");
}

#[test]
fn the_mail_about_a_link_speaks_of_one_password_or_of_several() {
    for (others, words) in [(0, "le mot de passe"), (3, "les mots de passe")] {
        for event in [LinkEvent::Opened, LinkEvent::Refused(Refusal::Again), LinkEvent::Refused(Refusal::Expired)] {
            let Letter { text, html, .. } = letter(&handover(event, others));
            for form in [text, html.split_once("<main>").unwrap().1.to_owned()] {
                assert!(form.contains(&format!("réinitialisez {words}")), "{form}");
                assert_eq!(
                    form.contains("l’identifiant de connexion"),
                    others == 0 && event == LinkEvent::Opened,
                    "{form}"
                );
            }
        }
    }
}

fn handover(event: LinkEvent, others: usize) -> Notification {
    Notification::Handover(HandoverNotice {
        technical_user_id: (others == 0).then_some(42),
        accounts: vec![format!("{} (ERP)", account().login)],
        others,
        recipient: "Zoé Petit, www.acme.example".into(),
        made_at: account().at,
        at: account().at,
        address: "192.0.2.7".into(),
        software: "Firefox".into(),
        event,
    })
}

fn by_operator(act: OperatorAct, reason: &str, structure: &str) -> Notification {
    Notification::ChangedByOperator(OperatorNotice {
        technical_user_id: 42,
        login: account().login,
        label: account().label,
        structure: structure.into(),
        identifier: account().identifier,
        at: account().at,
        act,
        reason: Some(reason.into()),
    })
}

fn second_factor(change: SecondFactorChange) -> Notification {
    Notification::SecondFactorChanged { login: "claire".into(), change, at: account().at }
}

fn identity(is_linked: bool) -> Notification {
    Notification::ProviderIdentityChanged {
        login: "claire".into(),
        provider: "ProConnect".into(),
        identity: "claire@mairie.example".into(),
        is_linked,
        at: account().at,
    }
}

fn letter(notice: &Notification) -> Letter {
    render(notice, Some(&guest()), &portal()).unwrap()
}

#[test]
fn every_mail_has_a_subject_a_text_and_an_accessible_page() {
    for notice in notices() {
        let Letter { subject, text, html } = letter(&notice);
        assert!(subject.starts_with("Raccord\u{a0}: ") && !subject.contains('\n'), "{subject}");
        assert!(text.contains("\n\nCe courriel est envoyé"), "{text}");
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
    let with_passwords = notices().into_iter().map(|notice| letter(&notice));
    for Letter { text, html, .. } in with_passwords.chain(letters_without_passwords()) {
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

fn letters_without_passwords() -> impl Iterator<Item = Letter> {
    notices().into_iter().map(|notice| render(&notice, Some(&guest()), &portal_without_passwords()).unwrap())
}

#[test]
fn where_people_sign_in_with_a_provider_only_no_mail_speaks_of_a_password_of_theirs() {
    let of_technical_users = |notice: &Notification| {
        matches!(
            notice,
            Notification::PasswordReset(_)
                | Notification::CallsOutsideNetworks(_)
                | Notification::ChangedByOperator(_)
                | Notification::AccountsDormant(_)
                | Notification::DormantAccountsSuspended(_)
                | Notification::Handover(_)
                | Notification::PasswordExpiring(_)
                | Notification::PasswordsExpiring(_)
                | Notification::BatchFinished(_)
                | Notification::TechnicalUserCreated(_)
                | Notification::ManagerChanged { .. }
        )
    };
    // Not written by such a portal.
    let of_a_choice = |notice: &Notification| matches!(notice, Notification::PasswordChosen { .. });
    let footer = "Un courriel de Raccord ne contient jamais de mot de passe et n’en demande jamais.";
    for (notice, Letter { subject, text, html }) in notices().iter().zip(letters_without_passwords()) {
        if of_technical_users(notice) || of_a_choice(notice) {
            continue;
        }
        for said in [&subject, &text, &html] {
            let said = said.replace(footer, "").split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(!said.to_lowercase().contains("mot de passe"), "{said}");
        }
        assert!(!text.contains("\n\n\n"), "{text}");
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
    let Letter { text, html, .. } = letter(&invitation());
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

/// Notices whose names, labels and designations are `text`.
fn notices_with(text: &str) -> Vec<Notification> {
    let (name, identifier) = (|| text.to_owned(), || "21750001600019".to_owned());
    let account = || AccountNotification { label: Some(name()), structure: name(), ..account() };
    let Notification::PasswordExpiring(expiring) = expiring(7) else { panic!("it expires") };
    let changed = |is_recipient| Notification::ManagerChanged {
        structure: name(),
        identifier: identifier(),
        new_manager: name(),
        is_recipient,
        known_accounts: vec![format!("{} ({text})", account().login)],
    };
    let membership = |role: Option<&str>| Notification::MembershipChanged {
        structure: name(),
        identifier: identifier(),
        role: role.map(ToOwned::to_owned),
        former_role: None,
        actor: "claire".into(),
    };
    vec![
        Notification::TechnicalUserCreated(account()),
        Notification::PasswordReset(account()),
        Notification::PasswordExpiring(ExpiryNotice { label: Some(name()), structure: name(), ..expiring }),
        by_operator(OperatorAct::Suspended, text, text),
        Notification::AccountsDormant(dormant(text, 1)),
        Notification::DormantAccountsSuspended(dormant(text, 1)),
        changed(true),
        changed(false),
        membership(Some("Utilisateur")),
        membership(None),
        Notification::MembershipsEnded { structures: vec![name(), name()], others: 1, actor: "claire".into() },
        Notification::SuccessionOffered {
            structure: name(),
            identifier: identifier(),
            structure_id: 7,
            manager: name(),
        },
        Notification::SuccessionOfferMade {
            structure: name(),
            identifier: identifier(),
            structure_id: 7,
            successor: name(),
        },
        Notification::MembershipRequested {
            structure: name(),
            identifier: identifier(),
            person: name(),
            login: "mathieu".into(),
        },
        Notification::MembershipRefused { structure: name(), identifier: identifier() },
        invitation(),
        Notification::PasswordForgotten { user_id: 1 },
    ]
}

fn letters_with(text: &str) -> impl Iterator<Item = Letter> {
    let guest = Guest { name: text.into(), ..guest() };
    notices_with(text).into_iter().map(move |notice| render(&notice, Some(&guest), &portal()).unwrap())
}

#[test]
fn no_subject_holds_a_text_that_a_stranger_chose() {
    for (plain, foreign) in letters_with("Ville").zip(letters_with("URSSAF : compte bloqué, 09 70 00 00 00")) {
        assert_eq!(plain.subject, foreign.subject);
        assert!(!plain.subject.contains("Ville"), "{}", plain.subject);
    }
}

/// Mail programs make links of what looks like one, in a text and in a page.
#[test]
fn no_mail_makes_a_link_of_a_text_that_a_stranger_chose() {
    let own = ["https://raccord.example", "cpro.fr"];
    for foreign in [
        "URSSAF https://urssaf.evil.example/a",
        "URSSAF (www.evil.example)",
        "evil.example",
        "http://198.51.100.7/a",
        "\\\\evil\\partage",
        "evil\u{3002}example",
        "Compte bloqué\r\n\r\nhttps://evil.example",
        "Compte bloqué\u{2028}https://evil.\u{ad}example",
    ] {
        for Letter { text, html, .. } in letters_with(foreign) {
            for form in [text, html.split_once("<main>").unwrap().1.to_owned()] {
                let form = own.iter().fold(form, |form, own| form.replace(own, ""));
                for link in ["://", "evil.e", "w.e", "evil\u{3002}e", "evil.\u{ad}", "\\\\"] {
                    assert!(!form.contains(link), "{link} {form}");
                }
                assert!(!form.contains("bloqué\n") && !form.contains("bloqué\r"), "{form}");
            }
        }
    }
}

/// A person who signs in with a stolen password controls the `User-Agent` that their client sends.
#[test]
fn the_mail_about_a_sign_in_holds_no_text_of_the_client() {
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

#[test]
fn an_expiry_is_told_by_the_clock_of_the_structure_too_where_it_is_another_day_there() {
    let died = OffsetDateTime::from_unix_timestamp(1_796_896_140).unwrap();
    let account = AccountNotification { expires_at: died, territory: Some(Territory::Polynesie), ..account() };
    let AccountNotification { technical_user_id, login, label, structure, identifier, expires_at, territory, .. } =
        account.clone();
    let reminder =
        ExpiryNotice { technical_user_id, login, label, structure, identifier, expires_at, days_left: 7, territory };
    for notice in [
        Notification::TechnicalUserCreated(account.clone()),
        Notification::PasswordReset(account),
        Notification::PasswordExpiring(reminder),
        Notification::PasswordsExpiring(ExpiriesNotice {
            accounts: vec!["TECH_1_E80208@cpro.fr".into()],
            others: 1,
            first_at: died,
            territory: Some(Territory::Polynesie),
        }),
    ] {
        let letter = render(&notice, None, &portal()).unwrap();
        let there = "soit le 9 décembre 2026 à 23\u{a0}h\u{a0}49 à Tahiti";
        assert!(letter.text.contains(there) && letter.html.contains(there), "{}", letter.text);
    }
}
