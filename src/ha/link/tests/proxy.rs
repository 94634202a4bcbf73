//! A man in the middle: passes bytes on, and does something bad to each connection in turn.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

/// What is done to a connection, counted in the bytes of who dialled.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing, but what is said is kept.
    Record,
    /// It is closed.
    CutAfter(usize),
    /// A bit is flipped.
    FlipAt(usize),
    /// Nothing passes any more, in neither direction.
    StallAfter(usize),
}

/// A proxy on a port of its own; connections after the last fault pass unharmed.
pub struct Proxy {
    pub address: String,
    spent: Arc<AtomicUsize>,
    recorded: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    pub fn start(target: &str, faults: Vec<Fault>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (spent, recorded) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let proxy = Proxy { address, spent: Arc::clone(&spent), recorded: Arc::clone(&recorded) };
        let target = target.to_owned();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let caller = stream.unwrap();
                let Ok(called) = TcpStream::connect(&target) else { continue };
                let fault = faults.get(number).copied();
                let way = Way { fault, spent: Arc::clone(&spent), recorded: Arc::clone(&recorded) };
                let stalled = Arc::new(AtomicBool::new(false));
                let back = (called.try_clone().unwrap(), caller.try_clone().unwrap());
                let stall = Arc::clone(&stalled);
                thread::spawn(move || answer(back.0, back.1, &stall));
                thread::spawn(move || way.pass(caller, called, &stalled));
            }
        });
        proxy
    }

    /// So many connections have met their fault.
    pub fn spent(&self) -> usize {
        self.spent.load(Ordering::Acquire)
    }

    /// What was said by who dialled.
    pub fn recorded(&self) -> Vec<u8> {
        self.recorded.lock().unwrap().clone()
    }
}

struct Way {
    fault: Option<Fault>,
    spent: Arc<AtomicUsize>,
    recorded: Arc<Mutex<Vec<u8>>>,
}

impl Way {
    fn pass(self, mut from: TcpStream, mut to: TcpStream, stalled: &AtomicBool) {
        let mut passed = 0;
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let chunk = &mut buffer[..count];
            let range = passed..passed + count;
            let mut keep = count;
            match self.fault {
                Some(Fault::Record) => self.recorded.lock().unwrap().extend_from_slice(chunk),
                Some(Fault::CutAfter(at)) if range.contains(&at) => keep = at - passed,
                Some(Fault::FlipAt(at)) if range.contains(&at) => chunk[at - passed] ^= 4,
                Some(Fault::StallAfter(at)) if range.contains(&at) => {
                    stalled.store(true, Ordering::Release);
                    // Held open until the caller gives up.
                    while let Ok(1..) = from.read(&mut buffer) {}
                    break;
                }
                _ => {}
            }
            if to.write_all(&buffer[..keep]).is_err() || keep < count {
                break;
            }
            passed += count;
        }
        self.spent.fetch_add(1, Ordering::AcqRel);
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn answer(mut from: TcpStream, mut to: TcpStream, stalled: &AtomicBool) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !stalled.load(Ordering::Acquire) && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
