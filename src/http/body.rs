//! Bodies in: read within size and time, and parsed JSON turned into typed drafts with every fault reported at once (SECURITY c.6).

use super::room::Room;
use crate::kernel::change::Patch;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault, MAX_FIELDS};
use crate::kernel::id::{CustomerId, NotAnId, OverrideId, PartnerId, ReportId, ScorecardId, SubscriptionId};
use crate::kernel::money::Currency;
use crate::kernel::text::{Broken, Comment, CorporateNumber, ExternalId, Key, Label, Link, Name};
use actix_web::http::header;
use actix_web::{HttpRequest, dev, web};
use chrono::{DateTime, NaiveDate, Utc};
use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, MergeWithError, Value, ValuePointerRef};
use futures_util::StreamExt;
use std::ops::ControlFlow;
use std::time::Duration;

/// The largest body of a single operation.
pub const MAX_BODY: usize = 256 * 1024;
/// A body may take this long to arrive, and longer only at 1 KiB/s or more.
const PATIENCE: Duration = Duration::from_secs(10);
/// However steadily it comes, a body of the smaller limit must be there by then, and one of a batch by then: it holds a place.
const LONGEST: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(120));

/// Refuses media types and encodings no operation reads. A missing body needs no type.
pub fn check_media_type(request: &HttpRequest, expected: &str) -> Result<(), Fault> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(Fault::of(Code::UnsupportedMediaType));
    }
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let type_fits = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(expected));
    let rest_fits = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if type_fits && rest_fits { Ok(()) } else { Err(Fault::of(Code::UnsupportedMediaType)) }
}

/// Reads a body of at most `limit` bytes before the deadline; one of a batch takes room as it comes.
pub async fn read(request: &HttpRequest, payload: &mut dev::Payload, limit: usize, mut room: Option<&mut Room>) -> Result<web::Bytes, Fault> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let begun = tokio::time::Instant::now();
    // What is announced need not come.
    let mut body = web::BytesMut::with_capacity(announced.unwrap_or(0).min(MAX_BODY));
    loop {
        // The deadline moves on as bytes come: 1 KiB buys a second.
        let longest = if limit > MAX_BODY { LONGEST.1 } else { LONGEST.0 };
        let deadline = begun + longest.min(PATIENCE + Duration::from_secs(body.len() as u64 / 1024));
        match tokio::time::timeout_at(deadline, payload.next()).await {
            Err(_) => return Err(Fault::of(Code::RequestTimeout)),
            Ok(None) => return Ok(body.freeze()),
            Ok(Some(Err(_))) => return Err(Fault::of(Code::MalformedRequest)),
            Ok(Some(Ok(bytes))) if body.len() + bytes.len() > limit => return Err(too_large()),
            Ok(Some(Ok(bytes))) => {
                room.as_mut().map_or(Ok(()), |room| room.grow(bytes.len()))?;
                body.extend_from_slice(&bytes);
            }
        }
    }
}

/// It is the body as a whole that is too long.
fn too_large() -> Fault {
    Fault { fields: vec![FieldFault { pointer: String::new(), code: Broken::TooLong }], ..Fault::of(Code::PayloadTooLarge) }
}

/// Turns parsed JSON into a draft; all faults at once, a pointer each.
pub fn decode<T: Deserr<Faults>>(value: impl IntoValue) -> Result<T, Vec<FieldFault>> {
    deserr::deserialize::<T, _, Faults>(value).map_err(|faults| faults.0)
}

/// Everything wrong with a body.
#[derive(Debug)]
pub struct Faults(Vec<FieldFault>);

impl Faults {
    fn at(location: ValuePointerRef, code: Broken) -> FieldFault {
        FieldFault { pointer: pointer(location), code }
    }

    /// One fault at a place, for hand-written checks inside a draft.
    pub fn one(location: ValuePointerRef, code: Broken) -> Self {
        Self(vec![Self::at(location, code)])
    }
}

/// The longest key that stands whole in a pointer; the rest of a longer one is not sent back.
const MAX_KEY: usize = 64;

/// A key as a part of a JSON pointer (RFC 6901).
pub fn escape(key: &str) -> String {
    key.chars().take(MAX_KEY).collect::<String>().replace('~', "~0").replace('/', "~1")
}

/// A JSON pointer (RFC 6901).
fn pointer(location: ValuePointerRef) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev } => format!("{}/{}", pointer(*prev), escape(key)),
        ValuePointerRef::Index { index, prev } => format!("{}/{index}", pointer(*prev)),
    }
}

impl MergeWithError<Faults> for Faults {
    fn merge(before: Option<Self>, mut other: Faults, _: ValuePointerRef) -> ControlFlow<Self, Self> {
        let mut all = before.map_or_else(Vec::new, |faults| faults.0);
        all.append(&mut other.0);
        if all.len() >= MAX_FIELDS { ControlFlow::Break(Self(all)) } else { ControlFlow::Continue(Self(all)) }
    }
}

impl DeserializeError for Faults {
    fn error<V: IntoValue>(before: Option<Self>, error: ErrorKind<V>, location: ValuePointerRef) -> ControlFlow<Self, Self> {
        let fault = match error {
            ErrorKind::IncorrectValueKind { .. } => Self::at(location, Broken::WrongType),
            ErrorKind::MissingField { field } => Self::at(location.push_key(field), Broken::Required),
            // The caller's own spelling of the key is part of a pointer and nothing else.
            ErrorKind::UnknownKey { key, .. } => Self::at(location.push_key(key), Broken::UnknownField),
            ErrorKind::UnknownValue { .. } => Self::at(location, Broken::NotInSet),
            ErrorKind::BadSequenceLen { .. } | ErrorKind::Unexpected { .. } => Self::at(location, Broken::OutOfRange),
        };
        Self::merge(before, Self(vec![fault]), location)
    }
}

/// Reads a word from a JSON string.
pub fn from_text<V: IntoValue, T>(value: Value<V>, at: ValuePointerRef, read: impl FnOnce(&str) -> Result<T, Broken>) -> Result<T, Faults> {
    match value {
        Value::String(text) => read(&text).map_err(|code| Faults::one(at, code)),
        _ => Err(Faults::one(at, Broken::WrongType)),
    }
}

macro_rules! words {
    ($($name:ty),* $(,)?) => {$(
        impl Deserr<Faults> for $name {
            fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef) -> Result<Self, Faults> {
                from_text(value, at, |text| text.parse())
            }
        }
    )*};
}
words!(ExternalId, Name, Label, Key, Comment, Link, CorporateNumber, Currency, crate::kernel::time::Zone);

/// Lets a word list into bodies and into the API document.
#[macro_export]
macro_rules! wire_words {
    ($($name:ty),* $(,)?) => {$(
        impl deserr::Deserr<$crate::http::body::Faults> for $name {
            fn deserialize_from_value<V: deserr::IntoValue>(value: deserr::Value<V>, at: deserr::ValuePointerRef) -> Result<Self, $crate::http::body::Faults> {
                $crate::http::body::from_text(value, at, |text| text.parse())
            }
        }
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::SchemaType::Type(utoipa::openapi::schema::Type::String))
                    .enum_values(Some(<$name>::ALL.iter().map(|word| word.as_str())))
                    .build()
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> { std::borrow::Cow::Borrowed(stringify!($name)) }
        }
    )*};
}

macro_rules! references {
    ($($name:ty),* $(,)?) => {$(
        impl Deserr<Faults> for $name {
            // An id that is not one names nothing: the same answer as for one that does not exist.
            fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef) -> Result<Self, Faults> {
                from_text(value, at, |text| text.parse().map_err(|NotAnId| Broken::ReferenceNotFound))
            }
        }
    )*};
}
references!(CustomerId, PartnerId, SubscriptionId, ReportId, ScorecardId, OverrideId);

/// A date, `YYYY-MM-DD`, between 1900 and 2200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub NaiveDate);

impl std::str::FromStr for Day {
    type Err = Broken;
    fn from_str(text: &str) -> Result<Self, Broken> {
        use chrono::Datelike;
        let form = text.len() == 10 && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        let day: NaiveDate = if form { text.parse().map_err(|_| Broken::Malformed)? } else { return Err(Broken::Malformed) };
        if (1900..2200).contains(&day.year()) { Ok(Self(day)) } else { Err(Broken::OutOfRange) }
    }
}

/// A moment, RFC 3339 with any offset, between 1900 and 2200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

impl std::str::FromStr for Instant {
    type Err = Broken;
    fn from_str(text: &str) -> Result<Self, Broken> {
        use chrono::Datelike;
        let moment = DateTime::parse_from_rfc3339(text).map_err(|_| Broken::Malformed)?.with_timezone(&Utc);
        if (1900..2200).contains(&moment.year()) { Ok(Self(crate::kernel::time::to_micros(moment))) } else { Err(Broken::OutOfRange) }
    }
}
words!(Day, Instant);

impl<T: Deserr<Faults>> Deserr<Faults> for Patch<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, at: ValuePointerRef) -> Result<Self, Faults> {
        match value {
            Value::Null => Ok(Self::Clear),
            value => T::deserialize_from_value(value, at).map(Self::Set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Deserr)]
    #[deserr(error = Faults, deny_unknown_fields)]
    #[allow(dead_code, reason = "only its faults are looked at")]
    struct Sample {
        name: Name,
        count: i64,
        #[deserr(default)]
        on: Option<Day>,
        #[deserr(default)]
        list: Vec<Key>,
    }

    fn faults(text: &str) -> Vec<(String, &'static str)> {
        let fields = decode::<Sample>(parse(text.as_bytes()).unwrap()).unwrap_err();
        fields.into_iter().map(|f| (f.pointer, f.code.slug())).collect()
    }

    #[test]
    fn every_fault_is_reported_with_its_place() {
        let found = faults(r#"{"name":"a\u0000","count":"1","on":"2026-02-30","list":["ok","Nö"],"a/b~c":1}"#);
        for expected in [("/name", "forbidden-character"), ("/count", "wrong-type"), ("/on", "malformed"), ("/list/1", "malformed"), ("/a~1b~0c", "unknown-field")] {
            assert!(found.contains(&(expected.0.to_owned(), expected.1)), "{expected:?} in {found:?}");
        }
        assert_eq!(found.len(), 5);
        assert_eq!(faults("{}"), [("/name".to_owned(), "required"), ("/count".to_owned(), "required")]);
        assert_eq!(faults("[]"), [(String::new(), "wrong-type")]);
        for number in ["1.0", "9223372036854775808", "true"] {
            assert_eq!(faults(&format!(r#"{{"name":"a","count":{number}}}"#))[0].0, "/count");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = parse(&bytes) {
                let _ = decode::<Sample>(value);
            }
        }
    }
}
