//! `status`, with the words of Apache's `zkServer.sh`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use zk_env::Env;
use zk_server::four_letter_word;

use crate::read_config;

/// As long as Apache's own client waits.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Prints the mode of the server that `path` configures.
pub(crate) async fn status(path: &Path, env: &dyn Env) -> Result<ExitCode, String> {
    eprintln!("Using config: {}", path.display());
    let cfg = read_config(path)?;
    let (host, port) = (cfg.client_host().unwrap_or("localhost"), cfg.client_port());
    println!("Client port found: {port}. Client address: {host}. Client SSL: false.");
    match mode(host, port, env).await {
        Some(mode) => {
            println!("{mode}");
            Ok(ExitCode::SUCCESS)
        }
        None => {
            println!("Error contacting service. It is probably not running.");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The `Mode:` line of the first address that gives one.
async fn mode(host: &str, port: u16, env: &dyn Env) -> Option<String> {
    for addr in env.resolve(host, port).await.ok()? {
        if let Ok(text) = four_letter_word(env, addr, "srvr", TIMEOUT).await {
            let mut lines = text.lines();
            if let Some(mode) = lines.find(|line| line.starts_with("Mode: ")) {
                return Some(mode.to_owned());
            }
        }
    }
    None
}
