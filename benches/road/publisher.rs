//! A lender's own publisher, without acknowledgements: the broker's protocol is lines of text.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::TcpStream;

/// The intake is dealt over so many subjects.
pub const SUBJECTS: u64 = 4;

pub struct Publisher {
    lender: &'static str,
    reader: BufReader<TcpStream>,
    writer: BufWriter<TcpStream>,
}

impl Publisher {
    pub fn connect(port: u16, lender: &'static str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        reader.read_line(&mut String::new())?;
        let mut writer = BufWriter::with_capacity(1 << 16, stream);
        writer.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")?;
        Ok(Publisher { lender, reader, writer })
    }

    pub fn publish(&mut self, subject: u64, payload: &[u8]) -> std::io::Result<()> {
        let payload = payload.strip_suffix(b"\n").unwrap_or(payload);
        write!(self.writer, "PUB intake.{}.json.{subject} {}\r\n", self.lender, payload.len())?;
        self.writer.write_all(payload)?;
        self.writer.write_all(b"\r\n")
    }

    /// Returns when the server has read all that was written.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.writer.write_all(b"PING\r\n")?;
        self.writer.flush()?;
        let mut line = String::new();
        while line.trim_end() != "PONG" {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.starts_with("PING") {
                self.writer.write_all(b"PONG\r\n")?;
                self.writer.flush()?;
            }
        }
        Ok(())
    }
}
