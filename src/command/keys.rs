//! `todoku keys`.

use super::Outcome;
use crate::auth::{Keyring, PUBLISHED, make_first_key, rotate};
use crate::boot;
use crate::config::Config;
use crate::db::Clock;
use crate::kernel::code::Code;
use chrono::Duration;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// List the published signing keys; the first one listed as signing is the active one.
    List,
    /// Step the rotation on: the next key becomes active, the active one passive, a new next is published. Leave a day between.
    Rotate {
        /// Also when the next key was published only just now: whoever does not know it yet refuses its tokens.
        #[arg(long)]
        at_once: bool,
    },
}

pub(super) async fn keys(config: Config, command: KeysCommand) -> Outcome {
    let booted = boot::boot(config, Clock::Live).await?;
    let state = &booted.state;
    make_first_key(&state.db, &state.keys).await?;
    if let KeysCommand::Rotate { at_once } = command {
        let published = if at_once { Duration::zero() } else { PUBLISHED };
        let next = rotate(&state.db, &state.keys, published).await.map_err(|fault| match fault.code {
            Code::StateConflict => format!("the next key was published less than {} minutes ago, and not everybody may know it; wait, or say --at-once", PUBLISHED.num_minutes()),
            _ => fault.to_string(),
        })?;
        println!("published {next}");
    }
    let ring = Keyring::load(&state.db, &state.keys).await?;
    for key in ring.published() {
        println!("{} {}", key.kid, if key.kid == ring.signing().kid { "signing" } else { "published" });
    }
    state.db.close();
    Ok(())
}
