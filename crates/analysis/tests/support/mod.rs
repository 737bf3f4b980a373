//! Reads an RDB file into rows of sizes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where its data is not as it should be"
)]

pub(crate) mod truth;

use std::fs::File;
use std::path::Path;

use offkey_analysis::memory::{
    Allocator, Config, DbCounts, Model, OverheadLine, Profile, Sizer, Sizes,
};
use offkey_rdb::{Entry, Flavor, Key, ModuleId, ObjectType, Options, Part, Reader, Visit};

/// How a server is modelled; what is `None` is taken from the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    pub(crate) profile: Option<Profile>,
    pub(crate) allocator: Allocator,
    pub(crate) config: Config,
}

/// One key of a file.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) db: u64,
    pub(crate) name: Vec<u8>,
    pub(crate) object_type: String,
    pub(crate) expire_at_ms: Option<i64>,
    pub(crate) sizes: Sizes,
}

/// All keys of a file, and what the file says of itself.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) profile: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) overhead: Vec<OverheadLine>,
}

/// A [`Sizer`] that also tells a module's type.
struct Visitor<'a, 'm> {
    sizer: &'a mut Sizer<'m>,
    module: Option<ModuleId>,
}

impl Visit for Visitor<'_, '_> {
    fn part(&mut self, part: Part<'_>) {
        if let Part::Module(id) = part {
            self.module = Some(id);
        }
        self.sizer.part(part);
    }
}

/// What a database holds, by the file's announcement and by its keys.
#[derive(Debug, Default)]
struct Db {
    announced: DbCounts,
    counted: DbCounts,
    slots: Vec<DbCounts>,
}

/// What stands before the first database.
struct Preamble {
    model: Model,
    profile: Profile,
}

pub(crate) fn scan(path: &Path, server: &Server) -> Scan {
    let Preamble { mut model, profile } = preamble(path, server);
    if !model.templates.is_empty() {
        count_template_keys(path, &mut model);
    }
    let mut scan = Scan { profile: profile.to_string(), ..Scan::default() };
    let mut sizer = Sizer::new(&model);
    let mut reader = reader(path);
    let mut dbs: Vec<Db> = Vec::new();
    loop {
        let entry = reader.next_entry().unwrap();
        match entry {
            Entry::End(_) => break,
            Entry::SelectDb(_) => dbs.push(Db::default()),
            Entry::ResizeDb { key_count, expire_count } => {
                let announced =
                    DbCounts { keys: key_count, expires: expire_count, expiring_hashes: 0 };
                dbs.last_mut().unwrap().announced = announced;
            }
            Entry::SlotInfo { key_count, expire_count, .. } => {
                let counts =
                    DbCounts { keys: key_count, expires: expire_count, expiring_hashes: 0 };
                dbs.last_mut().unwrap().slots.push(counts);
            }
            Entry::Aux { name: b"slot-info", value } => {
                let text = String::from_utf8_lossy(value).into_owned();
                let numbers: Vec<u64> = text.split(',').map(|n| n.parse().unwrap()).collect();
                let expiring_hashes = numbers.get(3).copied().unwrap_or(0);
                let counts = DbCounts { keys: numbers[1], expires: numbers[2], expiring_hashes };
                dbs.last_mut().unwrap().slots.push(counts);
            }
            Entry::Key(key) => {
                sizer.begin(&key);
                let mut visitor = Visitor { sizer: &mut sizer, module: None };
                let end = reader.value(&mut visitor).unwrap();
                let object_type = object_type(&key, visitor.module);
                let sizes = sizer.finish(end.serialized_len);
                if let Some(db) = dbs.last_mut() {
                    db.counted.keys += 1;
                    db.counted.expires += u64::from(key.expire_at_ms.is_some());
                    let expires = key.rdb_type == offkey_rdb::RdbType::ValkeyHash2;
                    db.counted.expiring_hashes += u64::from(expires);
                }
                let name = reader.key().to_vec();
                let expire_at_ms = key.expire_at_ms;
                scan.rows.push(Row { db: key.db, name, object_type, expire_at_ms, sizes });
            }
            _ => {}
        }
    }
    for db in &dbs {
        let counts = DbCounts {
            keys: db.announced.keys.max(db.counted.keys),
            expires: db.announced.expires.max(db.counted.expires),
            ..db.counted
        };
        scan.overhead.extend(counts.overhead(&model, &db.slots));
    }
    scan.overhead.extend(model.template_overhead());
    scan
}

fn reader(path: &Path) -> Reader<offkey_rdb::Inline<File>> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Reader::new(file, Options { checksum: false, force: false }).unwrap()
}

fn object_type(key: &Key, module: Option<ModuleId>) -> String {
    match (key.rdb_type.object_type(), module) {
        (ObjectType::Module(_), Some(id)) => ObjectType::Module(id).to_string(),
        (object_type, _) => object_type.to_string(),
    }
}

fn preamble(path: &Path, server: &Server) -> Preamble {
    let mut reader = reader(path);
    let header = reader.header();
    let (mut valkey, mut version) = (header.flavor == Flavor::Valkey, String::new());
    loop {
        match reader.next_entry().unwrap() {
            Entry::Aux { name: b"redis-ver", value } => {
                version = String::from_utf8_lossy(value).into_owned();
            }
            Entry::Aux { name: b"valkey-ver", value } => {
                version = String::from_utf8_lossy(value).into_owned();
                valkey = true;
            }
            Entry::Aux { .. }
            | Entry::ModuleAux { .. }
            | Entry::Function { .. }
            | Entry::HashTemplate { .. } => {}
            _ => break,
        }
    }
    let profile =
        server.profile.unwrap_or_else(|| Profile::for_server(valkey, &version, header.version));
    let mut model = Model::new(profile, server.allocator, server.config.clone());
    define_templates(path, &mut model);
    Preamble { model, profile }
}

fn define_templates(path: &Path, model: &mut Model) {
    let mut reader = reader(path);
    loop {
        match reader.next_entry().unwrap() {
            Entry::HashTemplate { id, .. } => {
                reader.value(&mut model.templates.define(id)).unwrap();
            }
            Entry::SelectDb(_) | Entry::End(_) => return,
            _ => {}
        }
    }
}

/// The first pass: how many keys use each template.
fn count_template_keys(path: &Path, model: &mut Model) {
    let mut reader = reader(path);
    loop {
        match reader.next_entry().unwrap() {
            Entry::Key(_) => {
                reader.value(&mut model.templates).unwrap();
            }
            Entry::End(_) => return,
            _ => {}
        }
    }
}
