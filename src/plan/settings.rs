//! What `@app:..` annotations say about the plan as a whole.

use crate::language::diagnostic::Diagnostic;
use crate::language::suggest::closest;
use crate::language::tree::Annotation;
use crate::language::tree::StringLiteral;
use crate::plan::annotations::Before;
use crate::plan::annotations::positional;
use crate::plan::annotations::value;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::logical::Playback;
use crate::plan::zone::Zone;

/// How long a plan's name can be, in characters.
const LONGEST_NAME: usize = 100;

impl Checker<'_> {
    /// Reads the annotations of the plan.
    pub(super) fn settings(&mut self, annotations: &[Annotation]) {
        self.annotations(annotations, Before::Plan);
        for annotation in annotations {
            match annotation.name.text.to_ascii_lowercase().as_str() {
                "name" => self.plan_name(annotation),
                "description" => {
                    let text = self.only_value(annotation);
                    self.plan.description = text.map_or(String::new(), |text| text.value.clone());
                }
                "playback" => self.playback(annotation),
                "aggtimezone" => self.zone(annotation),
                "statistics" => self.statistics(annotation),
                "async" => {
                    let message = "a whole plan cannot be asynchronous";
                    let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
                    self.report(fault.help("put `@async(..)` before the streams that need it"));
                }
                "transportchannelcreationenabled" => {
                    if let Some(text) = self.only_value(annotation) {
                        self.channels = self.switch(text);
                    }
                }
                _ => {}
            }
        }
    }

    fn plan_name(&mut self, annotation: &Annotation) {
        let Some(name) = self.only_value(annotation) else { return };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        let length = name.value.chars().count();
        if (1..=LONGEST_NAME).contains(&length) && name.value.chars().all(fits) {
            self.plan.name = name.value.clone();
            return;
        }
        let message = format!("`{}` cannot be the name of a plan", name.value);
        let help = format!(
            "a name has 1 to {LONGEST_NAME} characters: letters a to z, digits, `_`, `-` and `.`"
        );
        self.report(Diagnostic::error(codes::BAD_PLAN_NAME, name.span, message).help(help));
    }

    /// `@app:statistics`: figures are there without it; its values are looked at all the same.
    fn statistics(&mut self, annotation: &Annotation) {
        if let Some(enable) = value(annotation, "enable") {
            self.switch(enable);
        }
        for only in positional(annotation) {
            self.switch(only);
        }
        if let Some(reporter) = value(annotation, "reporter")
            && !["console", "jmx"].contains(&reporter.value.to_ascii_lowercase().as_str())
        {
            let message = format!("there is no reporter `{}`", reporter.value);
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, reporter.span, message);
            self.report(fault.help("console or jmx"));
        }
        if let Some(interval) = value(annotation, "interval")
            && !interval.value.trim().parse::<u32>().is_ok_and(|seconds| seconds > 0)
        {
            let message = format!("`interval` takes whole seconds, not `{}`", interval.value);
            self.report(Diagnostic::error(codes::BAD_ANNOTATION, interval.span, message));
        }
    }

    fn zone(&mut self, annotation: &Annotation) {
        let Some(text) = self.only_value(annotation) else { return };
        match Zone::read(&text.value) {
            Some(zone) => self.zone = zone,
            None => {
                let message = format!("`{}` is no time zone", text.value);
                let fault = Diagnostic::error(codes::BAD_ANNOTATION, text.span, message);
                let names = Zone::names();
                let fault = match closest(&text.value, names.iter().map(String::as_str)) {
                    Some(name) => fault.suggest(text.span, format!("'{name}'")),
                    None => fault,
                };
                self.report(
                    fault.help("a name, as 'Europe/Berlin', or a distance to UTC, as '+05:30'"),
                );
            }
        }
    }

    fn playback(&mut self, annotation: &Annotation) {
        let (idle, increment) = (value(annotation, "idle.time"), value(annotation, "increment"));
        let idle = match (idle, increment) {
            (None, None) => None,
            (Some(idle), Some(increment)) => self.duration(idle).zip(self.duration(increment)),
            // Another key may be a misspelt one of them.
            (Some(_), None) | (None, Some(_)) if annotation.elements.len() > 1 => None,
            (Some(_), None) | (None, Some(_)) => {
                let message = "`idle.time` and `increment` belong together";
                let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
                let example = "@app:playback(idle.time='100 millisec', increment='1 sec')";
                self.report(fault.help(format!("for example `{example}`")));
                None
            }
        };
        self.plan.playback = Some(Playback { idle });
    }

    /// The one value without key that an annotation has.
    pub(super) fn only_value<'t>(
        &mut self,
        annotation: &'t Annotation,
    ) -> Option<&'t StringLiteral> {
        let values = positional(annotation);
        if let [only] = values.as_slice() {
            return Some(only);
        }
        let name = &annotation.name.text;
        let message = format!("`@{name}` takes one value, not {}", values.len());
        self.report(Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message));
        None
    }
}
