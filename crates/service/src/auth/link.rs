//! Links to files: who has one may read its file until it runs out, without an access key.

use super::Keyring;
use super::signature::{hex_mac, is_mac};
use crate::secret::Secret;

/// The key that signs links, and nothing else.
#[derive(Debug)]
pub(crate) struct LinkKey(Secret);

impl LinkKey {
    /// Derives it from the keyring, so that links outlive the process and are good at all
    /// processes that share the keyring; without one it is a new one.
    pub(crate) fn new(keyring: Option<&Keyring>) -> Result<Self, String> {
        match keyring {
            Some(keyring) => Ok(Self(keyring.link_key().clone())),
            None => Keyring::generate().map(Self),
        }
    }

    /// The signature of a link to `file` that is good before `expires`, in seconds since 1970.
    pub(crate) fn sign(&self, file: &str, expires: i64) -> String {
        hex_mac(&self.0, &text(file, expires))
    }

    /// Whether it is the signature of such a link.
    pub(crate) fn verify(&self, file: &str, expires: i64, signature: &str) -> bool {
        is_mac(&self.0, &text(file, expires), signature)
    }
}

fn text(file: &str, expires: i64) -> String {
    format!("offkey link\n{file}\n{expires}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_of_file_time_and_key() {
        let key = LinkKey::new(None).unwrap();
        let signature = key.sign("a/b", 7);
        assert!(key.verify("a/b", 7, &signature));
        assert!(!key.verify("a/c", 7, &signature));
        assert!(!key.verify("a/b", 8, &signature));
        assert!(!key.verify("a/b", 7, &signature[1..]));
        assert!(!LinkKey::new(None).unwrap().verify("a/b", 7, &signature));
    }

    #[test]
    fn processes_with_the_same_keyring_take_each_other_s_links() {
        let keyring = |text: &str| Keyring::parse(&text.repeat(64)).unwrap();
        let signature = LinkKey::new(Some(&keyring("a"))).unwrap().sign("a/b", 7);
        assert!(LinkKey::new(Some(&keyring("a"))).unwrap().verify("a/b", 7, &signature));
        assert!(!LinkKey::new(Some(&keyring("b"))).unwrap().verify("a/b", 7, &signature));
    }
}
