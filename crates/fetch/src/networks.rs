//! Which addresses may be followed: a node that tells of other nodes may lie, and must not
//! send us, or the password, to a place nobody meant.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::{Address, Error};

/// Networks whose addresses discovery may follow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(Vec<IpNet>);

/// Text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a network such as 10.20.0.0/16 or an address: {0:?}")]
pub struct NetworkError(String);

/// Networks that one operator owns, or one machine.
const PRIVATE: [&str; 7] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "fc00::/7",
    "::1/128",
];

impl Networks {
    /// What is allowed where nobody has said: the private network of `entry`, the address
    /// that was given, or that address alone if it is a public one.
    #[must_use]
    pub fn around(entry: &[IpAddr]) -> Self {
        let private: Vec<IpNet> = PRIVATE.iter().filter_map(|net| net.parse().ok()).collect();
        let around = |ip: IpAddr| {
            let ip = ip.to_canonical();
            private.iter().find(|net| net.contains(&ip)).copied().unwrap_or_else(|| ip.into())
        };
        Self(entry.iter().copied().map(around).collect())
    }

    /// The same for addresses that may be names.
    ///
    /// # Errors
    /// A name is not known.
    pub fn around_all(entry: &[Address]) -> Result<Self, Error> {
        let found = entry.iter().map(Address::resolve).collect::<Result<Vec<_>, _>>()?;
        let found: Vec<_> = found.into_iter().flatten().map(|address| address.ip()).collect();
        Ok(Self::around(&found))
    }

    /// Whether `ip` may be followed. An IPv4 address in IPv6's clothes counts as itself.
    #[must_use]
    pub fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        !ip.is_unspecified() && !ip.is_multicast() && self.0.iter().any(|net| net.contains(&ip))
    }

    /// Whether no network was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Networks {
    type Err = NetworkError;

    /// Networks in the form `10.20.0.0/16`, or addresses, with commas between them.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = |text: &str| {
            let text = text.trim();
            let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            net.map_err(|_| NetworkError(text.to_owned()))
        };
        text.split(',').map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, net) in self.0.iter().enumerate() {
            write!(f, "{}{net}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs as _;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn default_is_the_private_network_of_the_entry() {
        for (entry, allowed, refused) in [
            ("10.1.2.3", vec!["10.200.0.1", "::ffff:10.1.2.4"], vec!["192.168.0.1", "127.0.0.1"]),
            ("172.20.0.1", vec!["172.31.255.255"], vec!["172.32.0.1", "172.15.0.1"]),
            ("127.0.0.1", vec!["127.0.0.2"], vec!["::1", "10.0.0.1", "0.0.0.0"]),
            ("203.0.113.7", vec!["203.0.113.7"], vec!["203.0.113.8", "10.0.0.1"]),
            ("fd00::1", vec!["fd12::9"], vec!["fe80::1", "2001:db8::1", "::ffff:10.0.0.1"]),
            ("2001:db8::1", vec!["2001:db8::1"], vec!["2001:db8::2"]),
        ] {
            let networks = Networks::around(&[ip(entry)]);
            for other in allowed {
                assert!(networks.allows(ip(other)), "{other} from {entry}");
            }
            for other in refused {
                assert!(!networks.allows(ip(other)), "{other} from {entry}");
            }
        }
    }

    /// The ways to write an address that a resolver may take; what counts is the address
    /// that comes out.
    #[test]
    fn spellings_of_forbidden_addresses_are_refused() {
        let networks: Networks = "10.0.0.0/8, 192.168.7.1".parse().unwrap();
        let spellings = [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "127.000.000.001",
            "::1",
            "0:0:0:0:0:0:0:1",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::127.0.0.1",
            "localhost",
            "0.0.0.0",
            "0",
            "::",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "192.168.7.2",
            "192.168.0x7.2",
            "3232237314",
            "11.0.0.1",
            "9.255.255.255",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::",
            "::10.0.0.1",
            "172.16.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "240.0.0.1",
        ];
        for spelling in spellings {
            // One that no resolver takes leads nowhere.
            for address in (spelling, 6379).to_socket_addrs().into_iter().flatten() {
                assert!(!networks.allows(address.ip()), "{spelling} is {address}");
            }
        }
        for spelling in ["10.0.0.1", "10.255.255.255", "::ffff:10.0.0.1", "192.168.7.1"] {
            assert!(networks.allows(ip(spelling)), "{spelling}");
        }
    }

    #[test]
    fn text_that_is_no_network_is_named() {
        for text in ["", "10.0.0.0/33", "10.0.0", "10.0.0.0/8,,", "host", "10.0.0.0/8 x"] {
            assert!(text.parse::<Networks>().is_err(), "{text}");
        }
        let networks: Networks = "10.0.0.0/8,::1".parse().unwrap();
        assert_eq!(networks.to_string(), "10.0.0.0/8, ::1/128");
    }
}
