//! A guard in each child: its drop tells the parent of its end, and whether it was a panic.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

use actix::prelude::*;

use crate::actors::tree::Exit;

/// A child's last word to its parent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChildEnded {
    /// The child's name among its siblings.
    pub child: String,
    /// Which of its lives ended; a late word of an earlier life is not confused with this one.
    pub life: u64,
    /// How it ended.
    pub exit: Exit,
}

/// Held by an actor as long as it lives; its drop tells the parent.
///
/// An actor that ends by itself says how with [`Lifeline::end`] first. One that is dropped without
/// a word has lost its thread, which counts as a failure.
#[derive(Debug)]
pub struct Lifeline {
    parent: Recipient<ChildEnded>,
    child: String,
    life: u64,
    exit: Option<Exit>,
}

impl Lifeline {
    pub(super) fn new(parent: Recipient<ChildEnded>, child: &str, life: u64) -> Self {
        note_panics();
        Self { parent, child: child.to_owned(), life, exit: None }
    }

    /// Says how this life ends; the first word counts. The actor then stops its context.
    pub fn end(&mut self, exit: Exit) {
        self.exit.get_or_insert(exit);
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        let exit = if std::thread::panicking() {
            Exit::Panicked { note: last_panic() }
        } else {
            self.exit.take().unwrap_or_else(|| Exit::transient("its thread ended"))
        };
        let child = std::mem::take(&mut self.child);
        self.parent.do_send(ChildEnded { child, life: self.life, exit });
    }
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The message and the place of the last panic of this thread.
#[must_use]
pub fn last_panic() -> String {
    LAST_PANIC.with_borrow(Clone::clone)
}

/// Makes [`last_panic`] work; what other hook there is stays in force.
pub fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            LAST_PANIC.with_borrow_mut(|last| *last = note(info));
            before(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("without a message");
    match info.location() {
        Some(place) => format!("{message} ({}:{})", place.file(), place.line()),
        None => message.to_owned(),
    }
}
