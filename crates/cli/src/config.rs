//! The configuration, with what the environment adds to it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use offkey_service::{Config, Keyring, Secret};

use crate::Outcome;

/// Variable with the keys of the credential store.
const KEY_VARIABLE: &str = "OFFKEY_CREDENTIAL_KEY";

/// Name under which systemd hands the same over.
const SYSTEMD_CREDENTIAL: &str = "offkey-credential-key";

/// Reads the configuration at `path`, and the keys of the credential store from where they are.
pub(crate) fn load(path: &Path) -> anyhow::Result<Config> {
    let mut config = Config::load(path)?;
    config.keyring = keyring(config.credential_key_file.as_deref())?;
    Ok(config)
}

/// Says on stderr what is wrong with the configuration at `path`, or that nothing is.
pub(crate) fn check(path: &Path) -> anyhow::Result<Outcome> {
    let problems = load(path)?.problems();
    for problem in &problems {
        eprintln!("offkey: {}: {problem}", path.display());
    }
    if problems.is_empty() {
        eprintln!("offkey: {}: nothing wrong", path.display());
        return Ok(Outcome::Complete);
    }
    Ok(Outcome::Incomplete)
}

/// The keys of the credential store: from the configured file, the environment or systemd.
fn keyring(file: Option<&Path>) -> anyhow::Result<Option<Keyring>> {
    let (place, text) = if let Some(path) = file {
        (path.display().to_string(), read_secret(path)?)
    } else if let Some(text) = std::env::var_os(KEY_VARIABLE) {
        let text = text.into_string().map_err(|_| anyhow!("{KEY_VARIABLE}: not text"))?;
        (KEY_VARIABLE.to_owned(), Secret::new(text))
    } else if let Some(path) = handed_over() {
        (path.display().to_string(), read_secret(&path)?)
    } else {
        return Ok(None);
    };
    Keyring::parse(text.expose()).map(Some).map_err(|reason| anyhow!("{place}: {reason}"))
}

fn handed_over() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(Path::new(&folder).join(SYSTEMD_CREDENTIAL)).filter(|path| path.exists())
}

/// The text of a file, or of stdin for `-`.
pub(crate) fn read_secret(path: &Path) -> anyhow::Result<Secret> {
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    let text = text.map(Secret::new).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(!text.expose().trim().is_empty(), "there is nothing in {}", path.display());
    Ok(text)
}
