//! The name of a writer's schema.

use std::fmt;

use uuid::Uuid;

/// How a message names the schema it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum WriterSchema {
    /// By its id in the registry.
    Id(u32),
    /// By its GUID, the same in every registry: 16 bytes of a UUID.
    Guid([u8; 16]),
}

impl fmt::Display for WriterSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Guid(guid) => Uuid::from_bytes(*guid).fmt(f),
        }
    }
}
