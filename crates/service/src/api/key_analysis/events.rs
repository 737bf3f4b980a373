//! What becomes of a task, as server-sent events, which is ours.
//!
//! The first event says how things are, so a client that comes back needs no `Last-Event-ID`;
//! another one follows whenever that changes; after one with an ended task the stream ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use crate::App;
use crate::api::error::ApiError;
use crate::api::scope::InTask;
use crate::api::wire::{self, TaskChange};
use crate::config::Instance;
use crate::tasks::{self, Task};

/// How often the store is asked; workers note their progress once a second.
const POLL: Duration = Duration::from_secs(1);

/// How long nothing may be sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A task and what was last said of it.
struct Watched {
    app: Arc<App>,
    instance: Arc<Instance>,
    task_id: Uuid,
    stopping: watch::Receiver<bool>,
    told: Option<TaskChange>,
    ended: bool,
}

pub(crate) async fn events(
    State(app): State<Arc<App>>,
    InTask { instance, task_id }: InTask,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let stopping = app.stopping.clone();
    let watched = Watched { app, instance, task_id, stopping, told: None, ended: false };
    watched.task().await?.ok_or(ApiError::UnknownTask)?;
    Ok(Sse::new(unfold(watched, next)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The next event, once there is something to tell.
async fn next(mut watched: Watched) -> Option<(Result<Event, Infallible>, Watched)> {
    if watched.ended {
        return None;
    }
    loop {
        if watched.told.is_some() {
            tokio::select! {
                () = sleep(POLL) => {}
                // The service stops; the client may come back to another one.
                _ = watched.stopping.changed() => return None,
            }
        }
        // What cannot be asked ends the stream, and the client comes back.
        let event = match watched.task().await.ok()? {
            None => {
                watched.ended = true;
                Event::default().event("deleted").data("{}")
            }
            Some(task) => {
                let change = change(&task);
                if watched.told.as_ref() == Some(&change) {
                    continue;
                }
                watched.ended = match task.state {
                    tasks::State::Waiting | tasks::State::Running => false,
                    tasks::State::Success | tasks::State::Failed => true,
                };
                let data = serde_json::to_string(&change).ok()?;
                let began_ms = task.started_at_ms.unwrap_or_default();
                let id = format!("{began_ms}-{}", change.progress.bytes_read);
                watched.told = Some(change);
                Event::default().event("task").id(id).data(data)
            }
        };
        return Some((Ok(event), watched));
    }
}

impl Watched {
    async fn task(&self) -> Result<Option<Task>, ApiError> {
        let Self { app, instance, task_id, .. } = self;
        let found = app.tasks.store.show(&instance.project, instance.id, *task_id).await?;
        Ok(found.map(|(task, _)| task))
    }
}

fn change(task: &Task) -> TaskChange {
    TaskChange {
        status: wire::status(task.state),
        progress: task.progress.into(),
        error_msg: task.error.clone(),
    }
}
