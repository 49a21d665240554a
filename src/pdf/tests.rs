use std::{
    io::Write,
    process::{Command, Stdio},
};

use lopdf::{Document, Object};
use proptest::prelude::*;
use time::OffsetDateTime;

use super::{
    ConnectionSheet, GroupName, PdfError, SheetGroup, canvas::PAGE_HEIGHT, font::Face, group, render, render_group,
    sheet_layout,
};
use crate::domain::password::KEEPING;

const PASSWORD: &str = "rac_7Hq9mVxK2tRwZp4NcYb8DfGjS3uEaQ5k";

fn example() -> ConnectionSheet<'static> {
    ConnectionSheet {
        service_name: "Raccord",
        login: "TECH_1_21350001400019@cpro.fr",
        label: Some("Progiciel «\u{202f}Cœur d’Ouest\u{202f}» n°\u{a0}2"),
        password: PASSWORD,
        contact_address: "marie-helene.lefevre@saint-remy.example",
        networks: None,
        structures: None,
        structure_designation: "Commune de Saint-Rémy-lès-Chevreuse",
        structure_identifier: "SIRET 213 500 014 00019",
        structure_address: &["1, rue de la République", "78470 SAINT-RÉMY-LÈS-CHEVREUSE"],
        api_url: "https://raccord.example",
        token_url: "https://raccord.example/api/oauth/token",
        documentation_url: "https://raccord.example/documentation-api",
        expires_on: "22 janvier 2028",
        former_until: None,
        keeping: KEEPING,
        issued_on: "24 novembre 2026 à 10\u{a0}h\u{a0}32",
        issued_at: OffsetDateTime::from_unix_timestamp(1_795_512_720).unwrap(),
    }
}

fn load(sheet: &ConnectionSheet<'_>) -> Document {
    let bytes = render(sheet).unwrap();
    assert!(bytes.len() < 60_000, "{} bytes", bytes.len());
    Document::load_mem(&bytes).unwrap()
}

/// The sheet's lines as poppler extracts them (it converts every kind of space to a plain one);
/// `None` where poppler is not installed.
fn text_lines(sheet: &ConnectionSheet<'_>) -> Option<Vec<String>> {
    let mut command = Command::new("pdftotext");
    command.args(["-layout", "-nopgbrk", "-", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut reader) = command.spawn() else {
        eprintln!("SKIPPED: pdftotext (poppler-utils) is not installed");
        return None;
    };
    reader.stdin.take().unwrap().write_all(&render(sheet).unwrap()).unwrap();
    let text = String::from_utf8(reader.wait_with_output().unwrap().stdout).unwrap();
    let words = |line: &str| line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    Some(text.lines().map(words).filter(|line| !line.is_empty()).collect())
}

#[test]
fn the_text_is_exact_and_in_reading_order() {
    let Some(lines) = text_lines(&example()) else {
        return;
    };
    let expected = [
        "Raccord Document confidentiel",
        "Informations de connexion",
        "Cette fiche concerne un utilisateur technique : le compte par lequel un système d’information externe",
        "se connecte à l’API de la plateforme. Il ne permet pas de se connecter au portail.",
        "Identifiant de connexion",
        "TECH_1_21350001400019@cpro.fr",
        "Mot de passe",
        PASSWORD,
        "Ce mot de passe ne sera jamais réaffiché. Sans espace ; majuscules et minuscules comptent.",
        "Compte",
        "Libellé Progiciel « Cœur d’Ouest » n° 2",
        "Adresse de contact marie-helene.lefevre@saint-remy.example",
        "Échéance du mot de passe 22 janvier 2028",
        "Fiche émise le 24 novembre 2026 à 10 h 32",
        "Structure",
        "Désignation Commune de Saint-Rémy-lès-Chevreuse",
        "Identifiant SIRET 213 500 014 00019",
        "Adresse postale 1, rue de la République",
        "78470 SAINT-RÉMY-LÈS-CHEVREUSE",
        "Se connecter à l’API",
        "Adresse de l’API https://raccord.example",
        "Jeton OAuth 2.0 https://raccord.example/api/oauth/token",
        "par POST : grant_type=client_credentials, l’identifiant comme client_id,",
        "le mot de passe comme client_secret",
        "Ou en-tête HTTP cpro-account: base64(identifiant:mot de passe)",
        "Documentation de l’API https://raccord.example/documentation-api",
        "Conserver et transmettre le mot de passe",
        "• Rangez-le dans un coffre-fort de mots de passe, puis supprimez le document exporté.",
        "• Remettez-le en main propre ou, à distance, par un lien de remise, avec un code dit par téléphone.",
        "• Ne l’envoyez jamais en clair par courriel, et ne l’écrivez pas dans un programme.",
        "• Au premier doute, réinitialisez-le sans garder l’ancien, qui cesse aussitôt de fonctionner.",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_password_shows_groups_and_is_one_text_without_gaps() {
    let canvas = sheet_layout::compose(&example()).unwrap();
    let runs: Vec<_> = canvas.elements.iter().flat_map(|element| &element.runs).collect();
    let run = runs.iter().find(|run| run.text.contains("rac_")).unwrap();
    assert_eq!(run.text.as_str(), PASSWORD, "one run");
    // Behind the second, fourth, sixth and eighth group, where their characters stand.
    let grounds: Vec<_> = canvas.fills.iter().filter(|fill| fill.colour == super::page::GROUP).collect();
    let advance = run.style.face.width(run.style.size, "x");
    let expected = [(4.0, 5.0), (14.0, 5.0), (24.0, 5.0), (34.0, 2.0)];
    assert_eq!(grounds.len(), expected.len());
    for (ground, (first, count)) in grounds.into_iter().zip(expected) {
        let near = |found: f32, wanted: f32| (found - wanted).abs() < 0.1;
        assert!(near(ground.x, run.x + first * advance) && near(ground.width, count * advance));
        assert!(ground.y < run.y && ground.y + ground.height > run.y, "behind the line");
    }
}

#[test]
fn a_value_that_is_missing_leaves_no_row() {
    let Some(lines) = text_lines(&ConnectionSheet { label: None, structure_address: &[], ..example() }) else {
        return;
    };
    assert!(!lines.iter().any(|line| line.starts_with("Libellé") || line.starts_with("Adresse postale")));
}

#[test]
fn characters_without_a_glyph_show_and_invisible_ones_go() {
    let label = Some("Paie 中 🚀 \u{202e}fin\u{0}\u{200b}");
    let Some(lines) = text_lines(&ConnectionSheet { label, ..example() }) else {
        return;
    };
    assert!(lines.contains(&"Libellé Paie \u{fffd} \u{fffd} fin".into()), "{lines:?}");
}

#[test]
fn it_is_one_accessible_page_of_pdf_1_7() {
    let document = load(&example());
    assert_eq!((document.version.as_str(), document.get_pages().len()), ("1.7", 1));
    let catalog = document.catalog().unwrap();
    for key in ["StructTreeRoot", "MarkInfo", "Lang", "ViewerPreferences", "Metadata"] {
        assert!(catalog.has(key.as_bytes()), "{key}");
    }
    let tags: Vec<_> = document.objects.values().filter_map(|object| name_in(object, b"S")).collect();
    let expected = [("H1", 1), ("H2", 4), ("Table", 4), ("TR", 13), ("TH", 13), ("TD", 13), ("LBody", 4), ("P", 4)];
    for (tag, count) in expected {
        assert_eq!(tags.iter().filter(|&found| found == tag).count(), count, "{tag}");
    }
}

fn name_in(object: &Object, key: &[u8]) -> Option<String> {
    let name = object.as_dict().ok()?.get(key).ok()?.as_name().ok()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

#[test]
fn the_same_sheet_gives_the_same_bytes() {
    assert_eq!(*render(&example()).unwrap(), *render(&example()).unwrap());
}

#[test]
fn what_the_file_says_about_itself_does_not_depend_on_the_password() {
    let about = |password| {
        let document = load(&ConnectionSheet { password, ..example() });
        let info = document.trailer.get(b"Info").unwrap().as_reference().unwrap();
        let metadata = document.catalog().unwrap().get(b"Metadata").unwrap().as_reference().unwrap();
        (
            document.trailer.get(b"ID").unwrap().clone(),
            document.get_dictionary(info).unwrap().clone(),
            document.get_object(metadata).unwrap().as_stream().unwrap().content.clone(),
        )
    };
    assert_eq!(about(PASSWORD), about("2.autre-Secret"));
}

#[test]
fn what_the_file_says_about_itself_is_sound_xml_whatever_the_service_is_called() {
    let document = load(&ConnectionSheet { service_name: "R&D <b>{title}]]>", ..example() });
    let metadata = document.catalog().unwrap().get(b"Metadata").unwrap().as_reference().unwrap();
    let content = document.get_object(metadata).unwrap().as_stream().unwrap().content.clone();
    let text = String::from_utf8(content).unwrap();
    assert_eq!(text.matches("R&#38;D &#60;b&#62;{title}]]&#62;").count(), 2, "{text}");
}

#[test]
fn a_login_or_password_that_cannot_be_exact_is_refused() {
    let long = "x".repeat(1000);
    for odd in ["mot\u{0}passe", "🚀", "中", "deux\nlignes", "zéro\u{200b}largeur", &long] {
        let refused = render(&ConnectionSheet { password: odd, ..example() });
        assert!(matches!(refused, Err(PdfError::Inexact)), "{odd:?}");
        let refused = render(&ConnectionSheet { login: odd, ..example() });
        assert!(matches!(refused, Err(PdfError::Inexact)), "{odd:?}");
    }
}

#[test]
fn every_face_has_what_french_needs() {
    for face in [Face::Regular, Face::Bold, Face::Mono] {
        assert!(face.draws_exactly("àâæçéèêëîïôœùûüÿÀÂÆÇÉÈÊËÎÏÔŒÙÛÜŸ’«»…–—•€°\u{a0}\u{202f}\u{fffd}"));
    }
}

/// A sheet with the same text in every free field.
fn filled_with<'a>(text: &'a str, address: &'a [&'a str]) -> ConnectionSheet<'a> {
    ConnectionSheet {
        service_name: text,
        label: Some(text),
        contact_address: text,
        networks: Some(text),
        structures: Some(text),
        structure_designation: text,
        structure_identifier: text,
        structure_address: address,
        api_url: text,
        token_url: text,
        documentation_url: text,
        expires_on: text,
        issued_on: text,
        ..example()
    }
}

#[test]
fn absurd_texts_stay_on_the_page_and_say_that_they_are_cut() {
    for text in ["W".repeat(1000), "mot ".repeat(1000), "W".repeat(250), "שלום ".repeat(300), String::new()] {
        let address = [text.as_str(); 30];
        let sheet = filled_with(&text, &address);
        let canvas = sheet_layout::compose(&sheet).unwrap();
        assert!(canvas.y <= PAGE_HEIGHT - 56.0, "ends at {}", canvas.y);
        assert_eq!(load(&sheet).get_pages().len(), 1);
    }
    let (long, lines) = ("mot ".repeat(1000), text_lines(&filled_with(&"mot ".repeat(1000), &[])));
    assert!(long.len() > 3000 && lines.is_none_or(|lines| lines.concat().contains("mot…")));
}

#[test]
fn a_designation_of_250_characters_is_whole() {
    let designation = "Établissement œuvrant à l’essai ".repeat(8);
    let Some(lines) = text_lines(&ConnectionSheet { structure_designation: &designation, ..example() }) else {
        return;
    };
    assert!(lines.join(" ").contains(designation.trim()));
}

/// As many sheets as a batch may have in tests, each with its own login.
fn group_of(logins: &[String]) -> Vec<ConnectionSheet<'_>> {
    logins.iter().map(|login| ConnectionSheet { login, ..example() }).collect()
}

fn named(sheets: &[ConnectionSheet<'_>]) -> Vec<u8> {
    let (issued_on, issued_at) = (example().issued_on, example().issued_at);
    let name = GroupName::Batch(12);
    render_group(&SheetGroup { service_name: "Raccord", name, issued_on, issued_at, sheets }).unwrap().to_vec()
}

#[test]
fn a_group_has_a_cover_then_one_page_an_account_and_an_outline() {
    let logins: Vec<String> = (1..=80).map(|number| format!("TECH_{number}_21350001400019@cpro.fr")).collect();
    let bytes = named(&group_of(&logins));
    let document = Document::load_mem(&bytes).unwrap();
    assert_eq!(document.get_pages().len(), 3 + 80, "38 accounts on a page of the cover");
    let catalog = document.catalog().unwrap();
    let outline = document.get_dictionary(catalog.get(b"Outlines").unwrap().as_reference().unwrap()).unwrap();
    assert_eq!(outline.get(b"Count").unwrap().as_i64().unwrap(), 3, "the cover, 1 to 50, 51 to 80");
    let last = document.get_dictionary(outline.get(b"Last").unwrap().as_reference().unwrap()).unwrap();
    assert_eq!(last.get(b"Count").unwrap().as_i64().unwrap(), -30);
    let of_page = |page: u32| document.extract_text(&[page]).unwrap_or_default();
    for (number, login) in (0_u32..).zip(&logins) {
        assert!(of_page(4 + number).contains(login.as_str()), "{login}");
        assert!(of_page(1 + number / 38).contains(login.as_str()), "{login} on the cover");
    }
    assert_eq!(bytes, named(&group_of(&logins)), "the same for the same sheets");
}

/// The pages of a cover, element by element.
fn cover_of(name: GroupName, sheets: &[ConnectionSheet<'_>]) -> Vec<Vec<String>> {
    let (issued_on, issued_at) = (example().issued_on, example().issued_at);
    let group = SheetGroup { service_name: "Raccord", name, issued_on, issued_at, sheets };
    let pages = group::compose(&group).unwrap();
    let covers = &pages[..pages.len() - sheets.len()];
    let words = |canvas: &super::canvas::Canvas| {
        assert!(canvas.y <= PAGE_HEIGHT - 56.0, "ends at {}", canvas.y);
        let texts = canvas
            .elements
            .iter()
            .map(|element| element.runs.iter().map(|run| run.text.as_str()).collect::<String>().trim().to_owned());
        texts.filter(|text| !text.is_empty()).collect()
    };
    covers.iter().map(words).collect()
}

#[test]
fn the_cover_says_once_what_all_accounts_share_and_cuts_no_name_short() {
    let long = "Syndicat intercommunal à vocation multiple des eaux et de l’assainissement du Val de Loire";
    let one = ConnectionSheet { label: Some("ERP"), structure_designation: long, ..example() };
    let cover = cover_of(GroupName::Handover, &[one, one]).concat();
    assert!(
        cover.contains(
            &"Remise de 2\u{a0}comptes, émise le 24 novembre 2026 à 10\u{a0}h\u{a0}32. Libellé\u{a0}: ERP.".into()
        ),
        "{cover:?}"
    );
    assert_eq!(cover.iter().filter(|text| *text == long).count(), 2, "{cover:?}");
    assert!(cover.contains(&"Structure".into()) && cover.contains(&one.login.to_owned()));

    let other = ConnectionSheet { label: None, ..one };
    let cover = cover_of(GroupName::Batch(7), &[one, other]).concat();
    assert!(
        cover.iter().any(|text| text.starts_with("Lot n°\u{a0}7, 2\u{a0}comptes, émis le 24 novembre 2026")),
        "{cover:?}"
    );
    assert!(cover.contains(&format!("{long} – ERP")) && cover.contains(&long.to_owned()), "{cover:?}");
}

#[test]
fn rows_of_two_lines_go_on_the_next_page_of_the_cover() {
    let designation = "Établissement œuvrant à l’essai ".repeat(8);
    let sheet = ConnectionSheet { structure_designation: &designation, ..example() };
    let covers = cover_of(GroupName::Batch(7), &vec![sheet; 50]);
    assert!(covers.len() == 3 && covers[1][3].contains("page 2 sur 3 de la liste"), "{:?}", covers[1]);
    assert_eq!(covers.concat().iter().filter(|text| *text == sheet.login).count(), 50);
    // The last account is on the last page of the file.
    assert_eq!(covers[2].last().map(String::as_str), Some("53"));
}

#[test]
fn three_hundred_sheets_stay_below_two_megabytes() {
    let logins: Vec<String> = (1..=300).map(|number| format!("TECH_{number}_21350001400019@cpro.fr")).collect();
    let bytes = named(&group_of(&logins));
    assert!(bytes.len() < 2_000_000, "{}", bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_makes_one_page_or_is_refused(text in "\\PC{0,80}|.{0,300}", login in ".{0,12}") {
        let address = [text.as_str(); 3];
        match render(&ConnectionSheet { login: &login, ..filled_with(&text, &address) }) {
            Ok(bytes) => prop_assert_eq!(Document::load_mem(&bytes).unwrap().get_pages().len(), 1),
            Err(error) => prop_assert!(matches!(error, PdfError::Inexact)),
        }
    }
}
