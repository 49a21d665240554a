//! The portal as a relying party of OpenID Connect, after the rules of ProConnect: code flow with
//! PKCE, and signed tokens. It asks the provider and judges its answers; whom they let in is for
//! `db::identity` to say.

mod client;
mod credential;
mod discovery;
mod error;
mod http;
mod provider;
mod user_info;

pub use client::{Asked, Redemption, Vouched};
pub use error::ProviderError;
pub use provider::{IdentityProvider, ReturnAddresses};
