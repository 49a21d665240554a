//! What a cluster keeps when the machine loses power.

/// What a cluster keeps when the machine loses power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every committed transaction. For the portal.
    Durable,
    /// Nothing, and it is faster. For the tests.
    Throwaway,
}
