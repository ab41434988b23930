//! In which order money fills a loan's debt: by lender and product, and by how the loan stands.
//!
//! A report fixes the orders for the debt that it opens, so what was filled is not filled again
//! when the table changes. A message of a version that is already known is a further part of the
//! table; any other replaces it.

use arrow::array::StringArray;
use arrow::record_batch::RecordBatch;

use super::letters::text;
use crate::settle::waterfall::{Advanced, CODES, FILLS, ORDERS, future, sweep};

/// Three orders in one number, each the place of its code in [`CODES`]; 0 are the usual ones.
pub type Orders = u16;

/// Penalty, fee, interest, principal; settled: what was promised is principal; written off:
/// principal before interest and charges.
const USUAL: [u8; 3] = [0, 2, 4];

/// The code whose order comes with rules of its own.
const ADVANCED: &str = "advanced-payment-allocation-strategy";

/// How a loan stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    #[default]
    Standard = 0,
    Settled = 1,
    WrittenOff = 2,
}

impl Standing {
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Standing::Standard,
            1 => Standing::Settled,
            _ => Standing::WrittenOff,
        }
    }
}

/// The place of the code by which a loan's debt is filled.
pub fn code(orders: Orders, standing: Standing) -> u8 {
    let place = standing as usize;
    match orders {
        0 => USUAL[place],
        packed => ((packed - 1) >> (4 * place) & 15) as u8,
    }
}

/// The components in the order of a code: 0 penalty, 1 fee, 2 interest, 3 principal.
pub fn order(code: u8) -> [usize; 4] {
    ORDERS[usize::from(code).min(ORDERS.len() - 1)]
}

/// The name of a code.
pub fn name(code: u8) -> &'static str {
    CODES[usize::from(code).min(CODES.len() - 1)]
}

struct Row {
    lender: Option<String>,
    product: Option<String>,
    /// Of one kind of movement: only its rules count, and where its early money goes.
    movement: Option<String>,
    orders: Orders,
    sweep: String,
    rules: String,
    future: String,
}

/// The newest table.
#[derive(Default)]
pub struct Waterfalls {
    rows: Vec<Row>,
}

impl Waterfalls {
    pub fn of(table: &RecordBatch) -> Self {
        let texts = |name: &str| {
            table.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<StringArray>())
        };
        let at = |name: &str, i: usize| texts(name).and_then(|column| text(column, i));
        let rows = (0..table.num_rows())
            .map(|i| Row {
                lender: at("lender_id", i).map(str::to_owned),
                product: at("product", i).map(str::to_owned),
                movement: at("movement", i).map(str::to_owned),
                sweep: at("sweep", i).unwrap_or_default().to_owned(),
                rules: at("rules", i).unwrap_or_default().to_owned(),
                future: at("future", i).unwrap_or_default().to_owned(),
                orders: packed(["standard", "settled", "written_off"].map(|name| at(name, i))),
            })
            .collect();
        Waterfalls { rows }
    }

    /// The orders of a loan.
    pub fn orders(&self, lender: Option<&str>, product: Option<&str>) -> Orders {
        self.row(lender, product, None).map_or(0, |row| row.orders)
    }

    /// The advanced allocation of a loan, as text; nothing where no order of it is advanced.
    pub fn allocation(&self, lender: Option<&str>, product: Option<&str>) -> Option<String> {
        let usual = self.row(lender, product, None)?;
        let standings = [Standing::Standard, Standing::Settled, Standing::WrittenOff];
        let advanced = |standing| name(code(usual.orders, standing)) == ADVANCED;
        if !standings.into_iter().any(advanced) {
            return None;
        }
        let mut allocation = Advanced::new(sweep(&usual.sweep));
        allocation.lay(None, &usual.rules, future(&usual.future));
        for kind in FILLS {
            if let Some(row) = self.row(lender, product, Some(kind)) {
                allocation.lay(Some(kind), &row.rules, future(&row.future));
            }
        }
        Some(allocation.write())
    }

    /// Of the rows that fit a loan and are of a movement, or of all: the one that names more.
    fn row(
        &self,
        lender: Option<&str>,
        product: Option<&str>,
        movement: Option<&str>,
    ) -> Option<&Row> {
        let fits = |own: &Option<String>, given: Option<&str>| {
            own.as_deref().is_none_or(|own| Some(own) == given)
        };
        let named =
            |row: &&Row| 2 * u8::from(row.product.is_some()) + u8::from(row.lender.is_some());
        let rows = self.rows.iter().filter(|row| row.movement.as_deref() == movement);
        let rows = rows.filter(|row| fits(&row.lender, lender));
        rows.filter(|row| fits(&row.product, product)).max_by_key(named)
    }
}

/// Codes as one number; a code that is not given is the usual one.
fn packed(codes: [Option<&str>; 3]) -> Orders {
    let mut packed = 0;
    for (place, given) in codes.into_iter().enumerate() {
        let known = given.and_then(|code| CODES.iter().position(|known| *known == code));
        let code = known.map_or(USUAL[place], |known| known as u8);
        packed |= u16::from(code) << (4 * place);
    }
    packed + 1
}
