//! `todoku vendor` and `todoku client`: what the operator at the machine may do.

use super::Outcome;
use crate::auth::{Permission, StaffScope, Tenant};
use crate::boot;
use crate::config::Config;
use crate::db::{Clock, Tx};
use crate::directory::{self, NewVendor};
use crate::health;
use crate::intake;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, PrincipalId, TypeId, VendorId};
use crate::kernel::money::Currency;
use crate::kernel::text::{Broken, Name};
use crate::kernel::time::Zone;
use crate::state::State;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Realm {
    /// Real customers.
    Live,
    /// For trying things out.
    Sandbox,
}

#[derive(Subcommand)]
pub(super) enum VendorCommand {
    /// Create a vendor with its direct partner, a starter catalogue and scorecard; prints its first credential once.
    Create {
        /// Its name.
        #[arg(long)]
        name: String,
        /// Its calendar, an IANA name.
        #[arg(long, default_value = "Asia/Tokyo")]
        time_zone: String,
        /// Its reporting currency, ISO 4217.
        #[arg(long, default_value = "JPY")]
        currency: String,
        /// What it is for.
        #[arg(long, value_enum, default_value_t = Realm::Live)]
        realm: Realm,
    },
}

#[derive(Subcommand)]
pub(super) enum ClientCommand {
    /// Make a client for a partner, or for the vendor itself; prints its secret once.
    Mint {
        /// The vendor's id.
        #[arg(long)]
        vendor: String,
        /// The partner's id; the vendor's own client when left out.
        #[arg(long)]
        partner: Option<String>,
        /// Its name.
        #[arg(long)]
        name: String,
        /// What it may do, several times; what its kind usually may when left out. `surveys:write`, with `observations:write`, is for a survey tool alone: all it submits is the customers' word.
        #[arg(long = "scope")]
        scopes: Vec<String>,
    },
    /// Give a client a new secret, printed once; the one before works for some days more.
    Rotate {
        #[command(flatten)]
        which: Which,
        /// How many days the secret before works on.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(i64).range(0..=7))]
        overlap_days: i64,
    },
    /// Revoke a client: its secrets and tokens are refused within two seconds.
    Revoke {
        #[command(flatten)]
        which: Which,
    },
}

/// The client a command is about.
#[derive(Args)]
pub(super) struct Which {
    /// The vendor's id.
    #[arg(long)]
    vendor: String,
    /// The partner's id; the vendor's own client when left out.
    #[arg(long)]
    partner: Option<String>,
    /// The client's id.
    #[arg(long)]
    client: String,
}

impl Which {
    fn ids(&self) -> Result<(VendorId, Option<PartnerId>, PrincipalId), &'static str> {
        let (vendor, partner) = ids(&self.vendor, self.partner.as_deref())?;
        Ok((vendor, partner, self.client.parse().map_err(|_| "--client is not a client id")?))
    }
}

/// A vendor that has been founded.
pub struct Founded {
    /// Its id.
    pub vendor: VendorId,
    /// Its direct partner.
    pub direct: PartnerId,
    /// The client id of its administrator.
    pub client: PrincipalId,
    /// Its secret, shown once.
    pub secret: String,
}

/// Founds a vendor: directory, catalogue and scorecard in one transaction.
pub async fn found(state: &State, new: &NewVendor) -> Result<Founded, Fault> {
    let vendor = VendorId::of(uuid::Uuid::now_v7());
    state.db.begin_write(StaffScope::operator(vendor)).await?.settle(async |tx| found_in(tx, state, vendor, new).await).await
}

async fn found_in(tx: &Tx<StaffScope>, state: &State, vendor: VendorId, new: &NewVendor) -> Result<Founded, Fault> {
    let (direct, client, minted) = directory::found_vendor(tx, &state.keys, new).await?;
    let caller = client.uuid();
    let measures = intake::starter_measures(tx)?;
    for measure in &measures {
        intake::add_measure(tx, caller, measure).await?;
    }
    health::starter_scorecard(tx, caller, &measures).await?;
    Ok(Founded { vendor, direct, client, secret: minted.secret })
}

fn argument<T: std::str::FromStr<Err = Broken>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|code: Broken| format!("--{name} {}", code.detail()))
}

pub(super) async fn vendor(config: Config, command: VendorCommand) -> Outcome {
    let VendorCommand::Create { name, time_zone, currency, realm } = command;
    let new = NewVendor {
        name: argument::<Name>("name", &name)?,
        zone: argument::<Zone>("time-zone", &time_zone)?,
        currency: argument::<Currency>("currency", &currency)?,
        live: matches!(realm, Realm::Live),
    };
    let booted = boot::boot(config, Clock::Live).await?;
    let founded = found(&booted.state, &new).await?;
    println!("vendor         {}", founded.vendor);
    println!("direct partner {}", founded.direct);
    println!("client_id      {}", founded.client);
    println!("client_secret  {}   (shown once)", founded.secret);
    booted.state.db.close();
    Ok(())
}

fn ids(vendor: &str, partner: Option<&str>) -> Result<(VendorId, Option<PartnerId>), &'static str> {
    let vendor = vendor.parse().map_err(|_| "--vendor is not a vendor id")?;
    let partner = partner.map(|text| text.parse().map_err(|_| "--partner is not a partner id")).transpose()?;
    Ok((vendor, partner))
}

pub(super) async fn client(config: Config, command: ClientCommand) -> Outcome {
    match command {
        ClientCommand::Mint { vendor, partner, name, scopes } => mint(config, ids(&vendor, partner.as_deref())?, &name, &scopes).await,
        ClientCommand::Rotate { which, overlap_days } => rotate(config, which.ids()?, overlap_days).await,
        ClientCommand::Revoke { which } => revoke(config, which.ids()?).await,
    }
}

async fn revoke(config: Config, (vendor, partner, client): (VendorId, Option<PartnerId>, PrincipalId)) -> Outcome {
    let booted = boot::boot(config, Clock::Live).await?;
    let tx = booted.state.db.begin_write(StaffScope::operator(vendor)).await?;
    let changed = tx.settle(async |tx| directory::revoke_client(tx, tx.scope().vendor(), partner, client).await).await?;
    println!("{client} {}", if changed { "is revoked" } else { "was revoked before" });
    booted.state.db.close();
    Ok(())
}

async fn rotate(config: Config, (vendor, partner, client): (VendorId, Option<PartnerId>, PrincipalId), overlap_days: i64) -> Outcome {
    let booted = boot::boot(config, Clock::Live).await?;
    let state = &booted.state;
    let tx = state.db.begin_write(StaffScope::operator(vendor)).await?;
    let rotate = async |tx: &Tx<StaffScope>| directory::add_credential(tx, &state.keys, tx.scope().vendor(), (partner, client), None, chrono::Duration::days(overlap_days)).await;
    let (_, minted) = tx.settle(rotate).await.map_err(|fault| format!("the client has no new secret: {fault}"))?;
    println!("client_id      {client}");
    if let Some(minted) = minted {
        println!("client_secret  {}   (shown once)", minted.secret);
    }
    state.db.close();
    Ok(())
}

async fn mint(config: Config, (vendor, partner): (VendorId, Option<PartnerId>), name: &str, scopes: &[String]) -> Outcome {
    let name = argument::<Name>("name", name)?;
    let (allowed, usual) = if partner.is_some() { (Permission::FOR_PARTNERS, Permission::FOR_PARTNERS) } else { (Permission::ALL, Permission::FOR_STAFF) };
    let scopes: Vec<Permission> = match scopes {
        [] => usual.to_vec(),
        some => some.iter().map(|text| argument::<Permission>("scope", text)).collect::<Result<_, _>>()?,
    };
    if let Some(scope) = scopes.iter().find(|scope| !allowed.contains(scope)) {
        return Err(format!("--scope {scope} is not for a partner's client").into());
    }
    let booted = boot::boot(config, Clock::Live).await?;
    let (client, secret) = mint_client(&booted.state, vendor, partner, name, scopes).await.map_err(|fault| format!("the client was not made: {fault}"))?;
    println!("client_id      {client}");
    println!("client_secret  {secret}   (shown once)");
    booted.state.db.close();
    Ok(())
}

/// Makes a client of the vendor, or of a partner of it; its id and its secret.
pub async fn mint_client(state: &State, vendor: VendorId, partner: Option<PartnerId>, name: Name, scopes: Vec<Permission>) -> Result<(PrincipalId, String), Fault> {
    let mint = async |tx: &Tx<StaffScope>| directory::add_client(tx, &state.keys, tx.scope().vendor(), partner, name, scopes).await;
    let (client, minted) = state.db.begin_write(StaffScope::operator(vendor)).await?.settle(mint).await?;
    Ok((client.id, minted.secret))
}
