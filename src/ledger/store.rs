//! The ledger's rows.

use super::answer::{Answer, Stored};
use super::denial::Denial;
use super::event::Event;
use super::job::Job;
use crate::auth::{ScheduleScope, SystemScope, Tenant, WitnessScope};
use crate::db::{Scope, Tx, sql};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{AuditId, EventId, JobId, TypeId};
use crate::kernel::time::Moment;
use crate::state::{Keys, Purpose};
use chrono::{Duration, NaiveDate};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Date, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use std::collections::HashMap;
use uuid::Uuid;

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::hours(72);
/// How long a remembered answer still shows a one-time secret.
const SECRET_SHOWN: Duration = Duration::minutes(15);

/// Who acts, for the rows of the ledger.
pub(super) struct Actor {
    pub caller: Uuid,
    pub partner: Option<Uuid>,
    pub principal: Uuid,
    pub request: Uuid,
}

/// Where an answer is remembered.
pub(super) struct Slot<'a> {
    pub actor: &'a Actor,
    pub route: &'a str,
    pub method: &'a str,
    pub key: &'a str,
}

impl Slot<'_> {
    fn context(&self, vendor: Uuid) -> Vec<u8> {
        format!("{vendor}|{}|{}|{}|{}", self.actor.caller, self.method, self.route, self.key).into_bytes()
    }
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    #[allow(dead_code, reason = "its presence says it")]
    done: bool,
}

#[derive(QueryableByName)]
struct RememberedRow {
    #[diesel(sql_type = Binary)]
    fingerprint: Vec<u8>,
    #[diesel(sql_type = Nullable<Integer>)]
    status: Option<i32>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    headers: Option<serde_json::Value>,
    #[diesel(sql_type = Nullable<Binary>)]
    body_sealed: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    secret_until: Option<Moment>,
}

/// What became of a claim.
pub(super) enum Claim {
    /// This request is the first.
    First,
    /// An equal one was answered.
    Answered(Answer),
    /// Another request holds the key.
    Other,
}

/// Claims a key for a request, or finds what it was answered. Waits for a request that holds it right now.
pub(super) async fn claim<S: Tenant>(tx: &Tx<S>, keys: &Keys, slot: &Slot<'_>, fingerprint: &[u8]) -> Result<Claim, ClaimFault> {
    let vendor = tx.scope().vendor();
    let claimed = tx
        .try_rows::<Flag>(
            sql("INSERT INTO todoku.idempotency AS i (vendor_id, caller_id, route, method, key, partner_id, fingerprint, expires_at)
                 VALUES ({}, {}, {}, {}, {}, {}, {}, {})
                 ON CONFLICT (vendor_id, caller_id, route, method, key) DO UPDATE SET fingerprint = excluded.fingerprint, status = NULL,
                   headers = NULL, body_sealed = NULL, secret_until = NULL, expires_at = excluded.expires_at
                   WHERE i.expires_at <= {} RETURNING true AS done")
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(slot.actor.caller)
            .bind::<Text, _>(slot.route.to_owned())
            .bind::<Text, _>(slot.method.to_owned())
            .bind::<Text, _>(slot.key.to_owned())
            .bind::<Nullable<SqlUuid>, _>(slot.actor.partner)
            .bind::<Binary, _>(fingerprint.to_vec())
            .bind::<Timestamptz, _>(tx.now() + REMEMBERED)
            .bind::<Timestamptz, _>(tx.now()),
        )
        .await
        .map_err(crate::db::fault::fault)
        .map_err(|fault| match &fault {
            // The wait for the other request timed out.
            Fault { code: Code::Overloaded, .. } => ClaimFault::StillRunning,
            _ => ClaimFault::Other(fault),
        })?;
    if !claimed.is_empty() {
        return Ok(Claim::First);
    }
    match remembered(tx, keys, slot).await.map_err(ClaimFault::Other)? {
        Some((found, answer)) if found == fingerprint => Ok(Claim::Answered(answer)),
        _ => Ok(Claim::Other),
    }
}

/// Why a key could not be claimed.
pub(super) enum ClaimFault {
    /// Another request with the key has not ended.
    StillRunning,
    /// Anything else.
    Other(Fault),
}

/// The remembered answer of a key, with the fingerprint of the request it answered.
pub(super) async fn remembered<S: Tenant>(tx: &Tx<S>, keys: &Keys, slot: &Slot<'_>) -> Result<Option<(Vec<u8>, Answer)>, Fault> {
    let vendor = tx.scope().vendor();
    let row: Option<RememberedRow> = tx
        .row(
            sql("SELECT fingerprint, status, headers, body_sealed, secret_until FROM todoku.idempotency
                 WHERE vendor_id = {} AND caller_id = {} AND route = {} AND method = {} AND key = {}")
            .bind::<SqlUuid, _>(vendor)
            .bind::<SqlUuid, _>(slot.actor.caller)
            .bind::<Text, _>(slot.route.to_owned())
            .bind::<Text, _>(slot.method.to_owned())
            .bind::<Text, _>(slot.key.to_owned()),
        )
        .await?;
    let Some(RememberedRow { fingerprint, status: Some(status), headers, body_sealed: Some(sealed), secret_until }) = row else { return Ok(None) };
    let plain = keys.open(Purpose::Answer, &slot.context(vendor), &sealed).ok_or_else(|| Fault::internal("the master secret does not open a stored answer"))?;
    let stored: Stored = serde_json::from_slice(&plain).map_err(Fault::internal)?;
    let secret_over = secret_until.is_some_and(|until| until <= tx.now());
    let body = stored.without_secret.filter(|_| secret_over).unwrap_or(stored.body);
    let headers = headers.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    Ok(Some((fingerprint, Answer { status: status as u16, headers, body, without_secret: None, subjects: Vec::new(), refused: 0 })))
}

/// Remembers the answer of a claimed key.
pub(super) async fn remember<S: Tenant>(tx: &Tx<S>, keys: &Keys, slot: &Slot<'_>, answer: &Answer) -> Result<(), Fault> {
    let vendor = tx.scope().vendor();
    let stored = Stored { body: answer.body.clone(), without_secret: answer.without_secret.clone() };
    let plain = serde_json::to_vec(&stored).map_err(Fault::internal)?;
    let sealed = keys.seal(Purpose::Answer, &slot.context(vendor), &plain)?;
    let secret_until = answer.without_secret.is_some().then(|| tx.now() + SECRET_SHOWN);
    tx.run(
        sql("UPDATE todoku.idempotency SET status = {}, headers = {}, body_sealed = {}, secret_until = {}
             WHERE vendor_id = {} AND caller_id = {} AND route = {} AND method = {} AND key = {}")
        .bind::<Integer, _>(i32::from(answer.status))
        .bind::<Jsonb, _>(serde_json::to_value(&answer.headers).map_err(Fault::internal)?)
        .bind::<Binary, _>(sealed)
        .bind::<Nullable<Timestamptz>, _>(secret_until)
        .bind::<SqlUuid, _>(vendor)
        .bind::<SqlUuid, _>(slot.actor.caller)
        .bind::<Text, _>(slot.route.to_owned())
        .bind::<Text, _>(slot.method.to_owned())
        .bind::<Text, _>(slot.key.to_owned()),
    )
    .await
    .map(drop)
}

/// Writes one audit entry per thing changed.
pub(super) async fn audit<S: Tenant>(tx: &Tx<S>, actor: &Actor, operation: &'static str, subjects: &[Uuid]) -> Result<(), Fault> {
    let ids: Vec<Uuid> = subjects.iter().map(|_| tx.new_id::<AuditId>().uuid()).collect();
    tx.run(
        sql("INSERT INTO todoku.audit_entry (vendor_id, caller_id, id, partner_id, at, actor_id, operation, subject_id, outcome, request_id)
             SELECT {}, {}, id, {}, {}, {}, {}, subject, 'done', {} FROM unnest({}, {}) AS u(id, subject)")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(actor.caller)
        .bind::<Nullable<SqlUuid>, _>(actor.partner)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<SqlUuid, _>(actor.principal)
        .bind::<Text, _>(operation)
        .bind::<SqlUuid, _>(actor.request)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<SqlUuid>, _>(subjects.to_vec()),
    )
    .await
    .map(drop)
}

/// Records events. `caller` is whose ledger rows they are: the acting partner, or the vendor's principal.
pub async fn record_events<S: Tenant>(tx: &Tx<S>, caller: Uuid, events: &[Event]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let each = |f: fn(&Event) -> Uuid| events.iter().map(f).collect::<Vec<_>>();
    let ids: Vec<Uuid> = events.iter().map(|_| tx.new_id::<EventId>().uuid()).collect();
    tx.run(
        sql("INSERT INTO todoku.event (vendor_id, caller_id, id, partner_id, type, subject_id, data, at)
             SELECT {}, {}, id, partner, kind, subject, data, {} FROM unnest({}, {}, {}, {}, {}) AS u(id, partner, kind, subject, data)")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<SqlUuid, _>(caller)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<Nullable<SqlUuid>>, _>(events.iter().map(|e| e.partner).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(events.iter().map(|e| e.kind).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(each(|e| e.subject))
        .bind::<Array<Jsonb>, _>(events.iter().map(|e| e.data.clone()).collect::<Vec<_>>()),
    )
    .await
    .map(drop)
}

/// Writes down what one tenant's callers were refused.
pub async fn record_denials(tx: &Tx<WitnessScope>, denials: &[Denial]) -> Result<(), Fault> {
    let each = |of: fn(&Denial) -> Uuid| denials.iter().map(of).collect::<Vec<_>>();
    tx.run(
        sql("INSERT INTO todoku.audit_entry (vendor_id, caller_id, id, partner_id, at, actor_id, operation, outcome, request_id, times)
             SELECT {}, caller, id, {}, at, actor, operation, outcome, request, times
             FROM unnest({}, {}, {}, {}, {}, {}, {}, {}) AS u(at, caller, id, actor, operation, outcome, request, times)")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Nullable<SqlUuid>, _>(tx.scope().partner())
        .bind::<Array<Timestamptz>, _>(denials.iter().map(|d| d.at).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(each(|d| d.caller.caller_id()))
        .bind::<Array<SqlUuid>, _>(denials.iter().map(|_| tx.new_id::<AuditId>().uuid()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(each(|d| d.caller.principal().uuid()))
        .bind::<Array<Text>, _>(denials.iter().map(|d| d.operation).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(denials.iter().map(|d| d.code.slug()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(each(|d| d.request.uuid()))
        .bind::<Array<Integer>, _>(denials.iter().map(|d| d.times).collect::<Vec<_>>()),
    )
    .await
    .map(drop)
}

/// Enqueues jobs; a day's job that exists is left alone.
pub async fn enqueue<S: Tenant>(tx: &Tx<S>, jobs: &[Job]) -> Result<(), Fault> {
    if jobs.is_empty() {
        return Ok(());
    }
    // Lists of lists do not travel as arrays; each list goes as the text of one.
    let subjects = |job: &Job| format!("{{{}}}", job.subjects.iter().map(Uuid::to_string).collect::<Vec<_>>().join(","));
    tx.run(
        sql("INSERT INTO ops.job (id, vendor_id, partner_id, kind, subjects, day, run_at, attempt)
             SELECT id, {}, partner, kind, subjects::uuid[], day, {}, 0 FROM unnest({}, {}, {}, {}, {}) AS u(id, partner, kind, subjects, day)
             ON CONFLICT DO NOTHING")
        .bind::<SqlUuid, _>(tx.scope().vendor())
        .bind::<Timestamptz, _>(tx.now())
        .bind::<Array<SqlUuid>, _>(jobs.iter().map(|_| tx.new_id::<JobId>().uuid()).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(jobs.iter().map(|job| job.partner).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(jobs.iter().map(|job| job.kind.name()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(jobs.iter().map(subjects).collect::<Vec<_>>())
        .bind::<Array<Nullable<Date>>, _>(jobs.iter().map(|job| job.day).collect::<Vec<_>>()),
    )
    .await
    .map(drop)
}

/// Notes that a vendor's day is turned; `false` when it was before.
pub async fn turn_day_once(tx: &Tx<ScheduleScope>, day: NaiveDate) -> Result<bool, Fault> {
    let statement = sql("INSERT INTO ops.turned_day (vendor_id, day) VALUES ({}, {}) ON CONFLICT DO NOTHING").bind::<SqlUuid, _>(tx.scope().vendor()).bind::<Date, _>(day);
    Ok(tx.run(statement).await? == 1)
}

/// A claimed job.
#[derive(QueryableByName, Debug, Clone)]
pub struct Claimed {
    /// Its id.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// The vendor.
    #[diesel(sql_type = SqlUuid)]
    pub vendor_id: Uuid,
    /// The partner.
    #[diesel(sql_type = SqlUuid)]
    pub partner_id: Uuid,
    /// The name of its kind.
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// The things it works on.
    #[diesel(sql_type = Array<SqlUuid>)]
    pub subjects: Vec<Uuid>,
    /// The day it is for.
    #[diesel(sql_type = Nullable<Date>)]
    pub day: Option<NaiveDate>,
    /// When it fell due.
    #[diesel(sql_type = Timestamptz)]
    pub run_at: Moment,
    /// How often it was tried before.
    #[diesel(sql_type = Integer)]
    pub attempt: i32,
}

/// The most jobs of one bundle.
const BUNDLE: i64 = 500;
/// The most things a bundle works on, so that it ends well within its lease. A job for all of a partner's customers counts as so many.
const BUNDLED: i64 = 5_000;

/// Takes leases on due jobs of the next partner after `after`, round robin (SECURITY b.4): a bundle of its oldest, so that what many
/// small jobs ask is done once. A partner comes once its oldest job has waited for `gather`. A job for all of a partner's customers comes without waiting and alone,
/// and alone comes one that failed before.
pub async fn claim_jobs(tx: &Tx<SystemScope>, after: (Uuid, Uuid), gather: std::time::Duration, lease: Duration) -> Result<Vec<Claimed>, Fault> {
    // Its own statement: the next one sees the leases that others took while we waited here.
    tx.run(sql("SELECT pg_advisory_xact_lock(7231005)")).await?;
    let before = tx.now() - gather;
    let next = match next_partner(tx, after, before).await? {
        None => next_partner(tx, (Uuid::nil(), Uuid::nil()), before).await?,
        next => next,
    };
    let Some(next) = next else { return Ok(Vec::new()) };
    let mut jobs: Vec<Claimed> = tx
        .rows(
            sql("WITH queue AS (SELECT id, attempt, row_number() OVER oldest AS nth, first_value(attempt) OVER oldest AS tried, sum(size) OVER oldest AS size
                   FROM (SELECT id, run_at, attempt, coalesce(nullif(cardinality(subjects), 0), {}) AS size FROM ops.job
                         WHERE vendor_id = {} AND partner_id = {} AND run_at <= {} ORDER BY run_at, id LIMIT {}) d
                   WINDOW oldest AS (ORDER BY run_at, id))
                 UPDATE ops.job j SET lease_until = {}, attempt = j.attempt + 1 FROM queue q
                 WHERE j.id = q.id AND (q.nth = 1 OR q.tried = 0 AND q.attempt = 0 AND q.size <= {})
                 RETURNING j.id, j.vendor_id, j.partner_id, j.kind, j.subjects, j.day, j.run_at, j.attempt - 1 AS attempt")
            .bind::<BigInt, _>(BUNDLED)
            .bind::<SqlUuid, _>(next.vendor_id)
            .bind::<SqlUuid, _>(next.partner_id)
            .bind::<Timestamptz, _>(tx.now())
            .bind::<BigInt, _>(BUNDLE)
            .bind::<Timestamptz, _>(tx.now() + lease)
            .bind::<BigInt, _>(BUNDLED),
        )
        .await?;
    jobs.sort_by_key(|job| (job.run_at, job.id));
    Ok(jobs)
}

#[derive(QueryableByName)]
struct NextPartner {
    #[diesel(sql_type = SqlUuid)]
    vendor_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
}

/// The first partner behind another in order of id that has had something due since `before`, or has something due for all its customers, and is not being worked for.
async fn next_partner(tx: &Tx<SystemScope>, after: (Uuid, Uuid), before: Moment) -> Result<Option<NextPartner>, Fault> {
    tx.row(
        sql("SELECT vendor_id, partner_id FROM ops.job WHERE (vendor_id, partner_id) > ({}, {}) AND run_at <= {} AND (run_at <= {} OR cardinality(subjects) = 0)
               AND (vendor_id, partner_id) NOT IN (SELECT vendor_id, partner_id FROM ops.job WHERE lease_until >= {})
             ORDER BY vendor_id, partner_id, run_at, id LIMIT 1")
        .bind::<SqlUuid, _>(after.0)
        .bind::<SqlUuid, _>(after.1)
        .bind::<Timestamptz, _>(tx.now())
        .bind::<Timestamptz, _>(before)
        .bind::<Timestamptz, _>(tx.now()),
    )
    .await
}

/// Takes finished jobs away, in the transaction of their effect: a job whose effect is committed never runs again. Says whether
/// all were still ours; if not, the transaction must be undone.
pub async fn finish_jobs<S: Scope>(tx: &Tx<S>, jobs: &[Claimed]) -> Result<bool, Fault> {
    let statement = sql("DELETE FROM ops.job j USING unnest({}, {}) AS u(id, attempt) WHERE j.id = u.id AND j.attempt = u.attempt + 1")
        .bind::<Array<SqlUuid>, _>(jobs.iter().map(|job| job.id).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(jobs.iter().map(|job| job.attempt).collect::<Vec<_>>());
    Ok(tx.run(statement).await? == jobs.len())
}

/// Puts failed jobs back, to be tried later, each alone.
pub async fn fail_jobs(tx: &Tx<SystemScope>, jobs: &[Claimed], failure: &str, again: Moment) -> Result<(), Fault> {
    tx.run(
        sql("UPDATE ops.job j SET lease_until = NULL, run_at = {}, failure = {} FROM unnest({}, {}) AS u(id, attempt) WHERE j.id = u.id AND j.attempt = u.attempt + 1")
            .bind::<Timestamptz, _>(again)
            .bind::<Text, _>(failure.chars().take(500).collect::<String>())
            .bind::<Array<SqlUuid>, _>(jobs.iter().map(|job| job.id).collect::<Vec<_>>())
            .bind::<Array<Integer>, _>(jobs.iter().map(|job| job.attempt).collect::<Vec<_>>()),
    )
    .await
    .map(drop)
}

/// Events that are stamped in one go.
pub const STAMPED: i64 = 5_000;

/// Stamps committed events with the next numbers of their vendor, dense and in order; one process at a time. In steps with lists,
/// because over joined expressions of unknown size the planner compares every event with every other.
pub async fn stamp_events(tx: &Tx<SystemScope>) -> Result<usize, Fault> {
    #[derive(QueryableByName)]
    struct Fresh {
        #[diesel(sql_type = SqlUuid)]
        vendor_id: Uuid,
        #[diesel(sql_type = SqlUuid)]
        caller_id: Uuid,
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    #[derive(QueryableByName)]
    struct Counter {
        #[diesel(sql_type = SqlUuid)]
        vendor_id: Uuid,
        #[diesel(sql_type = BigInt)]
        last_seq: i64,
    }
    tx.run(sql("SELECT pg_advisory_xact_lock(7231004)")).await?;
    let fresh: Vec<Fresh> =
        tx.rows(sql("SELECT vendor_id, caller_id, id FROM todoku.event WHERE seq IS NULL ORDER BY vendor_id, at, id LIMIT {}").bind::<BigInt, _>(STAMPED)).await?;
    if fresh.is_empty() {
        return Ok(0);
    }
    let vendors: Vec<Uuid> = fresh.iter().map(|event| event.vendor_id).collect();
    let counters: Vec<Counter> = tx
        .rows(
            sql("INSERT INTO todoku.event_counter AS c (vendor_id, last_seq) SELECT vendor, count(*) FROM unnest({}) AS u(vendor) GROUP BY vendor ORDER BY vendor
                 ON CONFLICT (vendor_id) DO UPDATE SET last_seq = c.last_seq + excluded.last_seq
                 RETURNING vendor_id, last_seq")
            .bind::<Array<SqlUuid>, _>(vendors.clone()),
        )
        .await?;
    let mut last: HashMap<Uuid, i64> = counters.into_iter().map(|counter| (counter.vendor_id, counter.last_seq)).collect();
    let mut numbers: Vec<i64> = vendors
        .iter()
        .rev()
        .map(|vendor| {
            let number = last.entry(*vendor).or_default();
            *number -= 1;
            *number + 1
        })
        .collect();
    numbers.reverse();
    tx.run(
        sql("UPDATE todoku.event e SET seq = u.seq FROM unnest({}, {}, {}, {}) AS u(vendor, caller, id, seq) WHERE e.vendor_id = u.vendor AND e.caller_id = u.caller AND e.id = u.id")
            .bind::<Array<SqlUuid>, _>(vendors)
            .bind::<Array<SqlUuid>, _>(fresh.iter().map(|event| event.caller_id).collect::<Vec<_>>())
            .bind::<Array<SqlUuid>, _>(fresh.iter().map(|event| event.id).collect::<Vec<_>>())
            .bind::<Array<BigInt>, _>(numbers),
    )
    .await
}

/// Forgets answers past their time, some hundreds at a time: one may be of megabytes.
pub async fn forget_expired(tx: &Tx<SystemScope>) -> Result<usize, Fault> {
    tx.run(
        sql("DELETE FROM todoku.idempotency WHERE (vendor_id, caller_id, route, method, key) IN
             (SELECT vendor_id, caller_id, route, method, key FROM todoku.idempotency WHERE expires_at <= {} LIMIT 200)")
        .bind::<Timestamptz, _>(tx.now()),
    )
    .await
}
