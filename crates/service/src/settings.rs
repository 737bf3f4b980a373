//! Settings of an analysis: the defaults of a service, and what one request makes of them.

use offkey_analysis::memory::Profile;
use offkey_analysis::{Options, SizeKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of every analysis that does not bring its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnalysisConfig {
    /// How many keys the list of largest keys holds.
    pub top: u32,
    /// How many prefixes are listed for each type.
    pub prefixes: u32,
    /// Characters that end a prefix.
    pub separators: String,
    /// Whether every digit of a key counts as `0` when prefixes are formed.
    pub fold_digits: bool,
    /// Server whose memory is modelled, such as `redis-7.2`; without it the one that wrote
    /// the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Size that ranks keys and prefixes.
    pub size: Size,
}

/// Size of a key that ranks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// Memory the key really takes.
    #[default]
    Bytes,
    /// What `MEMORY USAGE key SAMPLES 0` would say.
    MemoryUsage,
    /// Length of the value in the file.
    Serialized,
}

/// How tasks are run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskLimits {
    /// Seconds after which a task is taken from a worker that gives no sign of life; it gives
    /// one at least three times as often.
    pub lease_seconds: u32,
    /// Backups of one instance that are analysed at the same time, on whatever machines.
    pub parts_per_instance: u32,
    /// Memory of an analysis in MB; 0 for as much as there is.
    pub memory_mb: u32,
    /// CPU time of an analysis in seconds; 0 for as much as it takes.
    pub cpu_seconds: u32,
}

impl Default for TaskLimits {
    fn default() -> Self {
        Self { lease_seconds: 30, parts_per_instance: 4, memory_mb: 1024, cpu_seconds: 21_600 }
    }
}

impl TaskLimits {
    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Unusable> {
        let unusable = |name, reason: &str| Err(Unusable { name, reason: reason.to_owned() });
        if !(1..=3600).contains(&self.lease_seconds) {
            return unusable("lease_seconds", "1 to 3600 expected");
        }
        if self.parts_per_instance == 0 {
            return unusable("parts_per_instance", "at least 1 expected");
        }
        if (1..64).contains(&self.memory_mb) {
            return unusable("memory_mb", "at least 64 expected, or 0");
        }
        Ok(())
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub(crate) struct Unusable {
    pub(crate) name: &'static str,
    reason: String,
}

impl AnalysisConfig {
    /// Most keys or prefixes a report lists.
    pub(crate) const LISTED_MAX: u32 = 10_000;

    /// Most separators; ASCII has no more.
    const SEPARATORS_MAX: usize = 128;

    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Unusable> {
        let unusable = |name, reason: String| Err(Unusable { name, reason });
        for (name, number) in [("top", self.top), ("prefixes", self.prefixes)] {
            if number > Self::LISTED_MAX {
                return unusable(name, format!("at most {} expected: {number}", Self::LISTED_MAX));
            }
        }
        if !self.separators.is_ascii() || self.separators.len() > Self::SEPARATORS_MAX {
            let reason = format!("separators must be ASCII: {:?}", self.separators);
            return unusable("separators", reason);
        }
        match self.profile.as_deref().map(str::parse::<Profile>) {
            Some(Err(reason)) => unusable("profile", reason),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// The same as options of an analysis that starts at `now_ms`.
    pub(crate) fn options(&self, now_ms: i64) -> Options {
        let listed = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Options {
            top: listed(self.top),
            prefixes: listed(self.prefixes),
            separators: self.separators.clone().into_bytes(),
            fold_digits: self.fold_digits,
            profile: self.profile.as_deref().and_then(|profile| profile.parse().ok()),
            size: match self.size {
                Size::Bytes => SizeKind::Bytes,
                Size::MemoryUsage => SizeKind::MemoryUsage,
                Size::Serialized => SizeKind::Serialized,
            },
            now_ms,
            ..Options::default()
        }
    }
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        let options = Options::default();
        let listed = |number| u32::try_from(number).unwrap_or(Self::LISTED_MAX);
        Self {
            top: listed(options.top),
            prefixes: listed(options.prefixes),
            separators: String::from_utf8_lossy(&options.separators).into_owned(),
            fold_digits: options.fold_digits,
            profile: None,
            size: Size::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_analysis() {
        let (ours, theirs) = (AnalysisConfig::default().options(0), Options::default());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn unusable_settings_are_named() {
        let good = AnalysisConfig { profile: Some("valkey-8.1".into()), ..Default::default() };
        assert_eq!(good.check(), Ok(()));
        for (name, bad) in [
            ("top", AnalysisConfig { top: 10_001, ..good.clone() }),
            ("prefixes", AnalysisConfig { prefixes: u32::MAX, ..good.clone() }),
            ("separators", AnalysisConfig { separators: "\u{e9}".into(), ..good.clone() }),
            ("separators", AnalysisConfig { separators: ":".repeat(129), ..good.clone() }),
            ("profile", AnalysisConfig { profile: Some("redis".into()), ..good.clone() }),
        ] {
            assert_eq!(bad.check().unwrap_err().name, name);
        }
    }
}
