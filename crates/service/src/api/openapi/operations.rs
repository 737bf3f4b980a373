//! What each operation reads and answers.

use offkey_analysis::Report;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::reference;
use crate::api::tokens;
use crate::api::wire::{
    BackgroundTaskList, BackupId, BackupList, CopyRequest, CreateRequest, GroupList,
    InstanceDetail, InstanceList, LinkList, LinksRequest, NodeList, ProjectList, TaskChange,
    TaskDetail, TaskId, TaskList, TaskNodes, Uploaded,
};

/// One operation, apart from its route.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    pub(super) body: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// Its content type.
    pub(super) media: &'static str,
    pub(super) needs_body: bool,
    pub(super) answer: Answer,
}

/// A parameter of the query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) schema: fn() -> Value,
}

/// What a request that succeeds is answered with.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Json(u16, fn(&mut SchemaGenerator) -> Schema),
    /// Of this content type.
    Text(&'static str),
    /// Server-sent events of this form.
    Events(fn(&mut SchemaGenerator) -> Schema),
    Nothing,
}

impl Operation {
    const fn reading(name: &'static str, summary: &'static str, answer: Answer) -> Self {
        let media = "application/json";
        Self { name, summary, query: &[], body: None, media, needs_body: false, answer }
    }

    const fn with_query(self, query: &'static [Parameter]) -> Self {
        Self { query, ..self }
    }

    const fn with_body(self, body: fn(&mut SchemaGenerator) -> Schema) -> Self {
        Self { body: Some(body), needs_body: true, ..self }
    }
}

const fn parameter(name: &'static str, schema: fn() -> Value) -> Parameter {
    Parameter { name, schema }
}

const OFFSET: Parameter = parameter(
    "offset",
    || json!({"type": "integer", "minimum": 0, "maximum": i32::MAX, "default": 0}),
);

/// Of lists that may be asked for their length alone.
const LIMIT: Parameter =
    parameter("limit", || json!({"type": "integer", "minimum": 0, "maximum": 1000, "default": 10}));

const LIMIT_FROM_1: Parameter =
    parameter("limit", || json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}));

const STATUS: Parameter = parameter(
    "status",
    || json!({"type": "string", "enum": ["waiting", "running", "success", "failed"]}),
);

const FORCE: Parameter = parameter("force", flag);

const SHORT_NAMES: Parameter = parameter("short_names", flag);

fn flag() -> Value {
    json!({"type": "string", "enum": ["true", "false"], "default": "false"})
}

fn remark() -> Value {
    json!({"type": "string", "maxLength": 128})
}

fn text() -> Value {
    json!({"type": "string"})
}

/// Such as `20260101235959`, in UTC.
fn time() -> Value {
    json!({"type": "string", "pattern": "^[0-9]{14}$"})
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn tags() -> Value {
    json!({"type": "string", "pattern": "^([^=,]*=[^,]*(,[^=,]*=[^,]*)*)?$"})
}

const fn json<T: schemars::JsonSchema>() -> Answer {
    Answer::Json(200, reference::<T>)
}

/// Bytes of a file.
fn bytes(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "string", "format": "binary"})
}

/// An event, whose data is JSON in a string.
fn event(schemas: &mut SchemaGenerator) -> Schema {
    let change = reference::<TaskChange>(schemas);
    let data = json!({
        "type": "string", "contentMediaType": "application/json", "contentSchema": change,
    });
    let text = json!({"type": "string"});
    schemars::json_schema!({
        "type": "object",
        "properties": {"event": text, "id": text, "data": data},
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::reading("KeystoneListProjects", "Projects of the caller.", json::<ProjectList>())
        .with_query(&[parameter("name", text)]),
    Operation::reading(
        "KeystoneCreateUserTokenByAkSk",
        "A token for the owner of an access key, in the header X-Subject-Token.",
        Answer::Json(201, reference::<tokens::CreateResponse>),
    )
    .with_body(reference::<tokens::CreateRequest>),
    Operation::reading("ListInstances", "Instances of a project.", json::<InstanceList>())
        .with_query(&[
            parameter("instance_id", uuid),
            parameter("name", text),
            parameter("name_equal", flag),
            parameter("status", text),
            parameter("ip", text),
            parameter("tags", tags),
            OFFSET,
            LIMIT_FROM_1,
        ]),
    Operation::reading("ShowInstance", "One instance.", json::<InstanceDetail>()),
    Operation::reading(
        "ListGroupReplicationInfo",
        "Shards of an instance and the nodes of each.",
        json::<GroupList>(),
    ),
    Operation::reading("ShowNodesInformation", "Nodes of an instance.", json::<NodeList>()),
    Operation::reading("ListBackupRecords", "Backups of an instance.", json::<BackupList>())
        .with_query(&[
            parameter("begin_time", time),
            parameter("end_time", time),
            OFFSET,
            LIMIT_FROM_1,
        ]),
    Operation {
        needs_body: false,
        ..Operation::reading("CopyInstance", "Takes a new backup.", json::<BackupId>())
            .with_body(reference::<CopyRequest>)
    },
    Operation::reading(
        "ListBackupFileLinks",
        "Links to the files of a backup.",
        json::<LinkList>(),
    )
    .with_body(reference::<LinksRequest>),
    Operation {
        media: "application/octet-stream",
        ..Operation::reading(
            "UploadBackupFile",
            "Takes a backup that the request brings.",
            json::<Uploaded>(),
        )
        .with_query(&[parameter("remark", remark)])
        .with_body(bytes)
    },
    Operation::reading("DeleteBackupFile", "Deletes a backup and its file.", Answer::Nothing),
    Operation::reading(
        "ListBackgroundTask",
        "What goes on with an instance.",
        json::<BackgroundTaskList>(),
    )
    .with_query(&[parameter("start_time", time), parameter("end_time", time), OFFSET, LIMIT]),
    Operation::reading(
        "ListOfflineKeyAnalysisTask",
        "Analyses of an instance, the newest first.",
        json::<TaskList>(),
    )
    .with_query(&[OFFSET, LIMIT, STATUS]),
    Operation::reading("CreateOfflineKeyAnalysis", "Starts an analysis.", json::<TaskId>())
        .with_body(reference::<CreateRequest>),
    Operation::reading(
        "ShowOfflineKeyAnalysisTask",
        "An analysis and its report.",
        json::<TaskDetail>(),
    ),
    Operation::reading("DeleteOfflineKeyAnalysisTask", "Deletes an analysis.", json::<TaskId>())
        .with_query(&[FORCE]),
    Operation::reading(
        "ListOfflineKeyAnalysisNodes",
        "Nodes that an analysis is of.",
        json::<TaskNodes>(),
    ),
    Operation::reading(
        "FollowOfflineKeyAnalysisTask",
        "What becomes of an analysis, as server-sent events.",
        Answer::Events(event),
    ),
    Operation::reading(
        "ShowOfflineKeyAnalysisReport",
        "Everything that an analysis has found.",
        json::<Report>(),
    )
    .with_query(&[SHORT_NAMES]),
    Operation::reading(
        "DownloadOfflineKeyAnalysisReportCsv",
        "The same for spreadsheets.",
        Answer::Text("text/csv"),
    ),
    Operation::reading(
        "DownloadOfflineKeyAnalysisReportHtml",
        "The same as a page for a browser.",
        Answer::Text("text/html"),
    ),
];
