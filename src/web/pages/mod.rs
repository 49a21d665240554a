pub mod activities;
pub mod errors;
pub mod my_account;
pub mod sign_in;
pub mod static_pages;
pub mod structures;
pub mod summary;
pub mod technical_users;
