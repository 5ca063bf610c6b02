//! Each fault as those at the ends of a connection see it.

mod cut_and_silence;
mod damage;
mod ends;
mod hosts;
mod overlap;
