//! Snapshots: written once, never changed.

use crate::auth::{StaffScope, Tenant};
use crate::db::{Tx, sql};
use crate::kernel::error::Fault;
use crate::kernel::id::{SnapshotId, TypeId};
use crate::kernel::paging::{Page, Window};
use crate::kernel::text::Label;
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

/// A published snapshot, without what it tells.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// 1, 2, 3 ... of the vendor.
    pub number: i64,
    /// What it is called.
    pub title: Option<Label>,
    /// The day it tells of.
    pub as_of: NaiveDate,
    /// Nothing that closed later counts.
    pub known_at: Moment,
    /// The hash of its bytes, in hexadecimal.
    pub sha256: String,
    /// When it was published.
    pub created_at: Moment,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Nullable<Text>)]
    title: Option<String>,
    #[diesel(sql_type = Date)]
    as_of: NaiveDate,
    #[diesel(sql_type = Timestamptz)]
    known_at: Moment,
    #[diesel(sql_type = Text)]
    sha256: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: Moment,
}

impl Row {
    fn read(self) -> Result<Snapshot, Fault> {
        let title = self.title.map(|title| title.parse::<Label>()).transpose().map_err(|_| Fault::internal("a stored title is broken"))?;
        Ok(Snapshot { id: SnapshotId::of(self.id), number: self.number, title, as_of: self.as_of, known_at: self.known_at, sha256: self.sha256, created_at: self.created_at })
    }
}

/// The number of the snapshot to be. Whoever else publishes one for the vendor waits until this transaction ends, so that no number is left out.
pub async fn next_number(tx: &Tx<StaffScope>) -> Result<i64, Fault> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    // Its own statement: the next one sees what others published while we waited here.
    tx.run(sql("SELECT pg_advisory_xact_lock(7231002, hashtext({}))").bind::<Text, _>(tx.scope().vendor().to_string())).await?;
    let row: Option<Row> = tx.row(sql("SELECT coalesce(max(number), 0) + 1 AS number FROM todoku.snapshot WHERE vendor_id = {}").bind::<SqlUuid, _>(tx.scope().vendor())).await?;
    row.map(|row| row.number).ok_or_else(|| Fault::internal("no number"))
}

/// Keeps a snapshot with the text that is published.
pub async fn keep_snapshot(tx: &Tx<StaffScope>, author: Uuid, snapshot: &Snapshot, report: &str) -> Result<(), Fault> {
    tx.run(
        sql("INSERT INTO todoku.snapshot (vendor_id, id, number, title, as_of, known_at, report, sha256, created_at, created_by) VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {})")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<SqlUuid, _>(snapshot.id.uuid())
            .bind::<BigInt, _>(snapshot.number)
            .bind::<Nullable<Text>, _>(snapshot.title.as_ref().map(|title| title.as_str().to_owned()))
            .bind::<Date, _>(snapshot.as_of)
            .bind::<Timestamptz, _>(snapshot.known_at)
            .bind::<Text, _>(report.to_owned())
            .bind::<Text, _>(snapshot.sha256.clone())
            .bind::<Timestamptz, _>(snapshot.created_at)
            .bind::<SqlUuid, _>(author),
    )
    .await
    .map(drop)
}

/// The vendor's snapshots, newest first; a window goes on below a number.
pub async fn snapshots(tx: &Tx<StaffScope>, window: &Window<i64>) -> Result<Page<Snapshot, i64>, Fault> {
    let rows: Vec<Row> = tx
        .rows(
            sql("SELECT id, number, title, as_of, known_at, sha256, created_at FROM todoku.snapshot
                 WHERE vendor_id = {} AND ({}::bigint IS NULL OR number < {}) ORDER BY number DESC LIMIT {}")
            .bind::<SqlUuid, _>(tx.scope().vendor())
            .bind::<Nullable<BigInt>, _>(window.after)
            .bind::<Nullable<BigInt>, _>(window.after)
            .bind::<BigInt, _>(window.limit + 1),
        )
        .await?;
    let rows = rows.into_iter().map(Row::read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, window, |snapshot| snapshot.number))
}

/// A snapshot.
pub async fn snapshot(tx: &Tx<StaffScope>, id: SnapshotId) -> Result<Option<Snapshot>, Fault> {
    let row: Option<Row> = tx
        .row(
            sql("SELECT id, number, title, as_of, known_at, sha256, created_at FROM todoku.snapshot WHERE vendor_id = {} AND id = {}")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(id.uuid()),
        )
        .await?;
    row.map(Row::read).transpose()
}

/// A snapshot with the text that was published.
pub async fn report_of(tx: &Tx<StaffScope>, id: SnapshotId) -> Result<Option<(Snapshot, String)>, Fault> {
    #[derive(QueryableByName)]
    struct Whole {
        #[diesel(embed)]
        of: Row,
        #[diesel(sql_type = Text)]
        report: String,
    }
    let whole: Option<Whole> = tx
        .row(
            sql("SELECT id, number, title, as_of, known_at, sha256, created_at, report FROM todoku.snapshot WHERE vendor_id = {} AND id = {}")
                .bind::<SqlUuid, _>(tx.scope().vendor())
                .bind::<SqlUuid, _>(id.uuid()),
        )
        .await?;
    whole.map(|whole| Ok((whole.of.read()?, whole.report))).transpose()
}
