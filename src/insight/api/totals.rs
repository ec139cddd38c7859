//! Totals of partners whose customers the caller may not see, beside the channels it sees.

use crate::http::interval::Interval;
use crate::insight::flow::MonthTotals;
use crate::insight::totals::{LEAST_CUSTOMERS, Part, Total};
use crate::kernel::id::PartnerId;
use crate::kernel::number::thousandths;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

/// What is told of a partner, or of several together, at the end of a month.
#[derive(Serialize, ToSchema)]
struct TotalView {
    /// Whose customers: one partner, or several with too few each.
    partner_ids: Vec<PartnerId>,
    customers: i64,
    /// The share whose health is known, 0-1.
    known_share: Option<f64>,
    /// The plain mean of known health, 0-100; null where `rule` withholds it.
    mean_health: Option<f64>,
    /// Between which the mean of all lies whatever the unknown turn out to be: all at 0, all at 100; null likewise.
    mean_health_bounds: Option<Interval>,
    /// Of those known, the share at risk, 0-1; null likewise.
    share_at_risk: Option<f64>,
    /// The share reported on within the cadence of their touch model, 0-1.
    report_rate: Option<f64>,
}

/// Totals of the partners whose customers you may not see.
#[derive(Serialize, ToSchema)]
pub(super) struct TotalsView {
    /// The last day of the month they are of; null while no month can be told of.
    #[schema(value_type = Option<String>, format = Date)]
    closed_on: Option<NaiveDate>,
    /// Each partner with enough customers by itself, the others together last.
    data: Vec<TotalView>,
    /// What is told and what is withheld.
    rule: String,
    /// The same in Japanese.
    rule_ja: String,
}

impl From<Part> for TotalView {
    fn from(part: Part) -> Self {
        let mean_bounds = part.total.mean_bounds();
        let Total { customers, known_share, mean_health, share_at_risk, report_rate } = part.total;
        Self {
            partner_ids: part.members,
            customers,
            known_share: known_share.map(thousandths),
            mean_health: mean_health.map(thousandths),
            mean_health_bounds: mean_bounds.map(Interval::of),
            share_at_risk: share_at_risk.map(thousandths),
            report_rate: report_rate.map(thousandths),
        }
    }
}

impl From<MonthTotals> for TotalsView {
    fn from(totals: MonthTotals) -> Self {
        let rule = format!(
            "Of partners that show you their totals and not their customers: as a month closed, made once. Those with fewer than {LEAST_CUSTOMERS} customers are put together, with a larger \
             one where they would still be fewer; health is told of {LEAST_CUSTOMERS} known customers or more, and no share at risk of all or none. Where one of several shows you more or less since, \
             they are told of no more."
        );
        let rule_ja = format!(
            "顧客を開示せず合計のみを開示しているパートナーについて、月末の締め値を月に一度集計します。顧客が {LEAST_CUSTOMERS} 社未満のパートナーはまとめ（それでも足りない場合は\
             大きいパートナーも一つ含めます）、ヘルスは判明している顧客が {LEAST_CUSTOMERS} 社以上の場合のみ、リスクのある割合は全社または 0 社でない場合のみ表示します。\
             まとめたパートナーのいずれかの開示範囲が変わると、その値は表示しなくなります。"
        );
        Self { closed_on: totals.closed_on, data: totals.parts.into_iter().map(TotalView::from).collect(), rule, rule_ja }
    }
}
