//! Starting and stopping.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    future::Future,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tapkey_api::SecretText;
use tapkey_domain::{audit::Actor, id::TenantId, role::Role};
use thiserror::Error;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::{
    Clock, Config, MasterKeyError, OpenError, PostgresError, RandomError, TlsError,
    config::{StoreConfig, Synchronous},
    http::{Site, acceptor, listen},
    service::{Service, new_token},
    store::{
        NewToken, Scope, Store,
        postgres::{PostgresStore, Target},
        sqlite::{DATABASE_FILE, Lock, SqliteStore},
    },
    vault::{MASTER_KEY_FILE, create_master_key, read_master_key},
};

/// Where the first administrator's token is written.
const TOKEN_FILE: &str = "admin-token";
/// There from the first to the last step of the first start: what is beside it was never used.
const MARKER_FILE: &str = "initialising";
/// How often enrolments whose time is over are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// An opened store with everything around it, ready to serve.
pub struct Server {
    service: Arc<Service>,
    tls: Option<TlsAcceptor>,
    // Released last: whoever gets it next must find a store that is closed.
    lock: Option<Lock>,
}

/// What the first start created.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FirstStart {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The master key. Without it, the store's secrets are lost: keep a copy elsewhere.
    pub master_key_file: PathBuf,
    /// The file that holds the first administrator's token, mode 0600. Delete it once the token is
    /// kept elsewhere.
    pub token_file: PathBuf,
}

/// A server that runs in the background.
#[derive(Debug)]
#[must_use = "dropping it stops the server"]
pub struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Binds the configured address.
///
/// # Errors
/// The address is taken, not allowed, or not this machine's.
pub async fn bind(config: &Config) -> Result<TcpListener, StartError> {
    let address = config.listen;
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
        io::ErrorKind::PermissionDenied => StartError::AddressNotAllowed { address },
        io::ErrorKind::AddrNotAvailable => StartError::AddressNotHere { address },
        _ => StartError::Bind { address, source },
    })
}

/// Opens the store and serves until `shutdown` is there; then finishes what is under way.
///
/// # Errors
/// The store, the master key or the certificate cannot be used.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    Server::open(&config, Clock::system()).await?.serve(listener, shutdown).await;
    Ok(())
}

impl Server {
    /// Creates data folder, store, master key and an administrator's token, if there are none.
    /// `None` if there is a store already.
    ///
    /// # Errors
    /// Something of a store is there, but not all of it; or nothing can be created there.
    pub async fn initialise_if_empty(config: &Config) -> Result<Option<FirstStart>, StartError> {
        if let Some(target) = target(config)? {
            let exists = PostgresStore::exists(&target).await?;
            return if exists { Ok(None) } else { initialise_shared(config, &target).await.map(Some) };
        }
        let database = config.data_dir.join(DATABASE_FILE);
        if exists(&database)? && !exists(&config.data_dir.join(MARKER_FILE))? {
            return Ok(None);
        }
        Self::initialise(config).await.map(Some)
    }

    /// Creates data folder, store, master key and an administrator's token. Never beside existing
    /// data.
    ///
    /// # Errors
    /// There is existing data, or nothing can be created there.
    pub async fn initialise(config: &Config) -> Result<FirstStart, StartError> {
        if let Some(target) = target(config)? {
            return initialise_shared(config, &target).await;
        }
        let folder = &config.data_dir;
        create_folder(folder)?;
        let _lock = Lock::take(folder)?;
        let marker = folder.join(MARKER_FILE);
        if exists(&marker)? {
            // An earlier first start was interrupted; nothing was ever served from its remains.
            remove_remains(folder)?;
        } else {
            refuse_existing(folder)?;
            write_new(&marker, b"")?;
        }
        let master_key_file = folder.join(MASTER_KEY_FILE);
        let master = create_master_key(&master_key_file)?;
        let (scope, first, token) = first_token()?;
        SqliteStore::create(folder, &master, scope, &first)?;
        let token_file = folder.join(TOKEN_FILE);
        write_new(&token_file, format!("{}\n", token.expose()).as_bytes())?;
        sync_folder(folder)?;
        fs::remove_file(&marker).map_err(|source| StartError::File { path: marker.clone(), source })?;
        sync_folder(folder)?;
        Ok(FirstStart { data_dir: folder.clone(), master_key_file, token_file })
    }

    /// Opens an existing store, and reads master key and certificate.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub async fn open(config: &Config, clock: Clock) -> Result<Self, StartError> {
        refuse_unsafe(config)?;
        let (store, lock) = match target(config)? {
            Some(target) => (open_shared(config, target).await?, None),
            None => open_embedded(config).map(|(store, lock)| (store, Some(lock)))?,
        };
        let tls = config.tls.as_ref().map(acceptor).transpose()?;
        if tls.is_none() && !config.listen.ip().is_loopback() {
            tracing::warn!("serving plain HTTP beyond loopback: put a TLS proxy in front, or set [tls]");
        }
        let service = Service::new(store, clock, config.policy, config.validation, config.limits);
        Ok(Self { service: Arc::new(service), tls, lock })
    }

    /// Serves until `shutdown` is there; then finishes the requests under way and closes the store.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let Self { service, tls, lock } = self;
        let limits = service.limits;
        let sweeper = tokio::spawn(sweep(Arc::clone(&service)));
        listen(listener, Site::new(Arc::clone(&service)), tls, limits, shutdown).await;
        sweeper.abort();
        let _ = sweeper.await;
        // Closing waits for the disk.
        let _ = tokio::task::spawn_blocking(move || drop(service)).await;
        drop(lock);
    }

    /// Serves in the background.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn start(self, listener: TcpListener) -> io::Result<Running> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(self.serve(listener, async {
            let _ = stopped.await;
        }));
        Ok(Running { address, stop: Some(stop), task })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: finishes the requests under way and closes the store.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = self.task.await;
    }
}

/// Forgets the secrets of enrolments that were not confirmed in time.
async fn sweep(service: Arc<Service>) {
    let mut interval = tokio::time::interval(SWEEP);
    loop {
        interval.tick().await;
        match service.store.expire_enrolments(service.local_scope()).await {
            Ok(0) => {}
            Ok(expired) => tracing::info!(expired, "enrolments were not confirmed in time"),
            Err(error) => tracing::error!(%error, "expired enrolments could not be looked for"),
        }
    }
}

/// The database of several nodes, where the configuration names one.
fn target(config: &Config) -> Result<Option<Target>, StartError> {
    let StoreConfig { url, ca_file, .. } = &config.store;
    let Some(url) = url else { return Ok(None) };
    Ok(Some(Target::new(url.expose(), ca_file.as_deref())?))
}

fn open_embedded(config: &Config) -> Result<(Store, Lock), StartError> {
    let folder = &config.data_dir;
    if !exists(&folder.join(DATABASE_FILE))? || exists(&folder.join(MARKER_FILE))? {
        return Err(StartError::NoStore { folder: folder.clone() });
    }
    let lock = Lock::take(folder)?;
    let master = read_master_key(&folder.join(MASTER_KEY_FILE))?;
    Ok((Store::Sqlite(SqliteStore::open(folder, &master, config.store.synchronous)?), lock))
}

async fn open_shared(config: &Config, target: Target) -> Result<Store, StartError> {
    let master = read_master_key(&config.data_dir.join(MASTER_KEY_FILE))?;
    Ok(Store::Postgres(PostgresStore::open(target, &master, config.store.connections).await?))
}

/// Fills an empty database. A master key that is in the folder already, because it was brought there
/// for all nodes or because an earlier first start was interrupted, is used: nothing is sealed yet.
async fn initialise_shared(config: &Config, target: &Target) -> Result<FirstStart, StartError> {
    let folder = &config.data_dir;
    create_folder(folder)?;
    if PostgresStore::exists(target).await? {
        return Err(PostgresError::NotEmpty.into());
    }
    let master_key_file = folder.join(MASTER_KEY_FILE);
    let master = if exists(&master_key_file)? {
        read_master_key(&master_key_file)?
    } else {
        create_master_key(&master_key_file)?
    };
    let (scope, first, token) = first_token()?;
    // The token's file first: a store whose only token nobody has is of no use. One that is there
    // already was never good for anything, since the database is empty.
    let token_file = folder.join(TOKEN_FILE);
    remove(&token_file)?;
    write_new(&token_file, format!("{}\n", token.expose()).as_bytes())?;
    sync_folder(folder)?;
    if let Err(error) = PostgresStore::create(target, &master, scope, &first).await {
        remove(&token_file)?;
        return Err(error.into());
    }
    Ok(FirstStart { data_dir: folder.clone(), master_key_file, token_file })
}

/// The first administrator's token.
fn first_token() -> Result<(Scope, NewToken, SecretText), StartError> {
    let scope = Scope { tenant: TenantId::DEFAULT, actor: Actor::Local, now: Clock::system().now() };
    let (id, token, hash) = new_token()?;
    let label = "first administrator".parse().ok();
    Ok((scope, NewToken { id, role: Role::Admin, label, hash, expires_at: None }, token))
}

fn refuse_unsafe(config: &Config) -> Result<(), StartError> {
    let allowed = std::env::var_os("TAPKEY_UNSAFE_SYNCHRONOUS_OFF").is_some_and(|value| value == "1");
    if config.store.synchronous == Synchronous::Off {
        if !allowed {
            return Err(StartError::UnsafeSynchronous);
        }
        tracing::warn!("UNSAFE: store.synchronous is off; a power cut makes spent passwords valid again");
    }
    Ok(())
}

fn exists(path: &Path) -> Result<bool, StartError> {
    path.try_exists().map_err(|source| StartError::File { path: path.to_owned(), source })
}

fn create_folder(folder: &Path) -> Result<(), StartError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| StartError::File { path: folder.to_owned(), source })
}

/// Everything that a store consists of.
fn parts(folder: &Path) -> [PathBuf; 6] {
    let wal = format!("{DATABASE_FILE}-wal");
    let shm = format!("{DATABASE_FILE}-shm");
    let journal = format!("{DATABASE_FILE}-journal");
    [DATABASE_FILE, &wal, &shm, &journal, MASTER_KEY_FILE, TOKEN_FILE].map(|name| folder.join(name))
}

fn refuse_existing(folder: &Path) -> Result<(), StartError> {
    for path in parts(folder) {
        if exists(&path)? {
            return Err(StartError::ExistingData { path });
        }
    }
    Ok(())
}

fn remove_remains(folder: &Path) -> Result<(), StartError> {
    parts(folder).iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<(), StartError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StartError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn write_new(path: &Path, content: &[u8]) -> Result<(), StartError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(|source| StartError::File { path: path.to_owned(), source })
}

/// Makes new and removed names durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), StartError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| StartError::File { path: folder.to_owned(), source })
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), StartError> {
    Ok(())
}

/// Why a server does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken.
    #[error(
        "another program listens on {address} already; stop it, or choose another address with listen = \
         in the configuration"
    )]
    AddressInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The port is reserved.
    #[error(
        "listening on {address} is not allowed; ports below 1024 need the capability CAP_NET_BIND_SERVICE, \
         or choose a higher one"
    )]
    AddressNotAllowed {
        /// The address.
        address: SocketAddr,
    },
    /// The address belongs to no interface.
    #[error("{address} is no address of this machine; choose another with listen = in the configuration")]
    AddressNotHere {
        /// The address.
        address: SocketAddr,
    },
    /// Any other reason.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be read or created.
    #[error("{}: {source}; check its owner and permissions", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no store.
    #[error("there is no store in {}; create one first", folder.display())]
    NoStore {
        /// The data folder.
        folder: PathBuf,
    },
    /// There is data where none should be.
    #[error(
        "{} exists, but not everything that belongs to it: nothing is created beside existing data. Restore \
         the missing files, or give the server an empty data folder",
        path.display()
    )]
    ExistingData {
        /// What exists.
        path: PathBuf,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The database of several nodes cannot be used.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The master key cannot be used.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Durability was switched off without saying so twice.
    #[error(
        "store.synchronous = \"off\" makes spent passwords valid again after a power cut; it is refused \
         unless the environment holds TAPKEY_UNSAFE_SYNCHRONOUS_OFF=1"
    )]
    UnsafeSynchronous,
}
