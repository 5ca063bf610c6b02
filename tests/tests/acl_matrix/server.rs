//! The server that is asked.

use zk_env::TokioEnv;
use zk_server::{Server, ZooCfg};

/// Users for SASL, in the form that `scripts/security.sh` gives to Apache.
pub(crate) const USERS: &str = r#"Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_bob="bobsecret"
    user_super="adminsecret";
};
"#;

/// A running server.
pub(crate) struct Place {
    host: String,
    _server: Option<(Server, tempfile::TempDir)>,
}

impl Place {
    pub(crate) async fn start() -> Self {
        match std::env::var("ZK_ACL_SERVER") {
            Ok(host) => Self {
                host,
                _server: None,
            },
            Err(_) => Self::bundled().await,
        }
    }

    async fn bundled() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let users = dir.path().join("jaas.conf");
        std::fs::write(&users, USERS).unwrap();
        let text = format!(
            "dataDir=unused\nclientPort=0\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\nextendedTypesEnabled=true\n\
             DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=\n\
             java.security.auth.login.config={}\n\
             authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n",
            users.display()
        );
        let cfg = ZooCfg::parse(&text).unwrap();
        let (config, _) = cfg.load(&*TokioEnv::new()).await.unwrap();
        let server = Server::builder().in_memory().config(config);
        let server = server.start().await.unwrap();
        Self {
            host: server.client_addr().to_string(),
            _server: Some((server, dir)),
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}
