//! The only door to PostgreSQL: pool, scope, transaction, statement, faults, migrations, the catalogue rules, and the
//! private cluster. Outside this module a connection does not exist, only a [`Tx`] over a [`Scope`].

pub mod catalogue;
pub mod fault;
mod machine;
pub mod migrate;
mod pool;
pub mod private;
pub mod scope;
pub mod sql;
mod tx;
mod turn;

pub use pool::{Clock, Db, Place};
pub use scope::{Login, Scope, Settings};
pub use sql::{Sql, sql};
pub use turn::{Turn, Turns};
pub use tx::Tx;
