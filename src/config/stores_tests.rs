//! The settings of stores: names of the user's own, and passwords that nobody sees.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::config::Raw;
use crate::config::SecretFrom;
use crate::config::Store;
use crate::config::StoreAt;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Vec<Store>, Vec<String>> {
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let config = Config::from_raw(&Raw::parse("twinflow.toml", text, variables));
    config.map(|config| config.stores).map_err(|faults| faults.0)
}

fn faults(text: &str) -> Vec<String> {
    load(text, &[]).unwrap_err()
}

fn named<'a>(stores: &'a [Store], name: &str) -> &'a Store {
    stores.iter().find(|store| store.name == name).unwrap_or_else(|| panic!("{name}: {stores:?}"))
}

#[test]
fn two_stores_are_there_without_a_word_and_lie_in_files() {
    let stores = load("[node]\ndata = '/var/node'\n", &[]).unwrap();
    let names: Vec<_> = stores.iter().map(|store| store.name.as_str()).collect();
    assert_eq!(names, ["EVENT_STORE", "PROCESSED_DATA_STORE"]);
    let file = PathBuf::from("/var/node/stores/EVENT_STORE.db");
    assert_eq!(stores[0].at, StoreAt::Sqlite(file));
    assert_eq!((stores[0].connections_max, stores[0].wait_max.as_secs()), (50, 60));
    assert_eq!(stores[0].password, SecretFrom::Nowhere);
}

#[test]
fn a_store_of_the_users_own_is_a_section_with_its_name() {
    let text = "[stores.orders]\nurl = 'mysql://db:3306/orders'\nuser = 'ann'\n\
                password_file = 'orders.password'\n[stores.small]\n[stores.local]\n\
                url = 'sqlite:/x/local.db'\n[stores.EVENT_STORE]\n\
                url = 'postgresql://db/events?sslmode=require'\n";
    let stores = load(text, &[]).unwrap();
    let orders = named(&stores, "orders");
    assert_eq!(orders.at, StoreAt::Mysql("mysql://db:3306/orders".to_owned()));
    assert_eq!(orders.user, "ann");
    assert_eq!(orders.password, SecretFrom::File(PathBuf::from("orders.password")));
    assert_eq!(named(&stores, "local").at, StoreAt::Sqlite(PathBuf::from("/x/local.db")));
    let small = PathBuf::from("data/stores/small.db");
    assert_eq!(named(&stores, "small").at, StoreAt::Sqlite(small));
    let events = "postgres://db/events?sslmode=require".to_owned();
    assert_eq!(named(&stores, "EVENT_STORE").at, StoreAt::Postgres(events));
    assert_eq!(stores.len(), 5);
}

#[test]
fn the_names_of_the_reference_keep_their_meaning() {
    let text = "[stores.X]\nusername = 'ann'\nurl = 'mysql://h/d'\nmaxActive = 7\n\
                maxWait = 1500\ntestOnBorrow = false\nvalidationQuery = 'SELECT 2'\n\
                validationInterval = 30000\n";
    let stores = load(text, &[]).unwrap();
    let x = named(&stores, "X");
    assert_eq!((x.user.as_str(), x.connections_max), ("ann", 7));
    assert_eq!((x.wait_max, x.test_on_borrow), (Duration::from_millis(1_500), false));
    let validation = (x.validation_query.as_str(), x.validation_interval.as_secs());
    assert_eq!(validation, ("SELECT 2", 30));
}

#[test]
fn variables_find_their_store_in_any_letter_case_or_make_one() {
    let variables = [
        ("TWINFLOW_STORES_MY_ORDERS_PASSWORD", "swordfish"),
        ("TWINFLOW_STORES_EVENT_STORE_MAXACTIVE", "3"),
        ("TWINFLOW_STORES_OTHER_PASSWORD_FILE", "x"),
        ("TWINFLOW_STORES_OTHER_URL", "mysql://h/d"),
    ];
    let stores = load("[stores.my-orders]\nurl = 'postgres://h/d'\n", &variables).unwrap();
    let SecretFrom::Here(password) = &named(&stores, "my-orders").password else { panic!() };
    assert_eq!(password.reveal(), "swordfish");
    assert_eq!(named(&stores, "EVENT_STORE").connections_max, 3);
    assert_eq!(named(&stores, "OTHER").password, SecretFrom::File(PathBuf::from("x")));
    let wrong = load("", &[("TWINFLOW_STORES_X_PASWORD", "swordfish")]).unwrap_err();
    assert!(wrong[0].contains("`TWINFLOW_STORES_X_PASWORD` is not a setting"), "{wrong:?}");
}

#[test]
fn faults_name_line_key_and_what_was_meant() {
    let text = "[stores.orders]\nurl = 'orakel://db/x'\npasword = 'swordfish'\n\
                [stores.'no name']\nurl = ''\n[stores.X]\nmaxActive = 0\n\
                url = 'mysql://ann:swordfish@h/d'\n[stores.Y]\nurl = 'mysql://h'\n";
    let told = faults(text);
    let expected = [
        "twinflow.toml:4: the name of a store must be 1 to 100 letters, digits, `_` or `-`, not \
         \"no name\"",
        "twinflow.toml:3: `stores.orders.pasword` is not a setting; did you mean \
         `stores.orders.password`?",
        "twinflow.toml:5: `stores.no name.url` is not a setting; `twinflow run --print-config` \
         lists the settings",
        "twinflow.toml:8: `stores.X.url` must be without user and password, which are settings of \
         their own, not an address with `@`",
        "twinflow.toml:7: `stores.X.maxActive` must be at least 1, not 0",
        "twinflow.toml:10: `stores.Y.url` must be \"sqlite:PATH\", \
         \"mysql://HOST:PORT/DATABASE\" or \"postgres://HOST:PORT/DATABASE\", not \"mysql://h\"",
        "twinflow.toml:2: `stores.orders.url` must be \"sqlite:PATH\", \
         \"mysql://HOST:PORT/DATABASE\" or \"postgres://HOST:PORT/DATABASE\", not \
         \"orakel://db/x\"",
    ];
    assert_eq!(told, expected);
    let nested = faults("[stores.X.more]\nurl = ''\n");
    assert!(nested[0].contains("`stores.X.more.url` is not a setting"), "{nested:?}");
}

#[test]
fn a_file_knows_no_users_and_one_password_is_enough() {
    let told = faults("[stores.X]\nuser = 'ann'\n");
    assert!(told[0].contains("2: `stores.X.user` must be left out"), "{told:?}");
    let told = faults("[stores.X]\npassword = 'swordfish'\n");
    assert!(told[0].contains("`stores.X.password` must be left out"), "{told:?}");
    assert!(!told[0].contains("swordfish"), "{told:?}");
    let text = "[stores.X]\nurl = 'mysql://h/d'\npassword = 'swordfish'\npassword_file = 'x'\n";
    let told = faults(text);
    assert!(told[0].contains("where `stores.X.password_file` is given"), "{told:?}");
    assert!(!told[0].contains("swordfish"), "{told:?}");
    let told = faults("[stores.X]\nurl = 'mysql://h/d'\npassword = 12345\n");
    assert_eq!(
        told,
        ["twinflow.toml:3: `stores.X.password` must be a text in quotes, not something else"]
    );
}

#[test]
fn passwords_are_printed_nowhere_and_what_is_printed_reads_back() {
    let text = "[stores.orders]\nurl = 'mysql://h/d'\nuser = 'ann'\npassword = 'swordfish'\n";
    let raw = Raw::parse("f", text, []);
    let config = Config::from_raw(&raw).unwrap();
    for shown in [raw.print(), format!("{raw:?} {config:?}")] {
        assert!(!shown.contains("swordfish"), "{shown}");
    }
    assert!(raw.print().contains("[stores.orders]\n"), "{}", raw.print());
    assert!(raw.print().contains("# It is set, and not shown.\npassword = \"\"\n"));
    let open = Raw::parse("f", &text.replace("password = 'swordfish'\n", ""), []);
    let again = Config::from_raw(&Raw::parse("g", &open.print(), [])).unwrap();
    assert_eq!(again, Config::from_raw(&open).unwrap());
}
