//! What an operator does: the real binary, its commands, its start, its end and its faults.

mod audit;
mod backup;
mod binary;
mod commands;
mod connections;
mod faults;
mod kills;
mod log;
mod mails;
mod outages;
mod permissions;
mod postgres;
mod roles;
mod secrets;
mod smtp;
mod smuggling;
