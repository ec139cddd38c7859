//! ETags of mutable things: the version, in quotes. `If-Match` is demanded where a change could overwrite another's.

use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use actix_web::HttpRequest;
use actix_web::http::header;

/// The ETag of a version.
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any version.
    Any,
    /// Exactly this version.
    Version(i64),
    /// Something that is no ETag of ours and so never matches.
    Never,
}

impl IfMatch {
    /// Reads the header; 428 without it.
    pub fn required(request: &HttpRequest) -> Result<Self, Fault> {
        let value = request.headers().get(header::IF_MATCH).ok_or(Fault::of(Code::PreconditionRequired))?;
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        let version = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|digits| digits.parse().ok());
        Ok(version.map_or(Self::Never, Self::Version))
    }

    /// 412 unless the version is the one demanded.
    pub fn check(self, version: i64) -> Result<(), Fault> {
        match self {
            Self::Any => Ok(()),
            Self::Version(wanted) if wanted == version => Ok(()),
            _ => Err(Fault::of(Code::PreconditionFailed)),
        }
    }
}
