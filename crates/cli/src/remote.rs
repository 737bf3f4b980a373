//! Inputs that are no files: live servers, objects, URLs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use offkey_analysis::{Input, InputInfo, Open as _};
use offkey_fetch::{
    Access, Address, Found, Gate, LiveNode, Networks, ObjectUrl, Places, Preference, RedisUrl,
    Secret, Taking, Tls, Topology, discover, unusable,
};

/// Servers of one run that are read at the same time; of each host one.
const SERVERS_AT_ONCE: usize = 4;

/// How live servers and object stores are reached.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Live servers, redis://user@host:port or rediss://")]
pub(crate) struct RemoteArgs {
    /// The server is one of a cluster: read one node of each shard
    #[arg(long, conflicts_with = "sentinel")]
    cluster: bool,

    /// The address is Sentinel's: read the master that it knows by this name
    #[arg(long, value_name = "NAME")]
    sentinel: Option<String>,

    /// Read a replica where there is one
    #[arg(long)]
    prefer_replica: bool,

    /// Read replicas only
    #[arg(long, conflicts_with = "prefer_replica")]
    require_replica: bool,

    /// Most bytes in a second from each server, such as 20M
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    max_bytes_per_second: Option<u64>,

    /// File with the password; else OFFKEY_REDIS_PASSWORD is used, and
    /// OFFKEY_SENTINEL_PASSWORD for Sentinel
    #[arg(long, value_name = "FILE", conflicts_with = "ask_password")]
    password_file: Option<PathBuf>,

    /// Ask for the password
    #[arg(long)]
    ask_password: bool,

    /// Networks in which other nodes may lie, with commas between [default: the private
    /// network of the address given]
    #[arg(long, value_name = "NETWORKS")]
    allow_network: Option<Networks>,

    /// PEM file of the authorities that sign the servers' certificates [default: the system's]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// PEM file of our own certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// PEM file of its key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Name in the servers' certificates, where it is not the address
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,

    /// Store the data too: in this file, or in this folder as HOST_PORT.rdb
    #[arg(long, value_name = "PATH", overrides_with = "no_keep")]
    keep: Option<PathBuf>,

    /// Do not store it, whatever an earlier --keep says; this is the default
    #[arg(long, overrides_with = "keep")]
    no_keep: bool,

    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Object stores, s3://bucket/key or obs://bucket/key")]
struct StoreArgs {
    /// URL of the store [default: AWS for s3, Huawei Cloud for obs]
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    endpoint: Option<String>,

    /// Its region; keys are read from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
    /// AWS_SESSION_TOKEN, for obs from OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY and
    /// OBS_SECURITY_TOKEN
    #[arg(long, value_name = "NAME", env = "AWS_REGION")]
    region: Option<String>,

    /// The bucket stands in the path of URLs, not in the host name
    #[arg(long)]
    path_style: bool,
}

/// What the environment says of passwords and keys.
pub(crate) type Environment = fn(&str) -> Option<String>;

/// Inputs, and those of them that are to be stored.
pub(crate) struct Inputs {
    pub(crate) all: Vec<Input>,
    kept: Vec<(Arc<LiveNode>, PathBuf)>,
}

impl RemoteArgs {
    /// What `files` name: a failure to reach one is found when it is read.
    pub(crate) fn inputs(&self, files: &[PathBuf], env: Environment) -> anyhow::Result<Inputs> {
        let mut inputs = Inputs { all: Vec::new(), kept: Vec::new() };
        let gate = Gate::new(SERVERS_AT_ONCE, 1);
        let mut password = None;
        for file in files {
            match file.to_str() {
                Some(text) if RedisUrl::is_one(text) => {
                    if password.is_none() {
                        password = Some(self.password(env)?);
                    }
                    let password = password.clone().flatten();
                    self.servers(text, password, env, &gate, &mut inputs)?;
                }
                Some(text) if ObjectUrl::is_one(text) => {
                    inputs.all.extend(self.store.places(env).inputs(text)?);
                }
                _ => inputs.all.push(file.clone().into()),
            }
        }
        if inputs.kept.len() > 1 && self.keep.as_ref().is_some_and(|path| !path.is_dir()) {
            bail!("--keep must name a folder, since there are {} servers", inputs.kept.len());
        }
        Ok(inputs)
    }

    fn password(&self, env: Environment) -> anyhow::Result<Option<Secret>> {
        let text = if self.ask_password {
            Some(rpassword::prompt_password("password: ").context("no password was read")?)
        } else if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        } else {
            env("OFFKEY_REDIS_PASSWORD")
        };
        Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
    }

    fn servers(
        &self,
        text: &str,
        password: Option<Secret>,
        env: Environment,
        gate: &Arc<Gate>,
        inputs: &mut Inputs,
    ) -> anyhow::Result<()> {
        let url: RedisUrl = text.parse()?;
        let access = Access { user: url.user.clone(), password, ..self.access(url.tls)? };
        let topology = match (&self.sentinel, self.cluster) {
            (Some(name), _) => {
                let password = env("OFFKEY_SENTINEL_PASSWORD").map(Secret::new);
                let access = Access { password, ..self.access(url.tls)? };
                Topology::Sentinel { name: name.clone(), access: Box::new(access) }
            }
            (None, true) => Topology::Cluster,
            (None, false) => Topology::Single,
        };
        let preference = match (self.prefer_replica, self.require_replica) {
            (_, true) => Preference::RequireReplica,
            (true, false) => Preference::PreferReplica,
            (false, false) => Preference::Master,
        };
        if matches!(topology, Topology::Single) && preference == Preference::Master {
            for address in url.addresses {
                self.push(inputs, self.node(address, &access, gate));
            }
            return Ok(());
        }
        let (networks, stop) = (self.allow_network.clone().unwrap_or_default(), Arc::default());
        match discover(&url.addresses, &topology, &access, &networks, &stop) {
            Ok(found) => self.picked(text, &found, preference, &access, gate, inputs),
            Err(error) => inputs.all.push(unusable(text, &error)),
        }
        Ok(())
    }

    /// One node of each group; what is missing is an input that cannot be read.
    fn picked(
        &self,
        text: &str,
        found: &Found,
        preference: Preference,
        access: &Access,
        gate: &Arc<Gate>,
        inputs: &mut Inputs,
    ) {
        for group in &found.groups {
            match group.pick(preference) {
                Ok(node) => {
                    let node = self.node(node.address.clone(), access, gate);
                    self.push(inputs, node.within(found.networks.clone()));
                }
                Err(error) => inputs.all.push(unusable(text, &error)),
            }
        }
        if !found.missing.is_empty() {
            let error = format!("slots that no node serves: {}", found.missing);
            inputs.all.push(unusable(text, &error));
        }
    }

    fn access(&self, tls: bool) -> anyhow::Result<Access> {
        let own = self.tls_cert.as_deref().zip(self.tls_key.as_deref());
        let tls =
            tls.then(|| Tls::new(self.tls_ca.as_deref(), own, self.tls_server_name.as_deref()));
        Ok(Access { tls: tls.transpose()?, ..Access::default() })
    }

    fn node(&self, address: Address, access: &Access, gate: &Arc<Gate>) -> LiveNode {
        let taking = Taking {
            bytes_per_second: self.max_bytes_per_second,
            require_replica: self.require_replica,
        };
        LiveNode::new(address, access.clone(), taking, Arc::clone(gate))
    }

    fn push(&self, inputs: &mut Inputs, node: LiveNode) {
        let Some(keep) = self.keep.as_ref().filter(|_| !self.no_keep) else {
            return inputs.all.push(Input::Open(Arc::new(node)));
        };
        let (folder, target) = match keep.is_dir() {
            true => {
                let name = node.name();
                let (_, host) = name.split_once("://").unwrap_or_default();
                let host = host.replace([':', '[', ']'], "_");
                (keep.as_path(), keep.join(format!("{host}.rdb")))
            }
            false => (folder_of(keep), keep.clone()),
        };
        let node = Arc::new(node.keep_in(folder));
        inputs.kept.push((Arc::clone(&node), target));
        inputs.all.push(Input::Open(node));
    }
}

impl Inputs {
    /// Gives what was to be stored its name, where it is sound; the errors of what is not.
    pub(crate) fn persist<'i>(&self, infos: impl Iterator<Item = &'i InputInfo>) -> Vec<String> {
        let infos: Vec<_> = infos.collect();
        let mut errors = Vec::new();
        for (node, target) in &self.kept {
            let info = infos.iter().find(|info| info.file == node.name());
            if let Some(Err(error)) = info.map(|info| node.persist(target, info)) {
                errors.push(error.to_string());
            }
        }
        errors
    }
}

impl StoreArgs {
    fn places(&self, env: Environment) -> Places {
        let Self { endpoint, region, path_style } = self.clone();
        Places { endpoint, region, path_style, env }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Bytes in a second, with K, M or G behind it for powers of 1024.
fn rate(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (text.get(..text.len() - 1), 10),
        Some(b'M' | b'm') => (text.get(..text.len() - 1), 20),
        Some(b'G' | b'g') => (text.get(..text.len() - 1), 30),
        _ => (Some(text), 0),
    };
    let bytes = digits.and_then(|digits| digits.parse::<u64>().ok());
    bytes
        .and_then(|bytes| bytes.checked_mul(1 << shift))
        .filter(|bytes| *bytes >= 64 << 10)
        .ok_or_else(|| format!("at least 64K expected, such as 20M, found {text:?}"))
}
