//! A load of HTTP requests that costs little itself: everything it sends is made beforehand.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::servers::Server;

/// One cell of the table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) connections: usize,
    pub(crate) keep_alive: bool,
    pub(crate) length: Duration,
}

/// What came out of one.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) rate: f64,
    p50: Duration,
    p99: Duration,
    cpu_each: Duration,
}

impl Measured {
    pub(crate) const fn rate_only(rate: f64) -> Self {
        Self { rate, p50: Duration::ZERO, p99: Duration::ZERO, cpu_each: Duration::ZERO }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(f, "{:.0} | ", self.rate)?;
        if self.p50.is_zero() {
            return f.write_str("| | ");
        }
        let cpu = self.cpu_each.as_secs_f64() * 1e6;
        write!(f, "{:.2} | {:.2} | {cpu:.1}", milliseconds(self.p50), milliseconds(self.p99))
    }
}

/// One request, ready to send, and what its answer must repeat.
pub(crate) struct Prepared {
    pub(crate) bytes: Vec<u8>,
    pub(crate) must_contain: [Vec<u8>; 2],
}

pub(crate) async fn run(server: &dyn Server, cell: &Cell) -> Measured {
    let budget = server.budget(cell);
    let mut plans: Vec<Vec<Prepared>> = (0..cell.connections)
        .map(|connection| server.prepare(connection, cell, budget.div_ceil(cell.connections)))
        .collect();
    let (address, expected) = (server.address(), server.expected());
    let cpu_before = server.cpu();
    let start = Instant::now();
    let end = start + cell.length;
    let tasks = tokio::task::LocalSet::new();
    let mut handles = Vec::new();
    for plan in plans.drain(..) {
        let keep_alive = cell.keep_alive;
        handles.push(
            tasks.spawn_local(async move { connection(address, expected, plan, keep_alive, end).await }),
        );
    }
    let mut times = Vec::new();
    tasks
        .run_until(async {
            for handle in handles {
                times.extend(handle.await.unwrap());
            }
        })
        .await;
    let wall = start.elapsed();
    let cpu = server.cpu() - cpu_before;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Measured {
        rate: times.len() as f64 / wall.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        cpu_each: cpu / u32::try_from(times.len()).unwrap(),
    }
}

async fn connection(
    address: std::net::SocketAddr,
    expected: Option<&'static str>,
    plan: Vec<Prepared>,
    keep_alive: bool,
    end: Instant,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(plan.len());
    let mut open: Option<TcpStream> = None;
    let mut buffer = vec![0; 4096];
    for request in plan {
        let start = Instant::now();
        if start >= end {
            break;
        }
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                stream
            }
        };
        stream.write_all(&request.bytes).await.unwrap();
        let length = read_answer(&mut stream, &mut buffer, keep_alive).await;
        times.push(start.elapsed());
        // A peer is measured by what it answers; ours must be right each time.
        if let Some(expected) = expected {
            let answer = &buffer[..length];
            let fits = contains(answer, expected.as_bytes())
                && request.must_contain.iter().all(|part| contains(answer, part));
            assert!(fits, "a wrong answer: {}", String::from_utf8_lossy(answer));
        }
        if keep_alive {
            open = Some(stream);
        }
    }
    times
}

/// Reads one answer: to the end of the connection, or as long as its header says.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8], keep_alive: bool) -> usize {
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..]).await.unwrap_or(0);
        if read == 0 {
            return length;
        }
        length += read;
        if keep_alive && is_whole(&buffer[..length]) {
            return length;
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = find(answer, b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= head + 4 + length)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}
