//! Wakes somebody when the folder of plans changes.

use std::path::Path;

use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;
use tracing::warn;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: Option<RecommendedWatcher>,
}

/// Calls `wake` from another thread whenever something in the folder may have changed.
///
/// Where changes cannot be told (network file systems, too many watches) that is logged, and
/// looking now and then has to do.
pub fn watch(folder: &Path, wake: impl Fn() + Send + 'static) -> Watch {
    let changed = move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too; it would wake us for our own looks.
        if event.map_or(true, |event| !event.kind.is_access()) {
            wake();
        }
    };
    let watcher = notify::recommended_watcher(changed).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    if let Err(error) = &watcher {
        let folder = folder.display();
        warn!(%folder, %error, "the folder of plans cannot be watched; it is looked at instead");
    }
    Watch { _watcher: watcher.ok() }
}
