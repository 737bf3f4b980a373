//! Who has an access key: those of the configuration, and those of the credential store, which
//! is the service's database. Their secret keys are encrypted there.
//!
//! Verifying a signature takes the secret key itself, so a hash of it would not do.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::keyring::{Keyring, Sealed};
use super::signature::hex;
use super::token::issue;
use crate::config::{Config, Credential, Permission};
use crate::ids;
use crate::secret::Secret;
use crate::store::{CredentialRow, Store, StoreError};

/// How long a temporary credential is listed after its end.
const FORGET_MS: i64 = 24 * 60 * 60 * 1000;

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

/// The credential store of a service.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    store: Store,
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
    Database(String),
    /// The database, but the same may succeed later.
    #[error("credential store: {0}")]
    Unavailable(String),
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
    /// The error says that the keys do not open what is stored.
    pub(crate) async fn new(
        store: Store,
        configured: Vec<Credential>,
        keyring: Option<Keyring>,
    ) -> Result<Self, CredentialError> {
        let store = match keyring {
            Some(keyring) => Some(CredentialStore::new(store, keyring).await?),
            None if store.credentials().await?.is_empty() => None,
            None => return Err(CredentialError::NoKey),
        };
        let known = |credential| Arc::new(Known { credential, temporary: None });
        Ok(Self { configured: configured.into_iter().map(known).collect(), store })
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
    let configured = config.credentials.iter().find(|credential| credential.ak == ak);
    let known = match (configured, &config.keyring) {
        (Some(credential), _) => Some(Known { credential: credential.clone(), temporary: None }),
        (None, None) => None,
        (None, Some(keyring)) => {
            let store = CredentialStore::open(config, keyring.clone()).await?;
            let known = store.find(ak).await;
            store.close().await;
            known?
        }
    };
    let refused = |reason: &str| CredentialError::NoToken(format!("{reason}: {ak}"));
    let known = known.ok_or_else(|| refused("there is no such access key"))?;
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
        Self::new(Store::open(&config.location()).await?, keyring).await
    }

    async fn new(store: Store, keyring: Keyring) -> Result<Self, CredentialError> {
        let store = Self { store, keyring };
        store.all().await?;
        Ok(store)
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.store.close().await;
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
        let row = CredentialRow {
            ak: ak.clone(),
            projects: projects.join(" "),
            role: role.name().to_owned(),
            token_hash: known.temporary.as_ref().map(|temporary| temporary.token_hash.clone()),
            expire_at_ms: known.temporary.as_ref().map(|temporary| temporary.expire_at_ms),
            key_id: sealed.key_id,
            sealed_sk: sealed.bytes,
        };
        match self.store.add_credential(&row, now_ms.saturating_sub(FORGET_MS)).await? {
            true => {
                let (operation, role) = ("credential add", role.name());
                tracing::info!(target: "offkey::audit", operation, ak, role, ?projects, "audit");
                Ok(())
            }
            false => Err(CredentialError::Exists(ak.clone())),
        }
    }

    /// All credentials in the order of their ids.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, CredentialError> {
        let listed = |(known, row): (Known, CredentialRow)| Listed {
            ak: known.credential.ak,
            projects: known.credential.projects,
            role: known.credential.role,
            expire_at_ms: known.temporary.map(|temporary| temporary.expire_at_ms),
            key_id: row.key_id,
        };
        Ok(self.all().await?.into_iter().map(listed).collect())
    }

    /// Takes a credential away; false if there is none.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn revoke(&self, ak: &str) -> Result<bool, CredentialError> {
        let is_removed = self.store.remove_credential(ak).await?;
        if is_removed {
            let operation = "credential revoke";
            tracing::info!(target: "offkey::audit", operation, ak, "audit");
        }
        Ok(is_removed)
    }

    /// Encrypts every secret key with the first key of the keyring, and answers how many were
    /// encrypted with another one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn rotate(&self) -> Result<usize, CredentialError> {
        let mut count = 0;
        for (known, old) in self.all().await? {
            if old.key_id == self.keyring.current_id() {
                continue;
            }
            let Sealed { key_id, bytes } = self.seal(&known)?;
            let is_replaced = self.store.reseal_credential(&old, &key_id, &bytes).await?;
            count += usize::from(is_replaced);
        }
        let operation = "credential rotate-key";
        tracing::info!(target: "offkey::audit", operation, count, "audit");
        Ok(count)
    }

    async fn find(&self, ak: &str) -> Result<Option<Known>, CredentialError> {
        let row = self.store.credential(ak).await?;
        row.map(|row| self.known(&row)).transpose()
    }

    /// All credentials, each with what is stored of it.
    async fn all(&self) -> Result<Vec<(Known, CredentialRow)>, CredentialError> {
        let rows = self.store.credentials().await?;
        rows.into_iter().map(|row| Ok((self.known(&row)?, row))).collect()
    }

    fn known(&self, row: &CredentialRow) -> Result<Known, CredentialError> {
        let temporary = row.token_hash.clone().zip(row.expire_at_ms);
        let mut known = Known {
            credential: Credential {
                ak: row.ak.clone(),
                sk: Secret::new(""),
                projects: row.projects.split(' ').map(str::to_owned).collect(),
                // The role is part of what is sealed, so another word there does not open.
                role: Permission::parse(&row.role).unwrap_or(Permission::Read),
            },
            temporary: temporary
                .map(|(token_hash, expire_at_ms)| Temporary { token_hash, expire_at_ms }),
        };
        let sealed = Sealed { key_id: row.key_id.clone(), bytes: row.sealed_sk.clone() };
        let sk = self.keyring.open(&sealed, &context(&known));
        known.credential.sk =
            sk.map_err(|reason| CredentialError::Secret { ak: row.ak.clone(), reason })?;
        Ok(known)
    }

    fn seal(&self, known: &Known) -> Result<Sealed, CredentialError> {
        let failed = |reason| CredentialError::Secret { ak: known.credential.ak.clone(), reason };
        self.keyring.seal(&known.credential.sk, &context(known)).map_err(failed)
    }
}

impl From<StoreError> for CredentialError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            StoreError::Busy
            | StoreError::Database(_)
            | StoreError::Migration(_)
            | StoreError::Json(_)
            | StoreError::Row { .. } => Self::Database(error.to_string()),
        }
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
    use crate::store::tests::with_each;

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

    async fn open(store: &Store, digits: &[&str]) -> Result<CredentialStore, CredentialError> {
        CredentialStore::new(store.clone(), keyring(digits)).await
    }

    #[tokio::test]
    async fn credentials_come_back_until_they_are_revoked() {
        with_each(async |store| {
            let store = open(&store, &["a"]).await.unwrap();
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
            // A day after its end nobody asks for it any more.
            store.add(&new("THREE"), 78 + FORGET_MS).await.unwrap();
            let listed = store.list().await.unwrap();
            assert_eq!(listed.iter().map(|one| one.ak.as_str()).collect::<Vec<_>>(), ["THREE"]);
        })
        .await;
    }

    #[tokio::test]
    async fn rotation_makes_the_old_key_needless() {
        with_each(async |store| {
            open(&store, &["a"]).await.unwrap().add(&new("ONE"), 0).await.unwrap();
            assert!(open(&store, &["b"]).await.is_err());
            let both = open(&store, &["b", "a"]).await.unwrap();
            assert_eq!((both.rotate().await.unwrap(), both.rotate().await.unwrap()), (1, 0));
            assert!(open(&store, &["a"]).await.is_err());
            let store = open(&store, &["b"]).await.unwrap();
            let one = store.find("ONE").await.unwrap().unwrap();
            assert_eq!(one.credential.sk.expose(), "canary of ONE");
        })
        .await;
    }

    #[tokio::test]
    async fn changed_rows_do_not_open() {
        with_each(async |store| {
            let credentials = open(&store, &["a"]).await.unwrap();
            for (number, change) in
                ["role = 'admin'", "projects = 'x'", "expire_at_ms = 1, token_hash = 'x'"]
                    .iter()
                    .enumerate()
            {
                let ak = format!("AK{number}");
                credentials.add(&new(&ak), 0).await.unwrap();
                let sql = format!("UPDATE credentials SET {change} WHERE ak = '{ak}'");
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&store.pool).await.unwrap();
                assert!(credentials.find(&ak).await.is_err(), "{change}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn store_without_its_key_stops_the_service() {
        with_each(async |store| {
            let start = |keyring| Credentials::new(store.clone(), vec![], keyring);
            assert!(start(None).await.is_ok());
            open(&store, &["a"]).await.unwrap().add(&new("ONE"), 0).await.unwrap();
            assert!(matches!(start(None).await, Err(CredentialError::NoKey)));
            assert!(start(Some(keyring(&["b"]))).await.is_err());
            assert!(start(Some(keyring(&["a"]))).await.is_ok());
        })
        .await;
    }
}
