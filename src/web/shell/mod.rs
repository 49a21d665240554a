//! What every page shares: the frame, forms and their errors, notices, filters, pages of a list.

pub mod filters;
pub mod form;
pub mod layout;
pub mod notice;
pub mod pagination;
pub mod static_files;
pub mod values;
