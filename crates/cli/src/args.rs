//! What the command line may say.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use offkey_analysis::memory::{Allocator, Config, Profile};

use crate::credential::{CredentialArgs, TokenArgs};
use crate::demo::DemoArgs;
use crate::remote::RemoteArgs;
use offkey_analysis::{Options, SizeKind};

const EXIT_STATUS: &str = "\
Exit status:
  0  every input was read to its end and is sound
  1  some input is bad, damaged or incomplete; what could be read of it, and the other
     inputs, are still reported
  2  wrong usage, or the output could not be written";

/// Shows what takes the memory of a Redis or Valkey server, from its RDB files alone.
#[derive(Debug, Parser)]
#[command(name = "offkey", version, after_help = EXIT_STATUS)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Analyze(AnalyzeArgs),
    Keys(KeysArgs),
    Inspect(InspectArgs),
    Serve(ServeArgs),
    CheckConfig(CheckConfigArgs),
    Backups(BackupsArgs),
    Worker(WorkerArgs),
    /// Analyses one backup for the service
    #[command(hide = true)]
    Child,
    Credential(CredentialArgs),
    Token(TokenArgs),
    Demo(DemoArgs),
}

/// Reports the largest keys and prefixes of RDB files, all files together.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct AnalyzeArgs {
    /// RDB files, plain or compressed by gzip, zstd, lz4 or xz; folders of them; `-` for
    /// stdin; redis:// and rediss:// for live servers; s3://, obs://, http:// and https://.
    /// Several are merged into one report
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Form of the report [default: by the name of the output file (*.csv, *.html, *.json,
    /// *.jsonl), table on a terminal, otherwise json]
    #[arg(long, value_enum)]
    pub(crate) format: Option<ReportFormat>,

    /// Where the report goes, `-` is stdout; a file appears under its name only when whole
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Largest keys listed
    #[arg(long, value_name = "N", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) top: u32,

    /// Prefixes listed for each type
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) prefixes: u32,

    /// Characters that end a prefix, ASCII only
    #[arg(long, value_name = "CHARS", default_value = ":;,_- ", hide_default_value = true,
        value_parser = separators, help = "Characters that end a prefix, ASCII only \
        [default: \":;,_- \"]")]
    pub(crate) separators: String,

    /// Files read at the same time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Keep the digits of a prefix apart instead of counting each as 0
    #[arg(long)]
    pub(crate) no_fold_digits: bool,

    /// Size that ranks keys and prefixes
    #[arg(long, value_enum, default_value_t = Size::Bytes)]
    pub(crate) size: Size,

    /// In CSV, leave names as they are: no quote before a formula, nothing escaped
    #[arg(long)]
    pub(crate) csv_raw: bool,

    /// Replace every part of a name between separators by a stand-in, another one in each run
    #[arg(long)]
    pub(crate) mask: bool,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

/// Lists every key of RDB files.
///
/// One JSON object a line: db, key, key_base64 (where the name is not UTF-8), type,
/// encoding, num_of_elem, bytes, memory_usage, serialized_bytes, expire_at_ms,
/// idle_seconds, freq, slot. What does not apply to a key is left out. Tables have the same
/// columns and file.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct KeysArgs {
    /// RDB files, plain or compressed; folders of them; `-` for stdin; redis:// and rediss://
    /// for live servers; s3://, obs://, http:// and https://
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Form of the list [default: by the name of the output file, otherwise jsonl]
    #[arg(long, value_enum)]
    pub(crate) format: Option<KeysFormat>,

    /// In CSV, leave names as they are: no quote before a formula, nothing escaped
    #[arg(long)]
    pub(crate) csv_raw: bool,

    /// Replace every part of a name between separators by a stand-in, another one in each run
    #[arg(long)]
    pub(crate) mask: bool,

    /// Where the list goes, `-` is stdout; a file appears under its name only when whole
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

/// Prints the entries of one RDB file with their offsets, for those who debug files.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct InspectArgs {
    /// RDB file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Print the parts of every value too
    #[arg(long)]
    pub(crate) parts: bool,
}

/// Serves the API of the DCS offline key analysis until Ctrl-C or SIGTERM.
#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// Configuration, as offkey.example.toml explains it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Says whether `offkey serve` could work with a configuration.
#[derive(Debug, ClapArgs)]
pub(crate) struct CheckConfigArgs {
    /// Configuration, as offkey.example.toml explains it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Tells of the backups that a configuration leads to.
#[derive(Debug, ClapArgs)]
pub(crate) struct BackupsArgs {
    #[command(subcommand)]
    pub(crate) command: BackupsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupsCommand {
    /// Lists every file in the folders of nodes and in the sources: of which node and time it
    /// is by its name, or why it is no backup
    List(CheckConfigArgs),
}

/// Runs tasks of a service whose database is PostgreSQL, until Ctrl-C or SIGTERM.
///
/// Any number of these on any number of machines share the work.
#[derive(Debug, ClapArgs)]
pub(crate) struct WorkerArgs {
    /// Configuration, the same as that of offkey serve
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// How inputs are read and sized.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReadingArgs {
    /// Do not verify the checksums
    #[arg(long)]
    pub(crate) no_checksum: bool,

    /// Try RDB versions newer than those known
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// Memory for the table of prefixes, such as 64M; beyond it the leading ones are counted
    /// in a second pass
    #[arg(long, value_name = "SIZE", value_parser = memory, default_value = "12M")]
    pub(crate) memory_limit: usize,

    /// When files were written that do not say so, Redis 2 and older, in milliseconds since
    /// 1970: expiries are told from there [default: now]
    #[arg(long, value_name = "MS", allow_negative_numbers = true, value_parser = milliseconds)]
    pub(crate) now_ms: Option<i64>,

    /// No progress and no warnings on stderr; errors stay
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// The server whose memory is modelled.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Modelled server")]
pub(crate) struct ServerArgs {
    /// Its version, such as redis-7.2 or valkey-9.1 [default: the one that wrote the file]
    #[arg(long, value_name = "VERSION")]
    pub(crate) profile: Option<Profile>,

    /// Its allocator: jemalloc as Redis bundles it, jemalloc-q16 as Debian builds it,
    /// jemalloc-q16p as Debian does from jemalloc 5.3.1 on, or libc
    #[arg(long, value_name = "NAME", default_value_t)]
    pub(crate) allocator: Allocator,

    /// Its hash-max-listpack-entries
    #[arg(long, value_name = "N", default_value_t = Config::default().hash_max_listpack_entries)]
    pub(crate) hash_max_listpack_entries: u64,

    /// Its hash-max-listpack-value
    #[arg(long, value_name = "N", default_value_t = Config::default().hash_max_listpack_value)]
    pub(crate) hash_max_listpack_value: u64,

    /// Its set-max-intset-entries
    #[arg(long, value_name = "N", default_value_t = Config::default().set_max_intset_entries)]
    pub(crate) set_max_intset_entries: u64,

    /// Its set-max-listpack-entries
    #[arg(long, value_name = "N", default_value_t = Config::default().set_max_listpack_entries)]
    pub(crate) set_max_listpack_entries: u64,

    /// Its set-max-listpack-value
    #[arg(long, value_name = "N", default_value_t = Config::default().set_max_listpack_value)]
    pub(crate) set_max_listpack_value: u64,

    /// Its zset-max-listpack-entries
    #[arg(long, value_name = "N", default_value_t = Config::default().zset_max_listpack_entries)]
    pub(crate) zset_max_listpack_entries: u64,

    /// Its zset-max-listpack-value
    #[arg(long, value_name = "N", default_value_t = Config::default().zset_max_listpack_value)]
    pub(crate) zset_max_listpack_value: u64,

    /// Its list-max-listpack-size
    #[arg(long, value_name = "N", allow_negative_numbers = true,
        default_value_t = Config::default().list_max_listpack_size)]
    pub(crate) list_max_listpack_size: i64,

    /// Its list-compress-depth
    #[arg(long, value_name = "N", default_value_t = Config::default().list_compress_depth)]
    pub(crate) list_compress_depth: u64,

    /// It runs in cluster mode, which costs two pointers a key in Redis 7.0 and 7.2
    #[arg(long)]
    pub(crate) cluster_enabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Table,
    /// The whole report as one object
    Json,
    /// One page for a browser, which needs no other file and asks nobody
    Html,
    /// One table: section, type, db, key and so on
    Csv,
    /// The same rows as JSON, one object a line
    Jsonl,
    /// The same rows as a Parquet file, names as bytes
    #[cfg(feature = "parquet")]
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeysFormat {
    /// One JSON object a line
    Jsonl,
    /// One table
    Csv,
    /// A Parquet file, names as bytes
    #[cfg(feature = "parquet")]
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    /// Memory the key really takes
    Bytes,
    /// What MEMORY USAGE key SAMPLES 0 would say
    MemoryUsage,
    /// Length of the value in the file
    Serialized,
}

impl AnalyzeArgs {
    /// The form asked for, or that of the output's name.
    pub(crate) fn format(&self, on_terminal: bool) -> ReportFormat {
        let by_name = || match extension(self.output.as_deref())? {
            "csv" => Some(ReportFormat::Csv),
            "html" => Some(ReportFormat::Html),
            "jsonl" => Some(ReportFormat::Jsonl),
            #[cfg(feature = "parquet")]
            "parquet" => Some(ReportFormat::Parquet),
            _ => None,
        };
        let fallback = if on_terminal { ReportFormat::Table } else { ReportFormat::Json };
        self.format.or_else(by_name).unwrap_or(fallback)
    }

    pub(crate) fn options(&self, now_ms: i64) -> Options {
        Options {
            top: usize::try_from(self.top).unwrap_or(usize::MAX),
            prefixes: usize::try_from(self.prefixes).unwrap_or(usize::MAX),
            separators: self.separators.clone().into_bytes(),
            fold_digits: !self.no_fold_digits,
            threads: self.threads.map(usize::from),
            size: match self.size {
                Size::Bytes => SizeKind::Bytes,
                Size::MemoryUsage => SizeKind::MemoryUsage,
                Size::Serialized => SizeKind::Serialized,
            },
            ..self.reading.options(now_ms)
        }
    }
}

impl KeysArgs {
    /// The form asked for, or that of the output's name.
    pub(crate) fn format(&self) -> KeysFormat {
        let by_name = || match extension(self.output.as_deref())? {
            "csv" => Some(KeysFormat::Csv),
            #[cfg(feature = "parquet")]
            "parquet" => Some(KeysFormat::Parquet),
            _ => None,
        };
        self.format.or_else(by_name).unwrap_or(KeysFormat::Jsonl)
    }
}

impl ReadingArgs {
    pub(crate) fn options(&self, now_ms: i64) -> Options {
        Options {
            checksum: !self.no_checksum,
            force: self.force,
            profile: self.server.profile,
            allocator: self.server.allocator,
            config: self.server.config(),
            prefix_memory: self.memory_limit,
            now_ms: self.now_ms.unwrap_or(now_ms),
            ..Options::default()
        }
    }
}

impl ServerArgs {
    fn config(&self) -> Config {
        Config {
            hash_max_listpack_entries: self.hash_max_listpack_entries,
            hash_max_listpack_value: self.hash_max_listpack_value,
            set_max_intset_entries: self.set_max_intset_entries,
            set_max_listpack_entries: self.set_max_listpack_entries,
            set_max_listpack_value: self.set_max_listpack_value,
            zset_max_listpack_entries: self.zset_max_listpack_entries,
            zset_max_listpack_value: self.zset_max_listpack_value,
            list_max_listpack_size: self.list_max_listpack_size,
            list_compress_depth: self.list_compress_depth,
            cluster: self.cluster_enabled,
        }
    }
}

fn extension(path: Option<&Path>) -> Option<&str> {
    path.and_then(Path::extension).and_then(OsStr::to_str)
}

/// A time, in milliseconds since 1970.
fn milliseconds(text: &str) -> Result<i64, String> {
    let expected = "milliseconds since 1970 expected, such as 1764000000000";
    text.parse().map_err(|_| format!("{expected}, found {text:?}"))
}

/// A number of bytes, with K, M or G behind it for powers of 1024.
fn memory(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (text.get(..text.len() - 1), 10),
        Some(b'M' | b'm') => (text.get(..text.len() - 1), 20),
        Some(b'G' | b'g') => (text.get(..text.len() - 1), 30),
        _ => (Some(text), 0),
    };
    let bytes = digits.and_then(|digits| digits.parse::<usize>().ok());
    bytes
        .and_then(|bytes| bytes.checked_mul(1 << shift))
        .filter(|bytes| *bytes >= 1 << 20)
        .ok_or_else(|| format!("a size of at least 1M expected, such as 64M, found {text:?}"))
}

/// A separator is one byte of a name, so it must be ASCII.
fn separators(text: &str) -> Result<String, String> {
    match text.chars().find(|c| !c.is_ascii()) {
        Some(c) => Err(format!("a separator must be an ASCII character, found {c:?}")),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_analysis() {
        let Command::Analyze(args) = Args::parse_from(["offkey", "analyze", "a.rdb"]).command
        else {
            panic!("analyze expected");
        };
        let (ours, theirs) = (args.options(0), Options::default());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }
}
