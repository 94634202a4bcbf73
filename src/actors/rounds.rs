//! An actor that does the same thing again and again, in a thread of its own.

use std::time::Duration;

use actix::prelude::*;

use crate::actors::threads::Thread;
use crate::actors::tree::ChildSpec;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::actors::tree::Policy;
use crate::actors::tree::WhenGivenUp;

/// What is done on each round.
pub trait Round: Send + 'static {
    /// The actor's name in the tree, and its kind.
    const NAME: &'static str;
    /// Between two rounds.
    const EVERY: Duration;
    /// Goes once round.
    fn go(&mut self);
}

struct Rounds<R> {
    round: R,
    lifeline: Lifeline,
}

/// Rounds as a child that is raised again however often it falls; `make` is called for each life.
#[must_use]
pub fn child<R: Round + Unpin>(
    rank: u8,
    policy: Policy,
    mut make: impl FnMut() -> R + Send + 'static,
) -> ChildSpec {
    let thread = Thread::start();
    ChildSpec {
        name: R::NAME.to_owned(),
        kind: R::NAME,
        rank,
        policy,
        when_given_up: WhenGivenUp::Leave,
        grace: Duration::from_secs(10),
        start: Box::new(move |lifeline| {
            let round = make();
            let actor = move |_: &mut Context<_>| Rounds { round, lifeline };
            Rounds::start_in_arbiter(&thread.handle(), actor).recipient()
        }),
    }
}

impl<R: Round + Unpin> Actor for Rounds<R> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(R::EVERY, |this, _| this.round.go());
    }
}

impl<R: Round + Unpin> Handler<Control> for Rounds<R> {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                self.lifeline.end(Exit::Asked);
                ctx.stop();
            }
            Control::Fall => Control::fall(),
        }
    }
}
