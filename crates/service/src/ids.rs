//! Ids as they come from clients and configuration: checked before they are used.

use uuid::Uuid;

use crate::backups;

/// Whether `text` is what a project id looks like.
pub(crate) fn is_project_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `text` can be a node id.
pub(crate) fn is_node_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether `text` can be the name of a backup's file that a client chooses.
pub(crate) fn is_backup_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !text.starts_with(['.', '-'])
        && !text.starts_with("temp-")
        && backups::without_end(text).is_some_and(|stem| !stem.is_empty())
}

/// Whether `text` can be an access key id.
pub(crate) fn is_access_key(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The UUID in `text`, which must be written with hyphens and nothing around it.
pub(crate) fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_backups_lead_nowhere_else() {
        for name in ["a.rdb", "redis_fd00--1_6379_all_20260101000000.rdb.gz", "1.rdb.xz"] {
            assert!(is_backup_name(name), "{name}");
        }
        for name in
            ["", ".rdb", "a", "a.txt", "../a.rdb", "a/b.rdb", "-a.rdb", ".a.rdb", "temp-1.rdb"]
        {
            assert!(!is_backup_name(name), "{name}");
        }
        assert!(!is_backup_name(&format!("{}.rdb", "a".repeat(125))));
    }

    #[test]
    fn uuid_takes_one_form_only() {
        assert!(uuid("5560df16-cebf-4473-95c4-d1b573c16e79").is_some());
        for text in [
            "",
            "5560df16cebf447395c4d1b573c16e79",
            "{5560df16-cebf-4473-95c4-d1b573c16e79}",
            "5560df16-cebf-4473-95c4-d1b573c16e7g",
            "../60df16-cebf-4473-95c4-d1b573c16e7",
        ] {
            assert_eq!(uuid(text), None, "{text}");
        }
    }
}
