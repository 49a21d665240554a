//! What an operator does: the real binary, its commands, its start, its end and its faults.

mod audit;
mod binary;
mod commands;
mod faults;
mod mails;
