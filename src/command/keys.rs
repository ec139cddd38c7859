//! `todoku keys`.

use super::Outcome;
use crate::auth::{Keyring, make_first_key, rotate};
use crate::boot;
use crate::config::Config;
use crate::db::Clock;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// List the published signing keys; the first one listed as signing is the active one.
    List,
    /// Step the rotation on: the next key becomes active, the active one passive, a new next is published. Leave a day between.
    Rotate,
}

pub(super) async fn keys(config: Config, command: KeysCommand) -> Outcome {
    let booted = boot::boot(config, Clock::Live).await?;
    let state = &booted.state;
    make_first_key(&state.db, &state.keys).await?;
    if let KeysCommand::Rotate = command {
        let next = rotate(&state.db, &state.keys).await?;
        println!("published {next}");
    }
    let ring = Keyring::load(&state.db, &state.keys).await?;
    for key in ring.published() {
        println!("{} {}", key.kid, if key.kid == ring.signing().kid { "signing" } else { "published" });
    }
    state.db.close();
    Ok(())
}
