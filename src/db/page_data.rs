//! Reads pages of the portal that show data of several rooms. Each is read in one transaction, so
//! that all its parts are of the same moment.

use sqlx::PgPool;

use crate::domain::envelope::SessionSecret;

use super::{
    identity::calendar_links,
    members::{
        memberships::{self, Member},
        offers::{self, OwnOffer, PendingOffer},
        requests::{self, PendingRequest},
    },
    refused_addresses::{self, RefusedInvitation},
    structures::{
        ManagedStructure,
        history::{self, Cursor, EventFilter, PastEvent},
        list::{self, StructureFilter, StructureRow},
    },
    technical_users::{
        self, TechnicalUser,
        batches::progress::{self, AnnouncedBatch},
        deadlines::{self, MonthOfDeadlines, NextDeadline},
        overview::{self, AccountFilter, DueCounts, OverviewRow},
    },
    transaction,
};

/// What « Fiche structure » shows beside the card.
#[derive(Clone, Debug)]
pub struct StructureContents {
    /// The principal manager first.
    pub members: Vec<Member>,
    /// The offer of the structure to a member that waits for an answer.
    pub offer: Option<PendingOffer>,
    /// The oldest first.
    pub technical_users: Vec<TechnicalUser>,
    /// The latest events, newest first.
    pub events: Vec<PastEvent>,
}

/// Reads « Fiche structure », with its last `events` events.
///
/// # Errors
/// Database errors.
pub async fn structure(pool: &PgPool, structure: &ManagedStructure, events: u32) -> sqlx::Result<StructureContents> {
    let mut tx = transaction::begin_reading(pool).await?;
    let members = memberships::of_structure(&mut *tx, structure).await?;
    let offer = offers::of_structure(&mut *tx, structure).await?;
    let technical_users = technical_users::of_structure(&mut *tx, structure).await?;
    let page = history::page(&mut *tx, structure, &EventFilter::default(), Cursor::Newest, events).await?;
    tx.commit().await?;
    Ok(StructureContents { members, offer, technical_users, events: page.events })
}

/// What « Activités du gestionnaire » shows.
#[derive(Clone, Debug)]
pub struct ActivitiesContents {
    /// A page of the managed structures.
    pub structures: Vec<StructureRow>,
    /// The oldest pending requests.
    pub requests: Vec<PendingRequest>,
    /// Structures that the manager is offered.
    pub offers: Vec<OwnOffer>,
    /// What is to be done about technical users.
    pub due: DueCounts,
    /// Whether the manager's own address refuses mails.
    pub is_address_refused: bool,
    /// The first invitations whose address refuses mails.
    pub refused_invitations: Vec<RefusedInvitation>,
    pub batch: Option<AnnouncedBatch>,
}

/// Which part of « Activités du gestionnaire » to read.
#[derive(Clone, Copy)]
pub struct ActivitiesPart<'a> {
    pub filter: &'a StructureFilter,
    /// Matching structures before the page.
    pub offset: i64,
    /// Structures on the page.
    pub limit: i64,
    /// Requests on the page.
    pub requests: i64,
    /// Refused invitations on the page.
    pub refused_invitations: i64,
    /// The manager's address.
    pub contact_address: &'a str,
    pub session: &'a SessionSecret,
}

/// Reads a page of « Activités du gestionnaire ».
///
/// # Errors
/// Database errors.
pub async fn activities(pool: &PgPool, manager_id: i64, part: ActivitiesPart<'_>) -> sqlx::Result<ActivitiesContents> {
    let mut tx = transaction::begin_reading(pool).await?;
    let structures = list::page_of_managed(&mut *tx, manager_id, part.filter, part.offset, part.limit).await?;
    let requests = requests::of_manager(&mut *tx, manager_id, part.requests).await?;
    let offers = offers::own(&mut *tx, manager_id).await?;
    let due = overview::count_due(&mut *tx, manager_id).await?;
    let is_address_refused = refused_addresses::is_refused(&mut *tx, part.contact_address).await?;
    let refused_invitations =
        refused_addresses::invitations_of_manager(&mut *tx, manager_id, part.refused_invitations).await?;
    let batch = progress::announced(&mut *tx, manager_id, part.session).await?;
    tx.commit().await?;
    Ok(ActivitiesContents { structures, requests, offers, due, is_address_refused, refused_invitations, batch })
}

/// What « Utilisateurs techniques » of a manager shows.
#[derive(Clone, Debug)]
pub struct OverviewContents {
    /// A page of the accounts.
    pub accounts: Vec<OverviewRow>,
    pub due: DueCounts,
    pub batch: Option<AnnouncedBatch>,
}

/// Which part of « Utilisateurs techniques » to read.
#[derive(Clone, Copy)]
pub struct OverviewPart<'a> {
    pub filter: &'a AccountFilter,
    /// Matching accounts before the page.
    pub offset: i64,
    /// Accounts on the page.
    pub limit: i64,
    pub session: &'a SessionSecret,
}

/// Reads a page of « Utilisateurs techniques ».
///
/// # Errors
/// Database errors.
pub async fn overview(pool: &PgPool, manager_id: i64, part: OverviewPart<'_>) -> sqlx::Result<OverviewContents> {
    let mut tx = transaction::begin_reading(pool).await?;
    let accounts = overview::page(&mut *tx, manager_id, part.filter, part.offset, part.limit).await?;
    let due = overview::count_due(&mut *tx, manager_id).await?;
    let batch = progress::announced(&mut *tx, manager_id, part.session).await?;
    tx.commit().await?;
    Ok(OverviewContents { accounts, due, batch })
}

/// What « Calendrier des échéances » shows.
#[derive(Clone, Debug)]
pub struct CalendarContents {
    /// The next deadlines, soonest first.
    pub next: Vec<NextDeadline>,
    /// The present month and the eleven that follow, then all later ones as one.
    pub months: Vec<MonthOfDeadlines>,
    /// Whether the manager has a link to subscribe by.
    pub has_link: bool,
}

/// Reads « Calendrier des échéances », with the next `deadlines` deadlines.
///
/// # Errors
/// Database errors.
pub async fn calendar(pool: &PgPool, manager_id: i64, deadlines: i64) -> sqlx::Result<CalendarContents> {
    let mut tx = transaction::begin_reading(pool).await?;
    let next = deadlines::next(&mut *tx, manager_id, deadlines).await?;
    let months = deadlines::by_month(&mut *tx, manager_id).await?;
    let has_link = calendar_links::exists(&mut *tx, manager_id).await?;
    tx.commit().await?;
    Ok(CalendarContents { next, months, has_link })
}
