//! The link over TLS, and every way in which two nodes do not agree on it.

use super::End;
use super::Fault;
use super::NOBODY;
use super::Proxy;
use super::call;
use super::cut_and_damage;
use super::entries;
use super::message;
use super::pair_by;
use super::settings;
use crate::ha::link::frame;
use crate::ha::link::frame::Kind;
use crate::ha::protocol::NodeId;
use crate::ha::tls::SETTINGS;
use crate::ha::tls::Tls;
use crate::ha::tls::tests::Authority;

/// Where the ends of a test find each other.
const HERE: &str = "127.0.0.1";

fn pair_of(a: Option<Tls>, b: Option<Tls>) -> (End, End) {
    pair_by(|ann, bob| (ann.tls, bob.tls) = (a, b))
}

/// Neither talks to the other, and what each says of it.
fn refused(a: Option<Tls>, b: Option<Tls>) -> [String; 2] {
    let (a, b) = pair_of(a, b);
    let said = [a.refused(), b.refused()];
    assert!(!a.link.send(&message(1)).unwrap());
    assert!(!b.link.send(&message(1)).unwrap());
    said
}

#[test]
fn over_tls_messages_and_freight_pass_in_both_directions() {
    let authority = Authority::new();
    let (a, b) = pair_of(Some(authority.tls(HERE)), Some(authority.tls(HERE)));
    assert_eq!((a.joined().name, b.joined().name), ("bob".to_owned(), "ann".to_owned()));
    for number in 0..20 {
        assert!(a.link.send(&message(number)).unwrap());
        assert_eq!(b.message(), message(number));
        assert!(b.link.send(&message(number)).unwrap());
        assert_eq!(a.message(), message(number));
    }
    // Far more than the kernel and TLS hold, while nobody takes it.
    for number in 0..60 {
        a.ship(&entries(number + 1, 1, 300_000));
        b.ship(&entries(number + 1, 1, 3_000));
    }
    for number in 0..60 {
        assert_eq!(b.freight().0, entries(number + 1, 1, 300_000));
        assert_eq!(a.freight().0, entries(number + 1, 1, 3_000));
    }
    drop(a);
    b.lost();
}

#[test]
fn what_travels_cannot_be_read() {
    let authority = Authority::new();
    for (tls, readable) in [(None, true), (Some(authority.tls(HERE)), false)] {
        let mut bob = settings(NodeId::B, NOBODY);
        bob.tls = tls.clone();
        let b = End::start(bob);
        let proxy = Proxy::start(&b.link.address().to_string(), vec![Fault::Record]);
        let mut ann = settings(NodeId::A, &proxy.address);
        ann.tls = tls;
        let a = End::start(ann);
        a.joined();
        b.joined();
        let found = proxy.recorded().windows(4).any(|bytes| bytes == b"gate");
        assert_eq!(found, readable, "the name of the cluster");
    }
}

#[test]
fn over_tls_a_connection_that_is_cut_or_damaged_begins_anew() {
    let authority = Authority::new();
    cut_and_damage([(); 2].map(|()| Some(authority.tls(HERE))));
}

#[test]
fn a_node_with_tls_and_one_without_say_so_to_each_other() {
    let authority = Authority::new();
    let (has, lacks) = ("this node speaks TLS, the peer does not", "it speaks TLS, this node does");
    let [from_a, from_b] = refused(Some(authority.tls(HERE)), None);
    assert!(from_a.contains(has), "{from_a}");
    assert!(from_b.contains("the peer speaks TLS, this node does not"), "{from_b}");
    let [from_a, from_b] = refused(None, Some(authority.tls(HERE)));
    assert!(from_a.contains(lacks) && from_a.contains("`ha.tls_certificate`"), "{from_a}");
    assert!(from_b.contains(has), "{from_b}");
}

#[test]
fn a_foreign_an_expired_and_another_hosts_certificate_are_refused_and_both_say_so() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = || Some(authority.tls(HERE));
    let unsigned = "has not signed it";
    let cases = [
        (Some(stranger.tls(HERE)), good(), [unsigned; 2]),
        (good(), Some(stranger.tls(HERE)), [unsigned; 2]),
        (Some(authority.expired()), good(), ["not valid at this time", "it has expired"]),
        (good(), Some(authority.expired()), ["it has expired", "not valid at this time"]),
        (good(), Some(authority.tls("node-b.example")), ["not for the host"; 2]),
    ];
    for (a, b, expected) in cases {
        let said = refused(a, b);
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.contains(expected), "{said:?}");
            assert!(said.contains("certificate") && said.contains("`ha.tls_authority`"), "{said}");
        }
    }
}

/// Bob's authority is known to Ann, but Ann's certificate is another's: only who is dialled can
/// see that.
#[test]
fn who_dials_has_to_show_a_certificate_of_the_authority_too() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut files = stranger.files(HERE, |_| ());
    files.authority = authority.files(HERE, |_| ()).authority;
    let ann = Tls::read(&files, SETTINGS).unwrap();
    let [from_a, from_b] = refused(Some(ann), Some(authority.tls(HERE)));
    assert!(from_a.contains("does not take this node's certificate"), "{from_a}");
    assert!(from_b.contains("the peer's certificate is not taken"), "{from_b}");
}

#[test]
fn certificates_do_not_stand_for_the_secret() {
    let authority = Authority::new();
    let (a, b) = pair_by(|a, b| {
        (a.tls, b.tls) = (Some(authority.tls(HERE)), Some(authority.tls(HERE)));
        a.identity.cluster = "door".to_owned();
    });
    assert!(a.refused().contains("cluster"));
    assert!(b.refused().contains("cluster"));
    let (a, b) = pair_by(|a, b| {
        (a.tls, b.tls) = (Some(authority.tls(HERE)), Some(authority.tls(HERE)));
        a.secret = crate::ha::secret::Secret::new("a secret of nobody else").unwrap();
    });
    assert!(a.refused().contains("secret"));
    assert!(b.refused().contains("secret"));
}

#[test]
fn garbage_before_tls_is_told_nothing_and_holds_up_nobody() {
    let authority = Authority::new();
    let mut bob = settings(NodeId::B, NOBODY);
    bob.tls = Some(authority.tls(HERE));
    let b = End::start(bob);
    assert_eq!(call(&b, b"GET / HTTP/1.1\r\nHost: peer\r\n\r\n"), b"");
    assert_eq!(call(&b, b""), b"");
    assert_eq!(call(&b, &[0x16]), b"");
    let entries = frame::encode(Kind::Entries, &[&[0; 100]]).unwrap();
    assert_eq!(call(&b, &entries), b"");
    call(&b, &[0x16, 3, 1, 0, 200, 1, 9, 9, 9]);
    call(&b, &[0x16; 2_000]);
    let mut ann = settings(NodeId::A, &b.link.address().to_string());
    ann.tls = Some(authority.tls(HERE));
    assert_eq!(End::start(ann).joined().name, "bob");
}
