//! The configuration file: who may call, what there is to analyse, and where it is.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use axum::http::uri::Authority;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::auth::Keyring;
use crate::ids;
use crate::live::Live;
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

/// A Redis or Valkey instance whose backups can be analysed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// A UUID.
    pub id: Uuid,
    /// The project it belongs to.
    pub project: String,
    /// Its name.
    pub name: String,
    /// `Redis`, `Valkey` or another; only these two support offline key analysis.
    #[serde(default = "default_engine")]
    pub engine: String,
    /// Such as `7.0`.
    pub engine_version: String,
    /// Memory it may use in MB, where the client should see one.
    #[serde(default)]
    pub max_memory_mb: u32,
    /// When it was made, where the client should see it.
    #[serde(default = "default_created_at")]
    pub created_at: String,
    /// What clients can choose it by.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// How new backups are taken of its nodes; none can be where it is not set.
    pub live: Option<Live>,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// One Redis or Valkey process of an instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Letters, digits, `-` and `_`; DCS has 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address.
    #[serde(default)]
    pub ip: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Its role.
    pub role: Role,
    /// The shard it belongs to.
    #[serde(default = "default_group")]
    pub group: String,
    /// Folder whose `.rdb` files are its backups.
    pub backups: PathBuf,
}

/// Role of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes writes.
    Master,
    /// Follows a master.
    Slave,
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
            for live in config.instances.iter_mut().filter_map(|instance| instance.live.as_mut()) {
                live.within(folder);
            }
            for node in config.instances.iter_mut().flat_map(|instance| &mut instance.nodes) {
                node.backups = folder.join(&node.backups);
            }
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
        if let Some(instance) =
            self.instances.iter().find(|instance| i32::try_from(instance.max_memory_mb).is_err())
        {
            let Instance { id, max_memory_mb, .. } = instance;
            return Err(format!("max_memory_mb of instance {id} is too large: {max_memory_mb}"));
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
            if instance.nodes.is_empty() {
                return Err(format!("instance has no node: {}", instance.id));
            }
            if let Some(live) = &instance.live {
                live.check()
                    .map_err(|error| format!("live of instance {}: {error}", instance.id))?;
                if let Some(node) = instance.nodes.iter().find(|node| node.ip.is_empty()) {
                    return Err(format!("live needs the ip of node {}", node.id));
                }
            }
            for node in &instance.nodes {
                if !ids::is_node_id(&node.id) {
                    return Err(format!(
                        "node id is not 1 to 64 letters, digits, - or _: {}",
                        node.id
                    ));
                }
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

impl Instance {
    /// Whether the offline key analysis knows its engine: Redis 4.0 and up, and Valkey.
    pub(crate) fn supports_key_analysis(&self) -> bool {
        let major = self.engine_version.split('.').next().and_then(|major| major.parse().ok());
        match self.engine.to_ascii_lowercase().as_str() {
            "redis" => major.is_some_and(|major: u32| major >= 4),
            "valkey" => true,
            _ => false,
        }
    }

    /// The node with this id.
    pub(crate) fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Names of its shards in the order of the configuration, each with its nodes.
    pub(crate) fn groups(&self) -> Vec<(&str, Vec<&Node>)> {
        let mut groups: Vec<(&str, Vec<&Node>)> = Vec::new();
        for node in &self.nodes {
            match groups.iter_mut().find(|(name, _)| *name == node.group) {
                Some((_, nodes)) => nodes.push(node),
                None => groups.push((&node.group, vec![node])),
            }
        }
        groups
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

fn default_engine() -> String {
    "Redis".to_owned()
}

fn default_created_at() -> String {
    crate::api::timestamp(0)
}

fn default_port() -> u16 {
    6379
}

fn default_group() -> String {
    "group-0".to_owned()
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
        let text = include_str!("../../../offkey.example.toml");
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

    #[test]
    fn redis_from_4_and_valkey_are_supported() {
        for (engine, version, supported) in [
            ("Redis", "3.0", false),
            ("Redis", "4.0", true),
            ("redis", "7.4.1", true),
            ("Redis", "newest", false),
            ("Valkey", "8.1", true),
            ("Memcached", "1.5", false),
        ] {
            let instance = Instance {
                live: None,
                id: Uuid::nil(),
                project: String::new(),
                name: String::new(),
                engine: engine.to_owned(),
                engine_version: version.to_owned(),
                max_memory_mb: 0,
                created_at: String::new(),
                tags: BTreeMap::new(),
                nodes: vec![],
            };
            assert_eq!(instance.supports_key_analysis(), supported, "{engine} {version}");
        }
    }
}
