//! Which server is modelled: one row for every version in which memory is laid out, or
//! `MEMORY USAGE` counts, in another way than before.

use std::fmt;
use std::str::FromStr;

use super::rows::{REDIS_4_0, ROWS};
use super::rules::Rules;

/// A line of server versions whose memory is modelled alike.
#[derive(Clone, Copy)]
pub struct Profile {
    pub(crate) rules: &'static Rules,
}

/// Major, minor and patch level of a server.
pub(crate) type Version = (u16, u16, u16);

impl Profile {
    /// Chooses the line of the server that wrote a file.
    ///
    /// `version` is the value of the aux field `valkey-ver` (then `valkey` is true) or
    /// `redis-ver`, empty if the file has neither. Servers before 4.0 had no `MEMORY USAGE`:
    /// their files, and files without a version, are modelled by their RDB version, at least
    /// as Redis 4.0. A version newer than all known is modelled as the newest.
    pub fn for_server(valkey: bool, version: &str, rdb_version: u16) -> Self {
        match parse_version(version, 0) {
            Some(version) if version >= (4, 0, 0) => Self::of(valkey, version),
            _ => Self::of(valkey || rdb_version >= 80, version_of_rdb(rdb_version)),
        }
    }

    /// All lines, oldest first, Redis before Valkey.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|rules| Self { rules })
    }

    /// The row of `version`, the first one for versions older than all rows.
    fn of(valkey: bool, version: Version) -> Self {
        // A patch level of a hundred or more marks a release candidate of the next line.
        let candidate = version.2 >= 100 && version.0 < u16::from(u8::MAX);
        let mut lines = Self::all().filter(|p| p.rules.valkey == valkey);
        let first = lines.next().unwrap_or(Self { rules: &REDIS_4_0 });
        let mut chosen = first;
        for line in lines {
            if line.rules.since <= version {
                chosen = line;
            } else if candidate {
                return line;
            } else {
                break;
            }
        }
        chosen
    }
}

/// Parses `7.2.6`; a missing patch level is `patch`.
fn parse_version(text: &str, patch: u16) -> Option<Version> {
    let mut numbers = text.split('.').map(|n| n.parse::<u16>().ok());
    let (major, minor) = (numbers.next()??, numbers.next()??);
    let patch = match numbers.next() {
        Some(number) => number?,
        None => patch,
    };
    numbers.next().is_none().then_some((major, minor, patch))
}

/// The newest server that writes an RDB version.
fn version_of_rdb(rdb_version: u16) -> Version {
    match rdb_version {
        ..=8 => (4, 0, 0),
        9 => (6, 2, 99),
        10 => (7, 0, 99),
        11 => (7, 2, 99),
        12 => (8, 2, 99),
        13 => (8, 6, 99),
        14 => (8, 8, 99),
        15.. => (u16::MAX, 0, 0),
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.rules, other.rules)
    }
}

impl Eq for Profile {}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.rules.since;
        write!(f, "Profile({} since {major}.{minor}.{patch})", self.rules.name)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rules.name)
    }
}

impl FromStr for Profile {
    type Err = String;

    /// Reads `redis-7.2`, `redis-6.2.14` or `valkey-9.1`; without a patch level the line's
    /// newest is meant.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once('-') {
            Some(("redis", version)) => parse_version(version, 99).map(|v| (false, v)),
            Some(("valkey", version)) => parse_version(version, 99).map(|v| (true, v)),
            _ => None,
        };
        let (valkey, version) = parsed.ok_or_else(|| {
            format!("unknown profile, redis-MAJOR.MINOR or valkey-MAJOR.MINOR expected: {text}")
        })?;
        Ok(Self::of(valkey, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(profile: Profile) -> (&'static str, Version) {
        (profile.rules.name, profile.rules.since)
    }

    #[test]
    fn rows_are_in_order_and_found_by_their_own_version() {
        for pair in ROWS.windows(2) {
            assert!((pair[0].valkey, pair[0].since) < (pair[1].valkey, pair[1].since));
        }
        for profile in Profile::all() {
            let (major, minor, patch) = profile.rules.since;
            let version = format!("{major}.{minor}.{patch}");
            assert_eq!(Profile::for_server(profile.rules.valkey, &version, 9), profile);
            let family = if profile.rules.valkey { "valkey" } else { "redis" };
            assert_eq!(format!("{family}-{version}").parse(), Ok(profile));
            let line: Profile = profile.to_string().parse().unwrap();
            assert_eq!(line.to_string(), profile.to_string());
        }
    }

    #[test]
    fn server_version_decides_with_its_patch_level() {
        for (valkey, version, rdb, expected) in [
            (false, "5.0.5", 9, ("redis-5.0", (5, 0, 0))),
            (false, "5.0.14", 9, ("redis-5.0", (5, 0, 6))),
            (false, "6.2.11", 9, ("redis-6.2", (6, 2, 0))),
            (false, "6.2.16", 9, ("redis-6.2", (6, 2, 12))),
            (false, "6.9.240", 10, ("redis-7.0", (7, 0, 0))),
            (false, "7.3.240", 12, ("redis-7.4", (7, 4, 0))),
            (false, "99.1.0", 99, ("redis-8.10", (8, 10, 0))),
            (false, "255.255.255", 99, ("redis-8.10", (8, 10, 0))),
            (false, "3.2.13", 7, ("redis-4.0", (4, 0, 0))),
            (false, "", 6, ("redis-4.0", (4, 0, 0))),
            (false, "", 11, ("redis-7.2", (7, 2, 0))),
            (false, "x", 200, ("valkey-9.1", (9, 0, 0))),
            (true, "", 80, ("valkey-9.1", (9, 0, 0))),
            (true, "7.2.5", 11, ("valkey-7.2", (7, 2, 0))),
            (true, "8.1.1", 11, ("valkey-8.1", (8, 1, 0))),
            (true, "8.1.8", 11, ("valkey-8.1", (8, 1, 8))),
        ] {
            assert_eq!(since(Profile::for_server(valkey, version, rdb)), expected, "{version}");
        }
    }

    #[test]
    fn options_name_a_line_or_a_version() {
        for (text, expected) in [
            ("redis-6.2", ("redis-6.2", (6, 2, 12))),
            ("redis-6.2.5", ("redis-6.2", (6, 2, 0))),
            ("valkey-8.1", ("valkey-8.1", (8, 1, 8))),
            ("valkey-9.1", ("valkey-9.1", (9, 0, 0))),
        ] {
            assert_eq!(since(text.parse().unwrap()), expected, "{text}");
        }
        for text in ["", "redis", "redis-7", "keydb-6.3", "redis-7.2.x", "redis-7.2.1.0"] {
            assert!(text.parse::<Profile>().is_err(), "{text}");
        }
    }
}
