//! A node that follows a script: a lie, a cut, a pause.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use offkey_fetch::Address;
use socket2::SockRef;

/// Answers to the commands of a backup, in their order; each is written once the command
/// has been read. What follows the last one is the data.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) answers: Vec<Vec<u8>>,
    /// Bytes written before the connection is reset; all, and closed, if `None`.
    pub(crate) reset_at: Option<usize>,
    /// Bytes in each write, and the pause after it.
    pub(crate) pace: Option<(usize, Duration)>,
    /// Written again and again after everything else.
    pub(crate) forever: Vec<u8>,
    /// Keeps the connection open and says nothing more.
    pub(crate) hangs: bool,
}

impl Script {
    /// What an honest server with this data says.
    pub(crate) fn honest(framed: Vec<u8>) -> Self {
        let ok = || b"+OK\r\n".to_vec();
        let sync = [b"+FULLRESYNC 0123456789012345678901234567890123456789 7\r\n".to_vec(), framed];
        Self::says([b"+PONG\r\n".to_vec(), ok(), ok(), ok(), ok(), sync.concat()])
    }

    pub(crate) fn says<const N: usize>(answers: [Vec<u8>; N]) -> Self {
        Self {
            answers: answers.to_vec(),
            reset_at: None,
            pace: None,
            forever: Vec::new(),
            hangs: false,
        }
    }

    /// Bytes that it would write.
    pub(crate) fn len(&self) -> usize {
        self.answers.iter().map(Vec::len).sum()
    }
}

/// A node on loopback; each connection follows the script that is set then.
#[derive(Debug)]
pub(crate) struct Node {
    port: u16,
    script: Arc<Mutex<Script>>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Node {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(script));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (its_script, its_heard) = (Arc::clone(&script), Arc::clone(&heard));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, heard) = (its_script.lock().unwrap().clone(), Arc::clone(&its_heard));
                // The peer may be gone at any time.
                thread::spawn(move || follow(&script, &stream.unwrap(), &heard).ok());
            }
        });
        Self { port, script, heard }
    }

    pub(crate) fn set(&self, script: Script) {
        *self.script.lock().unwrap() = script;
        self.heard.lock().unwrap().clear();
    }

    pub(crate) fn address(&self) -> Address {
        Address { host: "127.0.0.1".to_owned(), port: self.port }
    }

    /// Everything that was sent to it since the script was set.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

fn follow(script: &Script, mut stream: &TcpStream, heard: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut left = script.reset_at.unwrap_or(usize::MAX);
    for answer in &script.answers {
        let mut command = [0; 4096];
        let len = stream.read(&mut command)?;
        heard.lock().unwrap().extend_from_slice(&command[..len]);
        let answer = &answer[..answer.len().min(left)];
        left -= answer.len();
        match script.pace {
            None => stream.write_all(answer)?,
            Some((len, pause)) => {
                for chunk in answer.chunks(len) {
                    stream.write_all(chunk)?;
                    thread::sleep(pause);
                }
            }
        }
        if left == 0 {
            // Without lingering a close is a reset.
            return SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
    while !script.forever.is_empty() {
        stream.write_all(&script.forever)?;
        thread::sleep(Duration::from_millis(1));
    }
    if script.hangs {
        // Ends when the peer closes.
        while stream.read(&mut [0; 64])? > 0 {}
    }
    Ok(())
}
