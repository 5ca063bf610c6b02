//! Who hears of which change.

mod one_shot;
mod persistent;
mod reconnected;
mod watcher;
