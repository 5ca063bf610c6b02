//! Two bundled servers, or one and the model: enough to see that the test itself works,
//! without Java.

use super::{Bundled, Configuration, Modelled, Run, shrink};

const FULL: Configuration = Configuration::of_seed(1);
const PLAIN: Configuration = Configuration::of_seed(0);

/// A run, and the servers it is over.
type Started = (Run, (Bundled, Bundled));

fn start(reference: &Configuration, candidate: &Configuration) -> Result<Started, String> {
    let server = |configuration| Bundled::start(configuration).map_err(|error| error.to_string());
    let servers = (server(reference)?, server(candidate)?);
    let run = Run::new(servers.0.address(), servers.1.address());
    Ok((run, servers))
}

#[test]
fn a_server_agrees_with_its_like() {
    for configuration in [FULL, PLAIN] {
        let (run, _servers) = start(&configuration, &configuration).unwrap();
        if let Err(difference) = run.explore(7, 600) {
            panic!("{difference}");
        }
    }
}

#[test]
fn the_simulators_model_agrees_with_the_bundled_server() {
    for seed in [0, 1] {
        let configuration = Configuration::modelled(seed);
        let bundled = Bundled::start(&configuration).unwrap();
        let model = Modelled::start(&configuration).unwrap();
        let run = Run::new(bundled.address(), model.address());
        if let Err(difference) = run.explore(seed, 600) {
            panic!("{difference}");
        }
    }
}

#[test]
fn a_difference_is_found_and_cut_down_to_what_shows_it() {
    let (run, _servers) = start(&FULL, &PLAIN).unwrap();
    let found = run.explore(7, 3_000).unwrap_err();
    let before = found.ops.len();
    let cut = shrink(found, || start(&FULL, &PLAIN), |_| {}).unwrap();
    assert!(
        cut.ops.len() <= 8,
        "{} of {before} left:\n{cut}",
        cut.ops.len()
    );
    assert_ne!(cut.reference, cut.candidate);
}
