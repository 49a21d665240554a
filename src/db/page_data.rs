//! Reads pages of the portal that show data of several rooms. Each is read in one transaction, so
//! that all its parts are of the same moment.

use sqlx::{PgPool, Postgres, Transaction};

use super::{
    members::{
        memberships::{self, Member},
        requests::{self, PendingRequest},
    },
    structures::{
        ManagedStructure, card,
        history::{self, Cursor, EventFilter, PastEvent},
        list::{self, StructureFilter, StructureRow},
    },
    technical_users::{self, TechnicalUser},
};

/// What « Fiche structure » shows beside the card.
#[derive(Clone, Debug)]
pub struct StructureContents {
    /// The principal manager first.
    pub members: Vec<Member>,
    /// The oldest first.
    pub technical_users: Vec<TechnicalUser>,
    /// The number of technical users that can call the API.
    pub working: u64,
    /// The latest events, newest first.
    pub events: Vec<PastEvent>,
}

/// Reads « Fiche structure », with its last `events` events.
///
/// # Errors
/// Database errors.
pub async fn structure(pool: &PgPool, structure: &ManagedStructure, events: u32) -> sqlx::Result<StructureContents> {
    let mut tx = begin(pool).await?;
    let members = memberships::of_structure(&mut *tx, structure).await?;
    let technical_users = technical_users::of_structure(&mut *tx, structure).await?;
    let working = card::count_working(&mut *tx, structure).await?;
    let page = history::page(&mut *tx, structure, &EventFilter::default(), Cursor::Newest, events).await?;
    tx.commit().await?;
    Ok(StructureContents { members, technical_users, working, events: page.events })
}

/// What « Activités du gestionnaire » shows.
#[derive(Clone, Debug)]
pub struct ActivitiesContents {
    /// A page of the managed structures.
    pub structures: Vec<StructureRow>,
    /// The oldest pending requests.
    pub requests: Vec<PendingRequest>,
}

/// Which part of « Activités du gestionnaire » to read.
#[derive(Clone, Copy, Debug)]
pub struct ActivitiesPart<'a> {
    pub filter: &'a StructureFilter,
    /// Matching structures before the page.
    pub offset: i64,
    /// Structures on the page.
    pub limit: i64,
    /// Requests on the page.
    pub requests: i64,
}

/// Reads a page of « Activités du gestionnaire ».
///
/// # Errors
/// Database errors.
pub async fn activities(pool: &PgPool, manager_id: i64, part: ActivitiesPart<'_>) -> sqlx::Result<ActivitiesContents> {
    let mut tx = begin(pool).await?;
    let structures = list::page_of_managed(&mut *tx, manager_id, part.filter, part.offset, part.limit).await?;
    let requests = requests::of_manager(&mut *tx, manager_id, part.requests).await?;
    tx.commit().await?;
    Ok(ActivitiesContents { structures, requests })
}

/// A transaction whose statements all see the same snapshot.
async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await
}
