//! `DeleteOfflineKeyAnalysisTask`.

use std::sync::Arc;

use axum::extract::State;

use crate::App;
use crate::api::Json;
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::api::scope::InTask;
use crate::api::wire::TaskId;
use crate::auth::Caller;
use crate::store::{Deletion, News};
use crate::tasks;

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    InTask { instance, task_id }: InTask,
    query: Query,
) -> Result<Json<TaskId>, ApiError> {
    let force = query.flag("force")?;
    let store = &app.tasks.store;
    let found = store.show(&instance.project, instance.id, task_id).await;
    match found? {
        None => return Err(ApiError::UnknownTask),
        Some((task, _)) if task.state == tasks::State::Running && !force => {
            return Err(ApiError::TaskRunning);
        }
        Some(_) => caller.once(&app).await?,
    }
    let deletion = store.delete(&instance.project, instance.id, task_id, force).await;
    match deletion? {
        Deletion::Deleted => {
            app.tasks.tell(News::Deleted);
            Ok(Json(TaskId { task_id }))
        }
        Deletion::Running => Err(ApiError::TaskRunning),
        Deletion::Unknown => Err(ApiError::UnknownTask),
    }
}
