//! The API's statements on the directory of structures.

use sqlx::{FromRow, Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::{
    Caller, Order, Page, PresentedCredentials,
    connections::Connections,
    names::{self, Condition, ENOUGH, Place, Plan, Source, Words},
};
use crate::domain::{
    search_key::{search_key, search_words},
    structure_identifier::IdentifierType,
};

/// Matches are counted up to here: clients do not read further pages, and counting all would cost
/// more than the search.
const MAX_COUNTED: i64 = 10_000;

/// What is compared of a structure with a few names: the names themselves, the criteria beside
/// which names come first, and the orders of a page.
const COMPARED: &str = "id, identifier_type, identifier, search_text, active, country_code, moa, moa_only";

/// Search criteria; all must match.
#[derive(Clone, Debug, Default)]
pub struct Criteria {
    /// A whole identifier, in the forms that it may be stored in; a SIREN finds its establishments.
    pub identifiers: Option<Vec<String>>,
    pub identifier_type: Option<IdentifierType>,
    /// Words of the name, or beginnings of words; if that finds few, parts of words. Compared by
    /// [`search_words`].
    pub names: Vec<String>,
    pub active: Option<bool>,
    /// All structures are public but those of private persons.
    pub public: Option<bool>,
    /// ISO 3166-1, two letters.
    pub country_code: Option<String>,
    pub postal_code: Option<String>,
    /// The beginning of the town's name, ignoring case and accents.
    pub city: Option<String>,
    /// Only contracting authorities (maîtrise d’ouvrage).
    pub moa: bool,
    /// Only structures that are nothing but a contracting authority.
    pub moa_only: bool,
    /// Only structures that the caller's principal manager is a member of.
    pub within_rights: bool,
}

impl Criteria {
    /// Whether the criteria besides names find so few structures that their names can be compared
    /// one by one.
    fn find_few(&self) -> bool {
        self.within_rights || self.identifiers.is_some() || self.postal_code.is_some() || self.city.is_some()
    }

    /// Whether the criteria besides names find so many structures that a page of names in their
    /// order is soon full.
    fn find_most(&self) -> bool {
        let Self { identifier_type, public, country_code, moa, moa_only, .. } = self;
        let is_rare = identifier_type.is_some() || country_code.is_some() || *moa || *moa_only;
        !self.find_few() && !is_rare && *public != Some(false)
    }

    /// Whether there are criteria besides names.
    fn compare_rows(&self) -> bool {
        self.find_few()
            || self.identifier_type.is_some()
            || self.active.is_some()
            || self.public.is_some()
            || self.country_code.is_some()
            || self.moa
            || self.moa_only
    }
}

/// One structure of the directory.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: i64,
    /// An [`IdentifierType`]'s code.
    pub identifier_type: String,
    pub identifier: String,
    pub designation: String,
    pub active: bool,
}

/// A page of the directory, and the number of all matches.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub rows: Vec<Listed>,
    /// Matches on all pages; beyond 10,000, more than were shown so far.
    pub total: i64,
}

/// The caller with a page of the matches.
///
/// The statement is assembled from the given criteria, so that the planner sees which index serves
/// them. How names are found is said in [`names`].
///
/// # Errors
/// Database errors.
pub async fn search(
    database: &Connections,
    presented: &PresentedCredentials,
    criteria: &Criteria,
    page: Page,
) -> sqlx::Result<Option<(Caller, Found)>> {
    let words = search_words(criteria.names.iter().map(String::as_str));
    let search = Search { database, presented, criteria, page };
    if words.is_empty() {
        return search.run(&Plan::comparing(Vec::new())).await;
    }
    if criteria.find_few() {
        let found = search.run(&Plan::comparing(Condition::all(&words, Place::Beginning))).await?;
        let is_enough = found.as_ref().is_none_or(|(_, found)| found.total >= ENOUGH);
        return if is_enough {
            Ok(found)
        } else {
            search.run(&Plan::comparing(Condition::all(&words, Place::Inside))).await
        };
    }
    let Some(words) = Words::look_up(database, presented, &words).await? else { return Ok(None) };
    if words.may_be_enough() {
        let found = search.run(&words.beginnings()).await?;
        if found.as_ref().is_none_or(|(_, found)| found.total >= ENOUGH) || words.are_frequent() {
            return Ok(found);
        }
    }
    search.run(&words.parts(database).await?).await
}

/// One search of a caller.
struct Search<'a> {
    database: &'a Connections,
    presented: &'a PresentedCredentials,
    criteria: &'a Criteria,
    page: Page,
}

impl Search<'_> {
    async fn run(&self, plan: &Plan) -> sqlx::Result<Option<(Caller, Found)>> {
        let mut query = QueryBuilder::new("");
        if let Source::Few(entries) = &plan.source {
            query.push("WITH few AS MATERIALIZED (");
            self.push_few(&mut query, entries, plan);
            query.push(") ");
        }
        query.push(
            "SELECT c.technical_user_id, c.at, c.sunset, n.total,
                    p.id, p.identifier_type, p.identifier, p.designation, p.active FROM ",
        );
        self.presented.push_caller(&mut query);
        query.push(" c CROSS JOIN LATERAL (");
        self.push_count(&mut query, plan);
        // The page's ids come from an index; then only these rows are read. OFFSET 0 makes the
        // planner read them one by one: it overestimates their number and would scan the table.
        query.push(") n LEFT JOIN LATERAL (SELECT k.id, row_number() OVER () AS place FROM (");
        self.push_page(&mut query, plan);
        query.push(") k) k ON true LEFT JOIN LATERAL (SELECT * FROM structures WHERE id = k.id OFFSET 0) p ON true");
        query.push(" ORDER BY k.place");
        // Not prepared: the best plan depends on the values, and so many combinations would push
        // the statements of all other calls out of the connection's cache.
        let rows: Vec<Row> = query.build_query_as().persistent(false).fetch_all(self.database).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let caller = Caller { technical_user_id: first.technical_user_id, at: first.at, sunset: first.sunset };
        let counted = first.total;
        let rows: Vec<Listed> = rows.into_iter().filter_map(Row::listed).collect();
        let total = total(counted, self.page, rows.len());
        Ok(Some((caller, Found { rows, total })))
    }

    /// Whether the ids of entries are the answer, without the rows of their structures.
    fn is_by_ids(&self, plan: &Plan) -> bool {
        plan.left.is_empty() && !self.criteria.compare_rows()
    }

    /// Reads each row of the entries once, for the count and for the page; of each only what these
    /// need, since up to [`names::FREQUENT`] rows are read.
    fn push_few(&self, query: &mut QueryBuilder<Postgres>, entries: &names::Entries, plan: &Plan) {
        if self.is_by_ids(plan) && self.page.order.is_none() {
            return entries.push_ids(query);
        }
        query.push("SELECT ").push(if self.page.order.is_none() { "s.id" } else { "s.*" }).push(" FROM (");
        entries.push_ids(query);
        query.push(") e CROSS JOIN LATERAL (SELECT ").push(COMPARED);
        query.push(" FROM structures WHERE id = e.id OFFSET 0) s WHERE true");
        self.push_conditions(query, &plan.left);
    }

    fn push_count(&self, query: &mut QueryBuilder<Postgres>, plan: &Plan) {
        if plan.at_least >= MAX_COUNTED && !self.criteria.compare_rows() {
            query.push("SELECT ").push_bind(MAX_COUNTED).push("::bigint AS total");
            return;
        }
        query.push("SELECT count(*) AS total FROM (SELECT FROM ");
        self.push_source(query, plan);
        query.push(" LIMIT ").push_bind(MAX_COUNTED).push(") counted");
    }

    fn push_page(&self, query: &mut QueryBuilder<Postgres>, plan: &Plan) {
        let is_by_id = self.page.order.is_none();
        query.push("SELECT s.id FROM ");
        match &plan.source {
            Source::Frequent(_) if is_by_id => {
                self.push_source(query, plan);
                query.push(if self.page.descending { " ORDER BY e.id DESC" } else { " ORDER BY e.id" })
            }
            Source::Frequent(_) | Source::Table if self.is_by_name(plan) => self.push_by_name(query, plan),
            Source::Frequent(_) => {
                query.push("structures s WHERE true");
                self.push_conditions(query, &plan.all);
                query.push(" ").push(self.page.order_of_structures())
            }
            Source::Few(_) | Source::Table => {
                self.push_source(query, plan);
                query.push(" ").push(self.page.order_of_structures())
            }
        };
        query.push(" OFFSET ").push_bind(self.page.offset()).push(" LIMIT ").push_bind(self.page.limit());
    }

    /// Whether the page is read from the index in the order of names.
    fn is_by_name(&self, plan: &Plan) -> bool {
        self.page.order == Some(Order::Designation) && !plan.all.is_empty() && self.criteria.find_most()
    }

    /// Compares names in the index, and reads only the rows of those that may match: most names
    /// before the first match do not. OFFSET 0 keeps the two steps apart.
    fn push_by_name<'q>(&self, query: &'q mut QueryBuilder<Postgres>, plan: &Plan) -> &'q mut QueryBuilder<Postgres> {
        query.push("(SELECT s.id, s.search_text FROM structures s WHERE true");
        for condition in &plan.all {
            condition.push_roughly(query);
        }
        let order = self.page.order_of_structures();
        query.push(" ").push(order);
        query.push(" OFFSET 0) e CROSS JOIN LATERAL (SELECT * FROM structures WHERE id = e.id OFFSET 0) s WHERE true");
        self.push_conditions(query, &plan.all);
        // The columns of the first step: the planner knows their order.
        query.push(if self.page.descending {
            " ORDER BY e.search_text DESC, e.id DESC"
        } else {
            " ORDER BY e.search_text, e.id"
        })
    }

    /// The structures `s` that match.
    fn push_source(&self, query: &mut QueryBuilder<Postgres>, plan: &Plan) {
        match &plan.source {
            Source::Few(_) => {
                query.push("few s");
                return;
            }
            Source::Frequent(each) if self.is_by_ids(plan) => {
                names::push_frequent(query, each, self.page);
                query.push(" e CROSS JOIN LATERAL (SELECT e.id) s");
                return;
            }
            Source::Frequent(each) => {
                names::push_frequent(query, each, self.page);
                query.push(" e CROSS JOIN LATERAL (SELECT * FROM structures WHERE id = e.id OFFSET 0) s WHERE true");
            }
            Source::Table => {
                query.push("structures s WHERE true");
            }
        }
        self.push_conditions(query, &plan.left);
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>, names: &[Condition]) {
        push_criteria(query, self.criteria);
        for condition in names {
            condition.push(query);
        }
    }
}

/// The number of matches, exact up to [`MAX_COUNTED`]. Beyond, it is one more than what was shown
/// as long as pages are full, so that clients which read all pages see all structures.
fn total(counted: i64, page: Page, rows: usize) -> i64 {
    if counted < MAX_COUNTED || rows == 0 {
        return counted;
    }
    let shown = i64::try_from(rows).unwrap_or(i64::MAX);
    let seen = page.offset() + shown;
    counted.max(if shown == page.limit() { seen + 1 } else { seen })
}

#[derive(FromRow)]
struct Row {
    technical_user_id: i64,
    at: OffsetDateTime,
    sunset: Option<OffsetDateTime>,
    total: i64,
    id: Option<i64>,
    identifier_type: Option<String>,
    identifier: Option<String>,
    designation: Option<String>,
    active: Option<bool>,
}

impl Row {
    fn listed(self) -> Option<Listed> {
        Some(Listed {
            id: self.id?,
            identifier_type: self.identifier_type?,
            identifier: self.identifier?,
            designation: self.designation?,
            active: self.active?,
        })
    }
}

fn push_criteria(query: &mut QueryBuilder<Postgres>, criteria: &Criteria) {
    if let Some(identifiers) = &criteria.identifiers {
        push_identifier(query, identifiers);
    }
    if let Some(kind) = criteria.identifier_type {
        query.push(" AND s.identifier_type = ").push_bind(kind.code());
    }
    if let Some(active) = criteria.active {
        query.push(" AND s.active = ").push_bind(active);
    }
    match criteria.public {
        Some(true) => query.push(" AND s.identifier_type <> 'PARTICULIER'"),
        Some(false) => query.push(" AND s.identifier_type = 'PARTICULIER'"),
        None => query,
    };
    if let Some(code) = &criteria.country_code {
        query.push(" AND s.country_code = upper(").push_bind(code.clone()).push(")");
    }
    if let Some(code) = &criteria.postal_code {
        query.push(" AND s.postal_code <> '' AND s.postal_code = ").push_bind(code.clone());
    }
    if let Some(city) = &criteria.city {
        query.push(" AND search_key(s.city) LIKE ").push_bind(format!("{}%", search_key(city)));
    }
    if criteria.moa {
        query.push(" AND s.moa");
    }
    if criteria.moa_only {
        query.push(" AND s.moa_only");
    }
    if criteria.within_rights {
        query.push(
            " AND EXISTS (SELECT FROM structures_within_rights(c.technical_user_id, c.manager_id, c.structures_chosen) r WHERE r.structure_id = s.id)",
        );
    }
}

/// Matches the structures with one of these identifiers, or all establishments of a SIREN.
fn push_identifier(query: &mut QueryBuilder<Postgres>, identifiers: &[String]) {
    let Some(identifier) = identifiers.iter().find(|identifier| is_siren(identifier)) else {
        match identifiers {
            [identifier] => query.push(" AND s.identifier = ").push_bind(identifier.clone()),
            several => query.push(" AND s.identifier = ANY (").push_bind(several.to_vec()).push(")"),
        };
        return;
    };
    // ':' is the character after '9'.
    query.push(" AND s.identifier ~>=~ ").push_bind(identifier.to_owned());
    query.push(" AND s.identifier ~<~ ").push_bind(format!("{identifier}:"));
    query.push(" AND (s.identifier_type = 'SIRET' OR s.identifier = ANY (").push_bind(identifiers.to_vec()).push("))");
}

/// Whether this is a SIREN, the number of a legal entity: the SIRET of each of its establishments
/// starts with it.
fn is_siren(text: &str) -> bool {
    text.len() == 9 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A structure's directory entry, for « consulter ».
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "the directory's columns")]
pub struct Consulted {
    pub id: i64,
    /// An [`IdentifierType`]'s code.
    pub identifier_type: String,
    pub identifier: String,
    pub designation: String,
    pub address_line: String,
    pub address_extra_1: String,
    pub address_extra_2: String,
    pub postal_code: String,
    pub city: String,
    pub country: String,
    pub phone: String,
    pub active: bool,
    /// `GestionStatutMiseEnPaiement` of the public directory.
    pub requires_payment_status: bool,
    /// Whether an invoice needs an engagement's number.
    pub requires_engagement: bool,
    /// Whether an invoice needs a service's code.
    pub requires_service: bool,
    /// Whether an invoice needs a service's code or an engagement's number.
    pub requires_service_engagement: bool,
    /// Whether it sends invoices by EDI.
    pub edi_sender: bool,
    /// Whether it receives invoices by EDI.
    pub edi_receiver: bool,
    /// Whether it is a contracting authority (maîtrise d’ouvrage).
    pub moa: bool,
    /// Whether it is nothing but that.
    pub moa_only: bool,
    /// Whether the caller's principal manager is a member.
    pub within_rights: bool,
    /// Only within the caller's rights.
    pub email: Option<String>,
    /// Only within the caller's rights: in its own structure, when the caller's password expires;
    /// in others, the next expiry among active technical users.
    pub technical_expiry: Option<OffsetDateTime>,
}

/// How a call identifies a structure.
#[derive(Clone, Debug)]
pub enum StructureRef {
    /// The id of its row.
    Id(i64),
    /// The kind and the value of its identifier.
    Identifier(IdentifierType, String),
}

impl StructureRef {
    fn id(&self) -> Option<i64> {
        if let Self::Id(id) = self { Some(*id) } else { None }
    }

    fn identifier(&self) -> Option<(&'static str, &str)> {
        if let Self::Identifier(kind, text) = self { Some((kind.code(), text)) } else { None }
    }
}

/// The caller with the structure, if there is one.
///
/// # Errors
/// Database errors.
pub async fn consult(
    database: &Connections,
    presented: &PresentedCredentials,
    structure: &StructureRef,
) -> sqlx::Result<Option<(Caller, Option<Consulted>)>> {
    let digests = presented.digests();
    let row = sqlx::query!(
        r#"SELECT c.technical_user_id AS "technical_user_id!", c.at AS "at!", c.sunset,
                  s.id AS "id?", s.identifier_type AS "identifier_type?", s.identifier AS "identifier?",
                  s.designation AS "designation?", s.address_line AS "address_line?", s.address_extra_1 AS "address_extra_1?",
                  s.address_extra_2 AS "address_extra_2?", s.postal_code AS "postal_code?", s.city AS "city?",
                  s.country AS "country?", s.phone AS "phone?", s.active AS "active?",
                  s.requires_payment_status AS "requires_payment_status?", s.requires_engagement AS "requires_engagement?",
                  s.requires_service AS "requires_service?", s.requires_service_engagement AS "requires_service_engagement?",
                  s.edi_sender AS "edi_sender?", s.edi_receiver AS "edi_receiver?", s.moa AS "moa?", s.moa_only AS "moa_only?",
                  r.within AS "within!",
                  CASE WHEN r.within THEN s.email END AS email,
                  CASE WHEN r.within THEN (
                      SELECT t.expires_at FROM technical_users t
                       WHERE t.structure_id = s.id AND t.status = 'ACTIVE' AND t.expires_at > c.at
                       ORDER BY t.id = c.technical_user_id DESC, t.expires_at LIMIT 1) END AS technical_expiry
             FROM api_caller($1, $2, $6::text::inet) c
             LEFT JOIN structures s ON s.id = $3 OR (s.identifier_type = $4 AND s.identifier = $5)
            CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM structures_within_rights(c.technical_user_id, c.manager_id, c.structures_chosen) m
                                 WHERE m.structure_id = s.id) AS within) r"#,
        presented.token_hash(),
        digests.as_deref(),
        structure.id(),
        structure.identifier().map(|(kind, _)| kind),
        structure.identifier().map(|(_, text)| text),
        presented.address(),
    )
    .fetch_optional(database)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let caller = Caller { technical_user_id: row.technical_user_id, at: row.at, sunset: row.sunset };
    let consulted = row.id.map(|id| Consulted {
        id,
        identifier_type: row.identifier_type.unwrap_or_default(),
        identifier: row.identifier.unwrap_or_default(),
        designation: row.designation.unwrap_or_default(),
        address_line: row.address_line.unwrap_or_default(),
        address_extra_1: row.address_extra_1.unwrap_or_default(),
        address_extra_2: row.address_extra_2.unwrap_or_default(),
        postal_code: row.postal_code.unwrap_or_default(),
        city: row.city.unwrap_or_default(),
        country: row.country.unwrap_or_default(),
        phone: row.phone.unwrap_or_default(),
        active: row.active.unwrap_or_default(),
        requires_payment_status: row.requires_payment_status.unwrap_or_default(),
        requires_engagement: row.requires_engagement.unwrap_or_default(),
        requires_service: row.requires_service.unwrap_or_default(),
        requires_service_engagement: row.requires_service_engagement.unwrap_or_default(),
        edi_sender: row.edi_sender.unwrap_or_default(),
        edi_receiver: row.edi_receiver.unwrap_or_default(),
        moa: row.moa.unwrap_or_default(),
        moa_only: row.moa_only.unwrap_or_default(),
        within_rights: row.within,
        email: row.email,
        technical_expiry: row.technical_expiry,
    });
    Ok(Some((caller, consulted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_can_be_turned_to_the_last_structure() {
        let of =
            |counted, number, rows| total(counted, Page { size: 100, number, order: None, descending: false }, rows);
        assert_eq!((of(5, 1, 5), of(0, 1, 0), of(5, 9, 0)), (5, 0, 5));
        assert_eq!((of(MAX_COUNTED, 1, 100), of(MAX_COUNTED, 100, 100)), (MAX_COUNTED, MAX_COUNTED + 1));
        assert_eq!((of(MAX_COUNTED, 101, 30), of(MAX_COUNTED, 5000, 0)), (10_030, MAX_COUNTED));
    }
}
