//! The connections: how many there are, how long they may take, and how they end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use crate::auth::ConnectionId;
use crate::config::Limits;
use crate::tls::Tls;

/// Longest head of a request.
const HEAD_LEN_MAX: usize = 64 * 1024;

/// How long to wait when the system has no socket for a new connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Answers connections until `stop` changes, and then the requests that are open.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let places = usize::try_from(limits.connections.get()).unwrap_or(usize::MAX);
    let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    let mut last_id = 0;
    loop {
        let accepted = tokio::select! {
            // An error says that the sender is gone, and with it the service.
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        last_id += 1;
        let id = ConnectionId(last_id);
        let (router, limits, tls, stop) =
            (router.clone(), limits.clone(), tls.clone(), stop.clone());
        connections.spawn(async move {
            let served = match tls {
                None => answer(stream, id, router, &limits, stop).await,
                Some(tls) => {
                    let hello = timeout(seconds(&limits.header_seconds), tls.accept(stream));
                    match hello.await {
                        Ok(Ok(stream)) => answer(stream, id, router, &limits, stop).await,
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err("no TLS handshake in time".to_owned()),
                    }
                }
            };
            if let Err(error) = served {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Waits for a place, and then for somebody to take it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

/// Answers the requests of one connection.
async fn answer<S: AsyncRead + AsyncWrite>(
    stream: S,
    id: ConnectionId,
    router: Router,
    limits: &Limits,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(seconds(&limits.write_seconds)));
    let stream: Pin<Box<TimeoutStream<S>>> = Box::pin(stream);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        // Two readers may differ on where a request in chunks ends, so nothing follows it.
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        request.extensions_mut().insert(ConnectInfo(id));
        let answered = router.clone().oneshot(request);
        async move {
            let mut response = answered.await?;
            if is_last {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(seconds(&limits.header_seconds))
        .max_buf_size(HEAD_LEN_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(|error| error.to_string())
}

fn seconds(number: &std::num::NonZeroU32) -> Duration {
    Duration::from_secs(number.get().into())
}
