//! Ensembles whose membership changes while they serve.

mod reconfig;
