//! The configuration file: who may call, what there is to analyse, and where it is.

mod instance;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use axum::http::uri::Authority;
use serde::Deserialize;
use zeroize::Zeroizing;

pub use self::instance::{Instance, Node, Role, Standing, Told};
use crate::auth::Keyring;
use crate::ids;
use crate::secret::Secret;
use crate::settings::{AnalysisConfig, TaskLimits};
use crate::store::Location;
use crate::tasks::Isolation;

/// What `offkey.toml` says; `offkey.example.toml` explains every key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port the API listens on; port 0 takes a free one.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Whether plain HTTP may be spoken on an address that other machines reach.
    #[serde(default)]
    pub allow_plain_http: bool,
    /// Certificate and key; without them the API speaks plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// URL that clients reach the service by, for links to itself; without it, what the
    /// `Host` header says.
    #[serde(default)]
    pub public_url: Option<String>,
    /// What a client may ask for at most.
    #[serde(default)]
    pub limits: Limits,
    /// Folder of the service's own files, among them the databases unless `database` is set.
    pub data_dir: PathBuf,
    /// URL of a PostgreSQL database, which any number of processes can share; without it,
    /// SQLite in the data folder.
    #[serde(default)]
    pub database: Option<Secret>,
    /// File with the keys that encrypt the credential store.
    #[serde(default)]
    pub credential_key_file: Option<PathBuf>,
    /// These keys; the caller of [`crate::start`] knows where else they may come from.
    #[serde(skip)]
    pub keyring: Option<Keyring>,
    /// Form of the log.
    #[serde(default)]
    pub log_format: LogFormat,
    /// Analyses that run at the same time; 0 leaves every task waiting.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// How tasks are run.
    #[serde(default)]
    pub tasks: TaskLimits,
    /// Where; the caller of [`crate::start`] knows what program it is.
    #[serde(skip)]
    pub isolation: Isolation,
    /// How numbers above 2147483647 are written.
    #[serde(default)]
    pub integers: Integers,
    /// Settings of every analysis.
    #[serde(default)]
    pub analysis: AnalysisConfig,
    /// Projects: each instance belongs to one.
    pub projects: Vec<Project>,
    /// Access keys, besides those of the credential store.
    #[serde(default)]
    pub credentials: Vec<Credential>,
    /// Instances with their nodes.
    #[serde(default)]
    pub instances: Vec<Instance>,
}

/// How numbers above 2147483647 are written, which some SDKs cannot decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integers {
    /// As they are.
    AlwaysExact,
    /// Saturated for the Go and Java SDKs, as they are for everyone else.
    #[default]
    ByUserAgent,
    /// Saturated.
    AlwaysSaturate,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Files of the server's certificate, in PEM. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate, followed by those of the authorities that lead to a root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a client may ask for at most.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections; more have to wait.
    pub connections: NonZeroU32,
    /// How long the head of a request may take, and how long a connection may idle.
    pub header_seconds: NonZeroU32,
    /// How long the body of a request may take.
    pub body_seconds: NonZeroU32,
    /// How long a client may take nothing of an answer.
    pub write_seconds: NonZeroU32,
    /// Requests of one access key, on average; as many may come at once.
    pub requests_per_second: NonZeroU32,
    /// Longest backup in MB that can be uploaded; 0 for none at all.
    pub upload_mb: u32,
}

/// A project, the tenant of the API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// 32 lower-case hexadecimal digits.
    pub id: String,
    /// The region name that a client built with a region asks for.
    pub name: String,
}

/// An access key and what it opens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Access key id.
    pub ak: String,
    /// Secret access key.
    pub sk: Secret,
    /// Projects it may use.
    pub projects: Vec<String>,
    /// What it may do there.
    #[serde(default)]
    pub role: Permission,
}

/// What a caller may do; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Look at instances, backups, tasks and reports.
    Read,
    /// Create and delete analyses.
    #[default]
    Analyse,
    /// Everything.
    Admin,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct ConfigError {
    file: String,
    reason: String,
}

impl Config {
    /// Reads and checks the file at `path`; relative folders in it are relative to its own.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has an unknown key or contradicts itself.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let failed = |reason: String| ConfigError { file: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let text = Zeroizing::new(text);
        let mut config: Self =
            toml::from_str(&text).map_err(|error| failed(located(&text, &error)))?;
        if let Some(folder) = path.parent() {
            config.data_dir = folder.join(&config.data_dir);
            let tls = config.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
            for file in tls.chain(&mut config.credential_key_file) {
                *file = folder.join(&*file);
            }
            config.instances.iter_mut().for_each(|instance| instance.within(folder));
        }
        config.check().map_err(failed)?;
        Ok(config)
    }

    /// Checks what the types cannot say: ids are well formed, unique and lead somewhere.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.analysis.check().map_err(|error| format!("analysis.{error}"))?;
        self.tasks.check().map_err(|error| format!("tasks.{error}"))?;
        if let Some(url) = &self.database
            && !["postgres://", "postgresql://"]
                .iter()
                .any(|scheme| url.expose().starts_with(scheme))
        {
            return Err("database is no URL that begins with postgres://".to_owned());
        }
        if self.tls.is_none() && !self.listen.ip().is_loopback() && !self.allow_plain_http {
            return Err(format!(
                "plain HTTP on an address that other machines reach: set [tls], or \
                 allow_plain_http = true behind a proxy: {}",
                self.listen
            ));
        }
        if let Some(url) = &self.public_url {
            let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            if rest.is_none_or(|rest| rest.trim_end_matches('/').parse::<Authority>().is_err()) {
                return Err(format!("public_url is no http[s]://host[:port]: {url}"));
            }
        }
        let mut seen = HashSet::new();
        let mut once = |what: &str, id: &str| {
            seen.insert((what.to_owned(), id.to_owned()))
                .then_some(())
                .ok_or_else(|| format!("{what} is there twice: {id}"))
        };
        for project in &self.projects {
            if !ids::is_project_id(&project.id) {
                return Err(format!(
                    "project id is not 32 lower-case hexadecimal digits: {}",
                    project.id
                ));
            }
            once("project id", &project.id)?;
        }
        let known = |id: &String| self.projects.iter().any(|project| project.id == *id);
        for credential in &self.credentials {
            if !ids::is_access_key(&credential.ak) || credential.sk.expose().is_empty() {
                return Err(format!("credential without a usable ak and sk: {}", credential.ak));
            }
            once("credential", &credential.ak)?;
            if let Some(id) = credential.projects.iter().find(|id| !known(id)) {
                return Err(format!("credential {} names an unknown project: {id}", credential.ak));
            }
        }
        for instance in &self.instances {
            once("instance id", &instance.id.to_string())?;
            if !known(&instance.project) {
                return Err(format!(
                    "instance {} names an unknown project: {}",
                    instance.id, instance.project
                ));
            }
            instance.check()?;
            for node in &instance.nodes {
                once("node id", &node.id)?;
            }
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        let limit = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            connections: limit(12_000),
            header_seconds: limit(10),
            body_seconds: limit(60),
            write_seconds: limit(60),
            requests_per_second: limit(500),
            upload_mb: 65_536,
        }
    }
}

impl Permission {
    /// From the least to the most.
    pub const ALL: [Self; 3] = [Self::Read, Self::Analyse, Self::Admin];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Analyse => "analyse",
            Self::Admin => "admin",
        }
    }

    /// The permission with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

impl Config {
    /// Where the database is.
    pub(crate) fn location(&self) -> Location {
        match &self.database {
            None => Location::Sqlite(self.data_dir.join("tasks.sqlite")),
            Some(url) => Location::Postgres(url.clone()),
        }
    }
}

/// What is wrong with a configuration, and where. The text that the parser would quote may
/// hold a secret.
fn located(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    format!("line {line}: {}", error.message().trim())
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn default_workers() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "[[projects]]\nid = \"0123456789abcdef0123456789abcdef\"\nname = \"a\"\n";

    fn checked(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check()?;
        Ok(config)
    }

    #[test]
    fn example_is_a_configuration() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../offkey.example.toml");
        let config = Config::load(&path).unwrap();
        assert_eq!(config.listen, default_listen());
        assert_eq!(config.analysis, AnalysisConfig::default());
        assert_eq!(config.integers, Integers::default());
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.credentials[0].role, Permission::default());
        assert_eq!(config.instances.len(), 2);
        assert!(config.instances[0].nodes[0].backups.starts_with(path.parent().unwrap()));
    }

    #[test]
    fn every_setting_of_the_example_is_one() {
        let text = include_str!("../../../../offkey.example.toml");
        let setting =
            |line: &&str| line.strip_prefix('#').is_some_and(|line| !line.starts_with([' ', '\n']));
        let all: String = text
            .lines()
            .map(|line| if setting(&line) { &line[1..] } else { line })
            .flat_map(|line| [line, "\n"])
            .collect();
        let config = checked(&all).unwrap();
        assert_eq!(config.limits, Limits::default());
        assert!(config.tls.is_some() && config.credential_key_file.is_some());
    }

    #[test]
    fn contradictions_are_refused() {
        let credential = "[[credentials]]\nak = \"AK\"\nsk = \"s\"\nprojects = ";
        let own = format!("{credential}[\"0123456789abcdef0123456789abcdef\"]\n");
        for (text, part) in [
            (format!("data_dir = \"d\"\ncolour = 1\n{PROJECT}{own}"), "unknown field `colour`"),
            (format!("data_dir = \"d\"\n{PROJECT}{PROJECT}{own}"), "project id is there twice"),
            (format!("data_dir = \"d\"\n{PROJECT}{credential}[\"x\"]"), "names an unknown project"),
            (
                format!("data_dir = \"d\"\n{}{own}", PROJECT.replace("0123", "ABCD")),
                "project id is not 32",
            ),
        ] {
            let error = checked(&text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(checked(&format!("data_dir = \"d\"\n{PROJECT}{own}")).is_ok());
    }

    #[test]
    fn settings_of_schedules_are_checked() {
        let of_instance = |lines: &str| {
            let (id, project) = (uuid::Uuid::nil(), "0123456789abcdef0123456789abcdef");
            checked(&format!(
                "data_dir = \"d\"\n{PROJECT}[[instances]]\nid = \"{id}\"\nname = \"i\"\n\
                 project = \"{project}\"\nengine_version = \"7.0\"\n{lines}\n\
                 [[instances.nodes]]\nid = \"n\"\nname = \"n\"\nip = \"192.0.2.1\"\n\
                 role = \"master\"\nbackups = \"b\"\n"
            ))
        };
        for (lines, part) in [
            ("[instances.live]\nkeep_count = 0", "keep_count is at least 1"),
            ("[instances.live]\nkeep_days = 0", "keep_days is at least 1"),
            ("[instances.live]\nschedule = \"daily\"", "schedule: five fields expected"),
            ("analyse_schedule = \"0 25 * * *\"", "analyse_schedule: not a field"),
        ] {
            let error = of_instance(lines).unwrap_err();
            assert!(error.contains(part) && error.contains("instance 0000"), "{error}");
        }
        let lines = "analyse_schedule = \"0 3 * * *\"\n[instances.live]\nkeep_count = 1";
        of_instance(lines).unwrap();
    }

    #[test]
    fn nodes_are_configured_or_looked_for() {
        let instance = |lines: &str, node: &str| {
            let (id, project) = (uuid::Uuid::nil(), "0123456789abcdef0123456789abcdef");
            checked(&format!(
                "data_dir = \"d\"\n{PROJECT}[[instances]]\nid = \"{id}\"\nname = \"i\"\n\
                 project = \"{project}\"\nengine_version = \"7.0\"\n\
                 [instances.live.discover]\nbackups = \"b\"\n{lines}\n{node}"
            ))
        };
        let cluster = "topology = \"cluster\"\naddresses = [\"10.0.0.1:6379\", \"redis-0\"]";
        let node = "[[instances.nodes]]\nid = \"n\"\nname = \"n\"\nip = \"192.0.2.1\"\n\
                    role = \"master\"\nbackups = \"b\"\n";
        instance(cluster, "").unwrap();
        for (lines, node, part) in [
            (cluster.to_owned(), node, "are configured and to be discovered"),
            (cluster.replace("redis-0", "a b"), "", "not of the form host:port: \"a b\""),
            (cluster.replace("\"10.0.0.1:6379\", \"redis-0\"", ""), "", "addresses has none"),
            (cluster.replace("cluster", "sentinel"), "", "go together"),
            (format!("{cluster}\nsentinel = \"main\""), "", "go together"),
            (format!("{cluster}\nallow_networks = \"10/99\""), "", "allow_networks: not a network"),
            (format!("{cluster}\nrefresh_seconds = 0"), "", "refresh_seconds is at least 1"),
        ] {
            let error = instance(&lines, node).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn errors_quote_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offkey.toml");
        for line in ["sk = \"canary", "sk = canary", "sk = [\"canary\"]", "sk = \"canary\" x"] {
            std::fs::write(&path, format!("[[credentials]]\nak = \"AK\"\n{line}\n")).unwrap();
            let error = Config::load(&path).unwrap_err().to_string();
            assert!(error.contains("line ") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_asked_for() {
        let with = |lines: &str| checked(&format!("data_dir = \"d\"\n{lines}\n{PROJECT}"));
        for address in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80"] {
            assert!(with(&format!("listen = \"{address}\"")).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:80", "192.0.2.1:80", "[::]:80", "[::ffff:127.0.0.1]:80"] {
            let listen = format!("listen = \"{address}\"");
            assert!(with(&listen).unwrap_err().starts_with("plain HTTP"), "{address}");
            assert!(with(&format!("{listen}\nallow_plain_http = true")).is_ok());
            let tls = "tls = { certificate = \"c.pem\", key = \"k.pem\" }";
            assert!(with(&format!("{listen}\n{tls}")).is_ok());
        }
    }
}
