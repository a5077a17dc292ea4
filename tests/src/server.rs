//! The real server, in this process, on a free port of loopback and a folder of its own.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tapkey_api::{clients::CreateClient, enrollments::CreateEnrollment};
use tapkey_client::{
    api,
    validation::{self, blocking},
};
use tapkey_server::Config;
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use crate::credential::Credential;

/// A server that ends, and forgets everything, when this is dropped.
pub struct Server {
    runtime: Runtime,
    address: SocketAddr,
    admin: api::Client,
    /// Dropping it stops the server.
    stop: Option<oneshot::Sender<()>>,
    stopped: Option<JoinHandle<Result<()>>>,
    folder: TempDir,
}

/// A client of the validation protocol, as the server made it.
#[derive(Clone)]
pub struct ValidationClient {
    /// Its number.
    pub id: u64,
    /// Its key, base64.
    pub api_key: String,
}

impl Server {
    /// Starts a server on an empty folder, which takes software keys.
    ///
    /// # Errors
    /// It does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(|_| ())
    }

    /// Starts a server on an empty folder, with a changed configuration.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_with(change: impl FnOnce(&mut Config)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut config = Config::default();
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.data_dir = folder.path().join("data");
        config.policy.accept_emulated = true;
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let first = runtime.block_on(tapkey_server::Server::initialise_if_empty(&config))?;
        let first = first.context("the folder is not empty")?;
        let listener = runtime.block_on(tapkey_server::bind(&config))?;
        let address = listener.local_addr()?;
        let token = fs::read_to_string(&first.token_file)?.parse()?;
        let (stop, stopping) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopping.await;
        };
        let stopped =
            runtime.spawn(async move { Ok(tapkey_server::serve(listener, config, shutdown).await?) });
        let admin = api::Client::builder(format!("http://{address}").parse()?, token)
            .deadline(Duration::from_secs(60))
            .build()?;
        Ok(Self { runtime, address, admin, stop: Some(stop), stopped: Some(stopped), folder })
    }

    /// The server's address, without any path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The folder that holds the server's data in `data`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of the validation protocol.
    #[must_use]
    pub fn verify_url(&self) -> String {
        format!("http://{}/wsapi/2.0/verify", self.address)
    }

    /// Waits for something asynchronous.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The interface, as administrator.
    #[must_use]
    pub const fn admin(&self) -> &api::Client {
        &self.admin
    }

    /// Enrols a credential for an account, which is created. `otp` puts the credential where it
    /// belongs and makes the password that confirms it.
    ///
    /// # Errors
    /// The server refuses.
    pub fn enrol(
        &self,
        account: &str,
        otp: impl FnOnce(&Credential) -> Result<String>,
    ) -> Result<Credential> {
        let request = CreateEnrollment {
            request_id: format!("enrol-{account}"),
            account: account.to_owned(),
            create_account: true,
            slot: 1,
            serial: None,
            firmware: None,
            public_id: None,
            label: None,
            emulated: true,
            access_code: false,
        };
        let secrets = self.wait(self.admin.create_enrollment(&request))?;
        let credential = Credential::from_texts(
            &secrets.public_id,
            secrets.private_id.expose(),
            secrets.aes_key.expose(),
        )?;
        let otp = otp(&credential)?;
        self.wait(self.admin.confirm_enrollment(&secrets.id, &otp))?;
        Ok(credential)
    }

    /// A new client of the validation protocol.
    ///
    /// # Errors
    /// The server refuses.
    pub fn validation_client(&self) -> Result<ValidationClient> {
        let created = self.wait(self.admin.create_client(&CreateClient::default()))?;
        Ok(ValidationClient { id: created.id, api_key: created.api_key.expose().to_owned() })
    }

    /// Our own client of the validation protocol.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn validator(&self, client: &ValidationClient) -> Result<blocking::Client> {
        let settings = validation::Client::builder(client.id.try_into()?, client.api_key.parse()?);
        let settings = settings.server(self.verify_url().parse()?).deadline(Duration::from_secs(60));
        Ok(blocking::Client::new(settings)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(stopped) = self.stopped.take() {
            // Its files are closed before the folder goes.
            let wait = async { tokio::time::timeout(Duration::from_secs(10), stopped).await };
            let _ = self.runtime.block_on(wait);
        }
    }
}

/// An HTTP client without proxies and without certificates, for clients of other hands that would
/// otherwise look for both.
///
/// # Errors
/// It cannot be made.
pub fn plain_http() -> Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().context("an HTTP client")
}
