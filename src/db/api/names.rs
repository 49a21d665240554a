//! How a search of the directory finds names: by the words in `structure_words`.
//!
//! A name is found if each searched word begins one of its words. Where fewer than [`ENOUGH`] names
//! are found so, those with the searched words anywhere in their words are found too, unless each
//! searched word begins words of [`FREQUENT`] names.
//!
//! What is read depends on how frequent the words are, so that each search reads little: the
//! entries of the rarest word if they are few, else the entries of all words side by side, which
//! the index gives in the order of ids, until the page is full.

use sqlx::{Postgres, QueryBuilder};

use super::{Page, PresentedCredentials, connections::Connections};

/// So many names are a whole page: words are not searched by their parts then.
pub(super) const ENOUGH: i64 = 100;

/// From so many entries on, a word is frequent: its entries are not all read.
pub(super) const FREQUENT: i64 = 10_000;

/// So many words of the directory may begin with a searched word for their entries to be read side
/// by side. The planner's work grows with each.
const SIDE_BY_SIDE: usize = 32;

/// So many words of the directory may contain a searched word for their entries to be read;
/// otherwise, each name is compared until the page is full, which is soon.
const CONTAINING: i64 = 5_000;

/// Comes after every word that begins with the text before it.
const LAST: char = char::MAX;

/// Where in a word of the name a searched word must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Whole,
    Beginning,
    Inside,
}

/// One searched word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    word: String,
    place: Place,
}

impl Condition {
    /// Every word at the same place.
    pub(super) fn all(words: &[String], place: Place) -> Vec<Self> {
        words.iter().map(|word| Self { word: word.clone(), place }).collect()
    }

    /// Compares the name of a structure `s`. `search_text` is the name's key, a space and the
    /// identifier, which is no part of the name. A key contains no `%`, `_` or `\`.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" AND ' ' || left(s.search_text, - length(s.identifier)) LIKE ").push_bind(self.pattern());
    }

    /// Compares the identifier too, so that the index in the order of names suffices. Finds all
    /// that [`Self::push`] finds, and more.
    pub(super) fn push_roughly(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" AND ' ' || s.search_text LIKE ").push_bind(self.pattern());
    }

    fn pattern(&self) -> String {
        let word = &self.word;
        match self.place {
            Place::Whole => format!("% {word} %"),
            Place::Beginning => format!("% {word}%"),
            Place::Inside => format!("%{word}%"),
        }
    }
}

/// Entries of `structure_words`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entries {
    /// Of all words that begin with this text.
    Beginning(String),
    /// Of these words.
    Words(Vec<String>),
}

impl Entries {
    /// The structures of all entries, each once.
    pub(super) fn push_ids(&self, query: &mut QueryBuilder<Postgres>) {
        query.push("SELECT DISTINCT structure_id AS id FROM structure_words WHERE ");
        match self {
            Self::Beginning(text) => {
                query.push("word >= ").push_bind(text.clone());
                query.push(" AND word < ").push_bind(format!("{text}{LAST}"))
            }
            Self::Words(words) => query.push("word = ANY (").push_bind(words.clone()).push(")"),
        };
    }

    /// The same, so that the planner reads the index in the order of ids, and no further than
    /// asked. It would not do so for DISTINCT: it expects few different ids.
    fn push_ids_in_order(&self, query: &mut QueryBuilder<Postgres>, page: Page) {
        let Self::Words(words) = self else { return self.push_ids(query) };
        let order = if page.descending { " ORDER BY structure_id DESC" } else { " ORDER BY structure_id" };
        let entries = |query: &mut QueryBuilder<Postgres>| {
            for (place, word) in words.iter().enumerate() {
                query.push(if place > 0 { " UNION ALL (" } else { "(" });
                query.push("SELECT structure_id AS id FROM structure_words WHERE word = ").push_bind(word.clone());
                query.push(order).push(")");
            }
        };
        if words.len() == 1 {
            return entries(query);
        }
        query.push("SELECT id FROM (SELECT id, lag(id) OVER (ORDER BY id");
        query.push(if page.descending { " DESC" } else { "" }).push(") AS before FROM (");
        entries(query);
        query.push(") every) each WHERE before IS DISTINCT FROM id");
    }
}

/// From where the structures of a search are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// All structures, in the order of the page.
    Table,
    /// The few structures of these entries.
    Few(Entries),
    /// The structures that are in each of these entries, in the order of their ids.
    Frequent(Vec<Entries>),
}

/// How a search finds names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) source: Source,
    /// What the source's structures must still meet.
    pub(super) left: Vec<Condition>,
    /// What structures from elsewhere must meet.
    pub(super) all: Vec<Condition>,
    /// At least so many structures meet it, if that is known.
    pub(super) at_least: i64,
}

impl Plan {
    /// Reads all structures and compares each name.
    pub(super) fn comparing(all: Vec<Condition>) -> Self {
        Self { source: Source::Table, left: all.clone(), all, at_least: 0 }
    }

    fn few(entries: Entries, driver: &str, all: Vec<Condition>) -> Self {
        let left = all.iter().filter(|condition| condition.word != driver).cloned().collect();
        Self { source: Source::Few(entries), left, all, at_least: 0 }
    }
}

/// Appends the structures that are in each of the entries, as a relation with the column `id`.
pub(super) fn push_frequent(query: &mut QueryBuilder<Postgres>, each: &[Entries], page: Page) {
    query.push("(SELECT id FROM ");
    for (place, entries) in each.iter().enumerate() {
        query.push(if place > 0 { " JOIN (" } else { "(" });
        entries.push_ids_in_order(query, page);
        query.push(") e").push(place);
        query.push(if place > 0 { " USING (id)" } else { "" });
    }
    query.push(")");
}

/// A searched word in the directory.
#[derive(sqlx::FromRow)]
struct Known {
    word: String,
    /// Entries of words that begin with it, counted up to [`FREQUENT`].
    entries: i64,
    /// Those words, up to one more than [`SIDE_BY_SIDE`].
    words: Vec<String>,
    /// Whether the word itself is frequent.
    is_frequent: bool,
    /// The structures of the first entries, if there are many.
    structures: i64,
}

/// What is known of the words of a search.
pub(super) struct Words {
    known: Vec<Known>,
}

impl Words {
    /// Looks them up; none for an invalid caller.
    pub(super) async fn look_up(
        database: &Connections,
        presented: &PresentedCredentials,
        words: &[String],
    ) -> sqlx::Result<Option<Self>> {
        let mut query = QueryBuilder::new("SELECT t.word, e.entries, d.words, f.is_frequent, m.structures FROM ");
        presented.push_caller(&mut query);
        query.push(" c CROSS JOIN unnest(").push_bind(words.to_vec()).push(", ");
        query.push_bind(words.iter().map(|word| format!("{word}{LAST}")).collect::<Vec<_>>());
        query.push(
            ") t(word, next)
             CROSS JOIN LATERAL (SELECT count(*) AS entries FROM (SELECT FROM structure_words w
                 WHERE w.word >= t.word AND w.word < t.next LIMIT ",
        );
        query.push_bind(FREQUENT);
        query.push(
            ") e) e
             CROSS JOIN LATERAL (SELECT ARRAY(SELECT w.word FROM directory_words w
                 WHERE w.word >= t.word AND w.word < t.next ORDER BY w.word LIMIT ",
        );
        query.push_bind(i64::try_from(SIDE_BY_SIDE + 1).unwrap_or(i64::MAX));
        query.push(") AS words) d CROSS JOIN LATERAL (SELECT e.entries = ").push_bind(FREQUENT);
        query.push(" AND cardinality(d.words) > 1 AND (SELECT count(*) FROM (SELECT FROM structure_words w WHERE w.word = t.word LIMIT ");
        query.push_bind(FREQUENT).push(") e) = ").push_bind(FREQUENT);
        query.push(" AS is_frequent) f CROSS JOIN LATERAL (SELECT CASE WHEN e.entries = ").push_bind(FREQUENT);
        query.push(" AND cardinality(d.words) > ").push_bind(i32::try_from(SIDE_BY_SIDE).unwrap_or(i32::MAX));
        query.push(
            " THEN (SELECT count(DISTINCT e.structure_id) FROM (SELECT w.structure_id FROM structure_words w
                 WHERE w.word >= t.word AND w.word < t.next LIMIT ",
        );
        query.push_bind(2 * FREQUENT).push(") e) ELSE 0 END AS structures) m");
        let known: Vec<Known> = query.build_query_as().persistent(false).fetch_all(database).await?;
        Ok((!known.is_empty()).then_some(Self { known }))
    }

    /// The word with the fewest entries, and their number.
    fn rarest(&self) -> Option<(&str, i64)> {
        self.known.iter().min_by_key(|known| known.entries).map(|known| (known.word.as_str(), known.entries))
    }

    /// Whether there may be [`ENOUGH`] names whose words begin with the searched ones.
    pub(super) fn may_be_enough(&self) -> bool {
        self.rarest().is_some_and(|(_, entries)| entries >= ENOUGH)
    }

    /// Whether each word is frequent.
    pub(super) fn are_frequent(&self) -> bool {
        self.rarest().is_some_and(|(_, entries)| entries >= FREQUENT)
    }

    /// How names whose words begin with the searched ones are found.
    ///
    /// Where all words of a search are frequent, one that is a frequent word by itself stands for
    /// that word only.
    pub(super) fn beginnings(&self) -> Plan {
        let all = |place: &dyn Fn(&Known) -> Place| -> Vec<Condition> {
            self.known.iter().map(|known| Condition { word: known.word.clone(), place: place(known) }).collect()
        };
        match self.rarest() {
            Some((word, entries)) if entries < FREQUENT => {
                Plan::few(Entries::Beginning(word.into()), word, all(&|_| Place::Beginning))
            }
            _ if self.known.len() == 1 => self.one_frequent_word(all(&|_| Place::Beginning)),
            _ => {
                let all = all(&|known| if known.is_frequent { Place::Whole } else { Place::Beginning });
                let (mut each, mut left) = (Vec::new(), Vec::new());
                for (known, condition) in self.known.iter().zip(&all) {
                    match known.entries_in_order() {
                        Some(entries) => each.push(entries),
                        None => left.push(condition.clone()),
                    }
                }
                let source = if each.is_empty() { Source::Table } else { Source::Frequent(each) };
                Plan { source, left, all, at_least: 0 }
            }
        }
    }

    fn one_frequent_word(&self, all: Vec<Condition>) -> Plan {
        match self.known.as_slice() {
            [known] if known.words.len() <= SIDE_BY_SIDE => {
                let each = vec![Entries::Words(known.words.clone())];
                Plan { source: Source::Frequent(each), left: Vec::new(), all, at_least: 0 }
            }
            known => {
                let at_least = known.iter().map(|known| known.structures).min().unwrap_or(0);
                Plan { at_least, ..Plan::comparing(all) }
            }
        }
    }

    /// How names whose words contain the searched ones are found.
    pub(super) async fn parts(&self, database: &Connections) -> sqlx::Result<Plan> {
        let words: Vec<String> = self.known.iter().map(|known| known.word.clone()).collect();
        let all = Condition::all(&words, Place::Inside);
        let mut by_entries: Vec<&Known> = self.known.iter().collect();
        by_entries.sort_by_key(|known| known.entries);
        let mut frequent = None;
        for known in by_entries {
            let Some(containing) = Containing::look_up(database, &known.word).await? else { continue };
            if containing.entries < FREQUENT {
                return Ok(Plan::few(Entries::Words(containing.words), &known.word, all));
            }
            if containing.words.len() <= SIDE_BY_SIDE {
                frequent.get_or_insert((known.word.as_str(), containing.words));
            }
        }
        let Some((driver, containing)) = frequent else { return Ok(Plan::comparing(all)) };
        let left = all.iter().filter(|condition| condition.word != driver).cloned().collect();
        Ok(Plan { source: Source::Frequent(vec![Entries::Words(containing)]), left, all, at_least: 0 })
    }
}

/// The words of the directory that contain a searched word.
struct Containing {
    words: Vec<String>,
    /// Their entries, counted up to [`FREQUENT`].
    entries: i64,
}

impl Containing {
    /// Looks them up; none if there are more than [`CONTAINING`].
    async fn look_up(database: &Connections, word: &str) -> sqlx::Result<Option<Self>> {
        let words: Vec<String> =
            sqlx::query_scalar("SELECT word FROM directory_words WHERE word LIKE $1 ORDER BY word LIMIT $2")
                .persistent(false)
                .bind(format!("%{word}%"))
                .bind(CONTAINING + 1)
                .fetch_all(database)
                .await?;
        if i64::try_from(words.len()).unwrap_or(i64::MAX) > CONTAINING {
            return Ok(None);
        }
        let entries = sqlx::query_scalar(
            "SELECT count(*) FROM (SELECT FROM structure_words WHERE word = ANY ($1) LIMIT $2) entries",
        )
        .persistent(false)
        .bind(&words)
        .bind(FREQUENT)
        .fetch_one(database)
        .await?;
        Ok(Some(Self { words, entries }))
    }
}

impl Known {
    /// Its entries, if the index gives them in order.
    fn entries_in_order(&self) -> Option<Entries> {
        if self.is_frequent {
            return Some(Entries::Words(vec![self.word.clone()]));
        }
        (self.words.len() <= SIDE_BY_SIDE).then(|| Entries::Words(self.words.clone()))
    }
}
