//! The one error: what went wrong, where in the input, when to try again. Free of HTTP; only `http/problem.rs` knows status codes.

use super::code::Code;
use super::text::Broken;
use std::fmt;

/// One thing wrong with the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// JSON pointer into the body, or the name of a query parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub code: Broken,
}

/// The most faults of one body that are told.
pub const MAX_FIELDS: usize = 100;

/// Why a request was not carried out.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The kind of problem.
    pub code: Code,
    /// Everything wrong with the input, when that is the problem.
    pub fields: Vec<FieldFault>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
    /// The budget that is used up.
    pub policy: Option<&'static str>,
    /// For the log alone, never for the answer.
    pub cause: Option<String>,
}

impl Fault {
    /// A problem of this kind.
    pub fn of(code: Code) -> Self {
        Self { code, fields: Vec::new(), retry_after: None, policy: None, cause: None }
    }

    /// Fields of the body that are wrong; of more the first [`MAX_FIELDS`] are told.
    pub fn invalid(mut fields: Vec<FieldFault>) -> Self {
        fields.truncate(MAX_FIELDS);
        Self { fields, ..Self::of(Code::ValidationFailed) }
    }

    /// Parameters of the query that are wrong; a pointer is the parameter's name.
    pub fn parameters(fields: Vec<FieldFault>) -> Self {
        Self { fields, ..Self::of(Code::InvalidParameter) }
    }

    /// One field of the body that is wrong.
    pub fn field(pointer: &str, code: Broken) -> Self {
        Self::invalid(vec![FieldFault { pointer: pointer.to_owned(), code }])
    }

    /// A field that names something that does not exist for this caller.
    pub fn reference(pointer: &str) -> Self {
        let fields = vec![FieldFault { pointer: pointer.to_owned(), code: Broken::ReferenceNotFound }];
        Self { fields, ..Self::of(Code::ReferenceNotFound) }
    }

    /// Our own fault; the cause is logged and never shown.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::of(Code::InternalError) }
    }

    /// A passing inability.
    pub fn unavailable(code: Code, cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), retry_after: Some(1), ..Self::of(code) }
    }

    /// The same, to be tried again after so many seconds.
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        Self::of(code)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.slug())?;
        for field in &self.fields {
            write!(f, " {}={}", field.pointer, field.code.slug())?;
        }
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
