//! Who is asking: the signed-in visitor, what they may act on, the session, sign-in, the second
//! factor.

pub mod address_confirmation;
pub mod authority;
pub mod code;
pub mod confirmation;
pub mod forgotten_password;
pub mod fresh_form;
pub mod invitation;
pub mod kept_form;
pub mod pages;
pub mod provider;
pub mod session;
pub mod sign_in;
pub mod verification;
pub mod visitor;
