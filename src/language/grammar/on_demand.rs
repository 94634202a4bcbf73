//! On-demand queries: asked once, of a table, window or aggregation.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::Failed;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::OnDemandKind;
use crate::language::tree::OnDemandQuery;

/// Words with which an on-demand query begins.
const STARTS: &[Keyword] = &[Keyword::From, Keyword::Select, Keyword::Delete, Keyword::Update];
/// What follows the selection of one that writes.
const WRITES: &[Keyword] = &[Keyword::Insert, Keyword::Delete, Keyword::Update];

/// Reads a whole on-demand query; nothing if it cannot be read.
pub(in crate::language) fn on_demand_query(parser: &mut Parser<'_>) -> Option<OnDemandQuery> {
    let query = parser.on_demand().ok()?;
    parser.eat(TokenKind::Semicolon);
    if !parser.at(TokenKind::End) {
        let expected = "the end of the query";
        return parser.misplaced::<OnDemandQuery>(expected).ok();
    }
    Some(query)
}

impl Parser<'_> {
    fn on_demand(&mut self) -> Read<OnDemandQuery> {
        let start = self.here();
        self.mend(STARTS);
        if self.at_keyword(Keyword::From) {
            let kind = self.find()?;
            self.mend(&[Keyword::Select]);
            let selection = match self.at_keyword(Keyword::Select) {
                true => Some(self.selection()?),
                false => None,
            };
            return Ok(OnDemandQuery { kind, selection, span: self.since(start) });
        }
        let selection = match self.at_keyword(Keyword::Select) {
            true => Some(self.selection()?),
            false => None,
        };
        self.mend(WRITES);
        let kind = match (self.peek(0).keyword, &selection) {
            (Some(Keyword::Insert), Some(_)) => self.insert_rows()?,
            (Some(Keyword::Delete), _) => self.delete_rows()?,
            (Some(Keyword::Update), _) => self.update_rows(selection.is_some())?,
            (_, Some(_)) => {
                return self.misplaced("`insert into`, `update`, `update or insert` or `delete`");
            }
            _ => return self.unexpected("`from`, `select`, `update` or `delete`"),
        };
        Ok(OnDemandQuery { kind, selection, span: self.since(start) })
    }

    fn find(&mut self) -> Read<OnDemandKind> {
        self.bump();
        let source = self.name("the name of a table, window or aggregation after `from`")?;
        let alias = match self.eat_keyword(Keyword::As) {
            true => Some(self.name("another name after `as`")?),
            false => None,
        };
        let on = match self.eat_keyword(Keyword::On) {
            true => Some(self.expression()?),
            false => None,
        };
        let range = self.opt_aggregation_range()?;
        Ok(OnDemandKind::Find { source, alias, on, range })
    }

    fn insert_rows(&mut self) -> Read<OnDemandKind> {
        self.bump();
        self.expect_keyword(Keyword::Into, "after `insert`")?;
        let target = self.source_name("the name of a table after `into`")?;
        Ok(OnDemandKind::Insert { target })
    }

    fn delete_rows(&mut self) -> Read<OnDemandKind> {
        self.bump();
        let target = self.source_name("the name of a table after `delete`")?;
        let on = match self.eat_keyword(Keyword::On) {
            true => Some(self.expression()?),
            false => None,
        };
        Ok(OnDemandKind::Delete { target, on })
    }

    fn update_rows(&mut self, selected: bool) -> Read<OnDemandKind> {
        self.bump();
        if self.at_or_insert() {
            if !selected {
                let message = "`update or insert` needs a `select` before it";
                let diagnostic = Diagnostic::error(codes::UNEXPECTED, self.here(), message);
                self.report(diagnostic.help("as in: select 5 as a update or insert into T on .."));
                return Err(Failed);
            }
            self.or_insert_into()?;
            let target = self.source_name("the name of a table after `into`")?;
            let (set, on) = self.set_and_on()?;
            return Ok(OnDemandKind::UpdateOrInsert { target, set, on });
        }
        let target = self.source_name("the name of a table after `update`")?;
        let (set, on) = self.set_and_on()?;
        Ok(OnDemandKind::Update { target, set, on })
    }
}
