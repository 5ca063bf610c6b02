//! Recipes in the simulator, from the command line; see [`zk_tests::recipes_sim`].

use std::process::ExitCode;

fn main() -> ExitCode {
    zk_sim::cli::main(zk_tests::recipes_sim::RECIPES)
}
