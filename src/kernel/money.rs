//! Money in minor units and its value per year in one reporting currency (DECISIONS 8).

use super::number::ratio;
use super::text::Broken;
use std::fmt;
use std::str::FromStr;

/// The largest amount accepted, and the largest value a customer may have per year, in minor units: sums over millions of
/// customers stay inside 64 bits.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// An ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

/// Codes in use, with the number of digits of their minor unit (ISO 4217).
const CODES: &[(&str, u32)] = &[
    ("AED", 2),
    ("ARS", 2),
    ("AUD", 2),
    ("BDT", 2),
    ("BGN", 2),
    ("BHD", 3),
    ("BRL", 2),
    ("CAD", 2),
    ("CHF", 2),
    ("CLP", 0),
    ("CNY", 2),
    ("COP", 2),
    ("CZK", 2),
    ("DKK", 2),
    ("EGP", 2),
    ("EUR", 2),
    ("GBP", 2),
    ("HKD", 2),
    ("HUF", 2),
    ("IDR", 2),
    ("ILS", 2),
    ("INR", 2),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KES", 2),
    ("KHR", 2),
    ("KRW", 0),
    ("KWD", 3),
    ("LAK", 2),
    ("LKR", 2),
    ("MAD", 2),
    ("MMK", 2),
    ("MNT", 2),
    ("MXN", 2),
    ("MYR", 2),
    ("NGN", 2),
    ("NOK", 2),
    ("NPR", 2),
    ("NZD", 2),
    ("OMR", 3),
    ("PEN", 2),
    ("PHP", 2),
    ("PKR", 2),
    ("PLN", 2),
    ("QAR", 2),
    ("RON", 2),
    ("RSD", 2),
    ("SAR", 2),
    ("SEK", 2),
    ("SGD", 2),
    ("THB", 2),
    ("TND", 3),
    ("TRY", 2),
    ("TWD", 2),
    ("UAH", 2),
    ("USD", 2),
    ("UYU", 2),
    ("VND", 0),
    ("ZAR", 2),
];

impl Currency {
    /// How many digits its minor unit has: 0 for JPY, 2 for USD.
    pub fn digits(self) -> u32 {
        CODES.iter().find(|(code, _)| code.as_bytes() == self.0).map_or(2, |(_, digits)| *digits)
    }
}

impl FromStr for Currency {
    type Err = Broken;
    fn from_str(text: &str) -> Result<Self, Broken> {
        match (CODES.iter().any(|(code, _)| *code == text), text.as_bytes()) {
            (true, [a, b, c]) => Ok(Self([*a, *b, *c])),
            _ => Err(Broken::NotInSet),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{}", char::from(*b)))
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// The value per year, in minor units of `into`, of `amount_minor` paid every `period_months`.
/// `rate_nano`: one major unit of `from` is worth `rate_nano / 1e9` major units of `into`. Rounded half-even, once.
/// `None` when the result does not fit what a figure may hold.
pub fn annual_value(amount_minor: i64, period_months: i32, from: Currency, into: Currency, rate_nano: i64) -> Option<i64> {
    let numerator = i128::from(amount_minor) * 12 * i128::from(rate_nano) * 10_i128.pow(into.digits());
    let denominator = i128::from(period_months) * 1_000_000_000 * 10_i128.pow(from.digits());
    ratio(numerator, denominator).filter(|value| (0..=MAX_AMOUNT).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monthly_price_in_dollars_is_a_yearly_value_in_yen() {
        let (usd, jpy): (Currency, Currency) = ("USD".parse().unwrap(), "JPY".parse().unwrap());
        // 100.00 USD a month at 150.25 yen.
        assert_eq!(annual_value(10_000, 1, usd, jpy, 150_250_000_000), Some(180_300));
        assert_eq!(annual_value(120_000, 12, jpy, jpy, 1_000_000_000), Some(120_000));
        assert_eq!(annual_value(100, 36, jpy, jpy, 1_000_000_000), Some(33));
        assert_eq!(annual_value(MAX_AMOUNT, 1, jpy, usd, 1_000_000_000_000), None);
    }

    #[test]
    fn only_known_codes_in_capitals_are_currencies() {
        assert!("JPY".parse::<Currency>().is_ok());
        for text in ["jpy", "XXX", "JP", "JPYY", "¥"] {
            assert_eq!(text.parse::<Currency>(), Err(Broken::NotInSet), "{text}");
        }
    }
}
