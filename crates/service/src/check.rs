//! What a configuration names that is not there.

use crate::config::Config;
use crate::tls::Tls;

impl Config {
    /// Says what keeps the service from working with this configuration, one line each:
    /// [`Config::load`] has looked at the file alone.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(Err(problem)) = self.tls.clone().map(Tls::open) {
            problems.push(problem);
        }
        for node in self.instances.iter().flat_map(|instance| &instance.nodes) {
            if let Err(error) = std::fs::read_dir(&node.backups) {
                problems.push(format!(
                    "backups of node {}: {}: {error}",
                    node.id,
                    node.backups.display()
                ));
            }
        }
        problems
    }
}
