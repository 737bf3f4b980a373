//! Files that lie behind HTTP: objects of S3-compatible stores and of OBS, and plain URLs.

mod parts;
mod places;
mod request;
mod s3;
mod url;

use std::fmt;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use offkey_analysis::{Open, Opened};

pub use places::{Places, unusable};
pub use s3::{Bucket, Listed, Store};
pub use url::{ObjectUrl, ObjectUrlError};

use crate::Error;
use request::{Client, Version};

/// How objects are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectOptions {
    /// Bytes asked for in one request.
    pub part_len: u64,
    /// Requests that run at the same time for one object.
    pub parts_ahead: usize,
    /// For a connection.
    pub connect_timeout: Duration,
    /// For an answer, and for the next bytes of it.
    pub read_timeout: Duration,
    /// Tries without progress before a part is given up.
    pub tries: u32,
    /// Pause after the first of them; it doubles with each.
    pub backoff: Duration,
}

impl Default for ObjectOptions {
    fn default() -> Self {
        Self {
            part_len: 4 << 20,
            parts_ahead: 3,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            tries: 6,
            backoff: Duration::from_millis(200),
        }
    }
}

/// Where an object is asked for; a signed URL is another one at each time.
type UrlNow = Arc<dyn Fn() -> String + Send + Sync>;

/// An object as an input of the analysis: read in parts, resumed after a fault, refused if
/// it changes in between.
pub struct Object {
    /// Its name in messages, without signature.
    name: String,
    url: UrlNow,
    client: Client,
    options: ObjectOptions,
    /// The only content that is taken.
    tag: Option<String>,
    /// What the first reading found; a second one must find the same.
    first: Arc<OnceLock<Version>>,
}

impl Object {
    /// The file at a `http://` or `https://` URL.
    ///
    /// # Errors
    /// The system's certificates cannot be used.
    pub fn at_url(url: &str, options: ObjectOptions) -> Result<Self, Error> {
        let text = url.to_owned();
        // What stands behind the path may be a signature.
        let name = url.split(['?', '#']).next().unwrap_or_default().to_owned();
        let client = Client::new(&options, true)?;
        Ok(Self {
            name,
            url: Arc::new(move || text.clone()),
            client,
            options,
            tag: None,
            first: Arc::default(),
        })
    }

    fn new(name: String, url: UrlNow, client: Client, options: ObjectOptions) -> Self {
        Self { name, url, client, options, tag: None, first: Arc::default() }
    }

    /// Refuses the object if its `ETag` is another one: for one that was listed.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), ..self }
    }
}

impl Open for Object {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn open(&self, stop: &Arc<AtomicBool>) -> io::Result<Opened> {
        let source = parts::Source {
            name: self.name.clone(),
            url: Arc::clone(&self.url),
            client: self.client.clone(),
            options: self.options,
            tag: self.tag.clone(),
            first: Arc::clone(&self.first),
            stop: Arc::clone(stop),
        };
        Ok(source.open()?)
    }

    fn can_open_again(&self) -> bool {
        true
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("name", &self.name).finish_non_exhaustive()
    }
}
