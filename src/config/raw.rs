//! Settings as written: from the file, then from the environment, each with the place it came from.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::Faults;
use crate::config::settings;
use crate::config::settings::ALIASES;
use crate::config::settings::SECRETS;
use crate::config::settings::SECTIONS;
use crate::config::settings::SETTINGS;
use crate::config::settings::STORE_NAMES;
use crate::config::settings::STORES;
use crate::config::settings::Setting;

/// Variables that a cluster sets by itself for a service called `twinflow`.
const FOREIGN_VARIABLES: &[&str] = &["TWINFLOW_SERVICE_", "TWINFLOW_PORT"];

/// A store's name is that of a file and stands in messages.
const STORE_NAME_MAX: usize = 100;

/// Every setting with its written value, not yet checked, and the faults of reading.
#[derive(Clone)]
pub struct Raw {
    items: BTreeMap<String, Item>,
    stores: BTreeSet<String>,
    pub(super) faults: Vec<String>,
}

/// A written value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) value: Written,
    /// `twinflow.toml:3`, `environment` or `default`.
    pub(super) origin: String,
    /// The key, or the variable that overrode it.
    pub(super) name: String,
}

/// A value in one of the three kinds that settings have.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    Text(String),
    Whole(i64),
    Flag(bool),
    /// No setting is of this kind; kept for the message.
    Other(String),
}

impl Written {
    /// A number that counts in this unit, as a text with it.
    fn with_unit(self, unit: &str) -> Written {
        match self {
            Written::Whole(number) if !unit.is_empty() => Written::Text(format!("{number}{unit}")),
            other => other,
        }
    }
}

impl std::fmt::Display for Written {
    /// As TOML.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{}\"", escaped(text)),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::fmt::Debug for Raw {
    /// As printed, for a secret is not shown there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.print())
    }
}

impl Raw {
    /// The settings of a node without file and variables.
    #[must_use]
    pub fn defaults() -> Self {
        Self::parse("", "", [])
    }

    /// Reads the file, if one is named, and the variables.
    ///
    /// # Errors
    /// When the file cannot be read; all other faults are kept for the check.
    pub fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        let Some(file) = file else {
            return Ok(Self::parse("", "", variables));
        };
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Self::parse(&name, &text, variables)),
            Err(error) => Err(Faults(vec![format!("{name}: cannot be read: {error}")])),
        }
    }

    /// Takes the text of a file called `name`, then the variables.
    pub fn parse(
        name: &str,
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut raw = Self { items: BTreeMap::new(), stores: BTreeSet::new(), faults: Vec::new() };
        raw.items.extend(default_items(&Place::Once));
        STORE_NAMES.iter().for_each(|name| raw.make_store(name));
        raw.take_file(name, text);
        let mut variables: Vec<_> = variables.into_iter().collect();
        // By name, so that the order of faults is fixed; of one name the last wins.
        variables.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (variable, value) in variables {
            raw.take_variable(&variable, value);
        }
        raw
    }

    /// The settings in force as an annotated file.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::from(
            "# Settings of a Twinflow node. Every line may be left out: what stands here is the\n\
             # default. A variable goes before the file: TWINFLOW_HTTP_LISTEN is http.listen.\n\
             # `twinflow run --print-config` prints the settings in force in this form.\n",
        );
        for (section, about) in SECTIONS {
            write!(out, "\n# {about}\n").expect("a String takes everything");
            if *section == STORES {
                let mut explained = false;
                for name in &self.stores {
                    self.print_section(&mut out, &Place::Store(name), section, !explained);
                    explained = true;
                }
            } else {
                self.print_section(&mut out, &Place::Once, section, true);
            }
        }
        out
    }

    fn print_section(&self, out: &mut String, place: &Place<'_>, section: &str, explain: bool) {
        if !explain {
            out.push('\n');
        }
        writeln!(out, "[{}]", place.key(section)).expect("a String takes everything");
        for setting in SETTINGS {
            let Some(name) = setting.key.strip_prefix(&format!("{section}.")) else {
                continue;
            };
            for line in setting.help.iter().filter(|_| explain) {
                writeln!(out, "# {line}").expect("a String takes everything");
            }
            let mut value = &self.item(&place.key(setting.key)).value;
            let nothing = Written::Text(String::new());
            if SECRETS.contains(&setting.key) && *value != nothing {
                out.push_str("# It is set, and not shown.\n");
                value = &nothing;
            }
            writeln!(out, "{name} = {value}").expect("a String takes everything");
        }
    }

    /// The names of all stores, in order.
    pub(super) fn stores(&self) -> impl Iterator<Item = &String> {
        self.stores.iter()
    }

    fn take_store(&mut self, origin: &str, name: &str) {
        if is_store_name(name) {
            return self.make_store(name);
        }
        self.faults.push(format!(
            "{origin}: the name of a store must be 1 to {STORE_NAME_MAX} letters, digits, `_` or \
             `-`, not \"{}\"",
            escaped(name)
        ));
    }

    fn make_store(&mut self, name: &str) {
        if self.stores.insert(name.to_owned()) {
            self.items.extend(default_items(&Place::Store(name)));
        }
    }

    pub(super) fn item(&self, key: &str) -> &Item {
        self.items.get(key).expect("`default_items` has put every setting here")
    }

    fn take_file(&mut self, name: &str, text: &str) {
        let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = line(error.span().map_or(0, |span| span.start));
            self.faults.push(format!("{name}:{line}: {}", error.message()));
        }
        if let Some(DeValue::Table(stores)) = table.get_ref().get("stores").map(|t| t.get_ref()) {
            for store in stores.keys() {
                let origin = format!("{name}:{}", line(store.span().start));
                self.take_store(&origin, store.get_ref());
            }
        }
        let mut written = Vec::new();
        flatten("", table.get_ref(), &mut written);
        written.sort_by_key(|(_, _, offset)| *offset);
        for (key, value, offset) in written {
            let origin = format!("{name}:{}", line(offset));
            let place = Place::of_key(&key, &self.stores);
            match known(&key, |key| place.key(key)) {
                Some((setting, unit)) => {
                    let value = value.with_unit(unit);
                    let before = self.item(&place.key(setting.key));
                    if before.origin != "default" {
                        let same = &before.name;
                        self.faults.push(format!(
                            "{origin}: `{key}` is the same setting as `{same}`; give it once"
                        ));
                    }
                    let item = Item { value, origin, name: key.clone() };
                    self.items.insert(place.key(setting.key), item);
                }
                None => self.refuse(&origin, &key, SETTINGS.iter().map(|s| place.key(s.key))),
            }
        }
    }

    fn take_variable(&mut self, variable: &str, value: String) {
        let ours = variable.starts_with("TWINFLOW_")
            && variable != "TWINFLOW_CONFIG"
            && !FOREIGN_VARIABLES.iter().any(|prefix| variable.starts_with(prefix));
        if !ours {
            return;
        }
        let store = store_of_variable(variable, &self.stores);
        let place = store.as_deref().map_or(Place::Once, Place::Store);
        let Some((setting, unit)) = known(variable, |key| settings::variable(&place.key(key)))
        else {
            self.refuse("environment", variable, SETTINGS.iter().map(Setting::variable));
            return;
        };
        if let Place::Store(store) = place {
            self.make_store(store);
        }
        let key = place.key(setting.key);
        let value = match &self.item(&key).value {
            _ if !unit.is_empty() => value
                .parse()
                .map(|number| Written::Whole(number).with_unit(unit))
                .unwrap_or(Written::Text(value)),
            Written::Flag(_) => value.parse().map(Written::Flag).unwrap_or(Written::Text(value)),
            Written::Whole(_) => value.parse().map(Written::Whole).unwrap_or(Written::Text(value)),
            Written::Text(_) | Written::Other(_) => Written::Text(value),
        };
        let item = Item { value, origin: "environment".to_owned(), name: variable.to_owned() };
        self.items.insert(key, item);
    }

    fn refuse(&mut self, origin: &str, key: &str, known: impl Iterator<Item = String>) {
        let nearest = known
            .map(|known| (strsim::damerau_levenshtein(key, &known), known))
            .min()
            .filter(|(distance, known)| *distance <= known.len() / 3)
            .map(|(_, known)| known);
        let hint = match within(key).or(nearest) {
            Some(known) => format!("; did you mean `{known}`?"),
            None => "; `twinflow run --print-config` lists the settings".to_owned(),
        };
        self.faults.push(format!("{origin}: `{key}` is not a setting{hint}"));
    }
}

/// The setting of this name, or of this other name, and the unit of its numbers under that name.
fn known(name: &str, form: impl Fn(&str) -> String) -> Option<(&'static Setting, &'static str)> {
    let setting = |key: &str| SETTINGS.iter().find(|setting| setting.key == key);
    let direct = SETTINGS.iter().find(|setting| form(setting.key) == name);
    let other = || ALIASES.iter().find(|(alias, ..)| form(alias) == name);
    match direct {
        Some(setting) => Some((setting, "")),
        None => other().and_then(|(_, key, unit)| Some((setting(key)?, *unit))),
    }
}

/// The first setting of a section whose name stands alone, as in `node = 1`.
fn within(key: &str) -> Option<String> {
    let inside = format!("{key}.");
    let setting = SETTINGS.iter().find(|setting| setting.key.starts_with(&inside))?;
    Some(setting.key.to_owned())
}

fn default_items(place: &Place<'_>) -> BTreeMap<String, Item> {
    let mut items = BTreeMap::new();
    for setting in SETTINGS {
        if setting.key.starts_with(STORES) != matches!(place, Place::Store(_)) {
            continue;
        }
        let value = DeValue::parse(setting.default).expect("defaults are TOML; a test reads each");
        let value = written(value.get_ref());
        let key = place.key(setting.key);
        items.insert(key.clone(), Item { value, origin: "default".to_owned(), name: key });
    }
    items
}

/// Whether a setting is there once, or is that of one store.
enum Place<'a> {
    Once,
    Store(&'a str),
}

impl<'a> Place<'a> {
    fn of_key(key: &'a str, stores: &BTreeSet<String>) -> Place<'a> {
        let named = key.strip_prefix("stores.").and_then(|rest| rest.rsplit_once('.'));
        match named {
            Some((store, _)) if stores.contains(store) => Place::Store(store),
            _ => Place::Once,
        }
    }

    /// The key in the table of settings with the store's name in it.
    fn key(&self, key: &str) -> String {
        match self {
            Place::Store(name) => key.replacen("NAME", name, 1),
            Place::Once => key.to_owned(),
        }
    }
}

fn is_store_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=STORE_NAME_MAX).contains(&name.len()) && name.chars().all(fits)
}

/// The store that a variable is about: one that is known in whatever letter case, or a new one.
fn store_of_variable(variable: &str, stores: &BTreeSet<String>) -> Option<String> {
    let rest = variable.strip_prefix("TWINFLOW_STORES_")?;
    let keys = SETTINGS.iter().map(|setting| setting.key).chain(ALIASES.iter().map(|a| a.0));
    let names = keys.filter_map(|key| key.strip_prefix(STORES)?.strip_prefix('.'));
    // The longest that fits, for `_FILE` may be the end of a store's name or of a setting's.
    let name = names
        .filter_map(|name| rest.strip_suffix(&format!("_{}", name.to_uppercase())))
        .min_by_key(|store| store.len())
        .filter(|store| is_store_name(store))?;
    let same = |store: &&String| store.to_uppercase().replace('-', "_") == name;
    Some(stores.iter().find(same).map_or(name, String::as_str).to_owned())
}

/// Tables in tables become dotted keys, each with the offset of its name.
fn flatten(prefix: &str, table: &DeTable<'_>, into: &mut Vec<(String, Written, usize)>) {
    for (name, value) in table {
        let key = match prefix {
            "" => name.get_ref().to_string(),
            _ => format!("{prefix}.{}", name.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(table) => flatten(&key, table, into),
            value => into.push((key, written(value), name.span().start)),
        }
    }
}

fn written(value: &DeValue<'_>) -> Written {
    match value {
        DeValue::String(text) => Written::Text(text.to_string()),
        DeValue::Boolean(flag) => Written::Flag(*flag),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Written::Other(number.as_str().to_owned()), Written::Whole),
        DeValue::Float(number) => Written::Other(number.as_str().to_owned()),
        DeValue::Datetime(moment) => Written::Other(moment.to_string()),
        DeValue::Array(_) => Written::Other("a list".to_owned()),
        DeValue::Table(_) => Written::Other("a table".to_owned()),
    }
}

/// The text as the inside of a TOML string.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
