//! The servers of the benchmarks, as processes.

use std::error::Error;
use std::path::Path;

use zk_benches::{Backend, DATA_LEN, PATH};
use zk_client::{Client, CreateMode, ErrorCode};

const PROGRAMS: [&str; 2] = [
    env!("CARGO_BIN_EXE_responder"),
    env!("CARGO_BIN_EXE_bench-server"),
];

/// Creates the znode unless it is there, and reads it.
async fn read_data(address: &str) -> Result<usize, Box<dyn Error>> {
    let client = Client::connect(address).await?;
    let created = client.create(PATH, [1; DATA_LEN], CreateMode::Persistent);
    match created.await {
        Err(error) if error.code() != Some(ErrorCode::NodeExists) => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    let (data, stat) = client.get_data(PATH, None).await?;
    assert_eq!(usize::try_from(stat.data_length)?, data.len());
    client.close().await?;
    Ok(data.len())
}

#[test]
fn every_backend_serves_tells_its_cpu_time_and_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for program in PROGRAMS {
        let mut backend = Backend::start(Path::new(program)).unwrap();
        let before = backend.cpu().unwrap();
        let address = backend.connect_string().to_owned();
        assert_eq!(runtime.block_on(read_data(&address)).unwrap(), DATA_LEN);
        assert_eq!(runtime.block_on(read_data(&address)).unwrap(), DATA_LEN);
        let after = backend.cpu().unwrap();
        assert_eq!(after.is_some(), cfg!(unix));
        assert!(after.is_none() || after > before);
        drop(backend);
        assert!(std::net::TcpStream::connect(&address).is_err());
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = Backend::start(Path::new("no-such-program")).unwrap_err();
    assert!(error.to_string().starts_with("no-such-program: "));
}
