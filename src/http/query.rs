//! Query strings: each parameter once, none unknown, every fault reported at once as 400.

use super::body::{Faults, decode};
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::paging::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::kernel::text::Broken;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use serde_json::{Map, Value as Json};
use std::str::FromStr;

/// The longest query string.
const MAX_QUERY: usize = 4096;

/// One parameter, read from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param<T>(pub T);

impl<T: FromStr> Deserr<Faults> for Param<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef) -> Result<Self, Faults> {
        match value {
            Value::String(text) => text.parse().map(Self).map_err(|_| Faults::one(at, Broken::Malformed)),
            _ => Err(Faults::one(at, Broken::WrongType)),
        }
    }
}

/// The size of a page: 1 to 1,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub i64);

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl FromStr for Limit {
    type Err = Broken;
    fn from_str(text: &str) -> Result<Self, Broken> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n| digits && (1..=MAX_LIMIT).contains(n)).map(Self).ok_or(Broken::OutOfRange)
    }
}

/// Reads a query string into `Q`.
pub fn parse<Q: Deserr<Faults>>(query: &str) -> Result<Q, Fault> {
    let wrong = |fields| Err(Fault::parameters(fields));
    if query.len() > MAX_QUERY {
        return wrong(Vec::new());
    }
    let mut given = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        // Invalid UTF-8 arrives as U+FFFD, which no parameter may hold.
        if value.contains('\u{fffd}') || value.contains('\0') {
            return wrong(vec![FieldFault { pointer: name.into_owned(), code: Broken::ForbiddenCharacter }]);
        }
        if given.insert(name.to_string(), Json::String(value.into_owned())).is_some() {
            return wrong(vec![FieldFault { pointer: name.into_owned(), code: Broken::Duplicate }]);
        }
    }
    decode(Json::Object(given)).or_else(|fields| wrong(fields.into_iter().map(|field| FieldFault { pointer: field.pointer.trim_start_matches('/').to_owned(), ..field }).collect()))
}

/// No parameters.
#[derive(Debug, Deserr)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct NoQuery {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::code::Code;

    #[derive(Debug, Deserr)]
    #[deserr(error = Faults, deny_unknown_fields)]
    struct Sample {
        #[deserr(default)]
        limit: Option<Param<Limit>>,
        #[deserr(default)]
        q: Option<String>,
    }

    #[test]
    fn limits_are_one_to_a_thousand() {
        assert_eq!(parse::<Sample>("limit=1000&q=%E5%B1%8A").unwrap().limit.unwrap().0, Limit(1000));
        assert_eq!(parse::<Sample>("q=%E5%B1%8A").unwrap().q.unwrap(), "届");
        for query in ["limit=0", "limit=-1", "limit=1001", "limit=1e9", "limit=+5", "limit=", "limit=5&limit=5", "x=1", "q=%ff", "q=%00"] {
            assert_eq!(parse::<Sample>(query).unwrap_err().code, Code::InvalidParameter, "{query}");
        }
    }
}
