//! A published report as a table: one line for the whole, two for each channel, one for each group and one for each scorecard that was in force. Made from its JSON alone, so that
//! what was published once reads the same in either form. Inert: no cell is taken for a formula (SECURITY 36).

use csv::{QuoteStyle, Terminator, WriterBuilder};
use serde_json::{Value, json};

/// By this Excel knows that what follows is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What a spreadsheet takes the first character of for the beginning of a formula, or skips before one.
const ACTIVE: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'];

/// What each line says of the report it is of: the column, and the member.
const OF_THE_REPORT: [(&str, &str); 4] = [("snapshot", "/number"), ("as_of", "/as_of"), ("known_at", "/known_at"), ("currency", "/currency")];

/// What a line is of: the column, and the member.
const OF_THE_LINE: [(&str, &str); 6] =
    [("by", "/by"), ("group", "/group"), ("partner_id", "/partner_id"), ("parent_id", "/parent_id"), ("scored_for", "/scored_for"), ("against_others", "/against_others")];

/// The figures: the column, and the member.
const FIGURES: [(&str, &str); 44] = [
    ("customers", "/customers"),
    ("value_minor", "/value_minor"),
    ("value_unconverted", "/value_unconverted"),
    ("healthy", "/bands/healthy/customers"),
    ("watch", "/bands/watch/customers"),
    ("at_risk", "/bands/at_risk/customers"),
    ("unknown", "/bands/unknown/customers"),
    ("value_healthy", "/bands/healthy/value_minor"),
    ("value_watch", "/bands/watch/value_minor"),
    ("value_at_risk", "/bands/at_risk/value_minor"),
    ("value_unknown", "/bands/unknown/value_minor"),
    ("known_share_count", "/known_share/count"),
    ("known_share_value", "/known_share/value"),
    ("mean_health", "/mean_health"),
    ("mean_health_low", "/mean_health_interval/low"),
    ("mean_health_high", "/mean_health_interval/high"),
    ("mean_health_least", "/mean_health_bounds/low"),
    ("mean_health_most", "/mean_health_bounds/high"),
    ("value_weighted_health", "/value_weighted_health"),
    ("value_weighted_least", "/value_weighted_health_bounds/low"),
    ("value_weighted_most", "/value_weighted_health_bounds/high"),
    ("p10", "/health_quantiles/p10"),
    ("p10_least", "/health_quantiles_bounds/p10/low"),
    ("p10_most", "/health_quantiles_bounds/p10/high"),
    ("p25", "/health_quantiles/p25"),
    ("p25_least", "/health_quantiles_bounds/p25/low"),
    ("p25_most", "/health_quantiles_bounds/p25/high"),
    ("median", "/health_quantiles/median"),
    ("median_least", "/health_quantiles_bounds/median/low"),
    ("median_most", "/health_quantiles_bounds/median/high"),
    ("p75", "/health_quantiles/p75"),
    ("p75_least", "/health_quantiles_bounds/p75/low"),
    ("p75_most", "/health_quantiles_bounds/p75/high"),
    ("p90", "/health_quantiles/p90"),
    ("p90_least", "/health_quantiles_bounds/p90/low"),
    ("p90_most", "/health_quantiles_bounds/p90/high"),
    ("share_at_risk", "/share_at_risk"),
    ("share_at_risk_least", "/share_at_risk_bounds/low"),
    ("share_at_risk_most", "/share_at_risk_bounds/high"),
    ("mean_coverage", "/mean_coverage"),
    ("report_rate_count", "/freshness/report_rate/count"),
    ("report_rate_value", "/freshness/report_rate/value"),
    ("mean_report_age_days", "/freshness/mean_report_age_days"),
    ("heard", "/freshness/heard"),
];

/// The table of a report, in UTF-8 with a byte order mark, lines ended as RFC 4180 has it.
pub fn table(report: &Value) -> Result<Vec<u8>, csv::Error> {
    let mut writer = WriterBuilder::new().quote_style(QuoteStyle::NonNumeric).terminator(Terminator::CRLF).from_writer(Vec::from(BYTE_ORDER_MARK));
    let names = OF_THE_REPORT.iter().chain(&OF_THE_LINE).chain(&FIGURES).map(|(name, _)| *name);
    writer.write_record(std::iter::once("kind").chain(names))?;
    let mut line = |kind: &str, of: &Value, figures: &Value| {
        let read = |from: &Value, members: &[(&str, &str)]| members.iter().map(|(_, at)| cell(from.pointer(at))).collect::<Vec<_>>();
        let cells = [read(report, &OF_THE_REPORT), read(of, &OF_THE_LINE), read(figures, &FIGURES)].concat();
        writer.write_record(std::iter::once(kind.to_owned()).chain(cells))
    };
    line("total", &Value::Null, &report["total"])?;
    for channel in report["channels"].as_array().into_iter().flatten() {
        line("channel_own", channel, &channel["own"])?;
        // What stands against the others is its own.
        let above = json!({ "partner_id": channel["partner_id"], "parent_id": channel["parent_id"], "scored_for": channel["scored_for"] });
        line("channel_rolled_up", &above, &channel["rolled_up"])?;
    }
    for group in report["groups"].as_array().into_iter().flatten() {
        line("group", group, &group["figures"])?;
    }
    for policy in report["policies"].as_array().into_iter().flatten() {
        line("policy", &json!({ "by": policy["purpose"], "group": policy["scorecard_id"] }), &Value::Null)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// A value as a cell: numbers as they stand, words made inert, nothing where there is nothing.
fn cell(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => inert(text),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(yes)) => yes.to_string(),
        _ => String::new(),
    }
}

/// A text that no spreadsheet takes for a formula.
fn inert(text: &str) -> String {
    if text.starts_with(ACTIVE) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn report(group: &str) -> Value {
        let amount = |customers, value_minor| json!({ "customers": customers, "value_minor": value_minor });
        let between = |low, high| json!({ "low": low, "high": high });
        let figures = json!({
            "customers": 4, "value_minor": -1300, "value_unconverted": 1,
            "bands": { "healthy": amount(1, 400), "watch": amount(1, 900), "at_risk": amount(0, 0), "unknown": amount(2, -2600) },
            "known_share": { "count": 0.5, "value": null }, "mean_health": 70.0, "value_weighted_health": 62.308,
            "value_weighted_health_bounds": { "low": 31.0, "high": 72.5 },
            "health_quantiles": { "p10": 50, "p25": 50, "median": 50, "p75": 90, "p90": 90 },
            "health_quantiles_bounds": { "p10": between(0, 50), "p25": between(0, 90), "median": between(0, 100), "p75": between(50, 100), "p90": between(90, 100) },
            "mean_health_interval": { "low": 47.368, "high": 92.632 }, "mean_health_bounds": { "low": 35.0, "high": 85.0 }, "share_at_risk": 0.0,
            "share_at_risk_bounds": { "low": 0.0, "high": 0.5 }, "mean_coverage": 0.25,
            "freshness": { "report_rate": { "count": 0.5, "value": 1.0 }, "mean_report_age_days": 1.5, "heard": 2 }
        });
        json!({
            "number": 7, "as_of": "2026-11-22", "known_at": "2026-11-23T03:00:30Z", "currency": "JPY", "policies": [{ "purpose": "churn", "rank": 1, "scorecard_id": "crd_1" }], "total": figures,
            "channels": [{ "partner_id": "par_1", "parent_id": null, "scored_for": "2026-11-22", "against_others": "worse", "own": figures, "rolled_up": figures }],
            "groups": [{ "by": "region", "group": group, "against_others": "no_difference_shown", "figures": figures }, { "by": "region", "group": null, "figures": {} }]
        })
    }

    fn read(table: &[u8]) -> Vec<Vec<String>> {
        let body = table.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap();
        let lines = csv::ReaderBuilder::new().has_headers(false).from_reader(body).into_records();
        lines.map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn a_report_is_this_table() {
        let head = "\"kind\",\"snapshot\",\"as_of\",\"known_at\",\"currency\",\"by\",\"group\",\"partner_id\",\"parent_id\",\"scored_for\",\"against_others\",\"customers\",\"value_minor\",\
            \"value_unconverted\",\"healthy\",\"watch\",\"at_risk\",\"unknown\",\"value_healthy\",\"value_watch\",\"value_at_risk\",\"value_unknown\",\"known_share_count\",\
            \"known_share_value\",\"mean_health\",\"mean_health_low\",\"mean_health_high\",\"mean_health_least\",\"mean_health_most\",\"value_weighted_health\",\"value_weighted_least\",\"value_weighted_most\",\
            \"p10\",\"p10_least\",\"p10_most\",\"p25\",\"p25_least\",\"p25_most\",\"median\",\"median_least\",\"median_most\",\"p75\",\"p75_least\",\"p75_most\",\"p90\",\"p90_least\",\"p90_most\",\
            \"share_at_risk\",\"share_at_risk_least\",\"share_at_risk_most\",\"mean_coverage\",\"report_rate_count\",\"report_rate_value\",\"mean_report_age_days\",\"heard\"";
        let of = "7,\"2026-11-22\",\"2026-11-23T03:00:30Z\",\"JPY\"";
        let figures =
            "4,-1300,1,1,1,0,2,400,900,0,-2600,0.5,\"\",70.0,47.368,92.632,35.0,85.0,62.308,31.0,72.5,50,0,50,50,0,90,50,0,100,90,50,100,90,90,100,0.0,0.0,0.5,0.25,0.5,1.0,1.5,2";
        let nothing = vec!["\"\""; FIGURES.len()].join(",");
        let expected = [
            head.to_owned(),
            format!("\"total\",{of},\"\",\"\",\"\",\"\",\"\",\"\",{figures}"),
            format!("\"channel_own\",{of},\"\",\"\",\"par_1\",\"\",\"2026-11-22\",\"worse\",{figures}"),
            format!("\"channel_rolled_up\",{of},\"\",\"\",\"par_1\",\"\",\"2026-11-22\",\"\",{figures}"),
            format!("\"group\",{of},\"region\",\"'=HYPERLINK(\"\"x\"\")\",\"\",\"\",\"\",\"no_difference_shown\",{figures}"),
            format!("\"group\",{of},\"region\",\"\",\"\",\"\",\"\",\"\",{nothing}"),
            format!("\"policy\",{of},\"churn\",\"crd_1\",\"\",\"\",\"\",\"\",{nothing}"),
        ];
        let told = String::from_utf8(table(&report("=HYPERLINK(\"x\")")).unwrap()).unwrap();
        assert_eq!(told, format!("\u{feff}{}\r\n", expected.join("\r\n")));
    }

    #[test]
    fn every_way_a_formula_begins_is_guarded_and_numbers_stay_numbers() {
        for text in ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\0x", "＝1", "＋1", "－1", "＠x"] {
            assert_eq!(cell(Some(&json!(text))), format!("'{text}"));
        }
        assert_eq!((cell(Some(&json!(-5))), cell(Some(&json!("関東"))), cell(Some(&Value::Null)), cell(None)), ("-5".into(), "関東".into(), String::new(), String::new()));
    }

    proptest! {
        #[test]
        fn any_word_comes_back_and_none_begins_a_formula(start in prop::sample::select(vec!["", "=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠", "'", "\"", ","]), rest in any::<String>()) {
            let word = format!("{start}{rest}");
            let lines = read(&table(&report(&word)).unwrap());
            prop_assert_eq!(lines.len(), 7);
            prop_assert!(lines.iter().all(|line| line.len() == 1 + OF_THE_REPORT.len() + OF_THE_LINE.len() + FIGURES.len()));
            let shown = &lines[4][6];
            prop_assert_eq!(shown.strip_prefix('\'').filter(|_| word.starts_with(ACTIVE)).unwrap_or(shown), &word);
            for shown in lines.iter().flatten() {
                prop_assert!(!shown.starts_with(ACTIVE) || shown.parse::<f64>().is_ok(), "{:?}", shown);
            }
        }
    }
}
