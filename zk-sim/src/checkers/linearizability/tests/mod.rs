//! The checker checked: named histories, brute force, and big ones.

mod agreement;
mod big;
mod brute_force;
mod known;
mod shown;
mod things;
mod worlds;
