//! A client for real servers: the Redis protocol, version 2.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status, such as `OK`.
    Status(String),
    /// An error.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A string, or nothing.
    Bulk(Option<Vec<u8>>),
    /// Several replies.
    Array(Vec<Reply>),
}

impl Reply {
    /// The integer it is.
    pub fn integer(self) -> i64 {
        match self {
            Reply::Integer(value) => value,
            other => panic!("expected an integer, found {other:?}"),
        }
    }

    /// The bytes it is made of, a status included.
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Reply::Status(text) => text.into_bytes(),
            Reply::Bulk(Some(bytes)) => bytes,
            other => panic!("expected a string, found {other:?}"),
        }
    }

    /// The text it is, a status included.
    pub fn text(self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    /// The replies it is made of.
    pub fn array(self) -> Vec<Reply> {
        match self {
            Reply::Array(replies) => replies,
            other => panic!("expected an array, found {other:?}"),
        }
    }
}

/// A connection to a server on this machine.
#[derive(Debug)]
pub struct Client {
    input: BufReader<TcpStream>,
    output: TcpStream,
}

impl Client {
    /// Connects, if a server listens.
    pub fn connect(port: u16) -> std::io::Result<Self> {
        let output = TcpStream::connect(("127.0.0.1", port))?;
        output.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { input: BufReader::new(output.try_clone()?), output })
    }

    /// Sends a command and waits for the answer, which may be an error.
    pub fn call(&mut self, command: &[&[u8]]) -> Reply {
        let mut bytes = Vec::new();
        push_command(&mut bytes, command);
        self.output.write_all(&bytes).unwrap();
        self.reply()
    }

    /// Sends many commands at once; the answers, which may be errors, in their order.
    pub fn call_all(&mut self, commands: &[Vec<Vec<u8>>]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(commands.len());
        for commands in commands.chunks(1000) {
            let mut bytes = Vec::new();
            for command in commands {
                push_command(&mut bytes, command);
            }
            self.output.write_all(&bytes).unwrap();
            replies.extend(commands.iter().map(|_| self.reply()));
        }
        replies
    }

    /// Sends a command that must not fail.
    pub fn run(&mut self, command: &[&[u8]]) -> Reply {
        match self.call(command) {
            Reply::Error(error) => {
                let words: Vec<_> = command.iter().map(|w| w.escape_ascii().to_string()).collect();
                panic!("{}: {error}", words.join(" "))
            }
            reply => reply,
        }
    }

    fn reply(&mut self) -> Reply {
        // An old server's error may quote a key's bytes.
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line).unwrap();
        let line = String::from_utf8_lossy(&line);
        let (kind, rest) = line.trim_end().split_at_checked(1).expect("the server closed");
        let number = || rest.parse::<i64>().unwrap();
        match kind {
            "+" => Reply::Status(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Integer(number()),
            "$" => Reply::Bulk(usize::try_from(number()).ok().map(|len| self.bulk(len))),
            "*" => Reply::Array((0..number()).map(|_| self.reply()).collect()),
            _ => panic!("not a reply: {line}"),
        }
    }

    fn bulk(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len + 2];
        self.input.read_exact(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    }
}

fn push_command<W: AsRef<[u8]>>(bytes: &mut Vec<u8>, command: &[W]) {
    bytes.extend(format!("*{}\r\n", command.len()).into_bytes());
    for word in command {
        let word = word.as_ref();
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
}
