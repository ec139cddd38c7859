//! Positions in lists, sealed: bound to the caller, the route and the filters, unreadable and unforgeable (SECURITY b.5).

use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::state::{Keys, Purpose, base64url, from_base64url};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Seals a position for one list of one caller; `list` names both.
pub fn seal<P: Serialize>(keys: &Keys, list: &str, position: &P) -> Result<String, Fault> {
    let plain = serde_json::to_vec(position).map_err(Fault::internal)?;
    Ok(base64url(&keys.seal(Purpose::Cursor, list.as_bytes(), &plain)?))
}

/// Opens a cursor of the same list and caller.
pub fn open<P: DeserializeOwned>(keys: &Keys, list: &str, cursor: &str) -> Result<P, Fault> {
    from_base64url(cursor)
        .and_then(|sealed| keys.open(Purpose::Cursor, list.as_bytes(), &sealed))
        .and_then(|plain| serde_json::from_slice(&plain).ok())
        .ok_or_else(|| Fault::of(Code::InvalidCursor))
}
