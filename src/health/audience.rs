//! For whose eyes a conclusion is, and what it may be made from.

/// The view of health from what its partner may see (DECISIONS 2).
pub const SHARED: &str = "shared";
/// The view from all evidence; the vendor's alone.
pub const VENDOR: &str = "vendor";

/// The audiences of the evidence a view is made from: the vendor's (`whole`) from all there is, the shared one from what is shared.
pub fn read_for(whole: bool) -> &'static [&'static str] {
    if whole { &[SHARED, VENDOR] } else { &[SHARED] }
}
