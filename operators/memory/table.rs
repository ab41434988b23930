//! Rows by key, of any columns: the newest row of a key counts.
//!
//! Batches are kept as they came, as chunks that never change, and an index says where the newest
//! row of each key stands; a row that was superseded is only struck off its chunk's map. A chunk
//! with more struck rows than live ones is rewritten, and sixteen small neighbors become one, so
//! that memory is bounded by twice the live rows and a row is copied a few times in its life.
//!
//! Rows stand in the order in which they were last written. That order depends on the rows alone,
//! not on how they were cut into batches nor on when chunks were rewritten (A9).
//!
//! A [`Snapshot`] shares the chunks and copies a bit per row: readers never hold up the writer.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatchOptions, StringArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::chunk::{Chunk, LARGE, living};

/// So many small chunks side by side become one.
const MERGE: usize = 16;

pub struct Table {
    schema: SchemaRef,
    /// Columns of the key; none, where every row stays.
    key: Vec<usize>,
    /// Chunks by slot; a slot is used again once its chunk is gone.
    slots: Vec<Option<Chunk>>,
    free: Vec<u32>,
    /// Slots in the order of their rows.
    order: Vec<u32>,
    index: HashTable<Place>,
}

/// Where the newest row of a key stands.
struct Place {
    hash: u64,
    slot: u32,
    row: u32,
}

impl Table {
    /// A table of rows that supersede older ones of the same key.
    /// Key columns are texts or of fixed width.
    pub fn keyed(schema: SchemaRef, key: &[&str]) -> Self {
        let find = |name: &&str| match schema.index_of(name) {
            Ok(column) => column,
            Err(error) => panic!("a key is made of the table's own columns: {error}"),
        };
        let key = key.iter().map(find).collect();
        let fields = schema.fields().iter();
        let fields: Vec<Field> =
            fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        Table {
            schema: Arc::new(Schema::new(fields)),
            key,
            slots: Vec::new(),
            free: Vec::new(),
            order: Vec::new(),
            index: HashTable::new(),
        }
    }

    /// A table in which every row stays.
    pub fn appended(schema: SchemaRef) -> Self {
        Table::keyed(schema, &[])
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes rows in. Columns are matched by name: others are ignored, missing ones are absent,
    /// and one of another type is converted where its values can be.
    pub fn apply(&mut self, rows: &RecordBatch) {
        if rows.num_rows() == 0 {
            return;
        }
        let rows = conform(&self.schema, rows);
        let slot = self.keep(Chunk::new(rows, &self.key));
        self.order.push(slot);
        if !self.key.is_empty() {
            self.index_rows(slot);
            self.rewrite_worn();
        }
        self.merge_small();
    }

    /// The newest row of a key, given as texts.
    pub fn find(&self, key: &[&str]) -> Option<RecordBatch> {
        assert_eq!(key.len(), self.key.len(), "a key has a value for each of its columns");
        let mut columns = Vec::with_capacity(key.len());
        for (text, column) in key.iter().zip(&self.key) {
            let text: ArrayRef = Arc::new(StringArray::from(vec![*text]));
            columns.push(cast(&text, self.schema.field(*column).data_type()).ok()?);
        }
        let asked = self.schema.project(&self.key).ok()?;
        let asked = RecordBatch::try_new(Arc::new(asked), columns).ok()?;
        let own: Vec<usize> = (0..self.key.len()).collect();
        let asked = Chunk::new(asked, &own);
        let hash = *asked.hashes(&own).first()?;
        let place = self.index.find(hash, |place| {
            place.hash == hash && chunk(&self.slots, place.slot).same(place.row as usize, &asked, 0)
        })?;
        Some(chunk(&self.slots, place.slot).rows().slice(place.row as usize, 1))
    }

    /// All rows that count, in the order in which they were last written.
    pub fn scan(&self) -> Vec<RecordBatch> {
        self.snapshot().batches().collect()
    }

    /// The rows as they are now, for a reader to keep.
    pub fn snapshot(&self) -> Snapshot {
        let chunks = self.order.iter().map(|slot| chunk(&self.slots, *slot));
        Snapshot {
            schema: self.schema.clone(),
            rows: self.rows(),
            parts: chunks.map(|chunk| (chunk.rows().clone(), chunk.map())).collect(),
        }
    }

    /// How many rows count.
    pub fn rows(&self) -> usize {
        self.order.iter().map(|slot| chunk(&self.slots, *slot).live()).sum()
    }

    /// Bytes in use.
    pub fn size(&self) -> usize {
        let chunks: usize = self.order.iter().map(|slot| chunk(&self.slots, *slot).size()).sum();
        chunks + self.index.allocation_size()
    }

    /// The whole table as an Arrow IPC stream.
    pub fn save(&self) -> Result<Vec<u8>, ArrowError> {
        let mut stream = StreamWriter::try_new(Vec::new(), &self.schema)?;
        for rows in self.snapshot().batches() {
            stream.write(&rows)?;
        }
        stream.into_inner()
    }

    /// Takes in what [`Table::save`] wrote.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), ArrowError> {
        for rows in StreamReader::try_new(bytes, None)? {
            self.apply(&rows?);
        }
        Ok(())
    }

    fn keep(&mut self, chunk: Chunk) -> u32 {
        assert!(chunk.len() <= u32::MAX as usize, "a chunk holds fewer than 2^32 rows");
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(chunk);
            return slot;
        }
        self.slots.push(Some(chunk));
        self.slots.len() as u32 - 1
    }

    /// Points the index at the rows of a new chunk and strikes off those they supersede.
    fn index_rows(&mut self, slot: u32) {
        let Table { slots, index, key, .. } = self;
        let hashes = chunk(slots, slot).hashes(key);
        for (row, hash) in hashes.into_iter().enumerate() {
            let fresh = chunk(slots, slot);
            let same = |place: &Place| {
                place.hash == hash && chunk(slots, place.slot).same(place.row as usize, fresh, row)
            };
            match index.entry(hash, same, |place| place.hash) {
                Entry::Occupied(mut found) => {
                    let place = found.get_mut();
                    let (old_slot, old_row) = (place.slot, place.row);
                    (place.slot, place.row) = (slot, row as u32);
                    chunk_mut(slots, old_slot).supersede(old_row);
                }
                Entry::Vacant(new) => {
                    new.insert(Place { hash, slot, row: row as u32 });
                }
            }
        }
    }

    /// Rewrites chunks in which most rows are superseded, each into its neighbor if both are small.
    fn rewrite_worn(&mut self) {
        for at in (0..self.order.len()).rev() {
            let worn = chunk(&self.slots, self.order[at]);
            if worn.live() * 2 >= worn.len() {
                continue;
            }
            let live = worn.live();
            let joins = at > 0 && live > 0 && {
                let neighbor = chunk(&self.slots, self.order[at - 1]);
                neighbor.class() < LARGE && live < neighbor.len()
            };
            self.rewrite(if joins { at - 1 } else { at }, at + 1);
        }
    }

    /// Makes one chunk of the last few, while enough of them are small.
    fn merge_small(&mut self) {
        loop {
            let Some(last) = self.order.last() else { return };
            let class = chunk(&self.slots, *last).class();
            let like = |slot: &&u32| chunk(&self.slots, **slot).class() <= class;
            let run = self.order.iter().rev().take_while(like).count();
            if class >= LARGE || run < MERGE {
                return;
            }
            let chunks = self.order.len();
            self.rewrite(chunks - run, chunks);
            if self.order.len() == chunks {
                return;
            }
        }
    }

    /// One chunk of the live rows of the chunks `from..to`.
    fn rewrite(&mut self, from: usize, to: usize) {
        let old: Vec<u32> = self.order[from..to].to_vec();
        let chunks = old.iter().map(|slot| chunk(&self.slots, *slot));
        let parts: Vec<RecordBatch> =
            chunks.map(|chunk| living(chunk.rows(), chunk.map())).collect();
        // Texts of one chunk must stay below 2 GiB; what does not fit stays as it is.
        let Ok(rows) = concat_batches(&self.schema, &parts) else { return };
        if rows.num_rows() == 0 {
            self.order.drain(from..to);
        } else {
            let slot = self.keep(Chunk::new(rows, &self.key));
            self.order.splice(from..to, [slot]);
            if !self.key.is_empty() {
                self.move_places(&old, slot);
            }
        }
        for slot in old {
            self.slots[slot as usize] = None;
            self.free.push(slot);
        }
    }

    /// Points the index from the live rows of the old chunks to those of the new one.
    fn move_places(&mut self, old: &[u32], slot: u32) {
        let Table { slots, index, key, .. } = self;
        let hashes = chunk(slots, slot).hashes(key);
        let mut moved = 0;
        for old_slot in old {
            let chunk = chunk(slots, *old_slot);
            for row in (0..chunk.len()).filter(|row| chunk.counts(*row)) {
                let here = |place: &Place| place.slot == *old_slot && place.row == row as u32;
                let Some(place) = index.find_mut(hashes[moved], here) else {
                    panic!("a live row is the newest of its key");
                };
                (place.slot, place.row) = (slot, moved as u32);
                moved += 1;
            }
        }
        assert_eq!(moved, hashes.len(), "a rewritten chunk has the live rows of the old ones");
    }
}

fn chunk(slots: &[Option<Chunk>], slot: u32) -> &Chunk {
    let Some(chunk) = &slots[slot as usize] else { panic!("slot {slot} has lost its chunk") };
    chunk
}

fn chunk_mut(slots: &mut [Option<Chunk>], slot: u32) -> &mut Chunk {
    let Some(chunk) = &mut slots[slot as usize] else { panic!("slot {slot} has lost its chunk") };
    chunk
}

/// The same rows with the table's columns.
fn conform(schema: &SchemaRef, rows: &RecordBatch) -> RecordBatch {
    let absent = |field: &Field| new_null_array(field.data_type(), rows.num_rows());
    let column = |field: &Arc<Field>| match rows.column_by_name(field.name()) {
        None => absent(field),
        Some(column) if column.data_type() == field.data_type() => column.clone(),
        Some(column) => cast(column, field.data_type()).unwrap_or_else(|_| absent(field)),
    };
    let columns = schema.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    match RecordBatch::try_new_with_options(schema.clone(), columns, &options) {
        Ok(rows) => rows,
        Err(error) => panic!("columns were made for this schema: {error}"),
    }
}

/// A table as it was at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    schema: SchemaRef,
    rows: usize,
    /// Rows, and which of them count where not all do.
    parts: Vec<(RecordBatch, Option<BooleanBuffer>)>,
}

impl Snapshot {
    /// Rows that all count.
    pub fn of(rows: RecordBatch) -> Snapshot {
        Snapshot { schema: rows.schema(), rows: rows.num_rows(), parts: vec![(rows, None)] }
    }

    /// The same rows in some of their columns.
    pub fn project(&self, columns: &[usize]) -> Result<Snapshot, ArrowError> {
        let project = |(rows, map): &(RecordBatch, Option<BooleanBuffer>)| {
            Ok((rows.project(columns)?, map.clone()))
        };
        let parts = self.parts.iter().map(project).collect::<Result<_, ArrowError>>()?;
        let schema = Arc::new(self.schema.project(columns)?);
        Ok(Snapshot { schema, rows: self.rows, parts })
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many parts there are; each can be read on its own.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The live rows of one part, copied only where some of its rows are superseded.
    pub fn part(&self, part: usize) -> RecordBatch {
        let (rows, map) = &self.parts[part];
        living(rows, map.clone())
    }

    /// All rows in order.
    pub fn batches(&self) -> impl Iterator<Item = RecordBatch> {
        (0..self.parts.len()).map(|part| self.part(part)).filter(|rows| rows.num_rows() > 0)
    }
}
