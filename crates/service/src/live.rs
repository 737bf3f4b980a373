//! Backups of live nodes: how to reach them, and when to take them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use offkey_analysis::{Input, Options, keys};
use offkey_fetch::{
    Access, Address, Gate, LiveNode, Meter, Taking, Timeouts, Tls, remove_left_parts,
};
use serde::Deserialize;

use crate::Secret;
use crate::backups::{Failure, Schedule};
use crate::config::{Node, Standing};
use crate::discovery::Discover;

/// Least of a limit on the rate.
const RATE_MIN: u64 = 64 << 10;

/// How long to wait for a sign of life, and for what servers say of their nodes.
pub(crate) const SHORT: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    read: Duration::from_secs(3),
    start: Duration::from_secs(3),
};

/// How the nodes of an instance are reached for new backups.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// ACL user.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Whether the nodes speak TLS.
    #[serde(default)]
    pub tls: bool,
    /// PEM file of the authorities that sign their certificates.
    pub tls_ca: Option<PathBuf>,
    /// PEM file of our own certificate.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its key.
    pub tls_key: Option<PathBuf>,
    /// Name in their certificates, where it is not the address.
    pub tls_server_name: Option<String>,
    /// How the nodes are found, where they are not configured.
    pub discover: Option<Discover>,
    /// Whether backups are taken of replicas.
    #[serde(default)]
    pub replicas: Replicas,
    /// Most bytes in a second from each node.
    pub max_bytes_per_second: Option<u64>,
    /// When to take backups, five fields of cron in UTC.
    pub schedule: Option<String>,
    /// How many backups of the schedule are kept; all if not set.
    pub keep_count: Option<usize>,
    /// For how many days they are kept; for ever if not set.
    pub keep_days: Option<u32>,
}

/// Whether backups are taken of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replicas {
    /// Of the master; of a replica that is named.
    #[default]
    Allow,
    /// Where there is one.
    Prefer,
    /// Of nothing else.
    Require,
}

impl Live {
    /// Makes relative files relative to `folder`.
    pub(crate) fn within(&mut self, folder: &Path) {
        let files = [
            &mut self.password_file,
            &mut self.tls_ca,
            &mut self.tls_certificate,
            &mut self.tls_key,
        ];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
        if let Some(discover) = &mut self.discover {
            discover.within(folder);
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.password.is_some() && self.password_file.is_some() {
            return Err("password and password_file are both set".to_owned());
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            return Err("tls_certificate and tls_key go together".to_owned());
        }
        if let Some(rate) = self.max_bytes_per_second.filter(|rate| *rate < RATE_MIN) {
            return Err(format!("max_bytes_per_second is less than {RATE_MIN}: {rate}"));
        }
        let zero =
            [("keep_count", self.keep_count == Some(0)), ("keep_days", self.keep_days == Some(0))];
        if let Some((name, _)) = zero.iter().find(|(_, is_zero)| *is_zero) {
            return Err(format!("{name} is at least 1, or left out to keep all: 0"));
        }
        if let Some(discover) = &self.discover {
            discover.check().map_err(|error| format!("discover: {error}"))?;
        }
        self.schedule().map(|_| ())
    }

    /// When backups are taken by themselves.
    pub(crate) fn schedule(&self) -> Result<Option<Schedule>, String> {
        let parsed = self.schedule.as_deref().map(Schedule::parse).transpose();
        parsed.map_err(|error| format!("schedule: {error}"))
    }

    pub(crate) fn access(&self, timeouts: Timeouts) -> Result<Access, String> {
        let password = password(self.password.as_ref(), self.password_file.as_deref())?;
        let tls = self.tls.then(|| {
            let own = self.tls_certificate.as_deref().zip(self.tls_key.as_deref());
            Tls::new(self.tls_ca.as_deref(), own, self.tls_server_name.as_deref())
        });
        let tls = tls.transpose().map_err(|error| error.to_string())?;
        Ok(Access { user: self.user.clone(), password, tls, timeouts })
    }

    fn node(&self, node: &Node, timeouts: Timeouts, gate: &Arc<Gate>) -> Result<LiveNode, String> {
        let taking = Taking {
            bytes_per_second: self.max_bytes_per_second,
            require_replica: self.replicas == Replicas::Require,
        };
        let address = Address { host: node.ip.clone(), port: node.port };
        let live = LiveNode::new(address, self.access(timeouts)?, taking, Arc::clone(gate));
        match &self.discover {
            // Its address is what another server has said.
            Some(discover) => Ok(live.within(discover.networks()?)),
            None => Ok(live),
        }
    }

    /// Whether the node lets us in at present, or why not; blocking.
    pub(crate) fn is_there(&self, node: &Node) -> Result<(), String> {
        if *node.standing() == Standing::Gone {
            return Err(format!("node is of the instance no more: {}", node.id));
        }
        let node = self.node(node, SHORT, &Gate::new(1, 1))?;
        node.greet().map_err(|error| error.to_string())
    }

    /// Takes a backup of `node` into its folder under `file_name`, read through and found
    /// sound on its way; blocking. One that is there already was taken by an earlier attempt.
    pub(crate) fn take(
        &self,
        node: &Node,
        file_name: &str,
        (gate, meter): (&Arc<Gate>, &Arc<Meter>),
        stop: &Arc<AtomicBool>,
    ) -> Result<(), Failure> {
        let target = node.backups.join(file_name);
        if target.exists() {
            return Ok(());
        }
        remove_left_parts(&node.backups);
        let live = self.node(node, Timeouts::default(), gate)?.keep_in(&node.backups);
        let live = Arc::new(live.metered(Arc::clone(meter)));
        let stopped = Arc::clone(stop);
        let ends = keys(Input::Open(live.clone()), &Options::default(), &mut |_| match stopped
            .load(std::sync::atomic::Ordering::Relaxed)
        {
            true => std::ops::ControlFlow::Break(()),
            false => std::ops::ControlFlow::Continue(()),
        });
        let end = ends.first().ok_or("nothing was read")?;
        live.persist(&target, &end.input).map_err(|error| match &end.input.error {
            Some(error) => Failure { why: error.clone(), may_pass: end.input.error_may_pass },
            None => error.to_string().into(),
        })
    }
}

/// The password that is set, or in the file that is.
pub(crate) fn password(
    own: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<offkey_fetch::Secret>, String> {
    match (own, file) {
        (Some(own), _) => Ok(Some(offkey_fetch::Secret::new(own.expose()))),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(Some(offkey_fetch::Secret::new(text.trim_end_matches(['\r', '\n']))))
        }
        (None, None) => Ok(None),
    }
}
