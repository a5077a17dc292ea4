//! Finding the database, and bringing its tables up to date.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tapkey_domain::audit::Action;
use thiserror::Error;
use tokio_postgres::{
    Client, Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::StoreError;
use crate::{
    store::{NewToken, Scope, values},
    vault::VaultError,
};

#[allow(missing_docs, unreachable_pub, reason = "generated code")]
mod embedded {
    refinery::embed_migrations!("src/store/postgres/migrations");
}

/// Where the database is and how to reach it.
#[derive(Clone)]
pub(crate) struct Target {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Target {
    /// Reads an address as libpq writes it: several hosts, `target_session_attrs` and so on.
    ///
    /// A certificate that nobody vouches for protects nothing, so without authorities only a database
    /// on this machine is talked to in the clear; for others the address has to say that this is meant.
    pub(crate) fn new(url: &str, authorities: Option<&Path>) -> Result<Self, PostgresError> {
        let mut config = Config::from_str(url).map_err(PostgresError::Url)?;
        let roots = match authorities {
            Some(path) => read_authorities(path)?,
            None if config.get_ssl_mode() == SslMode::Disable => RootCertStore::empty(),
            None if config.get_ssl_mode() == SslMode::Prefer && is_local(&config) => {
                config.ssl_mode(SslMode::Disable);
                RootCertStore::empty()
            }
            None => return Err(PostgresError::NoAuthorities),
        };
        if authorities.is_some() && config.get_ssl_mode() == SslMode::Prefer {
            // Whoever names authorities wants no fallback to plain text.
            config.ssl_mode(SslMode::Require);
        }
        config.application_name("tapkey");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        // A server that vanished without a word is noticed in seconds, not in the two hours of the system.
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
        config.tcp_user_timeout(CONNECT * 2);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(PostgresError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config, tls: MakeRustlsConnect::new(tls) })
    }

    /// One connection, whose other half runs in the background until the connection ends.
    pub(super) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to the database ended");
            }
        });
        Ok(client)
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("hosts", &self.config.get_hosts()).finish_non_exhaustive()
    }
}

fn read_authorities(path: &Path) -> Result<RootCertStore, PostgresError> {
    let unusable = |why: String| PostgresError::Authorities { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("there is no certificate in it".to_owned())) } else { Ok(roots) }
}

fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        #[cfg(unix)]
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    })
}

/// Brings the tables up to date. Nodes that start at the same time take turns: the first row of the
/// history can be written by one of them only.
pub(super) async fn migrate(client: &mut Client) -> Result<u32, PostgresError> {
    let newest = newest_schema();
    let found = schema(client).await?;
    if found.is_some_and(|found| found > newest) {
        return Err(PostgresError::Newer { found: found.unwrap_or_default(), known: newest });
    }
    if found != Some(newest) {
        for attempt in 0.. {
            match embedded::migrations::runner().run_async(client).await {
                Ok(_) => break,
                // Another node was faster; what it has not done is done in the next round.
                Err(_) if schema(client).await? == Some(newest) => break,
                Err(_) if attempt < 3 => tokio::time::sleep(CONNECT / 10).await,
                Err(source) => return Err(PostgresError::Migration { source: Box::new(source) }),
            }
        }
    }
    Ok(u32::try_from(newest).unwrap_or_default())
}

/// The version of the tables; `None` where there are none.
async fn schema(client: &Client) -> Result<Option<i32>, PostgresError> {
    let exists = "SELECT 1 FROM information_schema.tables
                  WHERE table_schema = current_schema() AND table_name = 'refinery_schema_history'";
    if client.query_typed(exists, &[]).await.map_err(PostgresError::Database)?.is_empty() {
        return Ok(None);
    }
    let row = client
        .query_typed_one("SELECT max(version) FROM refinery_schema_history", &[])
        .await
        .map_err(PostgresError::Database)?;
    row.try_get(0).map_err(PostgresError::Database)
}

/// What proves the master key; `None` where the store was never used.
pub(super) async fn check(client: &Client) -> Result<Option<Vec<u8>>, PostgresError> {
    let rows = client.query_typed("SELECT sealed_key FROM meta WHERE id = 0", &[]).await;
    let rows = rows.map_err(PostgresError::Database)?;
    rows.first().map(|row| row.try_get(0)).transpose().map_err(PostgresError::Database)
}

/// Fills an empty database with its first rows, all of them or none.
pub(super) async fn fill(
    client: &mut Client,
    check: &[u8],
    scope: &Scope,
    first: &NewToken,
) -> Result<(), PostgresError> {
    let db = super::sql::Db(client.transaction().await.map_err(PostgresError::Database)?);
    let rows = async {
        use super::sql::{bytes, int8};
        let (tenant, now) = (scope.tenant.get(), values::time(scope.now));
        let insert = "INSERT INTO tenants (id, name, created_at) VALUES ($1, 'default', $2)";
        db.execute(insert, &[int8(&tenant), int8(&now)]).await?;
        db.execute("INSERT INTO meta (id, sealed_key) VALUES (0, $1)", &[bytes(&check)]).await?;
        super::audit::insert(&db, scope, &scope.event(Action::StoreCreated)).await?;
        super::tokens::insert(&db, scope, first).await
    };
    rows.await.map_err(|error| match error {
        StoreError::Postgres(error) => PostgresError::Database(error),
        _ => PostgresError::NotEmpty,
    })?;
    db.0.commit().await.map_err(PostgresError::Database)
}

fn newest_schema() -> i32 {
    let migrations = embedded::migrations::runner();
    let newest = migrations.get_migrations().iter().map(refinery::Migration::version).max();
    newest.unwrap_or_default()
}

/// How long to wait for one server of the list.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(3);
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(5);

/// Why a PostgreSQL store cannot be used. No text holds the address: there may be a password in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The address is malformed.
    #[error("store.url is not an address of PostgreSQL ({0}); write postgres://user@host/database")]
    Url(#[source] tokio_postgres::Error),
    /// A file with certificate authorities cannot be used.
    #[error("the certificate authorities in {} cannot be read: {why}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Nobody vouches for a database elsewhere.
    #[error(
        "the database is not on this machine and nobody vouches for it: name its certificate authorities with \
         store.ca_file, or add sslmode=disable to store.url where the network itself is trusted"
    )]
    NoAuthorities,
    /// TLS cannot be set up.
    #[error("TLS to the database cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// There is no runtime for connections.
    #[error("internal: no runtime for the connections to the database")]
    Runtime,
    /// The database is not reached, or refuses.
    #[error("the database cannot be used: {}", chain(.0))]
    Database(#[source] tokio_postgres::Error),
    /// The database was written by a newer version.
    #[error(
        "the database was written by a newer Tapkey (tables of version {found}, this program knows up to \
         {known}); it was left as it is. Use the newer program"
    )]
    Newer {
        /// Its version.
        found: i32,
        /// The newest version known here.
        known: i32,
    },
    /// The tables cannot be brought up to date.
    #[error("the tables of the database cannot be brought up to date: {source}")]
    Migration {
        /// Why.
        source: Box<refinery::Error>,
    },
    /// There is something in the database already.
    #[error("the database is not empty: nothing is created beside existing data")]
    NotEmpty,
    /// The database has no store yet.
    #[error("there is no store in the database; create one first")]
    NoStore,
    /// The master key does not belong to the store.
    #[error(
        "the master key does not belong to this database; restore the right master.key (another one opens \
         none of the store's secrets)"
    )]
    WrongMasterKey,
    /// A secret could not be drawn or sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What the database says, not only that it said something.
fn chain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
    }
}
