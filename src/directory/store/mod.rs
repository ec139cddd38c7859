//! The directory's rows, one file per noun. A value that is not what its column promises is our fault, not the caller's.

pub mod client;
pub mod credential;
pub mod customer;
pub mod partner;
pub mod subject;
pub mod subscription;
pub mod vendor;

use crate::kernel::error::Fault;
use std::fmt::Debug;
use std::str::FromStr;

/// A stored word as its type.
pub(super) fn word<T: FromStr<Err: Debug>>(text: String) -> Result<T, Fault> {
    text.parse().map_err(|e| Fault::internal(format!("a stored value is broken: {e:?}")))
}

/// The same for a column that may be empty.
pub(super) fn maybe<T: FromStr<Err: Debug>>(text: Option<String>) -> Result<Option<T>, Fault> {
    text.map(word).transpose()
}
