//! Totals of partners whose customers the caller may not see, beside the channels it sees.

use crate::insight::cell::Cell;
use crate::insight::flow::MonthTotals;
use crate::insight::totals::LEAST_CUSTOMERS;
use crate::kernel::id::PartnerId;
use crate::kernel::number::thousandths;
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

/// What is told of a partner, or of several together, at the end of a month.
#[derive(Serialize, ToSchema)]
struct TotalView {
    /// Whose customers; null for all partners with too few together.
    partner_id: Option<PartnerId>,
    external_id: Option<String>,
    customers: i64,
    /// Their value per year, in minor units of the reporting currency.
    value_minor: i64,
    /// The share whose health is known, 0-1.
    known_share: Option<f64>,
    /// The plain mean of known health, 0-100; null where fewer are known than `rule` says.
    mean_health: Option<f64>,
    /// Of those known, the share at risk, 0-1; null likewise.
    share_at_risk: Option<f64>,
    /// The share reported on within the cadence of their touch model, 0-1.
    report_rate: Option<f64>,
}

/// Totals of the partners whose customers you may not see.
#[derive(Serialize, ToSchema)]
pub(super) struct TotalsView {
    /// The last day of the month they are of.
    #[schema(value_type = String, format = Date)]
    closed_on: NaiveDate,
    /// In order of partner, those with too few customers together last.
    data: Vec<TotalView>,
    /// What is told and what is withheld.
    rule: String,
    /// The same in Japanese.
    rule_ja: String,
}

impl TotalView {
    fn of(cell: &Cell) -> Self {
        let share = |part, whole| Cell::share(part, whole).map(thousandths);
        let known = Some(cell.known()).filter(|known| *known >= LEAST_CUSTOMERS);
        Self {
            partner_id: None,
            external_id: None,
            customers: cell.customers(),
            value_minor: cell.value(),
            known_share: share(cell.known(), cell.customers()),
            mean_health: known.and_then(|_| cell.mean()).map(thousandths),
            share_at_risk: known.and_then(|known| share(cell.at_risk, known)),
            report_rate: share(cell.in_cadence, cell.customers()),
        }
    }
}

impl From<MonthTotals> for TotalsView {
    fn from(totals: MonthTotals) -> Self {
        let MonthTotals { closed_on, mut partners, told } = totals;
        partners.sort_unstable_by_key(|partner| partner.id);
        let alone = partners.into_iter().filter_map(|partner| {
            let total = TotalView::of(told.alone.get(&partner.id)?);
            Some(TotalView { partner_id: Some(partner.id), external_id: Some(partner.external_id.into_string()), ..total })
        });
        let data = alone.chain(told.others.as_ref().map(TotalView::of)).collect();
        let rule = format!(
            "Of partners that show you their totals and not their customers: as a month closed, from the second day of the next on. Those with fewer than {LEAST_CUSTOMERS} customers are \
             put together, with a larger one where they would still be fewer; health is told of {LEAST_CUSTOMERS} known customers or more."
        );
        let rule_ja = format!(
            "顧客を開示せず合計のみを開示しているパートナーについて、月末の締め値を翌月 2 日から表示します。顧客が {LEAST_CUSTOMERS} 社未満のパートナーはまとめて表示し\
             （それでも足りない場合は大きいパートナーも一つ含めます）、ヘルスは判明している顧客が {LEAST_CUSTOMERS} 社以上の場合のみ表示します。"
        );
        Self { closed_on, data, rule, rule_ja }
    }
}
