//! The technical users of the demonstration: one for each state that a list can show.

use crate::db::demo::{DemoAccount, DemoCall};

/// None on the first structure, which is left empty for trying the creation. The addresses are from
/// the documentation ranges (RFC 5737).
pub const ACCOUNTS: [DemoAccount<'_>; 6] = [
    DemoAccount {
        place: 2,
        label: "Logiciel comptable",
        suspended: false,
        days_left: 12,
        last_call: Some(DemoCall { hours_ago: 3, address: "192.0.2.17", software: "Odoo/17.0 l10n_fr_chorus" }),
    },
    DemoAccount {
        place: 2,
        label: "Archivage des factures",
        suspended: false,
        days_left: 318,
        last_call: Some(DemoCall {
            hours_ago: 26,
            address: "192.0.2.17",
            software: "chorus-api/1.4 python-requests/2.32",
        }),
    },
    DemoAccount {
        place: 3,
        label: "Ancien logiciel de facturation",
        suspended: false,
        days_left: -9,
        last_call: Some(DemoCall { hours_ago: 24 * 10, address: "198.51.100.8", software: "Java/17.0.11" }),
    },
    DemoAccount {
        place: 4,
        label: "Prestataire d’essai",
        suspended: true,
        days_left: 190,
        last_call: Some(DemoCall { hours_ago: 24 * 41, address: "203.0.113.60", software: "curl/8.5.0" }),
    },
    DemoAccount { place: 5, label: "Portail des marchés", suspended: false, days_left: 420, last_call: None },
    DemoAccount {
        place: 6,
        label: "Plateforme agréée",
        suspended: false,
        days_left: 55,
        last_call: Some(DemoCall { hours_ago: 1, address: "198.51.100.23", software: "Go-http-client/2.0" }),
    },
];
