//! The acts of people and programs, and how they are drawn.

use proptest::prelude::*;
use raccord::domain::{role::Role, technical_user::TechnicalUserStatus as Status};

use super::state::{HOUR, MINUTE, Networks, PEOPLE};

/// The person who acts: the principal manager at that time, or one by number.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    Manager,
    Person(usize),
}

/// An account: the `number`th modulo how many there are then; with `any`, deleted ones count.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    pub number: usize,
    pub any: bool,
}

/// A credential for the API: a password that was shown, counted from the newest, with its own login
/// or another account's.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub password: usize,
    pub login_of: Option<Which>,
}

#[derive(Clone, Copy, Debug)]
pub enum Act {
    SignIn {
        who: usize,
    },
    SignInWrong {
        who: usize,
    },
    SignInAsAccount {
        shown: Shown,
    },
    SignOut {
        who: Who,
    },
    Create(Creation),
    OnAccount {
        who: Who,
        account: Which,
        act: AccountAct,
    },
    Designate {
        who: Who,
        whom: usize,
    },
    Answer {
        whom: usize,
        accepts: bool,
    },
    Withdraw {
        who: Who,
    },
    Invite {
        who: Who,
        whom: usize,
        role: Role,
    },
    /// `None` removes the member.
    ChangeRole {
        who: Who,
        whom: usize,
        role: Option<Role>,
    },
    Activate {
        who: Who,
        active: bool,
    },
    ChangeAddress {
        who: Who,
        address: &'static str,
    },
    Call {
        shown: Shown,
    },
    AskToken {
        shown: Shown,
    },
    UseToken {
        token: usize,
    },
    Wait {
        seconds: i64,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Creation {
    pub who: Who,
    pub label: &'static str,
    /// The form is sent a second time, to the other instance.
    pub twice: bool,
    /// The password is shown afterwards.
    pub display: bool,
}

/// An act on a technical user that exists.
#[derive(Clone, Copy, Debug)]
pub enum AccountAct {
    Relabel { label: &'static str },
    Display,
    Export,
    Close,
    Reset(Reset),
    EndFormer,
    ChangeStatus { status: Status },
    Restrict { networks: Networks },
    Look,
}

#[derive(Clone, Copy, Debug)]
pub struct Reset {
    /// How long the old password is kept.
    pub grace_hours: i64,
    /// The form is of a page that another reset made old.
    pub stale: bool,
    pub twice: bool,
    pub display: bool,
}

/// An act, and whether it goes to the second instance.
pub fn any_act() -> impl Strategy<Value = (Act, bool)> {
    let who = || prop_oneof![8 => Just(Who::Manager), 2 => (0..PEOPLE).prop_map(Who::Person)];
    let one = || 0..PEOPLE;
    let which = || (0..60_usize, prop::bool::weighted(0.15)).prop_map(|(number, any)| Which { number, any });
    let shown = || {
        let password = prop_oneof![3 => Just(0), 2 => Just(1), 2 => 2..8_usize];
        (password, prop::option::weighted(0.15, which())).prop_map(|(password, login_of)| Shown { password, login_of })
    };
    let role = || prop_oneof![Just(Role::SecondaryManager), Just(Role::User)];
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
            .prop_map(|(who, label, twice, display)| Act::Create(Creation { who, label, twice, display })),
        28 => (who(), which(), account_act())
            .prop_map(|(who, account, act)| Act::OnAccount { who, account, act }),
        3 => (who(), one()).prop_map(|(who, whom)| Act::Designate { who, whom }),
        4 => (one(), often()).prop_map(|(whom, accepts)| Act::Answer { whom, accepts }),
        1 => who().prop_map(|who| Act::Withdraw { who }),
        2 => (who(), one(), role()).prop_map(|(who, whom, role)| Act::Invite { who, whom, role }),
        3 => (who(), one(), prop::option::weighted(0.7, role()))
            .prop_map(|(who, whom, role)| Act::ChangeRole { who, whom, role }),
        1 => (who(), often()).prop_map(|(who, active)| Act::Activate { who, active }),
        2 => (who(), prop::sample::select(vec!["compta@exemple.fr", "dsi@exemple.fr"]))
            .prop_map(|(who, address)| Act::ChangeAddress { who, address }),
        10 => shown().prop_map(|shown| Act::Call { shown }),
        5 => shown().prop_map(|shown| Act::AskToken { shown }),
        6 => (0..4_usize).prop_map(|token| Act::UseToken { token }),
        5 => wait.prop_map(|seconds| Act::Wait { seconds }),
    ];
    (act, any::<bool>())
}

fn seldom() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.15)
}

fn often() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.75)
}

fn account_act() -> impl Strategy<Value = AccountAct> {
    let status = prop_oneof![4 => Just(Status::Active), 3 => Just(Status::Suspended), 1 => Just(Status::Deleted)];
    let reset = (prop::sample::select(vec![0, 24, 72]), seldom(), seldom(), often());
    prop_oneof![
        2 => prop::sample::select(vec!["", "ERP", "erp", "Paie"]).prop_map(|label| AccountAct::Relabel { label }),
        4 => Just(AccountAct::Display),
        3 => Just(AccountAct::Export),
        1 => Just(AccountAct::Close),
        7 => reset.prop_map(|(grace_hours, stale, twice, display)| {
            AccountAct::Reset(Reset { grace_hours, stale, twice, display })
        }),
        2 => Just(AccountAct::EndFormer),
        3 => status.prop_map(|status| AccountAct::ChangeStatus { status }),
        2 => prop::sample::select(vec![Networks::Any, Networks::Any, Networks::Lock, Networks::Ours, Networks::Others])
            .prop_map(|networks| AccountAct::Restrict { networks }),
        6 => Just(AccountAct::Look),
    ]
}
