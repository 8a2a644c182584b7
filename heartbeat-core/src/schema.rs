//! An Avro schema as it travels with a message.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

/// An Avro schema: its text, byte for byte as a registry holds it, and its parsed form.
///
/// Two schemas are equal when their texts are.
pub struct Schema {
    text: String,
    /// Avro's parsing canonical form: equal forms read the same bytes the same way.
    canonical: String,
    parsed: apache_avro::Schema,
}

impl Schema {
    /// Parses the JSON text of a schema.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is no Avro schema.
    pub fn parse(text: &str) -> Result<Arc<Self>> {
        let parsed = apache_avro::Schema::parse_str(text)
            .map_err(|error| Error::invalid("not an Avro schema").caused_by(error))?;
        Ok(Arc::new(Self {
            text: text.to_owned(),
            canonical: parsed.canonical_form(),
            parsed,
        }))
    }

    /// The schema's JSON text, as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The full name (`heartbeat.tweet`) of a record schema; `None` for an unnamed type.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.parsed.name().map(|name| name.fullname(None))
    }

    /// Whether data written with `other` can be read as if it were written with this one.
    #[must_use]
    pub fn same_layout(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.canonical == other.canonical
    }

    pub(crate) fn parsed(&self) -> &apache_avro::Schema {
        &self.parsed
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schema {}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.text).finish()
    }
}
