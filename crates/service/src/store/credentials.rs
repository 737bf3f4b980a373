//! Access keys with their sealed secrets, and signatures that have taken effect.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Store, StoreError};

/// A credential as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CredentialRow {
    pub(crate) ak: String,
    /// Their ids, with a space between two.
    pub(crate) projects: String,
    pub(crate) role: String,
    pub(crate) token_hash: Option<String>,
    pub(crate) expire_at_ms: Option<i64>,
    pub(crate) key_id: String,
    pub(crate) sealed_sk: Vec<u8>,
}

impl Store {
    /// Adds a credential; false if there is one with its id. Those that ended before
    /// `forget_ms` are taken out.
    pub(crate) async fn add_credential(
        &self,
        row: &CredentialRow,
        forget_ms: i64,
    ) -> Result<bool, StoreError> {
        self.within(async {
            sqlx::query("DELETE FROM credentials WHERE expire_at_ms < $1")
                .bind(forget_ms)
                .execute(&self.pool)
                .await?;
            let inserted = sqlx::query(
                "INSERT INTO credentials (ak, projects, role, token_hash, expire_at_ms, key_id, \
                 sealed_sk) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (ak) DO NOTHING",
            )
            .bind(&row.ak)
            .bind(&row.projects)
            .bind(&row.role)
            .bind(&row.token_hash)
            .bind(row.expire_at_ms)
            .bind(&row.key_id)
            .bind(&row.sealed_sk)
            .execute(&self.pool)
            .await?;
            Ok(inserted.rows_affected() == 1)
        })
        .await
    }

    pub(crate) async fn credential(&self, ak: &str) -> Result<Option<CredentialRow>, StoreError> {
        self.within(async {
            let row = sqlx::query("SELECT * FROM credentials WHERE ak = $1").bind(ak);
            let row = row.fetch_optional(&self.pool).await?;
            row.as_ref().map(read).transpose()
        })
        .await
    }

    /// All credentials in the order of their ids.
    pub(crate) async fn credentials(&self) -> Result<Vec<CredentialRow>, StoreError> {
        self.within(async {
            let rows = sqlx::query("SELECT * FROM credentials ORDER BY ak").fetch_all(&self.pool);
            rows.await?.iter().map(read).collect()
        })
        .await
    }

    /// Takes a credential out; false if there is none.
    pub(crate) async fn remove_credential(&self, ak: &str) -> Result<bool, StoreError> {
        self.within(async {
            let deleted = sqlx::query("DELETE FROM credentials WHERE ak = $1").bind(ak);
            Ok(deleted.execute(&self.pool).await?.rows_affected() == 1)
        })
        .await
    }

    /// Replaces the sealed secret of a credential; false if it is no longer what it was.
    pub(crate) async fn reseal_credential(
        &self,
        old: &CredentialRow,
        key_id: &str,
        sealed_sk: &[u8],
    ) -> Result<bool, StoreError> {
        self.within(async {
            let updated = sqlx::query(
                "UPDATE credentials SET key_id = $1, sealed_sk = $2 WHERE ak = $3 AND key_id = $4",
            )
            .bind(key_id)
            .bind(sealed_sk)
            .bind(&old.ak)
            .bind(&old.key_id)
            .execute(&self.pool)
            .await?;
            Ok(updated.rows_affected() == 1)
        })
        .await
    }

    /// Notes a signature that is to take effect until `expire_at_ms`; false if it has before.
    pub(crate) async fn note_signature(
        &self,
        signature: &str,
        now_ms: i64,
        expire_at_ms: i64,
    ) -> Result<bool, StoreError> {
        self.within(async {
            sqlx::query("DELETE FROM signatures WHERE expire_at_ms < $1")
                .bind(now_ms)
                .execute(&self.pool)
                .await?;
            let inserted = sqlx::query(
                "INSERT INTO signatures (signature, expire_at_ms) VALUES ($1, $2) \
                 ON CONFLICT (signature) DO NOTHING",
            )
            .bind(signature)
            .bind(expire_at_ms)
            .execute(&self.pool)
            .await?;
            Ok(inserted.rows_affected() == 1)
        })
        .await
    }
}

fn read(row: &AnyRow) -> Result<CredentialRow, StoreError> {
    Ok(CredentialRow {
        ak: row.try_get("ak")?,
        projects: row.try_get("projects")?,
        role: row.try_get("role")?,
        token_hash: row.try_get("token_hash")?,
        expire_at_ms: row.try_get("expire_at_ms")?,
        key_id: row.try_get("key_id")?,
        sealed_sk: row.try_get("sealed_sk")?,
    })
}
