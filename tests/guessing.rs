//! Guessing: how many guesses are judged, from how many networks, and who is not kept out by them.

use axum::http::StatusCode;

use crate::{
    common::{Answer, Browser, HEALTH, PASSWORD, Person, TestPortal, cpro_account, together},
    identity::{CODE, code, enrol, give_password},
};

const CONFIRM: &str = "/confirmation-identite";
const FORGOTTEN: &str = "/mot-de-passe-oublie";
const NEW: &str = "trois moulins sur la colline";
const WRONG: &str = "pas celui-là, non";

async fn sign_in(browser: &Browser, login: &str, password: &str) -> Answer {
    browser.post("/connexion", &[("identifiant", login), ("mot-de-passe", password)]).await
}

async fn confirm(browser: &Browser, password: &str) -> Answer {
    browser.post(CONFIRM, &[("confirmation-suite", "/mon-compte"), ("confirmation-mot-de-passe", password)]).await
}

/// How many answers have this status; all others must be refusals for now.
fn judged(answers: &[StatusCode], status: u16) -> usize {
    assert!(answers.iter().all(|answer| [status, 429].contains(&answer.as_u16())), "{answers:?}");
    answers.iter().filter(|answer| **answer == status).count()
}

/// Has a neighbour, in the network of the tests' browsers, guess the person's password until they
/// must wait for long.
async fn neighbour_guesses(portal: &TestPortal, person: &Person) {
    portal.execute("UPDATE throttles SET blocked_until = NULL").await;
    for _ in 0..13 {
        sign_in(&portal.browser(), &person.login, WRONG).await;
        portal.execute("UPDATE throttles SET blocked_until = NULL WHERE failures < 13").await;
    }
    let refused = sign_in(&portal.browser(), &person.login, PASSWORD).await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, Some("300")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_passwords_guessed_together_no_more_are_judged_than_one_after_the_other() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let signed_in = portal.signed_in(&sacha).await;
    let at_sign_in = together(64, |_| {
        let (browser, login) = (portal.browser(), sacha.login.clone());
        async move { sign_in(&browser, &login, WRONG).await.status }
    })
    .await;
    assert_eq!(judged(&at_sign_in, 422), 5);
    let at_confirmation = together(64, |_| {
        let browser = signed_in.clone();
        async move { confirm(&browser, WRONG).await.status }
    })
    .await;
    assert_eq!(judged(&at_confirmation, 422), 5);
    let other = portal.signed_in(&portal.person("Noor").await).await;
    let at_change = together(64, |_| {
        let browser = other.clone();
        let fields = [("mot-de-passe-actuel", WRONG), ("nouveau-mot-de-passe", NEW)];
        async move { browser.post("/mon-compte/mot-de-passe", &fields).await.status }
    })
    .await;
    assert_eq!(judged(&at_change, 422), 5);
}

#[tokio::test]
async fn no_delay_that_can_be_caused_on_purpose_shows_that_a_login_is_unknown() {
    use raccord::{db::throttles::secret_bucket, domain::network::networks_of};

    let portal = TestPortal::start().await;
    let (unknown, address) = ("inconnue@x.fr", "203.0.113.5");
    let network = &networks_of(address.parse().expect("an address"))[0].name;
    // The bucket of a login whose subject had no secret.
    let bucket = |login: &str| secret_bucket(&format!("{login} "), network);
    let mut others = (0..5_000_000).map(|number| format!("autre{number}@x.fr"));
    let other = others.find(|other| bucket(other) == bucket(unknown)).expect("another one in it");
    let attempt = async |login: &str| sign_in(&portal.browser().with_address(address), login, WRONG).await.status;
    for _ in 0..5 {
        assert_eq!(attempt(&other).await, 422);
    }
    assert_eq!((attempt(&other).await.as_u16(), attempt(unknown).await.as_u16()), (429, 422));
}

#[tokio::test]
async fn a_right_password_takes_its_attempt_back() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    for _ in 0..8 {
        for _ in 0..4 {
            sign_in(&portal.browser(), &sacha.login, WRONG).await.refusal(422);
            confirm(&browser, WRONG).await.refusal(422);
        }
        portal.signed_in(&sacha).await;
        assert_eq!(confirm(&browser, PASSWORD).await.status, 307);
    }
    assert_eq!(portal.count("throttles").await, 0);
}

#[tokio::test]
async fn guesses_of_a_neighbour_keep_no_other_person_from_confirming_their_identity() {
    let portal = TestPortal::start().await;
    let (manager, _) = portal.manager().await;
    let browser = portal.signed_in(&manager).await;
    let (key, _) = enrol(&portal, &browser).await;
    neighbour_guesses(&portal, &manager).await;
    // Nor do wrong codes of another who has the password.
    portal.execute("DELETE FROM throttles").await;
    let thief = give_password(portal.browser(), &manager).await;
    for _ in 0..5 {
        thief.post(CODE, &[("code", "abc")]).await.refusal(422);
    }
    neighbour_guesses(&portal, &manager).await;
    let typed = [
        ("confirmation-suite", "/mon-compte"),
        ("confirmation-mot-de-passe", PASSWORD),
        ("confirmation-code", &code(&portal, &key, 0).await),
    ];
    assert_eq!(browser.post(CONFIRM, &typed).await.status, 307);
}

#[tokio::test]
async fn a_browser_in_which_a_person_has_signed_in_is_not_kept_out_by_neighbours() {
    let portal = TestPortal::start().await;
    let (sacha, noor) = (portal.person("Sacha").await, portal.person("Noor").await);
    let known = portal.signed_in(&sacha).await;
    known.post("/deconnexion", &[]).await.location();
    neighbour_guesses(&portal, &sacha).await;
    // Another person's browser, and a forged mark, are not known.
    let other = portal.signed_in(&noor).await;
    sign_in(&other, &sacha.login, PASSWORD).await.refusal(429);
    let forged = portal.browser();
    let mark = |(name, value): (String, String)| (name, value.replace(['A', 'B', 'C', 'a', 'b', 'c'], "d"));
    forged.set_cookies(known.cookies().into_iter().map(mark).collect());
    sign_in(&forged, &sacha.login, PASSWORD).await.refusal(429);
    portal.sign_in(known.clone(), &sacha).await;
    known.post("/deconnexion", &[]).await.location();
    // Guesses are slowed there, too, and only there.
    for _ in 0..5 {
        sign_in(&known, &sacha.login, WRONG).await.refusal(422);
    }
    sign_in(&known, &sacha.login, PASSWORD).await.refusal(429);
    portal.sign_in(portal.browser().with_address("203.0.113.5"), &sacha).await;
}

#[tokio::test]
async fn one_browser_is_known_for_the_last_four_people_of_its_sign_ins() {
    let portal = TestPortal::start().await;
    let shared = portal.browser();
    let mut people = Vec::new();
    for name in ["Sacha", "Noor", "Lou", "Ambre", "Alix"] {
        people.push(portal.person(name).await);
    }
    for person in &people {
        portal.sign_in(shared.clone(), person).await;
        shared.post("/deconnexion", &[]).await.location();
    }
    for (number, person) in people.iter().enumerate() {
        neighbour_guesses(&portal, person).await;
        let expected = if number == 0 { 429 } else { 303 };
        let copy = portal.browser();
        copy.set_cookies(shared.cookies());
        assert_eq!(sign_in(&copy, &person.login, PASSWORD).await.status, expected, "{}", person.login);
    }
}

#[tokio::test]
async fn whoever_follows_a_link_signs_in_at_once_whatever_neighbours_guessed() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    neighbour_guesses(&portal, &sacha).await;
    let link = portal.invitation(&sacha).await;
    portal.browser().post(&link, &[("nouveau-mot-de-passe", NEW)]).await.location();
    assert_eq!(sign_in(&portal.browser(), &sacha.login, NEW).await.location(), "/");
}

#[tokio::test]
async fn a_known_browser_asks_for_a_link_whatever_neighbours_ask() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let known = portal.signed_in(&sacha).await;
    for _ in 0..5 {
        portal.browser().post(FORGOTTEN, &[("identifiant", &sacha.login)]).await;
    }
    portal.browser().post(FORGOTTEN, &[("identifiant", &sacha.login)]).await.refusal(429);
    for _ in 0..5 {
        known.post(FORGOTTEN, &[("identifiant", &sacha.login)]).await.location();
    }
    known.post(FORGOTTEN, &[("identifiant", &sacha.login)]).await.refusal(429);
}

/// As many browsers in which the person has signed in: each has nothing but its own mark.
async fn gathered_marks(portal: &TestPortal, person: &Person, count: usize) -> Vec<Browser> {
    let mut browsers = Vec::new();
    for _ in 0..count {
        let mut cookies = portal.signed_in(person).await.cookies();
        cookies.retain(|name, _| name.contains("terminal"));
        assert_eq!(cookies.len(), 1);
        let browser = portal.browser();
        browser.set_cookies(cookies);
        browsers.push(browser);
    }
    browsers
}

/// Five wrong passwords from each browser; how many were judged.
async fn guess_from(browsers: &[Browser], person: &Person) -> usize {
    let mut answers = Vec::new();
    for _ in 0..5 {
        for browser in browsers {
            answers.push(sign_in(browser, &person.login, WRONG).await.status);
        }
    }
    judged(&answers, 422)
}

const THIRD: &str = "neuf barques sur le lac";

#[tokio::test]
async fn marks_that_were_gathered_end_with_the_password() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let owner = portal.signed_in(&sacha).await;
    let marks = gathered_marks(&portal, &sacha, 8).await;
    let change = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", NEW)];
    owner.post("/mon-compte/mot-de-passe", &change).await.location();
    assert_eq!(guess_from(&marks, &sacha).await, 5);
    // The browser that changed it is known still, whatever neighbours do.
    owner.post("/deconnexion", &[]).await.location();
    neighbour_guesses(&portal, &sacha).await;
    assert_eq!(sign_in(&owner, &sacha.login, NEW).await.location(), "/");
    // And so it is once it has followed a link; another that followed one is not known.
    let marks = [owner.clone()].map(|known| {
        let copy = portal.browser();
        copy.set_cookies(known.cookies());
        copy
    });
    let link = portal.invitation(&sacha).await;
    owner.post(&link, &[("nouveau-mot-de-passe", THIRD)]).await.location();
    neighbour_guesses(&portal, &sacha).await;
    sign_in(&marks[0], &sacha.login, THIRD).await.refusal(429);
    assert_eq!(sign_in(&owner, &sacha.login, THIRD).await.location(), "/");
    let (link, elsewhere) = (portal.invitation(&sacha).await, portal.browser());
    elsewhere.post(&link, &[("nouveau-mot-de-passe", NEW)]).await.location();
    assert!(elsewhere.cookies().is_empty());
}

#[tokio::test]
async fn marks_that_were_gathered_before_a_second_factor_guess_none_of_its_codes() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let owner = portal.signed_in(&sacha).await;
    let marks = gathered_marks(&portal, &sacha, 8).await;
    let (key, _) = enrol(&portal, &owner).await;
    let pending = give_password(portal.browser(), &sacha).await.cookies();
    let mut answers = Vec::new();
    for mark in &marks {
        let thief = portal.browser();
        thief.set_cookies(mark.cookies().into_iter().chain(pending.clone()).collect());
        for _ in 0..5 {
            answers.push(thief.post(CODE, &[("code", "000000")]).await.status);
        }
    }
    assert_eq!(judged(&answers, 422), 5);
    // The browser that enabled it is known still, for both steps.
    owner.post("/deconnexion", &[]).await.location();
    neighbour_guesses(&portal, &sacha).await;
    let owner = give_password(owner, &sacha).await;
    owner.post(CODE, &[("code", &code(&portal, &key, 0).await)]).await.location();
    // Its end is the end of other marks, too.
    let copy = portal.browser();
    copy.set_cookies(owner.cookies());
    owner.post("/mon-compte/double-authentification/desactivation", &[]).await.location();
    neighbour_guesses(&portal, &sacha).await;
    sign_in(&copy, &sacha.login, PASSWORD).await.refusal(429);
    portal.sign_in(owner, &sacha).await;
}

#[tokio::test]
async fn all_known_browsers_of_a_person_are_counted_together_too() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let marks = gathered_marks(&portal, &sacha, 18).await;
    let judged = guess_from(&marks, &sacha).await;
    assert!((64..=72).contains(&judged), "{judged}");
    // Requests for a link, too.
    let mut taken = 0;
    for number in 0..90 {
        let browser = &marks[number % marks.len()];
        taken += usize::from(browser.post(FORGOTTEN, &[("identifiant", &sacha.login)]).await.status == 303);
    }
    assert!((64..=72).contains(&taken), "{taken}");
}

#[tokio::test]
async fn wrong_codes_after_the_right_password_are_mailed_to_the_person_once_an_hour() {
    let mut portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let owner = portal.signed_in(&sacha).await;
    enrol(&portal, &owner).await;
    let thief = give_password(portal.browser(), &sacha).await;
    let wrong = async |portal: &TestPortal| {
        portal.execute("DELETE FROM throttles WHERE scope = 'SECOND_FACTOR'").await;
        thief.post(CODE, &[("code", "000000")]).await.refusal(422);
        portal.mails_of("wrong_codes").await.len()
    };
    for _ in 0..4 {
        assert_eq!(wrong(&portal).await, 0);
    }
    // Those in a session count, too.
    let typed = [
        ("confirmation-suite", "/mon-compte"),
        ("confirmation-mot-de-passe", PASSWORD),
        ("confirmation-code", "000000"),
    ];
    owner.post(CONFIRM, &typed).await.refusal(422);
    for _ in 0..6 {
        assert_eq!(wrong(&portal).await, 1);
    }
    assert_eq!(portal.mails_of("wrong_codes").await[0].recipient, sacha.contact_address);
    portal.move_clock("61 minutes").await;
    let thief = give_password(portal.browser(), &sacha).await;
    for _ in 0..5 {
        portal.execute("DELETE FROM throttles WHERE scope = 'SECOND_FACTOR'").await;
        thief.post(CODE, &[("code", "000000")]).await.refusal(422);
    }
    assert_eq!(portal.mails_of("wrong_codes").await.len(), 2);
}

#[tokio::test]
async fn a_right_password_whose_act_fails_for_another_reason_is_no_failed_attempt() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let browser = portal.signed_in(&sacha).await;
    portal.refuse_events().await;
    for _ in 0..6 {
        sign_in(&portal.browser(), &sacha.login, PASSWORD).await.refusal(500);
        confirm(&browser, PASSWORD).await.refusal(500);
        let change = [("mot-de-passe-actuel", PASSWORD), ("nouveau-mot-de-passe", NEW)];
        browser.post("/mon-compte/mot-de-passe", &change).await.refusal(500);
    }
    // Wrong ones count all the same.
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(sign_in(&portal.browser(), &sacha.login, WRONG).await.status.as_u16());
    }
    assert_eq!(answers, [500, 500, 500, 500, 500, 429]);
    portal.execute("DROP TRIGGER refuse_all ON audit_events; DELETE FROM throttles WHERE scope = 'SIGN_IN'").await;
    portal.signed_in(&sacha).await;
    assert_eq!(confirm(&browser, PASSWORD).await.status, 307);
}

/// An address of the `/64` with this number in one `/48`.
fn address(number: u32) -> String {
    format!("2001:db8:1:{number:x}::7")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_from_a_whole_48_are_bounded_together() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let mut answers = Vec::new();
    for batch in 0..100_u32 {
        let of_batch = together(8, |place| {
            // Each /64 is another one, each /56 has eight.
            let number = batch * 8 + u32::try_from(place).expect("small");
            let browser = portal.browser().with_address(&address((number % 100) * 256 + number / 100));
            let login = sacha.login.clone();
            async move { sign_in(&browser, &login, WRONG).await.status }
        });
        answers.extend(of_batch.await);
    }
    let judged = judged(&answers, 422);
    assert!((64..=72).contains(&judged), "{judged} of {}", answers.len());
    assert_eq!(portal.events_of("SIGN_IN_FAILED").await, judged);
    assert_eq!(sign_in(&portal.browser(), &sacha.login, PASSWORD).await.location(), "/", "from elsewhere");
    let elsewhere = portal.browser().with_address("2001:db8:2::7");
    assert_eq!(sign_in(&elsewhere, &sacha.login, PASSWORD).await.location(), "/", "from another /48");
}

#[tokio::test]
async fn guesses_from_a_56_are_bounded_together_and_neighbours_in_its_48_are_free() {
    let portal = TestPortal::start().await;
    let sacha = portal.person("Sacha").await;
    let mut judged = 0;
    for number in 0..30 {
        let browser = portal.browser().with_address(&address(number));
        judged += usize::from(sign_in(&browser, &sacha.login, WRONG).await.status == 422);
    }
    assert!((16..=19).contains(&judged), "{judged}");
    let neighbour = portal.browser().with_address(&address(0x500));
    assert_eq!(sign_in(&neighbour, &sacha.login, PASSWORD).await.location(), "/");
}

#[tokio::test]
async fn links_asked_for_from_a_whole_48_are_bounded_together_and_refused_without_an_event() {
    let portal = TestPortal::start().await;
    let mut taken = 0;
    for number in 0..600_u32 {
        let browser = portal.browser().with_address(&address((number % 120) * 256 + number / 120));
        let named = format!("inconnue-{number}@exemple.fr");
        let answer = browser.post(FORGOTTEN, &[("identifiant", &named)]).await;
        if answer.status == 303 {
            taken += 1;
        } else {
            answer.refusal(429).assert_says("Réessayez dans dix minutes.");
        }
    }
    assert_eq!(taken, 400);
    assert_eq!(portal.events_of("PASSWORD_LINK_ASKED").await, taken);
    let elsewhere = portal.browser().with_address("2001:db8:2::7");
    elsewhere.post(FORGOTTEN, &[("identifiant", "inconnue@exemple.fr")]).await.location();
}

#[tokio::test]
async fn wrong_passwords_at_the_api_from_a_whole_48_are_bounded_together() {
    let portal = TestPortal::start().await;
    portal.anne_and_bruno().await;
    let account = portal.account(1).await;
    let wrong = cpro_account(&account.login, "faux");
    let mut answers = Vec::new();
    for number in 0..200_u32 {
        let program = portal.program().with_address(&address((number % 100) * 256 + number / 100));
        answers.push(program.call(HEALTH, &[("cpro-account", &wrong)], "").await.status);
    }
    let judged = judged(&answers, 401);
    assert!((64..=72).contains(&judged), "{judged}");
    let program = portal.program().with_address(&address(0));
    let right = account.cpro_account();
    assert_eq!(
        program.call(HEALTH, &[("cpro-account", &right)], "").await.status,
        200,
        "the right one is never slowed"
    );
}

#[tokio::test]
async fn guesses_under_ever_new_logins_leave_a_bounded_number_of_rows() {
    let portal = TestPortal::start().await;
    for number in 0..20 {
        sign_in(&portal.browser(), &format!("inconnue-{number}@exemple.fr"), WRONG).await.refusal(422);
    }
    let bits = |number: u32| {
        let bucket = raccord::db::throttles::secret_bucket(&number.to_string(), "a network");
        u32::from_str_radix(&bucket, 16).expect("a number")
    };
    // Eighteen bits: whatever is tried, from wherever, there are no more rows.
    assert!((0..1_000).map(bits).all(|bits| bits < 1 << 24 && bits.is_multiple_of(1 << 6)));
    let rows = "SELECT count(*) FROM throttles WHERE octet_length(subject_hash) + octet_length(network) = 32";
    assert_eq!(portal.number(rows, &[]).await, 20);
}
