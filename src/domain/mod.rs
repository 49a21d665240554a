//! The rules, and nothing else: no database, no web framework, no clock, no source of randomness of
//! its own.

pub mod audit;
pub mod audit_chain;
pub mod batch;
pub mod characters;
pub mod contact_address;
pub mod credential;
pub mod envelope;
pub mod handover;
pub mod known_browser;
pub mod link_lifetime;
pub mod network;
pub mod new_person;
pub mod notification;
pub mod operator;
pub mod password;
pub mod person;
pub mod provider_attempt;
pub mod provider_session;
pub mod random;
pub mod restrictions;
pub mod role;
pub mod rotation;
mod scripts;
mod sealing;
pub mod search_key;
pub mod second_factor;
pub mod service;
pub mod session_lifetime;
pub mod signing_key;
pub mod structure;
pub mod structure_identifier;
pub mod technical_user;
pub mod territory;
pub mod user_agent;
pub mod verifier;
pub mod wiped;
