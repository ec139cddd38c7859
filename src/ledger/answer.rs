//! The answer of a write, as bytes: what is sent, and what an equal request gets again.

use crate::kernel::error::Fault;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An answer ready to be sent and remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers of its own (`ETag`, `Location`).
    pub headers: Vec<(String, String)>,
    /// The body, as it goes over the wire.
    pub body: String,
    /// The body without a one-time secret, when the first one holds one.
    pub without_secret: Option<String>,
    /// What was changed, for the audit: one entry each. Empty means nothing was.
    pub subjects: Vec<Uuid>,
    /// Rows refused because what they name is not there for the caller.
    pub refused: i32,
}

/// How an answer lies in the database, sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub body: String,
    pub without_secret: Option<String>,
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: u16, view: &impl Serialize) -> Result<Self, Fault> {
        let body = serde_json::to_string(view).map_err(Fault::internal)?;
        Ok(Self { status, headers: Vec::new(), body, without_secret: None, subjects: Vec::new(), refused: 0 })
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), without_secret: None, subjects: Vec::new(), refused: 0 }
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// About these things.
    pub fn about(mut self, subjects: impl IntoIterator<Item = Uuid>) -> Self {
        self.subjects.extend(subjects);
        self
    }

    /// With so many rows refused because what they name is not there for the caller.
    pub fn refusing(mut self, rows: usize) -> Self {
        self.refused = i32::try_from(rows).unwrap_or(i32::MAX);
        self
    }

    /// Of a deed that was undone: its secret opens nothing and is not shown.
    pub fn undone(mut self) -> Self {
        if let Some(plain) = self.without_secret.take() {
            self.body = plain;
        }
        self
    }

    /// With the body to be replayed once its secret may no longer be shown.
    pub fn secret(mut self, without: &impl Serialize) -> Result<Self, Fault> {
        self.without_secret = Some(serde_json::to_string(without).map_err(Fault::internal)?);
        Ok(self)
    }
}
