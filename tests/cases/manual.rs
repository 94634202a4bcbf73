//! The pages of the manual are made from what the checker knows: `make reference` writes them.

use std::fs;
use std::path::Path;

use twinflow::cli::reference::pages;

#[test]
fn the_manual_tells_what_is_so() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let stale: Vec<String> = pages()
        .into_iter()
        .filter(|(path, text)| fs::read_to_string(docs.join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    assert!(stale.is_empty(), "not as they should be: {stale:?}; `make reference` writes them");
    let pages = fs::read_dir(docs.join("reference")).expect("the folder is there").count();
    assert_eq!(pages, 5, "a page that nothing writes");
}
