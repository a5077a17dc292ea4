//! Accepting connections, and stopping without cutting any answer off.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::Site;
use crate::config::Limits;

/// Serves until `shutdown` is there, then finishes the requests under way.
pub(crate) async fn listen(
    listener: TcpListener,
    site: Site,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let permits = Arc::new(Semaphore::new(usize::try_from(limits.connections).unwrap_or(usize::MAX)));
    let http = http_builder(&limits);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, permit)) = accepted else { continue };
        let (site, tls, http, stopping) = (site.clone(), tls.clone(), http.clone(), stopping.clone());
        let handshake_timeout = limits.header_timeout();
        connections.spawn(async move {
            // An answer is one small write; waiting to fill a packet only adds delay.
            let _ = stream.set_nodelay(true);
            match tls {
                None => converse(stream, &http, site, stopping).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(handshake_timeout, tls.accept(stream)).await
                    {
                        converse(stream, &http, site, stopping).await;
                    }
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    let _ = stop.send(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.shutdown_timeout(), finished).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections did not end in time and are cut off");
        connections.shutdown().await;
    }
}

fn http_builder(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout())
        .max_buf_size(limits.header_bytes);
    http
}

/// The next connection, as soon as there is room for one.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) if is_about_one_connection(&error) => None,
        Err(error) => {
            // Out of descriptors or memory: trying again at once would only burn the processor.
            tracing::error!(%error, "connections cannot be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn converse<S>(mut stream: S, http: &http1::Builder, site: Site, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let refused = AtomicBool::new(false);
    let ended = {
        let service = service_fn(|request| {
            let (site, refused) = (site.clone(), &refused);
            async move {
                let response = site.answer(request).await;
                if response.as_ref().is_ok_and(|response| response.status().is_client_error()) {
                    refused.store(true, Ordering::Relaxed);
                }
                response
            }
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(&mut stream), service));
        let stop = async move {
            // The value is borrowed no longer than it takes to look at it.
            let _ = stopping.wait_for(|stop| *stop).await.map(drop);
        };
        tokio::select! {
            ended = &mut connection => ended,
            () = stop => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if ended.is_err() || refused.load(Ordering::Relaxed) {
        linger(&mut stream).await;
    }
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Reads on for a moment after a refusal. Closing while the client still sends would reset the
/// connection, and the client would never read why it was refused.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let drain = async {
        stream.shutdown().await?;
        let mut rest = [0; 16 * 1024];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut rest).await? {
                0 => break,
                length => left = left.saturating_sub(length),
            }
        }
        io::Result::Ok(())
    };
    // Whatever goes wrong here, the answer is sent and the connection is over.
    let _ = tokio::time::timeout(LINGER_TIME, drain).await;
}

const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
