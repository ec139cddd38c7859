//! From a database error to a fault. Constraint names and details stay in the log; a store that expects a certain
//! constraint to speak asks [`violated`].

use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use diesel::result::{DatabaseErrorKind, Error};

/// What PostgreSQL says of a full disk: the error of the system, or that it wrote less than it wanted to, or what to do about it.
const FULL: [&str; 3] = ["No space left on device", "could not extend file", "Check free disk space"];

/// A database error in the words of the house.
pub fn fault(error: Error) -> Fault {
    match &error {
        Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection, info) => Fault::unavailable(Code::DatabaseUnavailable, info.message()),
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, info) => Fault::unavailable(Code::Overloaded, info.message()),
        // The SQLSTATE is not passed on by the client library; roles run with lc_messages = C, so the words are stable.
        Error::DatabaseError(DatabaseErrorKind::Unknown, info) => {
            let message = info.message();
            let code = if message.contains("canceling statement due to") || message.contains("deadlock detected") {
                Code::Overloaded
            } else if FULL.iter().any(|part| [Some(message), info.details(), info.hint()].into_iter().flatten().any(|text| text.contains(part))) {
                Code::StorageExhausted
            } else if ["terminating connection", "the database system is", "too many clients", "remaining connection slots"].iter().any(|part| message.contains(part)) {
                Code::DatabaseUnavailable
            } else {
                return Fault::internal(describe(&error));
            };
            Fault::unavailable(code, message)
        }
        _ => Fault::internal(describe(&error)),
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::DatabaseError(kind, info) => {
            format!("{kind:?}: {} (table {:?}, constraint {:?})", info.message(), info.table_name(), info.constraint_name())
        }
        other => other.to_string(),
    }
}

/// The name of the constraint an error speaks of.
pub fn violated(error: &Error) -> Option<&str> {
    match error {
        Error::DatabaseError(_, info) => info.constraint_name(),
        _ => None,
    }
}
