//! Who has an access key: those of the configuration, and those of the credential store,
//! an SQLite file of its own in which secret keys are encrypted.
//!
//! Verifying a signature takes the secret key itself, so a hash of it would not do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, SqlitePool};

use super::keyring::{Keyring, Sealed};
use super::signature::hex;
use super::token::issue;
use crate::config::{Config, Credential, Permission};
use crate::ids;
use crate::secret::Secret;

/// Name of the store's file in the data folder.
const FILE: &str = "credentials.sqlite";

const SCHEMA: &str = "\
    CREATE TABLE IF NOT EXISTS credentials (
        ak            TEXT   NOT NULL PRIMARY KEY,
        projects      TEXT   NOT NULL,
        role          TEXT   NOT NULL,
        -- Of a temporary credential: SHA-256 of its security token, and its end.
        token_hash    TEXT,
        expire_at_ms  BIGINT,
        created_at_ms BIGINT NOT NULL,
        key_id        TEXT   NOT NULL,
        sealed_sk     BLOB   NOT NULL
    )";

/// How long a statement waits for another one's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// All access keys of a service.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) configured: Vec<Arc<Known>>,
    pub(crate) store: Option<CredentialStore>,
}

/// An access key with what a request must also have.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) credential: Credential,
    pub(crate) temporary: Option<Temporary>,
}

/// What is particular to a temporary access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Temporary {
    token_hash: String,
    pub(crate) expire_at_ms: i64,
}

/// The credential store of a data folder.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    pool: SqlitePool,
    keyring: Keyring,
}

/// A credential to be stored.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// Its keys, projects and role.
    pub credential: Credential,
    /// When it ends; its security token is the secret then.
    pub temporary: Option<(i64, Secret)>,
}

/// A stored credential without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Access key id.
    pub ak: String,
    /// Projects it may use.
    pub projects: Vec<String>,
    /// What it may do there.
    pub role: Permission,
    /// When a temporary one ends.
    pub expire_at_ms: Option<i64>,
    /// Which key its secret key is encrypted with.
    pub key_id: String,
}

/// The store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It cannot be a credential.
    #[error("not a usable credential: {0}")]
    Unusable(&'static str),
    /// There is one with this access key id.
    #[error("there is a credential with this access key id: {0}")]
    Exists(String),
    /// The database.
    #[error("credential store: {0}")]
    Database(#[from] sqlx::Error),
    /// A secret key cannot be encrypted or decrypted.
    #[error("credential store: secret key of {ak}: {reason}")]
    Secret {
        /// Whose.
        ak: String,
        /// Why.
        reason: String,
    },
    /// There is no such access key, or it does not open the project.
    #[error("no token: {0}")]
    NoToken(String),
    /// There is no key to decrypt it with.
    #[error("credential store: it is there, but there is no key for it")]
    NoKey,
}

impl Credentials {
    pub(crate) async fn open(
        data_dir: &Path,
        configured: Vec<Credential>,
        keyring: Option<Keyring>,
    ) -> Result<Self, CredentialError> {
        let store = match keyring {
            Some(keyring) => Some(CredentialStore::open_in(data_dir, keyring).await?),
            None if data_dir.join(FILE).exists() => return Err(CredentialError::NoKey),
            None => None,
        };
        let known = |credential| Arc::new(Known { credential, temporary: None });
        Ok(Self { configured: configured.into_iter().map(known).collect(), store })
    }

    pub(crate) async fn close(&self) {
        if let Some(store) = &self.store {
            store.close().await;
        }
    }

    /// The credential with this access key id. A revoked one is gone with the next request.
    pub(crate) async fn find(&self, ak: &str) -> Result<Option<Arc<Known>>, CredentialError> {
        if let Some(known) = self.configured.iter().find(|known| known.credential.ak == ak) {
            return Ok(Some(Arc::clone(known)));
        }
        match &self.store {
            Some(store) => Ok(store.find(ak).await?.map(Arc::new)),
            None => Ok(None),
        }
    }
}

/// Makes a token of an access key of the configuration or of the store, for `project` or else
/// the only one that the access key opens.
///
/// # Errors
/// There is no such access key, it has ended, or it does not open the project.
pub async fn token(
    config: &Config,
    ak: &str,
    project: Option<&str>,
    now_ms: i64,
) -> Result<Secret, CredentialError> {
    let configured = config.credentials.clone();
    let credentials =
        Credentials::open(&config.data_dir, configured, config.keyring.clone()).await?;
    let known = credentials.find(ak).await;
    credentials.close().await;
    let refused = |reason: &str| CredentialError::NoToken(format!("{reason}: {ak}"));
    let known = known?.ok_or_else(|| refused("there is no such access key"))?;
    if known.temporary.as_ref().is_some_and(|temporary| now_ms >= temporary.expire_at_ms) {
        return Err(refused("the access key has expired"));
    }
    let project = match (project, known.credential.projects.as_slice()) {
        (None, [only]) => only,
        (None, _) => return Err(refused("the access key has several projects, so name one")),
        (Some(id), projects) => projects
            .iter()
            .find(|project| *project == id)
            .ok_or_else(|| refused("the project is not one of the access key"))?,
    };
    Ok(Secret::new(issue(ak, &known.credential.sk, project, now_ms)))
}

impl Temporary {
    /// Whether `token` is the security token that belongs to the access key.
    pub(crate) fn has_token(&self, token: &str) -> bool {
        hash(token) == self.token_hash
    }
}

impl CredentialStore {
    /// Opens the store of a configuration, making it where needed.
    ///
    /// # Errors
    /// The database cannot be opened, or has a secret key that `keyring` cannot decrypt.
    pub async fn open(config: &Config, keyring: Keyring) -> Result<Self, CredentialError> {
        Self::open_in(&config.data_dir, keyring).await
    }

    async fn open_in(data_dir: &Path, keyring: Keyring) -> Result<Self, CredentialError> {
        let options = SqliteConnectOptions::new()
            .filename(data_dir.join(FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // What is revoked is gone from the file too.
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        sqlx::query(SCHEMA).execute(&pool).await?;
        let store = Self { pool, keyring };
        store.all().await?;
        Ok(store)
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Adds a credential.
    ///
    /// # Errors
    /// There is one with its access key id, or the database cannot be written.
    pub async fn add(&self, new: &NewCredential, now_ms: i64) -> Result<(), CredentialError> {
        let known = Known {
            credential: new.credential.clone(),
            temporary: new.temporary.as_ref().map(|(expire_at_ms, token)| Temporary {
                token_hash: hash(token.expose()),
                expire_at_ms: *expire_at_ms,
            }),
        };
        let Credential { ak, sk, projects, role } = &known.credential;
        if !ids::is_access_key(ak) {
            return Err(CredentialError::Unusable("an ak is 1 to 128 letters, digits, - or _"));
        }
        if sk.expose().is_empty() || sk.expose().bytes().any(|byte| !matches!(byte, b' '..=b'~')) {
            return Err(CredentialError::Unusable("an sk is one line of ASCII"));
        }
        if projects.is_empty() || !projects.iter().all(|id| ids::is_project_id(id)) {
            return Err(CredentialError::Unusable("a project has 32 hexadecimal digits"));
        }
        let sealed = self.seal(&known)?;
        let inserted = sqlx::query(
            "INSERT INTO credentials (ak, projects, role, token_hash, expire_at_ms, \
             created_at_ms, key_id, sealed_sk) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(ak)
        .bind(projects.join(" "))
        .bind(role.name())
        .bind(known.temporary.as_ref().map(|temporary| &temporary.token_hash))
        .bind(known.temporary.as_ref().map(|temporary| temporary.expire_at_ms))
        .bind(now_ms)
        .bind(sealed.key_id)
        .bind(sealed.bytes)
        .execute(&self.pool)
        .await;
        match inserted {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Err(CredentialError::Exists(ak.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// All credentials in the order of their ids.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, CredentialError> {
        let listed = |(known, key_id): (Known, String)| Listed {
            ak: known.credential.ak,
            projects: known.credential.projects,
            role: known.credential.role,
            expire_at_ms: known.temporary.map(|temporary| temporary.expire_at_ms),
            key_id,
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// Takes a credential away; false if there is none.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn revoke(&self, ak: &str) -> Result<bool, CredentialError> {
        let deleted = sqlx::query("DELETE FROM credentials WHERE ak = $1").bind(ak);
        let deleted = deleted.execute(&self.pool).await?.rows_affected() == 1;
        // Older pages would stay in the log.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        Ok(deleted)
    }

    /// Encrypts every secret key with the first key of the keyring, and answers how many were
    /// encrypted with another one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn rotate(&self) -> Result<usize, CredentialError> {
        let mut count = 0;
        let current = self.keyring.current_id();
        for (known, old) in self.all().await?.into_iter().filter(|(_, id)| id != current) {
            let sealed = self.seal(&known)?;
            let updated = sqlx::query(
                "UPDATE credentials SET key_id = $3, sealed_sk = $4 WHERE ak = $1 AND key_id = $2",
            )
            .bind(&known.credential.ak)
            .bind(old)
            .bind(sealed.key_id)
            .bind(sealed.bytes)
            .execute(&self.pool)
            .await?;
            count += usize::from(updated.rows_affected() == 1);
        }
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        Ok(count)
    }

    async fn find(&self, ak: &str) -> Result<Option<Known>, CredentialError> {
        let row = sqlx::query("SELECT * FROM credentials WHERE ak = $1").bind(ak);
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| self.known(&row)).transpose()?.map(|(known, _)| known))
    }

    /// All credentials, each with the id of the key it is encrypted with.
    async fn all(&self) -> Result<Vec<(Known, String)>, CredentialError> {
        let rows = sqlx::query("SELECT * FROM credentials ORDER BY ak").fetch_all(&self.pool);
        rows.await?.iter().map(|row| self.known(row)).collect()
    }

    fn known(&self, row: &SqliteRow) -> Result<(Known, String), CredentialError> {
        let ak: String = row.try_get("ak")?;
        let projects: &str = row.try_get("projects")?;
        let role: &str = row.try_get("role")?;
        let token_hash: Option<String> = row.try_get("token_hash")?;
        let expire_at_ms: Option<i64> = row.try_get("expire_at_ms")?;
        let mut known = Known {
            credential: Credential {
                ak: ak.clone(),
                sk: Secret::new(""),
                projects: projects.split(' ').map(str::to_owned).collect(),
                // The role is part of what is sealed, so another word there does not open.
                role: Permission::parse(role).unwrap_or(Permission::Read),
            },
            temporary: token_hash
                .zip(expire_at_ms)
                .map(|(token_hash, expire_at_ms)| Temporary { token_hash, expire_at_ms }),
        };
        let sealed = Sealed { key_id: row.try_get("key_id")?, bytes: row.try_get("sealed_sk")? };
        let sk = self.keyring.open(&sealed, &context(&known));
        known.credential.sk = sk.map_err(|reason| CredentialError::Secret { ak, reason })?;
        Ok((known, sealed.key_id))
    }

    fn seal(&self, known: &Known) -> Result<Sealed, CredentialError> {
        let failed = |reason| CredentialError::Secret { ak: known.credential.ak.clone(), reason };
        self.keyring.seal(&known.credential.sk, &context(known)).map_err(failed)
    }
}

/// What a secret key is sealed together with, so that nobody who can write into the file, but
/// has no key, can give a credential another project, role or end.
fn context(known: &Known) -> String {
    let Credential { ak, projects, role, .. } = &known.credential;
    let (token_hash, expire_at_ms) = match &known.temporary {
        Some(Temporary { token_hash, expire_at_ms }) => (token_hash.as_str(), *expire_at_ms),
        None => ("", 0),
    };
    format!("{ak}\n{}\n{}\n{token_hash}\n{expire_at_ms}", projects.join(" "), role.name())
}

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "0123456789abcdef0123456789abcdef";

    fn keyring(digits: &[&str]) -> Keyring {
        Keyring::parse(&digits.iter().map(|digit| digit.repeat(64) + "\n").collect::<String>())
            .unwrap()
    }

    fn new(ak: &str) -> NewCredential {
        NewCredential {
            credential: Credential {
                ak: ak.to_owned(),
                sk: Secret::new(format!("canary of {ak}")),
                projects: vec![PROJECT.to_owned()],
                role: Permission::Read,
            },
            temporary: None,
        }
    }

    #[tokio::test]
    async fn credentials_come_back_until_they_are_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let store = CredentialStore::open_in(folder.path(), keyring(&["a"])).await.unwrap();
        store.add(&new("ONE"), 0).await.unwrap();
        let temporary = Some((77, Secret::new("token")));
        store.add(&NewCredential { temporary, ..new("TWO") }, 0).await.unwrap();
        let again = store.add(&new("ONE"), 0).await;
        assert!(matches!(again, Err(CredentialError::Exists(_))));
        let one = store.find("ONE").await.unwrap().unwrap();
        assert_eq!(one.credential.sk.expose(), "canary of ONE");
        assert_eq!((one.credential.role, one.temporary), (Permission::Read, None));
        let two = store.find("TWO").await.unwrap().unwrap().temporary.unwrap();
        assert_eq!(two.expire_at_ms, 77);
        assert!(two.has_token("token") && !two.has_token("Token"));
        assert!(store.revoke("ONE").await.unwrap());
        assert!(!store.revoke("ONE").await.unwrap());
        assert!(store.find("ONE").await.unwrap().is_none());
        assert_eq!(store.list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn rotation_makes_the_old_key_needless() {
        let folder = tempfile::tempdir().unwrap();
        let open =
            |digits: &'static [&str]| CredentialStore::open_in(folder.path(), keyring(digits));
        open(&["a"]).await.unwrap().add(&new("ONE"), 0).await.unwrap();
        assert!(open(&["b"]).await.is_err());
        let both = open(&["b", "a"]).await.unwrap();
        assert_eq!((both.rotate().await.unwrap(), both.rotate().await.unwrap()), (1, 0));
        both.close().await;
        assert!(open(&["a"]).await.is_err());
        let store = open(&["b"]).await.unwrap();
        let one = store.find("ONE").await.unwrap().unwrap();
        assert_eq!(one.credential.sk.expose(), "canary of ONE");
    }

    #[tokio::test]
    async fn changed_rows_do_not_open() {
        for change in ["role = 'admin'", "projects = 'x'", "expire_at_ms = 1, token_hash = 'x'"] {
            let folder = tempfile::tempdir().unwrap();
            let store = CredentialStore::open_in(folder.path(), keyring(&["a"])).await.unwrap();
            store.add(&new("ONE"), 0).await.unwrap();
            let sql = sqlx::AssertSqlSafe(format!("UPDATE credentials SET {change}"));
            sqlx::query(sql).execute(&store.pool).await.unwrap();
            assert!(store.find("ONE").await.is_err(), "{change}");
        }
    }

    #[tokio::test]
    async fn secrets_are_not_in_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = CredentialStore::open_in(folder.path(), keyring(&["a"])).await.unwrap();
        let temporary = Some((77, Secret::new("canary of a token")));
        store.add(&NewCredential { temporary, ..new("ONE") }, 0).await.unwrap();
        let mut len = 0;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
            len += bytes.len();
        }
        assert!(len > 4096);
    }
}
