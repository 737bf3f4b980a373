//! The keys that encrypt the credential store.
//!
//! ```text
//! keyring = (64 hexadecimal digits LF)+     the first one encrypts, the others only decrypt
//! sealed  = nonce (24) | XChaCha20-Poly1305(secret)
//! ```

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::signature::{hex, unhex};
use crate::secret::Secret;

const NONCE_LEN: usize = 24;

/// Keys of a credential store.
#[derive(Clone)]
pub struct Keyring {
    current: Key,
    /// Signs links to files.
    link_key: Secret,
    old: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Which key it is encrypted with.
    pub(crate) key_id: String,
    pub(crate) bytes: Vec<u8>,
}

impl Keyring {
    /// Reads keys, one a line; lines that are empty or start with `#` are skipped.
    ///
    /// # Errors
    /// There is no key, or one that has not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut link_key = None;
        let mut keys = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                let key = unhex(&Zeroizing::new(line.to_ascii_lowercase())).map(Zeroizing::new);
                let derive = |key: Zeroizing<[u8; 32]>| {
                    link_key.get_or_insert_with(|| derived(b"offkey link key", &key));
                    Key::new(&key)
                };
                key.map(derive)
                    .ok_or_else(|| format!("line {number}: a key has 64 hexadecimal digits"))
            });
        let current = keys.next().ok_or("there is no key")??;
        let old = keys.collect::<Result<_, _>>()?;
        let link_key = Secret::new(link_key.ok_or("there is no key")?);
        Ok(Self { current, link_key, old })
    }

    /// A new key, as a line of a keyring.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Secret, String> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|error| error.to_string())?;
        Ok(Secret::new(hex(&*key)))
    }

    /// Which key encrypts.
    pub(crate) fn current_id(&self) -> &str {
        &self.current.id
    }

    /// The key that signs links to files; another one once another key encrypts.
    pub(crate) fn link_key(&self) -> &Secret {
        &self.link_key
    }

    /// Encrypts `secret`; it decrypts only together with the same `context`.
    pub(crate) fn seal(&self, secret: &Secret, context: &str) -> Result<Sealed, String> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|error| error.to_string())?;
        let payload = Payload { msg: secret.expose().as_bytes(), aad: context.as_bytes() };
        let sealed = self.current.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|error| error.to_string())?;
        let bytes = nonce.into_iter().chain(sealed).collect();
        Ok(Sealed { key_id: self.current.id.clone(), bytes })
    }

    /// Decrypts what [`Keyring::seal`] has encrypted.
    pub(crate) fn open(&self, sealed: &Sealed, context: &str) -> Result<Secret, String> {
        let mut keys = std::iter::once(&self.current).chain(&self.old);
        let key = keys
            .find(|key| key.id == sealed.key_id)
            .ok_or_else(|| format!("it is encrypted with another key: {}", sealed.key_id))?;
        let changed = || "it has been changed".to_owned();
        let (nonce, bytes) = sealed.bytes.split_first_chunk().ok_or_else(changed)?;
        let nonce: [u8; NONCE_LEN] = *nonce;
        let payload = Payload { msg: bytes, aad: context.as_bytes() };
        let text = key.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| changed())?;
        String::from_utf8(text).map(Secret::new).map_err(|_| changed())
    }
}

impl Key {
    fn new(bytes: &[u8; 32]) -> Self {
        let id = derived(b"offkey key id", bytes).chars().take(16).collect();
        Self { id, cipher: XChaCha20Poly1305::new(bytes.into()) }
    }
}

/// What a key is for, apart from its own use.
fn derived(purpose: &[u8], key: &[u8; 32]) -> String {
    hex(&Sha256::new_with_prefix(purpose).chain_update(key).finalize())
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("current", &self.current.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(lines: &[&str]) -> Keyring {
        Keyring::parse(&lines.iter().map(|digit| digit.repeat(64) + "\n").collect::<String>())
            .unwrap()
    }

    #[test]
    fn secrets_open_with_their_key_and_context_only() {
        let old = keyring(&["a"]);
        let secret = Secret::new("canary");
        let sealed = old.seal(&secret, "AK").unwrap();
        assert_eq!(old.open(&sealed, "AK").unwrap(), secret);
        assert_eq!(keyring(&["b", "A"]).open(&sealed, "AK").unwrap(), secret);
        assert!(keyring(&["b"]).open(&sealed, "AK").unwrap_err().contains("another key"));
        assert!(old.open(&sealed, "OTHER").unwrap_err().contains("changed"));
        for at in 0..sealed.bytes.len() {
            let mut bad = sealed.clone();
            bad.bytes[at] ^= 1;
            assert!(old.open(&bad, "AK").is_err(), "{at}");
            bad.bytes.truncate(at);
            assert!(old.open(&bad, "AK").is_err(), "{at}");
        }
        assert_ne!(old.seal(&secret, "AK").unwrap(), sealed);
    }

    #[test]
    fn keyring_has_at_least_one_whole_key() {
        let key = "0".repeat(64);
        for (text, good) in [
            (key.clone(), true),
            (format!("# new\n{key}\n\n{}\n", "1".repeat(64)), true),
            (Keyring::generate().unwrap().expose().to_owned(), true),
            (String::new(), false),
            ("# nothing".to_owned(), false),
            (format!("{key}0"), false),
            (format!("{key}\nx"), false),
        ] {
            assert_eq!(Keyring::parse(&text).is_ok(), good, "{text}");
        }
        let error = Keyring::parse("canary").unwrap_err();
        assert!(!error.contains("canary"), "{error}");
        assert!(!format!("{:?}", keyring(&["a"])).contains("aaaa"));
    }
}
