//! What flows where.
//!
//! The numbered `.sql` files beside this one are the program: reading them in order is knowing the
//! system. Each file belongs to a stage ([`stages`]) and is read top to bottom:
//!
//! ```sql
//! CREATE VIEW stamped AS SELECT * FROM account('letters');    -- run a verb on a relation
//! CREATE VIEW priced  AS SELECT …, CAST(…) AS price FROM …;   -- compute, set at a time
//! INSERT INTO book.prices SELECT … FROM priced;               -- say it
//! ```
//!
//! `verb('relation')` runs an operator over a relation and reads the first thing it says;
//! `verb('relation', 'other')` reads another. Everything else is ordinary SQL, executed by
//! DataFusion's physical plans, planned once ([`compile`]) and run again each step ([`run`]) with
//! one partition on the calling thread.
//!
//! Refused when the program is compiled, with file, line, column and a hint ([`Mistake`]): what
//! does not parse, what does not plan, and any function whose answer is not a function of its
//! arguments, such as `now()` or `random()`.
//!
//! The functions here must not be called from inside an async task: DataFusion's streams spend
//! the task's budget and would never get it back.

pub mod answers;
pub mod compile;
pub mod dialect;
mod functions;
mod mistake;
mod narrow;
pub mod reshape;
mod run;
mod session;
mod slot;
pub mod stages;

pub use answers::Answers;
pub use compile::{Stage, compile};
pub use dialect::Dialect;
pub use mistake::Mistake;
pub use run::{Memories, Said, shaped};
pub use stages::{Source, shipped};
