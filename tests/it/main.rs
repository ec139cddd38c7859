//! The suite that runs on a real PostgreSQL, as the real login roles, through HTTP, with a clock that stands where it is put.

mod attacks;
mod catalogue;
mod credentials;
mod denials;
mod depth;
mod examples;
mod harness;
mod idempotency;
mod input;
mod insight;
mod learning;
mod list;
mod matrix;
mod migrations;
mod outage;
mod quality;
mod races;
mod readme;
mod road;
mod rotation;
mod saas;
mod scope;
mod snapshot;
mod worker;
mod wire;
mod world;
