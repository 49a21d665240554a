//! One folder a journey: what people do once they are signed in, and the static pages.

pub mod activities;
pub mod export;
pub mod members;
pub mod my_account;
pub mod static_pages;
pub mod structures;
pub mod technical_users;
