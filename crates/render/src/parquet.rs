//! Keys and reports as Parquet files, compressed by Snappy.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use offkey_analysis::{KeyFacts, Options, Report};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::columns::{Column, KeyRows};
use crate::name::exact;
use crate::table::{Row, rows};

/// The columns of a list of keys: those of [`Column`] but for the prefix.
const KEY_COLUMNS: [Column; 13] = [
    Column::File,
    Column::Db,
    Column::Key,
    Column::Type,
    Column::Encoding,
    Column::Bytes,
    Column::MemoryUsage,
    Column::SerializedBytes,
    Column::NumOfElem,
    Column::ExpireAtMs,
    Column::IdleSeconds,
    Column::Freq,
    Column::Slot,
];

/// Bytes of a row group at which it is written: what is held in memory.
const GROUP_LEN_MAX: usize = 16 << 20;

/// Writes the report as a Parquet file with the columns of its CSV, but `key` binary and exact.
///
/// # Errors
/// None that is known of: memory takes what is written to it.
pub fn parquet(report: &Report) -> Result<Vec<u8>, ParquetError> {
    let batch = report_batch(report)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties()))?;
    writer.write(&batch)?;
    writer.into_inner()
}

/// A list of keys as a Parquet file, taken piece by piece.
#[derive(Debug)]
pub struct KeysParquet {
    rows: KeyRows,
    written: Written,
    writer: ArrowWriter<Written>,
}

impl KeysParquet {
    /// A list without keys.
    ///
    /// # Errors
    /// None that is known of: memory takes what is written to it.
    pub fn new(options: &Options) -> Result<Self, ParquetError> {
        let written = Written::default();
        let schema = Column::schema(&KEY_COLUMNS);
        let writer = ArrowWriter::try_new(written.clone(), schema, Some(properties()))?;
        Ok(Self { rows: KeyRows::new(&KEY_COLUMNS, options, 1), written, writer })
    }

    /// The input of the keys that follow.
    pub fn set_file(&mut self, file: String) {
        self.rows.set_file(file);
    }

    /// Adds the row of a key; answers how many bytes wait to be taken.
    ///
    /// # Errors
    /// None that is known of: memory takes what is written to it.
    pub fn push(&mut self, facts: &KeyFacts<'_>) -> Result<usize, ParquetError> {
        if self.rows.push(facts) {
            self.write_rows()?;
        }
        Ok(self.written.len())
    }

    /// The bytes since the last time.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.written.take()
    }

    /// The last bytes, which say where the others are.
    ///
    /// # Errors
    /// None that is known of: memory takes what is written to it.
    pub fn finish(mut self) -> Result<Vec<u8>, ParquetError> {
        self.write_rows()?;
        self.writer.close()?;
        Ok(self.written.take())
    }

    fn write_rows(&mut self) -> Result<(), ParquetError> {
        if let Some(batch) = self.rows.finish()? {
            self.writer.write(&batch)?;
            if self.writer.in_progress_size() >= GROUP_LEN_MAX {
                self.writer.flush()?;
            }
        }
        Ok(())
    }
}

/// Where a writer writes and its owner takes.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::SNAPPY).build()
}

fn report_batch(report: &Report) -> Result<RecordBatch, ParquetError> {
    let rows: Vec<Row<'_>> = rows(report).collect();
    let texts = |text: for<'r> fn(&'r Row<'r>) -> &'r str| -> ArrayRef {
        let present = rows.iter().map(|row| Some(text(row)).filter(|text| !text.is_empty()));
        Arc::new(present.collect::<StringArray>())
    };
    let numbers = |number: fn(&Row<'_>) -> Option<u64>| -> ArrayRef {
        let number = |row| number(row).map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        Arc::new(rows.iter().map(number).collect::<Int64Array>())
    };
    let keys: BinaryArray =
        (rows.iter()).map(|row| row.key.map(|key| exact(key, row.key_base64))).collect();
    let expiries: Int64Array = rows.iter().map(|row| row.expire_at_ms).collect();
    let columns: [(&str, ArrayRef); 14] = [
        ("section", texts(|row| row.section)),
        ("type", texts(|row| row.r#type)),
        ("db", numbers(|row| row.db)),
        ("key", Arc::new(keys)),
        ("encoding", texts(|row| row.encoding)),
        ("bytes", numbers(|row| row.bytes)),
        ("num", numbers(|row| row.num)),
        ("num_of_elem", numbers(|row| row.num_of_elem)),
        ("expire_at_ms", Arc::new(expiries)),
        ("memory_usage", numbers(|row| row.memory_usage)),
        ("serialized_bytes", numbers(|row| row.serialized_bytes)),
        ("file", texts(|row| row.file)),
        ("offset", numbers(|row| row.offset)),
        ("note", texts(|row| row.note)),
    ];
    let field = |(name, array): &(&str, ArrayRef)| {
        let data_type: &DataType = array.data_type();
        Field::new(*name, data_type.clone(), true)
    };
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new(schema, arrays)?)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::path::Path;

    use arrow_array::cast::AsArray as _;
    use arrow_array::types::Int64Type;
    use offkey_analysis::Input;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

    use super::*;

    fn read(bytes: Vec<u8>) -> Vec<RecordBatch> {
        let reader = ParquetRecordBatchReader::try_new(bytes::Bytes::from(bytes), 1000).unwrap();
        reader.map(Result::unwrap).collect()
    }

    #[test]
    fn keys_read_back_as_they_were() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/redis-7.2.6.rdb");
        let options = Options::default();
        let mut list = KeysParquet::new(&options).unwrap();
        let mut expected = Vec::new();
        let mut bytes = Vec::new();
        list.set_file("a.rdb".to_owned());
        let _ = offkey_analysis::keys(Input::from(Path::new(path)), &options, &mut |facts| {
            list.push(facts).unwrap();
            bytes.extend(list.take());
            expected.push((facts.key.to_vec(), facts.bytes, facts.expire_at_ms));
            ControlFlow::Continue(())
        });
        bytes.extend(list.finish().unwrap());
        let mut found = Vec::new();
        for batch in read(bytes) {
            let column = |name| batch.column_by_name(name).unwrap();
            let (keys, sizes) = (column("key").as_binary::<i32>(), column("bytes"));
            let sizes = sizes.as_primitive::<Int64Type>();
            let expiries = column("expire_at_ms").as_primitive::<Int64Type>();
            for at in 0..batch.num_rows() {
                let size = u64::try_from(sizes.value(at)).unwrap();
                let expiry = expiries.iter().nth(at).unwrap();
                found.push((keys.value(at).to_vec(), size, expiry));
            }
            assert_eq!(column("file").as_string::<i32>().value(0), "a.rdb");
        }
        assert!(expected.len() > 50);
        assert_eq!(found, expected);
    }

    #[test]
    fn reports_read_back_with_exact_names() {
        let text = include_str!("../../../testdata/reports/small.json");
        let mut report: Report = serde_json::from_str(text).unwrap();
        report.largest_keys[0].key = "\u{fffd}".to_owned();
        report.largest_keys[0].key_base64 = Some("/w==".to_owned());
        let batches = read(parquet(&report).unwrap());
        let [batch] = &batches[..] else { panic!("one batch expected") };
        let sections = batch.column_by_name("section").unwrap().as_string::<i32>();
        let keys = batch.column_by_name("key").unwrap().as_binary::<i32>();
        let key = sections.iter().position(|section| section == Some("key")).unwrap();
        assert_eq!(keys.value(key), b"\xff");
        assert_eq!(batch.num_rows(), rows(&report).count());
        assert_eq!(batch.column_by_name("db").unwrap().null_count(), batch.num_rows() - 1);
    }
}
