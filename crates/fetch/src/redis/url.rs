//! `redis://user@host:port,host:port`.

use std::str::FromStr;

use super::Address;

const DEFAULT_PORT: u16 = 6379;

/// What a `redis://` or `rediss://` URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// Whether it is `rediss://`.
    pub tls: bool,
    /// ACL user.
    pub user: Option<String>,
    /// Where to begin, in the order they are tried; at least one.
    pub addresses: Vec<Address>,
}

/// Text that is no URL of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It has another form.
    #[error("not of the form redis://user@host:port or rediss://...: {0:?}")]
    Form(String),
    /// It is to be an address alone.
    #[error("not of the form host:port: {0:?}")]
    Address(String),
    /// It carries a password, which others could see.
    #[error(
        "a password in a URL is seen by everyone who lists processes: give it by \
         OFFKEY_REDIS_PASSWORD, by a file or at the prompt"
    )]
    Password,
}

impl RedisUrl {
    /// Whether `text` means to be such a URL.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.starts_with("redis://") || text.starts_with("rediss://")
    }
}

impl FromStr for RedisUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let form = || UrlError::Form(text.to_owned());
        let (tls, rest) = match text.strip_prefix("rediss://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("redis://").ok_or_else(form)?),
        };
        let (login, hosts) = match rest.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, rest),
        };
        if login.is_some_and(|login| login.contains(':')) {
            return Err(UrlError::Password);
        }
        let user = login.map(|user| decoded(user).ok_or_else(form)).transpose()?;
        let hosts = hosts.strip_suffix('/').unwrap_or(hosts);
        let addresses = hosts.split(',').map(|host| address(host).ok_or_else(form));
        Ok(Self {
            tls,
            user: user.filter(|user| !user.is_empty()),
            addresses: addresses.collect::<Result<_, _>>()?,
        })
    }
}

impl FromStr for Address {
    type Err = UrlError;

    /// `host`, `host:port`, `[v6]` or `[v6]:port`.
    fn from_str(text: &str) -> Result<Self, UrlError> {
        address(text).ok_or_else(|| UrlError::Address(text.to_owned()))
    }
}

fn address(text: &str) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_of_names = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if host.is_empty() || !host.chars().all(is_of_names) {
        return None;
    }
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok())?;
    Some(Address { host: host.to_owned(), port })
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_every_form() {
        for (text, tls, user, addresses) in [
            ("redis://h", false, None, vec![("h", 6379)]),
            ("rediss://h:1/", true, None, vec![("h", 1)]),
            ("redis://a%40b@10.0.0.1:7", false, Some("a@b"), vec![("10.0.0.1", 7)]),
            ("redis://[::1]:8", false, None, vec![("::1", 8)]),
            ("redis://[::1]", false, None, vec![("::1", 6379)]),
            ("redis://u@a:1,b:2", false, Some("u"), vec![("a", 1), ("b", 2)]),
            ("redis://@h", false, None, vec![("h", 6379)]),
        ] {
            let url: RedisUrl = text.parse().unwrap();
            assert_eq!(url.tls, tls, "{text}");
            assert_eq!(url.user.as_deref(), user, "{text}");
            let found: Vec<_> = url.addresses.iter().map(|a| (a.host.as_str(), a.port)).collect();
            assert_eq!(found, addresses, "{text}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "http://h",
            "redis://",
            "redis://h:x",
            "redis://h:99999",
            "redis://a b",
            "redis://h:1/0",
            "redis://[::1",
            "redis://[h]:1",
            "redis://a,,b",
            "redis://%zz@h",
            "redis:h",
        ] {
            assert_eq!(text.parse::<RedisUrl>(), Err(UrlError::Form(text.to_owned())), "{text}");
        }
        assert_eq!("[::1]:8".parse(), Ok(Address { host: "::1".to_owned(), port: 8 }));
        assert_eq!("h:x".parse::<Address>(), Err(UrlError::Address("h:x".to_owned())));
        assert_eq!("redis://u:p@h".parse::<RedisUrl>(), Err(UrlError::Password));
        assert_eq!("redis://:p@h".parse::<RedisUrl>(), Err(UrlError::Password));
    }
}
