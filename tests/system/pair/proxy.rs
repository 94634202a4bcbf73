//! The network between two processes: passes bytes on, stalls in one way or both, and cuts.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// Between two looks at whether bytes may pass again.
const LOOK: Duration = Duration::from_millis(1);

/// A port of its own, behind which lies somebody else's.
pub struct Proxy {
    pub address: SocketAddr,
    network: Arc<Network>,
}

#[derive(Default)]
struct Network {
    /// Nothing passes from who dialled.
    there: AtomicBool,
    /// Nothing passes to who dialled.
    back: AtomicBool,
    /// How long each piece is on its way, in milliseconds.
    takes: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A way to this address.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let network = Arc::new(Network::default());
        let of = Arc::clone(&network);
        thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let Ok(called) = TcpStream::connect(target) else { continue };
                let clone = |stream: &TcpStream| stream.try_clone().expect("a handle");
                let _ = (caller.set_nodelay(true), called.set_nodelay(true));
                of.open.lock().expect("nobody panics").extend([clone(&caller), clone(&called)]);
                let (there, back) = (Arc::clone(&of), Arc::clone(&of));
                let (from, to) = (clone(&caller), clone(&called));
                thread::spawn(move || pass(from, to, &there.there, &there.takes));
                thread::spawn(move || pass(called, caller, &back.back, &back.takes));
            }
        });
        Self { address, network }
    }

    /// Lets bytes pass from who dialled and back to them, or keeps them.
    pub fn stall(&self, there: bool, back: bool) {
        self.network.there.store(there, Ordering::Release);
        self.network.back.store(back, Ordering::Release);
    }

    /// Each piece takes so long from now on.
    pub fn slow(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).expect("it is short");
        self.network.takes.store(time, Ordering::Release);
    }

    /// Ends every connection; new ones are taken.
    pub fn cut(&self) {
        for stream in self.network.open.lock().expect("nobody panics").drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, stalled: &AtomicBool, takes: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        thread::sleep(Duration::from_millis(takes.load(Ordering::Acquire)));
        while stalled.load(Ordering::Acquire) {
            thread::sleep(LOOK);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
