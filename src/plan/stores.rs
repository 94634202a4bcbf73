//! What is kept in a store: `@store` before a table or a stream, and `@From` of older plans.
//!
//! A table that is kept in a store lies in memory like any other; its changes are rows of a stream
//! of their own, which leave the plan as the rows of a sink do. What the options of a store mean is
//! for those to know who write to it.

use crate::event::Attribute;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Text;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Annotation;
use crate::language::tree::AnnotationElement;
use crate::language::tree::StringLiteral;
use crate::plan::annotations::find;
use crate::plan::annotations::is;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::logical::Endpoint;
use crate::plan::logical::EndpointOption;
use crate::plan::logical::Origin;
use crate::plan::logical::Table;
use crate::plan::logical::TableId;
use crate::plan::outside::errand_schema;

/// The first attribute of a table's changes: what was done, as the code of a [`Change`].
pub const CHANGE: &str = "_change";
/// The last attribute of the changes of a table without primary key: which row it is.
pub const ROW: &str = "_row";
/// The option that names the columns of a primary key.
pub const PRIMARY_KEYS: &str = "primary.keys";
/// The option that names the columns of indexes, one each.
pub const INDICES: &str = "indices";

/// The option that says whether the rows are in the store alone.
pub const EXTERNAL: &str = "external";

/// How many rows answers of an external table keep, and how; as `@cache` says.
pub const CACHE_SIZE: &str = "cache.size";
/// Which of them make room.
pub const CACHE_POLICY: &str = "cache.policy";
/// For how long they count.
pub const CACHE_KEPT: &str = "cache.retention.period";
/// How often those that are too old are forgotten.
pub const CACHE_PURGED: &str = "cache.purge.interval";

/// Something that takes the rows of a stream out of the plan.
#[derive(Clone, Debug)]
pub struct WayOut<'a> {
    /// The name under which its results are counted.
    pub name: Text,
    /// What it is, as written.
    pub endpoint: &'a Endpoint,
    /// What its rows mean.
    pub role: Role,
}

/// What the rows mean that leave a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Events, for a `@sink`.
    Sink,
    /// Events, which the `@store` of their stream keeps.
    Events,
    /// Changes of a table, for its `@store`.
    Changes,
    /// What is to be done with an external table, for its `@store`.
    Errands,
}

/// What was done to a row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Insert,
    /// Its values are others; its primary key is the same.
    Update,
    /// It is gone. Only what tells it from other rows is given.
    Delete,
}

impl Change {
    /// The number that stands for it.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Change::Insert => 0,
            Change::Update => 1,
            Change::Delete => 2,
        }
    }
}

impl Checker<'_> {
    /// The store that is named before a table or stream, as written.
    pub(super) fn store(&mut self, annotations: &[Annotation]) -> Option<Endpoint> {
        let (store, older) = (find(annotations, "store"), find(annotations, "from"));
        if let (Some(store), Some(older)) = (store, older) {
            let message = "a table is kept in one store";
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, older.span, message);
            self.report(fault.also(store.span, "first here"));
        }
        let annotation = store.or(older)?;
        let is_older = store.is_none();
        let mut options = Vec::new();
        let mut cache = None;
        for element in &annotation.elements {
            match element {
                AnnotationElement::Annotation(inner) if is(inner, "cache") => {
                    cache = Some(inner);
                }
                AnnotationElement::Annotation(inner) => {
                    self.unknown_inside(inner, &annotation.name.text, &["cache"]);
                }
                AnnotationElement::Property { .. } => {
                    let option = self.option(element, &annotation.name.text);
                    options.extend(option.and_then(|option| self.known(option, is_older)));
                }
            }
        }
        let place = options.iter().position(|option| option.key.eq_ignore_ascii_case("type"));
        let Some(place) = place else {
            let name = &annotation.name.text;
            let (key, message) = match is_older {
                true => ("eventtable", format!("`@{name}` needs an `eventtable`")),
                false => ("type", format!("`@{name}` needs a type")),
            };
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
            self.report(fault.help(format!("for example `@{name}({key}='rdbms', ..)`")));
            return None;
        };
        let kind = options.remove(place).value;
        let mut store = Endpoint { kind, options, map: None, span: annotation.span };
        match cache {
            Some(cache) if is_external(&store) => self.cache(cache, &mut store),
            Some(cache) => self.no_effect(cache.span, "`@cache`"),
            None => {}
        }
        Some(store)
    }

    /// What `@cache` says, as options of its store.
    fn cache(&mut self, cache: &Annotation, store: &mut Endpoint) {
        for element in &cache.elements {
            let Some(mut option) = self.option(element, &cache.name.text) else { continue };
            let key = option.key.to_ascii_lowercase();
            let known = [
                ("size", CACHE_SIZE),
                (CACHE_POLICY, CACHE_POLICY),
                ("retention.period", CACHE_KEPT),
                ("purge.interval", CACHE_PURGED),
            ];
            match known.iter().find(|(word, _)| *word == key) {
                Some((_, name)) => {
                    option.key = (*name).to_owned();
                    store.options.push(option);
                }
                None => {
                    let message = format!("`@cache` has no option `{}`", option.key);
                    let fault = Diagnostic::error(codes::BAD_ANNOTATION, option.span, message);
                    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
                    self.report(fault.help(format!("there are {}", words.join(", "))));
                }
            }
        }
        if !store.options.iter().any(|option| option.key == CACHE_SIZE) {
            let message = "`@cache` needs a size: how many rows are kept";
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, cache.span, message);
            self.report(fault.help("for example `@cache(size='10000', cache.policy='LRU')`"));
        }
    }

    /// An option as it is to be read; nothing if it has no effect.
    fn known(&mut self, mut option: EndpointOption, is_older: bool) -> Option<EndpointOption> {
        let key = option.key.to_ascii_lowercase();
        if key == EXTERNAL && option.value.eq_ignore_ascii_case("false") {
            return None;
        }
        if is_older {
            let is_cache = ["cache", "caching", "bloom."].iter().any(|word| key.starts_with(word));
            if is_cache {
                self.no_effect(option.span, &format!("`{}`", option.key));
                return None;
            }
            match key.as_str() {
                "eventtable" => option.key = "type".to_owned(),
                "datasource.name" => option.key = "datasource".to_owned(),
                _ => {}
            }
        }
        Some(option)
    }

    fn no_effect(&mut self, span: crate::language::tree::Span, what: &str) {
        let message = format!("{what} has no effect: all rows of the table are in memory");
        self.report(Diagnostic::warning(codes::UNKNOWN_ANNOTATION, span, message));
    }

    /// Whether the rows can be kept in a store.
    pub(super) fn storable(&mut self, store: &Endpoint, what: &str, schema: &Schema) -> bool {
        let object = schema.attributes.iter().find(|each| each.ty == DataType::Object);
        if let Some(object) = object {
            let message =
                format!("the {what} cannot be kept in a store: `{}` is an object", object.name);
            self.report(Diagnostic::error(codes::BAD_ANNOTATION, store.span, message));
        }
        object.is_none()
    }

    /// Whether a table that is known is kept in this store, or in none if there is none.
    pub(super) fn is_kept_in(&self, table: TableId, store: Option<&Endpoint>) -> bool {
        let known = self.plan.tables[table].changes;
        let known = known.and_then(|stream| self.plan.streams[stream].store.as_ref());
        match (known, store) {
            (Some(known), Some(store)) => place_of(known) == place_of(store),
            (known, store) => known.is_none() && store.is_none(),
        }
    }

    /// Gives a table a stream of its changes, which goes to its store.
    pub(super) fn keep_changes(&mut self, table: TableId, mut store: Endpoint) {
        let known = self.plan.tables[table].clone();
        if !self.storable(&store, "table", &known.schema) {
            return;
        }
        let Table { name, schema, primary_key, indexes, span, .. } = known;
        let mut given = Vec::new();
        for (key, columns) in [(PRIMARY_KEYS, &primary_key), (INDICES, &indexes)] {
            let names: Vec<&str> =
                columns.iter().map(|&column| schema.attributes[column].name.as_str()).collect();
            if !names.is_empty() {
                let (key, value) = (key.to_owned(), names.join(", "));
                given.push(EndpointOption { key, value, span: store.span });
            }
        }
        store.options.extend(given);
        if is_external(&store) {
            let schema = errand_schema(&schema);
            let errands = self.add_stream(&name, schema, Origin::Errands(table), span);
            self.plan.streams[errands].store = Some(store);
            self.plan.tables[table].changes = Some(errands);
            self.plan.tables[table].is_external = true;
            return;
        }
        let mut attributes = vec![Attribute { name: CHANGE.into(), ty: DataType::Int }];
        attributes.extend(schema.attributes);
        if primary_key.is_empty() {
            attributes.push(Attribute { name: ROW.into(), ty: DataType::Long });
        }
        let changes = self.add_stream(&name, Schema { attributes }, Origin::Changes(table), span);
        self.plan.streams[changes].store = Some(store);
        self.plan.tables[table].changes = Some(changes);
    }
}

/// Whether the rows are in the store alone.
pub(super) fn is_external(store: &Endpoint) -> bool {
    let says = |option: &EndpointOption| {
        option.key.eq_ignore_ascii_case(EXTERNAL) && option.value.eq_ignore_ascii_case("true")
    };
    store.options.iter().any(says)
}

/// In which table of which database a store is: another place is another table.
pub(super) fn place_of(store: &Endpoint) -> (String, Vec<(String, String)>) {
    let tells = |option: &&EndpointOption| {
        ["datasource", "table.name", EXTERNAL]
            .iter()
            .any(|key| option.key.eq_ignore_ascii_case(key))
    };
    let options = store.options.iter().filter(tells);
    let mut options: Vec<_> =
        options.map(|option| (option.key.to_ascii_lowercase(), option.value.clone())).collect();
    options.sort();
    (store.kind.to_ascii_lowercase(), options)
}

/// Takes an option away.
pub(super) fn take_option(store: &mut Endpoint, key: &str) -> Option<EndpointOption> {
    let place = store.options.iter().position(|option| option.key.eq_ignore_ascii_case(key));
    place.map(|place| store.options.remove(place))
}

/// The names that an option lists, with commas between.
pub(super) fn names_in(option: &EndpointOption) -> Vec<StringLiteral> {
    let names = option.value.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| StringLiteral { value: name.to_owned(), span: option.span }).collect()
}
