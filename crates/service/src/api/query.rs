//! Query parameters, checked one by one so that errors name the one that is wrong.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::ApiError;
use crate::auth::Target;

/// The query of a request whose signature was right.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

/// Which part of a list a client wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) offset: u32,
    pub(crate) limit: u32,
}

impl Query {
    pub(crate) fn of(target: Target) -> Self {
        Self(target.into_pairs())
    }

    /// The parameter `name`, which may be there once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.map(String::as_str)),
            (_, Some(_)) => Err(ApiError::InvalidQuery(name.to_owned())),
        }
    }

    /// The parameter `name`, which is `true` or `false`; false without it.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ApiError::InvalidQuery(name.to_owned())),
        }
    }

    /// The time between the parameters `begin` and `end` in milliseconds since 1970; without
    /// one of them it is open at that side.
    pub(crate) fn times(&self, begin: &str, end: &str) -> Result<RangeInclusive<i64>, ApiError> {
        let begin_ms = self.time(begin)?.unwrap_or(i64::MIN);
        // The end is a whole second as well.
        let end_ms = self.time(end)?.map_or(i64::MAX, |ms| ms + 999);
        match begin_ms <= end_ms {
            true => Ok(begin_ms..=end_ms),
            false => Err(ApiError::InvalidQuery(end.to_owned())),
        }
    }

    /// A time such as `20260101235959`, in UTC.
    fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let time = (text.len() == 14)
            .then(|| DateTime::strptime("%Y%m%d%H%M%S", text).ok())
            .flatten()
            .and_then(|time| TimeZone::UTC.to_timestamp(time).ok());
        match time {
            Some(time) => Ok(Some(time.as_millisecond())),
            None => Err(ApiError::InvalidQuery(name.to_owned())),
        }
    }

    /// The parameters `offset` and `limit`; a limit outside of `limits` is an error.
    pub(crate) fn page(&self, limits: RangeInclusive<u32>) -> Result<Page, ApiError> {
        let number = |name: &str, default, range: RangeInclusive<u32>| match self.one(name)? {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| range.contains(number) && !text.starts_with('+'))
                .ok_or_else(|| ApiError::InvalidQuery(name.to_owned())),
        };
        Ok(Page {
            offset: number("offset", 0, 0..=i32::MAX.unsigned_abs())?,
            limit: number("limit", 10, limits)?,
        })
    }
}

impl Page {
    /// The items of `list` on this page.
    pub(crate) fn of<T>(self, list: Vec<T>) -> Vec<T> {
        let [offset, limit] =
            [self.offset, self.limit].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        list.into_iter().skip(offset).take(limit).collect()
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let target = parts.extensions.get::<Target>().cloned();
        Ok(target.map(Self::of).unwrap_or_else(|| Self(Vec::new())))
    }
}
