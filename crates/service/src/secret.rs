//! Text that is never printed, logged or left in memory.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Text that must not be printed; its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Makes `len` random letters and digits, 5 bits each.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn random(len: usize) -> Result<Self, String> {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut bytes = Zeroizing::new(vec![0; len]);
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
        Ok(Self::new(bytes.iter().filter_map(letter).collect::<String>()))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// The usual error would quote what it has found.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Self::new).map_err(|_| D::Error::custom("a secret must be text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("canary")), "***");
    }

    #[test]
    fn random_secrets_differ() {
        let [one, other] = [40, 40].map(|len| Secret::random(len).unwrap());
        assert_eq!(one.expose().len(), 40);
        assert_ne!(one, other);
    }

    #[test]
    fn error_does_not_quote_a_secret() {
        let error = serde_json::from_str::<Secret>("471147114711").unwrap_err().to_string();
        assert!(error.contains("must be text") && !error.contains("4711"), "{error}");
    }
}
