//! Sign-in with the identity provider: leaving the portal, coming back, and the sign-out there.

pub mod arrival;
pub mod departure;
pub mod judgement;
pub mod pages;
pub mod sign_out;
