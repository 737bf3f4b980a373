//! `s3://bucket/key`, `obs://bucket/key`, `http://...` and `https://...`.

use std::str::FromStr;

/// Where a file lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectUrl {
    /// An object, or all below a key that ends in `/`.
    Object {
        /// Whether it is `obs://`.
        obs: bool,
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
    },
    /// A plain URL.
    Http(String),
}

/// Text that is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectUrlError {
    /// It has another form.
    #[error("not of the form s3://bucket/key, obs://bucket/key or https://host/path: {0:?}")]
    Form(String),
    /// It carries a password.
    #[error("a URL with a password in it is not taken, since everyone who lists processes sees it")]
    Password,
}

impl ObjectUrl {
    /// Whether `text` means to be such a URL.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        ["s3://", "obs://", "http://", "https://"].iter().any(|scheme| text.starts_with(scheme))
    }
}

impl FromStr for ObjectUrl {
    type Err = ObjectUrlError;

    fn from_str(text: &str) -> Result<Self, ObjectUrlError> {
        let form = || ObjectUrlError::Form(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme {
            "http" | "https" if host.contains('@') => Err(ObjectUrlError::Password),
            "http" | "https" if !host.is_empty() => Ok(Self::Http(text.to_owned())),
            "s3" | "obs" => {
                let is_bucket = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
                if host.is_empty() || key.is_empty() || !host.chars().all(is_bucket) {
                    return Err(form());
                }
                let (bucket, key) = (host.to_owned(), key.to_owned());
                Ok(Self::Object { obs: scheme == "obs", bucket, key })
            }
            _ => Err(form()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_every_form() {
        let object = |obs, bucket: &str, key: &str| {
            Ok(ObjectUrl::Object { obs, bucket: bucket.to_owned(), key: key.to_owned() })
        };
        assert_eq!("s3://b/k/x.rdb".parse(), object(false, "b", "k/x.rdb"));
        assert_eq!("obs://b.c/k/".parse(), object(true, "b.c", "k/"));
        let http = "https://h:1/x?y=z";
        assert_eq!(http.parse(), Ok(ObjectUrl::Http(http.to_owned())));
        assert_eq!("http://u:p@h/x".parse::<ObjectUrl>(), Err(ObjectUrlError::Password));
        for text in ["s3://b", "s3:///k", "obs://b/", "s3://b?/k", "ftp://h/x", "http://", "x"] {
            let error = ObjectUrlError::Form(text.to_owned());
            assert_eq!(text.parse::<ObjectUrl>(), Err(error), "{text}");
        }
    }
}
