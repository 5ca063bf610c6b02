//! `status`, with the words of Apache's `zkServer.sh`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use zk_env::Env;
use zk_server::{ConfigError, EnsembleConfig, ZooCfg, four_letter_word};

use crate::read_config;

/// As long as Apache's own client waits.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Prints the mode of the server that `path` configures.
pub(crate) async fn status(path: &Path, env: &dyn Env) -> Result<ExitCode, String> {
    eprintln!("Using config: {}", path.display());
    let cfg = read_config(path)?;
    let (host, port) = client_addr(&cfg, env)
        .await
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let host = host.as_str();
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

/// Where clients are served, as the configuration has it: in a member's `server.N`, or in
/// the file itself.
async fn client_addr(cfg: &ZooCfg, env: &dyn Env) -> Result<(String, u16), ConfigError> {
    let ensemble = cfg.ensemble(env).await?;
    let listed = ensemble.as_ref().map(EnsembleConfig::client_host);
    let host = match listed.or_else(|| cfg.client_host()) {
        None | Some("0.0.0.0" | "::") => "localhost",
        Some(host) => host,
    };
    let port = ensemble.as_ref().map(EnsembleConfig::client_port);
    let port = port.or_else(|| cfg.client_port());
    Ok((host.to_owned(), port.unwrap_or_default()))
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
