//! Text that is allowed in: lengths, characters and forms, checked once at the door and then carried by a type.
//! Everything is stored in NFC; full-width and case variants stay distinct (SECURITY d 43).

use std::fmt;
use std::str::FromStr;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Why a value was refused; the code of a field in a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// A member that must be there is missing.
    Required,
    /// A member nobody knows.
    UnknownField,
    /// Another JSON type than the document says.
    WrongType,
    /// Empty, or only blanks.
    Empty,
    /// Longer than allowed.
    TooLong,
    /// A character that has no place here.
    ForbiddenCharacter,
    /// Not one of the values listed.
    NotInSet,
    /// Not of the form the document says.
    Malformed,
    /// Outside the range the document says.
    OutOfRange,
    /// Later than the clock by more than five minutes.
    InTheFuture,
    /// Does not name anything that exists here.
    ReferenceNotFound,
    /// Given twice.
    Duplicate,
    /// The check digit does not fit.
    BadCheckDigit,
    /// Looks like something else that exists.
    Confusable,
    /// Exactly one of several members must be given.
    OneOf,
    /// Does not fit together with another member.
    Contradiction,
    /// Comes back to itself.
    Circular,
    /// May be set once and not changed afterwards.
    Immutable,
}

fn forbidden_anywhere(c: char) -> bool {
    // NUL is refused by PostgreSQL; noncharacters are never text.
    c == '\0' || (c as u32 & 0xfffe) == 0xfffe || matches!(c as u32, 0xfdd0..=0xfdef)
}

fn forbidden_in_names(c: char) -> bool {
    forbidden_anywhere(c)
        || c.is_control()
        // Zero-width and directional marks, line separators, tag characters: they make two names look alike.
        || matches!(c as u32, 0x00ad | 0x061c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

fn admit(text: &str, max: usize, forbidden: fn(char) -> bool) -> Result<String, Broken> {
    if text.trim().is_empty() {
        return Err(Broken::Empty);
    }
    if text.chars().any(forbidden) {
        return Err(Broken::ForbiddenCharacter);
    }
    // Nearly all of it is in this form already: composing a batch of 32 MiB again took more than a second.
    let text: String = if text.is_ascii() || is_nfc(text) { text.to_owned() } else { text.nfc().collect() };
    if text.chars().count() > max {
        return Err(Broken::TooLong);
    }
    Ok(text)
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident($text:ident) $check:block)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str { &self.0 }
            /// The text itself, taken out.
            pub fn into_string(self) -> String { self.0 }
        }
        impl FromStr for $name {
            type Err = Broken;
            fn from_str($text: &str) -> Result<Self, Broken> { $check.map(Self) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_str(&self.0) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(|_| serde::de::Error::custom("not allowed"))
            }
        }
    )*};
}

texts! {
    /// The caller's own id of a thing: 1-128 characters, no blanks at the ends, unique inside the caller's partner.
    ExternalId(text) {
        if text != text.trim() { Err(Broken::Malformed) } else { admit(text, 128, forbidden_in_names) }
    }
    /// A name to show: 1-200 characters on one line.
    Name(text) { admit(text.trim(), 200, forbidden_in_names) }
    /// A short word the caller chooses (segment, region, product, tier): 1-64 characters.
    Label(text) { admit(text.trim(), 64, forbidden_in_names) }
    /// A key of a catalogue: `a-z`, digits and `_`, beginning with a letter, at most 64.
    Key(text) {
        let mut chars = text.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
        let rest = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if text.is_empty() { Err(Broken::Empty) }
        else if text.len() > 64 { Err(Broken::TooLong) }
        else if first && rest { Ok(text.to_owned()) }
        else { Err(Broken::Malformed) }
    }
    /// Free words of a person: 1-8,000 characters, any line breaks.
    Comment(text) { admit(text, 8_000, forbidden_anywhere) }
    /// The address of a page: http or https, without a user, at most 2,000 characters.
    Link(text) {
        let address = url::Url::parse(text).map_err(|_| Broken::Malformed)?;
        let plain = matches!(address.scheme(), "http" | "https") && address.username().is_empty() && address.password().is_none();
        if plain { admit(text, 2_000, forbidden_in_names) } else { Err(Broken::Malformed) }
    }
    /// A Japanese corporate number (法人番号): 13 digits with a valid check digit (SCIENCE 3.1). Full-width digits, blanks
    /// and hyphens are accepted and dropped.
    CorporateNumber(text) { corporate_number(text) }
}

fn corporate_number(text: &str) -> Result<String, Broken> {
    let mut digits: Vec<u32> = Vec::with_capacity(13);
    for c in text.nfkc() {
        match c {
            ' ' | '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' => {}
            _ => digits.push(c.to_digit(10).ok_or(Broken::Malformed)?),
        }
    }
    if digits.len() != 13 {
        return Err(Broken::Malformed);
    }
    // P1..P12 run from the lowest digit; odd places count once, even ones twice.
    let sum: u32 = digits[1..].iter().rev().zip([1, 2].into_iter().cycle()).map(|(d, q)| d * q).sum();
    if digits[0] != 9 - sum % 9 {
        return Err(Broken::BadCheckDigit);
    }
    Ok(digits.iter().filter_map(|d| char::from_digit(*d, 10)).collect())
}

/// Defines a closed list of words: an enum with its spelling, for state columns and wire values.
#[macro_export]
macro_rules! word_list {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// Every word of the list.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];
            /// The spelling.
            pub fn as_str(self) -> &'static str { match self { $($name::$variant => $text,)* } }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::kernel::text::Broken;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or($crate::kernel::text::Broken::NotInSet)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_str(self.as_str()) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(|_| serde::de::Error::custom("not a word of the list"))
            }
        }
    )*};
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_corporate_numbers_hold() {
        for number in ["1180301018771", "5010401067252", "1130001011420", "1020001071491", "5010001072207"] {
            assert_eq!(number.parse::<CorporateNumber>().unwrap().as_str(), number);
        }
        assert_eq!("１１８０３０１－０１８７７１".parse::<CorporateNumber>().unwrap().as_str(), "1180301018771");
        assert_eq!("2180301018771".parse::<CorporateNumber>(), Err(Broken::BadCheckDigit));
        assert_eq!("118030101877".parse::<CorporateNumber>(), Err(Broken::Malformed));
        assert_eq!("T180301018771".parse::<CorporateNumber>(), Err(Broken::Malformed));
    }

    #[test]
    fn names_that_deceive_are_refused() {
        for name in ["\u{202e}gnp.exe", "株式会社\u{200b}届", "a\u{e0041}", "a\nb", "a\0", "\u{fffe}"] {
            assert_eq!(name.parse::<Name>(), Err(Broken::ForbiddenCharacter), "{name:?}");
        }
        assert_eq!("  ".parse::<Name>(), Err(Broken::Empty));
        assert_eq!("株".repeat(201).parse::<Name>(), Err(Broken::TooLong));
        assert_eq!("株".repeat(200).parse::<Name>().unwrap().as_str().chars().count(), 200);
    }

    #[test]
    fn composed_and_decomposed_are_one_full_width_is_another() {
        let composed: ExternalId = "caf\u{e9}".parse().unwrap();
        assert_eq!("cafe\u{301}".parse::<ExternalId>().unwrap(), composed);
        assert_ne!("Ａ1".parse::<ExternalId>().unwrap(), "A1".parse().unwrap());
        assert_ne!("a1".parse::<ExternalId>().unwrap(), "A1".parse().unwrap());
    }

    #[test]
    fn a_comment_keeps_its_lines() {
        assert_eq!("一行目\n二行目".parse::<Comment>().unwrap().as_str(), "一行目\n二行目");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<ExternalId>();
            let _ = text.parse::<Name>();
            let _ = text.parse::<Key>();
            let _ = text.parse::<Comment>();
            let _ = text.parse::<CorporateNumber>();
        }
    }
}
