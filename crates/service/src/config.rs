//! The configuration file: who may call, what there is to analyse, and where it is.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids;
use crate::settings::AnalysisConfig;
use crate::store::Location;

/// What `offkey.toml` says; `offkey.example.toml` explains every key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port the API listens on; port 0 takes a free one.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Folder of the service's own files, among them the database unless there is another.
    pub data_dir: PathBuf,
    /// URL of a PostgreSQL database, which any number of processes can share; without it,
    /// SQLite in the data folder.
    #[serde(default)]
    pub database: Option<Secret>,
    /// Analyses that run at the same time; 0 leaves every task waiting.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// How numbers above 2147483647 are written.
    #[serde(default)]
    pub integers: Integers,
    /// Settings of every analysis.
    #[serde(default)]
    pub analysis: AnalysisConfig,
    /// Projects: each instance belongs to one.
    pub projects: Vec<Project>,
    /// Access keys.
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
}

/// Text that must not be printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

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
        let mut config: Self =
            toml::from_str(&text).map_err(|error| failed(error.to_string().trim().to_owned()))?;
        if let Some(folder) = path.parent() {
            config.data_dir = folder.join(&config.data_dir);
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
        if let Some(url) = &self.database
            && !["postgres://", "postgresql://"]
                .iter()
                .any(|scheme| url.expose().starts_with(scheme))
        {
            return Err("database is no URL that begins with postgres://".to_owned());
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
            if !ids::is_access_key(&credential.ak) || credential.sk.0.is_empty() {
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

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
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
        assert_eq!(config.instances.len(), 2);
        assert!(config.instances[0].nodes[0].backups.starts_with(path.parent().unwrap()));
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
    fn secret_is_not_printed() {
        let credential =
            Credential { ak: "AK".to_owned(), sk: Secret::new("canary"), projects: vec![] };
        assert!(!format!("{credential:?}").contains("canary"));
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
                id: Uuid::nil(),
                project: String::new(),
                name: String::new(),
                engine: engine.to_owned(),
                engine_version: version.to_owned(),
                max_memory_mb: 0,
                created_at: String::new(),
                nodes: vec![],
            };
            assert_eq!(instance.supports_key_analysis(), supported, "{engine} {version}");
        }
    }
}
