//! View types of this journey's pages.

use askama::Template;
use time::OffsetDateTime;

use super::choosing::Choosing;
use crate::{
    db::technical_users::{
        batches::progress::AnnouncedBatch,
        overview::{AccountFilter, DueCounts, Order, OverviewRow, StatusFilter},
    },
    domain::batch::BatchAct,
    french,
    web::{
        paths,
        shell::{
            filters,
            layout::Layout,
            pagination::Pagination,
            values::{AccountStatus, Expiry, Id, StructureName},
        },
    },
};

/// « Utilisateurs techniques » of all structures.
#[derive(Template)]
#[template(path = "activities/overview.html", whitespace = "minimize")]
pub struct OverviewPage {
    pub layout: Layout,
    pub due: Vec<DueLink>,
    pub selection: Selection,
    pub rows: Vec<AccountRow>,
    /// The number of matching accounts.
    pub total: u64,
    pub pagination: Pagination,
    pub csv_url: String,
    /// How rows are chosen for an act on several.
    pub choosing: Choosing,
    /// The acts on them: code, label, and whether it is selected.
    pub acts: [(&'static str, &'static str, bool); 4],
    pub batch: Option<BatchLink>,
}

/// The acts on several accounts. Unless one is `chosen`, the one that the filter calls for is.
pub fn acts(chosen: Option<BatchAct>, shown: StatusFilter) -> [(&'static str, &'static str, bool); 4] {
    let likely = match shown {
        StatusFilter::Suspended => Some(BatchAct::Reactivate),
        StatusFilter::Expired | StatusFilter::ToRenew => Some(BatchAct::ResetPassword),
        _ => None,
    };
    let selected = chosen.or(likely);
    let act = |act: BatchAct, label| (act.code(), label, selected == Some(act));
    [
        ("", "Choisir une action", selected.is_none()),
        act(BatchAct::ResetPassword, "Réinitialiser ces mots de passe"),
        act(BatchAct::Suspend, "Suspendre"),
        act(BatchAct::Reactivate, "Réactiver"),
    ]
}

/// A batch that the lists announce.
pub struct BatchLink {
    pub id: Id,
    pub is_finished: bool,
    /// Passwords that can be exported, and until when.
    pub exportable: u64,
    pub exportable_until: Option<OffsetDateTime>,
}

impl From<AnnouncedBatch> for BatchLink {
    fn from(batch: AnnouncedBatch) -> Self {
        let AnnouncedBatch { id, is_finished, exportable, exportable_until } = batch;
        Self { id, is_finished, exportable: exportable.unsigned_abs(), exportable_until }
    }
}

/// A kind of thing to do about technical users, with the list that it leads to.
pub struct DueLink {
    /// « 2 à renouveler sous 60 jours ».
    pub words: String,
    pub url: String,
    /// The style of its badge.
    pub tone: &'static str,
    /// Whether its list is the one that is shown.
    pub is_current: bool,
}

impl DueLink {
    /// What is to be done, the most urgent first. What is not to be done is left out.
    pub fn of(counts: DueCounts, shown: StatusFilter) -> Vec<Self> {
        let plural = |count: i64| if count > 1 { "s" } else { "" };
        let DueCounts { expired, to_renew, failing, suspended, known_to_another, handovers_waiting, link_alarms } =
            counts;
        let kinds = [
            (StatusFilter::LinkAlarm, link_alarms, format!("remise{} à vérifier", plural(link_alarms)), "bad"),
            (StatusFilter::Expired, expired, format!("expiré{}", plural(expired)), "bad"),
            (StatusFilter::ToRenew, to_renew, "à renouveler sous 60 jours".to_owned(), "warn"),
            (StatusFilter::Failing, failing, "en échec".to_owned(), "bad"),
            (StatusFilter::Suspended, suspended, format!("suspendu{}", plural(suspended)), "off"),
            (
                StatusFilter::KnownToAnother,
                known_to_another,
                format!("connu{} d’un ancien gestionnaire", plural(known_to_another)),
                "warn",
            ),
            (
                StatusFilter::HandoverWaiting,
                handovers_waiting,
                format!("remise{} en attente", plural(handovers_waiting)),
                "off",
            ),
        ];
        let to_do = kinds.into_iter().filter(|(_, count, ..)| *count > 0);
        to_do
            .map(|(status, count, words, tone)| Self {
                words: format!("{} {words}", filters::in_french(count.unsigned_abs())),
                url: format!("{}?etat={}", paths::OVERVIEW, status_word(status)),
                tone,
                is_current: status == shown,
            })
            .collect()
    }
}

/// The word of a filter in the URL.
pub fn status_word(status: StatusFilter) -> &'static str {
    match status {
        StatusFilter::Any => "",
        StatusFilter::Active => "actif",
        StatusFilter::Expired => "expire",
        StatusFilter::ToRenew => "a-renouveler",
        StatusFilter::Failing => "echec",
        StatusFilter::Suspended => "suspendu",
        StatusFilter::KnownToAnother => "connu",
        StatusFilter::KnownToIntegrator => "connu-integrateur",
        StatusFilter::HandoverWaiting => "remise-en-attente",
        StatusFilter::LinkAlarm => "lien-presente",
    }
}

/// The filters, in the order of the choice.
const STATUSES: [(StatusFilter, &str); 10] = [
    (StatusFilter::Any, "Tous"),
    (StatusFilter::Active, "Actifs"),
    (StatusFilter::Expired, "Expirés"),
    (StatusFilter::ToRenew, "À renouveler sous 60 jours"),
    (StatusFilter::Failing, "En échec"),
    (StatusFilter::Suspended, "Suspendus"),
    (StatusFilter::KnownToAnother, "Connus d’un ancien gestionnaire"),
    (StatusFilter::KnownToIntegrator, "Connus d’un intégrateur"),
    (StatusFilter::HandoverWaiting, "En attente de remise"),
    (StatusFilter::LinkAlarm, "Remise à vérifier"),
];

/// The filter that a word of the URL names; an unknown word names none.
pub fn status_of_word(word: &str) -> StatusFilter {
    STATUSES.into_iter().map(|(status, _)| status).find(|status| status_word(*status) == word).unwrap_or_default()
}

/// A month, as URLs and sentences have it.
pub struct Month {
    /// « 2027-03 ».
    pub word: String,
    /// « mars 2027 ».
    pub words: String,
}

impl From<OffsetDateTime> for Month {
    fn from(beginning: OffsetDateTime) -> Self {
        let word = french::in_paris(beginning).strftime("%Y-%m").to_string();
        Self { word, words: french::month(beginning) }
    }
}

/// The search form: text, filter and order.
pub struct Selection {
    pub query: String,
    /// Value, label, and whether it is selected.
    pub status: [(&'static str, &'static str, bool); 10],
    pub order: [(&'static str, &'static str, bool); 3],
    /// The month in which the passwords expire, if the list is narrowed to one.
    pub month: Option<Month>,
    /// Whether a filter is set.
    pub is_narrowed: bool,
}

impl Selection {
    /// The filters but for the text, by the names in URLs.
    pub fn chosen(&self) -> Vec<(&'static str, &str)> {
        let word = |choices: &[(&'static str, &'static str, bool)]| {
            choices.iter().find(|(.., is_chosen)| *is_chosen).map_or("", |(word, ..)| *word)
        };
        let month = self.month.as_ref().map_or("", |month| month.word.as_str());
        vec![("etat", word(&self.status)), ("tri", word(&self.order)), ("mois", month)]
    }
}

impl From<AccountFilter> for Selection {
    fn from(filter: AccountFilter) -> Self {
        let AccountFilter { search, status, month, order } = filter;
        Self {
            is_narrowed: !search.is_empty() || status != StatusFilter::Any || month.is_some(),
            query: search,
            month: month.map(Month::from),
            status: STATUSES.map(|(choice, label)| (status_word(choice), label, choice == status)),
            order: [
                ("", "Échéance la plus proche", order == Order::Expiry),
                ("structure", "Nom de la structure", order == Order::Structure),
                ("appel", "Appel le plus récent", order == Order::LastCall),
            ],
        }
    }
}

/// A row of the list.
pub struct AccountRow {
    pub id: Id,
    pub login: String,
    pub label: Option<String>,
    pub status: AccountStatus,
    pub structure: StructureName,
    pub expiry: Expiry,
    /// Whether the password was shown to a former principal manager.
    pub known_to_another: bool,
    /// Whether the password was shown to an integrator.
    pub known_to_integrator: bool,
    /// Whether calls are refused at present.
    pub failing: bool,
    pub last_call_at: Option<OffsetDateTime>,
}

impl AccountRow {
    pub fn status_of(row: &OverviewRow) -> AccountStatus {
        AccountStatus::new(row.status, row.days_left)
    }
}

impl From<OverviewRow> for AccountRow {
    fn from(row: OverviewRow) -> Self {
        Self {
            status: Self::status_of(&row),
            id: row.id,
            login: row.login,
            label: row.label,
            structure: StructureName {
                id: row.structure_id,
                designation: row.designation,
                kind: row.identifier_type.code().to_owned(),
                identifier: row.identifier,
                active: row.structure_active,
            },
            expiry: Expiry { at: row.expires_at, days_left: row.days_left.into(), there: None },
            known_to_another: row.known_to_another,
            known_to_integrator: row.known_to_integrator,
            failing: row.failing,
            last_call_at: row.last_call_at,
        }
    }
}
