//! The Idempotency-Key header: 1-255 visible ASCII characters, bare or as a quoted string, compared unquoted (SECURITY c.4).

use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use actix_web::http::header::HeaderMap;

/// The header's name.
pub const HEADER: &str = "Idempotency-Key";

/// Reads the key; `None` when there is no such header.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let visible = bare.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if values.next().is_some() || !visible || !(1..=255).contains(&bare.len()) {
        return Err(Fault::of(Code::IdempotencyKeyInvalid));
    }
    Ok(Some(bare.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn read(values: &[&[u8]]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HeaderName::from_static("idempotency-key"), HeaderValue::from_bytes(value).unwrap());
        }
        key(&headers).map_err(|fault| fault.code)
    }

    #[test]
    fn bare_and_quoted_are_one_key() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"8e03978e"]), Ok(Some("8e03978e".into())));
        assert_eq!(read(&[b"\"8e03978e\""]), Ok(Some("8e03978e".into())));
        let long = vec![b'a'; 256];
        for wrong in [&[b"".as_slice()][..], &[b"\"\""], &[b"a b"], &[b"a\tb"], &[&long], &[b"a", b"b"], &["é".as_bytes()]] {
            assert_eq!(read(wrong), Err(Code::IdempotencyKeyInvalid));
        }
    }
}
