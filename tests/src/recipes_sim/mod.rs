//! Recipes in the simulator: contenders on machines that stall, sleep and die, behind links that
//! break, from a seed. The program `recipes-sim` runs them; `zk-sim` itself knows no recipe.

pub mod catalogue;
mod invariants;
mod ledger;
mod life;
mod roll;
pub mod rolling;
mod suite;
mod workload;

pub use suite::{RECIPES, WORKLOADS, drawn};
