//! A story told to the whole program: reference tables, lines of JSON, days; then its relations.

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::Decimal128Type;
use datafusion::arrow::record_batch::RecordBatch;
use recoup::batch::Batch;
use recoup::decoder::Decoder;
use recoup::log::Outgoing;
use recoup::post::parse_reference;
use recoup_operators::{Rules, facts};
use recoup_sql::shipped;

pub const CURVE: &str = "product,bucket,recovery_rate,handling_cost\n\
    cash,0,0.5,0\ncash,1-30,0.5,0\ncash,31-60,0.5,0\ncash,61-90,0.5,0\ncash,91-180,0.5,0\n";
pub const MARKET: &str = "province,product,idx\n44,cash,1.0000\n";

/// A program that is being told something.
pub struct Story(pub Batch);

impl Story {
    /// Tables by name; curve and market are given.
    pub fn new(references: &[(&str, &str)]) -> Self {
        let rules = Rules { shards: 1, ..Rules::default() };
        let batch = Batch::open(&rules, &shipped(), Decoder::default()).expect("it compiles");
        Story::over(batch, references)
    }

    /// The same told to a program of one's own.
    pub fn over(mut batch: Batch, references: &[(&str, &str)]) -> Self {
        let given = [("curve", CURVE), ("market", MARKET)];
        for (name, text) in given.iter().chain(references) {
            let reference = parse_reference(name, name, text.as_bytes()).expect("it fits");
            batch.post(name, &reference.batch).expect("it is heard");
        }
        batch.round().expect("a round");
        Story(batch)
    }

    /// Lines of JSON, decided upon before anything else is told.
    pub fn tell(&mut self, lines: &[String]) {
        let message = Outgoing {
            subject: "intake.-.file.0".into(),
            payload: lines.join("\n").into_bytes().into(),
            ..Outgoing::default()
        };
        self.0.publish(message, "story.jsonl", lines.len()).expect("it is read");
        self.0.settle().expect("it settles");
    }

    /// Lets every day pass, up to this one.
    pub fn until(&mut self, day: &str) {
        use datafusion::arrow::array::types::Date32Type;
        use datafusion::arrow::compute::kernels::cast_utils::Parser;
        let day = Date32Type::parse(day).expect("a day");
        self.0.until(i64::from(day)).expect("days pass");
    }

    pub fn answer(&mut self) {
        self.0.answer().expect("the views answer");
    }

    pub fn rows(&self, relation: &str) -> Vec<RecordBatch> {
        let snapshot = self.0.relations.snapshot(relation);
        snapshot.unwrap_or_else(|| panic!("no relation {relation}")).batches().collect()
    }

    /// Some columns of a relation as comma-separated values.
    pub fn show(&self, relation: &str, columns: &str) -> String {
        let mut text = Vec::new();
        let mut writer = WriterBuilder::new().with_header(false).build(&mut text);
        for rows in self.rows(relation) {
            let picked: Vec<usize> = columns
                .split(',')
                .map(|name| rows.schema().index_of(name.trim()).expect("a column"))
                .collect();
            writer.write(&rows.project(&picked).expect("columns")).expect("it writes");
        }
        drop(writer);
        String::from_utf8(text).expect("text")
    }

    /// As [`Story::show`], lines in their order.
    pub fn sorted(&self, relation: &str, columns: &str) -> String {
        let shown = self.show(relation, columns);
        let mut lines: Vec<&str> = shown.lines().collect();
        lines.sort_unstable();
        lines.into_iter().map(|line| line.to_owned() + "\n").collect()
    }

    /// Cents of a money column, over rows where text columns have these values.
    pub fn sum(&self, relation: &str, money: &str, wanted: &[(&str, &str)]) -> i128 {
        let mut sum = 0;
        for rows in self.rows(relation) {
            let column = rows.column_by_name(money).expect("a column");
            assert_eq!(column.data_type(), &facts::MONEY);
            let amounts = column.as_primitive::<Decimal128Type>();
            for row in 0..rows.num_rows() {
                let fits = wanted.iter().all(|(name, value)| {
                    let texts = rows.column_by_name(name).expect("a column").as_string::<i32>();
                    texts.is_valid(row) && texts.value(row) == *value
                });
                if fits && amounts.is_valid(row) {
                    sum += amounts.value(row);
                }
            }
        }
        sum
    }
}
