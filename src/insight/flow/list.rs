//! Lists of a point in both times: as they stand, or as days closed.

use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::Vendor;
use crate::health::{AsKnown, Times};
use crate::insight::store::{self, Days};
use crate::kernel::error::Fault;

/// The point meant, and the day the lists of each visible partner are of; no days where lists are read as they stand.
pub async fn days_listed<S: Tenant>(tx: &Tx<S>, vendor: &Vendor, times: &Times<'_>) -> Result<(AsKnown, Option<Days>), Fault> {
    let point = times.resolve(vendor, tx.now())?;
    if times.are_now() {
        return Ok((point, None));
    }
    let days = store::days_at(tx, tx.scope().audience(), tx.scope().visible(), point).await?;
    Ok((point, Some(days)))
}
