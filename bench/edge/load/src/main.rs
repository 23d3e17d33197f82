//! The two ends of a gateway under measurement.
//!
//! `load upstream` is an inference server that costs next to nothing; it prints its port.
//! `load ask URL CONNECTIONS SECONDS [HEADER: VALUE…] < BODY` asks for plain answers as fast as they come,
//! `load read …` reads streams. A header's value `@FILE` is a line of the file, another one each time. Both print one line of JSON. Times come from one clock, the machine's, so that
//! both ends can be compared.

mod client;
mod figures;
mod upstream;

use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fault> {
    let mut args = std::env::args().skip(1);
    let command = args.next().ok_or("load upstream | ask | read")?;
    if command == "upstream" {
        return upstream::serve().await;
    }
    let mut next = |what: &str| args.next().ok_or_else(|| Fault::from(format!("{what} is missing")));
    let (url, connections, seconds) = (next("URL")?, next("CONNECTIONS")?, next("SECONDS")?);
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let mut headers = Vec::new();
    for line in args {
        let (name, value) = line.split_once(": ").ok_or("a header is NAME: VALUE")?;
        let values = match value.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file)?.lines().map(str::to_owned).collect(),
            None => vec![value.to_owned()],
        };
        headers.push((name.to_owned(), values));
    }
    let plan = client::Plan {
        url: url.parse()?,
        connections: connections.parse()?,
        duration: Duration::from_secs_f64(seconds.parse()?),
        headers,
        sent: Default::default(),
        body: body.into(),
        is_stream: command == "read",
    };
    println!("{}", client::run(plan).await?);
    Ok(())
}

/// Microseconds since 1970, the same for every process of the machine.
fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_micros() as u64)
}
