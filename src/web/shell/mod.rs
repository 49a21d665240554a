//! What all pages share: layout, form errors, notices, template filters, pagination, static files.

pub mod filters;
pub mod form;
pub mod layout;
pub mod notice;
pub mod pagination;
pub mod static_files;
pub mod values;
