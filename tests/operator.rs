//! The real binary: its commands, start, stop, log and mails, and the faults around it.

mod audit;
mod audit_export;
mod backup;
mod batch_kills;
mod batch_secrets;
pub mod binary;
mod chaos;
mod cluster;
mod commands;
mod connections;
mod faults;
mod health;
mod imports;
mod kills;
mod load;
mod log;
mod mails;
mod outages;
mod people;
mod permissions;
mod postgres;
mod provider_proxy;
mod roles;
mod secrets;
mod smtp;
mod smuggling;
mod upgrade;
