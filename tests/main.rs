//! The portal, journey by journey: each test visits a router over a database of its own.

mod access;
mod api;
mod attacks;
mod common;
mod creation;
mod deadlines;
mod documents;
mod forgotten_password;
mod history;
mod identity;
mod known_passwords;
mod labels;
mod malformed;
mod members;
mod model;
mod operator;
mod reset;
mod rotation;
mod rules;
mod sessions;
mod shown_once;
mod sign_in;
mod structures;
mod succession;
mod unavailable;
mod upkeep;
