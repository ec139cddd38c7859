//! HTTP as this API speaks it: problems, strict bodies and queries, sealed cursors, ETags, limits, the request's trace and
//! the finishing of the API document. Nothing here knows who calls or what is asked.

pub mod body;
pub mod cursor;
pub mod etag;
pub mod idempotency;
pub mod interval;
pub mod json;
pub mod limit;
pub mod page;
pub mod problem;
pub mod query;
pub mod room;
pub mod row;
pub mod spec;
pub mod trace;
pub mod unread;
