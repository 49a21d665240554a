//! The share of one account: of the database connections for calls, and of the memory for answers.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::error::ApiError;
use crate::{
    db::api::PresentedCredentials,
    web::edge::shares::{Share, Shares, UsedUp},
};

/// Statements of one account that run at a time.
const STATEMENTS: u32 = 4;
/// The most calls of one account that wait for one of its statements to end.
const WAITING: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Kilobytes of answers that one account may leave unread. One answer has 2 MB at most.
const UNREAD_KB: u32 = 8 * 1024;
/// Shorter answers are not counted: the connection's own buffers hold them.
const SHORT_ANSWER: usize = 64 * 1024;
/// The most credentials whose account is remembered.
const MOST_KNOWN: usize = 10_000;

/// Whose share it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// An account by id.
    Known(i64),
    /// The digest of credentials that have not been judged yet.
    Presented(Vec<u8>),
}

impl From<UsedUp> for ApiError {
    fn from(_: UsedUp) -> Self {
        Self::TooManyRequests { seconds: 1 }
    }
}

/// See the module.
pub struct AccountShares {
    statements: Shares<Account>,
    answers: Shares<Account>,
    /// The accounts of credentials that were judged, so that all tokens of an account have one
    /// share. It authenticates nothing.
    known: Mutex<HashMap<Vec<u8>, i64>>,
}

impl Default for AccountShares {
    fn default() -> Self {
        Self { statements: Shares::of(STATEMENTS), answers: Shares::of(UNREAD_KB), known: Mutex::default() }
    }
}

impl AccountShares {
    fn known(&self) -> MutexGuard<'_, HashMap<Vec<u8>, i64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose credentials these are.
    pub fn account(&self, presented: &PresentedCredentials) -> Account {
        let digest = digest(presented);
        let known = self.known().get(digest).copied();
        known.map_or_else(|| Account::Presented(digest.to_vec()), Account::Known)
    }

    /// Remembers whose credentials these are.
    pub fn remember(&self, presented: &PresentedCredentials, technical_user_id: i64) {
        self.remember_digest(digest(presented), technical_user_id);
    }

    /// Remembers whose token this is.
    pub fn remember_digest(&self, digest: &[u8], technical_user_id: i64) {
        let mut known = self.known();
        if known.get(digest) == Some(&technical_user_id) {
            return;
        }
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(digest.to_vec(), technical_user_id);
    }

    /// Waits until the account may run one more statement.
    ///
    /// # Errors
    /// [`UsedUp`], after a while.
    pub async fn statement(&self, account: Account) -> Result<Share<Account>, UsedUp> {
        self.statements.wait(account, WAITING, LONGEST_WAIT).await
    }

    /// A JSON answer that counts as the account's until it is handed to the kernel.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`] where the account leaves too many answers unread.
    pub fn answer(&self, account: Account, answer: &impl Serialize) -> Result<Response, ApiError> {
        let json = serde_json::to_vec(answer).map_err(|error| {
            tracing::error!(cause = error.to_string(), "an answer could not be written");
            ApiError::Internal
        })?;
        let bytes = if json.len() <= SHORT_ANSWER {
            Bytes::from(json)
        } else {
            let kilobytes = u32::try_from(json.len() / 1024).unwrap_or(u32::MAX);
            Bytes::from_owner(Unread { json, _share: self.answers.take(account, kilobytes)? })
        };
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Ok((kind, Body::from(bytes)).into_response())
    }
}

/// An answer with the share that it takes.
struct Unread {
    json: Vec<u8>,
    _share: Share<Account>,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// The digest of a password is one account's; many tokens may be.
fn digest(presented: &PresentedCredentials) -> &[u8] {
    let password = presented.verifiers.as_ref().and_then(|verifiers| verifiers.first());
    let digest = password.map(|verifier| verifier.digest.as_slice());
    digest.or(presented.token_hash.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_leaves_answers_unread_gets_no_more_until_it_reads_and_others_do() {
        let shares = AccountShares::default();
        let text = "x".repeat(1_500_000);
        let answer = |id| shares.answer(Account::Known(id), &text);
        let unread: Vec<_> = (0..5).map(|_| answer(1).unwrap()).collect();
        assert_eq!(answer(1).err(), Some(ApiError::TooManyRequests { seconds: 1 }));
        assert!(shares.answer(Account::Known(1), &"short").is_ok());
        assert!(answer(2).is_ok());
        drop(unread);
        assert!(answer(1).is_ok());
    }

    #[test]
    fn all_tokens_of_an_account_have_one_share() {
        let shares = AccountShares::default();
        let token = |byte| PresentedCredentials { token_hash: Some(vec![byte]), verifiers: None };
        assert_eq!(shares.account(&token(1)), Account::Presented(vec![1]));
        shares.remember(&token(1), 7);
        shares.remember_digest(&[2], 7);
        assert_eq!((shares.account(&token(1)), shares.account(&token(2))), (Account::Known(7), Account::Known(7)));
    }
}
