//! JSON as bodies may be: every object key once, not too deep, not too many values (SECURITY c.6). Duplicate keys, depth, lone surrogates and numbers
//! out of range are syntax; the rest is schema.
//!
//! The tree is our own because of what it weighs: an object of two members takes a fifth of what a general map takes, and a batch holds 90,000 of them.

use super::body::escape;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::text::Broken;
use deserr::{IntoValue, Map, Value, ValueKind};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::cell::{Cell, RefCell};
use std::fmt;

/// The deepest nesting of arrays and objects.
const MAX_DEPTH: u8 = 16;
/// The most values of a body, so that a few bytes each cannot become a great deal of memory.
const MAX_VALUES: u32 = 4_000_000;
/// An object counts as so many values: even one of a single member takes some 150 bytes.
const OBJECT: u32 = 5;

/// A value.
#[derive(Debug)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer from 0 on.
    Natural(u64),
    /// One below.
    Negative(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// An object.
    Object(Members),
}

/// The members of an object as they stood; no key twice.
#[derive(Debug)]
pub struct Members(Vec<(String, Node)>);

impl Members {
    /// The keys in their order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(key, _)| key)
    }
}

impl Map for Members {
    type Value = Node;
    type Iter = std::vec::IntoIter<(String, Node)>;

    fn len(&self) -> usize {
        self.0.len()
    }
    fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.keys().position(|other| other == key)?;
        Some(self.0.remove(at).1)
    }
    fn into_iter(self) -> Self::Iter {
        self.0.into_iter()
    }
}

impl IntoValue for Node {
    type Sequence = Vec<Node>;
    type Map = Members;

    fn kind(&self) -> ValueKind {
        match self {
            Node::Null => ValueKind::Null,
            Node::Bool(_) => ValueKind::Boolean,
            Node::Natural(_) => ValueKind::Integer,
            Node::Negative(_) => ValueKind::NegativeInteger,
            Node::Float(_) => ValueKind::Float,
            Node::Text(_) => ValueKind::String,
            Node::List(_) => ValueKind::Sequence,
            Node::Object(_) => ValueKind::Map,
        }
    }

    fn into_value(self) -> Value<Self> {
        match self {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Boolean(value),
            Node::Natural(value) => Value::Integer(value),
            Node::Negative(value) => Value::NegativeInteger(value),
            Node::Float(value) => Value::Float(value),
            Node::Text(value) => Value::String(value),
            Node::List(items) => Value::Sequence(items),
            Node::Object(members) => Value::Map(members),
        }
    }
}

/// Parses: every object key once, at most 16 deep, nothing before or after. A fault points at where reading stopped.
pub fn parse(bytes: &[u8]) -> Result<Node, Fault> {
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let course = Course { left: Cell::new(MAX_VALUES), failed_at: RefCell::default(), failure: Cell::new(Broken::Malformed) };
    let value = Strict { depth: 0, course: &course }.deserialize(&mut source).and_then(|value| source.end().map(|()| value));
    value.map_err(|cause| {
        let fields = vec![FieldFault { pointer: course.failed_at.take(), code: course.failure.get() }];
        Fault { fields, cause: Some(cause.to_string()), ..Fault::of(Code::MalformedRequest) }
    })
}

/// What all values of a body share while they are read.
struct Course {
    /// How many more there may be.
    left: Cell<u32>,
    /// The pointer to where reading stopped, put together as the error goes up.
    failed_at: RefCell<String>,
    /// What is wrong there.
    failure: Cell<Broken>,
}

impl Course {
    fn failed_in(&self, member: &str) {
        self.failed_at.borrow_mut().insert_str(0, &format!("/{}", escape(member)));
    }
}

#[derive(Clone, Copy)]
struct Strict<'b> {
    depth: u8,
    course: &'b Course,
}

impl Strict<'_> {
    fn spend<E: serde::de::Error>(self, values: u32) -> Result<(), E> {
        let left = &self.course.left;
        left.set(left.get().checked_sub(values).ok_or_else(|| E::custom("too many values"))?);
        Ok(())
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH { Err(E::custom("too deep")) } else { Ok(Self { depth: self.depth + 1, ..self }) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Node;
    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<Node, D::Error> {
        self.spend(1)?;
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Node;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(u64::try_from(value).map_or(Node::Negative(value), Node::Natural))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Natural(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        self.deeper::<A::Error>()?;
        while let Some(item) = seq.next_element_seed(self.deeper()?).inspect_err(|_| self.course.failed_in(&items.len().to_string()))? {
            items.push(item);
        }
        items.shrink_to_fit();
        Ok(Node::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        self.spend(OBJECT)?;
        let inner = self.deeper::<A::Error>()?;
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner).inspect_err(|_| self.course.failed_in(&key))?;
            members.push((key, value));
        }
        members.shrink_to_fit();
        let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            self.course.failed_in(twice[0]);
            self.course.failure.set(Broken::Duplicate);
            return Err(serde::de::Error::custom("duplicate key"));
        }
        Ok(Node::Object(Members(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_that_is_not_read() {
        let deep = format!("{}1{}", "[".repeat(17), "]".repeat(17));
        let abyss = "[".repeat(200_000);
        for text in ["", " ", "{", r#"{"a":1,"a":2}"#, r#"{"a":{"b":1,"\u0062":2}}"#, "{} x", "\u{feff}{}", r#""\ud800""#, "1e400", "NaN", "01", &deep, &abyss, "{\"a\":1,}"] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().code, Code::MalformedRequest, "{}", &text[..text.len().min(40)]);
        }
        assert_eq!(parse(b"\"\xff\"").unwrap_err().code, Code::MalformedRequest);
        for (text, at, code) in [
            ("NaN", "", Broken::Malformed),
            ("{} x", "", Broken::Malformed),
            (r#"{"a":1,"b":[{"c":1},{"a/b":[0,1e400]}]}"#, "/b/1/a~1b/1", Broken::Malformed),
            (r#"{"a":{"b":1,"\u0062":2}}"#, "/a/b", Broken::Duplicate),
            (r#"[1 2]"#, "/1", Broken::Malformed),
            (&deep, &"/0".repeat(16), Broken::Malformed),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().fields, [FieldFault { pointer: at.to_owned(), code }], "{text}");
        }
        assert!(parse(format!("{}1{}", "[".repeat(16), "]".repeat(16)).as_bytes()).is_ok());
    }
}
