//! Live Redis and Valkey servers: how to reach them, log in, and read their data as a
//! replica does.

mod connection;
mod live;
mod payload;
mod replica;
mod resp;
mod throttle;
mod tls;
mod url;

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

pub(crate) use connection::Connection;
pub use live::{LiveNode, Meter, Taking};
pub(crate) use resp::Reply;
pub use tls::Tls;
pub use url::{RedisUrl, UrlError};

use crate::{Error, ErrorKind, Secret};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name or an address; of IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How to log in to the servers of an instance.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// ACL user; the default one if `None`.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Encryption; in the clear if `None`.
    pub tls: Option<Tls>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For an answer, and for the next bytes of the data.
    pub read: Duration,
    /// For the data to begin: the server may write all of it to its disk first. It shows
    /// all the while that it is alive.
    pub start: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(60),
            start: Duration::from_secs(3600),
        }
    }
}

impl Address {
    /// The address that its name stands for; itself where that is not known.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let found = self.resolve().ok();
        found.and_then(|found| found.first().copied()).map_or_else(|| self.clone(), Self::from)
    }

    /// The addresses that its name stands for.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>, Error> {
        let unknown = |why: String| {
            Error::new(ErrorKind::Unreachable, format!("{self}: address not found: {why}"))
        };
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found: Vec<_> = found.map_err(|error| unknown(error.to_string()))?.collect();
        if found.is_empty() { Err(unknown("no such name".to_owned())) } else { Ok(found) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl From<(IpAddr, u16)> for Address {
    fn from((ip, port): (IpAddr, u16)) -> Self {
        Self { host: ip.to_string(), port }
    }
}
