//! `offkey credential` and `offkey token`: who may call the service.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use offkey_service::{
    Config, Credential, CredentialStore, Keyring, Listed, NewCredential, Permission, Secret,
};
use serde_json::json;
use tokio::runtime::Runtime;
use tracing_subscriber::filter::LevelFilter;

use crate::Outcome;
use crate::config::{self, read_secret};
use crate::serve::log;

/// Manages the access keys of the service, which takes every change at once.
///
/// They are in the database of the service, their secret keys encrypted. The key that encrypts
/// them is in the file that credential_key_file of the configuration names, or in the variable
/// OFFKEY_CREDENTIAL_KEY, or it is the systemd credential offkey-credential-key.
#[derive(Debug, Args)]
pub(crate) struct CredentialArgs {
    #[command(subcommand)]
    command: CredentialCommand,
}

#[derive(Debug, Subcommand)]
enum CredentialCommand {
    Add(AddArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
    RotateKey(RotateKeyArgs),
    /// Prints a new key for the credential store
    NewKey,
}

/// Adds an access key and prints it: its secret key cannot be shown again
#[derive(Debug, Args)]
struct AddArgs {
    #[command(flatten)]
    config: ConfigArg,

    /// Project it may use, may be repeated
    #[arg(long, value_name = "ID", required = true)]
    project: Vec<String>,

    /// What it may do: read; analyse, which is also to create and delete analyses; admin
    #[arg(long, default_value = "analyse", value_parser = role)]
    role: Permission,

    /// Access key id [default: a random one]
    #[arg(long)]
    ak: Option<String>,

    /// File with the secret key, `-` is stdin [default: a random one]
    #[arg(long, value_name = "FILE")]
    sk_file: Option<PathBuf>,

    /// Make it a temporary one with a security token, for a time such as 90s, 30m, 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    expires_in: Option<i64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Lists the access keys of the store, without their secret keys
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,

    /// Print one JSON object for each
    #[arg(long)]
    json: bool,
}

/// Takes access keys away, and with them their tokens
#[derive(Debug, Args)]
struct RevokeArgs {
    #[command(flatten)]
    config: ConfigArg,

    /// Their ids
    #[arg(required = true)]
    ak: Vec<String>,
}

/// Encrypts every secret key with the first key of the credential store
///
/// Put a new key before the old one, restart the service, run this, take the old key away.
#[derive(Debug, Args)]
struct RotateKeyArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Prints a token of an access key, which is good for one project and 24 hours.
///
/// It goes into the header X-Auth-Token. The access key is one of the configuration or of the
/// credential store; nothing is asked of the service.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    config: ConfigArg,

    /// Access key id
    #[arg(long)]
    ak: String,

    /// The project [default: that of the access key, if it has only one]
    #[arg(long, value_name = "ID")]
    project: Option<String>,
}

#[derive(Debug, Args)]
struct ConfigArg {
    /// Configuration of the service
    #[arg(long = "config", value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(args: &CredentialArgs, now_ms: i64) -> anyhow::Result<Outcome> {
    match &args.command {
        CredentialCommand::Add(args) => add(args, now_ms),
        CredentialCommand::List(args) => list(args),
        CredentialCommand::Revoke(args) => revoke(args),
        CredentialCommand::RotateKey(args) => rotate_key(args),
        CredentialCommand::NewKey => {
            let key = Keyring::generate().map_err(|reason| anyhow!(reason))?;
            print(key.expose())
        }
    }
}

pub(crate) fn token(args: &TokenArgs, now_ms: i64) -> anyhow::Result<Outcome> {
    let config = config::load(&args.config.file)?;
    let token = offkey_service::token(&config, &args.ak, args.project.as_deref(), now_ms);
    print(Runtime::new()?.block_on(token)?.expose())
}

fn add(args: &AddArgs, now_ms: i64) -> anyhow::Result<Outcome> {
    let config = config::load(&args.config.file)?;
    for id in &args.project {
        let is_known = config.projects.iter().any(|project| project.id == *id);
        ensure!(is_known, "the configuration has no such project: {id}");
    }
    let random = |len| Secret::random(len).map_err(|reason| anyhow!(reason));
    let ak = match &args.ak {
        Some(ak) => ak.clone(),
        None => random(20)?.expose().to_owned(),
    };
    let is_configured = config.credentials.iter().any(|credential| credential.ak == ak);
    ensure!(!is_configured, "the configuration has a credential with this access key id: {ak}");
    let sk = match &args.sk_file {
        Some(path) => Secret::new(read_secret(path)?.expose().trim_end_matches(['\r', '\n'])),
        None => random(40)?,
    };
    let temporary = match args.expires_in {
        Some(duration_ms) => Some((now_ms.saturating_add(duration_ms), random(64)?)),
        None => None,
    };
    let credential = Credential { ak, sk, projects: args.project.clone(), role: args.role };
    let new = NewCredential { credential, temporary };
    in_store(config, async |store| Ok(store.add(&new, now_ms).await?))?;
    let NewCredential { credential, temporary } = new;
    let mut lines = vec![
        ("ak", credential.ak.clone()),
        ("sk", credential.sk.expose().to_owned()),
        ("role", credential.role.name().to_owned()),
        ("projects", credential.projects.join(" ")),
    ];
    if let Some((expire_at_ms, token)) = &temporary {
        lines.push(("security_token", token.expose().to_owned()));
        lines.push(("expires_at", time(*expire_at_ms)?));
    }
    if args.json {
        let object = lines.iter().map(|(name, value)| match *name {
            "projects" => ((*name).to_owned(), json!(credential.projects)),
            name => (name.to_owned(), json!(value)),
        });
        return print(&serde_json::Value::Object(object.collect()).to_string());
    }
    let text: Vec<_> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    print(&text.join("\n"))
}

fn list(args: &ListArgs) -> anyhow::Result<Outcome> {
    let config = config::load(&args.config.file)?;
    let mut output = io::stdout().lock();
    for listed in in_store(config, async |store| Ok(store.list().await?))? {
        let Listed { ak, projects, role, expire_at_ms, key_id } = listed;
        let expires_at = expire_at_ms.map(time).transpose()?;
        let (role, projects_text) = (role.name(), projects.join(" "));
        if args.json {
            let line = json!({
                "ak": ak, "role": role, "projects": projects, "expires_at": expires_at,
                "key_id": key_id,
            });
            writeln!(output, "{line}")?;
        } else {
            let expires_at = expires_at.as_deref().unwrap_or("-");
            writeln!(output, "{ak:<20}  {role:<7}  {expires_at:<24}  {projects_text}")?;
        }
    }
    output.flush()?;
    Ok(Outcome::Complete)
}

fn revoke(args: &RevokeArgs) -> anyhow::Result<Outcome> {
    let config = config::load(&args.config.file)?;
    let unknown = in_store(config, async |store| {
        let mut unknown = Vec::new();
        for ak in &args.ak {
            if !store.revoke(ak).await? {
                unknown.push(ak);
            }
        }
        Ok(unknown)
    })?;
    for ak in &unknown {
        eprintln!("offkey: the credential store has no such access key: {ak}");
    }
    Ok(if unknown.is_empty() { Outcome::Complete } else { Outcome::Incomplete })
}

fn rotate_key(args: &RotateKeyArgs) -> anyhow::Result<Outcome> {
    let config = config::load(&args.config.file)?;
    let count = in_store(config, async |store| Ok(store.rotate().await?))?;
    eprintln!("offkey: encrypted anew: {count}");
    Ok(Outcome::Complete)
}

/// Does something with the credential store of a configuration.
fn in_store<T>(
    config: Config,
    work: impl AsyncFnOnce(&CredentialStore) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let keyring = config.keyring.clone().context(
        "the credential store has no key: set credential_key_file to a file with one, which \
         `offkey credential new-key` makes",
    )?;
    offkey_service::make_data_dir(&config.data_dir)?;
    // Each change has its line there, as those of requests have in the service's log.
    log(LevelFilter::INFO, config.log_format);
    Runtime::new()?.block_on(async {
        let store = CredentialStore::open(&config, keyring).await?;
        let done = work(&store).await;
        store.close().await;
        done
    })
}

/// The one line that a command is run for.
fn print(text: &str) -> anyhow::Result<Outcome> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()?;
    Ok(Outcome::Complete)
}

fn time(ms: i64) -> anyhow::Result<String> {
    Ok(format!("{:.3}", Timestamp::from_millisecond(ms)?))
}

fn role(text: &str) -> Result<Permission, String> {
    Permission::parse(text).ok_or_else(|| format!("read, analyse or admin expected: {text}"))
}

/// A number of seconds, minutes, hours or days.
fn duration_ms(text: &str) -> Result<i64, String> {
    let parsed = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        let ms = number.parse::<u32>().ok().filter(|number| *number > 0)?;
        i64::from(ms).checked_mul(seconds * 1000)
    };
    parsed().ok_or_else(|| format!("a time such as 90s, 30m, 12h or 7d expected: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_number_and_a_unit() {
        for (text, ms) in
            [("1s", 1000), ("30m", 1_800_000), ("12h", 43_200_000), ("7d", 604_800_000)]
        {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "s", "1", "0s", "-1s", "1.5h", "1w", "99999999999d", "1\u{20ac}"] {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }
}
