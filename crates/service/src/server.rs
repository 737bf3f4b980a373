//! The connections: how many there are, how long they may take, and how they end.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONNECTION, EXPECT, HOST, TRANSFER_ENCODING};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use crate::api::ApiError;
use crate::auth::ConnectionId;
use crate::config::Limits;
use crate::tls::Tls;

/// Longest head of a request, and most headers in it.
const HEAD_LEN_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;

/// What is read of a head, so that one that is too long is answered like any other request; to
/// what is longer still, the HTTP library says no without a body.
const HEAD_READ_MAX: usize = 2 * HEAD_LEN_MAX;
const HEADERS_READ_MAX: usize = 1000;

/// How much of a body that nobody wants is read all the same, and for how long: who is cut
/// while it sends may not see the answer.
const SKIPPED_LEN_MAX: usize = 16 * 1024 * 1024;
const SKIPPED_TIME_MAX: Duration = Duration::from_secs(5);

/// Open files besides the connections: databases, backups and pipes.
const FILES_BESIDES: u64 = 256;

/// How long to wait when the system has no socket for a new connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The body of a request, to be taken back once the request is answered.
#[derive(Clone, Default)]
struct Unread(Arc<Mutex<Option<Incoming>>>);

/// Answers connections until `stop` changes, and then the requests that are open.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    allow_open_files(limits.connections.get().into());
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

/// Lets the process open a file for each connection, as far as the system lets it.
fn allow_open_files(connections: u64) {
    let wanted = connections.saturating_add(FILES_BESIDES);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), ..limit });
    if raised.is_err() || allowed < wanted {
        tracing::warn!(connections, "too few open files allowed (ulimit -n) for the connections");
    }
}

/// The layer: heads are short.
pub(crate) async fn refuse_long_heads(request: Request, next: Next) -> Result<Response, ApiError> {
    let lines = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let len = lines.sum::<usize>() + target + request.method().as_str().len();
    match request.headers().len() > HEADERS_MAX || len > HEAD_LEN_MAX {
        true => Err(ApiError::HeadTooLong),
        false => Ok(next.run(request).await),
    }
}

/// The layer: a request must say in one way whom it is for, as RFC 9112 (3.2) asks.
pub(crate) async fn refuse_ambiguous(request: Request, next: Next) -> Result<Response, ApiError> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host),
        (None, _) if request.version() == Version::HTTP_10 => None,
        (None, _) | (Some(_), Some(_)) => {
            return Err(ApiError::Ambiguous("header Host is not there exactly once"));
        }
    };
    let host = host.map(|host| Authority::try_from(host.as_bytes())).transpose();
    let host = host.map_err(|_| ApiError::Ambiguous("header Host is malformed"))?;
    match (request.uri().authority(), host) {
        (Some(target), Some(host)) if *target != host => {
            Err(ApiError::Ambiguous("the target has another host than header Host"))
        }
        (_, Some(host)) if host.as_str().contains('@') => {
            Err(ApiError::Ambiguous("header Host is malformed"))
        }
        _ => Ok(next.run(request).await),
    }
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
        let unread = Unread::default();
        let mut request: Request = request.map(|body| Body::new(unread.keep(body)));
        // Two readers may differ on where a request in chunks ends, so nothing follows it.
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        // Who waits for a word before it sends a body gets the answer instead.
        let waits = request.headers().contains_key(EXPECT);
        request.extensions_mut().insert(ConnectInfo(id));
        let answered = router.clone().oneshot(request);
        async move {
            let mut response = answered.await?;
            let is_slow = response.status() == StatusCode::REQUEST_TIMEOUT;
            let is_read = unread.is_end_stream() || (!waits && !is_slow && unread.skip().await);
            // Who sends a head like that is not listened to further.
            let is_refused = response.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            if is_last || is_refused || !is_read {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(seconds(&limits.header_seconds))
        .max_headers(HEADERS_READ_MAX)
        .max_buf_size(HEAD_READ_MAX)
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

impl Unread {
    fn keep(&self, body: Incoming) -> Self {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        self.clone()
    }

    /// Reads what the handler has not read; false if that is too much.
    async fn skip(self) -> bool {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = body else { return true };
        let skipped = async {
            let mut len = 0;
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                len += frame.ok()?.data_ref().map_or(0, Bytes::len);
                if len > SKIPPED_LEN_MAX {
                    return None;
                }
            }
            Some(())
        };
        timeout(SKIPPED_TIME_MAX, skipped).await.is_ok_and(|skipped| skipped.is_some())
    }
}

impl hyper::body::Body for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.as_ref().map_or_else(SizeHint::new, Incoming::size_hint)
    }
}

fn seconds(number: &std::num::NonZeroU32) -> Duration {
    Duration::from_secs(number.get().into())
}
