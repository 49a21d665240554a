//! The technical users of the demonstration: every state that a list can show, with its history.

use crate::{
    db::demo::{DemoAccount, DemoCall, Story},
    domain::audit::CallRefusal,
};

/// A call some hours ago. The addresses are from the documentation ranges (RFC 5737).
const fn call(hours_ago: i32, address: &'static str, software: &'static str) -> DemoCall<'static> {
    DemoCall { hours_ago, address, software }
}

/// The first ones have structures and labels of their own. None is on the first structure, which is
/// left empty for trying the creation, and none on the seventh to the twelfth.
const NAMED: [DemoAccount<'static>; 6] = [
    DemoAccount {
        place: 2,
        label: "Logiciel comptable",
        days_left: 12,
        last_call: Some(call(3, "192.0.2.17", "Odoo/17.0 l10n_fr_chorus")),
        story: Story::Usual,
    },
    DemoAccount {
        place: 2,
        label: "Archivage des factures",
        days_left: 318,
        last_call: Some(call(26, "192.0.2.17", "chorus-api/1.4 python-requests/2.32")),
        story: Story::Usual,
    },
    DemoAccount {
        place: 3,
        label: "Ancien logiciel de facturation",
        days_left: -9,
        last_call: Some(call(24 * 10, "198.51.100.8", "Java/17.0.11")),
        story: Story::Usual,
    },
    DemoAccount {
        place: 4,
        label: "Prestataire d’essai",
        days_left: 190,
        last_call: Some(call(24 * 41, "203.0.113.60", "curl/8.5.0")),
        story: Story::Suspended { days_ago: 40 },
    },
    DemoAccount { place: 5, label: "Portail des marchés", days_left: 420, last_call: None, story: Story::Usual },
    DemoAccount {
        place: 6,
        label: "Plateforme agréée",
        days_left: 55,
        last_call: Some(call(1, "198.51.100.23", "Go-http-client/2.0")),
        story: Story::Usual,
    },
];

/// The software of the others, in turn.
const SOFTWARE: [(&str, &str, &str); 6] = [
    ("Logiciel de facturation", "192.0.2.31", "Java/21.0.4"),
    ("Gestion financière", "192.0.2.44", "chorus-api/1.4 python-requests/2.32"),
    ("Plateforme agréée", "198.51.100.23", "Go-http-client/2.0"),
    ("Gestion des marchés", "203.0.113.12", "Apache-HttpClient/5.3"),
    ("Portail familles", "198.51.100.77", "GuzzleHttp/7"),
    ("Parapheur électronique", "203.0.113.90", "okhttp/4.12.0"),
];

/// The accounts beside [`NAMED`], on every fourth structure.
const OTHERS: i32 = 64;

/// What is not usual: the account's number among the others, the days that its password has left,
/// and its story.
const UNUSUAL: [(i32, i32, Story); 17] = [
    (3, -2, Story::Usual),
    (5, 34, Story::Usual),
    (7, 210, Story::Failing { why: CallRefusal::WrongPassword, count: 12 }),
    (9, 20, Story::Usual),
    (11, 130, Story::Suspended { days_ago: 6 }),
    (14, 7, Story::Usual),
    (17, -31, Story::Failing { why: CallRefusal::Expired, count: 43 }),
    (19, 240, Story::KnownToFormerManager),
    (22, 330, Story::Restricted { network: "198.51.100.0/24", days_ago: 30 }),
    (24, 422, Story::FormerPasswordWorks),
    (28, 424, Story::NeverShown),
    (33, 90, Story::Suspended { days_ago: 75 }),
    (36, 409, Story::KnownToIntegrator { recipient: "Atelier numérique, intégration" }),
    (40, 160, Story::Failing { why: CallRefusal::WrongPassword, count: 3 }),
    (45, 97, Story::KnownToFormerManager),
    (50, 422, Story::FormerPasswordWorks),
    (55, 423, Story::NeverShown),
];

/// All of them.
pub fn accounts() -> Vec<DemoAccount<'static>> {
    let others = (0..OTHERS).zip(SOFTWARE.into_iter().cycle()).map(|(number, (label, address, software))| {
        let unusual = UNUSUAL.into_iter().find(|(at, ..)| *at == number);
        let (_, days_left, story) = unusual.unwrap_or((number, 70 + number * 37 % 350, Story::Usual));
        let hours_ago = match story {
            Story::NeverShown => None,
            Story::Failing { .. } => Some(60),
            Story::Suspended { days_ago } => Some(days_ago * 24 + 1),
            _ if days_left < 0 => Some(-days_left * 24),
            _ => Some(1 + number * 7 % 72),
        };
        let last_call = hours_ago.map(|hours| call(hours, address, software));
        DemoAccount { place: i64::from(12 + 4 * number), label, days_left, last_call, story }
    });
    NAMED.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_have_every_story_and_room_among_the_structures() {
        let accounts = accounts();
        assert!(accounts.len() >= 60, "{}", accounts.len());
        assert!(accounts.iter().all(|account| (2..300).contains(&account.place) && !(7..12).contains(&account.place)));
        for (number, ..) in UNUSUAL {
            assert!(number < OTHERS);
        }
        let has = |holds: fn(&DemoAccount<'_>) -> bool| accounts.iter().any(holds);
        assert!(has(|account| account.days_left < 0) && has(|account| (0..60).contains(&account.days_left)));
        assert!(has(|account| matches!(account.story, Story::Suspended { .. })));
        assert!(has(|account| matches!(account.story, Story::Failing { .. })));
        assert!(has(|account| account.story == Story::KnownToFormerManager));
        assert!(has(|account| account.story == Story::FormerPasswordWorks));
        assert!(has(|account| account.story == Story::NeverShown && account.last_call.is_none()));
        assert!(has(|account| matches!(account.story, Story::KnownToIntegrator { .. })));
        assert!(has(|account| matches!(account.story, Story::Restricted { .. })));
    }
}
