//! People: registration, sign-in, sessions, second factors, and their own account.

pub mod access;
pub mod account;
pub(in crate::db) mod acts_under_way;
pub mod calendar_links;
pub mod contact_addresses;
pub mod invitations;
pub mod known_browsers;
pub mod locks;
pub mod mailboxes;
pub mod passwords;
pub mod people;
pub mod provider_attempts;
pub mod provider_identities;
pub mod registration;
pub mod second_factors;
pub mod sessions;
pub mod sign_in;
