//! Buckets of S3-compatible stores and of OBS. Each request is a URL with a signature in
//! its query, which is valid for a short time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rusty_s3::{Credentials, S3Action as _, UrlStyle};

use super::request::Client;
use super::{Object, ObjectOptions};
use crate::{Error, ErrorKind, Secret};

/// How long a signed request is valid; it is sent at once.
const SIGNED_FOR: Duration = Duration::from_secs(900);

/// Most bytes of one page of a list: a thousand keys of the longest.
const PAGE_LEN_MAX: u64 = 8 << 20;

/// Most objects that a list may have.
const LISTED_MAX: usize = 1_000_000;

/// Where a bucket is and who we are there.
#[derive(Debug, Clone)]
pub struct Store {
    /// URL without the bucket, such as `https://obs.cn-north-4.myhuaweicloud.com`.
    pub endpoint: String,
    /// Such as `us-east-1`; stores of one region take any.
    pub region: String,
    /// Whether the bucket stands in the path instead of in the host name. OBS refuses it.
    pub path_style: bool,
    /// Access key and secret; what is public needs none.
    pub keys: Option<(String, Secret)>,
    /// Token that belongs to temporary keys.
    pub token: Option<Secret>,
}

/// An object of a bucket's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its length.
    pub len: u64,
    /// When it was written, as the store says it.
    pub modified: String,
    /// What tells its content from another one.
    pub tag: String,
}

/// A bucket; cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    scheme: &'static str,
    bucket: Arc<rusty_s3::Bucket>,
    credentials: Option<Arc<Credentials>>,
    client: Client,
    options: ObjectOptions,
}

impl Bucket {
    /// The bucket `name` of `store`; `obs` only says how messages call it.
    ///
    /// # Errors
    /// The endpoint is not a usable URL.
    pub fn new(
        name: &str,
        obs: bool,
        store: &Store,
        options: ObjectOptions,
    ) -> Result<Self, Error> {
        let unusable = |why: &dyn fmt::Display| {
            let endpoint = &store.endpoint;
            Error::new(ErrorKind::Local, format!("endpoint {endpoint:?} cannot be used: {why}"))
        };
        let endpoint = url::Url::parse(&store.endpoint).map_err(|error| unusable(&error))?;
        if !matches!(endpoint.scheme(), "http" | "https") || !endpoint.username().is_empty() {
            return Err(unusable(&"https://host or http://host expected"));
        }
        // A bucket's name cannot stand before an address.
        let is_name = endpoint.domain().is_some();
        let style = match store.path_style || !is_name {
            true => UrlStyle::Path,
            false => UrlStyle::VirtualHost,
        };
        let bucket = rusty_s3::Bucket::new(endpoint, style, name.to_owned(), store.region.clone())
            .map_err(|error| unusable(&error))?;
        let credentials = store.keys.as_ref().map(|(key, secret)| {
            let secret = secret.expose();
            Arc::new(match &store.token {
                Some(token) => Credentials::new_with_token(key, secret, token.expose()),
                None => Credentials::new(key, secret),
            })
        });
        Ok(Self {
            scheme: if obs { "obs" } else { "s3" },
            bucket: Arc::new(bucket),
            credentials,
            client: Client::new(&options, false)?,
            options,
        })
    }

    /// An object, which is not asked for before it is opened.
    #[must_use]
    pub fn object(&self, key: &str) -> Object {
        let this = self.clone();
        let own_key = key.to_owned();
        let url = move || {
            this.bucket.get_object(this.credentials.as_deref(), &own_key).sign(SIGNED_FOR).into()
        };
        Object::new(self.name(key), Arc::new(url), self.client.clone(), self.options)
    }

    /// A URL by which anyone can read the object for a while.
    #[must_use]
    pub fn link(&self, key: &str, valid_for: Duration) -> String {
        self.bucket.get_object(self.credentials.as_deref(), key).sign(valid_for).into()
    }

    /// All objects whose keys begin with `prefix`, in the order of keys.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut listed = Vec::new();
        let mut continued: Option<String> = None;
        loop {
            let mut action = self.bucket.list_objects_v2(self.credentials.as_deref());
            action.with_prefix(prefix);
            if let Some(token) = continued {
                action.with_continuation_token(token);
            }
            let url = action.sign(SIGNED_FOR);
            let text = self.page(&self.name(prefix), url.as_str())?;
            let page =
                rusty_s3::actions::ListObjectsV2::parse_response(&text).map_err(|error| {
                    let text = format!("{}: not a list of objects: {error}", self.name(prefix));
                    Error::new(ErrorKind::Protocol, text)
                })?;
            listed.extend(page.contents.into_iter().filter_map(|object| {
                let (len, modified) = (object.size?, object.last_modified?);
                Some(Listed { key: object.key, len, modified, tag: object.etag? })
            }));
            if listed.len() > LISTED_MAX {
                let text = format!("{}: more than {LISTED_MAX} objects", self.name(prefix));
                return Err(Error::new(ErrorKind::Local, text));
            }
            continued = page.next_continuation_token;
            if continued.is_none() {
                return Ok(listed);
            }
        }
    }

    /// One page of a list, asked for again after a passing fault.
    fn page(&self, name: &str, url: &str) -> Result<String, Error> {
        let mut tries = 0;
        loop {
            match self.client.text(name, url, PAGE_LEN_MAX) {
                Ok(text) => return Ok(text),
                Err(failure) => {
                    tries += 1;
                    if !failure.may_pass || tries >= self.options.tries {
                        return Err(failure.error);
                    }
                    std::thread::sleep(self.options.backoff.saturating_mul(tries));
                }
            }
        }
    }

    fn name(&self, key: &str) -> String {
        format!("{}://{}/{key}", self.scheme, self.bucket.name())
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name("")).finish_non_exhaustive()
    }
}
