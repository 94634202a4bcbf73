//! The example of a library of one's own does what it says.

#[path = "../../examples/extension.rs"]
mod acme;

#[test]
fn plans_call_what_an_embedder_brings() {
    let expected = [
        r#"[Long(2), Text("b**"), Long(0), Int(3)]"#,
        r#"[Long(4), Text("d**"), Long(1), Int(3)]"#,
    ];
    assert_eq!(acme::results(), expected);
}
