//! What Prometheus is told. Labels are routes, states and words of ours: never a name of a key,
//! an id or a path that a client made up.

use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

use crate::store::{Store, StoreError};
use crate::tasks::{Progress, State};

/// How old the numbers of tasks may be: whoever asks, the database is asked once a second.
const FRESH: Duration = Duration::from_secs(1);

/// How many tasks there are in each state, in the order of [`State::ALL`].
pub(crate) type TaskCounts = [i64; State::ALL.len()];

type Labels<V, const N: usize> = [(&'static str, V); N];

/// The numbers, and how to write them down.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels<String, 3>, Counter>,
    request_seconds: Family<Labels<String, 1>, Histogram, fn() -> Histogram>,
    analysis_seconds: Family<Labels<&'static str, 1>, Histogram, fn() -> Histogram>,
    bytes: Counter,
    keys: Counter,
    tasks: Family<Labels<&'static str, 1>, Gauge>,
    queue_depth: Gauge,
    counted: Mutex<Option<(Instant, TaskCounts)>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new([0.001, 0.01, 0.1, 1.0, 10.0, 60.0]);
        let long_seconds = || Histogram::new([0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0]);
        let mut metrics = Self {
            registry: Registry::with_prefix("offkey"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            analysis_seconds: Family::new_with_constructor(long_seconds),
            bytes: Counter::default(),
            keys: Counter::default(),
            tasks: Family::default(),
            queue_depth: Gauge::default(),
            counted: Mutex::default(),
        };
        let Self { registry, requests, request_seconds, analysis_seconds, .. } = &mut metrics;
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_seconds",
            "Time until an answer began",
            request_seconds.clone(),
        );
        registry.register(
            "analysis_seconds",
            "Time of analyses, or of their parts, that this process ran",
            analysis_seconds.clone(),
        );
        let Self { registry, bytes, keys, tasks, queue_depth, .. } = &mut metrics;
        registry.register("analysed_bytes", "Bytes read by them", bytes.clone());
        registry.register("analysed_keys", "Keys read by them", keys.clone());
        registry.register("tasks", "Tasks in the database, by state", tasks.clone());
        registry.register(
            "queue_depth",
            "Tasks in the database that wait for a worker",
            queue_depth.clone(),
        );
        metrics
    }

    /// Counts an answer; `route` is one of the router's, not what the client sent.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, time: Duration) {
        // Clients may make methods up.
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = known.into_iter().find(|known| *known == method).unwrap_or("other");
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.to_string()),
        ];
        self.requests.get_or_create(&labels).inc();
        let labels = [("route", route.to_owned())];
        self.request_seconds.get_or_create(&labels).observe(time.as_secs_f64());
    }

    /// Counts a part of an analysis that has ended, in which way.
    pub(crate) fn analysed(&self, outcome: &'static str, progress: Progress, time: Duration) {
        self.analysis_seconds.get_or_create(&[("outcome", outcome)]).observe(time.as_secs_f64());
        self.bytes.inc_by(progress.bytes_read);
        self.keys.inc_by(progress.key_count);
    }

    /// How many tasks there are, not more than a second ago.
    pub(crate) async fn count_tasks(&self, store: &Store) -> Result<TaskCounts, StoreError> {
        let mut counted = self.counted.lock().await;
        if let Some((at, counts)) = &*counted
            && at.elapsed() < FRESH
        {
            return Ok(*counts);
        }
        let counts = store.count_by_state().await?;
        *counted = Some((Instant::now(), counts));
        Ok(counts)
    }

    /// Everything in the text format.
    pub(crate) fn text(&self, counts: &TaskCounts) -> Result<String, std::fmt::Error> {
        for (state, count) in State::ALL.into_iter().zip(counts) {
            self.tasks.get_or_create(&[("state", state.name())]).set(*count);
            if state == State::Waiting {
                self.queue_depth.set(*count);
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_by_words_of_ours() {
        let metrics = Metrics::new();
        metrics.answered("GET", "/v2/{project_id}/instances", 200, Duration::from_millis(3));
        metrics.answered("BREW", "unknown", 404, Duration::from_millis(3));
        let progress = Progress { bytes_read: 70, bytes_total: 70, key_count: 7 };
        metrics.analysed("success", progress, Duration::from_secs(2));
        let text = metrics.text(&[3, 1, 4, 0]).unwrap();
        for line in [
            "offkey_http_requests_total{method=\"GET\",route=\"/v2/{project_id}/instances\",\
             status=\"200\"} 1",
            "offkey_http_requests_total{method=\"other\",route=\"unknown\",status=\"404\"} 1",
            "offkey_analysis_seconds_bucket{le=\"10.0\",outcome=\"success\"} 1",
            "offkey_analysed_bytes_total 70",
            "offkey_analysed_keys_total 7",
            "offkey_tasks{state=\"waiting\"} 3",
            "offkey_tasks{state=\"success\"} 4",
            "offkey_queue_depth 3",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
    }
}
