//! What a request to create an analysis chooses: nodes, a backup of each, and settings.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::api::backups::not_running;
use crate::api::error::ApiError;
use crate::api::wire::CreateRequest;
use crate::backups;
use crate::backups::record::nodes_of_groups;
use crate::config::{Instance, Node};
use crate::ids;
use crate::settings::AnalysisConfig;
use crate::tasks::Part;

/// A well-formed request; whether there are such nodes and backups is for [`Chosen::parts`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    nodes: Nodes,
    backups: Backups,
    /// Whether a new backup stays.
    pub(crate) keep: bool,
    pub(crate) priority: i64,
    pub(crate) settings: AnalysisConfig,
}

/// Of tasks: those with a higher one are run first.
const PRIORITIES: RangeInclusive<i64> = -100..=100;

#[derive(Debug, PartialEq, Eq)]
enum Nodes {
    Listed(Vec<String>),
    /// One node of each shard: a replica has the keys of its master.
    EachShard,
}

#[derive(Debug, PartialEq, Eq)]
enum Backups {
    /// One for each node, and the member of the body that names them; what is no UUID names
    /// none.
    Listed(Vec<Option<Uuid>>, &'static str),
    /// The newest one of each node.
    Newest,
    /// One that has to be taken, of all nodes at once.
    New,
}

impl Chosen {
    /// Reads the members of the body; those that are not there have the values of `defaults`.
    pub(crate) fn parse(
        request: CreateRequest,
        defaults: &AnalysisConfig,
    ) -> Result<Self, ApiError> {
        let invalid = |name| Err(ApiError::InvalidMember(name));
        let (nodes, backups) = match (request.node_id, request.node_ids) {
            (Some(Value::String(id)), None) if request.backup_ids.is_none() => {
                let backups = match request.backup_id {
                    None => Backups::New,
                    Some(id) => Backups::Listed(vec![uuid(&id)], "backup_id"),
                };
                (Nodes::Listed(vec![id]), backups)
            }
            (Some(Value::String(_)), None) => return invalid("backup_ids"),
            (_, None) => return invalid("node_id"),
            (Some(_), Some(_)) => return invalid("node_ids"),
            (None, Some(nodes)) => {
                if request.backup_id.is_some() {
                    return invalid("backup_id");
                }
                let backups = match request.backup_ids {
                    None => Backups::Newest,
                    Some(Value::String(text)) if text == "new" => Backups::New,
                    Some(Value::Array(ids)) => {
                        Backups::Listed(ids.iter().map(uuid).collect(), "backup_ids")
                    }
                    Some(_) => return invalid("backup_ids"),
                };
                (node_ids(nodes)?, backups)
            }
        };
        let mut settings = defaults.clone();
        set(&mut settings.top, request.top, "top")?;
        set(&mut settings.prefixes, request.prefixes, "prefixes")?;
        set(&mut settings.separators, request.separators, "separators")?;
        set(&mut settings.fold_digits, request.fold_digits, "fold_digits")?;
        set(&mut settings.profile, request.profile, "profile")?;
        set(&mut settings.size, request.size, "size")?;
        settings.check().map_err(|unusable| ApiError::InvalidMember(unusable.name))?;
        let mut priority = 0;
        set(&mut priority, request.priority, "priority")?;
        if !PRIORITIES.contains(&priority) {
            return invalid("priority");
        }
        let mut keep = true;
        set(&mut keep, request.keep, "keep")?;
        if !keep && backups != Backups::New {
            return invalid("keep");
        }
        Ok(Self { nodes, backups, keep, priority, settings })
    }

    /// Whether a new backup is to be taken.
    pub(crate) fn needs_new(&self) -> bool {
        self.backups == Backups::New
    }

    /// The nodes of which it is to be taken.
    pub(crate) fn nodes_of_new<'i>(
        &self,
        instance: &'i Instance,
    ) -> Result<Vec<&'i Node>, ApiError> {
        match &self.nodes {
            Nodes::Listed(ids) => {
                let nodes = ids.iter().map(|id| instance.node(id).ok_or(ApiError::UnknownNode));
                nodes.collect()
            }
            Nodes::EachShard => nodes_of_groups(instance).map_err(not_running),
        }
    }

    /// The chosen nodes of `instance` in the order of the request, each with its backup.
    ///
    /// Reads the folders, so call it where blocking is allowed.
    pub(crate) fn parts(&self, instance: &Instance) -> Result<Vec<Part>, ApiError> {
        // Nodes of which one is chosen by its backup.
        let choices: Vec<Vec<&Node>> = match &self.nodes {
            Nodes::Listed(ids) => ids
                .iter()
                .map(|id| instance.node(id).map(|node| vec![node]).ok_or(ApiError::UnknownNode))
                .collect::<Result<_, _>>()?,
            Nodes::EachShard => instance.groups().into_iter().map(|(_, nodes)| nodes).collect(),
        };
        let parts: Vec<Part> = choices
            .into_iter()
            .map(|nodes| self.backups.choose(instance, nodes))
            .collect::<Result<_, _>>()?;
        match &self.backups {
            Backups::Listed(ids, member) if ids.len() != parts.len() => {
                Err(ApiError::InvalidMember(member))
            }
            Backups::Listed(..) | Backups::Newest | Backups::New => Ok(parts),
        }
    }
}

impl Backups {
    /// The one of these nodes whose backup is meant.
    fn choose(&self, instance: &Instance, nodes: Vec<&Node>) -> Result<Part, ApiError> {
        match self {
            Self::Listed(ids, member) => {
                let mut found = Vec::new();
                for node in nodes {
                    let backups = backups::list(instance, node).map_err(ApiError::internal)?;
                    let chosen = backups.into_iter().filter(|one| ids.contains(&Some(one.id)));
                    found.extend(chosen.map(|backup| Part::new(node, backup.id)));
                }
                match <[Part; 1]>::try_from(found) {
                    Ok([part]) => Ok(part),
                    Err(_) => Err(ApiError::InvalidMember(member)),
                }
            }
            Self::Newest => {
                let newest = backups::newest(instance, &nodes).map_err(ApiError::internal)?;
                let (node, backup) = newest.ok_or(ApiError::NoNewBackup)?;
                Ok(Part::new(node, backup.id))
            }
            Self::New => Err(ApiError::NoNewBackup),
        }
    }
}

fn node_ids(value: Value) -> Result<Nodes, ApiError> {
    let invalid = ApiError::InvalidMember("node_ids");
    match value {
        Value::String(text) if text == "*" => Ok(Nodes::EachShard),
        Value::Array(_) => {
            let ids: Vec<String> = serde_json::from_value(value).map_err(|_| invalid.clone())?;
            let mut seen = std::collections::HashSet::new();
            match !ids.is_empty() && ids.iter().all(|id| seen.insert(id)) {
                true => Ok(Nodes::Listed(ids)),
                false => Err(invalid),
            }
        }
        _ => Err(invalid),
    }
}

fn uuid(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(ids::uuid)
}

fn set<T: DeserializeOwned>(
    setting: &mut T,
    value: Option<Value>,
    member: &'static str,
) -> Result<(), ApiError> {
    if let Some(value) = value {
        *setting = serde_json::from_value(value).map_err(|_| ApiError::InvalidMember(member))?;
    }
    Ok(())
}
