//! The hash chain of the audit events, and its verification: `migrations/0040_audit_chain.sql`
//! makes the links, here they are computed again.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// A link's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LinkHash(pub [u8; 32]);

impl LinkHash {
    /// The previous hash of the first link.
    pub const NONE: Self = Self([0; 32]);
}

impl fmt::Debug for LinkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LinkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// The last link, now or when it was noted: `POSITION:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of links up to it.
    pub position: i64,
    /// The hash of the last link.
    pub hash: LinkHash,
}

impl Head {
    /// The head of an empty chain.
    pub const NONE: Self = Self { position: 0, hash: LinkHash::NONE };
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.position, self.hash)
    }
}

/// A text is not a [`Head`].
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be POSITION:HASH as the command prints it, e.g. 1234: and 64 hexadecimal digits")]
pub struct HeadError;

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (position, hash) = text.trim().split_once(':').ok_or(HeadError)?;
        let position = position.parse().ok().filter(|position| *position >= 0).ok_or(HeadError)?;
        let hash = HEXLOWER.decode(hash.to_ascii_lowercase().as_bytes()).map_err(|_| HeadError)?;
        Ok(Self { position, hash: LinkHash(hash.try_into().map_err(|_| HeadError)?) })
    }
}

/// Where a reader of the chain begins: after a link, `POSITION` or `POSITION:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The link's position; 0 for the chain's beginning.
    pub position: i64,
    /// The link's hash, where it was noted.
    pub hash: Option<LinkHash>,
}

/// A text is not a [`Cursor`].
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be POSITION or POSITION:HASH, e.g. 1234, or 1234: and 64 hexadecimal digits")]
pub struct CursorError;

impl From<Head> for Cursor {
    fn from(Head { position, hash }: Head) -> Self {
        Self { position, hash: Some(hash) }
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if let Ok(head) = text.parse::<Head>() {
            return Ok(head.into());
        }
        let position = text.trim().parse().ok().filter(|position| *position >= 0).ok_or(CursorError)?;
        Ok(Self { position, hash: None })
    }
}

/// An event with all its columns, as stored now.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub id: i64,
    /// Microseconds since 1970 in UTC.
    pub at: i64,
    pub actor_id: Option<i64>,
    pub actor: String,
    pub address: String,
    pub action: String,
    pub structure_id: Option<i64>,
    pub technical_user_id: Option<i64>,
    pub subject: String,
    pub detail: String,
}

impl StoredEvent {
    /// The hash of a link to this event, at this position, after the link with hash `previous`. The
    /// migration defines its input.
    #[must_use]
    pub fn link_hash(&self, previous: LinkHash, position: i64) -> LinkHash {
        let mut hash = Sha256::new_with_prefix(previous.0);
        for number in [position, self.id, self.at] {
            hash.update(number.to_be_bytes());
        }
        optional(&mut hash, self.actor_id);
        for value in [&self.actor, &self.address, &self.action] {
            text(&mut hash, value);
        }
        optional(&mut hash, self.structure_id);
        optional(&mut hash, self.technical_user_id);
        for value in [&self.subject, &self.detail] {
            text(&mut hash, value);
        }
        LinkHash(hash.finalize().into())
    }
}

fn optional(hash: &mut Sha256, number: Option<i64>) {
    match number {
        None => hash.update([0]),
        Some(number) => {
            hash.update([1]);
            hash.update(number.to_be_bytes());
        }
    }
}

/// Length-prefixed, so that rows which differ only in where one text ends and the next begins give
/// different bytes.
fn text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

/// A link, with its event where that still exists.
#[derive(Clone, Debug)]
pub struct Link {
    /// From 1, without gaps.
    pub position: i64,
    pub event_id: i64,
    pub hash: LinkHash,
    /// `None` where the event is missing.
    pub event: Option<StoredEvent>,
}

impl Link {
    /// Whether its hash is correct after the link with hash `previous`.
    #[must_use]
    pub fn follows(&self, previous: LinkHash) -> bool {
        self.event.as_ref().is_some_and(|event| event.link_hash(previous, self.position) == self.hash)
    }
}

/// The first defect of a chain.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    #[error("position {expected}: the link is missing or out of place; position {found} comes next")]
    MissingLink { expected: i64, found: i64 },
    #[error("position {position}: event {event_id} is missing")]
    MissingEvent { position: i64, event_id: i64 },
    #[error("position {position}: event {event_id} was changed after it was written")]
    ChangedEvent { position: i64, event_id: i64 },
    #[error("position {position}: the link's hash was changed; its event {event_id} is as it was written")]
    ChangedLink { position: i64, event_id: i64 },
    #[error(
        "position {position}: the link was made for event {made_for} and now names event {event_id}: links were reordered"
    )]
    WrongEvent { position: i64, event_id: i64, made_for: i64 },
    /// Which of the two cannot be determined without a next link.
    #[error("position {position}, the last: event {event_id} or its link was changed after it was written")]
    ChangedLast { position: i64, event_id: i64 },
    #[error("position {position}: links were reordered, or this one and the next, or their events, were changed")]
    Reordered { position: i64 },
    #[error("event {event_id} is outside the chain: it was written behind its back, or its link was removed")]
    Outside { event_id: i64 },
    #[error("the chain ends at position {last}, before the noted head {noted}: its end was cut off")]
    CutOff { last: i64, noted: i64 },
    #[error("position {position}: the hash is not the noted one: the chain was made anew")]
    MadeAnew { position: i64 },
}

/// Verifies a chain link by link, from the first.
#[derive(Debug)]
pub struct Walk {
    head: Head,
    /// An earlier head, which must be part of the chain.
    noted: Option<Head>,
}

/// Why a walk stopped.
#[derive(Debug)]
pub enum Stop {
    /// This defect.
    Fault(Fault),
    /// The hash does not follow from the previous one; [`explain`] determines why.
    Mismatch { previous: LinkHash },
}

impl Walk {
    /// Begins before the first link; `noted` must be part of the chain.
    #[must_use]
    pub fn new(noted: Option<Head>) -> Self {
        Self { head: Head::NONE, noted }
    }

    /// Begins after a link that is known to be part of the chain.
    #[must_use]
    pub fn after(link: Head) -> Self {
        Self { head: link, noted: None }
    }

    /// The last link that was verified.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Verifies the next link, by position.
    ///
    /// # Errors
    /// [`Stop`].
    pub fn step(&mut self, link: &Link) -> Result<(), Stop> {
        let expected = self.head.position + 1;
        if link.position != expected {
            return Err(Stop::Fault(Fault::MissingLink { expected, found: link.position }));
        }
        if link.event.is_none() {
            return Err(Stop::Fault(Fault::MissingEvent { position: expected, event_id: link.event_id }));
        }
        if !link.follows(self.head.hash) {
            return Err(Stop::Mismatch { previous: self.head.hash });
        }
        self.head = Head { position: expected, hash: link.hash };
        if self.noted.is_some_and(|noted| noted.position == expected && noted.hash != link.hash) {
            return Err(Stop::Fault(Fault::MadeAnew { position: expected }));
        }
        Ok(())
    }

    /// Ends the walk and returns the head.
    ///
    /// # Errors
    /// [`Fault::CutOff`] where the chain ends before the noted head.
    pub fn end(self) -> Result<Head, Fault> {
        match self.noted {
            Some(noted) if noted.position > self.head.position => {
                Err(Fault::CutOff { last: self.head.position, noted: noted.position })
            }
            _ => Ok(self.head),
        }
    }
}

/// Determines why a link's hash does not follow from the previous one. The hash of the next link
/// covers this one's original hash; `made_for` is the event for which this link's hash is correct,
/// if there is one.
#[must_use]
pub fn explain(previous: LinkHash, link: &Link, next: Option<&Link>, made_for: Option<i64>) -> Fault {
    let (position, event_id) = (link.position, link.event_id);
    if let Some(made_for) = made_for {
        return Fault::WrongEvent { position, event_id, made_for };
    }
    let Some(next) = next else { return Fault::ChangedLast { position, event_id } };
    if next.follows(link.hash) {
        Fault::ChangedEvent { position, event_id }
    } else if link.event.as_ref().is_some_and(|event| next.follows(event.link_hash(previous, position))) {
        Fault::ChangedLink { position, event_id }
    } else {
        Fault::Reordered { position }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(id: i64) -> StoredEvent {
        StoredEvent {
            id,
            at: 1_800_000_000_123_456 + id,
            actor_id: Some(7),
            actor: "anne.martin@exemple.fr".into(),
            address: "192.0.2.1".into(),
            action: "PASSWORD_RESET".into(),
            structure_id: None,
            technical_user_id: Some(3),
            subject: "TECH_1".into(),
            detail: "l’ancien".into(),
        }
    }

    #[test]
    fn a_head_reads_back_and_nothing_else_is_one() {
        let head = Head { position: 12, hash: LinkHash([0xab; 32]) };
        assert_eq!(head.to_string().parse(), Ok(head));
        assert_eq!(head.to_string().to_uppercase().parse(), Ok(head));
        for text in ["", "12", "12:", "12:ab", ":ab", "-1:", &format!("-{head}"), &format!("{head}0")] {
            assert_eq!(text.parse::<Head>(), Err(HeadError), "{text}");
        }
    }

    #[test]
    fn a_cursor_is_a_position_with_or_without_a_hash() {
        let head = Head { position: 12, hash: LinkHash([0xab; 32]) };
        assert_eq!(head.to_string().parse(), Ok(Cursor::from(head)));
        assert_eq!(" 12\n".parse(), Ok(Cursor { position: 12, hash: None }));
        for text in ["", "-1", "12:", "12:ab", "a", "1.5", &format!("-{head}")] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }

    #[test]
    fn a_walk_goes_on_after_a_link_that_is_known() {
        let links = chain();
        let mut walk = Walk::after(Head { position: 1, hash: links[0].hash });
        assert!(walk.step(&links[1]).is_ok() && walk.step(&links[2]).is_ok());
        assert_eq!(walk.head(), Head { position: 3, hash: links[2].hash });
        assert!(Walk::after(Head { position: 1, hash: LinkHash([9; 32]) }).step(&links[1]).is_err());
    }

    #[test]
    fn every_column_and_every_border_between_two_of_them_counts() {
        let hash = |change: fn(&mut StoredEvent)| {
            let mut event = event(1);
            change(&mut event);
            event.link_hash(LinkHash::NONE, 1).0
        };
        let mut hashes = vec![
            hash(|_| ()),
            hash(|event| event.id = 2),
            hash(|event| event.at += 1),
            hash(|event| event.actor_id = None),
            hash(|event| event.actor.push(' ')),
            hash(|event| event.address.clear()),
            hash(|event| event.action = "PASSWORD_SHOWN".into()),
            hash(|event| event.structure_id = Some(3)),
            hash(|event| event.technical_user_id = None),
            // The same numbers and the same letters, elsewhere.
            hash(|event| (event.structure_id, event.technical_user_id) = (Some(3), None)),
            hash(|event| (event.subject, event.detail) = ("TECH_".into(), "1l’ancien".into())),
            hash(|event| (event.subject, event.detail) = (String::new(), "TECH_1l’ancien".into())),
            event(1).link_hash(LinkHash::NONE, 2).0,
            event(1).link_hash(LinkHash([1; 32]), 1).0,
        ];
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    fn any_event() -> impl Strategy<Value = StoredEvent> {
        // Few values and short texts, so that rows are often nearly alike.
        let number = || prop_oneof![Just(0), Just(1), any::<i64>()];
        let text = || "[\0\x01a]{0,3}".boxed();
        let who = (number(), number(), prop::option::of(number()), text(), text(), text());
        let what = (prop::option::of(number()), prop::option::of(number()), text(), text());
        (who, what).prop_map(
            |((id, at, actor_id, actor, address, action), (structure_id, technical_user_id, subject, detail))| {
                StoredEvent {
                    id,
                    at,
                    actor_id,
                    actor,
                    address,
                    action,
                    structure_id,
                    technical_user_id,
                    subject,
                    detail,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn two_rows_that_differ_have_two_hashes(one in any_event(), other in any_event(), places in any::<(u8, u8)>(), before in any::<(bool, bool)>()) {
            let hash = |event: &StoredEvent, place: u8, before: bool| {
                event.link_hash(if before { LinkHash([1; 32]) } else { LinkHash::NONE }, i64::from(place))
            };
            let are_alike = format!("{one:?}") == format!("{other:?}") && places.0 == places.1 && before.0 == before.1;
            prop_assert_eq!(hash(&one, places.0, before.0) == hash(&other, places.1, before.1), are_alike);
            prop_assert_eq!(hash(&one, places.0, before.0), hash(&one.clone(), places.0, before.0));
        }

        #[test]
        fn letters_moved_over_a_border_are_noticed(text in "[a-c]{1,12}", cut in any::<(prop::sample::Index, prop::sample::Index)>()) {
            let (one, other) = (cut.0.index(text.len() + 1), cut.1.index(text.len() + 1));
            let at = |cut: usize| {
                let (subject, detail) = (text[..cut].to_owned(), text[cut..].to_owned());
                StoredEvent { subject, detail, ..event(1) }.link_hash(LinkHash::NONE, 1)
            };
            prop_assert_eq!(at(one) == at(other), one == other);
        }

        #[test]
        fn any_head_reads_back_and_no_text_makes_it_panic(position in 0..=i64::MAX, hash in any::<[u8; 32]>(), text in any::<String>()) {
            let head = Head { position, hash: LinkHash(hash) };
            prop_assert_eq!(format!(" {head}\n").parse(), Ok(head));
            prop_assert!(text.parse::<Head>().is_err());
        }

        #[test]
        fn a_chain_of_any_events_is_whole_and_any_change_stops_the_walk(
            mut events in prop::collection::vec(any_event(), 1..8), changed in any::<prop::sample::Index>(), other in any_event()
        ) {
            let mut head = Head::NONE;
            let mut links = Vec::new();
            for event in events.drain(..) {
                let position = head.position + 1;
                head = Head { position, hash: event.link_hash(head.hash, position) };
                links.push(Link { position, event_id: event.id, hash: head.hash, event: Some(event) });
            }
            prop_assert_eq!(walk(&links, Some(head)), Ok(head));
            let at = changed.index(links.len());
            let is_the_same = format!("{:?}", links[at].event) == format!("{:?}", Some(&other));
            links[at].event = Some(other);
            prop_assert_eq!(walk(&links, None).is_ok(), is_the_same);
            links[at].event = None;
            prop_assert!(walk(&links, None).is_err());
            links.truncate(at);
            prop_assert!(walk(&links, Some(head)).is_err(), "cut off");
            prop_assert!(walk(&links, None).is_ok(), "and nothing tells without a noted head");
        }
    }

    fn walk(links: &[Link], noted: Option<Head>) -> Result<Head, String> {
        let mut walk = Walk::new(noted);
        for link in links {
            walk.step(link).map_err(|stop| format!("{stop:?}"))?;
        }
        walk.end().map_err(|fault| fault.to_string())
    }

    /// Three links over three events.
    fn chain() -> Vec<Link> {
        let mut before = LinkHash::NONE;
        let link = |position| {
            let event = event(position + 10);
            before = event.link_hash(before, position);
            Link { position, event_id: event.id, hash: before, event: Some(event) }
        };
        (1..=3).map(link).collect()
    }

    #[test]
    fn a_walk_tells_a_missing_link_a_missing_event_and_a_chain_made_anew() {
        let links = chain();
        let stop = |links: &[Link], noted| walk(links, noted).unwrap_err();
        assert_eq!(stop(&links[1..], None), "Fault(MissingLink { expected: 1, found: 2 })");
        let mut without = links.clone();
        without[1].event = None;
        assert_eq!(stop(&without, None), "Fault(MissingEvent { position: 2, event_id: 12 })");
        let noted = |position, hash| Some(Head { position, hash });
        assert_eq!(stop(&links, noted(2, LinkHash([9; 32]))), "Fault(MadeAnew { position: 2 })");
        for (position, link) in (1..).zip(&links) {
            assert!(walk(&links, noted(position, link.hash)).is_ok());
        }
        assert!(stop(&links, noted(4, links[2].hash)).contains("cut off"));
        assert_eq!(walk(&[], None), Ok(Head::NONE));
    }

    #[test]
    fn the_next_link_tells_what_was_changed() {
        let links = chain();
        let changed = |change: fn(&mut Link)| {
            let mut link = links[1].clone();
            change(&mut link);
            link
        };
        let (before, next) = (links[0].hash, Some(&links[2]));
        let (position, event_id) = (2, 12);
        let event = changed(|link| link.event.as_mut().unwrap().detail.push('!'));
        assert_eq!(explain(before, &event, next, None), Fault::ChangedEvent { position, event_id });
        let hash = changed(|link| link.hash = LinkHash([3; 32]));
        assert_eq!(explain(before, &hash, next, None), Fault::ChangedLink { position, event_id });
        let both = changed(|link| (link.hash, link.event.as_mut().unwrap().at) = (LinkHash([3; 32]), 0));
        assert_eq!(explain(before, &both, next, None), Fault::Reordered { position });
        assert_eq!(explain(before, &event, None, None), Fault::ChangedLast { position, event_id });
        assert_eq!(explain(before, &event, next, Some(13)), Fault::WrongEvent { position, event_id, made_for: 13 });
    }
}
