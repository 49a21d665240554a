//! What a cluster survives.

/// What the cluster promises to keep when the machine loses power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every committed transaction: the portal.
    Durable,
    /// Nothing, and faster for it: the tests.
    Throwaway,
}
