//! What the benches send: canonical JSON, the same bytes for the same number.
//!
//! Of ten records six are the first report of a loan, one a later report and three are payments of
//! loans reported a moment before. A borrower has two loans. Reports are some 400 bytes long,
//! payments 170.

use std::io::{self, Write};

/// So many of ten records are first reports.
const FIRST: u64 = 6;
const PRODUCTS: [&str; 6] = ["cash", "card", "auto", "edu", "rent", "shop"];
const PROVINCES: u64 = 31;
const BUCKETS: [&str; 7] = ["0", "1-30", "31-60", "61-90", "91-180", "181-360", "361+"];

/// A number that looks random and is always the same.
pub fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Writes record `i` of a mixed stream, with its line end.
pub fn mix(i: u64, out: &mut impl Write) -> io::Result<()> {
    let (ten, place) = (i / 10, i % 10);
    if place < FIRST {
        return report(ten * FIRST + place, i, out);
    }
    // A loan of the last thousand records, so that its report is not far.
    let known = (ten + 1) * FIRST;
    let loan = known - 1 - mixed(i) % known.min(600);
    if place == FIRST { report(loan, i, out) } else { payment(loan, i, out) }
}

/// A report of a loan; `i` makes its id and its instant.
pub fn report(loan: u64, i: u64, out: &mut impl Write) -> io::Result<()> {
    report_of("L001", loan, i, out)
}

pub fn report_of(lender: &str, loan: u64, i: u64, out: &mut impl Write) -> io::Result<()> {
    let dice = mixed(loan);
    let cents = 10_000 + dice % 900_000;
    let days = (dice >> 20) % 400;
    let (product, province) = (PRODUCTS[(dice >> 8) as usize % 6], 11 + (dice >> 12) % PROVINCES);
    let (second, score) = (i % 86_400, 380 + (dice >> 32) % 480);
    writeln!(
        out,
        "{{\"event_id\":\"ev{i:010}\",\"event_type\":\"loan.delinquent\",\"event_time\":\
         \"2026-03-01T{:02}:{:02}:{:02}Z\",\"lender_id\":\"{lender}\",\"loan_id\":\"LN{loan:010}\",\
         \"borrower_id\":\"B{:010}\",\"product\":\"{product}\",\"province\":\"{province}\",\
         \"principal\":\"{}.{:02}\",\"interest\":\"{}.10\",\"penalty\":\"{}.05\",\"fee\":\"5.00\",\
         \"currency\":\"CNY\",\"days_past_due\":{days},\"origination_date\":\"2025-08-11\",\
         \"due_date\":\"2026-01-13\",\"phone\":\"139{:08}\",\"national_id\":\"4401011990{:08}\",\
         \"score\":{score},\"contactable\":true}}",
        second / 3600,
        second / 60 % 60,
        second % 60,
        loan / 2,
        cents / 100,
        cents % 100,
        dice % 300,
        dice % 40,
        loan % 100_000_000,
        loan % 100_000_000,
    )
}

fn payment(loan: u64, i: u64, out: &mut impl Write) -> io::Result<()> {
    let (minute, cents) = (i % 1440, 100 + mixed(i) % 20_000);
    writeln!(
        out,
        "{{\"payment_id\":\"p{i:010}\",\"loan_id\":\"LN{loan:010}\",\"kind\":\"payment\",\
         \"amount\":\"{}.{:02}\",\"paid_at\":\"2026-03-02T{:02}:{:02}:00Z\",\"channel\":\"bank\"}}",
        cents / 100,
        cents % 100,
        minute / 60,
        minute % 60,
    )
}

/// The reference tables, as CSV by name: thirty agencies without a limit, each good at something.
pub fn references() -> Vec<(&'static str, String)> {
    let mut curve = "product,bucket,recovery_rate,handling_cost\n".to_string();
    let mut market = "province,product,idx\n".to_string();
    for (at, product) in PRODUCTS.iter().enumerate() {
        for (age, bucket) in BUCKETS.iter().enumerate() {
            let rate = 0.9 - 0.1 * age as f64 - 0.01 * at as f64;
            curve += &format!("{product},{bucket},{rate:.4},{}.00\n", 2 + age);
        }
        for province in 0..PROVINCES {
            let idx = 0.85 + 0.01 * province as f64;
            market += &format!("{},{product},{idx:.4}\n", 11 + province);
        }
    }
    let mut agencies = "agency_id,provinces,products,bucket_min,bucket_max,unit_cost,capacity,\
                        commission_by_bucket,perf_by_bucket\n"
        .to_string();
    for agency in 0..30_u64 {
        let some = |of: u64, salt: u64| mixed(agency * 64 + salt).is_multiple_of(of);
        let provinces: Vec<String> =
            (0..PROVINCES).filter(|p| some(4, *p)).map(|p| (11 + p).to_string()).collect();
        let each = |from: f64| {
            let all =
                (0..7).map(|b| format!("{:.2}", from + 0.01 * (mixed(agency + b) % 20) as f64));
            all.collect::<Vec<_>>().join("|")
        };
        let (commissions, performances) = (each(0.10), each(0.80));
        let provinces = provinces.join("|");
        agencies += &format!("A{agency:02},{provinces},,,,5.00,,{commissions},{performances}\n");
    }
    vec![("curve", curve), ("market", market), ("agencies", agencies)]
}
