//! Which inputs a path to an object store or a URL stands for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use offkey_analysis::{Input, Open, Opened};

use super::{Bucket, Listed, Object, ObjectOptions, ObjectUrl, Store};
use crate::{Error, ErrorKind, Secret};

/// How a file below a key has to end to be read.
const ENDS: [&str; 5] = [".rdb", ".rdb.gz", ".rdb.zst", ".rdb.lz4", ".rdb.xz"];

/// Where object stores are, as a user says it; keys come from the environment.
#[derive(Debug, Clone)]
pub struct Places {
    /// URL of the store; else AWS for `s3://`, Huawei Cloud for `obs://`.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Whether the bucket stands in the path of URLs instead of the host name.
    pub path_style: bool,
    /// What the environment says of keys.
    pub env: fn(&str) -> Option<String>,
}

impl Places {
    /// The input at `url`, or all RDB files below a key that ends in `/`. What cannot be
    /// reached is an input too, which tells why when it is read.
    ///
    /// # Errors
    /// The URL or what is known of its store is not usable.
    pub fn inputs(&self, url: &str) -> Result<Vec<Input>, Error> {
        let open = |object: Object| Input::Open(Arc::new(object));
        let (obs, name, key) = match parsed(url)? {
            ObjectUrl::Http(url) => {
                return Ok(vec![open(Object::at_url(&url, ObjectOptions::default())?)]);
            }
            ObjectUrl::Object { obs, bucket, key } => (obs, bucket, key),
        };
        let bucket = self.bucket(obs, &name)?;
        if !key.ends_with('/') {
            return Ok(vec![open(bucket.object(&key))]);
        }
        Ok(match below(&bucket, &key) {
            Ok(listed) if listed.is_empty() => vec![unusable(url, &"no .rdb file lies there")],
            Ok(listed) => listed.iter().map(|object| open(bucket.object(&object.key))).collect(),
            Err(error) => vec![unusable(url, &error)],
        })
    }

    /// The URLs of all RDB files whose keys begin with that of `url`.
    ///
    /// # Errors
    /// As for [`Places::inputs`], or the store does not answer.
    pub fn objects(&self, url: &str) -> Result<Vec<String>, Error> {
        let ObjectUrl::Object { obs, bucket: name, key } = parsed(url)? else {
            let text = format!("nothing lies below a URL of HTTP: {url}");
            return Err(Error::new(ErrorKind::Local, text));
        };
        let scheme = if obs { "obs" } else { "s3" };
        let listed = below(&self.bucket(obs, &name)?, &key)?;
        Ok(listed.iter().map(|object| format!("{scheme}://{name}/{}", object.key)).collect())
    }

    fn bucket(&self, obs: bool, name: &str) -> Result<Bucket, Error> {
        let names = match obs {
            true => ["OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"],
            false => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
        };
        let [key, secret, token] = names.map(self.env);
        let region = self.region.as_deref();
        let endpoint = match (&self.endpoint, region, obs) {
            (Some(endpoint), _, _) => endpoint.clone(),
            (None, Some(region), true) => format!("https://obs.{region}.myhuaweicloud.com"),
            (None, None, true) => {
                return Err(Error::new(ErrorKind::Local, "obs:// needs a region or an endpoint"));
            }
            (None, region, false) => {
                format!("https://s3.{}.amazonaws.com", region.unwrap_or("us-east-1"))
            }
        };
        let store = Store {
            endpoint,
            region: region.unwrap_or("us-east-1").to_owned(),
            path_style: self.path_style,
            keys: key.zip(secret.map(Secret::new)),
            token: token.map(Secret::new),
        };
        Bucket::new(name, obs, &store, ObjectOptions::default())
    }
}

/// An input that is known to be unusable, told as any other that cannot be read.
pub fn unusable(name: &str, error: &dyn std::fmt::Display) -> Input {
    Input::Open(Arc::new(Unusable { name: name.to_owned(), error: error.to_string() }))
}

fn parsed(url: &str) -> Result<ObjectUrl, Error> {
    url.parse().map_err(|error| {
        let error: super::ObjectUrlError = error;
        Error::new(ErrorKind::Local, error.to_string())
    })
}

fn below(bucket: &Bucket, key: &str) -> Result<Vec<Listed>, Error> {
    let mut listed = bucket.list(key)?;
    listed.retain(|object| ENDS.iter().any(|end| object.key.ends_with(end)));
    Ok(listed)
}

#[derive(Debug)]
struct Unusable {
    name: String,
    error: String,
}

impl Open for Unusable {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn open(&self, _: &Arc<AtomicBool>) -> io::Result<Opened> {
        Err(io::Error::other(self.error.clone()))
    }

    fn can_open_again(&self) -> bool {
        true
    }
}
