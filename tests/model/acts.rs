//! What people and software may do next.

use proptest::prelude::*;
use raccord::domain::{role::Role, technical_user::TechnicalUserStatus as Status};

use super::state::{HOUR, MINUTE, PEOPLE};

/// Who acts: one of the people, or whoever is principal manager then.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    Manager,
    Person(usize),
}

/// Which account: one that is there, or, for `any`, also one that was deleted; modulo how many
/// there are then.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    pub number: usize,
    pub any: bool,
}

/// What a program shows to the API: a password that was once on a screen, counted from the newest,
/// with the login that it was made for or another account's.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub password: usize,
    pub login_of: Option<Which>,
}

/// An act.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    SignIn { who: usize },
    SignInWrong { who: usize },
    SignInAsAccount { shown: Shown },
    SignOut { who: Who },
    Create { who: Who, label: &'static str, twice: bool, display: bool },
    Relabel { who: Who, account: Which, label: &'static str },
    Display { who: Who, account: Which },
    Export { who: Who, account: Which },
    Close { who: Who, account: Which },
    Reset { who: Who, account: Which, grace: i64, stale: bool, twice: bool, display: bool },
    EndFormer { who: Who, account: Which },
    ChangeStatus { who: Who, account: Which, status: Status },
    Designate { who: Who, whom: usize },
    Invite { who: Who, whom: usize, role: Role },
    ChangeRole { who: Who, whom: usize, role: Option<Role> },
    Activate { who: Who, active: bool },
    ChangeAddress { who: Who, address: &'static str },
    Look { who: Who, account: Which },
    Call { shown: Shown },
    AskToken { shown: Shown },
    UseToken { token: usize },
    Wait { seconds: i64 },
}

/// An act, and whether the second instance gets it.
pub fn any_act() -> impl Strategy<Value = (Act, bool)> {
    let who = || prop_oneof![8 => Just(Who::Manager), 2 => (0..PEOPLE).prop_map(Who::Person)];
    let one = || 0..PEOPLE;
    let which = || (0..60_usize, prop::bool::weighted(0.15)).prop_map(|(number, any)| Which { number, any });
    let of_account = move || (who(), which());
    let shown = || {
        let password = prop_oneof![3 => Just(0), 2 => Just(1), 2 => 2..8_usize];
        (password, prop::option::weighted(0.15, which())).prop_map(|(password, login_of)| Shown { password, login_of })
    };
    let (seldom, often) = (|| prop::bool::weighted(0.15), || prop::bool::weighted(0.75));
    let role = || prop_oneof![Just(Role::SecondaryManager), Just(Role::User)];
    let status = prop_oneof![4 => Just(Status::Active), 3 => Just(Status::Suspended), 1 => Just(Status::Deleted)];
    let wait = prop_oneof![
        4 => prop::sample::select(vec![MINUTE, 7 * MINUTE, 18 * MINUTE]),
        4 => prop::sample::select(vec![2 * HOUR, 11 * HOUR, 25 * HOUR, 50 * HOUR]),
        1 => prop::sample::select(vec![30 * 24 * HOUR, 425 * 24 * HOUR]),
    ];
    let act = prop_oneof![
        2 => one().prop_map(|who| Act::SignIn { who }),
        1 => one().prop_map(|who| Act::SignInWrong { who }),
        1 => shown().prop_map(|shown| Act::SignInAsAccount { shown }),
        1 => who().prop_map(|who| Act::SignOut { who }),
        4 => (who(), prop::sample::select(vec!["", "ERP", "erp", "Paie"]), seldom(), often())
            .prop_map(|(who, label, twice, display)| Act::Create { who, label, twice, display }),
        2 => (of_account(), prop::sample::select(vec!["", "ERP", "erp", "Paie"]))
            .prop_map(|((who, account), label)| Act::Relabel { who, account, label }),
        4 => of_account().prop_map(|(who, account)| Act::Display { who, account }),
        3 => of_account().prop_map(|(who, account)| Act::Export { who, account }),
        1 => of_account().prop_map(|(who, account)| Act::Close { who, account }),
        7 => (of_account(), prop::sample::select(vec![0, 24, 72]), (seldom(), seldom(), often())).prop_map(
            |((who, account), grace, (stale, twice, display))| Act::Reset { who, account, grace, stale, twice, display }
        ),
        2 => of_account().prop_map(|(who, account)| Act::EndFormer { who, account }),
        3 => (of_account(), status).prop_map(|((who, account), status)| Act::ChangeStatus { who, account, status }),
        3 => (who(), one()).prop_map(|(who, whom)| Act::Designate { who, whom }),
        2 => (who(), one(), role()).prop_map(|(who, whom, role)| Act::Invite { who, whom, role }),
        3 => (who(), one(), prop::option::weighted(0.7, role()))
            .prop_map(|(who, whom, role)| Act::ChangeRole { who, whom, role }),
        1 => (who(), often()).prop_map(|(who, active)| Act::Activate { who, active }),
        2 => (who(), prop::sample::select(vec!["compta@exemple.fr", "dsi@exemple.fr"]))
            .prop_map(|(who, address)| Act::ChangeAddress { who, address }),
        6 => of_account().prop_map(|(who, account)| Act::Look { who, account }),
        10 => shown().prop_map(|shown| Act::Call { shown }),
        5 => shown().prop_map(|shown| Act::AskToken { shown }),
        6 => (0..4_usize).prop_map(|token| Act::UseToken { token }),
        5 => wait.prop_map(|seconds| Act::Wait { seconds }),
    ];
    (act, any::<bool>())
}
