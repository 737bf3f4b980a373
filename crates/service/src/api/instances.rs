//! Instances, their shards and nodes, as the configuration has them.

use std::sync::Arc;

use axum::extract::State;
use uuid::Uuid;

use super::Json;
use super::error::ApiError;
use super::query::Query;
use super::scope::{InInstance, InProject};
use super::wire::{
    Dimension, Features, Group, GroupList, InstanceDetail, InstanceList, LogicalNode, NodeList,
    Replication, ResourceTag, node_type,
};
use crate::App;
use crate::config::{Instance, Node, Role, Standing};
use crate::ids;

/// Word for an instance: whether each of its shards has a node that can be used.
fn status(instance: &Instance) -> &'static str {
    let is_whole = instance.trouble().is_none() && !instance.groups().is_empty();
    let has_one = |nodes: &[&Node]| nodes.iter().any(|node| *node.standing() == Standing::Active);
    match is_whole && instance.groups().iter().all(|(_, nodes)| has_one(nodes)) {
        true => "RUNNING",
        false => "ERROR",
    }
}

/// Word for a node, and why it cannot be used.
fn node_status(node: &Node) -> (&'static str, Option<String>) {
    match node.standing() {
        Standing::Active => ("Active", None),
        Standing::Inactive(why) => ("Inactive", Some(why.clone())),
        Standing::Gone => ("Inactive", Some("it is of the instance no more".to_owned())),
    }
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    InProject(project): InProject,
    query: Query,
) -> Result<Json<InstanceList>, ApiError> {
    let page = query.page(1..=1000)?;
    let whole_name = query.flag("name_equal")?;
    let name = query.one("name")?;
    let (status, ip) = (query.one("status")?, query.one("ip")?);
    let invalid = |name: &str| ApiError::InvalidQuery(name.to_owned());
    let id = match query.one("instance_id")? {
        None => None,
        Some(id) => Some(ids::uuid(id).ok_or_else(|| invalid("instance_id"))?),
    };
    let tags = match query.one("tags")? {
        None | Some("") => Vec::new(),
        Some(tags) => tags
            .split(',')
            .map(|tag| tag.split_once('='))
            .collect::<Option<_>>()
            .ok_or_else(|| invalid("tags"))?,
    };
    let found: Vec<InstanceDetail> = app
        .instances
        .all()
        .iter()
        .filter(|instance| instance.project == project)
        .filter(|instance| id.is_none_or(|id| instance.id == id))
        .filter(|instance| status.is_none_or(|status| status == self::status(instance)))
        .filter(|instance| {
            name.is_none_or(|name| match whole_name {
                true => instance.name == name,
                false => instance.name.contains(name),
            })
        })
        .filter(|instance| ip.is_none_or(|ip| instance.nodes.iter().any(|node| node.ip == ip)))
        .filter(|instance| {
            tags.iter().all(|(key, value)| instance.tags.get(*key).is_some_and(|own| own == value))
        })
        .map(|instance| detail(instance))
        .collect();
    Ok(Json(InstanceList { instance_num: found.len(), instances: page.of(found) }))
}

pub(crate) async fn show(InInstance(instance): InInstance) -> Json<InstanceDetail> {
    Json(detail(&instance))
}

pub(crate) async fn groups(InInstance(instance): InInstance) -> Json<GroupList> {
    let group_list: Vec<Group> = instance
        .groups()
        .into_iter()
        .map(|(name, nodes)| Group {
            group_id: group_id(&instance, name),
            group_name: name.to_owned(),
            replication_list: nodes.into_iter().map(|node| replication(&instance, node)).collect(),
        })
        .collect();
    Json(GroupList { group_count: group_list.len(), group_list })
}

pub(crate) async fn logical_nodes(InInstance(instance): InInstance) -> Json<NodeList> {
    let nodes: Vec<LogicalNode> = instance
        .nodes
        .iter()
        .map(|node| (node, node_status(node)))
        .map(|(node, (status, error_msg))| LogicalNode {
            logical_node_id: node.id.clone(),
            name: node.name.clone(),
            status,
            error_msg,
            az_code: "",
            node_role: "redis-server",
            node_type: node_type(node.role),
            node_ip: node.ip.clone(),
            node_port: node.port.to_string(),
            node_id: node.id.clone(),
            priority_weight: 100,
            is_access: true,
            group_id: group_id(&instance, &node.group),
            group_name: node.group.clone(),
            is_remove_ip: false,
            replication_id: replication_id(&instance, node),
            dimensions: dimensions(&instance, node),
        })
        .collect();
    Json(NodeList { instance_id: instance.id, total: nodes.len(), nodes })
}

fn detail(instance: &Instance) -> InstanceDetail {
    let groups = instance.groups();
    let replica_count = groups.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or_default();
    let (cache_mode, db_number) = match (groups.len(), replica_count) {
        (0 | 1, 0 | 1) => ("single", 256),
        (0 | 1, _) => ("ha", 256),
        (_, _) => ("cluster", 1),
    };
    let front = instance
        .nodes
        .iter()
        .find(|node| node.role == Role::Master && *node.standing() == Standing::Active)
        .or_else(|| instance.nodes.iter().find(|node| node.role == Role::Master))
        .or_else(|| instance.nodes.first());
    InstanceDetail {
        instance_id: instance.id,
        name: instance.name.clone(),
        description: "",
        engine: instance.engine.clone(),
        engine_version: instance.engine_version.clone(),
        status: status(instance),
        ip: front.map(|node| node.ip.clone()).unwrap_or_default(),
        port: front.map(|node| node.port).unwrap_or_default(),
        capacity: instance.max_memory_mb / 1024,
        capacity_minor: (1..1024)
            .contains(&instance.max_memory_mb)
            .then(|| (f64::from(instance.max_memory_mb) / 1024.0).to_string()),
        max_memory: instance.max_memory_mb,
        used_memory: 0,
        cache_mode,
        created_at: instance.created_at.clone(),
        charging_mode: 0,
        enable_ssl: false,
        enable_publicip: false,
        no_password_access: "false",
        product_type: "generic",
        sharding_count: groups.len(),
        replica_count,
        db_number,
        service_upgrade: false,
        features: Features::default(),
        az_codes: Vec::new(),
        tags: instance
            .tags
            .iter()
            .map(|(key, value)| ResourceTag { key: key.clone(), value: value.clone() })
            .collect(),
    }
}

fn replication(instance: &Instance, node: &Node) -> Replication {
    Replication {
        replication_role: node_type(node.role),
        replication_ip: node.ip.clone(),
        is_replication: node.role == Role::Slave,
        replication_id: replication_id(instance, node),
        node_id: node.id.clone(),
        status: node_status(node).0,
        az_code: "",
        dimensions: dimensions(instance, node),
    }
}

fn dimensions(instance: &Instance, node: &Node) -> Vec<Dimension> {
    vec![
        Dimension { name: "dcs_instance_id", value: instance.id.to_string() },
        Dimension { name: "dcs_cluster_redis_node", value: node.id.clone() },
    ]
}

fn group_id(instance: &Instance, name: &str) -> Uuid {
    Uuid::new_v5(&instance.id, format!("group/{name}").as_bytes())
}

fn replication_id(instance: &Instance, node: &Node) -> Uuid {
    Uuid::new_v5(&instance.id, format!("replication/{}", node.id).as_bytes())
}
