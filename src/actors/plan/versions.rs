//! Makes what runs a version: of those this process knows, what was checked already.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::actors::plan::Version;
use crate::replica::Deployment;
use crate::replica::EngineMaker;
use crate::replica::Made;
use crate::replica::Maker;

/// The versions of a plan that this process ordered; others are read anew from the log.
#[derive(Default)]
pub struct Versions(Mutex<Vec<(Deployment, Made)>>);

impl Versions {
    /// Knows a version from now on; those before it are forgotten once it is made.
    pub fn remember(&self, version: &Version) {
        let (plan, builder) = (Arc::clone(&version.plan), Arc::clone(&version.builder));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push((version.deployment(), Made { plan, builder }));
    }
}

impl Maker for Versions {
    fn make(&self, deployment: &Deployment) -> Result<Made, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What chance is drawn from is said by the log, which another node may have written.
        let same = |of: &Deployment| of.number == deployment.number && of.text == deployment.text;
        let place = known.iter().position(|(of, _)| same(of));
        let Some(place) = place else { return EngineMaker.make(deployment) };
        let mut made = known[place].1.clone();
        if let Some(builder) = made.builder.with_secret(deployment.secret) {
            made.builder = builder;
        }
        known.drain(..place);
        Ok(made)
    }
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Versions")
    }
}
