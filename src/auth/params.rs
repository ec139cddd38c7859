//! Query parameters that many operations share.

use super::call::Query;
use crate::http::body::Faults;
use crate::http::query::Param;
use crate::kernel::id::PartnerId;
use deserr::Deserr;
use utoipa::IntoParams;

/// How to write.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WriteQuery {
    /// Do everything and undo it at the end.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    pub dry_run: Option<Param<bool>>,
}

impl Query for WriteQuery {
    fn dry_run(&self) -> bool {
        self.dry_run == Some(Param(true))
    }
}

/// How to write a partner's own things.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActingQuery {
    /// For the vendor's staff: the direct partner to act for; its first one when left out.
    #[deserr(default)]
    #[param(value_type = Option<PartnerId>)]
    pub partner: Option<Param<PartnerId>>,
    /// Do everything and undo it at the end.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    pub dry_run: Option<Param<bool>>,
}

impl Query for ActingQuery {
    fn acting(&self) -> Option<PartnerId> {
        self.partner.as_ref().map(|partner| partner.0)
    }
    fn dry_run(&self) -> bool {
        self.dry_run == Some(Param(true))
    }
}

/// How to write what may use a partner's own ids; see [`Gate::named_by`](super::Gate::named_by).
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NamedQuery {
    /// For the vendor: the partner whose external ids are used.
    #[deserr(default)]
    #[param(value_type = Option<PartnerId>)]
    pub partner: Option<Param<PartnerId>>,
    /// Do everything and undo it at the end.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    pub dry_run: Option<Param<bool>>,
}

impl Query for NamedQuery {
    fn dry_run(&self) -> bool {
        self.dry_run == Some(Param(true))
    }
}

/// The same for many rows.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NamedBatchQuery {
    /// For the vendor: the partner whose external ids are used.
    #[deserr(default)]
    #[param(value_type = Option<PartnerId>)]
    pub partner: Option<Param<PartnerId>>,
    /// All rows or none.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    pub atomic: Option<Param<bool>>,
    /// Do everything and undo it at the end.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    pub dry_run: Option<Param<bool>>,
}

impl Query for NamedBatchQuery {
    fn dry_run(&self) -> bool {
        self.dry_run == Some(Param(true))
    }
}
