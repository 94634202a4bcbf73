//! The memory of a process, as Linux tells it.

use std::fs;

use crate::node::Node;

/// Mebibytes that a process holds.
pub struct Memory {
    pub now: u64,
    /// The most since [`Memory::forget`].
    pub most: u64,
}

impl Memory {
    pub fn of(node: &Node) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", node.process()));
        let status = status.expect("the process is there");
        let size = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let size = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
            size.expect("Linux tells the size of a process") >> 10
        };
        Memory { now: size("VmRSS:"), most: size("VmHWM:") }
    }

    /// From now on the most counts anew.
    pub fn forget(node: &Node) {
        fs::write(format!("/proc/{}/clear_refs", node.process()), "5").expect("our own child");
    }
}
