//! What a configuration names that is not there.

use crate::backups::{self, Pattern, record};
use crate::config::Config;
use crate::discovery;
use crate::tls::Tls;

/// A file in a source of backups, and what its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Name of the instance.
    pub instance: String,
    /// Where it was found.
    pub source: String,
    /// Its name there.
    pub name: String,
    /// Its length.
    pub len: u64,
    /// The node that it is a backup of, and the time in its name; or why it is none.
    pub of: Result<(String, Option<String>), String>,
}

impl Config {
    /// Every file in the folders of nodes and in the sources, with what its name says; what
    /// cannot be looked at is a line too. Blocking.
    #[must_use]
    pub fn backups(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        for configured in &self.instances {
            let instance = &match discovery::present(configured) {
                Ok(instance) => instance,
                Err(why) => {
                    let (instance, of) = (configured.name.clone(), Err(why));
                    let (source, name) = ("its nodes".to_owned(), String::new());
                    shown.push(Shown { instance, source, name, len: 0, of });
                    configured.clone()
                }
            };
            let line = |source: &str, name: String, len, of| Shown {
                instance: instance.name.clone(),
                source: source.to_owned(),
                name,
                len,
                of,
            };
            for node in &instance.nodes {
                let folder = node.backups.to_string_lossy();
                match backups::in_folder(instance, node) {
                    Ok(found) => shown.extend(found.into_iter().map(|backup| {
                        let time = record::time_of_name(&backup.file_name).map(str::to_owned);
                        let of = Ok((node.id.clone(), time));
                        line(&folder, backup.file_name, backup.len, of)
                    })),
                    Err(error) => {
                        shown.push(line(&folder, String::new(), 0, Err(error.to_string())));
                    }
                }
            }
            for source in &instance.sources {
                let looked = Pattern::parse(&source.pattern)
                    .and_then(|pattern| Ok((pattern, source.look()?)));
                match looked {
                    Ok((pattern, found)) => shown.extend(found.into_iter().map(|found| {
                        let named = pattern.read(&found.name, instance);
                        let of = named.map(|named| (named.node_id, named.time));
                        line(&source.url, found.name, found.len, of)
                    })),
                    Err(error) => shown.push(line(&source.url, String::new(), 0, Err(error))),
                }
            }
        }
        shown
    }

    /// Says what keeps the service from working with this configuration, one line each:
    /// [`Config::load`] has looked at the file alone.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(Err(problem)) = self.tls.clone().map(Tls::open) {
            problems.push(problem);
        }
        for discover in self.instances.iter().filter_map(|instance| instance.discover()) {
            if let Err(error) = std::fs::read_dir(&discover.backups) {
                let folder = discover.backups.display();
                problems.push(format!("backups of nodes that are found: {folder}: {error}"));
            }
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
