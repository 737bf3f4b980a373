//! Asks a server for its data as a replica does.
//!
//! ```text
//! > REPLCONF rdb-only 1         the data alone, no commands after it (Redis 6.2)
//! > REPLCONF capa eof           data without a known length is welcome
//! > REPLCONF version 9.1.2      the newest server whose data we read (Valkey 9)
//! > PSYNC ? -1                  everything, from the start
//! < +FULLRESYNC <id> <offset>   then the data; see `payload`
//! ```

use super::payload::Payload;
use super::resp::Reply;
use super::{Connection, Taking};
use crate::{Error, ErrorKind};

/// Valkey writes its older format, which lacks the expiry of fields, for a replica that
/// does not say its version, and gives up in the middle where there are such fields.
const VALKEY_VERSION: &[u8] = b"9.1.2";

/// Asks for the data and waits for its first byte.
pub(crate) fn take(mut connection: Connection, taking: &Taking) -> Result<Payload, Error> {
    if taking.require_replica {
        refuse_master(&mut connection)?;
    }
    let options: [&[&[u8]]; 3] = [
        &[b"REPLCONF", b"rdb-only", b"1"],
        &[b"REPLCONF", b"capa", b"eof"],
        &[b"REPLCONF", b"version", VALKEY_VERSION],
    ];
    for words in options {
        // What a server does not know it answers with an error, and goes on without.
        match connection.call(words)? {
            Reply::Error(text) if !is_about_option(&text) => {
                return Err(reason(&connection, &text));
            }
            Reply::Error(_) | Reply::Status(_) => {}
            other => return Err(connection.unexpected("REPLCONF", &other)),
        }
    }
    let line = ask(&mut connection)?;
    Payload::after(connection, &line, taking.bytes_per_second)
}

/// Asks for everything; answers with the line that begins the data.
fn ask(connection: &mut Connection) -> Result<Vec<u8>, Error> {
    connection.send(&[b"PSYNC", b"?", b"-1"])?;
    let line = connection.line_after_keep_alives()?;
    match line.split_first() {
        Some((b'+', text)) if text.starts_with(b"FULLRESYNC ") => {}
        Some((b'-', text)) if is_unknown(&String::from_utf8_lossy(text)) => {
            // Redis before 2.8, whose answer begins the data at once.
            connection.send(&[b"SYNC"])?;
        }
        Some((b'-', text)) => return Err(reason(connection, &String::from_utf8_lossy(text))),
        _ => return Err(connection.unexpected("PSYNC", &Reply::Bulk(Some(line)))),
    }
    let line = connection.line_after_keep_alives()?;
    match line.strip_prefix(b"-") {
        Some(text) => Err(reason(connection, &String::from_utf8_lossy(text))),
        None => Ok(line),
    }
}

/// Makes sure that the server is a replica, by what it says now.
fn refuse_master(connection: &mut Connection) -> Result<(), Error> {
    let reply = connection.call(&[b"ROLE"])?;
    match reply.array().and_then(|fields| fields.first()?.text()) {
        Some("slave") => Ok(()),
        Some(role) => Err(connection.refused(&format!(
            "backups are to be taken from replicas only, and this one says it is a {role}"
        ))),
        None => {
            match reply {
                Reply::Error(text) => Err(connection
                    .refused(&format!("whether this is a replica cannot be told: {text}"))),
                other => Err(connection.unexpected("ROLE", &other)),
            }
        }
    }
}

fn contains(text: &str, parts: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    parts.iter().any(|part| text.contains(part))
}

fn is_unknown(text: &str) -> bool {
    contains(text, &["unknown command", "not available", "not supported", "unsupported"])
}

/// Whether an error of `REPLCONF` means that an option, or the command, is not known.
fn is_about_option(text: &str) -> bool {
    is_unknown(text) || contains(text, &["unrecognized replconf option", "syntax error"])
}

/// What an error of the server means for a backup.
fn reason(connection: &Connection, text: &str) -> Error {
    let code = text.split_ascii_whitespace().next().unwrap_or_default();
    let (kind, what) = match code {
        "NOAUTH" => (ErrorKind::Refused, "the server wants a password"),
        "NOPERM" => {
            (ErrorKind::Refused, "the user may not do this; it needs +psync +sync +replconf +ping")
        }
        "LOADING" => (ErrorKind::NotReady, "the server is still loading its data"),
        "NOMASTERLINK" | "MASTERDOWN" => (ErrorKind::NotReady, "this replica has lost its master"),
        "MOVED" | "ASK" | "REDIRECT" => {
            (ErrorKind::NotAllowed, "the server sends us elsewhere, which is not followed")
        }
        _ if is_unknown(text) => (
            ErrorKind::Refused,
            "the server lets no replica attach, as many managed services do not; export a \
             backup there and analyse that file, or try redis-cli --rdb",
        ),
        _ => (ErrorKind::Refused, "the server does not send its data"),
    };
    connection.error(kind, &format!("{what}: {text}"))
}
