//! Where backups lie besides the folders of nodes: folders and buckets whose names follow a
//! pattern. They are looked at, never written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use jiff::Timestamp;
use offkey_fetch::{Bucket, Object, ObjectOptions, ObjectUrl, Store};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::pattern::Pattern;
use super::{Backup, Place, record};
use crate::Secret;
use crate::config::Instance;

/// Deepest folder that is looked into.
const DEPTH_MAX: usize = 8;

/// A folder, or what is below a key of a bucket, with backups of an instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A folder, `s3://bucket/prefix/` or `obs://bucket/prefix/`.
    pub url: String,
    /// How its files are named, below it.
    pub pattern: String,
    /// URL of the store.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Whether the bucket stands in the path of URLs.
    #[serde(default)]
    pub path_style: bool,
    /// Access key; none for what is public.
    pub access_key: Option<String>,
    /// Its secret.
    pub secret_key: Option<Secret>,
    /// File with the secret.
    pub secret_key_file: Option<PathBuf>,
    /// How old a list may be before the source is looked at again.
    #[serde(default = "default_refresh_seconds")]
    pub refresh_seconds: u32,
    /// What was found the last time.
    #[serde(skip)]
    pub seen: Seen,
}

/// What a source was found to hold, and when.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<Option<Look>>>);

type Look = (Instant, Vec<Found>);

/// A file in a source.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its name below the source.
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) written_at_ms: i64,
    pub(crate) place: Place,
}

/// An object that a source has listed: how it is reached, and which content is meant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remote {
    obs: bool,
    bucket: String,
    endpoint: String,
    region: String,
    path_style: bool,
    access_key: Option<String>,
    secret_key: Option<String>,
    key: String,
    tag: String,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({}/{})", self.bucket, self.key)
    }
}

impl Remote {
    /// The object, which is refused if it is not the one that was listed.
    pub(crate) fn object(&self) -> Result<Object, String> {
        Ok(self.bucket()?.object(&self.key).with_tag(&self.tag))
    }

    /// A URL by which anyone can read it for a while.
    pub(crate) fn link(&self, valid_for: Duration) -> Result<String, String> {
        Ok(self.bucket()?.link(&self.key, valid_for))
    }

    fn bucket(&self) -> Result<Bucket, String> {
        let secret = self.secret_key.as_deref().map(offkey_fetch::Secret::new);
        let store = Store {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
            keys: self.access_key.clone().zip(secret),
            token: None,
        };
        Bucket::new(&self.bucket, self.obs, &store, ObjectOptions::default())
            .map_err(|error| error.to_string())
    }
}

impl Source {
    /// Makes relative paths relative to `folder`.
    pub(crate) fn within(&mut self, folder: &Path) {
        if !ObjectUrl::is_one(&self.url) {
            self.url = folder.join(&self.url).to_string_lossy().into_owned();
        }
        if let Some(file) = &mut self.secret_key_file {
            *file = folder.join(&*file);
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        Pattern::parse(&self.pattern)?;
        if self.secret_key.is_some() && self.secret_key_file.is_some() {
            return Err("secret_key and secret_key_file are both set".to_owned());
        }
        let has_secret = self.secret_key.is_some() || self.secret_key_file.is_some();
        if self.access_key.is_some() != has_secret {
            return Err("access_key and secret_key go together".to_owned());
        }
        match self.url.parse() {
            Ok(ObjectUrl::Http(_)) => Err(format!("a web server has no list: {}", self.url)),
            Ok(ObjectUrl::Object { .. }) => self.store_url().map(|_| ()),
            Err(error) if ObjectUrl::is_one(&self.url) => Err(error.to_string()),
            Err(_) => Ok(()),
        }
    }

    /// The backups of `instance` in the source; blocking.
    ///
    /// Where it cannot be looked at, what was seen the last time.
    pub(crate) fn backups(&self, instance: &Instance) -> Vec<Backup> {
        let Ok(pattern) = Pattern::parse(&self.pattern) else { return Vec::new() };
        let found = self.seen().into_iter();
        found
            .filter_map(|found| {
                let named = pattern.read(&found.name, instance).ok()?;
                let id = match &named.time {
                    Some(time) => record::id_of_time(instance.id, time),
                    // Another content is another backup.
                    None => Uuid::new_v5(&instance.id, found.identity(&self.url).as_bytes()),
                };
                let file_name = found.name.rsplit('/').next().unwrap_or_default().to_owned();
                let Found { len, written_at_ms, place, .. } = found;
                let node_id = named.node_id;
                Some(Backup { id, node_id, file_name, len, written_at_ms, place })
            })
            .collect()
    }

    /// What it holds; from the store if the last look was too long ago.
    fn seen(&self) -> Vec<Found> {
        let mut seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refresh = Duration::from_secs(self.refresh_seconds.into());
        if let Some((at, found)) = &*seen
            && at.elapsed() < refresh
        {
            return found.clone();
        }
        match self.look() {
            Ok(found) => {
                *seen = Some((Instant::now(), found.clone()));
                found
            }
            Err(error) => {
                tracing::error!(%error, "source of backups cannot be looked at");
                let last = seen.take().map(|(_, found)| found).unwrap_or_default();
                *seen = Some((Instant::now(), last.clone()));
                last
            }
        }
    }

    /// Everything in it.
    pub(crate) fn look(&self) -> Result<Vec<Found>, String> {
        match self.url.parse() {
            Ok(ObjectUrl::Object { obs, bucket, key }) => self.objects(obs, &bucket, &key),
            Ok(ObjectUrl::Http(_)) | Err(_) => {
                let mut found = Vec::new();
                files(Path::new(&self.url), "", DEPTH_MAX, &mut found)
                    .map_err(|error| format!("{}: {error}", self.url))?;
                Ok(found)
            }
        }
    }

    fn objects(&self, obs: bool, bucket: &str, prefix: &str) -> Result<Vec<Found>, String> {
        let secret_key = match &self.secret_key_file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            None => self.secret_key.as_ref().map(|secret| secret.expose().to_owned()),
        };
        let (endpoint, region) = self.store_url()?;
        let remote = Remote {
            obs,
            bucket: bucket.to_owned(),
            endpoint,
            region,
            path_style: self.path_style,
            access_key: self.access_key.clone(),
            secret_key,
            key: String::new(),
            tag: String::new(),
        };
        let listed = remote.bucket()?.list(prefix).map_err(|error| error.to_string())?;
        let found = listed.into_iter().filter_map(|object| {
            let name = object.key.strip_prefix(prefix)?.to_owned();
            let written_at = object.modified.parse::<Timestamp>().unwrap_or_default();
            let remote = Remote { key: object.key, tag: object.tag, ..remote.clone() };
            let place = Place::Object(Arc::new(remote));
            let written_at_ms = written_at.as_millisecond();
            Some(Found { name, len: object.len, written_at_ms, place })
        });
        Ok(found.collect())
    }

    /// Endpoint and region of the store.
    fn store_url(&self) -> Result<(String, String), String> {
        let region = self.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        match (&self.endpoint, self.url.starts_with("obs://"), &self.region) {
            (Some(endpoint), _, _) => Ok((endpoint.clone(), region)),
            (None, true, None) => Err("obs:// needs region or endpoint".to_owned()),
            (None, true, Some(_)) => {
                Ok((format!("https://obs.{region}.myhuaweicloud.com"), region))
            }
            (None, false, _) => Ok((format!("https://s3.{region}.amazonaws.com"), region)),
        }
    }
}

impl Found {
    fn identity(&self, url: &str) -> String {
        match &self.place {
            Place::Object(remote) => format!("{url} {} {}", self.name, remote.tag),
            Place::Folder(_) | Place::Source(_) => format!("{url} {}", self.name),
        }
    }
}

/// Adds the files below `folder`; links out of it are not followed.
fn files(folder: &Path, before: &str, depth: usize, found: &mut Vec<Found>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        // It may vanish between the listing and here.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() && depth > 0 {
            files(&entry.path(), &format!("{name}/"), depth - 1, found)?;
        } else if metadata.is_file() {
            let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let written_at_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let place = Place::Source(entry.path());
            found.push(Found { name, len: metadata.len(), written_at_ms, place });
        }
    }
    Ok(())
}

fn default_refresh_seconds() -> u32 {
    30
}
