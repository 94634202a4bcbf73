//! The record of a pair as a row at a server: races, damage, silence, answers that get lost, a
//! server whose clock is wrong, and a pair that is decided by it.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value as Json;
use twinflow::config::Config;
use twinflow::config::Raw;
use twinflow::event::DataType;
use twinflow::ha::arbiter::ArbiterError;
use twinflow::ha::arbiter::Pair;
use twinflow::ha::arbiter::RecordStore;
use twinflow::ha::arbiter::Written;
use twinflow::ha::arbiter::sql::SqlStore;
use twinflow::ha::protocol::NodeId;
use twinflow::ha::protocol::Record;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client;
use crate::proxy::Proxy;
use crate::servers::Place;
use crate::servers::Server;
use crate::servers::Which;
use crate::servers::store;

const WAIT: Duration = Duration::from_secs(1);

fn arbiter_at(settings: &str, wait: Duration) -> SqlStore {
    let text = format!("[stores.tested]\n{settings}");
    let config = Config::from_raw(&Raw::parse("test", &text, [])).expect("good settings");
    let found = config.stores.iter().find(|store| store.name == "tested").expect("it is named");
    SqlStore::new(found, Pair { cluster: "gate".to_owned(), lease: 2_000 }, wait)
}

fn arbiter(place: &Place) -> SqlStore {
    arbiter_at(place.settings(), Duration::from_secs(20))
}

fn next(record: &Record, holder: NodeId) -> Record {
    Record { epoch: record.epoch.next(), holder: Some(holder), ..record.clone() }
}

fn races_have_one_winner_a_version(place: &Place) {
    const ROUNDS: u64 = 100;
    let race = |node: NodeId| {
        let mut store = arbiter(place);
        let mut won = Vec::new();
        let mut known = store.read().unwrap();
        while known.version.0 < ROUNDS {
            match store.write(known.version, &next(&known, node)).unwrap() {
                Written::Won(record) => {
                    assert_eq!(record.version, known.version.next());
                    won.push(record.version.0);
                    known = record;
                }
                Written::Lost(record) => {
                    assert!(record.version > known.version, "a loss tells a newer version");
                    known = record;
                }
            }
        }
        won
    };
    let mut all = thread::scope(|scope| {
        let races = [NodeId::A, NodeId::B].map(|node| scope.spawn(move || race(node)));
        races.map(|race| race.join().unwrap()).concat()
    });
    all.sort_unstable();
    assert_eq!(all, (1..=ROUNDS).collect::<Vec<_>>());
}

fn damage_is_told_and_no_row_made_again(place: &Place) {
    let mut store = arbiter(place);
    let record = store.read().unwrap();
    assert_eq!(record, Record::virgin(record.arbiter, 2_000));
    assert_eq!(arbiter(place).read().unwrap(), record, "others find the same");
    let foreign = Record { arbiter: twinflow::ha::protocol::ArbiterId(1), ..record.clone() };
    assert_eq!(store.write(record.version, &foreign).unwrap(), Written::Lost(record.clone()));
    let mut session = place.session();
    let good = session.query("SELECT record FROM twinflow_arbiter", &[], &[DataType::Text]);
    let good = good.unwrap().row(0)[0].as_text().unwrap().to_owned();
    let faults = [
        ("UPDATE twinflow_arbiter SET record = 'xyz'", "no hexadecimal"),
        ("UPDATE twinflow_arbiter SET record = '00'", "checksum"),
        ("DELETE FROM twinflow_arbiter", "row is gone"),
    ];
    for (fault, expected) in faults {
        session.run(fault).unwrap();
        let error = store.write(record.version, &next(&record, NodeId::A)).unwrap_err();
        assert!(matches!(error, ArbiterError::DamagedRow { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        session.run(&format!("UPDATE twinflow_arbiter SET record = '{good}'")).unwrap();
    }
    let other = arbiter(place).read().unwrap();
    assert_ne!(other.arbiter, record.arbiter, "another process makes another record");
}

fn a_server_that_is_away_or_slow_gives_no_answer(which: Which) {
    let (place, server) = Place::alone(which);
    let mut store = arbiter_at(place.settings(), WAIT);
    let record = store.read().unwrap();
    server.pause();
    let asked = Instant::now();
    let written = store.write(record.version, &next(&record, NodeId::A));
    let took = asked.elapsed();
    // Before anything is judged: nobody else must find it standing still.
    server.resume();
    let error = written.unwrap_err();
    assert!(matches!(error, ArbiterError::Unreachable { .. }), "{error}");
    // The setting says 1 s; a busy machine may add some.
    assert!(took < Duration::from_secs(10), "{took:?}");
    let after = store.read().or_else(|_| store.read()).unwrap();
    let landed = after.version == record.version.next();
    assert!(landed || after == record, "{after:?}");
    server.kill();
    let error = store.read().unwrap_err();
    assert!(matches!(error, ArbiterError::Unreachable { .. }), "{error}");
    server.start_again();
    assert_eq!(store.read().or_else(|_| store.read()).unwrap(), after, "what it kept");
}

fn an_answer_lost_after_the_commit_is_found_by_the_next_read(place: &Place) {
    let port = Server::of(place.which).port;
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], port)));
    let by = proxy.address.port();
    let settings = place.settings().replace(&format!(":{port}/"), &format!(":{by}/"));
    let mut store = arbiter_at(&settings, 3 * WAIT);
    let record = store.read().unwrap();
    let mut direct = arbiter(place);
    let mut lock = place.session();
    lock.begin().unwrap();
    let sql = "SELECT version FROM twinflow_arbiter FOR UPDATE";
    lock.query(sql, &[], &[DataType::Long]).unwrap();
    let waiting = match place.which {
        Which::Mariadb => {
            "SELECT count(*) FROM information_schema.processlist \
             WHERE info LIKE 'UPDATE twinflow_arbiter%' AND db = database()"
        }
        _ => {
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
             WHERE NOT l.granted AND a.datname = current_database()"
        }
    };
    let mut looker = place.session();
    let written = thread::scope(|scope| {
        let writing = scope.spawn(|| store.write(record.version, &next(&record, NodeId::B)));
        wait("the write waits for the lock", || {
            let found = looker.query(waiting, &[], &[DataType::Long]).unwrap();
            (found.row(0)[0].as_long() > Some(0)).then_some(())
        });
        // From here on it hears nothing; then its write goes through.
        proxy.stall(false, true);
        lock.rollback().unwrap();
        wait("it is committed", || (direct.read().unwrap() != record).then_some(()));
        writing.join().unwrap()
    });
    let error = written.unwrap_err();
    assert!(matches!(error, ArbiterError::Unreachable { .. }), "{error}");
    proxy.stall(false, false);
    proxy.cut();
    let now = direct.read().unwrap();
    assert_eq!((now.version, now.holder), (record.version.next(), Some(NodeId::B)));
    assert_eq!(store.read().or_else(|_| store.read()).unwrap(), now, "the next answer tells");
}

fn pair_settings(place: &Place, node: usize, links: [SocketAddr; 2], listen: SocketAddr) -> String {
    let [name, other] = if node == 0 { ["a", "b"] } else { ["b", "a"] };
    let peer = links[usize::from(other == "b")];
    format!(
        "[node]\nname = 'node-{name}'\n[ha]\nenabled = true\nnode = '{name}'\n\
         listen = '{listen}'\npeer = '{peer}'\nsecret = 'the secret of these tests'\n\
         arbiter = 'store:tested'\n[stores.tested]\n{}",
        place.settings()
    )
}

fn view(node: &Node) -> Json {
    let asked = client::ask_within(node.address(), SOON, "GET", "/api/v1/ha", &[], None);
    asked.map_or(Json::Null, |answer| answer.json())
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + 2 * SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it is bound")
}

fn in_sync(nodes: &[Node; 2]) -> usize {
    wait("the pair is in sync", || {
        (0..2).find(|&node| {
            let view = view(&nodes[node]);
            view["may_act"] == true && view["in_sync"] == true && view["lag_entries"] == 0
        })
    })
}

/// The active is killed, and the server is gone for longer than a lease in between.
fn a_pair_is_decided_by(place: &Place, server: Option<&Server>) {
    let links = [free_port(), free_port()];
    let node = |node: usize| Node::start(&[], &pair_settings(place, node, links, links[node]));
    let mut nodes = [node(0), node(1)];
    for round in 0..2 {
        let active = in_sync(&nodes);
        let epoch = view(&nodes[active])["epoch"].as_u64().unwrap();
        if let Some(server) = server.filter(|_| round == 0) {
            server.kill();
            thread::sleep(Duration::from_secs(4));
            let now = view(&nodes[active]);
            assert_eq!((&now["may_act"], now["epoch"].as_u64()), (&Json::Bool(true), Some(epoch)));
            server.start_again();
            // It has to have been asked again before it is needed.
            thread::sleep(Duration::from_secs(2));
            assert_eq!(in_sync(&nodes), active);
        }
        nodes[active].kill();
        let other = 1 - active;
        wait("the other node acts", || {
            let now = view(&nodes[other]);
            let acts = now["role"] == "active" && now["may_act"] == true;
            (acts && now["epoch"].as_u64() > Some(epoch)).then_some(())
        });
        nodes[active].start_again();
    }
    in_sync(&nodes);
}

fn a_wrong_clock_of_the_server_does_not_matter(which: Which) {
    let server = Server::with_clock(which, "+1h");
    let settings = server.settings(which);
    let place = Place::at(which, settings);
    let hour = match which {
        Which::Mariadb => "SELECT CAST(unix_timestamp() AS SIGNED)",
        _ => "SELECT extract(epoch FROM now())::bigint",
    };
    let mut session = store(place.settings(), "").session().unwrap();
    let theirs = session.query(hour, &[], &[DataType::Long]).unwrap().row(0)[0].as_long().unwrap();
    let ours = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let ahead = theirs - ours.as_secs() as i64;
    assert!((3_500..3_700).contains(&ahead), "its clock is {ahead} s ahead");
    races_have_one_winner_a_version(&place);
    session.run("DELETE FROM twinflow_arbiter").unwrap();
    a_pair_is_decided_by(&place, None);
}

macro_rules! on_servers {
    ($($name:ident: $test:expr;)*) => {
        mod mariadb {
            use super::*;
            $(#[test] fn $name() { let test = $test; test(Which::Mariadb); })*
        }
        mod postgres {
            use super::*;
            $(#[test] fn $name() { let test = $test; test(Which::Postgres); })*
        }
    };
}

on_servers! {
    two_nodes_race_and_each_version_has_one_winner:
        |which| races_have_one_winner_a_version(&Place::shared(which));
    damage_is_told: |which| damage_is_told_and_no_row_made_again(&Place::shared(which));
    away_or_slow_is_no_answer: a_server_that_is_away_or_slow_gives_no_answer;
    an_answer_lost_after_the_commit:
        |which| an_answer_lost_after_the_commit_is_found_by_the_next_read(&Place::shared(which));
    the_server_is_killed_and_then_the_active: |which| {
        let (place, server) = Place::alone(which);
        a_pair_is_decided_by(&place, Some(server));
    };
    its_clock_is_off_by_an_hour: a_wrong_clock_of_the_server_does_not_matter;
}
