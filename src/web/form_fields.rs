//! The fields that people fill in, by the URL of their form: sign-in lists what a carried form
//! holds.

use super::{identity::kept_form::Field, paths, portal::technical_users::delivery::Delivery};
use crate::domain::{handover::Term, role::Role, rotation::Grace, structure_identifier::IdentifierType};

/// A field whose value is shown as it was typed.
const fn text(name: &'static str, caption: &'static str) -> Field {
    Field { name, caption, words: |typed| typed }
}

const LABEL: Field = text("libelle", "Libellé");

const DELIVERY: Field = Field {
    name: "affichage",
    caption: "Nouveau mot de passe",
    words: |code| Delivery::parse(code).map_or(code, |delivery| delivery.label()),
};

const ROLE: Field =
    Field { name: "role", caption: "Rôle", words: |code| Role::given(code).map_or(code, |role| role.label()) };

const STATUS: Field = Field {
    name: "statut",
    caption: "Statut",
    words: |code| match code {
        "ACTIVE" => "Active",
        "INACTIVE" => "Inactive",
        other => other,
    },
};

const IDENTIFIER_TYPE: Field = Field {
    name: "type-identifiant",
    caption: "Type d’identifiant",
    words: |code| IdentifierType::parse(code).map_or(code, |kind| kind.label()),
};

const GRACE: Field = Field {
    name: "ancien",
    caption: "Ancien mot de passe",
    words: |hours| Grace::parse(hours).map_or(hours, |grace| grace.label()),
};

const RESTRICTIONS: &[Field] = &[
    Field {
        name: "reseaux",
        caption: "Réseaux autorisés",
        words: |code| match code {
            "TOUTES" => "Toute adresse",
            "VERROU" => "Verrouiller sur la première adresse qui appelle",
            "LISTE" => "Ces réseaux",
            other => other,
        },
    },
    text("liste", "Liste des réseaux"),
    Field {
        name: "structures",
        caption: "Structures",
        words: |code| match code {
            "TOUTES" => "Toutes celles du gestionnaire principal",
            "CHOISIES" => "Celles que je choisis",
            other => other,
        },
    },
];

const HANDOVER: &[Field] = &[
    text("destinataire", "Destinataire"),
    text("adresse", "Adresse électronique du destinataire"),
    Field {
        name: "duree",
        caption: "Durée du lien",
        words: |days| match Term::parse(days) {
            Some(Term::OneDay) => "1 jour",
            Some(Term::ThreeDays) => "3 jours",
            Some(Term::SevenDays) => "7 jours",
            None => days,
        },
    },
    Field { name: "code", caption: "Code dit par téléphone", words: |_| "Oui" },
];

/// Fields without a caption, such as tokens, are not listed.
pub static FORMS: [(&str, &[Field]); 15] = [
    (
        paths::STRUCTURE,
        &[
            text("designation", "Désignation"),
            text("adresse", "Adresse"),
            text("complement", "Complément d’adresse"),
            text("complement-2", "Complément d’adresse (suite)"),
            text("code-postal", "Code postal"),
            text("ville", "Ville"),
            text("pays", "Pays"),
            text("courriel", "Adresse électronique"),
            text("telephone", "Téléphone"),
            STATUS,
        ],
    ),
    (
        paths::MEMBER_INVITATION,
        &[text("adresse", "Adresse électronique"), text("prenom", "Prénom"), text("nom", "Nom"), ROLE],
    ),
    (paths::MEMBER_ROLE, &[ROLE]),
    (paths::REQUEST_ACCEPTANCE, &[ROLE]),
    (paths::MY_REQUESTS, &[IDENTIFIER_TYPE, text("identifiant", "Identifiant de la structure")]),
    (paths::TECHNICAL_USERS, &[LABEL, DELIVERY]),
    (paths::LABEL, &[LABEL]),
    (paths::PASSWORD, &[GRACE, DELIVERY]),
    (paths::BATCHES, &[LABEL, GRACE]),
    (paths::HANDOVER, HANDOVER),
    (paths::BATCH_HANDOVER, HANDOVER),
    (paths::BATCH_ENCRYPTED, &[text("cle", "Clé publique de l’intégrateur")]),
    (paths::RESTRICTIONS, RESTRICTIONS),
    (paths::RESTRICTIONS_CONFIRMATION, RESTRICTIONS),
    (paths::MY_CONTACT_ADDRESS, &[text("adresse-de-contact", "Adresse de contact")]),
];
