//! Invariants of every parser for arbitrary bytes: one check each, run by `tests/fuzz` (libFuzzer)
//! and by the tests below. Not compiled into the program.

use std::{
    cell::OnceCell,
    pin::pin,
    str::FromStr,
    task::{Context, Poll, Waker},
};

use axum::{
    Form, Router,
    body::Body,
    extract::{FromRequest, Query},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header},
    response::Response,
};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnectOptions;

use crate::{
    cli::{csv_lines::CsvLines, directory_line, manager_line, table::Table},
    db,
    domain::{
        audit_chain::Head,
        characters::is_invisible,
        contact_address::ContactAddress,
        credential::Credential,
        envelope::{EnvelopeSubject, SealedPassword, SessionSecret},
        new_person::NewPerson,
        notification::Notification,
        password::{self, PasswordHash},
        person::{ChosenPasswordError, TypedPassword, check_chosen_password, normalized_login},
        random::os_rng,
        restrictions::{MOST_NETWORKS, MOST_STRUCTURES, NetworkRule, Networks},
        second_factor::{Keyring, TotpSecret, recovery_digest, six_digits},
        service::{self, Audience, Keep, ServiceName},
        structure::StructureCard,
        structure_identifier::{IdentifierType, StructureIdentifier, in_ascii, in_login},
        technical_user::{Label, is_technical_login},
    },
    settings::Settings,
    web::{
        self,
        api::{
            self,
            oauth::{Form as OauthForm, RESOURCE},
            state::ApiState,
        },
        edge::{self, state::AppState},
        identity, portal, shell,
    },
};

/// Panics where an invariant does not hold.
pub type Check = fn(&[u8]);

/// Every check by its target's name in `tests/fuzz`.
pub const CHECKS: [(&str, Check); 14] = [
    ("names", names),
    ("identifier", identifier),
    ("credential", credential),
    ("password", password),
    ("service", service),
    ("networks", networks),
    ("chosen_password", chosen_password),
    ("second_factor", second_factor),
    ("imports", imports),
    ("forms", forms),
    ("queries", queries),
    ("calls", calls),
    ("requests", requests),
    ("settings", settings),
];

/// Logins, labels, contact addresses, a structure's card: a parsed value is safe, and parses to
/// itself.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let login = normalized_login(&text);
    assert_eq!(is_technical_login(&text), is_technical_login(&login));
    if let Ok(address) = ContactAddress::parse(&text) {
        assert!(address.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(ContactAddress::parse(address.as_str()), Ok(address));
    }
    if let Ok(Some(label)) = Label::parse(&text) {
        assert!(label.as_str().chars().count() <= 100 && !label.as_str().chars().any(char::is_control));
        assert_eq!(Label::parse(label.as_str()), Ok(Some(label)));
    }
    if let Ok(person) = NewPerson::checked(&text, "Martin", &text, "a@b.fr") {
        assert!(person.login() == login && !is_technical_login(&login));
    }
    let mut fields = text.split('\n').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_default();
    let card = StructureCard {
        designation: field(),
        city: field(),
        email: field(),
        phone: field(),
        postal_code: field(),
        ..StructureCard::default()
    };
    if let Ok(card) = card.checked() {
        assert_eq!(card.clone().checked(), Ok(card.clone()));
        if let Ok(typed) = card.checked_as_typed() {
            assert_eq!(typed.clone().checked_as_typed(), Ok(typed));
        }
    }
    if let Ok(head) = Head::from_str(&text) {
        assert_eq!(head.to_string().parse(), Ok(head));
    }
    if let Ok(notice) = serde_json::from_slice::<Notification>(data) {
        let written = serde_json::to_string(&notice).expect("a notice is written");
        assert_eq!(serde_json::from_str::<Notification>(&written).ok(), Some(notice));
    }
}

/// Structure identifiers of every type.
pub fn identifier(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (kind, value) = text.split_once(';').unwrap_or(("1", &text));
    let kind = IdentifierType::parse(kind).unwrap_or(IdentifierType::Siret);
    let (strict, loose) =
        (StructureIdentifier::parse(kind, value, true), StructureIdentifier::parse(kind, value, false));
    assert!(strict.is_err() || strict == loose, "strict takes nothing that the other refuses");
    if let Ok(identifier) = loose {
        let value = identifier.value();
        assert!((1..=80).contains(&value.chars().count()) && !value.chars().any(is_invisible));
        assert!(in_login(value).bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert!(in_ascii(value).bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(kind != IdentifierType::Siret || value.len() == 14 && value.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(StructureIdentifier::parse(kind, value, false).as_ref(), Ok(&identifier));
    }
}

/// Credentials of an API caller: `cpro-account`, Basic, Bearer, the token request's form.
pub fn credential(data: &[u8]) {
    for read in [Credential::from_cpro_account(data), Credential::from_basic(data)].into_iter().flatten() {
        assert!(!read.login.is_empty() && !read.login.chars().any(char::is_control));
        assert_eq!(format!("{:?}", read.password), "TypedPassword(…)");
    }
    let (head, body) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    if let Ok(value) = HeaderValue::from_bytes(head) {
        if let Some(token) = api::authentication::bearer_of(&value) {
            assert!(!token.is_empty() && token.trim_ascii() == token);
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let _ = OauthForm::parse(&headers, body).and_then(|form| form.client(&headers));
        headers.insert(header::AUTHORIZATION, value);
        let _ = OauthForm::parse(&headers, body).and_then(|form| form.client(&headers));
    }
}

/// What an operator types of a service, its secrets within a text, and the form of a question.
pub fn service(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for found in service::find_secrets(&text) {
        assert!(service::is_secret(found) && !password::is_well_formed(found));
    }
    if let Ok(audience) = Audience::from_str(&text) {
        assert!(audience.as_str() == text && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'));
    }
    if let Ok(name) = ServiceName::from_str(&text) {
        assert!(name.as_str() == text && text.len() <= 60);
    }
    if let Ok(keep) = Keep::from_str(&text) {
        assert!((60..=30 * 24 * 3600).contains(&keep.seconds()));
    }
    let _ = api::verification::Question::parse(&text);
    if let Ok(structure) = api::introspection::structure(&text) {
        assert!(structure.value().bytes().all(|byte| byte.is_ascii_graphic()));
    }
    let headers =
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))]);
    if let Ok(form) = OauthForm::parse(&headers, data) {
        assert!(form.all("token").count() <= 1 && form.all(RESOURCE).all(|resource| !resource.is_empty()));
    }
}

/// The networks of an account, and the form of its restrictions: what is read reads back as it is
/// shown and as it is stored, and its first address is in it.
pub fn networks(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Networks::parse(&text) {
        Ok(networks) => {
            let rule = NetworkRule::Listed(networks);
            assert!((1..=MOST_NETWORKS).contains(&rule.networks().len()));
            assert_eq!(NetworkRule::from_stored(rule.code(), &rule.cidrs()).as_ref(), Some(&rule));
            let shown = rule.networks().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            assert_eq!(Networks::parse(&shown).map(NetworkRule::Listed).as_ref(), Ok(&rule));
        }
        Err(error) => assert!(error.to_string().chars().count() < 300),
    }
    let fields = form_urlencoded::parse(data).into_owned().collect();
    let read = portal::technical_users::restrictions_form::RestrictionsForm::read(&fields);
    if let Some(Ok(asked)) = read.map(|(form, _)| form.asked()) {
        assert!(asked.structures.ids().len() <= MOST_STRUCTURES);
    }
}

/// Technical passwords within a text, and stored values from the database.
pub fn password(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for found in password::find_in(&text) {
        assert!(password::is_well_formed(found) && found.len() == password::LENGTH && text.contains(found));
        assert_eq!(password::checksum_part(found).len(), password::CHECKSUM_LENGTH);
    }
    assert!(!password::is_well_formed(&text) || password::find_in(&text).next() == Some(&*text));
    let subject = EnvelopeSubject { technical_user_id: 1, credential_version: 1, manager_id: 1 };
    assert!(SealedPassword::from_stored(data.to_vec()).open(&SessionSecret::new(1), subject).is_none());
    let _ = PasswordHash::from_stored(text.into_owned()).is_outdated();
}

/// A password that a person chooses; the second line is a name that it must not contain.
pub fn chosen_password(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (chosen, known) = text.split_once('\n').unwrap_or((&text, ""));
    let known: String = known.chars().take(60).collect();
    let length = chosen.chars().count();
    let answer = check_chosen_password(&TypedPassword::new(chosen.to_owned()), &[known]);
    assert_eq!(answer == Err(ChosenPasswordError::TooShort), length < 15);
    assert_eq!(answer == Err(ChosenPasswordError::TooLong), length > 128);
}

/// TOTP codes, recovery codes and the file of keys.
pub fn second_factor(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let secret = TotpSecret::generate(&mut os_rng());
    if let Some(digits) = six_digits(&text) {
        assert!(digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    } else {
        assert!(secret.matching_step(&text, 1_800_000_000).is_none() || text.len() == 6);
    }
    assert_eq!(recovery_digest(&text), recovery_digest(&format!(" {}-", text.to_ascii_lowercase())));
    if let Some(keyring) = Keyring::parse(&text) {
        let sealed = keyring.seal(&secret, 7, &mut os_rng());
        assert!(keyring.open(&sealed, 7).is_some() && keyring.open(&sealed, 8).is_none());
    }
}

/// The operator's import files: line numbers increase, errors fit on one line, parsed lines obey
/// the rules.
pub fn imports(data: &[u8]) {
    let mut lines = CsvLines::new(data);
    let (mut before, count) = (0, data.split(|byte| *byte == b'\n').count() as u64);
    while let Some((number, _)) = lines.next_line().expect("memory can be read") {
        assert!(before < number && number <= count);
        before = number;
    }
    let head = "TypeIdentifiant;Identifiant;RaisonSociale;Courriel;CodePays;StructureActive\n";
    let text = [head.as_bytes(), data].concat();
    let mut table = Table::read(text.as_slice(), &directory_line::REQUIRED).expect("the head is sound");
    while let Some((_, row)) = table.next_row().expect("memory can be read") {
        let Ok(row) = row.checked() else { continue };
        match directory_line::parse(row, true) {
            Ok(line) => {
                assert!(!line.entry.designation.is_empty() && !line.entry.identifier.is_empty());
                assert!(line.mended.iter().all(|cell| !cell.to_string().chars().any(char::is_control)));
            }
            Err(error) => assert!(!error.to_string().chars().any(char::is_control)),
        }
    }
    let head = manager_line::REQUIRED.join(";") + "\n";
    let text = [head.as_bytes(), data].concat();
    let mut table = Table::read(text.as_slice(), &manager_line::REQUIRED).expect("the head is sound");
    while let Some((_, row)) = table.next_row().expect("memory can be read") {
        if let Err(error) = manager_line::Line::parse(&row, true) {
            assert!(!error.to_string().chars().any(char::is_control));
        }
    }
    let _ = Table::read(data, &directory_line::REQUIRED);
}

/// Each form of the portal: parsed, or refused with a client error.
pub fn forms(data: &[u8]) {
    fn form<T: DeserializeOwned>(data: &[u8]) {
        let kind = "application/x-www-form-urlencoded";
        let request = Request::post("/").header(header::CONTENT_TYPE, kind).body(Body::from(data.to_vec()));
        if let Err(refused) = ready(Form::<T>::from_request(request.expect("a request"), &())) {
            assert!(refused.status().is_client_error());
        }
    }
    form::<Vec<(String, String)>>(data);
    form::<portal::activities::SearchQuery>(data);
    form::<identity::forgotten_password::NameForm>(data);
    form::<portal::members::InviteForm>(data);
    form::<portal::members::requests::AskForm>(data);
    form::<portal::my_account::ContactAddressForm>(data);
    form::<portal::my_account::PasswordForm>(data);
    form::<identity::invitation::InvitationForm>(data);
    form::<identity::sign_in::SignInForm>(data);
    form::<portal::structures::EditForm>(data);
    form::<portal::structures::succession::MemberForm>(data);
    form::<portal::technical_users::summary::ExportForm>(data);
    form::<portal::technical_users::creation::CreateForm>(data);
    form::<portal::technical_users::ResetForm>(data);
}

/// Query strings of lists, and the redirect target of a form.
pub fn queries(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let destination = edge::redirect_guard::destination(Some(&text));
    assert!(destination.starts_with('/') && !destination.starts_with("//") && !destination.contains('\\'));
    let Ok(uri) = Uri::from_str(&format!("/?{text}")) else { return };
    if let Ok(Query(query)) = Query::<portal::activities::overview::OverviewQuery>::try_from_uri(&uri) {
        let search = query.filter().search;
        assert!(search.chars().count() <= 200 && !search.chars().any(char::is_control));
        assert!(Uri::from_str(&shell::pagination::url_of("/", &query.choices())).is_ok());
    }
    if let Ok(Query(page)) = Query::<shell::pagination::PageQuery>::try_from_uri(&uri) {
        let number = page.number();
        assert!((1..=100_000).contains(&number));
        let pages = shell::pagination::Pagination::new(number, data.len() as u64 * 977, 20, String::new());
        assert!(pages.entries().len() <= 9);
    }
    let _ = Query::<shell::notice::NoticeQuery>::try_from_uri(&uri).map(|Query(notice)| notice.notice());
}

/// JSON of the API's calls: parsed, or refused with a sentence of one line.
pub fn calls(data: &[u8]) {
    fn call<T: DeserializeOwned + Default>(kind: &HeaderValue, body: &[u8]) {
        let request = Request::post("/").header(header::CONTENT_TYPE, kind).body(Body::from(body.to_vec()));
        if let Err(error) = ready(api::body::read::<T>(request.expect("a request"))) {
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{message}");
        }
    }
    let (kind, body) = match data.split_first() {
        Some((b'#', rest)) => rest.split_at(rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())),
        _ => (&b"application/json"[..], data),
    };
    let Ok(kind) = HeaderValue::from_bytes(kind) else { return };
    call::<api::search::SearchRequest>(&kind, body);
    call::<api::structure::ConsultRequest>(&kind, body);
    call::<api::structure::ServicesRequest>(&kind, body);
    call::<api::memberships::MembershipsRequest>(&kind, body);
}

/// A whole request as text (paths, queries, cookies, headers, forms) to the whole router without a
/// database. No response is an internal error or redirects to another site, and every one has the
/// security headers.
pub fn requests(data: &[u8]) {
    let Some(request) = request(data) else { return };
    let answer = answer_without_database(request);
    let status = answer.status();
    assert!(status != 500 && (status.as_u16() < 500 || status == 503), "{status}");
    assert!(answer.headers().contains_key("content-security-policy"));
    let location = answer.headers().get(header::LOCATION).map(|value| value.to_str().expect("a readable address"));
    assert!(location.is_none_or(|to| to.starts_with('/') && !to.starts_with("//")), "{location:?}");
}

/// Parses `METHOD TARGET`, headers, a blank line, the body. Invalid header lines are skipped.
fn request(data: &[u8]) -> Option<Request<Body>> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let (method, target) = first.split_at(first.iter().position(|byte| *byte == b' ')?);
    let mut request = Request::builder()
        .method(Method::from_bytes(method).ok()?)
        .uri(Uri::try_from(&target[1..]).ok()?)
        .header(header::ORIGIN, "http://127.0.0.1:8080");
    let mut read = first.len() + 1;
    for line in lines {
        read += line.len() + 1;
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            request.headers_mut()?.insert(name, value);
        }
    }
    request.body(Body::from(data.get(read..).unwrap_or_default().to_vec())).ok()
}

fn answer_without_database(request: Request<Body>) -> Response {
    thread_local!(static PORTAL: OnceCell<(tokio::runtime::Runtime, Router)> = const { OnceCell::new() });
    PORTAL.with(|portal| {
        let (runtime, router) = portal.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let router = runtime.block_on(async {
                let nowhere = PgConnectOptions::new().socket("/nonexistent");
                let settings = Settings::read(|_| None).expect("the defaults");
                let state = AppState::new(db::pool(nowhere, 1), settings).expect("no theme to read");
                web::router(state.clone(), ApiState::new(state))
            });
            (runtime, router)
        });
        runtime.block_on(TowerToHyperService::new(router.clone()).call(request)).expect("the router is infallible")
    })
}

/// Settings, as lines of `NAME=value`: parsed, or refused with one line that names a setting.
pub fn settings(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let given = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    };
    match Settings::read(given) {
        Ok(settings) => assert!(settings.public_url.starts_with("http")),
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(['\n', '\r', '\u{1b}']), "{message:?}");
            assert!(message.starts_with("RACCORD_") || message.starts_with("DATABASE_URL"), "{message:?}");
        }
    }
}

/// The output of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what is in memory is there"),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use data_encoding::HEXUPPER;
    use proptest::prelude::*;

    use super::*;

    /// libFuzzer's dictionary: one quoted word a line, with the escapes `\xNN`, `\"` and `\\`.
    fn words() -> Vec<Vec<u8>> {
        let dictionary = include_str!("words.dict");
        let lines = dictionary.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
        lines.map(|line| unescaped(line.as_bytes())).collect()
    }

    fn unescaped(line: &[u8]) -> Vec<u8> {
        match line {
            [b'\\', b'x', high, low, rest @ ..] => {
                let byte = HEXUPPER.decode(&[*high, *low]).expect("two hexadecimal digits");
                [byte, unescaped(rest)].concat()
            }
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => [vec![*byte], unescaped(rest)].concat(),
            [] => Vec::new(),
        }
    }

    fn any_data() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => prop::sample::select(words()),
            1 => prop::collection::vec(any::<u8>(), 0..8),
            1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
            1 => "[ -~]{0,12}".prop_map(String::into_bytes),
        ];
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    /// Checks that take milliseconds a run, more than all others together.
    fn is_slow(name: &str) -> bool {
        ["chosen_password", "requests"].contains(&name)
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_parser(data in any_data()) {
            for (_, check) in CHECKS.iter().filter(|(name, _)| !is_slow(name)) {
                check(&data);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_break_the_slow_ones(data in any_data()) {
            for (_, check) in CHECKS.iter().filter(|(name, _)| is_slow(name)) {
                check(&data);
            }
        }
    }

    #[test]
    fn every_check_has_its_target_and_the_other_way_round() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/targets");
        let files = fs::read_dir(folder).expect("the folder of targets").map(|entry| entry.expect("an entry").path());
        let targets: BTreeSet<String> =
            files.map(|file| file.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
        assert_eq!(targets, CHECKS.iter().map(|(name, _)| (*name).to_owned()).collect());
    }

    #[test]
    fn a_request_is_read_as_it_stands() {
        let read = request(b"POST /connexion?a=b\naccept: */*\nno header\n\nidentifiant=x\ny").expect("a request");
        assert_eq!((read.method().as_str(), read.uri().path()), ("POST", "/connexion"));
        assert_eq!(read.headers()["accept"], " */*");
        assert!(request(b"").is_none() && request(b"GET").is_none() && request(b"GET \xff").is_none());
        let found = answer_without_database(request(b"GET /livez\n").expect("a request"));
        assert_eq!(found.status(), 200);
        let technical = b"POST /connexion\ncontent-type:application/x-www-form-urlencoded\n\nidentifiant=TECH_1@cpro.fr&mot-de-passe=x";
        assert_eq!(answer_without_database(request(technical).expect("a request")).status(), 422);
        let person = b"POST /connexion\ncontent-type:application/x-www-form-urlencoded\n\nidentifiant=a&mot-de-passe=x";
        assert_eq!(answer_without_database(request(person).expect("a request")).status(), 503);
    }
}
