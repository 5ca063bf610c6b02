//! Ensembles inside a process.

mod links;
